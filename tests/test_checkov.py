"""Checkov finds nothing in any output; a skipped check stands beside its reason in checkov_skips.yaml."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from infragen import emit, lower
from infragen.diagnostics import Diagnostics
from tests.examples import EXAMPLES, ROOT, TEMPLATES, compiled
from tests.lower.plans import PLANS
from tests.test_cases import compiled as case_compiled
from tests.test_cases import distinct

SKIPS = yaml.safe_load((Path(__file__).parent / "checkov_skips.yaml").read_text(encoding="utf-8"))
PROGRAM = ROOT / ".venv-checkov" / "bin" / "checkov"


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """Checkov over all outputs at once, of examples, cases and plans by hand: starting it costs more than the checks."""
    folder = tmp_path_factory.mktemp("checkov")
    outputs = {example: compiled(example).files for example in EXAMPLES}
    outputs |= {name: emit.run(lower.run(plan()), TEMPLATES, Diagnostics()) for name, plan in PLANS.items()}
    outputs |= {f"case-{case}": case_compiled(case).files for case in distinct()}
    for name, files in outputs.items():
        for path, text in files.items():
            target = folder / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    command = [
        str(PROGRAM),
        "--directory",
        str(folder),
        "--framework",
        "terraform",
        "--skip-download",
        "--quiet",
        "--compact",
        "--output",
        "json",
    ]
    assert PROGRAM.exists(), "checkov lives in an environment of its own: run `make test`, which makes it"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(result.stdout)


@pytest.mark.xdist_group("checkov")
def test_nothing_fails_but_what_is_explained(report):
    failed = {
        (check["check_id"], check["file_path"], check["resource"]) for check in report["results"]["failed_checks"]
    }
    unexplained = sorted(one for one in failed if one[0] not in SKIPS)
    assert unexplained == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 50


@pytest.mark.xdist_group("checkov")
def test_every_skip_is_needed_and_has_a_reason(report):
    failed = {check["check_id"] for check in report["results"]["failed_checks"]}
    assert set(SKIPS) == failed
    assert all(len(reason.split()) >= 6 for reason in SKIPS.values())
