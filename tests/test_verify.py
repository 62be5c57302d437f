"""Seeded faults: each folder of tests/verify holds Terraform text beside what is said about it.

`INFRAGEN_GOLDEN=1 pytest tests/test_verify.py` writes the expectations anew; the diff is the review.
"""

import difflib
import os
from pathlib import Path

import pytest

from infragen.diagnostics import CATALOGUE, Diagnostics
from infragen.fileset import FileSet
from infragen.verify import run

CASES = Path(__file__).parent / "verify"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
SAMPLE_ACCELERATOR_MACHINE = "a3-highgpu-8g"


def findings(files: dict[str, str]) -> Diagnostics:
    diags = Diagnostics()
    run(FileSet(files), diags, lambda machine_type: machine_type == SAMPLE_ACCELERATOR_MACHINE)
    return diags


def shown(diags: Diagnostics) -> str:
    lines = []
    for one in diags:
        assert one.span is not None
        place = f"{one.span.file}:{one.span.line}:{one.span.column}+{one.span.length}"
        lines.append(f"{one.severity}[{one.code}] {place} {one.message}\n    {one.help}\n")
    return "".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_is_wrong_and_where(name: str) -> None:
    folder = CASES / name
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.name != "expected.txt"}
    actual = shown(findings(texts))
    expected = folder / "expected.txt"
    if os.environ.get("INFRAGEN_GOLDEN"):
        expected.write_text(actual)
    before = expected.read_text() if expected.exists() else ""
    difference = "".join(difflib.unified_diff(before.splitlines(True), actual.splitlines(True), "expected", "actual"))
    assert not difference, f"\n{difference}\nINFRAGEN_GOLDEN=1 pytest tests/test_verify.py rewrites the expectations"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("clean-")])
def test_a_clean_module_yields_nothing(name: str) -> None:
    assert (CASES / name / "expected.txt").read_text() == ""


def test_every_rule_fires_somewhere_and_is_silent_elsewhere() -> None:
    """The folder of a policy is named after it; the clean modules show that it can be silent."""
    texts = {name: (CASES / name / "expected.txt").read_text() for name in NAMES}
    for rule in CATALOGUE.values():
        if rule.id[0] == "P" or (rule.id[0] == "V" and rule.id < "V050"):  # from there on: reading directories
            assert any(f"[{rule.id}]" in text for text in texts.values()), f"no case for {rule.id} {rule.name}"
            if rule.id[0] == "P":
                assert f"[{rule.id}]" in texts[rule.name], f"tests/verify/{rule.name} does not show {rule.id}"


def test_a_policy_case_shows_its_policy_only() -> None:
    by_name = {rule.name: rule.id for rule in CATALOGUE.values() if rule.id[0] == "P"}
    for name in NAMES:
        if name in by_name:
            codes = {
                line.split("[")[1].split("]")[0]
                for line in (CASES / name / "expected.txt").read_text().splitlines()
                if not line.startswith(" ")
            }
            assert codes == {by_name[name]}, name


def test_each_directory_is_a_module_of_its_own() -> None:
    variable = 'variable "zone" {\n  description = "Zone"\n  type        = string\n}\n'
    use = "locals {\n  zone = var.zone\n}\n"
    assert len(findings({"main.tf": variable + use, "inner/main.tf": variable + use})) == 0
    assert [one.span.file for one in findings({"main.tf": variable, "inner/main.tf": use}) if one.span] == [
        "inner/main.tf"
    ]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("more.tf.json", '{"variable": {"zone": {}}}', "warning[V051] more.tf.json:1"),
        ("prod.auto.tfvars.json", '{"zone": "europe-west4-a"}', "warning[V051] prod.auto.tfvars.json:1"),
        ("more.tf.json", '{\n  "variable": }', "error[V050] more.tf.json:2"),
        ("more.tf.json", "", "error[V050] more.tf.json:1"),
        ("more.tf.json", "[" * 100_000, "error[V050] more.tf.json:1"),
        ("dashboard.json", "{", None),
        ("main.tf.json.bak", "{", None),
    ],
)
def test_a_file_in_json_is_told_of_and_spares_the_references(name: str, text: str, found: str | None) -> None:
    use = "locals {\n  zone = var.zone\n}\n"
    said = [
        f"{one.severity}[{one.code}] {one.span.file}:{one.span.line}"
        for one in findings({"main.tf": use, name: text})
        if one.span
    ]
    assert said == [found or "error[V020] main.tf:2"]


def test_an_unreadable_file_silences_its_directory_only() -> None:
    broken, faulty = "locals {\n", "locals {\n  zone = var.zone\n}\n"
    found = findings({"a/main.tf": broken, "a/more.tf": faulty, "b/main.tf": faulty})
    assert [(one.code, one.span.file) for one in found if one.span] == [("V001", "a/main.tf"), ("V020", "b/main.tf")]


def test_packer_and_other_hcl_is_checked_for_syntax_only() -> None:
    assert [one.code for one in findings({"image/main.pkr.hcl": 'source "x" "y" {\n  a = b.c\n'})] == ["V001"]
    assert len(findings({"image/main.pkr.hcl": 'source "x" "y" {\n  a = b.c\n}\n', "scripts/boot.sh": "{{{"})) == 0
