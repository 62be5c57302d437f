"""A candidate with everything that it brings along, and what that costs: as much of a plan as two plans are compared by."""

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide import capacity, choices, costs, group, image, networks, obtain, place, recipe, stores
from infragen.decide.model import (
    Costs,
    Decision,
    GroupChoice,
    ImageChoice,
    NetworkChoice,
    Range,
    ServingChoice,
    StorageChoice,
)
from infragen.decide.need import Need
from infragen.decide.rank import Candidate
from infragen.diagnostics import CompileError, Diagnostics


class Outline(Struct, frozen=True):
    """The parts of a plan that follow from its candidate, and its bill."""

    candidate: Candidate
    zones: tuple[str, ...]
    stored: tuple[Decision[StorageChoice], ...]
    group: Decision[GroupChoice]
    image: Decision[ImageChoice]
    network: Decision[NetworkChoice]
    serving: ServingChoice | None
    costs: Costs
    window_hours: float = 0.0  # that are booked here and paid for, used or not

    @property
    def usd_per_hour(self) -> float | None:
        """Of everything that has a price, at peak."""
        return self.costs.total

    @property
    def usd_total(self) -> Range | None:
        """Of a job, for the whole of a window that is booked for it; None for a service."""
        hours, hourly = self.candidate.fit.train_hours, self.costs.total
        if hours is None or hourly is None:
            return None
        return Range(*(max(one, self.window_hours) * hourly for one in (hours.low, hours.expected, hours.high)))

    @property
    def kg_in_all(self) -> float | None:
        """Emissions of the job, or of a month of a service."""
        return self.candidate.kg_in_all


def outline(need: Need, best: Candidate, diags: Diagnostics, *, is_told: bool = True) -> Outline:
    """What the candidate brings along. What stands in its way is reported.

    ``is_told``: with everything that was not chosen beside it.
    """
    fit, given = best.fit, need.workload.image
    regional = group.is_regional(need, fit.machine, len(best.site.zones), best.model, 1 / fit.replicas_per_node)
    zones = place.group_zones(need, best.site, regional)
    asked = group.GroupNeed(
        machine=fit.machine,
        capacity=best.model,
        nodes=fit.nodes,
        nodes_per_replica=1 / fit.replicas_per_node,
        zones=zones,
        load_s=0.0,
        has_own_image=bool(given.base or given.source or given.is_built),
        requests_per_second_per_node=fit.requests_per_second_per_node,
        boot_disk=need.workload.machine.boot_disk or fit.machine.record.boot_disk_types[0],
    )
    most, surge, is_elastic = group.most_at_once(need, asked)
    addresses = networks.addresses(need, most + surge) if networks.creates_one(need) else None
    fleet = stores.Fleet(best.site.region.name, zones, most + surge, surge, is_elastic, addresses)
    stored = stores.decide(need, fit, fleet, diags, is_told=is_told)
    stores.check_weights(need, fit, stored, is_elastic, diags)
    diags.raise_if_errors()
    load_s = stores.load_seconds(fit, stored, stores.limits(need, fit))
    asked = replace(asked, load_s=load_s, stores=tuple(one.choice for one in stored))
    grouped = group.decide(need, asked, diags)
    ground = recipe.Ground(
        machine=fit.machine,
        region=best.site.region.name,
        zones=zones,
        stores=frozenset(one.choice.service.service for one in stored),
        has_local_ssd=fit.machine.record.local_ssd_mode == "bundled" and bool(fit.machine.record.local_ssd_count),
    )
    booted = image.decide(need, ground, stores.mounts_parallel(stored), diags)
    largest = grouped.choice.max_size + grouped.choice.max_surge
    net, serving = networks.network(need, fit, stored, largest, diags), networks.serving(need, fit)
    bought = costs.Bought(
        zones=zones,
        stores=tuple(one.choice for one in stored),
        group=grouped.choice,
        capacity=obtain.choice(need, best, grouped.choice),
        network=net.choice,
        serving=serving,
        boot_disk=choices.boot_disk(need, fit.machine, booted.choice),
    )
    return Outline(
        candidate=best,
        zones=zones,
        stored=stored,
        group=grouped,
        image=booted,
        network=net,
        serving=serving,
        costs=Costs(costs.bill(need, best, bought), best.site.region.name),
        window_hours=(bought.capacity.booked_hours or 0.0) if best.model in capacity.WINDOWED else 0.0,
    )


def tried(need: Need, best: Candidate) -> Outline | None:
    """What a candidate that is only compared would bring along; None where something stands in its way."""
    diags = Diagnostics()
    try:
        found = outline(need, best, diags, is_told=False)
    except CompileError:  # of this trial, whose findings nobody is told
        return None
    return None if diags.has_errors else found
