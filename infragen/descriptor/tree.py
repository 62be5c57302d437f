"""YAML text to a tree in which every key and value knows its place.

Takes one text. Gives a `Mapping`, or None and the reasons. Promises linear time and memory, whatever the text holds.

The scanner and parser are PyYAML's; the tree is built from their events, because a composer would expand aliases, keep
the last of two equal keys and read scalars by the rules of YAML 1.1 (`no` as false, `1:30` as 90). Scalars are read by
the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import yaml
from msgspec import Struct
from msgspec.structs import replace
from yaml import events

from infragen.descriptor import rules, syntax
from infragen.descriptor.rules import Says
from infragen.diagnostics import Diagnostic, Diagnostics, Span

MAX_DEPTH = 20  # levels of mappings and lists, aliases expanded
MAX_NODES = 3000  # keys and values, aliases expanded
MAX_SYNTAX_ERRORS = 20  # of one text; a text with more of them is not a descriptor

ScalarValue = None | bool | int | float | str

_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")  # what an escape can make and no file can hold
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_CORE_SCHEMA: tuple[tuple[re.Pattern[str], type], ...] = (
    (re.compile(r"|~|null|Null|NULL"), type(None)),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), bool),
    (re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), float),
)
_MANY_DIGITS = 40  # above, a whole number is read as a float: no field takes it, and Python refuses the longest ones


class Scalar(Struct, frozen=True):
    """One value. ``text`` is what was written, without quotes."""

    value: ScalarValue
    text: str
    span: Span
    nodes: int = 1
    depth: int = 0


class Sequence(Struct, frozen=True):
    """A list. ``nodes`` and ``depth`` count everything below, aliases expanded."""

    items: "tuple[Node, ...]"
    span: Span
    nodes: int
    depth: int


class Entry(Struct, frozen=True):
    """A value under its key."""

    key: Span
    node: "Node"


class Mapping(Struct, frozen=True):
    """Keys and values, in the order written. The span of a mapping in block style is that of its first key."""

    entries: dict[str, Entry]
    span: Span
    nodes: int
    depth: int


Node = Scalar | Sequence | Mapping


def resolve(text: str) -> ScalarValue:
    """What an unquoted scalar stands for under YAML 1.2.

    >>> [resolve(text) for text in ("no", "on", "08", "0o10", "1:30", "200e9", "~", "2027-01-11")]
    ['no', 'on', 8, 8, '1:30', 200000000000.0, None, '2027-01-11']
    """
    kind = next((kind for pattern, kind in _CORE_SCHEMA if pattern.fullmatch(text)), str)
    if kind is str:
        return text
    if kind is bool:
        return text.lower() == "true"
    if kind is int and len(text) <= _MANY_DIGITS:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind is type(None):
        return None
    return float("inf") if text[:2] in ("0o", "0x") else float(re.sub(r"\.(?=[iInN])", "", text))


def plain(node: Node) -> object:
    """The tree as dicts, lists and scalars. A float without a fraction comes out as an int: `2e3` tokens are 2000."""
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node.value, float) and abs(node.value) < 2**53 and node.value.is_integer():
        return int(node.value)
    return node.value


def merge(below: Mapping, above: Mapping) -> Mapping:
    """``above`` over ``below``: mappings merge key by key, all else replaces. Spans stay with their values."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        under = entries.get(key)
        if under and isinstance(under.node, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(under.key, merge(under.node, entry.node))
        else:
            entries[key] = entry
    return replace(below, entries=entries)


def where(root: Mapping, path: tuple[str | int, ...]) -> Span:
    """The place of the value at ``path``: of its key for a section or list, of the nearest part that was written."""
    node: Node = root
    span = root.span
    for part in path:
        if isinstance(node, Mapping) and str(part) in node.entries:
            key, node = node.entries[str(part)].key, node.entries[str(part)].node
            span = node.span if isinstance(node, Scalar) and node.text else key
        elif isinstance(node, Sequence) and str(part).isdecimal() and int(part) < len(node.items):
            node = node.items[int(part)]
            span = node.span
        else:
            break
    return span


@dataclass(frozen=True, slots=True)
class Text:
    """A text that can say where an offset lies. Its first ``skip`` characters are no YAML (the `key=` of a `--set`)."""

    file: str
    content: str
    skip: int = 0
    line_starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(found.end() for found in _LINE_BREAK.finditer(self.content))]
        object.__setattr__(self, "line_starts", starts)

    def span(self, start: int, end: int | None = None) -> Span:
        """From ``start`` to ``end``, at most to the end of the line; a place behind the text is its last character."""
        row = bisect_right(self.line_starts, min(start, len(self.content))) - 1
        text = self._line(row)
        while row > 0 and start >= len(self.content) and not text.strip():
            row, text = row - 1, self._line(row - 1)
        column = min(start - self.line_starts[row], len(text))
        length = min((end or 0) - self.line_starts[row], len(text)) - column
        return Span(self.file, row + 1, column + 1, max(length, 1), text)

    def _line(self, row: int) -> str:
        end = self.line_starts[row + 1] if row + 1 < len(self.line_starts) else len(self.content)
        return self.content[self.line_starts[row] : end].rstrip("\r\n")


def read(text: Text, diags: Diagnostics) -> Node | None:
    """The tree of ``text``, or None for a text without a value or with reported errors."""
    unprintable = _NOT_PRINTABLE.search(text.content)
    if unprintable:
        diags.add(rules.invalid_character(text.span(unprintable.start()), unprintable[0]))
        return None
    found: list[Diagnostic] = []
    try:
        root = _Builder(text, found).document()
    except _StoppedError:
        root = None
    diags.extend(found[:MAX_SYNTAX_ERRORS])
    return None if found else root


class _StoppedError(Exception):
    """Reading on would cost time and tell nothing."""


class _Reader(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML from characters to events, without its composer."""

    def __init__(self, content: str) -> None:
        yaml.reader.Reader.__init__(self, content)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


class _Builder:
    """One reading of one text: events in, a tree out, objections into ``found``."""

    def __init__(self, text: Text, found: list[Diagnostic]) -> None:
        self.text = text
        self.found = found
        self.anchors: dict[str, Node | None] = {}  # None: not closed yet, so an alias to it would hold itself
        self.events = self._events()
        self.nodes = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, events.DocumentStartEvent):
                if root is not None:
                    self._stop(rules.several_documents(self._span(event)))
                root = self._node(next(self.events), 0)
        return root

    def _events(self) -> Iterator[events.Event]:
        skip = self.text.skip
        reader: _Reader | None = None
        try:
            reader = _Reader(self.text.content[skip:])
            while reader.check_event():
                yield reader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            mark, begun = error.problem_mark or error.context_mark, error.context_mark
            self._invalid(
                syntax.Problem(
                    error.problem or "", skip + (mark.index if mark else 0), skip + begun.index if begun else None
                )
            )
        except (ValueError, OverflowError):
            # PyYAML hands the numbers of escapes and directives to `chr` and `int` as they come.
            self._invalid(syntax.Problem("number out of range", skip + (reader.index if reader else 0)))

    def _invalid(self, problem: syntax.Problem) -> NoReturn:
        at, says = syntax.explain(problem, self.text.content)
        self._stop(rules.invalid_yaml(self.text.span(at), says))

    def _node(self, event: events.Event, depth: int) -> Node:
        if isinstance(event, events.AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, events.NodeEvent)
        if depth > MAX_DEPTH:
            self._stop(rules.oversized_structure(self._span(event), f"more than {MAX_DEPTH} levels"))
        self._count(1, event)
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            self.found.append(rules.yaml_tag(self._span(event), tag))
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = self._content(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _content(self, event: events.NodeEvent, depth: int) -> Node:
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(event, depth)
        assert isinstance(event, events.ScalarEvent)
        text: str = event.value
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            self.found.append(rules.invalid_character(self._span(event), forbidden[0]))
        value = resolve(text) if event.style is None else text
        return Scalar(value, text, self._span(event))

    def _sequence(self, event: events.Event, depth: int) -> Sequence:
        items: list[Node] = []
        for inner in self.events:
            if isinstance(inner, events.SequenceEndEvent):
                break
            items.append(self._node(inner, depth + 1))
        nodes = 1 + sum(item.nodes for item in items)
        return Sequence(tuple(items), self._span(event, inner), nodes, 1 + max((i.depth for i in items), default=0))

    def _mapping(self, event: events.Event, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        nodes, height = 1, 0
        first: Span | None = None
        for inner in self.events:
            if isinstance(inner, events.MappingEndEvent):
                break
            key_span = self._span(inner)
            key = self._node(inner, depth + 1)
            node = self._node(next(self.events), depth + 1)
            first = first or key_span
            nodes, height = nodes + 1 + node.nodes, max(height, node.depth)
            problem = self._key_problem(key, key_span, entries)
            if problem:
                self.found.append(problem)
            elif isinstance(key, Scalar):
                entries[key.text] = Entry(key_span, node)
        is_flow = bool(getattr(event, "flow_style", False))
        span = self._span(event, inner) if is_flow or first is None else first
        return Mapping(entries, span, nodes, 1 + height)

    def _key_problem(self, key: Node, span: Span, entries: dict[str, Entry]) -> Diagnostic | None:
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            return rules.key_not_text(span, key.text if isinstance(key, Scalar) else None)
        if key.text == "<<":
            return rules.merge_key(span)
        if key.text in entries:
            return rules.duplicate_key(span, key.text, entries[key.text].key.line)
        return None

    def _alias(self, event: events.AliasEvent, depth: int) -> Node:
        name, span = event.anchor or "", self._span(event)
        if name not in self.anchors:
            near = rules.nearest(name, self.anchors)
            help = f"did you mean `*{near}`?" if near else f"write `&{name}` before a value above, or quote the text"
            self._stop(rules.exploding_alias(span, Says(f"`*{name}` stands for nothing", "no such anchor above", help)))
        node = self.anchors[name]
        if node is None:
            says = Says(f"`*{name}` stands inside its own anchor", "holds itself", "write the value out")
            self._stop(rules.exploding_alias(span, says))
        self.nodes += node.nodes
        if self.nodes > MAX_NODES or depth + node.depth > MAX_DEPTH:
            label = f"more than {MAX_NODES} values" if self.nodes > MAX_NODES else f"more than {MAX_DEPTH} levels"
            says = Says(f"`*{name}` expands too far", f"{label} when expanded", "write the values out")
            self._stop(rules.exploding_alias(span, says))
        return node

    def _count(self, nodes: int, event: events.Event) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._stop(rules.oversized_structure(self._span(event), f"more than {MAX_NODES} keys and values"))

    def _span(self, event: events.Event, last: events.Event | None = None) -> Span:
        start, end = event.start_mark, (last or event).end_mark
        assert start is not None and end is not None  # optional in the type only: the parser sets both
        return self.text.span(start.index + self.text.skip, end.index + self.text.skip)

    def _stop(self, problem: Diagnostic) -> NoReturn:
        self.found.append(problem)
        raise _StoppedError
