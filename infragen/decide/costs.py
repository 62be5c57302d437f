"""What the plan costs and emits, and what quota it needs."""

from infragen.decide.model import CapacityChoice, Costs, QuotaNeed, StorageChoice
from infragen.decide.need import Machine, Need
from infragen.decide.pricing import HourlyPrice
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics, declare
from infragen.units import HOURS_PER_MONTH, usd

PREEMPTIBLE_QUOTA: frozenset[CapacityModel] = frozenset({"spot", "flex-start"})

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
    need: Need, costs: Costs, usd_total: float | None, kg_total: float | None, cheapest: str, diags: Diagnostics
) -> None:
    """Errors for limits that the plan exceeds; ``cheapest`` says what would meet them, or how far off it is."""
    limits, at = need.workload.limits, need.workload.at
    if limits.usd_per_hour and costs.total is not None and costs.total > limits.usd_per_hour:
        diags.add(
            LIMIT.error(
                f"the plan costs {usd(costs.total)} an hour",
                at("limits.usd_per_hour"),
                f"the limit is {usd(limits.usd_per_hour)}",
                cheapest,
            )
        )
    if limits.usd_total and usd_total and usd_total > limits.usd_total:
        diags.add(
            LIMIT.error(
                f"the job costs {usd(usd_total)}",
                at("limits.usd_total"),
                f"the limit is {usd(limits.usd_total)}",
                cheapest,
            )
        )
    if limits.kg_co2e and kg_total and kg_total > limits.kg_co2e:
        diags.add(
            LIMIT.error(
                f"the plan emits {kg_total:,.0f} kg CO2e",
                at("limits.kg_co2e"),
                f"the limit is {limits.kg_co2e:,.0f} kg",
                "set `place.optimise` to `carbon`, or allow cleaner regions in `place.regions`",
            )
        )


def quotas(need: Need, machine: Machine, capacity: CapacityChoice, region: str, vms: int) -> tuple[QuotaNeed, ...]:
    """The quota to ask for, at the largest size of the group."""
    metric = need.catalog.quotas.get(machine.record.accelerator or "")
    if metric is None:
        return ()
    preemptible = capacity.model in PREEMPTIBLE_QUOTA
    amount = round(machine.record.accelerators * vms)
    note = "metric name from memory" if metric.confidence == "from-memory" else ""
    return (QuotaNeed(metric.preemptible_metric if preemptible else metric.metric, region, amount, note),)
