"""The proof of a choice: what limits it, why less will not do, what would change it, and what a pin costs or lacks."""

import pytest

from infragen import units
from infragen.descriptor.source import File, Source
from infragen.pipeline import Compilation, compile_workload
from infragen.render import text
from tests.examples import CATALOG, TEMPLATES, TODAY

SERVE = """version: 1
name: chat
task: serve
model: {{name: {model}}}
serve: {{{serve}}}
machine: {{{machine}}}
"""
TRAIN = """version: 1
name: run
task: {task}
model: {{name: Llama-3.1-8B}}
train: {{{train}}}
machine: {{{machine}}}
"""
CHAT = "input_tokens: 2000, output_tokens: 500, max_context_tokens: 8192, requests_per_second: 4, tpot_ms: 50"


def compiled(written: str) -> Compilation:
    return compile_workload(Source(File("workload.yaml", written.encode()), (), ()), CATALOG, TEMPLATES, TODAY)


def served(model: str = "Llama-3.1-70B", serve: str = CHAT, machine: str = "accelerators: [A100-80GB]") -> Compilation:
    return compiled(SERVE.format(model=model, serve=serve, machine=machine))


def warnings(run: Compilation) -> dict[str, str]:
    return {one.code: f"{one.message}: {one.label}: {one.help}" for one in run.diagnostics}


def test_one_machine_fewer_and_the_next_smaller_are_told_with_what_they_lack() -> None:
    decision = served().plan.machine
    assert decision.choice.nodes > 1
    reasons = " | ".join(one.text for one in decision.because)
    assert (
        f"{decision.choice.nodes - 1} instead of {decision.choice.nodes} × {decision.choice.type} will not do"
        in reasons
    )
    assert "the next smaller, a2-ultragpu-1g, will not do: " in reasons
    assert "GiB short per accelerator" in reasons


def test_what_limits_and_the_room_on_every_limit_are_told() -> None:
    estimate = served().plan.estimate
    assert {one.constraint for one in estimate.margins} == {"memory", "tpot", "rate"}
    assert all(one.share > 0 for one in estimate.margins)
    assert estimate.binding in {"compute", "bandwidth", "memory", "tpot"}


def test_what_would_change_the_choice_is_sized() -> None:
    assert "with `serve.requests_per_second: 8`, " in " | ".join(served().plan.machine.would_change)
    job = compiled(TRAIN.format(task="finetune", train="tokens: 10e9, deadline: 2d", machine="type: a2-highgpu-8g"))
    assert "with half the deadline (24 h), " in " | ".join(job.plan.machine.would_change)


def test_a_change_is_told_once() -> None:
    """What is advised was decided anew as a whole; beside it, the same change of this series alone would contradict it."""
    for plan in (
        served().plan,
        compiled(
            TRAIN.format(
                task="finetune", train="method: full, tokens: 10e9, deadline: 2d", machine="accelerators: [h100]"
            )
        ).plan,
    ):
        advised = [f"`{one.change}`" for one in plan.advice]
        told = (*plan.machine.would_change, *plan.location.would_change)
        assert advised and told
        assert not [text for text in told for line in advised if line in text]
    assert "`model.precision: int8`" in {f"`{one.change}`" for one in served().plan.advice}


def test_a_pin_that_wastes_warns_with_the_saving() -> None:
    found = warnings(served(model="Llama-3.1-8B", machine="type: a3-highgpu-8g, count: 1"))["M020"]
    assert "is more than is needed" in found
    assert "% can be saved" in found


def test_a_pin_that_cannot_work_names_what_can() -> None:
    run = served(model="Llama-3.1-405B", machine="type: a2-highgpu-8g, count: 1")
    assert run.plan is None
    found = warnings(run)["S011"]
    assert "GiB short per accelerator on 8 × A100-40GB" in found
    assert "these can: " in found
    assert "a4-highgpu-8g" in found


@pytest.mark.parametrize(
    ("accelerator", "is_tight"), [("type: a2-ultragpu-1g, count: 1", True), ("type: a2-ultragpu-2g, count: 1", False)]
)
def test_full_memory_is_a_warning(accelerator: str, is_tight: bool) -> None:
    run = compiled(
        "version: 1\nname: chat\ntask: serve\nmodel: {name: Llama-3.1-70B, precision: fp8}\n"
        f"serve: {{max_context_tokens: 4096}}\nmachine: {{{accelerator}}}\n"
    )
    assert run.plan is not None
    assert ("M021" in warnings(run)) == is_tight


def test_the_cache_is_what_is_asked_for() -> None:
    """Not the pool that is left: one request of 8,192 tokens takes 1 GiB, 64 of them 64 GiB."""
    one = served(model="Llama-3.1-8B", serve="max_context_tokens: 8192", machine="type: a2-ultragpu-2g, count: 1")
    many = served(
        model="Llama-3.1-8B", serve="max_context_tokens: 8192, concurrent_requests: 64",
        machine="type: a2-ultragpu-2g, count: 1",
    )  # fmt: skip
    small, large = one.plan.estimate.memory, many.plan.estimate.memory
    copies = one.plan.machine.choice.replicas_per_node
    assert small.kv_cache == pytest.approx(copies / 2, rel=0.01)
    assert large.kv_cache == pytest.approx(32, rel=0.05)


def test_copies_that_share_a_machine_are_told() -> None:
    run = served(model="Llama-3.1-8B", serve="replicas: {min: 2}", machine="type: g2-standard-24")
    assert "2 copies of the model share 1 VM" in " ".join(run.plan.estimate.assumptions)


def test_a_quantised_variant_says_what_it_was_taken_for() -> None:
    name = "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"
    run = served(model=name, serve="", machine="type: a2-ultragpu-1g, count: 1")
    assert "the name says int4" in " ".join(run.plan.estimate.assumptions)
    assert run.plan.estimate.memory.weights < 45


def test_slices_without_known_zones_are_sized() -> None:
    machine = "type: ct3p-hightpu-4t, count: 32"
    run = compiled(TRAIN.format(task="pretrain", train="tokens: 1e12", machine=machine))
    assert run.plan.estimate.train_hours is not None
    assert not run.diagnostics.has_errors


def test_small_jobs_take_one_accelerator() -> None:
    run = compiled(TRAIN.format(task="finetune", train="method: lora, tokens: 50e6", machine=""))
    choice = run.plan.machine.choice
    assert choice.nodes * choice.accelerators_per_node == 1


UNPRICED = [
    # a machine and a capacity model, and what is said of the first machine and the first region
    ("series: [a3-edge, a4x]", "{model: reservation, name: x}", "K005 first by emissions of 2", "K005 first by emissions of 14"),
    ("type: a3-edgegpu-8g", "{}", "K001 the only sufficient machine", "K005 first by emissions of 14"),
    ("type: g2-standard-24", "{}", "K001 the only sufficient machine", "K001 first of "),
]  # fmt: skip


@pytest.mark.parametrize(("machine", "capacity", "first", "place"), UNPRICED)
def test_where_no_price_is_known_what_decided_instead_is_told(
    machine: str, capacity: str, first: str, place: str
) -> None:
    plan = compiled(SERVE.format(model="Llama-3.1-8B", serve=CHAT, machine=machine) + f"capacity: {capacity}\n").plan
    for decision, words in ((plan.machine, first), (plan.location, place)):
        said = [f"{one.rule} {one.text.partition(': ')[2]}" for one in decision.because if one.rule.startswith("K0")]
        assert any(one.startswith(words) for one in said), said
        assert ("price unknown" in " ".join(one.text for one in decision.because)) == ("g2" not in machine)


JOB = "method: qlora, tokens: 50e6, sequence_length: 4096, deadline: 12h"


def test_what_costs_about_the_same_is_measured_against_what_can_be_had_as_asked() -> None:
    """Cheap machines that are sold on Spot alone, which nobody asked for, do not make the others dear."""
    run = compiled(TRAIN.format(task="finetune", train=JOB, machine="").replace("Llama-3.1-8B", "Qwen2.5-32B"))
    decision = run.plan.machine
    cheapest = min(one.usd_total for one in decision.alternatives if one.is_last_resort and one.usd_total)
    assert cheapest < 0.5 * decision.ranked.usd_total
    (close,) = [one.text for one in decision.because if one.rule == "K004"]
    fewer, _, more = close.partition(" instead of ")
    assert int(fewer) == decision.choice.nodes * decision.choice.accelerators_per_node < int(more.split()[0])


def test_the_next_smaller_than_one_machine_has_fewer_of_the_same_accelerators() -> None:
    slower = JOB.replace("12h", "36h")
    run = compiled(
        TRAIN.format(task="finetune", train=slower, machine="accelerators: [a100-40gb]").replace("8B", "70B")
    )
    choice = run.plan.machine.choice
    assert (choice.nodes, choice.accelerators_per_node > 1) == (1, True)
    (text,) = [one.text for one in run.plan.machine.because if "the next smaller" in one.text]
    smaller = CATALOG.machines[text.split()[3].rstrip(",")]
    assert smaller.accelerator == choice.accelerator.name
    assert smaller.accelerators < choice.accelerators_per_node


H100 = SERVE.format(model="Llama-3.1-8B", serve="requests_per_second: 1", machine="accelerators: [h100]")


def test_a_cheaper_machine_that_is_not_had_on_demand_is_told_with_its_price() -> None:
    """Smaller machines of the accelerator are sold as Spot or queued only: the larger one is taken, and says what it passes over."""
    plan = compiled(H100).plan
    assert (plan.machine.choice.type, plan.capacity.choice.model) == ("a3-highgpu-8g", "on-demand")
    told = {one.rule: one.text for one in plan.machine.because}["C009"]
    assert "1 × a3-highgpu-1g would do for less, and is not sold on demand; as spot: machines " in told
    words = text.explain(plan, "machine", "a3-highgpu-1g")
    assert "not on demand but as spot, and comes last unless that is asked for (C009" in words
    asked = compiled(H100.replace("accelerators: [h100]", "type: a3-highgpu-1g") + "capacity: {model: spot}\n").plan
    assert f"machines {units.usd(asked.estimate.costs.of('compute'))} an hour" in told
    assert "C009" not in {one.rule for one in asked.machine.because}


def test_what_is_not_sold_on_demand_is_no_change_of_the_need() -> None:
    """A smaller precision does not need fewer accelerators where the present one does not either."""
    assert not [one for one in compiled(H100).plan.machine.would_change if "precision" in one]
