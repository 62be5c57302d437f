"""The schema of one entry, a nesting level at a time, with what a check asks of it worked out once."""

from functools import cache
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from infragen.facts import provider_schema
from infragen.verify.model import Block, File

Spec: TypeAlias = dict[str, Any]

TIES = frozenset({"conflicts_with", "exactly_one_of", "at_least_one_of", "required_with"})
ID: Spec = {"type": "string", "computed": True}


class Group(NamedTuple):
    """Arguments that a rule ties together, as dotted paths without indexes; ``name`` is the one that says so."""

    name: str
    paths: tuple[str, ...]


class Level(Struct, frozen=True):
    """The arguments of one nesting level, and which of them need more than a look at each one."""

    arguments: dict[str, Spec]
    path: tuple[str, ...]
    required: tuple[str, ...]
    counted: tuple[str, ...]
    conflicts: tuple[Group, ...]
    exactly_one: tuple[Group, ...]
    at_least_one: tuple[Group, ...]
    required_with: tuple[Group, ...]


class Subject(NamedTuple):
    """The resource, data source or provider block that is looked at."""

    file: File
    root: Block
    kind: provider_schema.Kind
    name: str
    entry: dict[str, Any]
    is_beta: bool
    is_partial: bool  # in an override file: the rest stands elsewhere


@cache
def level(kind: provider_schema.Kind, name: str, path: tuple[str, ...]) -> Level:
    """The arguments at a path of blocks of an entry; the outermost level also has `id`."""
    entry = provider_schema.entry(kind, name)
    arguments: dict[str, Spec] = entry["arguments"] if entry else {}
    for step in path:
        arguments = arguments[step]["block"]
    if not path and kind != "provider":
        arguments = {"id": ID, **arguments}

    tied = [(argument, spec) for argument, spec in arguments.items() if not TIES.isdisjoint(spec)]

    def groups(key: str) -> tuple[Group, ...]:
        found: dict[frozenset[str], Group] = {}
        for argument, spec in tied:
            if key not in spec:
                continue
            paths = [_without_indexes(one) for one in spec[key]]
            own = ".".join((*path, argument))
            if key in {"exactly_one_of", "at_least_one_of"}:
                members = tuple(dict.fromkeys([*paths, own]))
                found.setdefault(frozenset(members), Group(argument, members))
            else:
                others = tuple(one for one in paths if one != own)
                if others:
                    found[frozenset({argument})] = Group(argument, others)
        return tuple(found.values())

    return Level(
        arguments,
        path,
        tuple(name for name, spec in arguments.items() if spec.get("required")),
        tuple(
            name for name, spec in arguments.items() if "block" in spec and ("max_items" in spec or "min_items" in spec)
        ),
        groups("conflicts_with"),
        groups("exactly_one_of"),
        groups("at_least_one_of"),
        groups("required_with"),
    )


def _without_indexes(path: str) -> str:
    return ".".join(step for step in path.split(".") if not step.isdigit())


def listed(names: list[str]) -> str:
    """Names for a message: the first six."""
    shown = ", ".join(f"`{name}`" for name in names[:6])
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "") if names else "none to set"
