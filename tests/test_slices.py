"""TPU slices: sized, placed and priced like the rest, in shapes that exist; Terraform for them is not written yet."""

import pytest
from click.testing import CliRunner

from infragen import cli
from infragen.descriptor.source import File, Source
from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, TEMPLATES, TODAY

BASE = "version: 1\nname: case\nproject: my-project\n"
TRAIN = BASE + "task: pretrain\nmodel: {name: Llama-3.1-8B}\ntrain: {tokens: 1e12, deadline: 30d}\n"
SERVE = (
    BASE
    + "task: serve\nmodel: {name: Llama-3.1-70B}\nserve: {requests_per_second: 1, input_tokens: 1000, output_tokens: 300}\n"
)
CASES = {
    "a run on one slice": (TRAIN + "machine: {accelerators: [v6e]}\n", ("ct6e-standard-4t", 16, "8x8", 1)),
    "a slice in three dimensions": (TRAIN + "machine: {accelerators: [v5p]}\n", ("ct5p-hightpu-4t", 32, "4x4x8", 1)),
    "a run on more than the largest slice": (TRAIN.replace("30d", "15d") + "machine: {accelerators: [v5e]}\n", ("ct5lp-hightpu-4t", 128, "16x16", 2)),
    "slices that are asked for": (
        TRAIN + "machine: {type: ct6e-standard-4t, topology: 4x4, count: 6}\n", ("ct6e-standard-4t", 24, "4x4", 6),
    ),
    "a count that is no slice, pinned": (TRAIN + "machine: {type: ct5p-hightpu-4t, count: 48}\n", ("ct5p-hightpu-4t", 48, "4x4x4", 3)),
    "a replica on one VM": (SERVE + "machine: {type: ct6e-standard-8t}\n", ("ct6e-standard-8t", 1, "2x4", 1)),
}  # fmt: skip


def compiled(text: str):
    return compile_workload(Source(File("case.yaml", text.encode()), (), ()), CATALOG, TEMPLATES, TODAY)


@pytest.mark.parametrize("case", CASES)
def test_machines_make_slices_that_exist(case):
    text, expected = CASES[case]
    run = compiled(text)
    assert not [one for one in run.diagnostics if one.severity is Severity.ERROR]
    choice = run.plan.machine.choice
    assert (choice.type, choice.nodes, choice.topology, choice.slices) == expected
    shape = next(
        one for one in CATALOG.topologies if (one.machine_type, one.topology) == (choice.type, choice.topology)
    )
    assert shape.vms * choice.slices == choice.nodes


@pytest.mark.parametrize(
    "chip", [one.name for one in CATALOG.accelerators.values() if one.kind == "tpu" and CATALOG.machines_with(one.name)]
)
def test_a_tpu_machine_boots_an_image_for_its_chip(chip):
    small = TRAIN.replace("Llama-3.1-8B", "GPT2").replace("1e12", "1e10")
    run = compiled(small + f"machine: {{accelerators: [{chip}]}}\n")
    assert not [one.message for one in run.diagnostics if one.severity is Severity.ERROR]
    assert chip in run.plan.image.choice.base.accelerators


def test_no_terraform_is_written_for_a_slice(tmp_path):
    descriptor = tmp_path / "case.yaml"
    descriptor.write_text(CASES["a run on one slice"][0], encoding="utf-8")
    done = CliRunner().invoke(cli.main, ["plan", str(descriptor), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1 and "error[N001]" in done.output
    assert not (tmp_path / "out").exists()
