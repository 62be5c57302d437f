"""Findings as people and programs read them.

Text looks like this; a finding without a source line has the first and the last lines only:

    error[D021]: `task` is missing in the descriptor
      --> workload.yaml:1:1
       |
     1 | version: 1
       | ^^^^^^^ needs `task`
       = why: ...
       = help: ...

No byte of a user's file reaches the terminal as a control sequence: what does not print is spelt out.
"""

import unicodedata
from typing import Any

from infragen.diagnostics import Diagnostic, Severity, Span

TAB_CELLS = 4
MAX_LINE_CELLS = 100  # of a source line; what is more is cut on both sides of the caret
_LEAD_CELLS = 40  # shown before the caret of a line that is cut
_CUT = "…"

_RESET = "\x1b[0m"
_FRAME = "\x1b[1;34m"
_BOLD = "\x1b[1m"
_COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}


def text(diagnostic: Diagnostic, colour: bool = False) -> str:
    """The finding as lines for a terminal, without a line break at the end."""
    severity_colour = _COLOURS[diagnostic.severity]
    head = _paint(f"{diagnostic.severity}[{diagnostic.code}]", severity_colour, colour)
    lines = [f"{head}{_paint(': ' + visible(diagnostic.message), _BOLD, colour)}"]
    span = diagnostic.span
    width = max(len(str(span.line)) if span else 0, 2)  # two at least: a file's findings then stand below each other
    margin = " " * width
    if span is not None:
        place = visible(f"{span.file}:{span.line}:{span.column}")
        lines.append(f"{margin}{_paint('-->', _FRAME, colour)} {place}")
        if span.text or diagnostic.label:
            source, caret = _excerpt(span)
            bar = _paint("|", _FRAME, colour)
            number = _paint(f"{span.line:>{width}}", _FRAME, colour)
            pointer = _paint(f"{caret.lstrip()} {visible(diagnostic.label)}".rstrip(), severity_colour, colour)
            indent = " " * (len(caret) - len(caret.lstrip()))
            lines += [f"{margin} {bar}", f"{number} {bar} {source}".rstrip(), f"{margin} {bar} {indent}{pointer}"]
    for title, content in (("why", diagnostic.why), ("help", diagnostic.help)):
        if content:
            lines.append(
                f"{margin} {_paint('=', _FRAME, colour)} {_paint(title + ':', _BOLD, colour)} {visible(content)}"
            )
    return "\n".join(lines)


def record(diagnostic: Diagnostic) -> dict[str, Any]:
    """The finding for JSON. ``line`` and ``column`` count from 1; they and ``file`` are null where there is no place."""
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "file": _encodable(span.file) if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "message": _encodable(diagnostic.message),
        "label": _encodable(diagnostic.label),
        "why": _encodable(diagnostic.why),
        "help": _encodable(diagnostic.help),
    }


def summary(n_errors: int, n_warnings: int) -> str:
    """How many there were, for people; empty where there were none.

    >>> summary(2, 1), summary(0, 3), summary(0, 0)
    ('2 errors, 1 warning', '3 warnings', '')
    """
    counts = ((n_errors, "error"), (n_warnings, "warning"))
    return ", ".join(f"{n} {noun}{'s' if n > 1 else ''}" for n, noun in counts if n)


def visible(string: str) -> str:
    """``string`` with everything that does not print spelt out: control characters as pictures, others by number.

    >>> visible("a\\x1b[31m"), visible("\\u202e"), visible("naïve 模型")
    ('a␛[31m', '<U+202E>', 'naïve 模型')
    """
    return "".join(_visible(character) for character in string)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    is_plain = character.isprintable() and not (unicodedata.combining(character) and code > 0x10000)
    return character if is_plain else f"<U+{code:04X}>"


def cells(string: str) -> int:
    """How many columns of a terminal ``string`` takes.

    >>> cells("abc"), cells("模型"), cells("e\\u0301")
    (3, 4, 1)
    """
    return sum(_cells(character) for character in string)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _excerpt(span: Span) -> tuple[str, str]:
    """The source line as it is shown, and below it the carets, both cut to `MAX_LINE_CELLS`."""
    start = min(span.column - 1, len(span.text))
    near = slice(max(0, start - 4 * MAX_LINE_CELLS), start + 4 * MAX_LINE_CELLS)  # a line can be a megabyte long
    before, marked, after = "", "", ""
    for index, character in enumerate(span.text[near], near.start):
        shown = (
            " " * (TAB_CELLS - cells(before + marked + after) % TAB_CELLS) if character == "\t" else _visible(character)
        )
        if index < start:
            before += shown
        elif index < start + span.length:
            marked += shown
        else:
            after += shown
    cut_left = near.start > 0
    if cells(before + marked + after) > MAX_LINE_CELLS or cut_left:
        if cells(before) > _LEAD_CELLS or cut_left:
            before = _CUT + _last(before, _LEAD_CELLS)
        room = MAX_LINE_CELLS - cells(before)
        if cells(marked) + cells(after) > room:
            marked = _first(marked, room)
            after = _first(after, room - cells(marked)) + _CUT
    return before + marked + after, " " * cells(before) + "^" * max(1, cells(marked))


def _first(string: str, room: int) -> str:
    taken = 0
    for index, character in enumerate(string):
        taken += _cells(character)
        if taken > room:
            return string[:index]
    return string


def _last(string: str, room: int) -> str:
    return _first(string[::-1], room)[::-1]


def _encodable(string: str) -> str:
    """``string`` without lone surrogates, which file names can hold and JSON readers refuse."""
    return string.encode("utf-8", "replace").decode()


def _paint(string: str, escape: str, colour: bool) -> str:
    return f"{escape}{string}{_RESET}" if colour and string else string
