"""What the plan does, costs and emits."""

from infragen.decide.emissions import assumptions
from infragen.decide.model import Estimate, Range
from infragen.decide.need import Need
from infragen.decide.outline import Outline
from infragen.decide.sizing.serving import ServeNeed
from infragen.decide.sizing.traffic import traffic_of
from infragen.units import HOUR_S


def estimate(need: Need, found: Outline) -> Estimate:
    """The estimate of the winner."""
    best, fit = found.candidate, found.candidate.fit
    kg, hours = best.kg_co2e_per_hour, fit.train_hours
    kg_total = Range(kg.low * hours.low, kg.expected * hours.expected, kg.high * hours.high) if kg and hours else None
    cfe = best.site.region.cfe_fraction
    return Estimate(
        costs=found.costs,
        memory=fit.memory,
        tokens_per_second=fit.tokens_per_second,
        ttft_ms=fit.ttft_ms,
        tpot_ms=fit.tpot_ms,
        train_hours=hours,
        mfu=fit.mfu,
        max_batch=fit.max_batch,
        dataset_mib_s=fit.dataset_mib_s or None,
        checkpoint=fit.checkpoint,
        usd_total=found.usd_total,
        usd_per_million_tokens=_per_million_tokens(need, found),
        tokens_priced="input" if need.shape is not None and not need.shape.is_generative else "output",
        energy_kwh_per_hour=fit.energy_kwh_per_hour,
        kg_co2e_per_hour=kg,
        kg_co2e_total=kg_total,
        kg_co2e_per_hour_beyond_cfe=kg.scaled(1 - cfe) if kg and cfe is not None else None,
        margins=fit.margins,
        binding=fit.binding,
        assumptions=(*fit.assumptions, *assumptions(need, best)),
    )


def _per_million_tokens(need: Need, found: Outline) -> Range | None:
    """USD for a million tokens at the traffic given (else at the rate that the plan reaches): of those generated, or of those
    read where nothing is generated. None where there are neither.
    """
    workload, shape, hourly = need.workload, need.shape, found.costs.total
    rate = found.candidate.fit.tokens_per_second
    if workload.serve is None or shape is None or hourly is None or rate is None:
        return None
    if workload.task == "serve" and workload.serve.requests_per_second:
        traffic = traffic_of(shape, ServeNeed.of(workload.serve, workload.model))
        each = traffic.output_tokens if shape.is_generative else traffic.input_tokens
        asked = workload.serve.requests_per_second * each
        rate = Range(asked, asked, asked)
    million_s = hourly * 1e6 / HOUR_S
    return Range(million_s / rate.high, million_s / rate.expected, million_s / rate.low)
