"""How a policy enters the catalogue."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import Struct

from infragen.diagnostics import Diagnostic, Rule, documented
from infragen.verify.policy.view import View

Judge: TypeAlias = Callable[[View, Rule], Iterator[Diagnostic]]

Types: TypeAlias = tuple[str, ...] | Callable[[], Iterable[str]]


class Policy(Struct, frozen=True):
    """A rule and the types of resource that it is about; ``variable`` is a type too.

    ``types`` is a function where they stand in a data file, which is read when a module is judged.
    """

    id: str
    types: Types
    judge: Judge

    def all_types(self) -> tuple[str, ...]:
        return tuple(self.types() if callable(self.types) else self.types)


@dataclass(slots=True)
class Rules:
    """The policies of one subject, in the order of their declaration."""

    policies: list[Policy] = field(default_factory=list)

    def add(self, id: str, name: str, source: str, types: Types) -> Callable[[Judge], Judge]:
        """Enter the decorated function as a policy; its docstring is the rule's text."""

        def enter(judge: Judge) -> Judge:
            self.policies.append(Policy(id, types, judge))
            return documented(id, name, source)(judge)

        return enter
