"""Every error and every warning says how to mend it: wherever one is made, and in all that the tests provoke."""

import ast
from pathlib import Path

import pytest

from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, EXAMPLES, ROOT, TEMPLATES, TODAY
from tests.test_cases import CASES, FOLDER
from tests.test_errors import ERRORS, cases, source

MAKERS = {"error": 4, "warning": 4, "Says": 3, "Finding": 4}  # what makes a finding: its arguments up to the help
DESCRIPTORS = (
    *(ERRORS / name for name in cases(ERRORS)),
    *sorted((ROOT / "tests" / "refused").glob("*.yaml")),
    *(FOLDER / f"{case}.yaml" for case in CASES),
    *(ROOT / "examples" / example / "workload.yaml" for example in EXAMPLES),
)


@pytest.mark.parametrize("path", DESCRIPTORS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_objection_says_how_to_mend_it(path):
    run = compile_workload(source(path), CATALOG, TEMPLATES, TODAY)
    assert [one for one in run.diagnostics if one.severity is not Severity.NOTE and not one.help.strip()] == []
    assert [one for one in run.diagnostics if not one.why.strip()] == []


@pytest.mark.parametrize(
    "module", sorted((ROOT / "infragen").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_objection_is_made_without_help(module: Path):
    without = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {one.arg for one in node.keywords}
        is_open = None in given or any(isinstance(one, ast.Starred) for one in node.args)  # judged by what it makes
        if name in MAKERS and len(node.args) < MAKERS[name] and "help" not in given and not is_open:
            without.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert without == []
