"""The schema table as typed records, one entry at a time, as one of the two providers sees it.

Takes a provider, a kind and a name. Gives the entry without what that provider lacks. Promises to read only that entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from infragen.facts import provider_schema

Provider = Literal["google", "google-beta"]
Shape = Literal["bool", "int", "float", "string", "list", "set", "map", "single"]

_BETA: Provider = "google-beta"
_CHECKS = (
    *("enum", "range", "at_least", "at_most", "length", "max_length", "pattern", "format"),
    *("conflicts_with", "exactly_one_of", "at_least_one_of", "required_with"),
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument or block of an entry.

    ``shape`` is the table's type, and ``single`` for the one block that is not a list (``timeouts``); ``element`` is
    the type of what a list, set or map holds when that is no object. ``checks`` holds limits by the table's names.
    """

    name: str
    shape: Shape
    element: str = "string"
    block: "Mapping[str, Argument] | None" = None
    is_attribute: bool = True  # False: written as a block in HCL
    required: bool = False
    optional: bool = False
    computed: bool = False
    force_new: bool = False
    sensitive: bool = False
    write_only: bool = False
    deprecated: bool = False
    default: Any = None
    min_items: int = 0
    max_items: int = 0  # 0: no limit
    checks: Mapping[str, Any] = field(default_factory=dict)


Arguments = Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource, a data source or the provider block."""

    arguments: Arguments
    version: int = 0


@cache
def entry(provider: Provider, kind: provider_schema.Kind, name: str) -> Entry | None:
    """The entry as ``provider`` has it, or None where it has none of that name.

    >>> entry("google", "resource", "google_compute_future_reservation") is None
    True
    >>> entry("google", "resource", "google_compute_disk").arguments["id"].computed
    True
    """
    raw = provider_schema.entry(kind, name)
    if raw is None or not _has(provider, raw):
        return None
    arguments = _arguments(provider, raw["arguments"])
    if kind != "provider":
        arguments.setdefault("id", Argument("id", "string", optional=kind == "resource", computed=True))
    if limits := raw.get("timeouts"):
        inner = {operation: Argument(operation, "string", optional=True) for operation in sorted(limits)}
        arguments["timeouts"] = Argument("timeouts", "single", block=inner, is_attribute=False, optional=True)
    return Entry(arguments, raw.get("schema_version", 0))


def names(provider: Provider, kind: provider_schema.Kind) -> list[str]:
    """Names of all entries of one kind that ``provider`` has, sorted. Reads the whole table for the google provider."""
    every = provider_schema.names(kind)
    return [name for name in every if _has(provider, provider_schema.entry(kind, name) or {})]


def _has(provider: Provider, raw: Mapping[str, Any]) -> bool:
    return provider == _BETA or raw.get("provider") != _BETA


def _arguments(provider: Provider, raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Argument]:
    return {name: _argument(provider, name, one) for name, one in raw.items() if _has(provider, one)}


def _argument(provider: Provider, name: str, raw: Mapping[str, Any]) -> Argument:
    checks = {key: raw[key] for key in _CHECKS if key in raw}
    if provider == _BETA and "beta_enum" in raw:
        checks["enum"] = [*checks.get("enum", ()), *raw["beta_enum"]]
    return Argument(
        name,
        raw["type"],
        element=raw.get("elem", "string"),
        block=_arguments(provider, raw["block"]) if "block" in raw else None,
        is_attribute="block" not in raw or raw.get("as") == "attribute",
        required=raw.get("required", False),
        optional=raw.get("optional", False),
        computed=raw.get("computed", False),
        force_new=raw.get("force_new", False),
        sensitive=raw.get("sensitive", False),
        write_only=raw.get("write_only", False),
        deprecated="deprecated" in raw,
        default=raw.get("default"),
        min_items=raw.get("min_items", 0),
        max_items=raw.get("max_items", 0),
        checks=checks,
    )
