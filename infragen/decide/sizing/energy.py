"""Energy and emissions of machines at work.

Takes a node, a count and a task. Gives kWh per hour as a range, at the meter of the building (PUE included), so that it
times the grid factor is the emission. Source: Patterson et al. 2021 (arXiv 2104.10350) for the accounting; the PUE of
Google's fleet as published yearly.
"""

from typing import Literal

from infragen.decide.model import Range
from infragen.decide.sizing.facts import SizingFacts
from infragen.facts.model import Accelerator
from infragen.units import HOUR_S

PUE = Range(1.08, 1.10, 1.12)  # of the meter over the machines
MEASURED_SPREAD = 0.15  # between runs whose power was measured
IDLE_LOAD = 0.15  # of the rated power, allocated and waiting


def power_kw(
    accelerator: Accelerator,
    accelerators: float,
    task: Literal["training", "serving"],
    facts: SizingFacts,
    utilisation: float | None = None,
) -> Range | None:
    """Power of that many accelerators with their share of the hosts, kW (= kWh per hour); None where it is not published.

    ``utilisation`` of a service's capacity (0 to 1) moves the load of serving between idle and its band.
    """
    band = facts.power[task]
    if accelerator.measured_w is not None and (task == "training" or accelerator.tdp_w is None):
        part = 1.0 if task == "training" else _of_training(facts)
        measured = Range(1 - MEASURED_SPREAD, 1.0, 1 + MEASURED_SPREAD).scaled(
            accelerators * accelerator.measured_w / 1000
        )
        return Range(
            measured.low * part * PUE.low, measured.expected * part * PUE.expected, measured.high * part * PUE.high
        )
    watts = accelerator.tdp_w
    if watts is None:
        return None
    share = 1.0 if utilisation is None else max(0.0, min(1.0, utilisation))
    chips = accelerators * watts / 1000
    low = chips * (IDLE_LOAD + (band.load_low - IDLE_LOAD) * share + band.host_low)
    expected = chips * (IDLE_LOAD + (band.load_expected - IDLE_LOAD) * share + band.host_expected)
    high = chips * (IDLE_LOAD + (band.load_high - IDLE_LOAD) * share + band.host_high)
    return Range(low * PUE.low, expected * PUE.expected, high * PUE.high)


def _of_training(facts: SizingFacts) -> float:
    """Power of serving as a part of that of training."""
    serving, training = facts.power["serving"], facts.power["training"]
    return (serving.load_expected + serving.host_expected) / (training.load_expected + training.host_expected)


def kg_co2e_per_hour(energy: Range, grid_g_per_kwh: float) -> Range:
    """Operational, location-based emissions, kg CO2e per hour."""
    return energy.scaled(grid_g_per_kwh / 1000)


def wh_per_token(energy: Range, tokens_per_second: Range) -> Range:
    """Energy of one token, Wh: the least energy at the highest rate, and the reverse."""
    return Range(
        energy.low * 1000 / (HOUR_S * tokens_per_second.high),
        energy.expected * 1000 / (HOUR_S * tokens_per_second.expected),
        energy.high * 1000 / (HOUR_S * tokens_per_second.low),
    )
