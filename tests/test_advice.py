"""Advice is what the compiler says of the changed descriptor, no more and no less."""

import pytest
import yaml

from infragen.decide import advice
from infragen.decide.advice import LEAST_SHARE, MOST
from infragen.descriptor.source import File, Source
from infragen.pipeline import Compilation, compile_workload
from tests.examples import CATALOG, EXAMPLES, ROOT, TEMPLATES, TODAY

SERVE = {
    "version": 1,
    "name": "chat",
    "task": "serve",
    "model": {"name": "Llama-3.1-70B", "precision": "bf16"},
    "serve": {"input_tokens": 2000, "output_tokens": 500, "requests_per_second": 2, "ttft_ms": 2000, "tpot_ms": 60, "replicas": {"min": 3, "max": 20}, "expose": "none"},
}  # fmt: skip
TUNE = {
    "version": 1,
    "name": "tune",
    "task": "finetune",
    "model": {"name": "Llama-3.1-8B"},
    "train": {"method": "full", "tokens": 2e8, "deadline": "4d"},
    "place": {"regions": ["asia-northeast1", "us-central1"]},
}
BATCH = {
    "version": 1,
    "name": "label",
    "task": "batch-inference",
    "model": {"name": "Llama-3.1-8B", "precision": "bf16"},
    "serve": {"input_tokens": 1000, "output_tokens": 200, "requests": 5e6, "deadline": "1d"},
    "capacity": {"model": "on-demand"},
}
CASES = {"serve": SERVE, "tune": TUNE, "batch": BATCH, "clean": SERVE | {"place": {"optimise": "carbon"}}}
CASES |= {example: yaml.safe_load((ROOT / "examples" / example / "workload.yaml").read_text()) for example in EXAMPLES}


def run(text: str, *settings: str) -> Compilation:
    return compile_workload(Source(File("workload.yaml", text.encode()), (), settings), CATALOG, TEMPLATES, TODAY)


def setting(change: str) -> str:
    path, _, value = change.partition(": ")
    return f"{path}={value}"


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_changed_descriptor_gives_what_the_advice_says(case):
    """Every line of advice, put into the descriptor: the same machines, and the saving to the cent and the gram."""
    text = yaml.safe_dump(CASES[case])
    plan = run(text).plan
    assert 0 < len(plan.advice) <= MOST
    for one in plan.advice:
        if one.change.startswith("a "):  # a purchase, not a line
            continue
        changed = run(text, setting(one.change))
        assert not changed.diagnostics.has_errors, (one.change, [found.message for found in changed.diagnostics])
        then, now = changed.plan.estimate, plan.estimate
        machine = changed.plan.machine.choice
        assert one.takes.startswith(f"{machine.nodes} × ") and machine.type in one.takes
        assert changed.plan.location.choice.region.name in one.takes
        assert one.usd_per_hour == pytest.approx(now.costs.total - then.costs.total, abs=0.005)
        if now.usd_total:
            assert one.usd_total == pytest.approx(now.usd_total.expected - then.usd_total.expected, abs=0.005)
            assert one.hours == pytest.approx(now.train_hours.expected - then.train_hours.expected, abs=1e-6)
        assert (one.kg_co2e_per_hour is None) == (then.kg_co2e_per_hour is None)  # not every chip's power is published
        if then.kg_co2e_per_hour:
            saved = now.kg_co2e_per_hour.expected - then.kg_co2e_per_hour.expected
            assert one.kg_co2e_per_hour == pytest.approx(saved, abs=1e-6)


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_line_saves_something_and_most_comes_first(case):
    plan = run(yaml.safe_dump(CASES[case])).plan
    now = plan.estimate
    usd = [
        (one.usd_total / now.usd_total.expected if now.usd_total else one.usd_per_hour / now.costs.total)
        for one in plan.advice
    ]
    kg = [(one.kg_co2e_per_hour or 0.0) / now.kg_co2e_per_hour.expected for one in plan.advice]
    assert all(max(pair) >= LEAST_SHARE or now.usd_total for pair in zip(usd, kg, strict=True))
    if CASES[case].get("place", {}).get("optimise") == "carbon":
        assert kg == sorted(kg, reverse=True)
    else:
        saving = [share for share in usd if share >= LEAST_SHARE]
        assert saving == sorted(saving, reverse=True) == usd[: len(saving)]


def changes(case: dict) -> str:
    return " ".join(one.change for one in run(yaml.safe_dump(case)).plan.advice)


def test_what_the_work_does_not_allow_is_not_advised():
    """A service is not put on Spot; work on Spot is not advised Spot again; a commitment is for what has no end."""
    assert "spot" not in changes(SERVE)
    assert "spot" in changes(BATCH | {"capacity": {"model": "on-demand"}})
    assert "spot" not in changes(BATCH | {"capacity": {"model": "spot"}})
    assert "commitment" not in changes(TUNE)
    assert "commitment" in changes({**SERVE, "model": {"name": "Llama-3.1-8B", "precision": "int4"}})


def test_lora_is_advised_for_a_full_fine_tune_only():
    assert "train.method: lora" in changes(TUNE)
    assert "train.method: lora" not in changes({**TUNE, "train": TUNE["train"] | {"method": "lora"}})


@pytest.mark.parametrize(
    "case",
    [
        SERVE,
        SERVE | {"capacity": {"interruptible": True}},
        SERVE | {"model": {"name": "Llama-3.1-8B"}, "capacity": {"model": "spot"}},
        BATCH | {"serve": {"input_tokens": 1000, "output_tokens": 200, "concurrent_requests": 40}},
    ],
)
def test_what_costs_too_much_to_be_looked_at_would_not_have_been_advised(case, monkeypatch):
    bounded, decide = run(yaml.safe_dump(case)).plan.advice, advice._decide
    monkeypatch.setattr(advice, "_decide", lambda need, edit, known, usd_below=None: decide(need, edit, known))
    assert bounded == run(yaml.safe_dump(case)).plan.advice != ()
