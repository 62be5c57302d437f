"""The line rules of HCL, which the grammar does not know.

Outside brackets a line break ends an argument; a block ends its line; a block on one line holds at most one argument;
items of an object stand on lines of their own or behind commas. Also what else Terraform's parser refuses and the
grammar takes: an argument set twice, a string over two lines, templates in labels, hexadecimal numbers.
"""

import re
from collections.abc import Iterator

from tree_sitter import Node

from infragen.diagnostics import Diagnostic, declare
from infragen.verify.model import File

SYNTAX_SOURCE = "https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md"

SYNTAX = declare(
    "V001",
    "invalid-syntax",
    """The text is not HCL.

    Why: Terraform reads nothing from a module in which one file cannot be parsed.
    Example: `name = "chat` leaves a string open; two arguments on one line lack a line break.
    """,
    SYNTAX_SOURCE,
)
TWICE = declare(
    "V002",
    "argument-set-twice",
    """An argument may be set once in a block.

    Why: Terraform refuses a second value rather than guess which one is meant.
    Example: two lines `zone = ...` in one resource.
    """,
    SYNTAX_SOURCE,
)

# Within these a line break is space. In an object it separates items, which `_object` sees to.
_FREE = frozenset(
    {
        "tuple",
        "for_tuple_expr",
        "for_object_expr",
        "function_arguments",
        "template_interpolation",
        "new_index",
        "object",
    }
)
_OPAQUE = frozenset({"quoted_template", "heredoc_template", "string_lit", "template_directive"})
# Most values are one of these: no rule here can object to them, and they can be read off the text.
_PLAIN = rb"""(?:(?P<string>"[^"\\$%\n]*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<word>true|false|null)
    |(?P<reference>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+))"""
PLAIN_VALUE = re.compile(_PLAIN, re.VERBOSE)
PLAIN_ARGUMENT = re.compile(rb"(?P<name>[A-Za-z_][\w-]*)[ \t]*=[ \t]*" + _PLAIN, re.VERBOSE)
_NUMBER = re.compile(rb"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_OPEN_TEMPLATE = re.compile(rb"(?<![$%])[$%]\{")


def errors(file: File, root: Node) -> tuple[Diagnostic, ...]:
    """What Terraform's parser would refuse in a tree that the grammar accepts, in the order of the text."""
    return tuple(
        diagnostic for body in root.named_children if body.type == "body" for diagnostic in _body(file, body, None)
    )


def _row(node: Node) -> int:
    return node.start_point.row


def _body(file: File, body: Node, block: Node | None) -> Iterator[Diagnostic]:
    """Errors of a body and all within it. ``block`` is the block it belongs to, None in a file."""
    items = [child for child in body.named_children if child.type != "comment"]
    if block is not None and items and _row(items[0]) == _row(_brace(block)):
        yield from _single_line(file, block, items)
        return
    seen: set[bytes] = set()
    previous: Node | None = None
    last_row = -1
    for item in body.named_children:
        kind = item.type
        if kind == "comment":
            if _row(item) == last_row:  # the line of the item before goes on to the end of this comment
                last_row = item.end_point.row
            continue
        if previous is not None and last_row == _row(item):
            yield SYNTAX.error(
                f"missing line break after {_what(previous)}",
                file.span(item.start_byte, item.start_byte + 1),
                help="start a new line here",
            )
        previous = item
        last_row = item.end_point.row
        if kind == "attribute":
            start = item.start_byte
            plain = PLAIN_ARGUMENT.fullmatch(file.source, start, item.end_byte)
            text = plain["name"] if plain else file.source[start : item.named_children[0].end_byte]
            if text in seen:
                yield TWICE.error(
                    f"`{text.decode()}` is set twice",
                    file.span(start, start + len(text)),
                    help="keep one of the two",
                )
            seen.add(text)
            if not plain:
                yield from _attribute(file, item)
        elif kind == "block":
            yield from _block(file, item)
    if block is not None and items and items[-1].end_point.row == block.end_point.row:
        end = block.end_byte
        yield SYNTAX.error(
            f"missing line break after {_what(items[-1])}",
            file.span(end - 1, end),
            help="put the closing brace on its own line",
        )


def _what(item: Node) -> str:
    return "an argument" if item.type == "attribute" else "a block"


def _brace(block: Node) -> Node:
    return next(child for child in block.children if child.type == "block_start")


def _block(file: File, block: Node) -> Iterator[Diagnostic]:
    brace = _brace(block)
    if _row(brace) != _row(block):
        yield SYNTAX.error(
            "a block opens on the line of its name",
            file.span(brace.start_byte, brace.end_byte),
            help="move the brace to the end of the line before",
        )
    for child in block.named_children:
        if child.type == "string_lit":
            yield from _string(file, child)
            match = _OPEN_TEMPLATE.search(file.source, child.start_byte, child.end_byte)
            if match:
                yield SYNTAX.error(
                    "a label cannot hold a template",
                    file.span(match.start(), match.end()),
                    help="write the label out; use `for_each` for several of a kind",
                )
        elif child.type == "body":
            yield from _body(file, child, block)


def _single_line(file: File, block: Node, items: list[Node]) -> Iterator[Diagnostic]:
    """Errors of a block whose first item stands behind the brace."""
    first, *rest = items
    if first.type == "block":
        yield SYNTAX.error(
            "a block on one line holds an argument, not a block",
            file.span(first.start_byte, first.end_byte),
            help="put the inner block on its own lines",
        )
        yield from _block(file, first)
    elif rest or block.end_point.row != first.end_point.row:
        place = rest[0] if rest else first
        yield SYNTAX.error(
            "a block on one line holds one argument and its closing brace",
            file.span(place.start_byte, place.end_byte),
            help="put each argument on its own line",
        )
    for item in items:
        if item.type == "attribute":
            yield from _attribute(file, item)


def _attribute(file: File, attribute: Node) -> Iterator[Diagnostic]:
    if _row(attribute) != attribute.end_point.row:
        yield from _line_breaks(file, attribute)
    yield from _values(file, attribute)


def _line_breaks(file: File, node: Node) -> Iterator[Diagnostic]:
    """At most one error: a line break in ``node`` where none may stand. ``node`` is an argument or an object's item."""
    last_row = _row(node)
    for leaf in _pieces(node):
        if _row(leaf) > last_row:
            yield SYNTAX.error(
                "a line break ends an argument, and this one is not complete",
                file.span(leaf.start_byte, leaf.end_byte),
                help="join the lines, or put the expression in parentheses",
            )
            return
        last_row = leaf.end_point.row


def _pieces(node: Node) -> Iterator[Node]:
    """The parts of ``node`` that must follow each other on a line. Brackets count as one part with what they hold."""
    is_bracketed = False
    for child in node.children:
        kind = child.type
        if kind == "(":
            is_bracketed = True
            yield child
        elif kind == ")":
            is_bracketed = False
        elif kind == "comment" or is_bracketed:
            continue
        elif kind in _FREE or kind in _OPAQUE or child.child_count == 0:
            yield child
        else:
            yield from _pieces(child)


def _values(file: File, node: Node) -> Iterator[Diagnostic]:
    """Errors in the values within ``node``, whatever lines they stand on."""
    for child in node.named_children:
        kind = child.type
        if kind == "object":
            yield from _object(file, child)
        elif kind == "quoted_template":
            yield from _string(file, child)
        elif kind == "string_lit":
            yield from _string(file, child)
            continue
        elif kind == "numeric_lit":
            yield from _numeric(file, child)
        elif kind == "heredoc_template":
            yield from _heredoc(file, child)
        elif kind == "variable_expr" and b"::" in file.source[child.start_byte : child.end_byte]:
            yield SYNTAX.error(
                "a name with `::` is a function and needs its arguments",
                file.span(child.start_byte, child.end_byte),
                help="add `(...)`",
            )
        elif kind == "splat":
            yield from _splat(file, child)
        if child.child_count:
            yield from _values(file, child)


def _object(file: File, node: Node) -> Iterator[Diagnostic]:
    """Errors in how the items of an object are separated, and within each."""
    previous: Node | None = None
    for child in node.children:
        if child.type == "comment":
            continue
        if child.type == "object_elem":
            if previous is not None and previous.type == "object_elem" and previous.end_point.row == _row(child):
                yield SYNTAX.error(
                    "missing separator between items of an object",
                    file.span(child.start_byte, child.end_byte),
                    help="put a comma or a line break before it",
                )
            if _row(child) != child.end_point.row:
                yield from _line_breaks(file, child)
        previous = child


def _string(file: File, node: Node) -> Iterator[Diagnostic]:
    """Errors in the literal text of a quoted string."""
    for child in node.named_children:
        if child.type != "template_literal":
            continue
        if file.source.find(b"\n", child.start_byte, child.end_byte) >= 0:
            yield SYNTAX.error(
                "a quoted string ends on the line on which it starts",
                file.span(node.start_byte, node.end_byte),
                help="close the quote, or use a heredoc `<<-EOT`",
            )


def _numeric(file: File, node: Node) -> Iterator[Diagnostic]:
    if not _NUMBER.fullmatch(file.source, node.start_byte, node.end_byte):
        yield SYNTAX.error(
            "a number is written with decimal digits",
            file.span(node.start_byte, node.end_byte),
            help="for another base use `parseint`",
        )


def _heredoc(file: File, node: Node) -> Iterator[Diagnostic]:
    marker = next(child for child in node.named_children if child.type == "heredoc_identifier")
    line_end = file.source.find(b"\n", marker.end_byte)
    if file.source[marker.end_byte : line_end].strip():
        yield SYNTAX.error(
            "a heredoc starts on the line after its marker",
            file.span(marker.end_byte, line_end),
            help="end the line behind the marker",
        )


def _splat(file: File, node: Node) -> Iterator[Diagnostic]:
    following = node.next_named_sibling
    if following is None or following.type != "splat":
        return
    if node.named_children[0].type == following.named_children[0].type == "attr_splat":
        yield SYNTAX.error(
            "a `.*` cannot follow another one",
            file.span(following.start_byte, following.end_byte),
            help="use `[*]`",
        )
