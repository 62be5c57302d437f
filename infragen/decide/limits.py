"""The limits of the descriptor: plans beyond them are passed over; where none is left, the error names what would do."""

import math
from collections.abc import Callable, Iterable, Sequence

from infragen.decide.need import Need
from infragen.decide.outline import Outline, tried
from infragen.decide.rank import Candidate
from infragen.descriptor.model import Limits
from infragen.diagnostics import Diagnostics, declare
from infragen.units import figure

LIMIT = declare(
    "X002",
    "limit-exceeded",
    """Stay within the limits that the descriptor sets.

    Why: a budget is a decision; a plan that breaks it must be seen before it is applied. The whole bill counts, and what has
    no known price does not.
    Example: `limits: {usd_per_hour: 10}` passes over plans of 12.40 USD an hour; where no other is left, that is an error
    which names the cheapest change that would do.
    """,
    source="descriptor: limits",
)


def _machines_within(one: Candidate, limits: Limits) -> bool:
    """Whether the machines alone stay within the limits, by what is known of them: a bound that costs nothing to check."""
    return (
        _stays(one.usd_per_hour, limits.usd_per_hour)
        and _stays(one.usd if one.fit.train_hours else None, limits.usd_total)
        and _stays(one.kg_in_all, limits.kg_co2e)
    )


def _stays(figure: float | None, limit: float | None) -> bool:
    return limit is None or figure is None or figure <= limit


Excess = tuple[str, float, float, str, str]  # field, value, limit, verb, unit


def excesses(found: Outline, limits: Limits) -> list[Excess]:
    """The limits that the whole plan exceeds."""
    total = found.usd_total
    checks = (
        ("usd_per_hour", found.usd_per_hour, limits.usd_per_hour, "costs", "USD an hour"),
        ("usd_total", total.expected if total else None, limits.usd_total, "costs", "USD for the job"),
        ("kg_co2e", found.kg_in_all, limits.kg_co2e, "emits", "kg CO2e"),
    )
    return [
        (field, value, limit, verb, unit)
        for field, value, limit, verb, unit in checks
        if limit is not None and value is not None and value > limit
    ]


def unknowns(found: Outline, limits: Limits) -> list[str]:
    """The limits that nobody can check: the figure of the plan is not known."""
    values = {"usd_per_hour": found.usd_per_hour, "usd_total": found.usd_total, "kg_co2e": found.kg_in_all}
    return [field for field, value in values.items() if getattr(limits, field) is not None and value is None]


def first_within(need: Need, ranked: Sequence[Candidate]) -> Candidate:
    """The best candidate whose whole plan is known to stay within the limits; the best of all where none does."""
    limits = need.workload.limits
    if limits == Limits.model_construct():
        return ranked[0]
    for one in ranked:
        if _machines_within(one, limits):
            found = tried(need, one)
            if found and limits.usd_total is not None and _is_endless(found):
                return ranked[0]  # so is every other: no plan is known to stay within it
            if found and not excesses(found, limits) and not unknowns(found, limits):
                return one
    return ranked[0]


def _is_endless(found: Outline) -> bool:
    """Whether there is a price of an hour, and no number of hours."""
    return found.usd_per_hour is not None and found.usd_total is None


def check(need: Need, found: Outline, changes: Callable[[], Iterable[tuple[str, Outline]]], diags: Diagnostics) -> None:
    """Errors for limits that the plan exceeds, each with the cheapest plan within all of them that a change would give.

    ``changes``: descriptions of changes to the descriptor, with the plan that each gives.
    """
    limits, at = need.workload.limits, need.workload.at
    for field in unknowns(found, limits):
        message = f"whether the plan stays within `limits.{field}` is not known"
        help = "the tables lack the figure for every plan that would do: give the price with `--prices`, or leave the limit out"
        if _is_endless(found) and field == "usd_total":
            help = "nothing says how long the work takes: bound `limits.usd_per_hour` instead"
        elif field == "kg_co2e":
            help = "the energy or the grid is not known of every plan that would do: leave the limit out"
        diags.add(LIMIT.error(message, at(f"limits.{field}"), "not known", help))
    beyond = excesses(found, limits)
    if not beyond:
        return
    tried = list(changes())
    within = [(text, one) for text, one in tried if not excesses(one, limits) and not unknowns(one, limits)]
    for field, value, limit, verb, unit in beyond:
        if within:
            text, one = min(within, key=lambda pair: (_compared(pair[1]), pair[0]))
            help = f"the cheapest change within all limits: {text}, {described(one)}"
        else:
            known = [(amount, text, one) for text, one in tried if (amount := _value(one, field)) is not None]
            amount, text, one = min(known, key=lambda entry: entry[:2], default=(value, "", found))
            help = f"no plan stays within it: raise it to {_rounded_up(value)}"
            if amount < value:
                help += f", or to {_rounded_up(amount)} with {text}, {described(one)}"
        message = f"the plan {verb} {figure(value)} {unit}"
        diags.add(LIMIT.error(message, at(f"limits.{field}"), f"the limit is {figure(limit)}", help))


def _value(found: Outline, field: str) -> float | None:
    total = found.usd_total
    return {
        "usd_per_hour": found.usd_per_hour,
        "usd_total": total.expected if total else None,
        "kg_co2e": found.kg_in_all,
    }[field]


def _rounded_up(value: float) -> str:
    """A limit that the value stays within, to three digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(round(value / step, 9)) * step:.10g}"


def _compared(found: Outline) -> float:
    total = found.usd_total
    return total.expected if total else (found.usd_per_hour or 0.0)


def described(found: Outline) -> str:
    """A plan in a line: machines, how and where they are had, what it costs and emits."""
    one, total = found.candidate, found.usd_total
    span = "for the job" if total else "an hour"
    usd = total.expected if total else found.usd_per_hour
    price = f"{figure(usd)} USD {span}" if usd is not None else "price unknown"
    emitted = f", {figure(one.kg)} kg CO2e {span}" if one.kg is not None else ""
    return f"{one.fit.nodes} × {one.fit.machine.label} as {one.model} in {one.site.region.name}: {price}{emitted}"
