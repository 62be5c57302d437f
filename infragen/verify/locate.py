"""Where exactly a text stops being HCL.

An error node of the grammar says that something near it is wrong. Most faults are lexical, an open quote or bracket,
and a lexer can say precisely which one; only what remains is told by the error nodes.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from tree_sitter import Node

from infragen.diagnostics import Diagnostic
from infragen.fmt import Lexer, Token
from infragen.verify.layout import SYNTAX
from infragen.verify.model import File

Parse: TypeAlias = Callable[[bytes], Node]
"""Text to the root of its tree."""

_PAIRS = {"{": "}", "[": "]", "(": ")"}
_ESCAPE = re.compile(r'\\(?:(?P<good>[nrt"\\]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|.)')
_PUNCTUATION = frozenset({"=", ":", "=>", ",", "}", "]", ")"})
_FORMS = 'an argument `name = value` or a block `type "label" { ... }`'
_MEANT = {
    "'": 'strings stand in double quotes, `"like this"`',
    "`": 'strings stand in double quotes, `"like this"`',
    ";": "end an argument with a line break",
}


def errors(file: File, parse: Parse) -> tuple[Diagnostic, ...]:
    """The syntax errors of a text that the grammar refuses: at least one."""
    text = file.source.decode(errors="replace")
    lexer = Lexer(text)
    tokens = [token for line in lexer.lines() for token in line]
    return (
        _lexical(file, text, tokens, lexer) or _brackets(file, text, tokens) or _grammatical(file, text, tokens, parse)
    )


def _at(file: File, text: str, start: int, length: int, message: str, help: str) -> Diagnostic:
    """An error at a place counted in characters."""
    first = len(text[:start].encode())
    return SYNTAX.error(message, file.span(first, first + len(text[start : start + length].encode())), help=help)


def _lexical(file: File, text: str, tokens: list[Token], lexer: Lexer) -> tuple[Diagnostic, ...]:
    """Strings, heredocs and comments that never end, and characters that mean nothing."""
    found: list[Diagnostic] = []
    opened: list[Token] = []
    for index, token in enumerate(tokens):
        if token.kind in {"quote-open", "heredoc-open", "interpolation"}:
            opened.append(token)
        elif token.kind in {"quote-close", "heredoc-close", "end"} and opened:
            opened.pop()
        elif token.kind == "literal" and opened and opened[-1].kind == "quote-open":
            found.extend(_escapes(file, text, token))
        elif token.kind == "bad":
            is_in_string = bool(opened) and opened[-1].kind == "quote-open" and token.text in "\r\n\\"
            if is_in_string:
                quote = opened.pop()
                found.append(_open_string(file, text, quote))
            else:
                help = _MEANT.get(token.text, "remove it")
                found.append(_at(file, text, token.start, 1, f"unexpected character {token.text!r}", help))
        elif token.text == "/" and index + 1 < len(tokens) and text.startswith("/*", token.start):
            found.append(_at(file, text, token.start, 2, "this comment is never closed", "close it with `*/`"))
            break
    if not found and lexer.modes and opened:
        token = opened[0]
        if token.kind == "heredoc-open":
            marker = token.text.strip().lstrip("<-")
            help = f"end it with a line that holds only `{marker}`"
            found.append(_at(file, text, token.start, len(token.text.rstrip()), "this heredoc is never closed", help))
        elif token.kind == "quote-open":
            found.append(_open_string(file, text, token))
        else:
            found.append(_at(file, text, token.start, 2, "this template is never closed", "close it with `}`"))
    return tuple(found)


def _escapes(file: File, text: str, token: Token) -> list[Diagnostic]:
    help = r"use `\n`, `\r`, `\t`, `\"`, `\uNNNN` or `\UNNNNNNNN`; a backslash itself is `\\`"
    return [
        _at(file, text, token.start + match.start(), 2, "invalid escape in a quoted string", help)
        for match in _ESCAPE.finditer(token.text)
        if match["good"] is None
    ]


def _open_string(file: File, text: str, quote: Token) -> Diagnostic:
    end = text.find("\n", quote.start)
    length = (end if end >= 0 else len(text)) - quote.start
    return _at(file, text, quote.start, length, "this string is never closed", 'close it with `"` on the same line')


def _brackets(file: File, text: str, tokens: list[Token]) -> tuple[Diagnostic, ...]:
    """The first bracket without its partner.

    Of a brace that is missing, only the end of the file is proof. The brace to blame is the first one whose partner
    stands at another indentation than the line that opened it.
    """
    opened: list[Token] = []
    suspect: Token | None = None
    for token in tokens:
        if token.kind in _PAIRS:
            opened.append(token)
        elif token.kind in _PAIRS.values():
            if not opened:
                return (_at(file, text, token.start, 1, f"`{token.kind}` closes nothing", "remove it"),)
            partner = opened.pop()
            if _PAIRS[partner.kind] != token.kind:
                message = f"`{partner.kind}` is closed by `{token.kind}`"
                return (_at(file, text, partner.start, 1, message, f"close it with `{_PAIRS[partner.kind]}`"),)
            closing_line = text.rfind("\n", 0, token.start) + 1
            is_first = not text[closing_line : token.start].strip()
            if suspect is None and is_first and _indent(text, partner.start) != token.start - closing_line:
                suspect = partner
    if not opened:
        return ()
    blamed = suspect if suspect is not None and suspect.start > opened[0].start else opened[0]
    help = f"add `{_PAIRS[blamed.kind]}`"
    return (_at(file, text, blamed.start, 1, f"`{blamed.kind}` is never closed", help),)


def _indent(text: str, position: int) -> int:
    line = text.rfind("\n", 0, position) + 1
    end = text.find("\n", line)
    content = text[line : end if end >= 0 else len(text)]
    return len(content) - len(content.lstrip())


def _grammatical(file: File, text: str, tokens: list[Token], parse: Parse) -> tuple[Diagnostic, ...]:
    """The first error of each outermost block or argument; what follows it there may be but a consequence."""
    found: list[Diagnostic] = []
    for start, end in _items(text, tokens):
        first = len(text[:start].encode())
        node = _first_error(parse(text[start:end].encode()))
        if node is None:
            continue
        place = file.span(first + node.start_byte, first + max(node.end_byte, node.start_byte + 1))
        if node.is_missing:
            place = file.span(first + max(0, node.start_byte - 1), first + max(1, node.start_byte))
            message = f"{_wanted(node)} is missing here"
        else:
            shown = _shortened(place.text[place.column - 1 : place.column - 1 + place.length])
            message = f"`{shown}` cannot stand here" if shown.strip() else "an expression is missing here"
        found.append(SYNTAX.error(message, place, help=f"write {_FORMS}"))
    return tuple(found) or (SYNTAX.error("the text is not HCL", file.span(0, 1), help=f"write {_FORMS}"),)


def _items(text: str, tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Start and end of each piece of the text that ends with a line break outside all brackets."""
    depth = start = 0
    for token in tokens:
        depth += token.nesting
        if depth == 0 and (token.kind == "newline" or (token.kind == "comment" and token.text.endswith("\n"))):
            end = token.start + len(token.text)
            yield start, end
            start = end
    if start < len(text):
        yield start, len(text)


def _first_error(root: Node) -> Node | None:
    """The error node that starts first; of one that holds others, the first piece that is one piece."""
    if not root.has_error:
        return None
    found: list[Node] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_missing or node.is_error:
            found.append(node)
        elif node.has_error:
            pending.extend(node.children)
    first = min(found, key=lambda node: (node.start_byte, node.is_missing), default=None)
    while first is not None and first.child_count and first.children[0].child_count:
        first = first.children[0]
    return first


def _shortened(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


def _wanted(node: Node) -> str:
    return f"`{node.type}`" if node.type in _PUNCTUATION else "an expression"
