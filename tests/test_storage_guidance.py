"""Storage decisions as the vendor advises them: ``tests/storage_guidance.yaml``, each case compiled whole."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infragen.descriptor.source import File, Source
from infragen.pipeline import Compilation, compile_workload
from tests.examples import CATALOG, TEMPLATES, TODAY

TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").with_stem("storage_guidance").read_text(encoding="utf-8"))
WORKLOADS, CASES = TABLE["workloads"], TABLE["cases"]


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``; null takes a key away."""
    found = dict(base)
    for key, value in over.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return {key: value for key, value in found.items() if value is not None}


def run(case: dict[str, Any]) -> Compilation:
    text = yaml.safe_dump(merged(WORKLOADS[case["base"]], case.get("with", {})), sort_keys=False)
    return compile_workload(Source(File("case.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)


def errors(compiled: Compilation) -> list[str]:
    return [f"{one.code} {one.message}: {one.label}" for one in compiled.diagnostics if one.severity.value == "error"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "takes" in case])
def test_takes(name):
    compiled = run(CASES[name])
    assert not errors(compiled)
    taken = {
        one.choice.purpose: f"folder of {one.choice.shared_with}" if one.choice.shared_with else one.choice.service.id
        for one in compiled.plan.storage
    }
    assert {purpose: taken.get(purpose) for purpose in CASES[name]["takes"]} == CASES[name]["takes"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "refused" in case])
def test_refused(name):
    found = errors(run(CASES[name]))
    assert [text.partition(" ")[0] for text in found] == [CASES[name]["refused"]], found


def test_every_case_says_what_and_why():
    known = (Path(__file__).parent.parent / "docs" / "facts.md").read_text(encoding="utf-8")
    for name, case in CASES.items():
        assert ("takes" in case) != ("refused" in case), name
        assert case["source"] == "design decision" or all(f"| {one} |" in known for one in case["source"].split()), name
