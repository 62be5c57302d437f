"""Terraform and its providers, python-hcl2 and infragen's own check judge the output of every example."""

import hcl2
import pytest

from infragen import verify
from infragen.diagnostics import Diagnostics
from infragen.fileset import FileSet
from tests.examples import CATALOG, EXAMPLES, ROOT, compile_file, compiled


@pytest.mark.parametrize("example", EXAMPLES)
def test_terraform_plans_it(terraform, example):
    """fmt finds nothing to do; init, validate and plan succeed; the plan creates exactly the resources of the stack."""
    run = compiled(example)
    workspace = terraform(files=dict(run.files))
    workspace.fmt_check()
    workspace.init()
    workspace.validate()
    plan = workspace.plan()
    planned = {address.partition("[")[0] for address in plan.actions}
    assert planned == {address for address, _ in run.stack.resources if not address.startswith("data.")}
    assert set(plan.actions.values()) == {("create",)}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_second_plan_is_empty(terraform, example):
    """Apply, plan again: nothing to do, outputs included."""
    workspace = terraform(files=dict(compiled(example).files))
    workspace.init()
    workspace.apply()
    assert workspace.plan().is_empty


@pytest.mark.parametrize("example", EXAMPLES)
def test_python_hcl2_parses_it(example):
    for path, text in compiled(example).files.items():
        if path.endswith((".tf", ".tfvars", ".hcl")):
            assert hcl2.loads(text) is not None, path


@pytest.mark.parametrize("example", EXAMPLES)
def test_addresses_parsed_back_are_those_of_the_stack(example):
    run = compiled(example)
    found = set()
    for path, text in run.files.items():
        if path.endswith(".tf"):
            for block in hcl2.loads(text).get("resource", []):
                found |= {f"{kind}.{name}".replace('"', "") for kind, bodies in block.items() for name in bodies}
    assert found == {address for address, _ in run.stack.resources if not address.startswith("data.")}


@pytest.mark.parametrize("example", EXAMPLES)
def test_own_check_finds_nothing(example):
    diags = Diagnostics()
    verify.run(FileSet(compiled(example).files), diags, CATALOG.is_accelerator_machine)
    assert list(diags) == []


def test_a_change_of_the_model_rolls_the_template_and_nothing_that_holds_data(terraform):
    """Another image family: the template is replaced before it is destroyed; the bucket stays."""
    path = ROOT / "examples" / EXAMPLES[0] / "workload.yaml"
    before, after = compile_file(path), compile_file(path, ("image.base.family=chat-serving-next",))
    workspace = terraform(files=dict(before.files))
    workspace.init()
    workspace.apply()
    plan = workspace.replaced(dict(after.files)).plan()
    changed = {address: actions for address, actions in plan.actions.items() if actions != ("no-op",)}
    replaced = {address for address, actions in changed.items() if "delete" in actions}
    assert replaced and all("instance_template" in address for address in replaced), changed
    assert all(changed[address] == ("create", "delete") for address in replaced)
