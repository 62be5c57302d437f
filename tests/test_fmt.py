"""The formatter against `terraform fmt`: tests/fmt holds badly spaced text beside what Terraform makes of it."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infragen import fmt

HERE = Path(__file__).parent
CLEAN = HERE / "verify" / "clean-workload" / "main.tf"  # laid out well already: nothing to do
CASES = [CLEAN, *sorted((HERE / "fmt").glob("*.tf"))]


def expected(case: Path) -> str:
    return (case if case == CLEAN else case.with_suffix(".expected")).read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_lays_text_out(case: Path) -> None:
    assert fmt.format(case.read_text()) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_leaves_good_text_alone(case: Path) -> None:
    assert fmt.format(expected(case)) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_agrees_with_terraform(case: Path, tmp_path: Path, terraform_program: str) -> None:
    configuration = tmp_path / "terraform.rc"
    configuration.touch()
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(configuration), "CHECKPOINT_DISABLE": "1"}
    run = subprocess.run(
        [terraform_program, "fmt", "-"],
        input=case.read_text(), capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert run.stdout == expected(case)


NAME = st.sampled_from(["a", "name", "disk_size_gb", "é", "for_each"])
SCALAR = st.sampled_from(
    ["1", "-1", "true", '"x"', '"a ${ b } c"', "var.x", "a.b[ 0 ].c", "x?1:2", "!a&&b", "[1,2]", "{a=1}", "f( a,b... )",
     "[for k in x:k]", "{for k,v in x:k=>v}", "a -1", '"${var.x}"', "[ ]", "{ }", "(1+2)*3", "<<-E\n  t ${ a }\n  E",
     '"$${a}"', "provider::google::f(1)"]
)  # fmt: skip
COMMENT = st.sampled_from(["", "", "", " # why", "   // why", "  /* why */"])
SPACE = st.sampled_from(["", " ", "   ", "\t"])


@st.composite
def lines(draw: st.DrawFn, depth: int = 0) -> str:
    """A body of HCL with random spacing."""
    pieces = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(
            st.sampled_from(["argument", "argument", "argument", "comment", "blank", "block", "object", "list"])
        )
        indent = draw(SPACE)
        if kind == "argument":
            value = draw(SCALAR)
            comment = "" if value.startswith("<<") else draw(COMMENT)
            pieces.append(f"{indent}{draw(NAME)}{draw(SPACE)}={draw(SPACE)}{value}{comment}\n")
        elif kind == "comment":
            pieces.append(f"{indent}# on its own\n")
        elif kind == "blank":
            pieces.append("\n")
        elif kind == "list":
            pieces.append(f"{indent}{draw(NAME)} = [\n{indent}1,\n2\n]\n")
        elif depth < 3:
            inner = draw(lines(depth + 1))
            opening = f"{draw(NAME)} =" if kind == "object" else f'block{draw(SPACE)}"x"'
            pieces.append(f"{indent}{opening}{draw(SPACE)}{{{draw(COMMENT)}\n{inner}{draw(SPACE)}}}\n")
    return "".join(pieces)


@settings(max_examples=150, deadline=None)
@given(lines())
def test_formatting_twice_changes_nothing(text: str) -> None:
    once = fmt.format(text)
    assert fmt.format(once) == once


@settings(max_examples=150, deadline=None)
@given(lines())
def test_only_spaces_change(text: str) -> None:
    """But for a template that is one interpolation, which is unwrapped."""

    def bare(one: str) -> str:
        return "".join(one.replace('"${var.x}"', "var.x").split())

    assert bare(fmt.format(text)) == bare(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='ab1 "${}[]()=#/*<\n\t\\%-~é', max_size=40))
def test_any_text_comes_back(text: str) -> None:
    formatted = fmt.format(text)
    assert formatted == "" or formatted.endswith("\n")
