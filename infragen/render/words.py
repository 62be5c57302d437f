"""How a plan is worded: each choice and each figure in a line, the same in every format."""

from infragen import units
from infragen.decide.model import (
    Alternative,
    CheckpointPlan,
    Decision,
    Estimate,
    MachineChoice,
    Margin,
    Memory,
    Plan,
    QuotaNeed,
    Range,
    StorageChoice,
)

MEMORY_PARTS = (
    ("weights", "weights"),
    ("kv_cache", "KV cache"),
    ("activations", "activations"),
    ("gradients", "gradients"),
    ("optimizer", "optimizer"),
    ("overhead", "overhead"),
)
"""Fields of `Memory` that add up to its total, and what people call them."""

MARGINS = {
    "ttft": "first token",
    "tpot": "tokens after it",
    "rate": "requests",
    "batch": "batch",
}
"""Constraints whose name in the record is an abbreviation, in words."""


def title(plan: Plan) -> str:
    """What the workload is."""
    return f"{plan.task} {plan.model_name}" if plan.model_name else plan.task


def machines(choice: MachineChoice) -> str:
    """The machines in a few words."""
    chips = f" with {choice.accelerators_per_node:g} × {choice.accelerator.name} each" if choice.accelerator else ""
    return f"{choice.nodes} × {choice.type}{chips}"


def machine(choice: MachineChoice) -> str:
    """The machines in a line, with how the model lies on them."""
    degrees = [
        f"{name} {degree}"
        for name, degree in (
            ("tensor parallel", choice.tensor_parallel),
            ("pipeline parallel", choice.pipeline_parallel),
            ("context parallel", choice.context_parallel),
            ("expert parallel", choice.expert_parallel),
            ("data parallel", choice.data_parallel),
        )
        if degree > 1
    ]
    layout = f" ({', '.join(degrees)})" if degrees else ""
    return machines(choice) + layout


def capacity(plan: Plan) -> str:
    """The consumption model in a line."""
    choice = plan.capacity.choice
    booked = f" `{choice.reservation}`" if choice.reservation else ""
    made = ", created here" if choice.creates else (", which exists" if choice.reservation else "")
    if choice.creates and choice.start:
        made = ", submitted: a purchase" if choice.submit else ", a draft: nothing is owed before it is submitted"
    return f"{choice.model}{booked}{made}"


def place(plan: Plan) -> str:
    """Region and zones in a line."""
    region, zones = plan.location.choice.region, plan.location.choice.zones
    return f"{region.name} ({region.location}): {', '.join(zones)}"


def storage(choice: StorageChoice) -> str:
    """A store in a line."""
    if choice.shared_with:
        return f"a folder on the store for {choice.shared_with}, at {choice.mount}"
    size = f", {units.size(choice.capacity_gib * units.GIB)}" if choice.capacity_gib else ""
    rate = f", {choice.throughput_mib_s:,.0f} MiB/s" if choice.throughput_mib_s else ""
    price = f", {units.usd(choice.usd_per_month)} a month" if choice.usd_per_month is not None else ", price unknown"
    more = f" and {choice.service.unpriced}, whose price is not known" if choice.service.unpriced else ""
    return f"{choice.service.title}{size}{rate} at {choice.mount}{price}{more}"


def image(plan: Plan) -> str:
    """The image in a line."""
    choice = plan.image.choice
    return f"{choice.boots} of {choice.project or 'the own project'} ({choice.rollout})"


def group(plan: Plan) -> str:
    """The group in a line."""
    choice = plan.group.choice
    size = f"{choice.min_size} to {choice.max_size} VMs" if choice.has_autoscaler else many(choice.size, "VM")
    return f"{choice.scope}, {size}, updates {choice.update_type} (surge {choice.max_surge}, unavailable {choice.max_unavailable})"


def network(plan: Plan) -> str:
    """The network in a line."""
    choice = plan.network.choice
    if choice.creates:
        return f"created here, {choice.range}" + (", with NAT" if choice.nat else "")
    return f"{choice.network or choice.subnetwork}, which exists"


def decisions(plan: Plan) -> dict[str, tuple[str, Decision[object]]]:
    """Subject -> the choice in a line, and its decision."""
    found: dict[str, tuple[str, Decision[object]]] = {
        "platform": (plan.platform.choice, plan.platform),
        "machine": (machine(plan.machine.choice), plan.machine),
        "capacity": (capacity(plan), plan.capacity),
        "location": (place(plan), plan.location),
    }
    for store in plan.storage:
        found[f"storage.{store.choice.purpose}"] = (storage(store.choice), store)
    found["image"] = (image(plan), plan.image)
    found["group"] = (group(plan), plan.group)
    found["network"] = (network(plan), plan.network)
    return found


def quota(need: QuotaNeed) -> str:
    """Quota to ask for, in a few words."""
    counted = f" ({need.dimension})" if need.dimension else ""
    where = "over all regions" if need.region == "global" else f"in {need.region}"
    return f"{need.amount:,} {need.metric}{counted} {where}"


def many(count: int, noun: str) -> str:
    """A count with its noun.

    >>> many(1, "VM"), many(3, "VM")
    ('1 VM', '3 VMs')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def spread(value: Range, unit: str) -> str:
    """A range, without the expected value: that stands before it."""
    return f"{units.figure(value.low)} to {units.figure(value.high)} {unit}"


def estimated(value: Range, unit: str) -> str:
    """A range with its expected value."""
    return f"{spread(value, unit)}, expected {units.figure(value.expected)}"


def cost(estimate: Estimate) -> str:
    """What the whole plan costs by the hour, and a service by the month."""
    costs = estimate.costs
    if costs.total is None:
        stored = units.usd(costs.storage * units.HOURS_PER_MONTH)
        return f"not known: the tables have no price for the machines; storage {stored} a month"
    month = "" if estimate.usd_total else f", {units.usd(costs.total * units.HOURS_PER_MONTH)} a month"
    return f"{units.usd(costs.total)} an hour{month} at list prices of {costs.as_of}"


def margin(one: Margin) -> str:
    """What a margin is about."""
    return MARGINS.get(one.constraint, one.constraint)


def memory_sum(memory: Memory) -> str:
    """The parts of the memory of an accelerator, and their sum."""
    parts = [(name, getattr(memory, field)) for field, name in MEMORY_PARTS]
    added = " + ".join(f"{gib:.1f} {name}" for name, gib in parts if gib >= 0.05)
    return f"{added} = {memory.total:.1f} of {memory.usable:.1f} GiB per accelerator"


def other(one: Alternative) -> str:
    """A candidate that was not chosen, and what it takes."""
    return f"{one.candidate}: {one.because}" + (f"; takes {one.needs}" if one.needs else "")


def percentage(share: float) -> str:
    """A relative difference.

    >>> percentage(0.19), percentage(-0.5), percentage(0.001)
    ('+19%', '−50%', '±0%')
    """
    text = f"{share:+.0%}".replace("-", "−")
    return "±0%" if text in ("+0%", "−0%") else text


def price(one: Alternative) -> str:
    """What a ranked candidate costs: a job by its whole cost, a service by the hour."""
    if one.usd_total is not None:
        return f"{units.usd(one.usd_total)}"
    return "not known" if one.usd_per_hour is None else f"{units.usd(one.usd_per_hour)}"


def emissions(one: Alternative) -> str:
    """What a ranked candidate emits, over the same span."""
    kg = one.kg_co2e_per_hour if one.kg_co2e_total is None else one.kg_co2e_total
    return "not known" if kg is None else f"{units.figure(kg)} kg"


def checkpoint(point: CheckpointPlan) -> str:
    """How the state of a run is saved."""
    return f"{point.size_gib:,.0f} GiB every {units.duration(point.interval_s)} at {point.write_gib_s:.2g} GiB/s"
