"""Syntax: what Terraform refuses is refused, and what it takes is taken."""

import os
import subprocess
from pathlib import Path

import pytest

from infragen.verify import hcl, layout
from infragen.verify.model import (
    Access,
    Call,
    Conditional,
    Directive,
    Expr,
    ForExpr,
    ListExpr,
    Literal,
    ObjectExpr,
    Operation,
    Reference,
    Template,
)

# One text a line, with line breaks written as \n; on the left what Terraform 1.11.4 makes of it.
VERDICTS = (Path(__file__).parent / "verify" / "syntax.txt").read_text().splitlines()


def texts(verdict: str) -> list[str]:
    lines = [line for line in VERDICTS if line.startswith(verdict + " ")]
    return [line[len(verdict) + 1 :].encode().decode("unicode_escape") for line in lines]


def value(text: str) -> Expr:
    file, errors = hcl.parse("main.tf", f"a = {text}\n")
    assert not errors, errors
    return file.body.attributes["a"].value


@pytest.mark.parametrize("text", texts("good"))
def test_takes_what_terraform_takes(text: str) -> None:
    _, errors = hcl.parse("main.tf", text)
    assert errors == ()


@pytest.mark.parametrize("text", texts("bad"))
def test_refuses_what_terraform_refuses(text: str) -> None:
    _, errors = hcl.parse("main.tf", text)
    assert errors
    assert {one.code for one in errors} <= {layout.SYNTAX.id, layout.TWICE.id}
    assert all(one.span is not None and one.span.line <= text.count("\n") + 1 for one in errors)


def test_the_verdicts_are_those_of_terraform(tmp_path: Path, terraform_program: str) -> None:
    configuration = tmp_path / "terraform.rc"
    configuration.touch()
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(configuration), "CHECKPOINT_DISABLE": "1"}
    for folder, verdict in ((tmp_path / "good", "good"), (tmp_path / "bad", "bad")):
        folder.mkdir()
        for number, text in enumerate(texts(verdict)):
            (folder / f"{number}.tf").write_text(text)
    good = subprocess.run(
        [terraform_program, "fmt", "-list=false", "-write=false", str(tmp_path / "good")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert good.returncode == 0, good.stderr
    bad = subprocess.run(
        [terraform_program, "fmt", "-list=false", "-write=false", "-no-color", str(tmp_path / "bad")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    refused = {line.split("bad/")[1].split(".tf")[0] for line in bad.stderr.splitlines() if "bad/" in line}
    assert refused == {str(number) for number in range(len(texts("bad")))}


def test_reads_scalars() -> None:
    found = [
        value(text) for text in ('"a"', "12", "1.5", "true", "null", r'"a\n$${b}\u00e9"', "<<E\n  a\n  $${b}\nE", '""')
    ]
    assert [one.value for one in found if isinstance(one, Literal)] == [
        "a", 12, 1.5, True, None, "a\n${b}é", "  a\n  ${b}\n", "",
    ]  # fmt: skip


def test_reads_traversals() -> None:
    plain = value("google_x.main.id")
    assert isinstance(plain, Reference)
    assert (plain.root, plain.attributes) == ("google_x", ("main", "id"))
    mixed = value('a.b[0].c["k"][*].d[each.key].0.*.e')
    assert isinstance(mixed, Reference)
    assert [(step.kind, step.name) for step in mixed.steps] == [
        ("attribute", "b"), ("index", 0), ("attribute", "c"), ("index", "k"), ("splat", None), ("attribute", "d"),
        ("index", None), ("index", 0), ("splat", None), ("attribute", "e"),
    ]  # fmt: skip
    assert isinstance(mixed.steps[6].key, Reference)
    called = value("f(x).id")
    assert isinstance(called, Access)
    assert isinstance(called.base, Call)


def test_reads_composites() -> None:
    made = value('{ a = 1, (b) = 2, "c${d}" = [3] }')
    assert isinstance(made, ObjectExpr)
    first, second, third = made.items
    assert isinstance(first[0], Literal)
    assert first[0].value == "a"
    assert isinstance(second[0], Reference)
    assert isinstance(third[0], Template)
    assert isinstance(third[1], ListExpr)
    choice = value("a == 1 && !b ? -x.y : (2)")
    assert isinstance(choice, Conditional)
    assert isinstance(choice.condition, Operation)
    assert choice.condition.operator == "&&"
    assert isinstance(choice.yes, Operation)
    loop = value('{ for k, v in m : k => "${v}!" if v != null }')
    assert isinstance(loop, ForExpr)
    assert loop.names == ("k", "v")
    assert loop.key is not None
    assert loop.condition is not None


def test_reads_templates() -> None:
    text = value('"a-${b}-%{ if c }d${e}%{ else }f%{ endif }%{ for g in h }${g}%{ endfor }"')
    assert isinstance(text, Template)
    first, second, third, choice, loop = text.parts
    assert (first, third) == ("a-", "-")
    assert isinstance(second, Reference)
    assert isinstance(choice, Directive)
    assert [part for part in choice.parts if isinstance(part, str)] == ["d", "f"]
    assert isinstance(loop, Directive)
    assert loop.names == ("g",)


def test_places_count_characters() -> None:
    file, _ = hcl.parse("main.tf", '# é\na = "é" == b\n')
    operation = file.body.attributes["a"].value
    assert isinstance(operation, Operation)
    span = file.span(operation.operands[1].start, operation.operands[1].end)
    assert (span.line, span.column, span.length, span.text) == (2, 12, 1, 'a = "é" == b')


def test_a_file_is_read_once() -> None:
    assert hcl.parse("main.tf", "a = 1\n")[0] is hcl.parse("main.tf", "a = 1\n")[0]
