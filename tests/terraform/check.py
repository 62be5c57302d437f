"""The limits that the table holds and Terraform's core does not know: what the provider refuses while validating.

Takes arguments and a configuration. Gives objections. Promises silence about whatever is not known yet.
"""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.terraform.plan import Path
from tests.terraform.table import Argument, Arguments
from tests.terraform.values import Block, Value, is_absent, is_unknown


@dataclass(frozen=True, slots=True)
class Objection:
    """One refusal: ``path`` leads to the argument, names for attributes and blocks, numbers for list elements."""

    path: Path
    summary: str
    detail: str


def objections(arguments: Arguments, config: Block) -> list[Objection]:
    """Everything that the provider would refuse in this configuration, one objection per mistake."""
    # Every member of a group reports the same mistake in the same words: equal details are one objection.
    return list({one.detail: one for one in _block(arguments, config, (), config)}.values())


def _block(arguments: Arguments, values: Block, path: Path, root: Block) -> Iterator[Objection]:
    for name, argument in arguments.items():
        value, here = values.get(name), (*path, name)
        yield from _relations(argument, value, here, root)
        if value is None or is_unknown(value):
            continue
        if argument.block is not None:
            yield from _elements(argument, value, here, root)
        elif argument.shape in ("list", "set"):
            yield from _items(argument, value, here)
        elif argument.shape != "map":
            yield from _scalar(argument, argument.shape, value, here)


def _elements(argument: Argument, value: Value, here: Path, root: Block) -> Iterator[Objection]:
    inner = argument.block or {}
    if argument.shape == "single":
        yield from _block(inner, value, here, root)
        return
    for index, one in enumerate(value):
        if not is_unknown(one):
            for found in _block(inner, one, (*here, index), root):
                # A set's elements have no address: the objection stands at the set itself.
                yield found if argument.shape == "list" else Objection(here, found.summary, found.detail)


def _items(argument: Argument, value: list[Value], here: Path) -> Iterator[Objection]:
    if argument.max_items and len(value) > argument.max_items:
        yield Objection(here, "too many elements", f"`{dotted(here)}` takes at most {argument.max_items}")
    if len(value) < argument.min_items:
        yield Objection(here, "too few elements", f"`{dotted(here)}` takes at least {argument.min_items}")
    for index, one in enumerate(value):
        if one is not None and not is_unknown(one):
            at = (*here, index) if argument.shape == "list" else here
            yield from _scalar(argument, argument.element, one, at)


def _scalar(argument: Argument, shape: str, value: Value, here: Path) -> Iterator[Objection]:
    shown = "a sensitive value" if argument.sensitive else json.dumps(value)
    if shape == "int" and isinstance(value, float) and not value.is_integer():
        yield Objection(here, "not a whole number", f"`{dotted(here)}` is {shown}")
    for key, limit in argument.checks.items():
        test = _TESTS.get(key)
        if test is not None and not test(value, limit):
            wanted = f"{key.replace('_', ' ')} {json.dumps(limit)}"
            yield Objection(here, f"invalid value of `{argument.name}`", f"`{dotted(here)}` is {shown}, not {wanted}")


def _relations(argument: Argument, value: Value, here: Path, root: Block) -> Iterator[Objection]:
    own = _indexed(here)
    for key, group in argument.checks.items():
        if key in _RELATIONS:
            others = {one: _at(root, one) for one in group if one != own}
            problem, members = _RELATIONS[key](own, {own: value, **others})
            if problem:
                listed = ", ".join(f"`{one}`" for one in sorted(members))
                yield Objection(here, problem, f"{listed}: {problem}")


def dotted(path: Iterable[str | int]) -> str:
    """The path as people write it: ``disk[0].mode``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _indexed(path: Path) -> str:
    """The path as the table writes it: ``disk.0.mode``."""
    return ".".join(map(str, path))


def _at(root: Block, path: str) -> Value:
    """The value at a path of the table, unknown where the way there is unknown, None where there is none."""
    value: Value = root
    for step in path.split("."):
        if value is None or is_unknown(value):
            return value
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step)
    return value


# A relation takes the argument's own path and the value at each path of the group, its own included. It gives what is
# wrong and the paths concerned, the same from every member's point of view. An unknown value may turn out to be null.
_Relation: TypeAlias = Callable[[str, Mapping[str, Value]], tuple[str, list[str]]]
_FINE: tuple[str, list[str]] = ("", [])


def _written(group: Mapping[str, Value]) -> list[str]:
    return [path for path, value in group.items() if not is_absent(value) and not is_unknown(value)]


def _absent(group: Mapping[str, Value]) -> list[str]:
    return [path for path, value in group.items() if is_absent(value)]


def _conflicts(own: str, group: Mapping[str, Value]) -> tuple[str, list[str]]:
    written = _written(group)
    return ("only one of these may be given", written) if own in written and len(written) > 1 else _FINE


def _exactly_one(own: str, group: Mapping[str, Value]) -> tuple[str, list[str]]:
    written = _written(group)
    return ("only one of these may be given", written) if len(written) > 1 else _at_least_one(own, group)


def _at_least_one(own: str, group: Mapping[str, Value]) -> tuple[str, list[str]]:
    return ("one of these must be given", list(group)) if len(_absent(group)) == len(group) else _FINE


def _required_with(own: str, group: Mapping[str, Value]) -> tuple[str, list[str]]:
    absent = _absent(group)
    return ("these must be given together", [own, *absent]) if absent and own not in absent else _FINE


_RELATIONS: Mapping[str, _Relation] = {
    "conflicts_with": _conflicts,
    "exactly_one_of": _exactly_one,
    "at_least_one_of": _at_least_one,
    "required_with": _required_with,
}


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_range(value: str) -> bool:
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return "/" in value


def _is_duration(value: str) -> bool:
    """Whether Go's time.ParseDuration takes it."""
    return re.fullmatch(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)", value) is not None


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "json": _is_json,
    "base64": _is_base64,
    "ip": _is_address,
    "cidr": _is_range,
    "duration": _is_duration,
}

_TESTS: Mapping[str, Callable[[Value, Any], bool]] = {
    "enum": lambda value, allowed: value in allowed,
    "range": lambda value, ends: ends[0] <= value <= ends[1],
    "at_least": lambda value, least: value >= float(least),
    "at_most": lambda value, most: value <= float(most),
    "length": lambda value, ends: ends[0] <= len(value) <= ends[1],
    "max_length": lambda value, most: len(value) <= int(most),
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
    "format": lambda value, name: _FORMATS[name](value),
}
