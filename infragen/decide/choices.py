"""The winner of the ranking, decision by decision: machine, capacity, place, with what was not chosen."""

import math
from datetime import datetime, timedelta
from typing import get_args

from infragen import units
from infragen.decide import capacity, place, sizing_of
from infragen.decide.capacity import Offer
from infragen.decide.fit import Fit
from infragen.decide.model import (
    Alternative,
    CapacityChoice,
    Decision,
    ImageChoice,
    LocationChoice,
    MachineChoice,
    Reason,
)
from infragen.decide.need import Need
from infragen.decide.rank import RANK_SMALLEST, RANKS, Candidate, first
from infragen.decide.rule import Narrowed
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics

BOOT_MARGIN_GIB = 60  # operating system, drivers and a container image beside it
STEP_GIB = 10


def _best_by(ranked: list[Candidate], key: str, chosen: str) -> list[Candidate]:
    """The best candidate of each other machine, region or model, best first."""
    found: dict[str, Candidate] = {}
    for one in ranked:
        name = {"machine": one.fit.machine.label, "region": one.site.region.name, "model": one.model}[key]
        if name != chosen:
            found.setdefault(name, one)
    return list(found.values())


def _machines(one: Candidate, best: Candidate) -> str:
    """Machines in a few words, with how they are obtained where that differs from the choice."""
    return f"{one.fit.nodes} × {one.fit.machine.label}" + (f" as {one.model}" if one.model != best.model else "")


def _alternative(name: str, one: Candidate, best: Candidate, setting: str) -> Alternative:
    kg = one.kg_co2e_per_hour
    more = ""
    if one is not best and one.usd is not None and best.usd:
        share = one.usd / best.usd - 1
        more = f"; {share:+.0%}"
    is_job = one.fit.train_hours is not None
    return Alternative(
        candidate=name,
        because=f"{one.figures()}{more}",
        usd_per_hour=one.usd_per_hour,
        kg_co2e_per_hour=kg.expected if kg else None,
        usd_total=one.usd if is_job else None,
        kg_co2e_total=one.kg if is_job else None,
        region=one.site.region.name,
        capacity=one.model,
        setting=setting,
    )


def machine(
    need: Need, best: Candidate, ranked: list[Candidate], fits: Narrowed[Fit], booted: ImageChoice
) -> Decision[MachineChoice]:
    """The machines of the winner, with the runners-up."""
    fit, box = best.fit, best.fit.machine
    record = box.record
    why = list(sizing_of.reasons(need, fit))
    why += _ranked(best, ranked, need.workload.place.optimise)
    why += _next_smaller(best, fits)
    others = _best_by(ranked, "machine", box.label)
    choice = MachineChoice(
        type=box.type,
        record=record,
        accelerator=box.accelerator,
        accelerators_per_node=record.accelerators,
        attached_accelerators=int(record.accelerators) if box.host else 0,
        nodes=fit.nodes,
        fabric=box.fabric,
        vcpus=box.vcpus,
        memory_gib=box.memory_gib,
        tensor_parallel=fit.tensor_parallel,
        pipeline_parallel=fit.pipeline_parallel,
        data_parallel=fit.data_parallel,
        context_parallel=fit.context_parallel,
        expert_parallel=fit.expert_parallel,
        replicas_per_node=fit.replicas_per_node,
        topology=need.workload.machine.topology,
        boot_disk_type=_boot_disk_type(need, record.boot_disk_types),
        boot_disk_gib=_boot_disk_gib(need, booted),
        local_ssd_count=0,
    )
    return Decision(
        choice,
        tuple(why),
        fits.rejections(lambda one: one.machine.label),
        tuple(_alternative(_machines(one, best), one, best, f"machine.type={one.fit.machine.type}") for one in others),
        sizing_of.would_change(need, fit),
        _alternative(_machines(best, best), best, best, ""),
    )


def _ranked(best: Candidate, ranked: list[Candidate], optimise: str) -> list[Reason]:
    """How the winner came first, and past whom that costs less where it did."""
    sufficient = len({one.fit.machine.label for one in ranked})
    text = f"{best.figures()}: first of {sufficient} sufficient machine{'s' if sufficient > 1 else ''}"
    found = [Reason(RANKS[optimise].id, text)]
    peers = [one for one in ranked if one.usd is not None and one.is_last_resort == best.is_last_resort]
    cheapest = min(peers, key=lambda one: one.usd or 0.0, default=None)
    is_job = best.fit.train_hours is not None
    if optimise == "cost" and is_job and cheapest and cheapest.usd and best.usd and cheapest.usd < best.usd:
        other = f"{cheapest.fit.nodes} × {cheapest.fit.machine.label} would cost {cheapest.figures()}"
        found.append(
            Reason(
                RANK_SMALLEST.id, f"{best.accelerators:g} instead of {cheapest.accelerators:g} accelerators: {other}"
            )
        )
    return found


def _next_smaller(best: Candidate, fits: Narrowed[Fit]) -> list[Reason]:
    """The largest machine with fewer of the same accelerators that will not do, and why: proof that less is not enough."""
    record = best.fit.machine.record
    smaller = [
        one
        for one in fits.removed
        if one.candidate.machine.record.accelerator == record.accelerator is not None
        and one.candidate.machine.record.accelerators < record.accelerators
        and one.rule.id.startswith("S")
    ]
    if not smaller:
        return []
    next_one = max(
        smaller, key=lambda one: (one.candidate.machine.record.accelerators, one.candidate.machine.memory_gib)
    )
    text = f"the next smaller, {next_one.candidate.machine.label}, will not do: {next_one.miss.because}"
    return [Reason(next_one.rule.id, text)]


def _boot_disk_type(need: Need, types: tuple[str, ...]) -> str:
    asked = need.workload.machine.boot_disk
    return asked if asked in types else types[0]


def _boot_disk_gib(need: Need, booted: ImageChoice) -> int:
    asked = need.workload.machine.boot_disk_size
    if asked:
        return math.ceil(asked / units.GIB)
    container = BOOT_MARGIN_GIB if need.workload.run and need.workload.run.container else 0
    return STEP_GIB * math.ceil((BOOT_MARGIN_GIB + container) / STEP_GIB)


def capacity_model(
    need: Need, best: Candidate, ranked: list[Candidate], narrowed: Narrowed[Offer], diags: Diagnostics
) -> Decision[CapacityChoice]:
    """How the winner is obtained; a disputed cell of the tables is a warning."""
    asked = need.workload.capacity
    model = best.model
    flag = capacity.offered(best.fit.machine.record, model)
    if flag is None:
        diags.add(
            capacity.DISPUTED.warning(
                f"sources disagree whether `{best.fit.machine.type}` can be had as {model}", need.workload.at("capacity.model"),
                help="try it with one machine before you rely on it",
            )
        )  # fmt: skip
    if best.is_last_resort:
        also = [
            one for one in get_args(CapacityModel) if one != model and capacity.offered(best.fit.machine.record, one)
        ]
        diags.add(
            capacity.LAST_RESORT.warning(
                f"`{best.fit.machine.type}` cannot be had on demand for this: the plan takes {model}", need.workload.at("machine"),
                "Spot can be taken at any time" if model == "spot" else f"a reservation `{asked.name or need.workload.name}` must exist",
                f"name what you want in `capacity.model`: it is also sold as {', '.join(also)}",
            )
        )  # fmt: skip
    _check_window(need, best, diags)
    start, end = None, None
    if asked.start:
        start = _rfc3339(asked.start)
        end = _rfc3339(asked.start + timedelta(seconds=asked.duration)) if asked.duration else None
    booked = model in capacity.BOOKED
    exists = booked and capacity.is_existing(asked)
    choice = CapacityChoice(
        model=model,
        reservation=(asked.name or need.workload.name) if booked else None,
        creates=booked and not exists,
        shared_with=tuple(asked.shared_with or ()),
        start=start,
        end=end,
        submit=asked.submit,
        run_for_s=_run_for(best, asked.run_for),
        mode=(asked.mode or "resize-request") if model == "flex-start" else None,
        automatic_restart=asked.automatic_restart,
    )
    others = _best_by([one for one in ranked if one.fit.machine == best.fit.machine], "model", model)
    why = Reason("C001", f"capacity.model is `{model}`") if asked.model else _obtained(best, len(narrowed.kept))
    return Decision(
        choice,
        (why,),
        narrowed.rejections(lambda offer: offer.model),
        tuple(_alternative(one.model, one, best, f"capacity.model={one.model}") for one in others),
        ranked=_alternative(model, best, best, ""),
    )


def _check_window(need: Need, best: Candidate, diags: Diagnostics) -> None:
    """Warnings for a window that is shorter than the job, and for a booking whose zone is a guess."""
    asked, at = need.workload.capacity, need.workload.at
    low = best.fit.train_hours.low if best.fit.train_hours else None
    for field in ("run_for", "duration"):
        window = getattr(asked, field)
        if low is not None and window is not None and window < low * units.HOUR_S:
            label = f"the job takes {units.duration(low * units.HOUR_S)} at the least"
            message = f"a window of {units.duration(window)} is shorter than the job"
            help = "make it longer, or have the job start again from its checkpoints in a later window"
            diags.add(capacity.SHORT_WINDOW.warning(message, at(f"capacity.{field}"), label, help))
    if best.model == "reservation" and asked.model and capacity.is_existing(asked) and not place.named_zones(need):
        message = f"the zone of reservation `{asked.name}` is not given: {best.site.region.name} is chosen by price"
        help = "set `capacity.zone`; `gcloud compute reservations list` shows it"
        diags.add(capacity.UNPLACED.warning(message, at("capacity.name"), "a reservation lies in one zone", help))


def _obtained(best: Candidate, sufficient: int) -> Reason:
    name = best.fit.machine.record.name
    if best.is_last_resort:
        return Reason(capacity.LAST_RESORT.id, f"`{name}` cannot be had in a way that suits the work better")
    if sufficient == 1:
        return Reason("C002", f"the only model left that `{name}` is sold under and that suits the work")
    return Reason("C002", f"the cheapest of {sufficient} models that suit the work")


def _run_for(best: Candidate, asked: float | None) -> int | None:
    """Longest life of a VM in seconds: as asked; for flex-start else the longest the job may take."""
    if asked:
        return round(asked)
    if best.model != "flex-start":
        return None
    hours = best.fit.train_hours.high if best.fit.train_hours else None
    return round(
        min(capacity.FLEX_MAX_S, max(capacity.FLEX_MIN_S, (hours * units.HOUR_S) if hours else capacity.FLEX_MAX_S))
    )


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def location(
    best: Candidate, ranked: list[Candidate], narrowed: Narrowed[place.Site], zones: tuple[str, ...], optimise: str
) -> Decision[LocationChoice]:
    """Where the winner runs, and what another aim would choose."""
    same = [one for one in ranked if one.fit.machine == best.fit.machine and one.model == best.model]
    others = _best_by(same, "region", best.site.region.name)
    why = [
        Reason(
            RANKS[optimise].id,
            f"{best.figures()}: first of {len(same)} region{'s' if len(same) > 1 else ''} with the machine",
        )
    ]
    aim = "cost" if optimise != "cost" else "carbon"
    other = first(ranked, aim)
    would: tuple[str, ...] = ()
    if (other.fit.machine, other.site) != (best.fit.machine, best.site) and other.figures() != best.figures():
        taken = f"{other.fit.nodes} × {other.fit.machine.label} in {other.site.region.name}"
        would = (f"`place.optimise: {aim}` takes {taken}: {other.figures()} instead of {best.figures()}",)
    return Decision(
        LocationChoice(best.site.region, zones),
        tuple(why),
        narrowed.rejections(lambda site: site.region.name),
        tuple(
            _alternative(one.site.region.name, one, best, f"place.regions=[{one.site.region.name}]") for one in others
        ),
        would,
        _alternative(best.site.region.name, best, best, ""),
    )
