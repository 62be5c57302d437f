"""What the plan does, costs and emits."""

from infragen import units
from infragen.decide import costs
from infragen.decide.model import Decision, Estimate, NetworkChoice, Range, ServingChoice, StorageChoice
from infragen.decide.need import Need
from infragen.decide.rank import Candidate
from infragen.diagnostics import Diagnostics

PRICES_AS_OF = "2026-07-30"  # of the storage prices alone, where no machine has a price


def estimate(
    need: Need,
    best: Candidate,
    ranked: list[Candidate],
    stores: tuple[Decision[StorageChoice], ...],
    serving: ServingChoice | None,
    network: NetworkChoice,
    diags: Diagnostics,
) -> Estimate:
    """The estimate of the winner; limits that it exceeds are reported."""
    fit = best.fit
    network_items = []
    if serving and serving.expose != "none":
        network_items.append(f"{serving.expose} load balancer")
    if network.creates and network.nat:
        network_items.append("NAT gateway and traffic")
    priced = costs.costs(best.price, fit.nodes, tuple(one.choice for one in stores), tuple(network_items), PRICES_AS_OF)
    hours = fit.train_hours
    usd_total = hours.scaled(priced.total) if hours and priced.total is not None else None
    kg = best.kg_co2e_per_hour
    kg_total = None
    if kg and hours:
        kg_total = Range(kg.low * hours.low, kg.expected * hours.expected, kg.high * hours.high)
    kg_month = kg.expected * units.HOURS_PER_MONTH if kg and not hours else None
    costs.check_limits(
        need,
        priced,
        usd_total.expected if usd_total else None,
        kg_total.expected if kg_total else kg_month,
        ranked,
        diags,
    )
    return Estimate(
        costs=priced,
        memory=fit.memory,
        tokens_per_second=fit.tokens_per_second,
        ttft_ms=fit.ttft_ms,
        tpot_ms=fit.tpot_ms,
        train_hours=hours,
        mfu=fit.mfu,
        max_batch=fit.max_batch,
        dataset_mib_s=fit.dataset_mib_s or None,
        checkpoint=fit.checkpoint,
        usd_total=usd_total,
        energy_kwh_per_hour=fit.energy_kwh_per_hour,
        kg_co2e_per_hour=kg,
        kg_co2e_total=kg_total,
        margins=fit.margins,
        binding=fit.binding,
        assumptions=fit.assumptions,
    )
