"""What a machine, or a unit of anything else, costs at a place, as far as the price tables know."""

from msgspec import Struct

from infragen.decide.model import Charge, Part, Unit
from infragen.descriptor.model import CapacityModel
from infragen.facts.load import Catalog
from infragen.facts.model import HostMachine, MachineType, Price

PRICE_KINDS: dict[CapacityModel, tuple[str, ...]] = {
    "on-demand": ("on_demand",),
    "spot": ("spot",),
    "reservation": ("on_demand",),  # a reservation is billed at the on-demand rate, used or not
    "future-reservation": ("on_demand",),  # ... from its delivery on
    "calendar": ("dws_unspecified", "flex_start_inferred"),
    "flex-start": ("flex_start_inferred",),
}

UPPER_BOUND = "upper-bound"  # a confidence: the price is no more than this
AT_MOST: frozenset[CapacityModel] = frozenset(
    {"flex-start", "calendar"}
)  # discounted or equal to the list price, never above it


class Tariff(Struct, frozen=True):
    """What is billed in one region besides machines."""

    catalog: Catalog
    region: str

    def charge(
        self, part: Part, name: str, item: str, unit: Unit, quantity: float | None, kind: str = "on_demand"
    ) -> Charge:
        """The line of the bill for that many units."""
        found = self.catalog.service_price(item, unit, self.region, kind)
        if found is None:
            return Charge(part, name, item, unit, quantity, None)
        return Charge(
            part,
            name,
            item,
            unit,
            quantity,
            found.usd,
            found.included or 0.0,
            found.region,
            found.as_of,
            found.confidence,
        )

    def sells(self, item: str, unit: Unit) -> bool:
        """Whether the tables know such a unit of the item anywhere."""
        return any(one.unit == unit for one in self.catalog.service_prices(item))


class HourlyPrice(Struct, frozen=True):
    """USD per hour of one machine, the date of the price, and how sure the table is."""

    usd: float
    as_of: str
    confidence: str
    includes: str = ""  # what the price covers


def machine_price(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, region: str, model: CapacityModel
) -> HourlyPrice | None:
    """Price of one machine with its accelerators, or None where the tables do not know it.

    A whole-machine price wins; else host and accelerators are added up; else, for a discounted accelerator, the list
    price of the machine with the accelerators' share exchanged. Where a discount is not known the list price stands in
    for it, as an upper bound.
    """
    for kind in PRICE_KINDS[model]:
        found = _of_kind(catalog, machine, host, region, kind)
        if found:
            return found
    listed = machine_price(catalog, machine, host, region, "on-demand") if model in AT_MOST else None
    return HourlyPrice(listed.usd, listed.as_of, UPPER_BOUND, listed.includes) if listed else None


def least_price(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, models: tuple[CapacityModel, ...]
) -> float:
    """No such machine costs less an hour anywhere, had in one of those ways; 0.0 where nothing is known. Cheaper to ask than a price."""
    listed = PRICE_KINDS["on-demand"] if AT_MOST & set(models) else ()
    kinds = dict.fromkeys((*(kind for model in models for kind in PRICE_KINDS[model]), *listed))
    return min(filter(None, (_least_of_kind(catalog, machine, host, kind) for kind in kinds)), default=0.0)


def _least_of_kind(catalog: Catalog, machine: MachineType, host: HostMachine | None, kind: str) -> float:
    whole = catalog.least_price(machine.name, kind)
    accelerator = catalog.accelerators.get(machine.accelerator or "")
    if accelerator is None or accelerator.price_item is None:
        return whole
    parts = machine.accelerators * catalog.least_price(accelerator.price_item, kind)
    if parts and host:
        parts += catalog.least_host_price(host, kind)
    return min(filter(None, (whole, parts)), default=0.0)


def committed_price(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, region: str, years: int
) -> HourlyPrice | None:
    """Price of an hour of one machine under a commitment of that many years; None where the tables have none."""
    return _of_kind(catalog, machine, host, region, f"cud_{years}y")


def _of_kind(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, region: str, kind: str
) -> HourlyPrice | None:
    return (
        _whole(catalog, machine, region, kind)
        or _slices(catalog, machine, region, kind)
        or _sum(catalog, machine, host, region, kind)
        or _exchanged(catalog, machine, region, kind)
    )


def _whole(catalog: Catalog, machine: MachineType, region: str, kind: str) -> HourlyPrice | None:
    price = catalog.prices(machine.name).get(("machine", region, kind))
    return _hourly(price) if price else None


def _hourly(price: Price) -> HourlyPrice:
    return HourlyPrice(price.usd_per_hour, price.as_of, price.confidence, price.includes)


def _chip(catalog: Catalog, machine: MachineType, region: str, kind: str, scope: str = "per_gpu") -> HourlyPrice | None:
    """Price of one accelerator: without its machine, or (``per_chip``) with its share of the machine."""
    accelerator = catalog.accelerators.get(machine.accelerator or "")
    if accelerator is None or accelerator.price_item is None:
        return None
    price = catalog.prices(accelerator.price_item).get((scope, region, kind))
    return _hourly(price) if price else None


def _slices(catalog: Catalog, machine: MachineType, region: str, kind: str) -> HourlyPrice | None:
    """Price of a machine whose chips are priced with their share of it."""
    chip = _chip(catalog, machine, region, kind, "per_chip")
    return HourlyPrice(chip.usd * machine.accelerators, chip.as_of, chip.confidence, chip.includes) if chip else None


def _host(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, region: str, kind: str
) -> HourlyPrice | None:
    """Price of the machine without its accelerators."""
    scope, name = ("machine", host.name) if host else ("machine_without_gpu", machine.name)
    price = catalog.prices(name).get((scope, region, kind))
    if price:
        return _hourly(price)
    if host is None:
        return None
    rate = catalog.host_prices(host.series).get((region, kind))
    if rate is None:
        return None
    usd = host.vcpus * rate.usd_per_vcpu_hour + host.memory_gib * rate.usd_per_gb_hour
    return HourlyPrice(usd, rate.as_of, rate.confidence, "vcpu+ram")


def _sum(
    catalog: Catalog, machine: MachineType, host: HostMachine | None, region: str, kind: str
) -> HourlyPrice | None:
    base = _host(catalog, machine, host, region, kind)
    if base is None or not machine.has_accelerator:
        return base
    chip = _chip(catalog, machine, region, kind)
    if chip is None:
        return None
    usd = base.usd + machine.accelerators * chip.usd
    return HourlyPrice(usd, min(base.as_of, chip.as_of), chip.confidence, f"{base.includes}+gpu")


def _exchanged(catalog: Catalog, machine: MachineType, region: str, kind: str) -> HourlyPrice | None:
    """The list price with the accelerators at their discounted rate."""
    whole = _whole(catalog, machine, region, "on_demand")
    usual, discounted = _chip(catalog, machine, region, "on_demand"), _chip(catalog, machine, region, kind)
    if whole is None or usual is None or discounted is None:
        return None
    usd = whole.usd - machine.accelerators * (usual.usd - discounted.usd)
    return HourlyPrice(usd, discounted.as_of, discounted.confidence, whole.includes) if usd > 0 else None
