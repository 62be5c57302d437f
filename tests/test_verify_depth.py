"""Nesting that no person writes is an error with a place, and never a traceback."""

import pytest

from infragen import verify
from infragen.diagnostics import Diagnostics
from infragen.fileset import FileSet

DEEP = 5000


@pytest.mark.parametrize(
    "text",
    [
        "locals {\n  a = " + "[" * DEEP + "1" + "]" * DEEP + "\n}\n",
        "locals {\n  a = " + "(" * DEEP + "1" + ")" * DEEP + "\n}\n",
        "a {\n" * DEEP + "}\n" * DEEP,
    ],
    ids=["lists", "parentheses", "blocks"],
)
def test_nested_too_deeply(text):
    found = Diagnostics()
    verify.run(FileSet({"main.tf": text}), found, lambda _: False)
    [one] = found
    assert (one.code, one.message) == ("V001", "nested too deeply")
    assert one.span.line == (101 if text.startswith("a {") else 2)
