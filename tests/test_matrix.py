"""Every machine under every capacity model either compiles to Terraform without a finding, or is refused in the descriptor."""

import pytest

from infragen.descriptor.source import File, Source
from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, TEMPLATES, TODAY

CAPACITY = {
    "auto": "{}",
    "on-demand": "{model: on-demand}",
    "spot": "{model: spot}",
    "reservation": "{model: reservation, name: block}",
    "created reservation": "{model: reservation, name: block, existing: false}",
    "future reservation": "{model: future-reservation, name: block, start: 2027-01-11T08:00:00Z, duration: 30d}",
    "submitted": "{model: future-reservation, name: block, start: 2027-01-11T08:00:00Z, duration: 30d, submit: true}",
    "calendar": "{model: calendar, name: block, start: 2027-01-11T08:00:00Z, duration: 30d}",
    "flex-start": "{model: flex-start, run_for: 20h}",
    "bulk": "{model: flex-start, run_for: 20h, mode: bulk}",
}
WORKLOAD = """version: 1
name: matrix
project: my-project
{work}
machine: {{{machine}, count: 2}}
capacity: {capacity}
"""
TRAIN = """task: finetune
model: {parameters: 1e9, precision: fp16}
train: {method: lora, tokens: 1e7}
data: {size: 1TiB, posix: full}
run: {command: [train]}"""
REFUSED = {"C002", "M011", "M016", "R004", "S010", "S021"}  # not sold so, bounds, racks, zone unknown, format, network


@pytest.mark.parametrize("capacity", CAPACITY)
def test_compiles_clean_or_is_refused(capacity):
    compiled = 0
    for record in CATALOG.machines.values():
        machine = f"type: {record.name}"
        if record.is_attached:
            count = int(record.accelerators)
            machine = f"type: n1-standard-16, accelerators: [{record.accelerator}], accelerators_per_node: {count}"
        work = TRAIN if record.has_accelerator else "task: compute"
        text = WORKLOAD.format(work=work, machine=machine, capacity=CAPACITY[capacity])
        run = compile_workload(Source(File("matrix.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)
        errors = [one for one in run.diagnostics if one.severity is Severity.ERROR]
        assert {one.code for one in errors} <= REFUSED, (record.name, [one.message for one in errors])
        assert all(one.span for one in errors), record.name
        compiled += run.files is not None
    assert compiled > 10
