"""What pydantic refused, as findings of the rules in ``fields`` at the user's own lines: one per mistake."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from infragen.descriptor import fields, tree
from infragen.descriptor.fields import Form, shown
from infragen.descriptor.rules import nearest
from infragen.descriptor.schema import Schema, field_schema, sections
from infragen.diagnostics import Diagnostic, Span

Path = tuple[str | int, ...]

_FACTORS = {"k": "e3", "K": "e3", "M": "e6", "B": "e9", "G": "e9", "T": "e12"}


class _Mistake(Struct, frozen=True):
    """One of pydantic's errors, brought back to what the user wrote."""

    type: str
    path: Path  # of the value, or of the section that lacks or should not have ``key``
    key: str | None
    context: Mapping[str, Any]


def diagnose(error: ValidationError, root: tree.Mapping) -> Iterator[Diagnostic]:
    """The findings for what pydantic refused in ``root``: one per mistake, in no particular order."""
    mistakes = [_located(one["type"], one["loc"], one.get("ctx", {}), root) for one in error.errors(include_url=False)]
    seen: set[tuple[Path, str | None]] = set()
    for mistake in mistakes:
        place = (mistake.path, mistake.key)
        # A union reports each of its branches: the deepest place is the mistake, and once is enough.
        if place in seen or (mistake.key is None and any(_is_below(other.path, mistake.path) for other in mistakes)):
            continue
        seen.add(place)
        if mistake.type == "missing" and _is_misspelt(mistake, mistakes):
            continue
        yield _diagnostic(mistake, root)


def _located(type: str, loc: tuple[int | str, ...], context: Mapping[str, Any], root: tree.Mapping) -> _Mistake:
    """Pydantic's location without what was not written: names of union branches, and the key that is missing."""
    node: tree.Node = root
    path: Path = ()
    for part in loc[:-1] if type == "missing" else loc:  # a key that is written with nothing behind it is missing too
        if isinstance(node, tree.Mapping) and part in node.entries:
            node, path = node.entries[str(part)].node, (*path, part)
        elif isinstance(node, tree.Sequence) and isinstance(part, int):
            node, path = node.items[part], (*path, part)
    if type == "missing":
        return _Mistake(type, path, str(loc[-1]), context)
    if type == "extra_forbidden" or loc[-1:] == ("[key]",):
        return _Mistake(type, path[:-1], str(path[-1]), context)
    return _Mistake(type, path, None, context)


def _is_below(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _is_misspelt(missing: _Mistake, mistakes: list[_Mistake]) -> bool:
    """Whether an unknown key of the same section is the missing one, spelt wrongly: then that is the one mistake."""
    keys = sections().get(_dotted(missing.path), ())
    unknown = [one.key for one in mistakes if one.type == "extra_forbidden" and one.path == missing.path]
    return any(nearest(key or "", keys) == missing.key for key in unknown)


def _diagnostic(mistake: _Mistake, root: tree.Mapping) -> Diagnostic:  # noqa: PLR0911, PLR0912 (a table of cases)
    path, context = mistake.path, mistake.context
    if mistake.key is not None:
        return _about_key(mistake, mistake.key, root)
    node, span, schema, name = _node(root, path), tree.where(root, path), field_schema(path), _name(path)
    text = node.text if isinstance(node, tree.Scalar) else ""
    match mistake.type:
        case "literal_error":
            if isinstance(node, tree.Scalar) and text:
                return fields.not_a_choice(span, name, text, schema.get("enum") or [schema.get("const")])
            return _wrong_type(span, path, node)
        case "missing-unit":
            return fields.missing_unit(span, name, "a number without a unit", context["help"])
        case "unknown-unit":
            return fields.unknown_unit(span, name, context["message"], context["help"])
        case "wrong-kind":
            return fields.wrong_kind_of_unit(span, name, context["message"], context["help"])
        case "not-a-quantity":
            return fields.not_a_quantity(span, name, context["message"], context["help"])
        case "out-of-range":
            return fields.out_of_range(span, name, text, context["message"], context["help"])
        case "not-a-time":
            return fields.not_a_time(span, name, context.get("problem", "wanted a date with a time of day"))
        case "no-offset":
            return fields.time_without_offset(span, name, text)
        case "string_pattern_mismatch" | "string_too_long":
            form = fields.FORMS.get(schema.get("pattern", ""), Form("another form", "..."))
            return fields.wrong_form(span, name, text, form, schema.get("maxLength"))
        case "too_short" | "string_too_short":
            return fields.wrong_length(span, name, is_list=mistake.type == "too_short")
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" | "finite_number":
            return fields.out_of_range(span, name, text, _bounds(schema), _in_range(node, schema))
        case type if type.endswith(("_type", "_parsing", "from_float")):
            return _wrong_type(span, path, node)
        case _:
            return fields.wrong_value(span, name, _wanted(schema))


def _wrong_type(span: Span, path: Path, node: tree.Node) -> Diagnostic:
    schema = field_schema(path)
    help = _retyped(node, schema, sections().get(_dotted(path), ()))
    return fields.wrong_type(span, _name(path), _found(node), _wanted(schema), help)


def _about_key(mistake: _Mistake, key: str, root: tree.Mapping) -> Diagnostic:
    section = _dotted(mistake.path)
    if mistake.type == "missing":
        path = (*mistake.path, key)
        return fields.missing_key(tree.where(root, path), key, section, field_schema(path))
    node = _node(root, mistake.path)
    span: Span | None = node.entries[key].key if isinstance(node, tree.Mapping) else None
    if mistake.type == "extra_forbidden":
        return fields.unknown_key(span, key, section)
    pattern = next(iter(field_schema(mistake.path).get("patternProperties", ())), "")
    return fields.wrong_form(
        span, f"the key `{shown(key)}`", key, fields.FORMS.get(pattern, Form("another form", "...")), None
    )


def _node(root: tree.Mapping, path: Path) -> tree.Node:
    node: tree.Node = root
    for part in path:
        if isinstance(node, tree.Mapping):
            node = node.entries[str(part)].node
        elif isinstance(node, tree.Sequence):
            node = node.items[int(part)]
    return node


def _dotted(path: Path) -> str:
    return ".".join(part for part in path if isinstance(part, str))


def _name(path: Path) -> str:
    if path and isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of `{path[-2]}`"
    return f"`{shown(str(path[-1]))}`" if path else "the descriptor"


def _found(node: tree.Node) -> str:
    match node:
        case tree.Mapping():
            return "keys with values"
        case tree.Sequence():
            return "a list"
        case tree.Scalar(value=None):
            return "nothing"
        case tree.Scalar(value=bool()):
            return f"the truth value `{node.text}`"
        case tree.Scalar(value=str()):
            return f"the text `{shown(node.text)}`"
        case _:
            return f"the number `{shown(node.text)}`"


_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "keys with values",
}


def _types(schema: Schema) -> list[str]:
    return [one["type"] for one in (schema, *schema.get("anyOf", ())) if "type" in one]


def _wanted(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return "one of its values"
    return " or ".join(_TYPES.get(type, type) for type in _types(schema)) or "another value"


def _retyped(node: tree.Node, schema: Schema, keys: tuple[str, ...]) -> str:  # noqa: PLR0911 (a table of cases)
    """How to write the value so that it has the wanted type, as far as that can be seen from what was written."""
    types = _types(schema)
    text = node.text if isinstance(node, tree.Scalar) else ""
    if "enum" in schema:
        return "choose one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "boolean" in types and text.lower() in ("yes", "on", "y", "true"):
        return "write `true`"
    if "boolean" in types and text.lower() in ("no", "off", "n", "false"):
        return "write `false`"
    if {"integer", "number"} & set(types) and text:
        return _renumbered(text, "integer" in types, isinstance(node, tree.Scalar) and isinstance(node.value, str))
    if "string" in types and text:
        return f'put it in quotation marks: `"{shown(text)}"`'
    if "array" in types and text and "properties" not in field_item(schema):
        return f"write a list: `[{shown(text)}]`"
    if "array" in types:
        return "begin each entry with `- ` on a line of its own"
    if keys:
        return "its keys are " + ", ".join(f"`{key}`" for key in keys)
    if "object" in types:
        return "write `KEY: value`, each on a line of its own"
    meaning = f": {schema['description']}" if "description" in schema else ", or leave it out"
    return f"write {_wanted(schema)}{meaning}"


def field_item(schema: Schema) -> Schema:
    """The schema of the entries of a list, references followed."""
    items: Schema = schema.get("items", {})
    return {"properties": {}} if "$ref" in items else items


def _renumbered(text: str, is_whole: bool, is_quoted: bool) -> str:
    digits = re.sub(r"(?<=\d)[_,' ](?=\d{3})", "", text.strip())
    scaled = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMBGT])", digits)
    if scaled:
        return f"write `{scaled[1]}{_FACTORS[scaled[2]]}`"
    number = tree.resolve(digits)
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        if is_whole and math.isfinite(number) and number != number // 1:
            return f"write a whole number, like `{round(number)}`"
        if digits != text:
            return f"write `{digits}`"
        if is_quoted:
            return "write it without quotation marks"
    return "write a whole number, like `8` or `4e6`" if is_whole else "write a number, like `0.5` or `70.6e9`"


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = []
    if low is not None:
        bounds.append(f"{'at least' if 'minimum' in schema else 'greater than'} {_grouped(low)}")
    if high is not None:
        bounds.append(f"{'at most' if 'maximum' in schema else 'less than'} {_grouped(high)}")
    return " and ".join(bounds) or "a finite number"


def _grouped(number: float) -> str:
    return f"{number:,.0f}" if number == number // 1 and number < 1e12 else f"{number:g}".replace("e+", "e")


def _in_range(node: tree.Node, schema: Schema) -> str:
    number = node.value if isinstance(node, tree.Scalar) and isinstance(node.value, (int, float)) else 0
    high = schema.get("maximum")
    if high == 1 and 1 < number <= 100:
        return f"write `{number / 100:g}` for {number:g} %"
    description = schema.get("description")
    return f"it means: {description}" if description else ""
