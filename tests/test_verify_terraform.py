"""The same faults before Terraform's own core, with the stand-in provider: it refuses what infragen calls an error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.command import TerraformError
from tests.terraform.workspace import Workspace

CASES = Path(__file__).parent / "verify"
# Terraform's core stops at the first stage that finds something, and so does not see all lines of a case.
REFUSED = (
    "argument-one-level-too-high",
    "argument-set-twice",
    "block-and-argument-mixed-up",
    "declared-twice",
    "dependency-circle",
    "missing-argument",
    "misplaced-name",
    "missing-or-surplus-index",
    "too-many-blocks",
    "undeclared-reference",
    "unknown-argument",
    "unknown-attribute",
    "unknown-function",
    "unknown-terraform-block",
    "wrong-type",
)


def texts(name: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in (CASES / name).iterdir() if path.suffix in {".tf", ".tfvars"}}


def places(name: str) -> set[tuple[str, int]]:
    lines = (CASES / name / "expected.txt").read_text().splitlines()
    found = [line.split(" ")[1].split(":") for line in lines if line.startswith("error")]
    return {(file, int(line)) for file, line, _ in found}


@pytest.mark.parametrize("name", REFUSED)
def test_terraform_refuses_what_is_called_an_error(name: str, stand_in_terraform: Callable[..., Workspace]) -> None:
    workspace = stand_in_terraform(files=texts(name))
    with pytest.raises(TerraformError) as refusal:
        workspace.validate()
    told = {(one.file, one.line) for one in refusal.value.findings if one.severity == "error" and one.file}
    assert refusal.value.findings
    assert told <= places(name), refusal.value  # of a circle Terraform names no place


@pytest.mark.parametrize("name", ["clean-unknown-values", "clean-workload"])
def test_terraform_takes_what_is_called_clean(name: str, stand_in_terraform: Callable[..., Workspace]) -> None:
    workspace = stand_in_terraform(files=texts(name))
    workspace.validate()
