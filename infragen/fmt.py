"""HCL in canonical layout: what `terraform fmt` would make of it.

Takes HCL text. Gives the same text with other whitespace. Promises that a second pass changes nothing.

A line is the unit of work. Cut into up to three cells (lead, ``= value``, comment) it looks the same wherever it
stands, so the cells of a line are computed once and remembered; what depends on the neighbours, indentation and the
alignment of cells, is a sum over widths. Only text that spans lines (heredocs, block comments, templates) needs the
stateful lexer, which this module also offers to whoever has to point at a broken token.

Source of the layout rules: behaviour of hclwrite's formatter and of `terraform fmt` 1.11.4, seen 2026-11-21.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

_MAIN = re.compile(
    r"""(?P<space>[ \t]+)
    |(?P<id>[^\W\d][\w-]*)
    |(?P<number>\d(?:(?:[\d.]|[eE][+-]?\d)*(?:\d|[eE][+-]?\d))?)
    |(?P<comment>(?:\#|//)[^\n]*\n?|/\*(?s:.*?)\*/)
    |(?P<newline>\r?\n)
    |(?P<heredoc><<-?[^\W\d][\w-]*\r?\n)
    |(?P<symbol>==|!=|>=|<=|&&|\|\||::|\.\.\.|=>|~\}|[][().,*/%+=<>!?:&|~^{}"-])
    |(?P<bad>(?s:.))""",
    re.VERBOSE,
)
_QUOTED = re.compile(
    r"""(?P<interpolation>[$%]\{~?)
    |(?P<close>")
    |(?P<literal>(?:\\[^\r\n]|\$\$\{|%%\{|[$%](?!\{)|[^"\\$%\r\n])+)
    |(?P<bad>(?s:.))""",
    re.VERBOSE,
)
_HEREDOC = re.compile(r"(?P<interpolation>[$%]\{~?)|(?P<literal>(?:\$\$\{|%%\{|[$%](?!\{)|[^$%\n])*\n?)")
_LINE = re.compile(r"[^\n]*")

_OPENING = frozenset({"{", "[", "(", "interpolation"})
_CLOSING = frozenset({"}", "]", ")", "end"})
# After one of these a minus negates; after anything else it subtracts.
_BEFORE_NEGATION = frozenset(
    {"", "(", "{", "[", "=", ":", ",", "?", "+", "*", "/", "%", "-", "==", "!=", ">", ">=", "<", "<=", "&&", "||", "!"}
)
_LEGACY_TYPES = {"list": "list(any)", "map": "map(any)", "set": "set(any)"}
_QUOTED_TYPES = {'"string"': "string", '"list"': "list(string)", '"map"': "map(string)"}


class Token(Struct, frozen=True):
    """One lexeme. ``kind`` is the symbol itself, or id, number, comment, newline, quote-open, quote-close, literal,
    heredoc-open, heredoc-close, interpolation, end (of an interpolation), bad. ``start`` counts characters.
    """

    kind: str
    text: str
    start: int

    @property
    def nesting(self) -> int:
        """1 for a token that opens a bracket, -1 for one that closes, else 0."""
        return (self.kind in _OPENING) - (self.kind in _CLOSING)


class Lexer:
    """Tokens of a text, a line at a time; ``modes`` is what is open between lines, empty where a line stands alone."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        # An interpolation is the number of braces open in it, a heredoc its marker, a quoted string None.
        self.modes: list[int | str | None] = []
        self._at_line_start = False  # within a heredoc: only there can its marker end it

    def lines(self) -> Iterator[list[Token]]:
        """All lines from here on, each with the token that ends it."""
        while self.position < len(self.text):
            yield self.line()

    def line(self) -> list[Token]:
        """The tokens up to and including the next line break that belongs to no heredoc and no string."""
        found: list[Token] = []
        while self.position < len(self.text):
            mode = self.modes[-1] if self.modes else 0
            if mode is None:
                found.append(self._quoted())
            elif isinstance(mode, str):
                found.append(self._heredoc(mode))
            else:
                token = self._code()
                if token is None:
                    continue
                found.append(token)
                if token.kind == "newline" or (token.kind == "comment" and token.text.endswith("\n")):
                    break
        return found

    def _code(self) -> Token | None:
        start = self.position
        match = _MAIN.match(self.text, start)
        assert match is not None  # the last alternative takes any character
        self.position = match.end()
        kind, text = str(match.lastgroup), match.group()
        if kind == "space":
            return None
        if kind == "heredoc":
            self.modes.append(text.strip().lstrip("<-"))
            self._at_line_start = True
            return Token("heredoc-open", text, start)
        if kind != "symbol":
            return Token(kind, text, start)
        if text == '"':
            self.modes.append(None)
            return Token("quote-open", text, start)
        depth = self.modes[-1] if self.modes else None
        if isinstance(depth, int):
            if text == "{":
                self.modes[-1] = depth + 1
            elif text in {"}", "~}"}:
                if depth == 0:
                    self.modes.pop()
                    self._at_line_start = False
                    return Token("end", text, start)
                self.modes[-1] = depth - 1
        return Token("end" if text == "~}" else text, text, start)

    def _quoted(self) -> Token:
        start = self.position
        match = _QUOTED.match(self.text, start)
        assert match is not None
        self.position = match.end()
        kind, text = str(match.lastgroup), match.group()
        if kind == "interpolation":
            self.modes.append(0)
        elif kind == "close":
            self.modes.pop()
            kind = "quote-close"
        elif kind == "bad":  # a line break: the string was never closed, and the line ends here
            self.modes.pop()
            if text in "\r\n":
                self.position = start
        return Token(kind, text, start)

    def _heredoc(self, marker: str) -> Token:
        start = self.position
        if self._at_line_start:
            match = _LINE.match(self.text, start)
            if match is not None and match.group().strip() == marker:
                self.modes.pop()
                self.position = match.end() - match.group().endswith("\r")
                return Token("heredoc-close", self.text[start : self.position], start)
        match = _HEREDOC.match(self.text, start)
        assert match is not None
        self.position = match.end()
        if match.lastgroup == "interpolation":
            self.modes.append(0)
            return Token("interpolation", match.group(), start)
        self._at_line_start = match.group().endswith("\n")
        return Token("literal", match.group(), start)


class _Cells(Struct, frozen=True):
    """A line, but for where its cells stand. ``end`` is its line break; a comment that closes the line holds it."""

    lead: str
    assign: str | None
    unwrapped: str | None  # ``assign`` where it is the argument of a block: `"${x}"` is x
    comment: str | None
    end: str
    nesting: int  # brackets that the line opens minus those it closes
    closes: int  # brackets of earlier lines that it closes
    opens: str  # brackets that it leaves open: B(lock), V(ariable block), E(xpression)
    is_blank: bool


def format(text: str) -> str:
    """``text`` in canonical layout. Text that is not HCL comes back with odd spacing, never with an error.

    >>> print(format('a=1\\nbcd   = "x" # why\\n'), end="")
    a   = 1
    bcd = "x" # why
    """
    text = text.removeprefix("\ufeff")
    if text and not text.endswith("\n"):
        text += "\n"
    lines = list(_lines(text))
    indents = _indents(lines)
    leads = [" " * indent + line.lead for indent, line in zip(indents, lines, strict=True)]
    values = _values(lines)
    _align(leads, values)
    bodies = [lead + value if value else lead for lead, value in zip(leads, values, strict=True)]
    comments = [line.comment for line in lines]
    _align(bodies, comments)
    return "".join(
        [body + (comment or "") + line.end for body, comment, line in zip(bodies, comments, lines, strict=True)]
    )


def _lines(text: str) -> Iterator[_Cells]:
    lexer = Lexer(text)
    position, size = 0, len(text)
    while position < size:
        end = text.find("\n", position) + 1 or size
        cells = _cells_of_line(text[position:end].strip(" \t"))
        if cells is not None:
            position = end
            yield cells
            continue
        lexer.position = position
        while True:
            yield _cells(lexer.line())
            if not lexer.modes or lexer.position >= size:
                break
        lexer.modes.clear()
        position = lexer.position


@lru_cache(maxsize=1 << 16)
def _cells_of_line(line: str) -> _Cells | None:
    """The cells of a physical line without the spaces around it, or None if it does not end where the line ends."""
    lexer = Lexer(line)
    tokens = lexer.line()
    if lexer.modes or lexer.position < len(line) or ("/*" in line and any(token.text == "/" for token in tokens)):
        return None
    return _cells(tokens)


def _cells(tokens: list[Token]) -> _Cells:
    lead, comment, end = tokens, None, ""
    if len(lead) > 1 and lead[-1].kind == "comment":
        comment = lead[-1].text
        lead = lead[:-1]
    if lead and lead[-1].kind == "newline":
        end = lead[-1].text
        lead = lead[:-1]
    nesting = _nesting(lead)
    assign: list[Token] = []
    for index, token in enumerate(lead):
        if index and token.kind == "=":
            if sum(one.nesting for one in lead[index:]) == 0:
                lead, assign = lead[:index], lead[index:]
            break
    closes, opens = _brackets(lead + assign)
    text = _join(assign) if assign else None
    return _Cells(
        _join(_header(lead) if opens in {"B", "V"} or (not assign and nesting == 0) else lead),
        text,
        _unwrapped(lead, assign) if assign else text,
        comment,
        end,
        nesting,
        closes,
        opens,
        not tokens or tokens[0].kind == "newline",
    )


def _nesting(tokens: list[Token]) -> int:
    """Brackets opened minus closed. What follows a heredoc that stands in the lead does not count, as in hclwrite."""
    total = 0
    is_assigned = False
    for index, token in enumerate(tokens):
        total += token.nesting
        is_assigned = is_assigned or (index > 0 and token.kind == "=")
        if token.kind == "heredoc-open" and not (
            is_assigned and sum(one.nesting for one in tokens[_equals(tokens) :]) == 0
        ):
            break
    return total


def _equals(tokens: list[Token]) -> int:
    return next(index for index, token in enumerate(tokens) if index and token.kind == "=")


def _brackets(tokens: list[Token]) -> tuple[int, str]:
    """How many brackets of earlier lines these tokens close, and the kinds of those they leave open."""
    closes, opens = 0, ""
    is_header = True
    for index, token in enumerate(tokens):
        change = token.nesting
        if change > 0:
            is_block = is_header and index > 0 and token.kind == "{"
            opens += ("V" if tokens[0].text == "variable" else "B") if is_block else "E"
        elif change < 0 and opens:
            opens = opens[:-1]
        elif change < 0:
            closes += 1
        is_header = is_header and token.kind in {"id", "quote-open", "literal", "quote-close"}
    return closes, opens


def _header(lead: list[Token]) -> list[Token]:
    """The header of a block with its labels in quotes; any other line as it is."""
    brace = next((index for index, token in enumerate(lead) if token.kind == "{"), 0)
    if (
        brace < 2
        or lead[0].kind != "id"
        or any(token.kind not in {"id", "quote-open", "literal", "quote-close"} for token in lead[:brace])
    ):
        return lead
    quoted = [
        piece
        for token in lead[1:brace]
        for piece in (
            (Token("quote-open", '"', 0), Token("literal", token.text, 0), Token("quote-close", '"', 0))
            if token.kind == "id"
            else (token,)
        )
    ]
    return [lead[0], *quoted, *lead[brace:]]


def _unwrapped(lead: list[Token], assign: list[Token]) -> str:
    """An assignment as it is written in a block: a template that is one interpolation is that expression."""
    last = len(assign) - 1
    while assign[last].kind == "comment":
        last -= 1
    value = assign[1 : last + 1]
    kinds = [token.kind for token in value]
    if len(lead) != 1 or kinds[:2] != ["quote-open", "interpolation"] or kinds[-2:] != ["end", "quote-close"]:
        return _join(assign)
    if len(value) < 5 or value[1].text[0] != "$":
        return _join(assign)
    quotes = 0
    for kind in kinds[2:-2]:
        quotes += (kind == "quote-open") - (kind == "quote-close")
        if quotes == 0 and kind in {"interpolation", "end", "literal"}:
            return _join(assign)
    return _join([assign[0], *value[2:-2], *assign[last + 1 :]])


def _join(tokens: list[Token]) -> str:
    """The tokens with one space or none between them."""
    pieces: list[str] = []
    before = ""
    for index, token in enumerate(tokens):
        pieces.append(token.text)
        if index + 1 < len(tokens):
            if _has_space(before, token, tokens[index + 1].kind):
                pieces.append(" ")
            before = token.kind
    return "".join(pieces)


def _has_space(before: str, subject: Token, after: str) -> bool:  # noqa: PLR0911 - a table, read from the top
    kind = subject.kind
    if kind == "id" and after in {"(", "::"}:
        return False
    if kind in {".", "::"} or after in {".", ",", "..."}:
        return False
    if kind == ",":
        return True
    if kind in {"literal", "quote-open", "heredoc-open"} or after in {"literal", "quote-close", "heredoc-close"}:
        return False
    if kind == "id" and subject.text == "in" and before == "id":
        return True  # `for x in [1]`: no index
    if after == "[" and (kind in {"id", "number"} or kind in _CLOSING):
        return False
    if kind == "!":
        return False
    if kind == "-":
        return before not in _BEFORE_NEGATION
    if kind == "{" or after == "}":
        return not (kind == "{" and after == "}")
    if (kind == "interpolation" and after == "{") or (kind == "}" and after == "end"):
        return True
    if kind == "end" and after == "interpolation":
        return False
    return kind not in _OPENING and after not in _CLOSING


def _indents(lines: list[_Cells]) -> list[int]:
    """Spaces before each line: two for each earlier line that opened brackets and has not had them all closed."""
    found: list[int] = []
    opened: list[int] = []
    for line in lines:
        if line.is_blank:
            found.append(0)
        elif line.nesting > 0:
            found.append(2 * len(opened))
            opened.append(line.nesting)
        else:
            closed = -line.nesting
            while closed > 0 and opened:
                if closed < opened[-1]:
                    opened[-1] -= closed
                    break
                closed -= opened.pop()
            found.append(2 * len(opened))
    return found


def _values(lines: list[_Cells]) -> list[str | None]:
    """The `= value` cell of each line; unwrapped where the line is an argument of a block, not an item of an object."""
    found: list[str | None] = []
    context = ""
    for line in lines:
        value = line.assign
        if value is not None and not line.opens and (not context or context[-1] != "E"):
            value = line.unwrapped
            if context == "V" and line.lead == "type" and value is not None:
                value = _modern_type(value)
        found.append(value)
        if line.closes:
            context = context[: -line.closes]
        context += line.opens
    return found


def _modern_type(assignment: str) -> str:
    """Terraform 0.11 spelt types as strings and left their elements out.

    >>> _modern_type('= "list"'), _modern_type("= map"), _modern_type("= number")
    ('= list(string)', '= map(any)', '= number')
    """
    written = assignment.removeprefix("= ")
    return "= " + (_QUOTED_TYPES.get(written) or _LEGACY_TYPES.get(written) or written)


def _align(lefts: list[str], rights: list[str | None]) -> None:
    """Append to each left that has a right, one or more spaces, so that the rights of neighbouring lines line up."""
    start = 0
    while start < len(rights):
        if rights[start] is None:
            start += 1
            continue
        end = start
        widths: list[int] = []
        while end < len(rights) and rights[end] is not None:
            widths.append(_columns(lefts[end]))
            end += 1
        widest = max(widths) + 1
        for index, width in zip(range(start, end), widths, strict=True):
            lefts[index] += " " * (widest - width)
        start = end


def _columns(text: str) -> int:
    """Columns that a text takes: characters as people count them, so an accent written apart takes none."""
    if text.isascii():
        return len(text)
    joined = text.count("\u200d")
    return sum(unicodedata.category(character) not in {"Mn", "Me", "Cf"} for character in text) - joined
