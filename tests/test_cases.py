"""Descriptors beside the part of the output that they are about: ``tests/cases/<case>.yaml`` and ``.txt``.

The first line of the descriptor names those files: ``# shows: main.tf capacity.tf``; ``plan`` is what ``infragen plan`` prints.
Every case is checked and planned whole, whatever it shows. Terraform plans them all at once, each as a module of one root.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from infragen.descriptor.source import File, Source
from infragen.pipeline import Compilation, compile_workload
from infragen.render import text
from infragen.render.diagnostics import text as words
from tests.examples import CATALOG, TEMPLATES, TODAY
from tests.goldens import REWRITE
from tests.lower.answers import lines

FOLDER = Path(__file__).parent / "cases"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MARK = "# shows: "


@cache
def compiled(case: str) -> Compilation:
    """A case, which has no errors."""
    file = File(f"{case}.yaml", (FOLDER / f"{case}.yaml").read_bytes())
    source = Source(file, beside=lambda name: (FOLDER / name).read_bytes())
    run = compile_workload(source, CATALOG, TEMPLATES, TODAY)
    assert not run.diagnostics.has_errors, "\n".join(words(one) for one in run.diagnostics)
    return run


@pytest.mark.parametrize("case", CASES)
def test_shows_exactly_this(case):
    run = compiled(case)
    first = (FOLDER / f"{case}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    assert first.startswith(MARK), f"the first line of {case}.yaml says what it shows: `{MARK}main.tf`"
    parts = dict(run.files) | {"plan": text.plan(run.plan, colour=False)}
    shown = "\n".join(f"### {name}\n\n{parts[name]}" for name in first.removeprefix(MARK).split())
    golden = FOLDER / f"{case}.txt"
    if REWRITE:
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8"), "if this is what you meant: make golden, and review git diff"


def to_terraform(run: Compilation) -> str:
    """A case without comments, fixed texts and numbers: what is equal in this Terraform plans alike."""
    text = "\n".join(body for path, body in sorted(run.files.items()) if path.endswith(".tf"))
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', lambda found: found[0] if "${" in found[0] else '""', text)
    return re.sub(r"\b\d+(\.\d+)?\b", "0", re.sub(r'\[(""(, )?)*\]', "[]", text))


@cache
def distinct() -> tuple[str, ...]:
    """One case of all that give the same Terraform but for fixed texts and numbers, such as the machine type."""
    return tuple({to_terraform(compiled(case)): case for case in reversed(CASES)}.values())


def test_terraform_plans_every_case(terraform):
    """One root, a module a case: formatted, valid, and the plan creates exactly the resources of each stack.

    Of cases that differ in fixed texts and numbers alone, such as the machine type, one is planned; infragen's own check of
    the schema judges these in all.
    """
    files, calls, expected = {}, [], set()
    for case in distinct():
        run = compiled(case)
        inputs = run.files["terraform.tfvars"] + lines(run.files)
        calls.append(f'module "{case}" {{\n  source = "./{case}"\n\n{inputs}}}\n')
        files |= {f"{case}/{path}": body for path, body in run.files.items()}
        expected |= {f"module.{case}.{at}" for at, _ in run.stack.resources if not at.startswith("data.")}
    workspace = terraform(files=files)
    workspace.fmt_check()
    workspace.write({"main.tf": "\n".join(calls)})
    workspace.init()
    workspace.validate()
    plan = workspace.plan()
    assert {address.partition("[")[0] for address in plan.actions} == expected
    assert set(plan.actions.values()) == {("create",)}


def test_every_text_has_its_descriptor():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)
