"""Rules that narrow: candidates only ever shrink, and every removal is on record.

A rule is a small pure function of what is needed and one candidate. It gives None to keep the candidate, or a `Miss`
that says why it goes. The function's docstring is the catalogue's text for it (summary, ``Why:``, ``Example:``).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from infragen.decide.model import Rejection
from infragen.diagnostics import CATALOGUE, Rule, declare

Need = TypeVar("Need")
Candidate = TypeVar("Candidate")


class Miss(Struct, frozen=True):
    """Why a candidate goes.

    ``distance`` orders near misses (0: almost), ``help`` says what would keep it, ``path`` is the field of the
    descriptor that it is about.
    """

    because: str
    distance: float = 1.0
    help: str = ""
    path: str = ""


Check = Callable[[Need, Candidate], Miss | None]


def rule(id: str, name: str, source: str) -> Callable[[Check[Need, Candidate]], Check[Need, Candidate]]:
    """Enter a check in the catalogue; its docstring is the text."""

    def enter(check: Check[Need, Candidate]) -> Check[Need, Candidate]:
        declare(id, name, check.__doc__ or "", source)
        _IDS[check] = id
        return check

    return enter


_IDS: dict[Callable[..., object], str] = {}


def rule_of(check: Callable[..., object]) -> Rule:
    """The catalogue entry of a check that `rule` entered."""
    return CATALOGUE[_IDS[check]]


class Removal(Struct, Generic[Candidate], frozen=True):
    """A candidate, the rule that removed it, and why."""

    candidate: Candidate
    rule: Rule
    miss: Miss


class Narrowed(Struct, Generic[Candidate], frozen=True):
    """What is left, and everything that went, in the order in which it went."""

    kept: tuple[Candidate, ...]
    removed: tuple[Removal[Candidate], ...] = ()

    def by(self, checks: Sequence[Check[Need, Candidate]], need: Need) -> "Narrowed[Candidate]":
        """Fewer candidates: each check in turn sees what the ones before it kept."""
        kept, removed = list(self.kept), list(self.removed)
        for check in checks:
            left: list[Candidate] = []
            for candidate in kept:
                miss = check(need, candidate)
                if miss is None:
                    left.append(candidate)
                else:
                    removed.append(Removal(candidate, rule_of(check), miss))
            kept = left
        return Narrowed(tuple(kept), tuple(removed))

    @property
    def nearest(self) -> Removal[Candidate]:
        """The candidate that came furthest: removed by the last rule that fired, and by the smallest distance."""
        last = self.removed[-1].rule
        return min((one for one in self.removed if one.rule is last), key=lambda one: one.miss.distance)

    def rejections(self, name: Callable[[Candidate], str]) -> tuple[Rejection, ...]:
        """What went, for the plan record."""
        return tuple(Rejection(name(one.candidate), one.rule.id, one.miss.because) for one in self.removed)


def candidates(all_of_them: Iterable[Candidate]) -> Narrowed[Candidate]:
    """A set to narrow."""
    return Narrowed(tuple(all_of_them))
