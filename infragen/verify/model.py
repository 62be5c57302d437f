"""Terraform text as records: what the checks read.

A `File` holds a body, a body holds arguments and blocks, an argument holds an expression. Places are byte offsets
into the file's source; `File.span` turns a pair of them into the `Span` that a diagnostic wants, so that the ten
thousand places nobody asks for cost nothing. Records are
equal only to themselves: nothing compares them, and the methods for it would double the time to load this module.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal as OneOf
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from infragen.diagnostics import Span

Scalar: TypeAlias = str | int | float | bool | None


class Expr(Struct, frozen=True, eq=False):
    """An expression; ``start`` and ``end`` are byte offsets, the end exclusive."""

    start: int
    end: int


class Literal(Expr, frozen=True, eq=False):
    """A string without interpolation (escapes resolved), a number, a bool or null."""

    value: Scalar


class Template(Expr, frozen=True, eq=False):
    """A string with interpolations or directives: literal text and expressions in their order."""

    parts: tuple[str | Expr, ...]


class ListExpr(Expr, frozen=True, eq=False):
    """``[a, b]``."""

    items: tuple[Expr, ...]


class ObjectExpr(Expr, frozen=True, eq=False):
    """``{ key = value }``. A key written as a bare word is a literal string."""

    items: tuple[tuple[Expr, Expr], ...]


class Step(NamedTuple):
    """One step of a traversal. ``name`` is the attribute or a literal index; ``key`` an index that must be computed."""

    kind: OneOf["attribute", "index", "splat"]
    name: str | int | None
    key: Expr | None
    start: int
    end: int


class Reference(Expr, frozen=True, eq=False):
    """``root.step[0].step``: a traversal that starts at a name."""

    root: str
    steps: tuple[Step, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the leading attribute steps: ``("main", "id")`` of ``google_x.main.id[0]``."""
        names: list[str] = []
        for step in self.steps:
            if step.kind != "attribute":
                break
            names.append(str(step.name))
        return tuple(names)


class Access(Expr, frozen=True, eq=False):
    """A traversal that starts at something other than a name: ``f(x).id``."""

    base: Expr
    steps: tuple[Step, ...]


class Call(Expr, frozen=True, eq=False):
    """``name(arguments)``; ``name_end`` closes the part of it that is the name."""

    name: str
    name_end: int
    arguments: tuple[Expr, ...]


class Conditional(Expr, frozen=True, eq=False):
    """``condition ? yes : no``."""

    condition: Expr
    yes: Expr
    no: Expr


class Operation(Expr, frozen=True, eq=False):
    """One operand and ``-`` or ``!``, or two operands and what stands between them."""

    operator: str
    operands: tuple[Expr, ...]


class ForExpr(Expr, frozen=True, eq=False):
    """``[for name in collection : value if condition]``; ``key`` is set where it makes an object."""

    names: tuple[str, ...]
    collection: Expr
    key: Expr | None
    value: Expr
    condition: Expr | None


class Directive(Expr, frozen=True, eq=False):
    """``%{ for names in subject }parts%{ endfor }`` or ``%{ if subject }parts%{ endif }``, within a `Template`.

    Of an `if` the parts are those of both branches, and it binds no names.
    """

    names: tuple[str, ...]
    subject: Expr
    parts: tuple[str | Expr, ...]


class Attribute(Struct, frozen=True, eq=False):
    """``name = value``. The name starts at ``start``."""

    name: str
    value: Expr
    start: int

    @property
    def name_end(self) -> int:
        return self.start + len(self.name.encode())


class Label(Struct, frozen=True, eq=False):
    """One label of a block, without its quotes; the offsets include them."""

    text: str
    start: int
    end: int


class Body(Struct, frozen=True, eq=False):
    """What stands between two braces, or in a file. Of a name given twice the first counts."""

    attributes: Mapping[str, Attribute]
    blocks: tuple["Block", ...]

    def named(self, type: str) -> Iterator["Block"]:
        """The blocks of one type."""
        return (block for block in self.blocks if block.type == type)


class Block(Struct, frozen=True, eq=False):
    """``type "label" { body }``. ``header_end`` closes the labels."""

    type: str
    labels: tuple[Label, ...]
    body: Body
    start: int
    header_end: int
    end: int

    @property
    def label(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.labels)


@dataclass(frozen=True, eq=False)
class File:
    """One parsed file. Equal to itself only, so that what was found out about it can be remembered."""

    path: str
    source: bytes = field(repr=False)
    body: Body = field(repr=False)

    @cached_property
    def _line_starts(self) -> list[int]:
        starts, position = [0], self.source.find(b"\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.source.find(b"\n", position + 1)
        return starts

    def line(self, offset: int) -> int:
        """Line number of a byte offset, from 1."""
        return bisect_right(self._line_starts, offset)

    def span(self, start: int, end: int) -> Span:
        """The place of ``source[start:end]``, cut where its first line ends."""
        line = self.line(start)
        begin = self._line_starts[line - 1]
        stop = self._line_starts[line] - 1 if line < len(self._line_starts) else len(self.source)
        text = self.source[begin:stop].decode(errors="replace").rstrip("\r")
        column = len(self.source[begin:start].decode(errors="replace"))
        length = len(self.source[start : min(end, stop)].decode(errors="replace"))
        return Span(self.path, line, column + 1, max(1, length), text)

    def text(self, expression: Expr) -> str:
        """An expression as it was written."""
        return self.source[expression.start : expression.end].decode(errors="replace")


def children(expression: Expr) -> Iterator[Expr]:
    """The expressions that stand directly within another one."""
    match expression:
        case Template(parts=parts):
            yield from (part for part in parts if not isinstance(part, str))
        case ListExpr(items=items):
            yield from items
        case ObjectExpr(items=pairs):
            for key, value in pairs:
                yield key
                yield value
        case Reference(steps=steps):
            yield from (step.key for step in steps if step.key is not None)
        case Access(base=base, steps=steps):
            yield base
            yield from (step.key for step in steps if step.key is not None)
        case Call(arguments=arguments):
            yield from arguments
        case Conditional(condition=condition, yes=yes, no=no):
            yield from (condition, yes, no)
        case Operation(operands=operands):
            yield from operands
        case ForExpr(collection=collection, key=key_expression, value=value, condition=test):
            yield from (one for one in (collection, key_expression, value, test) if one is not None)
        case Directive(subject=subject, parts=parts):
            yield subject
            yield from (part for part in parts if not isinstance(part, str))
