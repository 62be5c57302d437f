"""How a plan is worded: each choice and each figure in a line, the same in every format."""

from infragen import units
from infragen.decide.model import (
    Advice,
    Alternative,
    CheckpointPlan,
    Costs,
    Decision,
    Estimate,
    MachineChoice,
    Margin,
    Memory,
    Part,
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
    slices = units.many(choice.slices, "slice") if choice.slices else "slices"
    degrees = [f"{slices} of {choice.topology}"] if choice.topology else []
    degrees += [
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
    size = f"{choice.min_size} to {choice.max_size} VMs" if choice.has_autoscaler else units.many(choice.size, "VM")
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


def spread(value: Range, unit: str) -> str:
    """A range, without the expected value: that stands before it."""
    return f"{units.figure(value.low)} to {units.figure(value.high)} {unit}"


def estimated(value: Range, unit: str) -> str:
    """A range with its expected value."""
    return f"{spread(value, unit)}, expected {units.figure(value.expected)}"


PARTS: dict[Part, str] = {"compute": "machines", "storage": "storage", "network": "network"}
"""Parts of a bill, in words."""


def cost(estimate: Estimate) -> str:
    """What the whole plan costs by the hour, and a service by the month."""
    costs = estimate.costs
    if costs.total is None:
        rest = sum(one.usd_per_hour or 0.0 for one in costs.charges)
        return f"not known: the tables have no price for the machines; the rest {units.usd(rest)} an hour"
    month = "" if estimate.usd_total else f", {units.usd(costs.total * units.HOURS_PER_MONTH)} a month"
    return f"{units.usd(costs.total)} an hour{month} at list prices of {units.day(costs.as_of)}"


def bill(estimate: Estimate) -> list[str]:
    """The cost, its parts, and what has to be said about its prices."""
    costs, lines = estimate.costs, [cost(estimate)]
    parts = [(PARTS[part], costs.of(part)) for part in PARTS]
    if costs.total is not None:
        lines.append(" + ".join(f"{usd:,.2f} {name}" for name, usd in parts if usd is not None and usd >= 0.005))
    if estimate.usd_total:
        lines.append(estimated(estimate.usd_total, "USD for the job"))
    if estimate.usd_per_million_tokens:
        price = per_million_tokens(estimate.usd_per_million_tokens)
        lines.append(f"{price} for a million {estimate.tokens_priced} tokens")
    return lines + [f"{label}: {'; '.join(names)}" for label, names in reservations(costs) if names]


def reservations(costs: Costs) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What is not counted, and what is counted at a price that is less than sure."""
    return (
        ("not counted", costs.unknown),
        ("prices recalled, not read", costs.marked("from-memory")),
        ("prices of another region", costs.borrowed),
        ("at most, a discount is not known", costs.marked("upper-bound")),
        ("negotiated prices", costs.marked("negotiated")),
    )


def per_million_tokens(value: Range) -> str:
    """The price of a million tokens: a figure where the traffic is given, else a range."""
    return f"{units.figure(value.expected)} USD" if value.low == value.high else estimated(value, "USD")


def advice(one: Advice) -> str:
    """A change, what it saves or costs, and the machines that it takes, in a line."""
    figures, span = [(one.hours, "h"), (one.usd_total, "USD"), (one.kg_co2e_total, "kg CO2e")], " for the job"
    if one.usd_total is None and one.kg_co2e_total is None:
        figures, span = [(one.usd_per_hour, "USD"), (one.kg_co2e_per_hour, "kg CO2e")], " an hour"
    said = []
    for verb, sign in (("saves", 1), ("takes", -1)):
        parts = [f"{units.figure(sign * number)} {unit}" for number, unit in figures if number and sign * number > 1e-9]
        if parts:
            said.append(f"{verb} {', '.join(parts)}{' more' if sign < 0 else ''}")
    return f"`{one.change}` {' and '.join(said)}{span}: {one.takes}"


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
