"""What the electricity of a plan emits, what that rests on, and where it would emit less."""

from collections.abc import Sequence
from typing import Literal

from infragen import units
from infragen.decide.need import TRAINING_TASKS, Need
from infragen.decide.rank import Candidate
from infragen.decide.sizing.energy import PUE
from infragen.decide.sizing_of import sizing_facts
from infragen.diagnostics import declare
from infragen.facts.model import Accelerator

LOW_CARBON = declare(
    "K006",
    "low-carbon-mark",
    """Say whether the region bears Google's low-carbon mark.

    Why: the mark stands for an hourly carbon-free share of 75 % or more, or, where that share is not published, for a grid of at
    most 200 g CO2e a kWh. It is a property of the place and not of the plan: a region without it may emit less.
    Example: a region with a carbon-free share of 0.83 bears it; one at 0.70 does not, however clean its grid.
    """,
    source="docs/facts.md: S13",
)
MARK_CFE, MARK_GRID_G = 0.75, 200.0  # K006


def is_marked(cfe_fraction: float | None, grid_g_per_kwh: float | None) -> bool | None:
    """Whether a region bears the low-carbon mark; None where neither figure is known.

    >>> is_marked(0.8, 400.0), is_marked(0.7, 100.0), is_marked(None, 100.0)
    (True, False, True)
    """
    if cfe_fraction is not None:
        return cfe_fraction >= MARK_CFE
    return None if grid_g_per_kwh is None else grid_g_per_kwh <= MARK_GRID_G


def mark(one: Candidate) -> str:
    """The mark of the region, in words, with the figures that it rests on."""
    region = one.site.region
    if region.is_low_carbon is None:
        return f"{region.name}: nothing is published about its electricity"
    share = (
        f"{region.cfe_fraction:.0%} carbon-free by the hour"
        if region.cfe_fraction is not None
        else "share not published"
    )
    grid = f", {region.grid_g_co2e_per_kwh:g} g CO2e a kWh" if region.grid_g_co2e_per_kwh is not None else ""
    return f"{region.name} is {'' if region.is_low_carbon else 'not '}marked low-carbon: {share}{grid}, {region.carbon_year}"


def assumptions(need: Need, best: Candidate) -> tuple[str, ...]:
    """What the figures of energy and emissions rest on."""
    chip, region = best.fit.machine.accelerator, best.site.region
    if best.fit.energy_kwh_per_hour is None or chip is None:
        return ()
    task: Literal["training", "serving"] = "training" if need.workload.task in TRAINING_TASKS else "serving"
    power = f"energy: {best.accelerators:g} × {_power(need, chip, task)}, times a PUE of {PUE.low:g} to {PUE.high:g}"
    if region.grid_g_co2e_per_kwh is None:
        return (power,)
    grid = f"emissions: the yearly average of the grid, {region.grid_g_co2e_per_kwh:g} g CO2e a kWh in {region.carbon_year}"
    return (power, f"{grid}; making the hardware and networks outside are not in it")


def _power(need: Need, chip: Accelerator, task: Literal["training", "serving"]) -> str:
    """Where the power of an accelerator and its share of the host come from."""
    if chip.measured_w is not None and (task == "training" or chip.tdp_w is None):
        part = "" if task == "training" else ", less for serving"
        return f"{chip.measured_w:g} W as measured in training with their hosts{part}"
    band = sizing_facts(need.catalog).power[task]
    load = f"{chip.tdp_w:g} W rated at {band.load_low:.0%} to {band.load_high:.0%} of it under load"
    return f"{load}, {band.host_low:.0%} to {band.host_high:.0%} for their hosts"


def cleaner(best: Candidate, ranked: Sequence[Candidate], most: int = 3) -> tuple[str, ...]:
    """Regions where the same machines, had the same way, emit less: cleanest first, with what that saves and costs."""
    if best.kg is None:
        return ()
    found: dict[str, Candidate] = {}
    for one in ranked:
        if one.fit.machine == best.fit.machine and one.model == best.model and one.kg is not None and one.kg < best.kg:
            found.setdefault(one.site.region.name, one)
    cleanest = sorted(
        found.values(), key=lambda one: (one.kg or 0.0, one.usd is None, one.usd or 0.0, one.site.region.name)
    )
    return tuple(_saving(one, best) for one in cleanest[:most])


def _saving(one: Candidate, best: Candidate) -> str:
    kg = (best.kg or 0.0) - (one.kg or 0.0)
    price = "price unknown"
    if one.usd is not None and best.usd:
        price = f"machines {one.usd / best.usd - 1:+.0%}"
    span = "" if best.fit.train_hours else " an hour"
    return f"{one.site.region.name}: {units.figure(kg)} kg CO2e{span} less ({-kg / (best.kg or 1.0):.0%}), {price}"
