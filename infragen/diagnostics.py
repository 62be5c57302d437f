"""What can be wrong, where, why, and how to fix it.

A `Rule` is an entry of the catalogue: everything that infragen can object to has an id and a reason. A `Diagnostic`
is one finding of a rule at one place. `Diagnostics` collects them; it only grows. A stage reports all that it found and
then calls `raise_if_errors` as its last act. How a finding looks on a terminal is the business of ``render`` alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct


class Severity(StrEnum):
    """How bad: an error stops the run and nothing is written; a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Span(Struct, frozen=True):
    """A place in a text file.

    ``line`` and ``column`` count from 1, ``length`` is the number of characters that the point stands on (at least 1),
    ``text`` is the whole source line without its line break.
    """

    file: str
    line: int
    column: int = 1
    length: int = 1
    text: str = ""


class Diagnostic(Struct, frozen=True):
    """One finding: which rule, where, and what this case looks like.

    ``message`` says what is wrong; ``label`` stands beside the caret; ``help`` says what to do, with computed numbers.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None
    label: str = ""
    why: str = ""
    help: str = ""

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """Sort key: by place, then by code and text."""
        span = self.span or Span("", 0, 0)
        return (span.file, span.line, span.column, self.code, self.message)


class Rule(Struct, frozen=True):
    """An entry of the catalogue. ``why`` and ``example`` are what `infragen explain ID` prints below the summary."""

    id: str  # a letter for the stage and three digits; never used twice
    name: str  # kebab case: a decision names its principle, a policy the bad thing
    summary: str
    why: str
    example: str
    source: str

    def error(self, message: str, span: Span | None = None, label: str = "", help: str = "") -> Diagnostic:
        return Diagnostic(self.id, Severity.ERROR, message, span, label, self.short_why, help)

    def warning(self, message: str, span: Span | None = None, label: str = "", help: str = "") -> Diagnostic:
        return Diagnostic(self.id, Severity.WARNING, message, span, label, self.short_why, help)

    def note(self, message: str, span: Span | None = None, label: str = "", help: str = "") -> Diagnostic:
        return Diagnostic(self.id, Severity.NOTE, message, span, label, self.short_why, help)

    @property
    def short_why(self) -> str:
        """The reason as a diagnostic shows it: no capital at the start, no full stop at the end."""
        text = self.why.rstrip(".")
        return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


CATALOGUE: dict[str, Rule] = {}
"""Every rule of the modules imported so far, by id."""

_HEADINGS = re.compile(r"\n *(?:Why|Example):")
_NAMES: set[tuple[str, str]] = set()  # stage and name of each


def declare(id: str, name: str, text: str, source: str) -> Rule:
    """Enter a rule whose ``text`` is a summary line followed by paragraphs headed ``Why:`` and ``Example:``.

    Raises ValueError on a second rule with the same id, or the same name in its stage, and on a text without both
    headings.
    """
    parts = [" ".join(section.split()) for section in _HEADINGS.split(text)]
    if len(parts) != 3:
        raise ValueError(f"{id}: the text needs a summary, `Why:` and `Example:`")
    if id in CATALOGUE or (id[0], name) in _NAMES:
        raise ValueError(f"{id} {name}: declared twice")
    summary, why, example = parts
    _NAMES.add((id[0], name))
    CATALOGUE[id] = Rule(id, name, summary, why, example, source)
    return CATALOGUE[id]


F = TypeVar("F", bound=Callable[..., object])


def documented(id: str, name: str, source: str) -> Callable[[F], F]:
    """Enter a rule whose text is the docstring of the function that decides it; the function is returned as it is."""

    def enter(function: F) -> F:
        declare(id, name, function.__doc__ or "", source)
        return function

    return enter


class CompileError(Exception):
    """The input or the output has errors. They are in the `Diagnostics` that the run carries; only the CLI catches this."""


class Diagnostics:
    """The findings of one run: the one thing that travels through all stages and grows."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}  # in the order of their finding, each once

    def add(self, *found: Diagnostic) -> None:
        self.extend(found)

    def extend(self, found: Iterable[Diagnostic]) -> None:
        self._found.update(dict.fromkeys(found))

    @property
    def has_errors(self) -> bool:
        return any(one.severity is Severity.ERROR for one in self._found)

    def raise_if_errors(self) -> None:
        """The last act of a stage. Raises CompileError if any error was reported so far."""
        if self.has_errors:
            raise CompileError

    def __iter__(self) -> Iterator[Diagnostic]:
        """Sorted by place."""
        return iter(sorted(self._found, key=lambda one: one.order))

    def __len__(self) -> int:
        return len(self._found)
