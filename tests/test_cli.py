"""The command line: what is printed where, what is written, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from infragen.cli import main
from infragen.descriptor import tree
from infragen.diagnostics import Diagnostics
from tests.examples import EXAMPLES, ROOT

EXAMPLE = ROOT / "examples" / EXAMPLES[0] / "workload.yaml"
TODAY = ("--today", "2026-11-21")


def infragen(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """A run of the program in a process of its own, without a terminal and without input."""
    command = [sys.executable, "-m", "infragen", *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def copy_of_example(folder: Path, name: str = "support-chat") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8").replace("support-chat", name), encoding="utf-8")
    return path


def test_plan_prints_the_plan_and_writes_nothing(tmp_path):
    path = copy_of_example(tmp_path)
    done = infragen("plan", path, *TODAY, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("support-chat: serve Llama-3.1-8B\n")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_out_writes_check_compares_and_a_changed_file_is_kept(tmp_path):
    path, out = copy_of_example(tmp_path), tmp_path / "infra"
    missing = infragen("plan", path, "--out", out, "--check", *TODAY)
    assert (missing.returncode, out.exists()) == (1, False)
    written = infragen("plan", path, "--out", out, *TODAY)
    assert written.returncode == 0
    assert "+ main.tf" in written.stdout
    assert infragen("plan", path, "--out", out, "--check", *TODAY).returncode == 0
    again = infragen("plan", path, "--out", out, *TODAY)
    assert (again.returncode, "nothing changes" in again.stdout) == (0, True)

    (out / "main.tf").write_text((out / "main.tf").read_text() + "# mine\n")
    assert infragen("plan", path, "--out", out, "--check", *TODAY).returncode == 1
    refused = infragen("plan", path, "--out", out, *TODAY)
    assert refused.returncode == 1
    assert "main.tf" in refused.stderr
    assert (out / "main.tf").read_text().endswith("# mine\n")


def test_json_is_one_record_a_line_in_the_order_of_the_files(tmp_path):
    good = [copy_of_example(tmp_path, f"chat-{number}") for number in range(20)]
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nname: bad\ntask: serve\n")
    files = [*good[:9], bad, *good[9:], tmp_path / "missing.yaml"]
    done = infragen("plan", *files, "--format", "json", *TODAY)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [one["workload"] for one in records] == [path.stem for path in files]
    assert [("decisions" in one) for one in records] == [path in good for path in files]
    assert all(one["diagnostics"] for one in (records[9], records[-1]))


def here(*arguments: object) -> Result:
    """The same in this process."""
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_descriptor_in_error_gives_a_whole_document_and_exit_code_1(tmp_path, form):
    bad, good = tmp_path / "bad.yaml", copy_of_example(tmp_path)
    bad.write_text("version: 1\nname: bad\ntask: serve\nmodle: {}\n")
    done = here("plan", bad, good, tmp_path / "missing.yaml", "--format", form, *TODAY)
    assert done.exit_code == 1
    ends = {"html": ("<!doctype html>", "</html>"), "markdown": ("<!-- infragen:bad -->", "</details>")}[form]
    assert done.stdout.startswith(ends[0])
    assert "support-chat" in done.stdout and "did you mean" in done.stdout and "does not exist" in done.stdout
    assert done.stdout.rstrip().endswith(ends[1]) or form == "markdown"
    assert "error[D020]" in done.stderr


def test_reports_say_what_changes_on_disk_and_since_the_last_plan(tmp_path):
    path, out = copy_of_example(tmp_path), tmp_path / "infra"
    first = here("plan", path, "--out", out, "--format", "markdown", *TODAY)
    assert (first.exit_code, "Since the last plan" in first.stdout) == (0, False)
    assert "created <code>main.tf</code>" in first.stdout
    names = {one.name for one in out.iterdir()}
    larger = ("--set", "serve.requests_per_second=5", "--set", "place.regions=[europe-west4]", *TODAY)
    compared = here("plan", path, "--out", out, "--check", "--format", "markdown", *larger)
    assert (compared.exit_code, "### Since the last plan" in compared.stdout) == (1, True)
    assert "| cost an hour | 6.45 USD |" in compared.stdout
    page = here("plan", path, "--out", out, "--format", "html", *larger)
    assert (page.exit_code, "Since the last plan" in page.stdout) == (0, True)
    text = here("plan", path, "--out", out, *TODAY)
    assert "since the last plan\n  machine: " in text.stdout
    assert {one.name for one in out.iterdir()} == names, "reports are no files of the stack"
    (out / "plan.json").write_text("no plan\n")
    broken = here("plan", path, "--out", out, "--check", "--format", "markdown", *TODAY)
    assert (broken.exit_code, "Not compared" in broken.stdout) == (1, True)


def test_the_record_is_that_of_the_contract():
    record = json.loads(infragen("plan", EXAMPLE, "--format", "json", *TODAY).stdout)
    assert {"platform", "machine", "storage", "capacity", "location", "image"} <= record["decisions"].keys()
    for decision in (record["decisions"]["machine"], *record["decisions"]["storage"]):
        assert {"choice", "because", "rejected", "would_change"} <= decision.keys()
    estimate = record["estimate"]
    memory = estimate["memory_gib_per_accelerator"]
    parts = sum(memory[part] for part in ("weights", "kv_cache", "activations", "gradients", "optimizer", "overhead"))
    assert parts == pytest.approx(memory["total"], rel=1e-3)
    assert memory["total"] <= memory["usable"]
    costs = estimate["usd_per_hour"]
    assert costs["total"] == pytest.approx(costs["compute"] + costs["storage"] + costs["network"], rel=1e-5)
    assert costs["unknown"]
    for figure in ("tokens_per_second", "ttft_ms", "tpot_ms", "energy_kwh_per_hour"):
        assert estimate[figure]["low"] <= estimate[figure]["expected"] <= estimate[figure]["high"]
    machine = record["decisions"]["machine"]["choice"]
    price = estimate["usd_per_hour"]["compute"] / machine["nodes"]
    rows = infragen(
        "catalog",
        "prices",
        machine["type"],
        record["decisions"]["location"]["choice"]["region"],
        "on_demand",
        "--format",
        "json",
    )
    assert price == pytest.approx(float(json.loads(rows.stdout)[0]["usd_per_hour"]), rel=1e-5)


def test_two_descriptors_of_one_name_are_refused_before_anything_is_written(tmp_path):
    first, second = copy_of_example(tmp_path), tmp_path / "other.yaml"
    second.write_text(first.read_text())
    done = infragen("plan", first, second, "--out", tmp_path / "out")
    assert (done.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "same name" in done.stderr


def test_settings_and_overlays_change_the_plan(tmp_path):
    overlay = tmp_path / "prod.yaml"
    overlay.write_text("place: {residency: us}\n")
    done = infragen("plan", EXAMPLE, "--env", overlay, "--set", "place.optimise=carbon", "--format", "json")
    record = json.loads(done.stdout)
    assert record["decisions"]["location"]["choice"]["region"].startswith("us-")
    assert record["decisions"]["location"]["because"][0]["rule"] == "K002"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("explain", "S011"), 0, "S011 memory-fit"),
        (("explain", "Z999"), 2, "is not a rule"),
        (("explain", EXAMPLE), 0, "storage.weights:"),
        (("explain", EXAMPLE, "machine", "A100-80GB"), 0, "ranked behind the choice"),
        (("explain", EXAMPLE, "machine", "H200"), 0, "comes last unless that is asked for"),
        (("explain", EXAMPLE, "machine", "e2-standard-4"), 0, "M013 accelerator-needed"),
        (("explain", EXAMPLE, "storage.weights", "managed-lustre"), 0, "T021 zone-outage"),
        (("explain", EXAMPLE, "colour"), 2, "is not a decision"),
        (("explain", EXAMPLE, "machine", "🦙"), 2, "was not a candidate"),
        (("explain", "S99"), 2, "is not a rule"),
        (("plan", EXAMPLE, "--today", "0001-01-01"), 0, "support-chat"),
        (("catalog", "machines", "--region", ""), 1, "has the region ``"),
        (("explain", EXAMPLE, "machine", "toaster"), 2, "was not a candidate"),
        (("plan", EXAMPLE, "--check"), 2, "add --out"),
        (("plan",), 2, "Missing argument"),
        (("plan", "no-such.yaml"), 1, "does not exist"),
        (("catalog", "rules", "memory"), 0, "S011"),
        (("catalog", "regions", "Montréal"), 0, "northamerica-northeast1"),
        (("--version",), 0, "infragen"),
    ],
)
def test_answers_and_exit_codes(arguments, code, words):
    done = infragen(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr


@pytest.mark.parametrize("task", ["pretrain", "finetune", "serve", "batch-inference", "data-prep", "compute"])
def test_a_starter_plans_and_fits_the_schema(tmp_path, task):
    path = tmp_path / "workload.yaml"
    assert infragen("init", path, "--task", task).returncode == 0
    schema = json.loads(infragen("schema").stdout)
    written = tree.plain(tree.read(tree.Text(path.name, path.read_text()), Diagnostics()))  # YAML 1.2, unlike PyYAML
    jsonschema.validate(written, schema)
    done = infragen("plan", path, "--format", "json")
    assert done.returncode == 0, done.stdout
    before = path.read_text()
    assert infragen("init", path).returncode == 1
    assert path.read_text() == before


def test_check_judges_hand_written_terraform(tmp_path):
    (tmp_path / "main.tf").write_text('resource "google_compute_disk" "data" {\n  name = "data"\n  size = "big"\n}\n')
    text = infragen("check", tmp_path)
    assert text.returncode == 1
    assert "main.tf:3" in text.stderr
    found = json.loads(infragen("check", tmp_path, "--format", "json").stdout)["diagnostics"]
    assert ("V007", "main.tf", 3) in {(one["code"], one["file"], one["line"]) for one in found}
    sarif = json.loads(infragen("check", tmp_path, "--format", "sarif").stdout)
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"]
    (tmp_path / "main.tf").write_text("locals {\n  zone = var.zone\n}\n")
    (tmp_path / "more.tf.json").write_text('{"variable": {"zone": {}}}')
    mixed = infragen("check", tmp_path)
    assert mixed.returncode == 0 and "warning[V051]: `more.tf.json` is not checked" in mixed.stderr
    (tmp_path / "main.tf").unlink()
    only = infragen("check", tmp_path)
    assert only.returncode == 1 and "holds no Terraform files but such in JSON" in only.stderr
    (tmp_path / "more.tf.json").unlink()
    assert infragen("check", tmp_path).returncode == 1


def test_templates_of_a_platform_team_take_the_place_of_ours(tmp_path):
    (tmp_path / "versions.tf.j2").write_text('# house rules\nterraform {\n  required_version = ">= 1.9"\n}\n')
    out = tmp_path / "out"
    assert infragen("plan", EXAMPLE, "--templates", tmp_path, "--out", out).returncode == 0
    assert (out / "versions.tf").read_text().startswith("# house rules\n")
    (tmp_path / "versions.tf.j2").write_text('resource "google_compute_disk" "x" {\n  nmae = "x"\n}\n')
    refused = infragen("plan", EXAMPLE, "--templates", tmp_path, "--out", tmp_path / "other")
    assert (refused.returncode, (tmp_path / "other").exists()) == (1, False)
    assert "versions.tf:2" in refused.stderr
