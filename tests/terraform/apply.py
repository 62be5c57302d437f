"""What a resource looks like once it exists: the plan with plausible values where it had none.

Takes a planned value. Gives the new state. Promises the exact identifiers of ``shapes.yaml`` and no unknown values.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.terraform.table import Argument, Arguments
from tests.terraform.values import Block, Value, is_unknown

_PLACES = ("project", "region", "zone", "location")
_GUARDS = {"deletion_policy": "PREVENT", "deletion_protection": True, "deletion_protection_enabled": True}


def applied(type_name: str, arguments: Arguments, planned: Block, settings: Mapping[str, Value], unique: str) -> Block:
    """The state of a resource after ``planned`` was applied.

    ``settings`` is the provider block; ``unique`` ends the names that the provider makes up.
    """
    names = _Names(_known_names(type_name, planned, settings, unique))
    exact: dict[str, str] = {}
    for attribute, template in _templates(type_name):
        exact[attribute] = names[attribute] = template.format_map(names)
    whole = {
        name: exact[name] if is_unknown(planned.get(name)) and name in exact else _filled(one, planned.get(name), names)
        for name, one in arguments.items()
    }
    # A computed attribute that stays null would be unknown again in every later plan of the provider's SDK.
    missing = {name: _made(one, names) for name, one in arguments.items() if one.computed and whole[name] is None}
    return whole | {name: exact.get(name, made) for name, made in missing.items()}


def guard(prior: Block) -> str:
    """The argument that forbids to delete the resource, or ``""``."""
    return next((name for name, value in _GUARDS.items() if prior.get(name) == value), "")


class _Names(dict[str, str]):
    """Words for templates; a word that nothing defines stands for itself."""

    def __missing__(self, key: str) -> str:
        return f"no-{key.replace('_', '-')}"


def _known_names(type_name: str, planned: Block, settings: Mapping[str, Value], unique: str) -> dict[str, str]:
    words = {key: str(value) for key, value in settings.items() if isinstance(value, str)}
    words |= {key: str(value) for key, value in planned.items() if isinstance(value, str | int)}
    words |= {key: words[key].rsplit("/", 1)[-1] for key in _PLACES if key in words}
    place = next((words[key] for key in ("location", "zone", "region") if key in words), "global")
    words = dict.fromkeys(("location", "zone", "region"), place) | words
    if "name" not in words:
        prefix = planned.get("name_prefix")
        words["name"] = (prefix if isinstance(prefix, str) else "made-up-") + unique
    digest = hashlib.sha256(f"{type_name}/{words['name']}".encode()).digest()
    return words | {"type": type_name, "number": str(10**18 + int.from_bytes(digest[:7], "big"))}


def _filled(argument: Argument, value: Value, names: _Names) -> Value:
    """The value with everything unknown inside it made up."""
    if is_unknown(value):
        return _made(argument, names)
    if value is None:
        return None
    if argument.block is None:
        if argument.shape in ("list", "set"):
            element = Argument(argument.name, "string")
            return [_made(element, names) if is_unknown(one) else one for one in value]
        return value
    inner = argument.block
    if argument.shape == "single":
        return {name: _filled(one, value.get(name), names) for name, one in inner.items()}
    return [
        _object(inner, names) if is_unknown(element)
        else {name: _filled(one, element.get(name), names) for name, one in inner.items()}
        for element in value
    ]  # fmt: skip


def _made(argument: Argument, names: _Names) -> Value:
    """A plausible value. Lists and sets get one element, so that references to ``[0]`` hold."""
    if argument.block is not None:
        return [_object(argument.block, names)]
    if argument.shape in ("list", "set"):
        return [_scalar(argument, argument.element, names)]
    return _scalar(argument, argument.shape, names)


def _object(arguments: Arguments, names: _Names) -> Block:
    """An object with defaults, in which everything computed or required is made up, and everything else is absent."""
    rest: Block = {
        name: one.default if one.is_attribute or one.shape == "single" else [] for name, one in arguments.items()
    }
    return rest | {name: _made(one, names) for name, one in arguments.items() if one.computed or one.required}


def _scalar(argument: Argument, shape: str, names: _Names) -> Value:
    least = argument.checks.get("at_least", argument.checks.get("range", (1,)))
    fixed: dict[str, Value] = {
        "bool": False,
        "int": least if isinstance(least, int) else least[0],
        "float": 1.0,
        "map": {},
    }
    if shape in fixed:
        return fixed[shape]
    if allowed := [one for one in argument.checks.get("enum", ()) if one]:
        return allowed[0]
    pairs = _shapes()["strings"]
    template: str = next(text for pattern, text in pairs if re.search(pattern, argument.name))
    own = {"argument": argument.name.replace("_", "-"), "same": names[argument.name]}
    return template.format_map(_Names(names | own))


@cache
def _templates(type_name: str) -> tuple[tuple[str, str], ...]:
    """Attribute and template of everything whose form is known, in the order in which one needs the other."""
    shapes = _shapes()
    exact: dict[str, str] = shapes["exact"].get(type_name, {})
    general = {"id": shapes["compute"].get(type_name, shapes["id"]), "self_link": shapes["self_link"]}
    return tuple((exact | {key: text for key, text in general.items() if key not in exact}).items())


@cache
def _shapes() -> dict[str, Value]:
    shapes: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text(encoding="utf-8"))
    return shapes
