"""What is obeyed with a warning: a descriptor that draws it, and one that comes close and does not."""

import pytest

from infragen.descriptor.source import File, Source
from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, TEMPLATES, TODAY

BASE = "version: 1\nname: case\nproject: my-project\n"
POOL = BASE + "task: compute\n"
CHAT = BASE + "task: serve\nmodel: {name: Llama-3.1-8B}\n"
OWN = "image: {base: {family: pool}}\n"
CASES = {
    "G022": (
        CHAT + "machine: {type: g2-standard-24}\ngroup: {standby: {stopped: 1}}\n",
        POOL + "machine: {type: e2-standard-4}\ngroup: {standby: {stopped: 1, suspended: 1}}\n",
    ),
    "G027": (
        CHAT + "machine: {type: g2-standard-24}\n",
        CHAT + "machine: {type: g2-standard-24}\nrun: {container: \"europe-docker.pkg.dev/my-project/chat/server:1\"}\n",
    ),
    "N007": (
        CHAT + "machine: {type: g2-standard-24}\nsecurity: {secure_boot: true}\n",
        POOL + "machine: {type: e2-standard-4}\nsecurity: {secure_boot: true}\n",
    ),
    "N008": (
        POOL + "machine: {type: h4d-standard-192}\nplace: {zones: [us-central1-a]}\nnetwork: {network: vpc, subnetwork: ml}\n",
        POOL + "machine: {type: h4d-standard-192}\nplace: {zones: [us-central1-a]}\n"
        "network: {network: vpc, subnetwork: ml, range: 10.8.0.0/16}\n",
    ),
    "S024": (
        BASE + "task: serve\nmodel: {name: Llama-3.1-8B, parameters: 70e9}\n",
        BASE + "task: serve\nmodel: {name: Llama-3.1-8B, parameters: 8.03e9, layers: 32}\n",
    ),
    "S024 of numbers": (
        BASE + "task: serve\nmodel: {parameters: 60e9, layers: 32, hidden_size: 4096, attention_heads: 32}\n",
        BASE + "task: serve\nmodel: {parameters: 60e9, active_parameters: 8e9, layers: 32, hidden_size: 4096, attention_heads: 32}\n",
    ),
    "S025": (CHAT + "serve: {max_context_tokens: 262144}\n", CHAT + "serve: {max_context_tokens: 131072}\n"),
    "S025 of training": (
        BASE + "task: pretrain\nmodel: {name: Llama-3.1-8B}\ntrain: {tokens: 1e9, sequence_length: 1000000}\n",
        BASE + "task: pretrain\nmodel: {name: Llama-3.1-8B}\ntrain: {tokens: 1e9, sequence_length: 8192}\n",
    ),
    "N012": (
        POOL + "machine: {type: e2-standard-4}\nnetwork: {nat: false}\n" + OWN + 'run: {container: "python:3.12"}\n',
        POOL + "machine: {type: e2-standard-4}\nnetwork: {nat: false}\n" + OWN
        + 'run: {container: "europe-docker.pkg.dev/my-project/pool/worker:1"}\n',
    ),
}  # fmt: skip


def warned(text):
    run = compile_workload(Source(File("case.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)
    return {one.code for one in run.diagnostics if one.severity is Severity.WARNING}, run.diagnostics.has_errors


@pytest.mark.parametrize("code", CASES)
def test_warned_of_this_and_not_of_that(code):
    fires, silent = CASES[code]
    code = code.partition(" ")[0]
    found, has_errors = warned(fires)
    assert code in found and not has_errors
    found, has_errors = warned(silent)
    assert code not in found and not has_errors


@pytest.mark.parametrize(
    ("run", "repairs"), [("", False), ('run: {container: "europe-docker.pkg.dev/p/chat/server:1"}\n', True)]
)
def test_a_group_whose_probe_cannot_pass_replaces_no_machine_for_it(run, repairs):
    text = CHAT + "machine: {type: g2-standard-24}\n" + run
    found = compile_workload(Source(File("case.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)
    assert found.plan.group.choice.repairs_unhealthy is repairs
    assert ("DO_NOTHING" in found.files["main.tf"]) is not repairs
