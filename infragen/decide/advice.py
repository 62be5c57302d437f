"""What would be cheaper, faster or cleaner: changes to the descriptor, each decided anew and compared.

A source of advice is a function that proposes edits; it knows nothing of prices. Every edit goes through the same rules,
sizing and ranking as the descriptor itself, so what is printed is what `infragen plan` would say of the changed file.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide.candidates import Joined, Market, allowed, join
from infragen.decide.machine import machines
from infragen.decide.model import Advice
from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Machine, Need
from infragen.decide.outline import Outline, tried
from infragen.decide.pricing import committed_price, least_price
from infragen.decide.rank import Candidate, first
from infragen.decide.rule import Narrowed
from infragen.decide.sizing.node import Shortfall
from infragen.decide.sizing_of import SHORTFALLS, asked_of, fit, narrow, shape
from infragen.descriptor.model import CapacityModel, Workload
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.model import ModelCard
from infragen.units import day, duration

ADVICE = declare(
    "K007",
    "computed-advice",
    """Say which change of the descriptor would save most, by deciding the changed descriptor.

    Why: general advice is free and often wrong for the case at hand; a computed saving can be weighed against what it asks.
    Example: `model.precision: fp8` is listed where two machines then do what three did, with the dollars and the emissions
    that this saves; where it saves nothing it is not listed.
    """,
    source="design decision",
)
MOST = 5
LEAST_SHARE = 0.02  # of the cost, or of the emissions, that a change must save to be worth a line
SMALLER = 0.6  # of the parameters, that a smaller model has at most
AS_CHEAP = 1 + 1e-6  # times the least cost, up to which other figures tell candidates apart
RELAXED = 2.0  # times the limit of a latency or of a deadline
YEARS = (1, 3)
HALVED = {None: "fp8", "bf16": "fp8", "fp16": "fp8", "fp8": "int4", "int8": "int4"}  # precision -> the next smaller


class Edit(Struct, frozen=True):
    """A change of the descriptor: its line, what it asks of people, and the descriptor as changed."""

    line: str
    because: str
    workload: Workload


Source = Callable[[Need, Candidate], Iterator[Edit]]


def _changed(workload: Workload, path: str, value: Any) -> Workload:
    """The descriptor with another value at ``section.field``."""
    section, _, field = path.partition(".")
    found = getattr(workload, section)
    return workload.model_copy(update={section: found.model_copy(update={field: value})})


def _edit(need: Need, path: str, value: Any, because: str, shown: str = "") -> Edit:
    return Edit(f"{path}: {shown or value}", because, _changed(need.workload, path, value))


def quantise(need: Need, best: Candidate) -> Iterator[Edit]:
    """Weights and cache in the next smaller format."""
    given = need.workload.model
    if need.workload.task in SERVING_TASKS and given and given.precision in HALVED:
        precision = HALVED[given.precision]
        chip = best.fit.machine.accelerator
        if precision == "fp8" and chip and "fp8" not in chip.native_formats:
            precision = "int8"
        yield _edit(
            need, "model.precision", precision, "half the bytes to hold and to read; measure the answers' quality"
        )


def adapters(need: Need, best: Candidate) -> Iterator[Edit]:
    """LoRA instead of training every weight."""
    train = need.workload.train
    if need.workload.task == "finetune" and train and train.method == "full":
        yield _edit(
            need, "train.method", "lora", "adapters train a hundredth of the weights; enough for most fine-tuning"
        )


def smaller_model(need: Need, best: Candidate) -> Iterator[Edit]:
    """The next smaller model of the family."""
    given, now = need.workload.model, need.shape
    if given is None or given.name is None or now is None or need.workload.task not in SERVING_TASKS:
        return
    card = need.catalog.models.get(now.name)
    found = _next_smaller(card, need.catalog.models.values()) if card else None
    if found:
        size = f"{found.parameters / 1e9:.3g} instead of {card.parameters / 1e9:.3g} billion parameters" if card else ""
        yield _edit(need, "model.name", found.name, f"{size}; distil or evaluate it for the task first")


def _next_smaller(card: ModelCard, cards: Iterable[ModelCard]) -> ModelCard | None:
    """The largest that is clearly smaller, of those whose names agree for longest."""
    smaller = [
        one
        for one in cards
        if (one.family, one.modality) == (card.family, card.modality) and one.parameters <= SMALLER * card.parameters
    ]
    return max(smaller, key=lambda one: (_agreement(one.name, card.name), one.parameters, one.name), default=None)


def _agreement(one: str, other: str) -> int:
    """Characters that two names begin with in common."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def tpu(need: Need, best: Candidate) -> Iterator[Edit]:
    """Accelerators of the other kind, which are not chosen unasked."""
    asked, chip = need.workload.machine, best.fit.machine.accelerator
    if chip is None or chip.kind != "gpu" or asked.type or asked.topology or asked.accelerators_per_node:
        return
    names = sorted({one.family for one in need.catalog.accelerators.values() if one.kind == "tpu" and one.offered})
    because = "the program must run on XLA; sized and priced, Terraform for it is not written yet"
    yield _edit(need, "machine.accelerators", names, because, "[CHIP]")


def spot(need: Need, best: Candidate) -> Iterator[Edit]:
    """Capacity that can be taken back, for work that has checkpoints or independent parts."""
    if need.workload.task != "serve" and best.model not in ("spot", "reservation", "future-reservation", "calendar"):
        saved = (
            "the run resumes from its last checkpoint"
            if need.workload.task in TRAINING_TASKS
            else "its part is done again"
        )
        yield _edit(need, "capacity.model", "spot", f"a machine can be taken within 30 s; {saved}")


def flex_start(need: Need, best: Candidate) -> Iterator[Edit]:
    """Capacity that is waited for."""
    if best.fit.train_hours is not None and need.workload.capacity.model in ("on-demand", "spot"):
        yield _edit(
            need,
            "capacity.model",
            "flex-start",
            "starts when there is room, and then runs undisturbed for up to 7 days",
        )


def place(need: Need, best: Candidate) -> Iterator[Edit]:
    """Another aim, and other regions than those named, within the residency."""
    asked = need.workload.place
    for aim, what in (("carbon", "the cleanest place that has the machines"), ("cost", "the cheapest place")):
        if asked.optimise != aim:
            yield _edit(need, "place.optimise", aim, what)
    if asked.regions and not asked.zones and not need.workload.capacity.zone:
        free = need.workload.model_copy(update={"place": asked.model_copy(update={"regions": None})})
        yield Edit("place.regions: [REGION]", "the data and the users must allow the region", free)


def replicas(need: Need, best: Candidate) -> Iterator[Edit]:
    """Fewer machines that wait for traffic."""
    serve = need.workload.serve
    asked = serve.replicas if serve else None
    if asked and asked.min and asked.min > 1:
        changed = asked.model_copy(update={"min": 1})
        yield Edit(
            "serve.replicas.min: 1",
            "the traffic given needs no more; one replica is no protection against the loss of a machine",
            _changed(need.workload, "serve.replicas", changed),
        )


def batching(need: Need, best: Candidate) -> Iterator[Edit]:
    """Larger batches, where time allows."""
    serve, train = need.workload.serve, need.workload.train
    if serve and serve.tpot_ms and need.workload.task == "serve":
        slower = serve.tpot_ms * RELAXED
        yield _edit(need, "serve.tpot_ms", slower, "larger batches share each reading of the weights", f"{slower:g}")
    for section, found in (("serve", serve), ("train", train)):
        deadline = found.deadline if found else None
        if deadline:
            later = deadline * RELAXED
            yield _edit(need, f"{section}.deadline", later, "fewer machines work longer", duration(later))


SOURCES: tuple[Source, ...] = (quantise, adapters, smaller_model, tpu, spot, flex_start, place, replicas, batching)


class Known(Struct, frozen=True, dict=True):  # a dictionary: what is allowed is listed once
    """What deciding the descriptor itself has found out, and edits need not ask again."""

    joined: Joined
    market: Market
    least: dict[
        tuple[str, tuple[CapacityModel, ...]], float
    ] = {}  # what one machine costs an hour where it is cheapest

    def usd_at_least(self, need: Need, box: Machine, vms: int = 0) -> float:
        """USD an hour that so many machines cost at the least; without a number as few as the replicas asked for take."""
        key = box.label, _ways(need)
        if key not in self.least:
            self.least[key] = least_price(need.catalog, box.record, box.host, key[1])
        asked = need.workload.serve.replicas if need.workload.serve else None
        fewest = math.ceil((asked.min if asked and asked.min else 1) / max(box.record.accelerators, 1))
        return (vms or fewest) * self.least[key]

    @cached_property
    def allowed(self) -> tuple[Machine, ...]:
        """The machines that the descriptor allows: those that do the work, and those that sizing found wanting."""
        fits = self.joined.fits
        wanting = (one.candidate.machine for one in fits.removed if one.rule.id in SIZING_RULES)
        return (*(one.machine for one in fits.kept), *wanting)


SIZING_RULES = frozenset(rule.id for rule in SHORTFALLS.values())
SIZED = ("model", "serve", "train", "data", "machine")  # sections of the descriptor that sizing reads


def _decide(need: Need, edit: Edit, known: Known, usd_below: float | None = None) -> tuple[Need, Candidate] | None:
    """What would be chosen for the changed descriptor; None where nothing would do, or nothing for less than ``usd_below``."""
    changed = edit.workload
    is_same = all(getattr(changed, part) is getattr(need.workload, part) for part in SIZED)
    model = need.shape if changed.model is need.workload.model else shape(changed, need.catalog, Diagnostics())
    varied = replace(need, workload=changed, shape=model)
    is_placed = changed.place.model_copy(update={"optimise": need.workload.place.optimise}) == need.workload.place
    market = known.market if is_placed else known.market.moved(varied)
    if is_same and changed.capacity is need.workload.capacity:
        found = known.joined.candidates if is_placed else join(varied, known.joined.fits, market).candidates
    else:
        is_free = changed.machine is not need.workload.machine
        boxes = allowed(varied, machines(need.catalog, changed.machine.type)).kept if is_free else known.allowed
        if usd_below is None:
            found = join(varied, narrow(varied, Narrowed(boxes)), market).candidates
        else:
            found = _cheapest(varied, boxes, known, market, usd_below)
    return (varied, first(found, changed.place.optimise)) if found else None


def _cheapest(
    need: Need, boxes: Iterable[Machine], known: Known, market: Market, usd_below: float
) -> tuple[Candidate, ...]:
    """The candidates of a service among which the cheapest is; none where it costs ``usd_below`` or more an hour.

    The machines that may cost least come first, and none is looked at that costs more than what has been found.
    """
    found: list[Candidate] = []
    asked, most = asked_of(need), usd_below
    for floor, box in sorted(((known.usd_at_least(need, box), box) for box in boxes), key=lambda one: one[0]):
        if floor >= most:
            break
        fitting = fit(need, asked, box)
        if isinstance(fitting, Shortfall) or known.usd_at_least(need, box, fitting.nodes) >= most:
            continue
        joined = join(need, Narrowed((fitting,)), market).candidates
        found += joined
        most = min((most, *(one.usd * AS_CHEAP for one in joined if one.usd is not None and not one.is_last_resort)))
    best = first(found, "cost") if found else None
    return tuple(found) if best and best.usd is not None and best.usd < usd_below else ()


def _ways(need: Need) -> tuple[CapacityModel, ...]:
    """The ways in which machines may be had; what a service that must not be cut off is not given is left out."""
    asked = need.workload.capacity
    if asked.model:
        return (asked.model,)
    is_lasting = need.workload.task == "serve" and not asked.interruptible and asked.start is None
    return ("on-demand",) if is_lasting else get_args(CapacityModel)


def changes(need: Need, best: Candidate, known: Known) -> Iterator[tuple[str, Outline]]:
    """Every change that gives a plan, with that plan: what limits are measured against."""
    for source in SOURCES:
        for edit in source(need, best):
            found = _decide(need, edit, known)
            other = tried(*found) if found else None
            if other:
                yield f"`{_line(edit, other.candidate)}`", other


def _line(edit: Edit, found: Candidate) -> str:
    """The line to write, with what only the decision knows."""
    chip = found.fit.machine.accelerator
    return edit.line.replace("REGION", found.site.region.name).replace("CHIP", chip.family if chip else "")


def advise(need: Need, chosen: Outline, known: Known) -> tuple[Advice, ...]:
    """The changes that save most, at most five, by what the descriptor optimises."""
    best, optimise = chosen.candidate, need.workload.place.optimise
    is_bounded = (
        optimise == "cost" and best.fit.train_hours is None and best.usd is not None and not best.is_last_resort
    )
    bound = (best.usd or 0.0) * (1 - LEAST_SHARE) if is_bounded else None
    found: list[tuple[float, Edit, Need, Candidate]] = []
    for source in SOURCES:
        for edit in source(need, best):
            decision = _decide(need, edit, known, bound)
            if decision and _is_comparable(decision[1], best):
                found.append((_machines_saving(best, decision[1], optimise), edit, *decision))
    worth = sorted((one for one in found if one[0] >= LEAST_SHARE), key=lambda one: (-one[0], one[1].line))
    bills = ((edit, tried(varied, other)) for _, edit, varied, other in worth[:MOST])
    listed = [_advice(edit, other, chosen) for edit, other in bills if other]
    ordered = sorted(
        (*listed, *_commitments(need, chosen)), key=lambda one: (*_order(one, chosen, optimise), one.change)
    )
    kept: dict[tuple[object, ...], Advice] = {}
    for one in ordered:
        if max(_shares(one, chosen)) >= LEAST_SHARE:
            kept.setdefault((one.takes, one.usd_per_hour, one.hours, one.kg_co2e_per_hour), one)
    return tuple(kept.values())[:MOST]


def _is_comparable(one: Candidate, best: Candidate) -> bool:
    """Whether it has a price, and is not a way to have machines that nobody asked for."""
    return one.usd is not None and (best.is_last_resort or not one.is_last_resort)


def _machines_saving(best: Candidate, other: Candidate, optimise: str) -> float:
    """Share that the machines save of what the descriptor optimises: what decides which changes a bill is made for.

    Where dollars are the aim and none are saved, a tenth of the share of the emissions: listed after what saves dollars.
    """
    usd = 1 - other.usd / best.usd if best.usd and other.usd is not None else 0.0
    kg = 1 - other.kg / best.kg if best.kg and other.kg is not None else 0.0
    return {"cost": usd if usd >= LEAST_SHARE else kg / 10, "carbon": kg, "balanced": usd + kg}[optimise]


def _advice(edit: Edit, other: Outline, chosen: Outline) -> Advice:
    """What the change would save; a negative saving is a price."""
    one, best = other.candidate, chosen.candidate
    total, was = other.usd_total, chosen.usd_total
    is_job = was is not None
    hours = (
        best.fit.train_hours.expected - one.fit.train_hours.expected
        if best.fit.train_hours and one.fit.train_hours
        else None
    )
    kg, kg_was = one.kg_co2e_per_hour, best.kg_co2e_per_hour
    return Advice(
        change=_line(edit, one),
        because=edit.because,
        takes=f"{one.fit.nodes} × {one.fit.machine.label} as {one.model} in {one.site.region.name}",
        usd_per_hour=_less(chosen.usd_per_hour, other.usd_per_hour),
        usd_total=was.expected - total.expected if was and total else None,
        hours=hours,
        kg_co2e_per_hour=_less(kg_was.expected if kg_was else None, kg.expected if kg else None),
        kg_co2e_total=_less(best.kg, one.kg) if is_job else None,
    )


def _less(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _shares(one: Advice, chosen: Outline) -> tuple[float, float]:
    """Shares of the plan's cost and of its emissions that are saved: of the job, or of an hour."""
    total, kg = chosen.usd_total, chosen.candidate.kg
    usd, saved = (total.expected, one.usd_total) if total else (chosen.usd_per_hour, one.usd_per_hour)
    kg_saved = one.kg_co2e_total if total else one.kg_co2e_per_hour
    return (saved / usd if usd and saved is not None else 0.0, kg_saved / kg if kg and kg_saved is not None else 0.0)


def _order(one: Advice, chosen: Outline, optimise: str) -> tuple[float, float]:
    """Most saved first: by dollars, and what saves none of them by emissions; by both, or by emissions, where those are the aim."""
    usd, kg = _shares(one, chosen)
    if optimise == "carbon":
        return -kg, -usd
    if optimise == "balanced":
        return -(usd + kg), -usd
    return (-usd, -kg) if usd >= LEAST_SHARE else (0.0, -kg)


def _commitments(need: Need, chosen: Outline) -> Iterator[Advice]:
    """A commitment to pay for years, where the work has no end and the machines are had on demand."""
    best = chosen.candidate
    if (
        best.model != "on-demand"
        or best.fit.train_hours is not None
        or best.price is None
        or need.workload.task != "serve"
    ):
        return
    machine = best.fit.machine
    for years in YEARS:
        price = committed_price(need.catalog, machine.record, machine.host, best.site.region.name, years)
        if price is None:
            continue
        taken = f"{best.fit.nodes} × {machine.label} as {best.model} in {best.site.region.name}"
        yield Advice(
            change=f"a {years}-year commitment for {best.fit.nodes} × {machine.label} in {best.site.region.name}, bought apart",
            because=f"paid for {years} year{'s' if years > 1 else ''} whether used or not; list price of {day(price.as_of)}",
            takes=taken,
            usd_per_hour=(best.price.usd - price.usd) * best.fit.nodes,
            kg_co2e_per_hour=0.0,
        )
