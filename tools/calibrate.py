"""Predicted beside published figures: the tables of published runs, and what the sizing engine says of each.

`python tools/calibrate.py` rewrites docs/calibration.md; a test holds the page to what the engine says today.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml

from infragen.decide import stage
from infragen.decide.model import Plan, Range
from infragen.decide.sizing.energy import kg_co2e_per_hour, power_kw
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import Node, Shortfall
from infragen.decide.sizing.serving import ServeNeed, size_serving
from infragen.decide.sizing.shape import ModelShape, from_card, from_numbers
from infragen.decide.sizing.training import RUN_FASTEST, WIDEST, TrainNeed, size_training
from infragen.descriptor.model import Model, Workload
from infragen.diagnostics import CompileError, Diagnostics, Severity
from infragen.facts.load import Catalog
from infragen.units import GIB

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "tests" / "sizing"
PAGE = ROOT / "docs" / "calibration.md"
SERVER_GPUS = 8
TODAY = datetime(2026, 11, 21, tzinfo=UTC)
FINETUNING = "hours of finetuning"  # apart from those of pretraining: what was counted as tokens differs by report
KINDS = "fits", "fewest", "hours", FINETUNING, "tokens_per_second", "checkpoint_gb"
QUANTILES = 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95
CHECKPOINT_NEAR = 0.10  # a published size that is this close agrees
NO_MEMORY = "S011"  # what a claim that something does not fit is about
FIRST_ANSWERS = {
    1: "fits 122 of 123, fewest 40 of 40, hours 19 of 29, tokens per second 30 of 42",
    2: "tokens per second 20 of 34",
    3: "fits 37 of 42, fewest 14 of 15, tokens per second 99 of 141",
    4: "hours 21 of 34, hours of finetuning 4 of 11, tokens per second 39 of 50, checkpoint gb 5 of 5",
    5: "hours of finetuning 8 of 18",
    6: "hours 11 of 22",
    7: "tokens per second 10 of 16",
    8: "fits 20 of 29, fewest 6 of 6, tokens per second 50 of 64",
    9: "fits 59 of 60, fewest 9 of 9",
    10: "tokens per second 47 of 60",
}  # of the lists, on the day they were written down and before anything was changed


@dataclass(frozen=True, slots=True)
class Case:
    """One published figure and the range predicted for it; None where the engine refuses."""

    label: str
    published: float
    predicted: Range | None
    note: str
    source: str

    @property
    def is_inside(self) -> bool:
        return self.predicted is not None and self.predicted.low <= self.published <= self.predicted.high


def node(catalog: Catalog, accelerator: str, accelerators: int) -> Node:
    """A VM as clouds offer them: up to eight accelerators, 400 Gbps per accelerator where there are eight."""
    chip = catalog.accelerators[accelerator]
    fabric = 100.0 * accelerators if accelerators >= 4 else 0.0
    return Node(chip, accelerators, 26 * accelerators, 234.0 * accelerators, 100.0, fabric, is_rdma=accelerators >= 8)


def rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def number(cell: str) -> float | None:
    return float(cell) if cell else None


def serving_cases(catalog: Catalog, facts: SizingFacts) -> list[Case]:
    return [_serving(row, catalog, facts) for row in rows("published_serving.csv")]


def _serving(row: dict[str, str], catalog: Catalog, facts: SizingFacts) -> Case:
    need = ServeNeed(
        precision=row["precision"],
        kv_precision=row["kv_precision"] or None,
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        concurrent_requests=int(row["concurrency"]) if row["concurrency"] else None,
        gpu_memory_utilization=float(row["gpu_memory_utilization"]),
        is_batch=not row["concurrency"],
    )
    shape = from_card(catalog.models[row["model"]], facts)
    fit = size_serving(shape, need, node(catalog, row["accelerator"], int(row["accelerators"])), facts, nodes=1)
    batch = row["concurrency"] or "most"
    label = (
        f"{row['model']} {row['precision']}, {row['accelerators']} × {row['accelerator']}, "
        f"{row['input_tokens']}/{row['output_tokens']}, {batch}"
    )
    published = float(row["tokens_per_second"])
    if isinstance(fit, Shortfall):
        return Case(label, published, None, fit.message, row["source"])
    note = f"tp{fit.tensor_parallel} × {fit.replicas}, batch {fit.batch}, {fit.binding}"
    return Case(label, published, fit.tokens_per_second, note, row["source"])


def training_cases(catalog: Catalog, facts: SizingFacts) -> list[Case]:
    return [_training(row, catalog, facts) for row in rows("published_training.csv")]


def _shape(row: dict[str, str], catalog: Catalog, facts: SizingFacts) -> ModelShape:
    if row["model"]:
        return from_card(catalog.models[row["model"]], facts)
    given = Model(parameters=number(row["parameters"]), active_parameters=number(row["active_parameters"]))
    return from_numbers(given, facts)


def _training(row: dict[str, str], catalog: Catalog, facts: SizingFacts) -> Case:
    accelerators = int(float(row["accelerators"]))
    per_vm = 4 if catalog.accelerators[row["accelerator"]].kind == "tpu" else SERVER_GPUS
    need = TrainNeed(
        precision=row["precision"] or None,
        tokens=number(row["tokens"]),
        sequence_length=int(row["sequence_length"]),
        global_batch_tokens=number(row["global_batch_tokens"]),
    )
    vm = node(catalog, row["accelerator"], per_vm)
    fit = size_training(_shape(row, catalog, facts), need, vm, facts, nodes=accelerators // per_vm)
    label = f"{row['run']}, {accelerators} × {row['accelerator']}"
    if isinstance(fit, Shortfall):
        return Case(label, float(row["hours"]), None, fit.message, row["source"])
    note = (
        f"tp{fit.tensor_parallel} pp{fit.pipeline_parallel} dp{fit.data_parallel} {fit.sharding} {fit.recompute}, "
        f"MFU {fit.mfu.expected:.0%}"
    )
    return Case(label, float(row["hours"]), fit.train_hours, note, row["source"])


@dataclass(frozen=True, slots=True)
class Claim:
    """A published claim about a plan, and what the plan says."""

    kind: str  # one of KINDS
    number: int  # of the list that it was written down in
    label: str
    published: str
    planned: str
    agrees: bool
    predicted: Range | None
    source: str
    is_training: bool


@cache
def claims(catalog: Catalog) -> tuple[Claim, ...]:
    """Every claim of the tables of plans, judged by the plan of its descriptor."""
    names = "published_plans.yaml", "published_serving_plans.yaml", "published_training_plans.yaml"
    rows = (row for name in names for row in yaml.safe_load((TABLES / name).read_text(encoding="utf-8")))
    return tuple(_claim(row, catalog) for row in rows)


def _claim(row: dict[str, object], catalog: Catalog) -> Claim:
    kind = next(one for one in KINDS if one in row)
    own = {key: value for key, value in row.items() if key not in (kind, "case", "source", "list")}
    workload, diags = Workload.model_validate({"version": 1, "name": "case"} | own), Diagnostics()
    try:
        plan: Plan | None = stage.run(workload, catalog, TODAY, diags)
    except CompileError:
        plan = None
    codes = sorted({one.code for one in diags if one.severity is Severity.ERROR})
    published, predicted = row[kind], None
    if plan is None:
        planned, agrees = f"refused: {', '.join(codes)}", kind == "fits" and published is False and codes == [NO_MEMORY]
    elif kind == "fits":
        planned, agrees = "fits", published is True
    elif kind == "fewest":
        choice = plan.machine.choice
        count = choice.nodes * choice.accelerators_per_node
        planned, agrees = f"{count:g}", isinstance(published, list) and count in published
    elif kind == "checkpoint_gb":
        assert plan.estimate.checkpoint is not None
        assert isinstance(published, (int, float))
        size = plan.estimate.checkpoint.size_gib * GIB / 1e9
        planned, agrees = f"{size:,.4g}", abs(size / published - 1) <= CHECKPOINT_NEAR
    else:
        predicted = plan.estimate.train_hours if kind == "hours" else plan.estimate.tokens_per_second
        assert predicted is not None
        assert isinstance(published, (int, float))
        planned = " to ".join(f"{one:,.4g}" for one in (predicted.low, predicted.high))
        agrees = predicted.low <= published <= predicted.high
    spelled = " or ".join(map(str, published)) if isinstance(published, list) else f"{published}"
    if kind == "hours" and row["task"] == "finetune":
        kind = FINETUNING
    is_training = "train" in row
    told = int(str(row["list"])), str(row["case"])
    return Claim(kind, *told, spelled, planned, agrees, predicted, str(row["source"]), is_training)


def _claims_section(catalog: Catalog) -> Iterator[str]:
    yield from (
        "## Whole plans: claims that were written down first",
        "",
        "Published claims as descriptors (`tests/sizing/published*_plans.yaml`), planned as `infragen plan` does: machine",
        "types, places, capacity and ranking included. Each list was written down before the engine was asked; the first",
        "answers, before anything was changed, were:",
        "",
        *(f"- list {number}: {text}" for number, text in FIRST_ANSWERS.items()),
        "",
        "List 2 is training by the maker of the chips and serving of mixtures of experts. Left out of it are figures of one",
        "fixed layout over eight accelerators without a switch: the plan takes another layout there. List 3 is serving: engines",
        "from 2023 to 2026, bursts of 500 and 1,000 requests at an untuned engine (33 descriptors that first left that number",
        "out, so that the end of so short a job was not counted), one request at a time, TPUs, and what model cards and",
        "tutorials say fits. List 4 is training: pretraining, finetuning and measured steps; list 5 is more finetuning, written",
        "down when list 4 had shown how much longer small data sets take by the token. Constants were then changed where many cases leaned the same way, never",
        "for one case. List 6 is the test of what came of it: pretraining by smaller teams, after which nothing about hours was",
        "changed. List 7 is steps on racks, which moved the centre of two architectures that had been judgement. List 8 is the part",
        "of list 3, drawn by lot when it was written, that was kept aside until serving had been fitted to the rest: its first",
        "answers are those of the changed engine. After them came what engines hold back of memory, models that were missing,",
        "the slow end of ranges and the end of short jobs. List 9 is what newer models are said to fit, written down when all of",
        "that was done; list 10 is throughput drawn by lot from what of one maker's tables stood in no list yet. Of the 13 that",
        "disagreed in it at first, 11 are one fixed layout over four or eight accelerators without a switch: the plan lays more",
        "copies of the model over fewer each, and the table's own figure for one card shows for Llama 70B that eight copies are",
        "faster. After it, reading and computing were taken in turn where a step is many experts' small products. Today:",
        "",
        "| claim | list | agree | of |",
        "|---|---:|---:|---:|",
    )
    every = claims(catalog)
    for kind in KINDS:
        for number in sorted({one.number for one in every if one.kind == kind}):
            some = [one for one in every if (one.kind, one.number) == (kind, number)]
            yield f"| {kind.replace('_', ' ')} | {number} | {sum(one.agrees for one in some)} | {len(some)} |"
    yield from (
        "",
        "Those that disagree:",
        "",
        "| claim | case | published | planned | source |",
        "|---|---|---:|---:|---|",
    )
    for one in every:
        if not one.agrees:
            yield f"| {one.kind.replace('_', ' ')} | {one.label} | {one.published} | {one.planned} | {one.source} |"
    yield ""


def ratios(catalog: Catalog, facts: SizingFacts) -> dict[str, list[float]]:
    """Published over expected figures of every table, ascending: pretraining, finetuning, steps."""
    told: dict[str, list[float]] = {"hours": [], FINETUNING: [], "tokens_per_second": []}
    every = claims(catalog)
    for one in every:
        if one.predicted and one.kind in told and one.is_training:
            told[one.kind].append(float(one.published) / one.predicted.expected)
    told["hours"] += [
        case.published / case.predicted.expected for case in training_cases(catalog, facts) if case.predicted
    ]
    return {kind: sorted(values) for kind, values in told.items()}


def _width_section(catalog: Catalog, facts: SizingFacts) -> Iterator[str]:
    yield from (
        "## How wide hours are, and why",
        "",
        "Published over expected, over all lists and the table of runs below:",
        "",
        f"| | of | {' | '.join(f'{one:.0%}' for one in QUANTILES)} |",
        f"|---|---:|{'---:|' * len(QUANTILES)}",
    )
    labels = {"hours": "hours of pretraining", FINETUNING: FINETUNING, "tokens_per_second": "steps: tokens per second"}
    for kind, values in ratios(catalog, facts).items():
        cells = " | ".join(f"{values[min(len(values) - 1, int(one * len(values)))]:.2f}" for one in QUANTILES)
        yield f"| {labels[kind]} | {len(values)} | {cells} |"
    yield from (
        "",
        "Runs at the same settings differ by more than any step does: software of another year, a team's tuning, restarts, what",
        "a report counts as the run. A range of less than what published runs span would claim to know what a descriptor does not",
        f"say, one of more than {WIDEST:g} would be of little use. All hours are therefore {RUN_FASTEST:g} to {RUN_FASTEST * WIDEST:.3g} times the expected",
        "ones: the window of that width which holds most published runs. Steps of benchmarks vary less; their ranges are those of",
        "the architecture.",
        "",
        "Every finetuning run here on less than a billion tokens took longer than arithmetic says, the smaller the more: short",
        "samples are padded, evaluated, saved between, and their tokens counted before padding. Hours therefore grow with the power",
        "0.7 of tokens up to there. Even so runs of some million tokens lie as much as ten times apart; no range of 2.5 holds them.",
        "",
    )


def energy_cases(catalog: Catalog, facts: SizingFacts) -> tuple[list[Case], list[Case]]:
    """MWh and t CO2e of published runs beside those of as many accelerator-hours here; the second at the grid factor that they state."""
    energy, emissions = [], []
    for row in rows("published_energy.csv"):
        power = power_kw(catalog.accelerators[row["accelerator"]], 1, "training", facts)
        assert power is not None
        mwh = power.scaled(float(row["accelerator_hours"]) / 1000)
        note = f"{row['basis']}{', PUE ' + row['pue'] if row['pue'] else ''}"
        label = f"{row['run']}, {float(row['accelerator_hours']):,.0f} {row['accelerator']} hours"
        energy.append(Case(label, float(row["mwh"]), mwh, note, row["source"]))
        grid = number(row["grid_g_co2e_per_kwh"])
        if grid:
            note = f"{note}, {grid:g} g a kWh"
            emissions.append(Case(label, float(row["t_co2e"]), kg_co2e_per_hour(mwh, grid), note, row["source"]))
    return energy, emissions


def _energy_section(catalog: Catalog, facts: SizingFacts) -> list[str]:
    energy, emissions = energy_cases(catalog, facts)
    return [
        "## Energy and emissions of published runs",
        "",
        "From the accelerator-hours that a report states: power of training here, PUE of 1.08 to 1.12 included, times those hours. Where",
        "the report *measured*, it did so at the meter of the machines and added its own PUE (the power of V100 and of the TPUs here",
        "is taken from the same study, so that these rows are no blind test). Most model cards multiply hours by the *rated* power of",
        "the accelerator and leave hosts, and often PUE, out: such a figure lies in the lower half of a range that has them, and one",
        "metered at the accelerators themselves lies at or below its lower end. t CO2e is",
        "MWh times the grid factor that the report states, or that follows from its own figures. The row of GPT-3 was checked against",
        "its source; the others are recalled, and their hours, energy and emissions agree with each other. Runs whose report gives no",
        "accelerator-hours (Gopher, OLMo) cannot be compared.",
        "",
        *_table("Energy", "MWh", energy)[2:],
        *_table("Emissions", "t CO2e", emissions)[2:],
    ]


def page(catalog: Catalog, facts: SizingFacts) -> str:
    """The text of docs/calibration.md."""
    training, serving = training_cases(catalog, facts), serving_cases(catalog, facts)
    return "\n".join(
        (
            "# Calibration of the sizing engine",
            "",
            "Predicted beside published. This page is generated by `python tools/calibrate.py`; a test keeps it true. The",
            "published figures stand in `tests/sizing/*.csv` with their sources; the constants that the predictions come from",
            "stand in `infragen/facts/data` (`training_efficiency.csv`, `serving_efficiency.csv`, `runtime_overheads.csv`).",
            "",
            "How to read it: a prediction is a range (low, expected, high). Hours are those of whole runs, restarts included,",
            "2.5 times wide; tokens per second are output tokens of one deployment at the stated number of requests in",
            "flight, or at the most that memory holds. No constant belongs to one case: there is one row per chip architecture.",
            "",
            "Sources: throughput tables were read in the projects' own pages; figures of training runs are carried from the",
            "cited reports, some from memory, and cluster sizes that a report leaves open are marked. The constants were",
            "set with the tables of runs and of serving in view, so they show the fit of one model of reality, not a blind",
            "test of it; how blind answers were stands with the whole plans.",
            "",
            "What is known to lie outside, and why: runs by a few people on one well-tuned machine finish faster than any plan",
            "should promise (nanochat); the OPT-175B logbook records months of hardware trouble; small models distilled from large",
            "ones count the work of the large ones (Llama 3.2); models of fp8 by the maker of the chips beat public stacks; encoders",
            "of 2018 ran on software of 2018 (BERT); engines of 2023 reached half of today's throughput (Llama-2-70B with static",
            "batches).",
            "",
            *_claims_section(catalog),
            *_width_section(catalog, facts),
            *_table("Training: hours of published runs", "h", training),
            *_table("Serving: output tokens per second", "tokens/s", serving),
            *_energy_section(catalog, facts),
        )
    )


def _table(title: str, unit: str, cases: list[Case]) -> list[str]:
    inside = sum(case.is_inside for case in cases)
    return [
        f"## {title}",
        "",
        f"{inside} of {len(cases)} inside the predicted range.",
        "",
        f"| case | published, {unit} | low | expected | high | inside | layout | source |",
        "|---|---:|---:|---:|---:|---|---|---|",
        *(_row(case) for case in cases),
        "",
    ]


def _row(case: Case) -> str:
    predicted = case.predicted
    figures = [f"{one:,.0f}" for one in (predicted.low, predicted.expected, predicted.high)] if predicted else ["–"] * 3
    cells = (case.label, f"{case.published:,.0f}", *figures, "yes" if case.is_inside else "no", case.note, case.source)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    catalog = Catalog()
    PAGE.write_text(page(catalog, SizingFacts(catalog)), encoding="utf-8")


if __name__ == "__main__":
    main()
