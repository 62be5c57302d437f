"""One value against what the provider and the API say about its argument.

Only what is written out can be judged: a reference or a call may turn out right, and is let pass.
"""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from infragen.diagnostics import Diagnostic, Span, declare
from infragen.verify.model import (
    Conditional,
    Expr,
    File,
    ForExpr,
    ListExpr,
    Literal,
    ObjectExpr,
    Operation,
    Scalar,
    Template,
)

PROVIDER_SOURCE = "schema of the google and google-beta providers 7.45.0, read from the running providers on 2026-11-21"
API_SOURCE = "discovery documents of Google's APIs, google-api-python-client 2.202.0, read on 2026-11-21"

WRONG_TYPE = declare(
    "V007",
    "wrong-type",
    """A value has a type that its argument takes, or one that Terraform converts to it.

    Why: Terraform turns "10" into 10 and true into "true", and refuses everything else.
    Example: `size = "large"` where a number is meant; `labels = ["a"]` where a map is.
    """,
    PROVIDER_SOURCE,
)
NOT_A_CHOICE = declare(
    "V009",
    "value-not-a-choice",
    """A value is one of those that the provider knows for its argument.

    Why: the provider refuses any other value when it plans.
    Example: `nic_type = "GVNICS"`.
    """,
    PROVIDER_SOURCE,
)
OUT_OF_RANGE = declare(
    "V010",
    "value-out-of-range",
    """A number lies within the limits of its argument, and a text has a length that it takes.

    Why: the provider refuses the value when it plans.
    Example: `initial_delay_sec = 7200` where 3600 is the most.
    """,
    PROVIDER_SOURCE,
)
MALFORMED = declare(
    "V011",
    "malformed-value",
    """A text has the form that its argument asks for.

    Why: the provider or the API refuses a name, address, duration or document of another form.
    Example: `ip_cidr_range = "10.0.0.0"` lacks the length of its prefix.
    """,
    PROVIDER_SOURCE,
)
UNKNOWN_TO_API = declare(
    "V017",
    "value-unknown-to-api",
    """A value is one of those that Google's API knows, also where the provider does not look.

    Why: the plan succeeds and the apply fails, with half of the stack created.
    Example: `provisioning_model = "SPOTTY"`.
    """,
    API_SOURCE,
)

_TYPE_NAMES = {
    "string": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "a bool",
    "list": "a list",
    "set": "a list",
    "map": "a map",
}
_GO_DURATION = re.compile(r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|[-+]?0")
_GOOGLE_DURATION = re.compile(r"-?\d+(?:\.\d{1,9})?s")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Context(NamedTuple):
    """Whose value it is: the file it stands in, the argument's name and schema, the API's row, and the provider."""

    file: File
    name: str
    spec: dict[str, Any]
    api: dict[str, Any] | None
    is_beta: bool

    def span(self, value: Expr) -> Span:
        """The place of the value, or of a part of it."""
        return self.file.span(value.start, value.end)


def check(context: Context, value: Expr) -> Iterator[Diagnostic]:
    """What is wrong with the value of an argument."""
    yield from _typed(context, value, str(context.spec["type"]))


def is_null(value: Expr) -> bool:
    """Whether a value is `null`: for Terraform as if the argument were not there."""
    return isinstance(value, Literal) and value.value is None


def _typed(context: Context, value: Expr, kind: str) -> Iterator[Diagnostic]:
    if isinstance(value, Conditional):
        yield from _typed(context, value.yes, kind)
        yield from _typed(context, value.no, kind)
        return
    shape = _shape(value)
    if shape in {"unknown", "null"}:
        return
    element = context.spec.get("elem") or "string"
    if kind in {"list", "set"} and isinstance(value, ListExpr):
        for item in value.items:
            yield from _typed(context, item, element)
    elif kind == "map" and isinstance(value, ObjectExpr):
        for _, item in value.items:
            yield from _typed(context, item, element if kind != element else "string")
    elif isinstance(value, ForExpr) and kind in ({"list", "set"} if value.key is None else {"map"}):
        yield from _typed(context, value.value, element)
    elif not _converts(value, shape, kind):
        yield WRONG_TYPE.error(
            f"`{context.name}` {_place_in(context, kind)} {_TYPE_NAMES[kind]}, this is {_described(value, shape)}",
            context.span(value),
            help=_type_help(value, shape, kind),
        )
    elif isinstance(value, Literal):
        yield from _literal(context, value, kind)


def _place_in(context: Context, kind: str) -> str:
    return "is" if kind == context.spec["type"] else "holds elements, each"


def _shape(value: Expr) -> str:  # noqa: PLR0911 - one line for each record
    """string, number, bool, null, list, map, or unknown."""
    match value:
        case Literal(value=None):
            return "null"
        case Literal(value=bool()):
            return "bool"
        case Literal(value=str()):
            return "string"
        case Literal():
            return "number"
        case Template(parts=parts):
            return "unknown" if len(parts) == 1 else "text"
        case ListExpr():
            return "list"
        case ObjectExpr():
            return "map"
        case ForExpr(key=key):
            return "list" if key is None else "map"
        case Operation(operator=operator):
            return "sum" if operator in {"+", "-", "*", "/", "%"} else "truth"
        case _:
            return "unknown"


def _converts(value: Expr, shape: str, kind: str) -> bool:
    """Whether Terraform takes a value of this shape for an argument of this kind."""
    literal = value.value if isinstance(value, Literal) else None
    match kind:
        case "string":
            return shape not in {"list", "map"}
        case "int" | "float":
            number = _number(literal)
            return shape in {"sum", "text"} or (number is not None and (kind == "float" or number == int(number)))
        case "bool":
            return shape in {"bool", "truth", "text"} or literal in ("true", "false", "1", "0")
        case _:
            return False


def _number(value: Scalar) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value) if "_" not in str(value) else None
    except ValueError:
        return None


def _described(value: Expr, shape: str) -> str:
    if isinstance(value, Literal) and shape in {"string", "number", "bool"}:
        written = str(value.value).lower() if shape == "bool" else json.dumps(value.value, ensure_ascii=False)
        return f"the {shape} `{written}`"
    return {"list": "a list", "map": "an object", "sum": "a number", "truth": "a bool"}.get(shape, "a string")


def _type_help(value: Expr, shape: str, kind: str) -> str:
    if kind in {"list", "set"} and shape in {"string", "number", "bool"}:
        return "put it in square brackets"
    if kind == "bool":
        return "write `true` or `false`"
    if kind == "map":
        return "write `{ key = value }`"
    if kind == "int" and shape == "number" and isinstance(value, Literal):
        return f"round it to `{round(float(value.value or 0))}`"
    return f"give {_TYPE_NAMES[kind]}"


def _literal(context: Context, literal: Literal, kind: str) -> Iterator[Diagnostic]:
    """Errors of a scalar of the right type: the provider's checks first, then what only the API knows."""
    spec = context.spec
    value = literal.value
    text = str(value).lower() if isinstance(value, bool) else str(value)
    provider_enum = spec.get("enum")
    if provider_enum is not None:
        choices = [*provider_enum, *(spec.get("beta_enum", ()) if context.is_beta else ())]
        if not _is_choice(text, choices, ignore_case=bool((context.api or {}).get("case_insensitive"))):
            yield NOT_A_CHOICE.error(
                f'`{context.name}` cannot be "{text}"',
                context.span(literal),
                label="not a value it knows",
                help=one_of(text, choices),
            )
        return
    if kind in {"int", "float"}:
        yield from _bounds(context, float(text), literal)
        return
    length = len(text)
    low, high = spec.get("length", (0, int(spec.get("max_length", length))))
    if not low <= length <= high:
        limits = f"{low} to {high}" if low else f"at most {high}"
        yield OUT_OF_RANGE.error(
            f"`{context.name}` has {length} characters, it takes {limits}",
            context.span(literal),
            help=f"use {limits} characters",
        )
    pattern = spec.get("pattern")
    if pattern is not None and not re2(pattern).search(text):
        yield MALFORMED.error(
            f'`{context.name}` cannot be "{text}"',
            context.span(literal),
            help=f"it must match the expression `{pattern}`",
        )
    form = spec.get("format")
    if form is not None and not _FORMATS[form][0](text):
        yield MALFORMED.error(
            f"`{context.name}` is not {_FORMATS[form][1]}", context.span(literal), help=f"write {_FORMATS[form][2]}"
        )
    if context.api is not None:
        yield from _api(context, context.api, text, literal)


def _bounds(context: Context, number: float, literal: Literal) -> Iterator[Diagnostic]:
    spec = context.spec
    low, high = spec.get("range", (spec.get("at_least"), spec.get("at_most")))
    if (low is not None and number < low) or (high is not None and number > high):
        limits = f"{low} to {high}" if low is not None and high is not None else None
        limits = limits or (f"at least {low}" if low is not None else f"at most {high}")
        yield OUT_OF_RANGE.error(
            f"`{context.name}` is {number:g}, it takes {limits}",
            context.span(literal),
            help=f"use {low if low is not None and number < low else high}, or another value in the limits",
        )


def _is_choice(text: str, choices: list[str], *, ignore_case: bool) -> bool:
    if ignore_case:
        return text.upper() in {choice.upper() for choice in choices}
    return text in choices


def one_of(text: str, choices: list[str]) -> str:
    """Advice for a value that is not among ``choices``."""
    alike = next((choice for choice in choices if choice and choice.upper() == text.upper()), None)
    if alike is None and text:
        import difflib  # noqa: PLC0415 - only where something is wrong, and it costs a millisecond

        alike = next(iter(difflib.get_close_matches(text.upper(), [one for one in choices if one], 1, 0.7)), None)
    shown = ", ".join(f"`{choice}`" for choice in choices[:12] if choice)
    rest = f" and {len(choices) - 12} more" if len(choices) > 12 else ""
    return f"did you mean `{alike}`?" if alike else f"use one of {shown}{rest}"


def _api(context: Context, row: dict[str, Any], text: str, literal: Literal) -> Iterator[Diagnostic]:
    if not text:
        return  # an empty text is not sent
    if "values" in row:
        yield from _api_value(context, row, text, literal)
        return
    if row["provider_checks"]:
        return  # the schema above holds that check, or the provider makes one of its own
    pattern = row.get("pattern")
    if pattern is not None and not re2(pattern).fullmatch(text):
        yield MALFORMED.error(
            f'`{context.name}` cannot be "{text}"',
            context.span(literal),
            help=f"the API takes what matches `{pattern}`",
        )
    form = row.get("format")
    accepts = _API_FORMATS.get(form or "")
    if accepts is None or row.get("provider_converts") or accepts[0](text):
        return
    if text in row.get("also_seen", ()):
        return
    yield MALFORMED.error(f"`{context.name}` is not {accepts[1]}", context.span(literal), help=f"write {accepts[2]}")


def _api_value(context: Context, row: dict[str, Any], text: str, literal: Literal) -> Iterator[Diagnostic]:
    """A value against the API's enumeration."""
    values = list(row.get("beta_values", row["values"]) if context.is_beta else row["values"])
    values += [one for one in row.get("provider_values", ()) if one not in values]
    if context.is_beta:
        values += [one for one in row.get("provider_beta_values", ()) if one not in values]
    if row["provider_checks"] and "provider_values" in row:
        values = [*row["provider_values"], *(row.get("provider_beta_values", ()) if context.is_beta else ())]
    ignore_case = bool(row.get("case_insensitive"))
    if _is_choice(text, row.get("deprecated", []), ignore_case=ignore_case):
        yield UNKNOWN_TO_API.warning(
            f'`{context.name} = "{text}"` is deprecated in the API',
            context.span(literal),
            help=one_of("", [one for one in values if one not in row["deprecated"]]),
        )
    elif _is_choice(text, values, ignore_case=ignore_case):
        return
    elif text in row.get("not_sent", ()):
        yield UNKNOWN_TO_API.warning(
            f'`{context.name} = "{text}"` says the same as leaving it out',
            context.span(literal),
            help="remove the argument",
        )
    elif text in row.get("also_seen", ()):
        yield UNKNOWN_TO_API.warning(
            f'`{context.name} = "{text}"` is used by the provider, but the API does not describe it',
            context.span(literal),
            help=f"prefer what the API describes: {one_of('', values)}",
        )
    else:
        yield UNKNOWN_TO_API.error(
            f'`{context.name}` cannot be "{text}"',
            context.span(literal),
            label="the API knows no such value",
            help=one_of(text, values),
        )


@cache
def re2(pattern: str) -> re.Pattern[str]:
    r"""A pattern of Go's RE2 as Python reads it: `$` and `\z` are the end of the text, classes are ASCII.

    >>> bool(re2("^a[$]?$").search("a\n"))
    False
    """
    pieces: list[str] = []
    in_class = False
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            pair = pattern[position : position + 2]
            pieces.append(r"\Z" if pair == r"\z" and not in_class else pair)
            position += 2
            continue
        if character == "[" and not in_class:
            in_class = True
        elif character == "]" and in_class and pattern[position - 1] not in "[^":
            in_class = False
        pieces.append(r"\Z" if character == "$" and not in_class else character)
        position += 1
    return re.compile("".join(pieces), re.ASCII)


def _parses(parse: Callable[[str], object], *errors: type[Exception]) -> Callable[[str], bool]:
    """Whether a parser takes a text."""

    def accepts(text: str) -> bool:
        try:
            parse(text)
        except errors:
            return False
        return True

    return accepts


_is_base64 = _parses(lambda text: base64.b64decode(text, validate=True), binascii.Error, ValueError)
_is_cidr = _parses(ipaddress.ip_interface, ValueError)

_Format = tuple[Callable[[str], object], str, str]
_FORMATS: dict[str, _Format] = {
    "json": (_parses(json.loads, ValueError), "JSON", "a JSON document, best with `jsonencode`"),
    "duration": (_GO_DURATION.fullmatch, "a duration", 'it like `"10m"` or `"1h30m"`'),
    "base64": (_is_base64, "base64", "base64, best with `base64encode`"),
    "cidr": (lambda text: "/" in text and _is_cidr(text), "an address range", 'it like `"10.0.0.0/24"`'),
    "ip": (_parses(ipaddress.ip_address, ValueError), "an IP address", 'it like `"10.0.0.2"`'),
}
_API_FORMATS: dict[str, _Format] = {
    "int64": (re.compile(r"-?\d+").fullmatch, "a whole number", 'digits, like `"3600"`'),
    "int32": (re.compile(r"-?\d+").fullmatch, "a whole number", 'digits, like `"3600"`'),
    "google-duration": (_GOOGLE_DURATION.fullmatch, "a duration in seconds", 'it like `"3600s"`'),
    "google-datetime": (_DATETIME.fullmatch, "a date and time", 'it like `"2027-01-11T08:00:00Z"`'),
    "date-time": (_DATETIME.fullmatch, "a date and time", 'it like `"2027-01-11T08:00:00Z"`'),
    "date": (_DATE.fullmatch, "a date", 'it like `"2027-01-11"`'),
    "byte": (_is_base64, "base64", "base64, best with `base64encode`"),
}
