"""The JSON Schema of the descriptor, for editors and for messages about single fields."""

from functools import cache
from typing import Any

from infragen.descriptor.model import Workload

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:infragen:descriptor:1"


def json_schema() -> Schema:
    """The schema of descriptor version 1 (draft 2020-12): what an editor completes, explains and underlines.

    Quantities are texts with a unit. It is stricter than the compiler in one way: a key with nothing behind it, which
    the compiler reads as left out, is underlined. Fields against each other are checked by the compiler alone.
    """
    made = _cleaned(Workload.model_json_schema(), is_schema=True)
    order = {
        "$schema": DIALECT,
        "$id": ID,
        "title": "infragen descriptor",
        "description": "An AI workload, to be compiled into Terraform. Left out means decided and explained.",
    }
    return order | {key: value for key, value in made.items() if key not in order}


def _cleaned(schema: Schema, is_schema: bool) -> Schema:
    """Without what pydantic adds for Python: made-up titles, `null` alternatives and `null` defaults.

    ``is_schema`` is False for a mapping of names to schemas, whose keys are not keywords.
    """
    if not is_schema:
        return {name: _cleaned(inner, is_schema=True) for name, inner in schema.items()}
    cleaned: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and value in (None, {}, [])):
            continue
        if key in ("properties", "$defs", "patternProperties"):
            cleaned[key] = _cleaned(value, is_schema=False)
        elif isinstance(value, dict) and key in ("items", "additionalProperties"):
            cleaned[key] = _cleaned(value, is_schema=True)
        elif key == "anyOf":
            cleaned |= _alternatives([_cleaned(one, is_schema=True) for one in value if one != {"type": "null"}])
        else:
            cleaned[key] = value
    if "patternProperties" in cleaned:
        cleaned["additionalProperties"] = False
    return cleaned


def _alternatives(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


@cache
def _schema() -> Schema:
    """One shared copy, made when the first message needs it."""
    return json_schema()


def field_schema(path: tuple[str | int, ...]) -> Schema:
    """The schema of the field at ``path``, references followed; empty for a path that the format does not have.

    >>> field_schema(("storage", 0, "purpose"))["enum"][:2]
    ['weights', 'dataset']
    """
    found = _schema()
    for part in path:
        if isinstance(part, int):
            found = next((one["items"] for one in (found, *found.get("anyOf", ())) if "items" in one), {})
        else:
            free: Schema = next(iter(found.get("patternProperties", {}).values()), {})
            found = found.get("properties", {}).get(part, free)
        if "$ref" in found:
            found = {**_schema()["$defs"][found["$ref"].rpartition("/")[2]], **found}
    return found


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Dotted path of each section -> its keys; the root is the empty path. Items of a list count as its section.

    >>> sections()["group.heal"]
    ('initial_delay',)
    """
    found: dict[str, tuple[str, ...]] = {}

    def visit(path: tuple[str, ...], steps: tuple[str | int, ...]) -> None:
        keys = tuple(field_schema(steps).get("properties", ()))
        if keys:
            found[".".join(path)] = keys
        for key in keys:
            visit((*path, key), (*steps, key))
            if "items" in field_schema((*steps, key)):
                visit((*path, key), (*steps, key, 0))

    visit((), ())
    return found
