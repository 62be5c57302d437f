"""The candidates of a need: machines that do the work, joined with how and where they can be had."""

from msgspec import Struct

from infragen.decide import capacity, machine, place, rank, sizing_of
from infragen.decide.fit import Fit
from infragen.decide.need import Machine, Need
from infragen.decide.pricing import HourlyPrice, machine_price
from infragen.decide.rank import Candidate
from infragen.decide.rule import Narrowed
from infragen.decide.rule import candidates as all_of
from infragen.descriptor.model import CapacityModel


class Market(Struct):
    """How a machine is had, where it may stand, and what it costs there: asked once, however many plans are compared."""

    need: Need  # its bounds on places hold; the others do not matter here
    sites: dict[str, Narrowed[place.Site]] = {}
    prices: dict[tuple[str, str, CapacityModel], HourlyPrice | None] = {}
    offers: dict[tuple[object, ...], capacity.Options] = {}

    def options(self, need: Need, fit: Fit) -> capacity.Options:
        """How the machines of a fit can be had, by a descriptor that asks for capacity as this one does or for another model."""
        asked, hours = need.workload.capacity.model, fit.train_hours.high if fit.train_hours else None
        key = fit.machine.label, fit.nodes, hours, asked
        if key not in self.offers:
            self.offers[key] = capacity.narrow(need, fit.machine, fit.nodes, hours)
        return self.offers[key]

    def places(self, box: Machine) -> Narrowed[place.Site]:
        """The sites that the machine may use."""
        if box.label not in self.sites:
            self.sites[box.label] = place.narrow(self.need, box)
        return self.sites[box.label]

    def price(self, box: Machine, region: str, model: CapacityModel) -> HourlyPrice | None:
        """Price of an hour of the machine."""
        key = (box.label, region, model)
        if key not in self.prices:
            self.prices[key] = machine_price(self.need.catalog, box.record, box.host, region, model)
        return self.prices[key]

    def moved(self, need: Need) -> "Market":
        """The same market under other bounds on places."""
        return Market(need, {}, self.prices)


class Joined(Struct, frozen=True):
    """Every fit with every model and site left to it; and what was removed, by machine."""

    fits: Narrowed[Fit]
    candidates: tuple[Candidate, ...]
    options: dict[str, capacity.Options]
    sites: dict[str, Narrowed[place.Site]]


def allowed(need: Need, boxes: tuple[Machine, ...] | None = None) -> Narrowed[Machine]:
    """The machines, of all or of those, that the descriptor allows."""
    considered = machine.machines(need.catalog, need.workload.machine.type) if boxes is None else boxes
    return all_of(considered).by(machine.RULES, need)


def sized(need: Need) -> Narrowed[Fit]:
    """The machines that can do the work, with how they do it."""
    return sizing_of.narrow(need, allowed(need))


def join(need: Need, fits: Narrowed[Fit], market: Market) -> Joined:
    """Every fit with every model and site left to it."""
    found: list[Candidate] = []
    options: dict[str, capacity.Options] = {}
    sites: dict[str, Narrowed[place.Site]] = {}
    for fit in fits.kept:
        box, label = fit.machine, fit.machine.label
        options[label] = market.options(need, fit)
        sites[label] = market.places(box)
        for offer in options[label].kept:
            for site in sites[label].kept:
                price = market.price(box, site.region.name, offer.model)
                found.append(Candidate(fit, offer, site, price, options[label].is_last_resort))
    return Joined(fits, tuple(found), options, sites)


def decided(need: Need) -> Candidate | None:
    """The best candidate; None where nothing would do."""
    found = join(need, sized(need), Market(need)).candidates
    return rank.first(found, need.workload.place.optimise) if found else None
