"""The one explicit ranking: sufficient candidates joined with where and how they can be had, best first."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

from infragen.decide.capacity import Offer
from infragen.decide.fit import Fit
from infragen.decide.model import Range
from infragen.decide.place import Site
from infragen.decide.pricing import UPPER_BOUND, HourlyPrice
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import declare
from infragen.units import HOURS_PER_MONTH, figure, usd

RANK_COST = declare(
    "K001",
    "cheapest-sufficient",
    """Take the cheapest of the sufficient plans by the price of the machines: of the whole job, or of an hour of a service.

    Why: everything that is left meets the need; what remains is the price. A chip three times as fast at twice the
    price wins a job and may lose a service. Storage and network cost about the same beside any machine; the bill counts them.
    Example: of two machines that both meet the latency, the one with the lower price per hour at peak is taken.
    """,
    source="design decision",
)
RANK_CARBON = declare(
    "K002",
    "cleanest-sufficient",
    """With `optimise: carbon`, take the plan with the lowest location-based emissions; then the cleaner grid, then the price.

    Why: the grid differs between regions by more than any other lever does.
    Example: the same machines in a region at 16 g/kWh win over one at 209 g/kWh, whatever they cost.
    """,
    source="docs/facts.md",
)
RANK_BALANCED = declare(
    "K003",
    "balanced-sufficient",
    """With `optimise: balanced`, weigh cost and emissions alike, each as a multiple of the best there is.

    Why: neither is ignored, and neither needs a price of the other.
    Example: 10 % dearer and half the emissions wins over the cheapest.
    """,
    source="design decision",
)
RANK_SMALLEST = declare(
    "K004",
    "smallest-of-the-close",
    """Among jobs that cost about the same, take the one with the fewest accelerators.

    Why: the hours come from a model of reality; a difference of a quarter is within its error, and a smaller machine is
    easier to get, to fill and to keep. So is a difference of 10 USD, up to half the price.
    Example: 17 hours on one accelerator for 14.50 USD win over one hour on sixteen for 13.70 USD.
    """,
    source="design decision",
)
CLOSE, CLOSE_USD, CLOSE_AT_MOST = 1.25, 10.0, 1.5  # times the cheapest job, or above it up to so many times, K004
RANK_TIES = declare(
    "K005",
    "ties-broken",
    """Break ties by price, then by emissions, then by fewer machines with fewer accelerators, then by name.

    Why: prices are often equal in several regions; a choice among equals must not depend on the order of a table, and the
    cleaner of two equally cheap places is a free gain.
    Example: the same price in us-central1 and us-west1 gives the region with the cleaner grid.
    """,
    source="design decision",
)
RANKS = {"cost": RANK_COST, "carbon": RANK_CARBON, "balanced": RANK_BALANCED}


AIMS = ("cost", "carbon", "balanced")


class Candidate(Struct, frozen=True, dict=True):  # a dictionary: figures are computed once
    """A sufficient plan: machines that fit, how they are obtained, and where."""

    fit: Fit
    offer: Offer
    site: Site
    price: HourlyPrice | None  # of one machine
    is_last_resort: bool = False  # can be had only in a way that nobody asked for, C009

    @property
    def model(self) -> CapacityModel:
        """How the machines are obtained."""
        return self.offer.model

    @property
    def accelerators(self) -> float:
        """Of all machines together."""
        return self.fit.nodes * self.fit.machine.record.accelerators

    @cached_property
    def usd_per_hour(self) -> float | None:
        """List price of all machines for an hour."""
        return self.price.usd * self.fit.nodes if self.price else None

    @property
    def hours(self) -> float:
        """Length of the job; 1 for a service, so that it is compared by the hour."""
        return self.fit.train_hours.expected if self.fit.train_hours else 1.0

    @cached_property
    def usd(self) -> float | None:
        """What is compared: the cost of the job, or of an hour."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.hours

    @cached_property
    def kg_co2e_per_hour(self) -> Range | None:
        """Location-based emissions; None where the energy or the grid factor is not known."""
        if self.fit.energy_kwh_per_hour is None or self.grid is None:
            return None
        return self.fit.energy_kwh_per_hour.scaled(self.grid / 1000)

    @cached_property
    def kg(self) -> float | None:
        """What is compared: the emissions of the job, or of an hour."""
        emitted = self.kg_co2e_per_hour
        return emitted.expected * self.hours if emitted else None

    @property
    def kg_in_all(self) -> float | None:
        """Emissions of the job, or of a month of a service."""
        return self.kg if self.fit.train_hours or self.kg is None else self.kg * HOURS_PER_MONTH

    @property
    def grid(self) -> float | None:
        """g CO2e a kWh of the region's grid."""
        return self.site.region.grid_g_co2e_per_kwh

    def figures(self) -> str:
        """Price of the machines and emissions, for a line of text."""
        span = " for the job" if self.fit.train_hours else " an hour"
        price = f"{usd(self.usd)}{span}" if self.usd is not None else "price unknown"
        if self.price and self.price.confidence == UPPER_BOUND:
            price = f"at most {price}"
        if self.usd is not None:
            price = f"machines {price}"
        return price + (f", {figure(self.kg)} kg CO2e{span}" if self.kg is not None else "")


TIE_BREAKERS: tuple[tuple[str, Callable[[Candidate], object]], ...] = (
    ("price", lambda one: (one.usd is None, _rounded(one.usd))),
    ("emissions", lambda one: (one.kg is None, _rounded(one.kg))),
    ("number of machines", lambda one: one.fit.nodes),
    ("number of accelerators", lambda one: one.fit.machine.record.accelerators),
)
"""What decides between candidates that are equally good by the aim, in this order; then names. K005"""


def _breakers(optimise: str) -> tuple[tuple[str, Callable[[Candidate], object]], ...]:
    """The same for an aim: where no machine's power is known, the grid still tells places apart."""
    if optimise != "carbon":
        return TIE_BREAKERS
    return (("emissions of the grid", lambda one: (one.grid is None, one.grid or 0.0)), *TIE_BREAKERS)


def rank(candidates: Sequence[Candidate], optimise: str) -> list[Candidate]:
    """Best first. A candidate without the figure that decides comes after all that have it; ties go by `TIE_BREAKERS`."""
    return sorted(candidates, key=_key(candidates, optimise))


def first(candidates: Sequence[Candidate], optimise: str) -> Candidate:
    """The best of them."""
    return min(candidates, key=_key(candidates, optimise))


FIGURES: dict[str, tuple[str, ...]] = {"cost": ("usd",), "carbon": ("kg",), "balanced": ("usd", "kg")}
"""What an aim compares."""


def is_judged(one: Candidate, optimise: str) -> bool:
    """Whether everything that the aim compares is known of a candidate; of those ranked behind it, it may be, or not."""
    return all(getattr(one, name) is not None for name in FIGURES[optimise])


def is_tied(one: Candidate, other: Candidate, optimise: str) -> bool:
    """Whether the aim alone does not tell two candidates apart."""
    return all(_same(getattr(one, name), getattr(other, name)) for name in FIGURES[optimise])


def tie_breaker(best: Candidate, others: Sequence[Candidate], optimise: str) -> str:
    """What puts the best before others that are as good by the aim."""
    return next((word for word, key in _breakers(optimise) if any(key(one) != key(best) for one in others)), "name")


def _same(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9))


def _key(candidates: Sequence[Candidate], optimise: str) -> Callable[[Candidate], tuple[object, ...]]:
    peers = [one for one in candidates if not one.is_last_resort] or candidates
    least_usd = min((one.usd for one in peers if one.usd), default=1.0)
    least_kg = min((one.kg for one in peers if one.kg), default=1.0)
    close = max(CLOSE * least_usd, min(least_usd + CLOSE_USD, CLOSE_AT_MOST * least_usd))

    breakers = [breaker for _, breaker in _breakers(optimise)]

    def key(one: Candidate) -> tuple[object, ...]:
        decisive: tuple[object, ...]
        if optimise == "carbon":
            decisive = (one.kg is None, _rounded(one.kg))
        elif optimise == "balanced":
            sum_of_both = (one.usd or 0.0) / least_usd + (one.kg or 0.0) / least_kg
            decisive = (one.usd is None or one.kg is None, _rounded(sum_of_both))
        else:
            is_close = one.fit.train_hours is not None and one.usd is not None and one.usd <= close
            decisive = (one.usd is None, not is_close, one.accelerators if is_close else 0.0, _rounded(one.usd))
        ties = (*(breaker(one) for breaker in breakers), one.fit.machine.label, one.model, one.site.region.name)
        return (one.is_last_resort, *decisive, *ties)

    return key


def _rounded(figure: float | None) -> float:
    """The figure without the noise of binary fractions, so that equal prices are equal."""
    return float(f"{figure or 0.0:.9g}")
