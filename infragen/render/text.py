"""The plan as a screen of text: what was chosen, why, what it costs, and what would change it."""

import textwrap
from collections.abc import Collection, Iterable

import click

from infragen import units
from infragen.decide.model import Alternative, Decision, Estimate, MachineChoice, Plan, Range, StorageChoice
from infragen.diagnostics import CATALOGUE
from infragen.write import Change

WIDTH = 110
MARGIN = 14


def plan(plan: Plan, colour: bool) -> str:
    """One screen: a block per decision, then the figures, then the alternatives."""
    model = f" {plan.model_name}" if plan.model_name else ""
    lines = [_bold(f"{plan.name}: {plan.task}{model}", colour), ""]
    lines += _block("machine", machine(plan.machine.choice), plan.machine, colour)
    lines += _block("capacity", capacity(plan), plan.capacity, colour)
    lines += _block("place", place(plan), plan.location, colour)
    for store in plan.storage:
        lines += _block(store.choice.purpose, storage(store.choice), store, colour)
    lines += _block("image", image(plan), plan.image, colour)
    lines += _block("group", group(plan), plan.group, colour)
    lines += ["", *_figures(plan.estimate), ""]
    for need in plan.quotas:
        lines += _entry("quota", f"{need.amount} {need.metric} in {need.region}")
    lines += _alternatives(plan)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def machine(choice: MachineChoice) -> str:
    """The machines in a line."""
    chips = f", {choice.accelerators_per_node:g} × {choice.accelerator.name} each" if choice.accelerator else ""
    degrees = [
        f"{name} {degree}"
        for name, degree in (
            ("TP", choice.tensor_parallel),
            ("PP", choice.pipeline_parallel),
            ("CP", choice.context_parallel),
            ("EP", choice.expert_parallel),
            ("DP", choice.data_parallel),
        )
        if degree > 1
    ]
    layout = f" ({', '.join(degrees)})" if degrees else ""
    return f"{choice.nodes} × {choice.type}{chips}{layout}"


def capacity(plan: Plan) -> str:
    """The consumption model in a line."""
    choice = plan.capacity.choice
    booked = f" `{choice.reservation}`" if choice.reservation else ""
    made = ", created here" if choice.creates else (", which exists" if choice.reservation else "")
    return f"{choice.model}{booked}{made}"


def place(plan: Plan) -> str:
    """Region and zones in a line."""
    region, zones = plan.location.choice.region, plan.location.choice.zones
    return f"{region.name} ({region.location}): {', '.join(zones)}"


def storage(choice: StorageChoice) -> str:
    """A store in a line."""
    size = f", {units.size(choice.capacity_gib * units.GIB)}" if choice.capacity_gib else ""
    rate = f", {choice.throughput_mib_s:,.0f} MiB/s" if choice.throughput_mib_s else ""
    tier = "" if choice.service.tier == choice.service.service else f" {choice.service.tier}"
    price = f", {units.usd(choice.usd_per_month)} a month" if choice.usd_per_month is not None else ", price unknown"
    return f"{choice.service.product}{tier}{size}{rate} at {choice.mount}{price}"


def image(plan: Plan) -> str:
    """The image in a line."""
    choice = plan.image.choice
    kind = f"image {choice.name}" if choice.name else f"family {choice.family}"
    return f"{kind} of {choice.project or 'the own project'} ({choice.rollout})"


def group(plan: Plan) -> str:
    """The group in a line."""
    choice = plan.group.choice
    size = f"{choice.min_size} to {choice.max_size} VMs" if choice.has_autoscaler else f"{choice.size} VMs"
    return f"{choice.scope}, {size}, updates {choice.update_type} (surge {choice.max_surge}, unavailable {choice.max_unavailable})"


def explain(plan: Plan, subject: str | None, alternative: str | None, also: Collection[str] = ()) -> str:
    """Why a choice, and why not an alternative. Without a subject: all decisions with everything rejected.

    ``also``: other names of the alternative, such as the machine types that have an accelerator.

    Raises KeyError for a subject or an alternative that the plan does not know; its text says what it knows.
    """
    subjects = decisions(plan)
    if subject is None:
        return "\n".join(_explained(name, text, decision) for name, (text, decision) in subjects.items())
    if subject not in subjects:
        raise KeyError(f"`{subject}` is not a decision of this plan; it has {', '.join(subjects)}")
    text, decision = subjects[subject]
    if alternative is None:
        return _explained(subject, text, decision)
    wanted = [_letters(name) for name in (alternative, *also)]
    gone = [one for one in decision.rejected if _names(one.candidate, wanted)]
    behind = [one for one in decision.alternatives if _names(one.candidate, wanted)]
    if _names(text, wanted[:1]):
        return f"{subject}: {text}\n" + "".join(f"  {one.rule} {one.text}\n" for one in decision.because)
    if not gone and not behind:
        raise KeyError(f"`{alternative}` was not a candidate for {subject}")
    lines = [f"{one.candidate} was rejected by {one.rule} {_name(one.rule)}: {one.because}" for one in gone]
    names = {one.candidate for one in gone}
    lines += [
        f"{one.candidate} can be had when it is asked for: {_other(one)}"
        if one.candidate in names
        else f"{one.candidate} would do, and ranked behind the choice: {one.because}"
        for one in behind
    ]
    return "\n".join(lines) + "\n"


def _names(candidate: str, wanted: list[str]) -> bool:
    return any(name in _letters(candidate) for name in wanted)


def _letters(name: str) -> str:
    """A name without case and separators, so that the descriptor's spelling finds the product's."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


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
    return found


def rule(id: str) -> str:
    """The catalogue's text of a rule. Raises KeyError for an id that does not exist."""
    entry = CATALOGUE[id]
    parts = [
        f"{entry.id} {entry.name}",
        "",
        entry.summary,
        "",
        f"Why: {entry.why}",
        "",
        f"Example: {entry.example}",
        "",
    ]
    wrapped = [textwrap.fill(part, WIDTH) if part else "" for part in parts]
    return "\n".join([*wrapped, f"Source: {entry.source}"]) + "\n"


def changes(found: Iterable[Change]) -> str:
    """What writing would change on disk."""
    marks = {"created": "+", "changed": "~", "deleted": "-"}
    rows = [f"  {marks[one.kind]} {one.path}" for one in found if one.kind in marks]
    return "\n".join(rows or ["  nothing changes"]) + "\n"


def _name(id: str) -> str:
    return CATALOGUE[id].name if id in CATALOGUE else ""


def _explained(name: str, text: str, decision: Decision[object]) -> str:
    lines = [f"{name}: {text}"]
    lines += [f"  because {one.rule} {_name(one.rule)}: {one.text}" for one in decision.because]
    gone = {one.candidate for one in decision.rejected}
    lines += [f"  {'asked ' if one.candidate in gone else 'next  '}  {_other(one)}" for one in decision.alternatives]
    lines += [f"  not     {one.candidate}: {one.because} ({one.rule} {_name(one.rule)})" for one in decision.rejected]
    lines += [f"  change  {one}" for one in decision.would_change]
    return "\n".join(lines) + "\n"


def _bold(text: str, colour: bool) -> str:
    return click.style(text, bold=True) if colour else text


def _entry(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {label:<{MARGIN - 2}}", subsequent_indent=" " * MARGIN, break_on_hyphens=False
    )


def _block(label: str, text: str, decision: Decision[object], colour: bool) -> list[str]:
    head = _entry(label, text)
    why = [line for one in decision.because for line in _entry("", f"{one.rule} {one.text}")]
    return [_bold(line, colour) for line in head] + [click.style(line, dim=True) if colour else line for line in why]


def _range(value: Range, unit: str) -> str:
    low, expected, high = (units.figure(number) for number in (value.low, value.expected, value.high))
    return f"{low} to {high} {unit}, expected {expected}"


def _figures(estimate: Estimate) -> list[str]:
    lines: list[str] = []
    memory = estimate.memory
    if memory:
        parts = (
            ("weights", memory.weights), ("KV cache", memory.kv_cache), ("activations", memory.activations),
            ("gradients", memory.gradients), ("optimizer", memory.optimizer), ("overhead", memory.overhead),
        )  # fmt: skip
        sum_text = " + ".join(f"{value:.1f} {name}" for name, value in parts if value >= 0.05)
        lines += _entry("memory", f"{sum_text} = {memory.total:.1f} of {memory.usable:.1f} GiB per accelerator")
    if estimate.train_hours:
        lines += _entry("time", _range(estimate.train_hours, "h"))
    if estimate.tokens_per_second:
        lines += _entry("speed", _range(estimate.tokens_per_second, "tokens/s"))
    if estimate.ttft_ms and estimate.tpot_ms:
        lines += _entry(
            "latency", f"first token {_range(estimate.ttft_ms, 'ms')}; then {_range(estimate.tpot_ms, 'ms')} each"
        )
    if estimate.checkpoint:
        point = estimate.checkpoint
        lines += _entry(
            "checkpoint",
            f"{point.size_gib:,.0f} GiB every {units.duration(point.interval_s)} at {point.write_gib_s:.2g} GiB/s",
        )
    if estimate.binding:
        lines += _entry("binding", estimate.binding)
    for margin in estimate.margins:
        lines += _entry(
            "margin",
            f"{margin.constraint}: {margin.needed:,.4g} of {margin.available:,.4g} {margin.unit} ({margin.share:.0%} left)",
        )
    lines += _costs(estimate)
    for assumption in estimate.assumptions:
        lines += _entry("assumed", assumption)
    return lines


def _costs(estimate: Estimate) -> list[str]:
    """Money and emissions."""
    lines: list[str] = []
    costs = estimate.costs
    total = f"not known: the tables have no price for the machines; storage {units.usd(costs.storage * units.HOURS_PER_MONTH)} a month"
    if costs.total is not None:
        month = costs.total * units.HOURS_PER_MONTH
        total = f"{units.usd(costs.total)} an hour, {units.usd(month)} a month at list prices of {costs.as_of}"
    lines += _entry("cost", total)
    if estimate.usd_total:
        lines += _entry("", f"{_range(estimate.usd_total, 'USD for the job')}")
    if costs.unknown:
        lines += _entry("", f"not counted, no price known: {'; '.join(costs.unknown)}")
    if estimate.kg_co2e_per_hour:
        lines += _entry("emissions", _range(estimate.kg_co2e_per_hour, "kg CO2e an hour, location-based"))
    if estimate.kg_co2e_total:
        lines += _entry("", _range(estimate.kg_co2e_total, "kg CO2e for the job"))
    return lines


def _other(one: Alternative) -> str:
    return f"{one.candidate}: {one.because}" + (f"; takes {one.needs}" if one.needs else "")


def _alternatives(plan: Plan) -> list[str]:
    lines: list[str] = []
    for label, decision, most in (
        ("machine", plan.machine, 2),
        ("place", plan.location, 3),
        ("capacity", plan.capacity, len(plan.capacity.alternatives)),
    ):
        for one in decision.alternatives[:most]:
            lines += _entry("instead", f"{label} {_other(one)}")
    if plan.location.alternatives:
        lines += _entry("", f"for example: --set '{plan.location.alternatives[0].setting}'")
    changing: tuple[Decision[object], ...] = (plan.machine, plan.location, plan.capacity, plan.image)
    for decided in changing:
        for text in decided.would_change:
            lines += _entry("change", text)
    return lines
