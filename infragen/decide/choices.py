"""The winner of the ranking, decision by decision: machine and place, with what was not chosen; `obtain` has the capacity."""

import math
from collections.abc import Iterator, Sequence

from infragen import units
from infragen.decide import emissions, place, sizing_of
from infragen.decide.capacity import LAST_RESORT
from infragen.decide.fit import Fit
from infragen.decide.model import (
    Alternative,
    Decision,
    ImageChoice,
    LocationChoice,
    MachineChoice,
    Reason,
    StorageChoice,
)
from infragen.decide.need import Machine, Need
from infragen.decide.rank import (
    AIMS,
    RANK_SMALLEST,
    RANK_TIES,
    RANKS,
    Candidate,
    first,
    is_judged,
    is_tied,
    tie_breaker,
)
from infragen.decide.rule import Narrowed
from infragen.facts.model import MachineType

BOOT_MARGIN_GIB = 60  # operating system, drivers and a container image beside it
STEP_GIB = 10


def best_by(ranked: list[Candidate], key: str, chosen: str) -> list[Candidate]:
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


def alternative(name: str, one: Candidate, best: Candidate, setting: str, needs: str = "") -> Alternative:
    """Another candidate with its figures, beside the choice."""
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
        is_last_resort=one.is_last_resort,
        setting=setting,
        needs=needs,
    )


def machine(
    need: Need,
    best: Candidate,
    ranked: list[Candidate],
    fits: Narrowed[Fit],
    booted: ImageChoice,
    stored: Sequence[Decision[StorageChoice]],
) -> Decision[MachineChoice]:
    """The machines of the winner, with the runners-up."""
    fit, box = best.fit, best.fit.machine
    record = box.record
    why = list(sizing_of.reasons(need, fit))
    why += _ranked(best, ranked, need.workload.place.optimise)
    why += filter(None, (sizing_of.fewer(need, fit),))
    why += filter(None, (_next_smaller(need, best, fits),))
    others = best_by(ranked, "machine", box.label)
    boot_type, boot_gib = boot_disk(need, box, booted)
    topology, slices = sizing_of.slices(need, fit)
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
        topology=topology,
        slices=slices,
        boot_disk_type=boot_type,
        boot_disk_gib=boot_gib,
        local_ssd_count=_attached_partitions(record, stored),
    )
    return Decision(
        choice,
        tuple(why),
        fits.rejections(lambda one: one.machine.label),
        tuple(alternative(_machines(one, best), one, best, f"machine.type={one.fit.machine.type}") for one in others),
        sizing_of.would_change(need, fit, fits),
        alternative(_machines(best, best), best, best, ""),
    )


def _first(best: Candidate, others: Sequence[Candidate], optimise: str, one: str, many: str) -> Reason:
    """That it came first, and by what where the figure that the aim asks for is not known."""
    if not others:
        return Reason(RANKS[optimise].id, f"{best.figures()}: the only {one}")
    if is_judged(best, optimise):
        return Reason(RANKS[optimise].id, f"{best.figures()}: first of {len(others) + 1} {many}")
    peers = [other for other in others if other.is_last_resort == best.is_last_resort]
    by = f" by {tie_breaker(best, peers, optimise)}" if peers else ""
    return Reason(RANK_TIES.id, f"{best.figures()}: first{by} of {len(others) + 1} {many}")


def _ranked(best: Candidate, ranked: list[Candidate], optimise: str) -> list[Reason]:
    """How the winner came first, and past whom that costs less where it did."""
    others = best_by(ranked, "machine", best.fit.machine.label)
    found = [_first(best, others, optimise, "sufficient machine", "sufficient machines")]
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
    return [*found, *_only_otherwise(best, others)]


def _only_otherwise(best: Candidate, others: Sequence[Candidate]) -> Iterator[Reason]:
    """The cheapest machine that costs less and was passed over, since it can be had only in a way that nobody asked for."""
    if best.is_last_resort or best.usd is None:
        return
    cheaper = [one for one in others if one.is_last_resort and one.usd is not None and one.usd < best.usd]
    if not cheaper:
        return
    one = min(cheaper, key=lambda other: other.usd or 0.0)
    taken = f"`machine.type: {one.fit.machine.type}` with `capacity.model: {one.model}` takes it"
    machines = f"{one.fit.nodes} × {one.fit.machine.label}"
    text = f"{machines} would do for less, and is not sold on demand; as {one.model}: {one.figures()}; {taken}"
    yield Reason(LAST_RESORT.id, text)


def _next_smaller(need: Need, best: Candidate, fits: Narrowed[Fit]) -> Reason | None:
    """The next smaller machine that will not do, and why: proof that less is not enough.

    The largest with fewer of the same accelerators, which where one machine was enough may do in a larger number; where
    nothing smaller at all would do, the one with the most accelerator memory below the choice's.
    """
    chosen = best.fit.machine
    if chosen.accelerator is None:
        return None
    enough = [one.machine for one in fits.kept if _has_fewer(one.machine, chosen)]
    for box in sorted(enough if best.fit.nodes == 1 else (), key=_size, reverse=True):
        found = sizing_of.will_not_do(need, box, 1, f"the next smaller, {box.label},")
        if found:
            return found
    refused = [one for one in fits.removed if one.rule.id.startswith("S") and one.candidate.machine.accelerator]
    smaller = [one for one in refused if _has_fewer(one.candidate.machine, chosen)]
    least = min((_size(one.machine) for one in fits.kept if one.machine.accelerator), default=_size(chosen))
    if not smaller and least >= _size(chosen):  # nothing smaller would do: the nearest of them says why
        smaller = [one for one in refused if _size(one.candidate.machine) < _size(chosen)]
    if not smaller:
        return None
    next_one = max(smaller, key=lambda one: _size(one.candidate.machine))
    text = f"the next smaller, {next_one.candidate.machine.label}, will not do: {next_one.miss.because}"
    return Reason(next_one.rule.id, text)


def _has_fewer(box: Machine, chosen: Machine) -> bool:
    """Whether a machine has fewer of the same accelerators."""
    return box.record.accelerator == chosen.record.accelerator and box.record.accelerators < chosen.record.accelerators


def _size(box: Machine) -> tuple[float, float, str]:
    """GiB of the accelerators and of the host of one machine, and its name."""
    memory = box.record.accelerators * box.accelerator.memory_gib if box.accelerator else 0.0
    return memory, box.memory_gib, box.label


def boot_disk(need: Need, box: Machine, booted: ImageChoice) -> tuple[str, int]:
    """Type and GiB of the boot disk: as asked, else the best that the machine takes, with room for a container."""
    asked, types = need.workload.machine, box.record.boot_disk_types
    disk = asked.boot_disk if asked.boot_disk in types else types[0]
    if asked.boot_disk_size:
        return disk, math.ceil(asked.boot_disk_size / units.GIB)
    container = BOOT_MARGIN_GIB if need.workload.run and need.workload.run.container else 0
    room = STEP_GIB * math.ceil((BOOT_MARGIN_GIB + container) / STEP_GIB)
    return disk, max(room, booted.recipe.disk_gib) if booted.recipe else room


def location(
    need: Need,
    best: Candidate,
    ranked: list[Candidate],
    narrowed: Narrowed[place.Site],
    zones: tuple[str, ...],
    *,
    regional: bool,
) -> Decision[LocationChoice]:
    """Where the winner runs, where else the same machines can be had, and what another aim would choose."""
    optimise = need.workload.place.optimise
    same = [one for one in ranked if one.fit.machine == best.fit.machine and one.model == best.model]
    others = [one for one in same if one is not best]
    why = [_first(best, others, optimise, "region with the machine", "regions with the machine")]
    why += [Reason(emissions.LOW_CARBON.id, emissions.mark(best)), *_tie(best, same, optimise)]
    would = _trade_off(best, ranked, optimise)
    if best.fit.train_hours is not None:
        would += tuple(f"cleaner in {text}" for text in emissions.cleaner(best, same))
    return Decision(
        LocationChoice(best.site.region, zones),
        tuple(why),
        narrowed.rejections(lambda site: site.region.name),
        tuple(
            alternative(", ".join(where), one, best, f"place.zones=[{', '.join(where)}]")
            for one, where in _elsewhere(need, best, same, zones, regional=regional)
        ),
        would,
        alternative(best.site.region.name, best, best, ""),
    )


def _elsewhere(
    need: Need, best: Candidate, same: list[Candidate], zones: tuple[str, ...], *, regional: bool
) -> Iterator[tuple[Candidate, tuple[str, ...]]]:
    """Zones that would do instead: the others of the region, for a group in one zone, then those of the regions that rank next."""
    if not regional:
        for zone in place.usable_zones(need, best.site):
            if zone not in zones:
                yield best, (zone,)
    for one in best_by(same, "region", best.site.region.name):
        yield one, place.group_zones(need, one.site, regional)


def _attached_partitions(record: MachineType, stored: Sequence[Decision[StorageChoice]]) -> int:
    """Local disks that have to be asked for: none where nothing lies on them, or where the machine brings them."""
    local = [one.choice for one in stored if one.choice.service.scope == "host"]
    if record.local_ssd_mode != "optional" or not local:
        return 0
    return max(one.capacity_gib // one.service.step_gib for one in local)


def _tie(best: Candidate, same: list[Candidate], optimise: str) -> list[Reason]:
    """What decided between regions that are equally good by the aim."""
    equal = [one for one in same if one is not best and is_tied(one, best, optimise)]
    if not equal or not is_judged(best, optimise):
        return []
    names = ", ".join(sorted(one.site.region.name for one in equal))
    text = f"{names} would be as good: {best.site.region.name} is first by {tie_breaker(best, equal, optimise)}"
    return [Reason(RANK_TIES.id, text)]


def _trade_off(best: Candidate, ranked: list[Candidate], optimise: str) -> tuple[str, ...]:
    """What the other aims would choose, and what that costs and saves."""
    found, firsts = [], {aim: first(ranked, aim) for aim in AIMS if aim != optimise}
    for aim, other in firsts.items():
        if (other.fit.machine, other.site, other.model) == (best.fit.machine, best.site, best.model):
            continue
        if aim == "balanced" and any(other is one for kind, one in firsts.items() if kind != aim):
            continue
        taken = f"{other.fit.nodes} × {other.fit.machine.label} in {other.site.region.name}"
        found.append(f"`place.optimise: {aim}` takes {taken}: {_difference(other, best)}")
    return tuple(found)


def _difference(other: Candidate, best: Candidate) -> str:
    """What another plan costs and emits, less what this one does."""
    span = " for the job" if best.fit.train_hours else " an hour"
    parts = []
    if other.usd is not None and best.usd:
        more = other.usd - best.usd
        word = "more" if more >= 0 else "less"
        parts.append(f"machines {units.usd(abs(more))}{span} {word} ({other.usd / best.usd - 1:+.0%})")
    if other.kg is not None and best.kg:
        more = other.kg - best.kg
        word = "more" if more >= 0 else "less"
        parts.append(f"{units.figure(abs(more))} kg CO2e{span} {word} ({other.kg / best.kg - 1:+.0%})")
    return ", ".join(parts) or "figures unknown"
