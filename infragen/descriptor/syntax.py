"""The parser's objections in our words."""

import re

from msgspec import Struct

from infragen.descriptor.rules import Says

_QUOTE = "put the text in quotation marks"
_SYNTAX: tuple[tuple[str, bool, str, str, str], ...] = (
    # the parser's problem, whether the place that began it says more, message, label, help
    (
        r"found character '\\t'",
        False,
        "a tab stands where only spaces may",
        "this is a tab",
        "indent with spaces, two for each level",
    ),
    (r"found character '%'", False, "`%` cannot begin a value", "reserved in YAML", _QUOTE),
    (r"found character '(.)'", False, "`{0}` cannot begin a value", "reserved in YAML", _QUOTE),
    (
        r"mapping values are not allowed",
        False,
        "a `:` stands where no key can be",
        "unexpected `:`",
        "align the key with its neighbours, give the line above its `:`, or put a text that holds `: ` in quotation marks",
    ),
    (r"could not find expected ':'", True, "a key has no `:`", "no `:` after this", "write `key: value`"),
    (
        r"unexpected end of stream",
        True,
        "a quotation mark is not closed",
        "opened here",
        "close it on the same line",
    ),
    (
        r"unexpected document separator",
        True,
        "a quotation mark is not closed",
        "opened here",
        "close it on the same line",
    ),
    (
        r"expected ',' or '([\]}])'",
        True,
        "a bracket is not closed, or a `,` is missing",
        "opened here",
        "separate with `,` and close with `{0}`",
    ),
    (
        r"expected <block end>, but found '?-",
        False,
        "a list item stands between keys",
        "unexpected `-`",
        "indent the list below its key",
    ),
    (
        r"expected <block end>",
        False,
        "the line does not fit its neighbours",
        "unexpected here",
        "align keys of one section in the same column, and quote a text that begins with a quotation mark or bracket",
    ),
    (
        r"sequence entries are not allowed",
        False,
        "a list item stands where a value is expected",
        "unexpected `-`",
        "begin the list on the line below its key, or put the text in quotation marks",
    ),
    (r"mapping keys are not allowed", False, "a `?` stands where no key can be", "unexpected `?`", _QUOTE),
    (
        r"unknown escape character",
        False,
        "the escape is unknown in a text with double quotation marks",
        "unknown escape",
        r"double the backslash (`\\`), or use single quotation marks",
    ),
    (
        r"hexadecimal numbers|number out of range|escape",
        False,
        "the number does not fit its place",
        "invalid number",
        r"write `\x41`, `\u0041` or `\U00000041` with as many digits; `%YAML` takes 1.2",
    ),
    (
        r"alphabetic or numeric character",
        False,
        "`&` and `*` begin the name of an anchor",
        "no name follows",
        "put the text in quotation marks, for example `'*'`",
    ),
    (
        r"chomping or indentation|a comment or a line break|indentation indicator",
        False,
        "text follows `|` or `>` on the same line",
        "unexpected here",
        "begin the text on the next line, or put it in quotation marks",
    ),
    (
        r"expected the node content",
        False,
        "a value is missing or begins with a reserved character",
        "unexpected here",
        _QUOTE,
    ),
    (
        r"expected '<document start>'",
        False,
        "text follows the end of the descriptor",
        "unexpected here",
        "remove it, or indent it as part of the value above",
    ),
    (r"YAML directive|YAML document|directive", False, "the `%` line is invalid", "invalid directive", "remove it"),
    (r"tag|URI", False, "a tag is not allowed", "unexpected `!`", _QUOTE),
)


class Problem(Struct, frozen=True):
    """What the parser says: its text, the offset it stopped at, and the offset of what it was reading then."""

    text: str
    at: int
    begun_at: int | None = None


def explain(problem: Problem, content: str) -> tuple[int, Says]:
    """The offset to show, and the words to show there."""
    for pattern, prefer_begin, message, label, help in _SYNTAX:
        match = re.search(pattern, problem.text)
        if match:
            at = problem.begun_at if prefer_begin and problem.begun_at is not None else problem.at
            groups = [group or "" for group in match.groups()]
            return at, Says(message.format(*groups), label, help.format(*groups))
    stray = content[problem.at : problem.at + 1].strip()
    return problem.at, Says("the YAML does not parse", f"unexpected `{stray}`" if stray else "unexpected here", _QUOTE)
