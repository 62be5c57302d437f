"""Values as HCL text: the one place that quotes.

Takes Python values and expressions. Gives HCL that Terraform reads back as exactly that value. Promises: text can only
become an expression through `Expression`, and those are made from addresses, never from what a user wrote.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from msgspec import Struct

LINE_WIDTH = 100  # characters; a longer list is written one item per line
NAMED_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029]|[$%](?=\{)')
_CLOSED = re.compile(r"\{[^{}]*\}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Expression(Struct, frozen=True):
    """A piece of HCL that stands as it is, for example a reference to another resource."""

    text: str

    def __str__(self) -> str:
        return self.text


Value = str | int | float | bool | Expression | Sequence[Any] | Set[Any] | Mapping[str, Any]


def escape(text: str) -> str:
    r"""``text`` as it stands between the quotes of an HCL string: no interpolation, no directive, no control character.

    Raises ValueError for a lone surrogate, which no encoding can carry.

    >>> print(escape('say "${x}"'))
    say \"$${x}\"
    """
    text.encode()
    return _ESCAPED.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found not in "$%":
        return NAMED_ESCAPES.get(found) or f"\\u{ord(found):04x}"
    # Doubling takes the meaning from `${`, and people know it. Where no `}` closes it, python-hcl2, which checkers are
    # built on, loses its way; a code point is read the same by all.
    is_closed = _CLOSED.match(match.string, match.end())
    return found * 2 if is_closed else f"\\u{ord(found):04x}"


def literal(value: Value) -> str:
    r"""``value`` as an HCL expression: string, number, bool, list or object. None has none: leave it out.

    Raises TypeError for anything else, ValueError for a number that is not finite.

    >>> literal({"a": [1, 0.5, True], "b c": Expression("var.x")})
    '{\n  a = [1, 0.5, true]\n  "b c" = var.x\n}'
    """
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"no HCL literal for {type(value).__name__}")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number that HCL can write")
    return f"{value:.10g}" if abs(value) < 1e10 else f"{value:.0f}"


def _list(items: Sequence[Value]) -> str:
    texts = [literal(item) for item in items]
    line = f"[{', '.join(texts)}]"
    if len(line) <= LINE_WIDTH and "\n" not in line:
        return line
    return "[\n" + "".join(f"  {text},\n" for text in texts) + "]"


def _object(items: Mapping[str, Value]) -> str:
    if not items:
        return "{}"
    lines = (f"  {key(name)} = {literal(value)}\n" for name, value in items.items())
    return "{\n" + "".join(lines) + "}"


# The first kind that fits writes; a bool is an int, and a text is a sequence.
_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (Expression, lambda value: value.text),
    (bool, lambda value: "true" if value else "false"),
    (str, lambda value: f'"{escape(value)}"'),
    (int, str),
    (float, _number),
    (Mapping, _object),
    (Set, lambda value: _list(sorted(value, key=str))),
    ((tuple, list), _list),
)


def key(name: str) -> str:
    """The name of an object's attribute, quoted where it is no identifier.

    >>> key("team"), key("a.b")
    ('team', '"a.b"')
    """
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def join(*parts: str | Expression) -> Expression:
    """One string out of fixed text and expressions; the fixed text stays literal.

    >>> str(join("projects/", Expression("var.project_id"), "/global/images/", "a${b}"))
    '"projects/${var.project_id}/global/images/a$${b}"'
    """
    return Expression('"' + "".join(_part(part) for part in parts) + '"')


def _part(part: str | Expression) -> str:
    if isinstance(part, str):
        return escape(part)
    inner = part.text
    if inner.startswith('"') and inner.endswith('"'):  # itself made by `join`
        return inner[1:-1]
    return "${" + inner + "}"


def call(function: str, *arguments: Value) -> Expression:
    """A function call.

    >>> str(call("file", "a.sh"))
    'file("a.sh")'
    """
    return Expression(f"{function}({', '.join(literal(argument) for argument in arguments)})")
