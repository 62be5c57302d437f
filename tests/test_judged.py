"""Requirements beside what their Terraform must and must not contain, or which error: ``tests/judged/<subject>.yaml``."""

import re
from pathlib import Path

import pytest
import yaml

from infragen.descriptor.source import File, Source
from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from infragen.render.diagnostics import text
from tests.examples import CATALOG, TEMPLATES, TODAY

FOLDER = Path(__file__).parent / "judged"
CASES = [
    pytest.param(case, id=f"{path.stem}: {name}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for name, case in yaml.safe_load(path.read_text(encoding="utf-8")).items()
]
START = {"version": 1, "name": "case", "project": "my-project"}
FROM = {
    "pool": START | {"task": "compute"},
    "tune": START
    | {
        "task": "finetune",
        "model": {"name": "meta-llama/Llama-3.1-8B", "precision": "bf16"},
        "train": {"method": "lora", "tokens": 50e6, "sequence_length": 4096},
        "data": {"size": "20GiB", "file_size": "100MiB"},
        "run": {"command": ["train"]},
    },
    "serve": START
    | {
        "task": "serve",
        "model": {"name": "meta-llama/Llama-3.1-8B-Instruct", "precision": "bf16"},
        "serve": {"input_tokens": 1000, "output_tokens": 200, "requests_per_second": 1},
    },
}


def merged(under: dict, over: dict) -> dict:
    both = {key: merged(under[key], over[key]) for key in under.keys() & over.keys() if isinstance(under[key], dict)}
    return under | over | both


def plain(terraform: str) -> str:
    """Without comments, and with one blank wherever there are several."""
    return re.sub(r"[ \t]+", " ", re.sub(r"^\s*#.*\n", "", terraform, flags=re.MULTILINE))


@pytest.mark.parametrize("case", CASES)
def test_judged(case):
    given = case["with"]
    shared = given.get("capacity", {}).get("shared_with")
    if isinstance(shared, int):
        given = merged(given, {"capacity": {"shared_with": [f"team-{number}" for number in range(shared)]}})
    descriptor = yaml.safe_dump(merged(FROM[case["from"]], given), sort_keys=False)
    run = compile_workload(Source(File("case.yaml", descriptor.encode())), CATALOG, TEMPLATES, TODAY)
    errors = [one for one in run.diagnostics if one.severity is Severity.ERROR]
    if "error" in case:
        assert [one.code for one in errors] == [case["error"]], [text(one) for one in errors]
        assert run.files is None or not run.files or run.diagnostics.has_errors
        said = text(errors[0])
        assert not [word for word in case.get("says", ()) if word not in said], said
        return
    assert not errors, [text(one) for one in errors]
    written = plain(run.files["main.tf"] + run.files.get("capacity.tf", ""))
    assert not [one for one in case.get("has", ()) if one not in written], written
    assert not [one for one in case.get("lacks", ()) if one in written], written
    warned = {one.code for one in run.diagnostics if one.severity is Severity.WARNING}
    assert "warns" not in case or case["warns"] in warned
    bill = [f"{one.amount} {one.metric} {one.dimension}".strip() for one in run.plan.quotas]
    assert not [one for one in case.get("quota", ()) if one not in bill], bill
