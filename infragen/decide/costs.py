"""What the plan costs and emits, and what quota it needs."""

from collections.abc import Callable, Sequence

from infragen.decide.model import Costs, StorageChoice
from infragen.decide.need import Need
from infragen.decide.pricing import HourlyPrice
from infragen.decide.rank import Candidate
from infragen.diagnostics import Diagnostics, declare
from infragen.units import HOURS_PER_MONTH, figure

UNKNOWN_PRICE = declare(
    "X001",
    "price-unknown",
    """Say which prices the tables lack, and count them nowhere.

    Why: a price that is silently zero makes the wrong plan look cheap.
    Example: a load balancer's data processing is listed as unknown beside the total of the rest.
    """,
    source="design decision",
)
LIMIT = declare(
    "X002",
    "limit-exceeded",
    """Stay within the limits that the descriptor sets.

    Why: a budget is a decision; a plan that breaks it must be seen before it is applied.
    Example: `limits: {usd_per_hour: 10}` refuses a plan of 12.40 USD an hour.
    """,
    source="descriptor: limits",
)


def costs(
    price: HourlyPrice | None,
    nodes: int,
    storage: tuple[StorageChoice, ...],
    network_items: tuple[str, ...],
    fallback_date: str,
) -> Costs:
    """List prices of an hour; what has no price is named instead of counted."""
    unknown = [
        f"storage: {store.service.product} for {store.purpose}" for store in storage if store.usd_per_month is None
    ]
    unknown += [f"storage: {store.service.unpriced} for {store.purpose}" for store in storage if store.service.unpriced]
    unknown += [f"network: {item}" for item in network_items]
    if price is None:
        unknown.insert(0, "compute: the machines")
    monthly = sum(store.usd_per_month or 0.0 for store in storage)
    return Costs(
        compute=price.usd * nodes if price else None,
        storage=monthly / HOURS_PER_MONTH,
        network=0.0,
        unknown=tuple(unknown),
        as_of=price.as_of if price else fallback_date,
    )


def check_limits(
    need: Need,
    costs: Costs,
    usd_total: float | None,
    kg_total: float | None,
    ranked: Sequence[Candidate],
    diags: Diagnostics,
) -> None:
    """Errors for limits that the plan exceeds, each with the plan that comes nearest to it."""
    limits = need.workload.limits
    checks: tuple[tuple[str, float | None, float | None, str, str, Callable[[Candidate], float | None]], ...] = (
        ("usd_per_hour", costs.total, limits.usd_per_hour, "costs", "USD an hour", lambda one: one.usd_per_hour),
        ("usd_total", usd_total, limits.usd_total, "costs", "USD for the job", lambda one: one.usd),
        ("kg_co2e", kg_total, limits.kg_co2e, "emits", "kg CO2e", lambda one: one.kg_in_all),
    )
    for field, value, limit, verb, unit, figure_of in checks:
        if limit is None or value is None or value <= limit:
            continue
        known = [(amount, one) for one in ranked if (amount := figure_of(one)) is not None]
        help = "no sufficient plan has a known figure"
        if known:
            least, one = min(known, key=lambda pair: pair[0])
            what = f"{one.fit.nodes} × {one.fit.machine.label} as {one.model} in {one.site.region.name}"
            help = f"the least of the sufficient plans is {what}: {figure(least)} {unit}, storage apart"
        message = f"the plan {verb} {figure(value)} {unit}"
        diags.add(LIMIT.error(message, need.workload.at(f"limits.{field}"), f"the limit is {figure(limit)}", help))
