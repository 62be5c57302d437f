"""What holds for every plan: it does not depend on the order of rows, asking for less costs no more, pins are obeyed."""

import csv
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infragen.decide import machine as machine_rules
from infragen.descriptor.source import File, Source
from infragen.facts.load import Catalog
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, EXAMPLES, ROOT, TEMPLATES, TODAY, compiled

SERVE = """version: 1
name: chat
task: serve
model: {{name: Llama-3.1-8B, precision: {precision}}}
serve: {{input_tokens: {tokens}, output_tokens: 250, max_context_tokens: {context}, requests_per_second: {rate}}}
"""
ORDER = {
    "precision": ["fp8", "bf16"],
    "tokens": [500, 1000, 2000],
    "context": [4096, 8192, 16384],
    "rate": [0.5, 1, 4, 16],
}


def compile_text(text: str, *overlay: str, catalog: Catalog = CATALOG):
    source = Source(File("workload.yaml", text.encode()), (), overlay)
    return compile_workload(source, catalog, TEMPLATES, TODAY)


def cost(**values: object) -> float | None:
    run = compile_text(SERVE.format(**values))
    assert not run.diagnostics.has_errors
    return run.plan.estimate.costs.of("compute")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_asking_for_less_never_costs_more(data):
    more = {key: data.draw(st.sampled_from(choices[1:])) for key, choices in ORDER.items()}
    changed = data.draw(st.sampled_from(sorted(ORDER)))
    less = more | {changed: ORDER[changed][ORDER[changed].index(more[changed]) - 1]}
    assert cost(**less) <= cost(**more) * 1.0001, changed


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory) -> Catalog:
    """The same facts with the rows of every table in another order."""
    folder = tmp_path_factory.mktemp("facts")
    random.seed(7)
    for path in (ROOT / "infragen" / "facts" / "data").glob("*.csv"):
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        random.shuffle(rows)
        with (folder / path.name).open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    return Catalog(folder)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_order_of_rows_changes_nothing(shuffled, example):
    path = ROOT / "examples" / example / "workload.yaml"
    name = str(path)
    again = compile_workload(Source(File(name, path.read_bytes())), shuffled, TEMPLATES, TODAY)
    assert dict(again.files) == dict(compiled(example).files)


@pytest.mark.parametrize("example", EXAMPLES)
def test_same_input_same_bytes(example):
    path = ROOT / "examples" / example / "workload.yaml"
    again = compile_workload(Source(File(str(path), path.read_bytes())), Catalog(), TEMPLATES, TODAY)
    assert dict(again.files) == dict(compiled(example).files)


@pytest.mark.parametrize(
    "machine", ["g2-standard-12", "a2-highgpu-1g", "a3-highgpu-8g", "n1-standard-8", "a2-ultragpu-1g"]
)
def test_a_pinned_machine_is_taken(machine):
    text = SERVE.format(precision="bf16", tokens=500, context=4096, rate=1).replace("bf16", "fp16")
    plan = compile_text(text, f"machine.type={machine}").plan
    assert plan.machine.choice.type == machine


@pytest.mark.parametrize("place", ["us-central1", "europe-west4", "asia-southeast1"])
def test_a_pinned_region_is_taken_and_the_price_is_its_own(place):
    text = SERVE.format(precision="bf16", tokens=500, context=4096, rate=1)
    plan = compile_text(text, f"place.regions=[{place}]", "machine.type=g2-standard-24").plan
    assert plan.location.choice.region.name == place
    price = CATALOG.prices("g2-standard-24")["machine", place, "on_demand"].usd_per_hour
    assert plan.estimate.costs.of("compute") == pytest.approx(price * plan.machine.choice.nodes)


def test_a_number_in_a_row_changes_the_answer(tmp_path):
    """Make the chosen machine dearer than all others in the price table: another one is chosen."""
    chosen = compiled(EXAMPLES[0]).plan.machine.choice.type
    for path in (ROOT / "infragen" / "facts" / "data").glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        if path.name == "prices.csv":
            rows = list(csv.reader(text.splitlines()))
            column = rows[0].index("usd_per_hour")
            for row in rows[1:]:
                row[column] = str(float(row[column]) * (50 if row[0] == chosen else 1))
            text = "\n".join(",".join(row) for row in rows)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    path = ROOT / "examples" / EXAMPLES[0] / "workload.yaml"
    other = compile_workload(Source(File("w.yaml", path.read_bytes())), Catalog(tmp_path), TEMPLATES, TODAY)
    assert other.plan.machine.choice.type != chosen


def test_what_was_not_chosen_is_all_accounted_for():
    """Every machine of the catalogue is the choice, a rejection, or ranked behind the choice."""
    plan = compiled(EXAMPLES[0]).plan
    everything = {one.label for one in machine_rules.machines(CATALOG)}
    rejected = {one.candidate for one in plan.machine.rejected}
    assert rejected < everything
    assert plan.machine.choice.type not in rejected
    assert f"first of {len(everything - rejected)} sufficient" in " ".join(
        reason.text for reason in plan.machine.because
    )
