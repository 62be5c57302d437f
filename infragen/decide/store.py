"""What one purpose asks of its storage, and what a service would give for it: capacity, rates, operations, clients, price.

Capacities are in GiB, rates in MiB/s over all clients together, prices in USD. Limits come from ``storage_services.csv``
and ``disk_limits.csv``; nothing here knows a product.
"""

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide.model import Charge, Unit
from infragen.decide.need import Machine
from infragen.decide.pricing import Tariff
from infragen.descriptor.model import Purpose, Storage
from infragen.facts.model import DiskLimit, StorageService
from infragen.units import GIB, HOURS_PER_MONTH, MIB

FILE_SYSTEM_SHARE = 1.1  # room for a file system's own needs, and to grow
FREE_CLIENTS = 20  # clients that a provisioned disk serves before its floor rises with their number
SCRATCH_GIB = 100.0  # of a disk for scratch whose size is not said
NETWORK_GBPS = 10.0  # of a machine whose network the tables do not know


class Store(Struct, frozen=True):
    """What one purpose asks of its storage. Rates are aggregates over all clients."""

    purpose: Purpose
    machine: Machine
    content_gib: float
    read_mib_s: float
    write_mib_s: float
    clients: int  # machines at once, at the autoscaler's maximum and in the middle of an update
    posix: str
    is_read_only: bool
    is_static: bool  # its content is never replaced
    is_zonal: bool  # everything that reaches it is in one zone
    file_bytes: float | None
    pinned: Storage | None
    tariff: Tariff
    zones: tuple[str, ...] = ()  # that it must be reached from
    has_key: bool = False  # it is to be encrypted with a key of one's own
    is_accelerated: bool = True  # accelerators wait for it
    is_elastic: bool = False  # the number of machines changes by itself
    is_kept: bool = False  # the group keeps each machine's own when it replaces the machine
    changes_often: bool = False  # its content is replaced daily or more often
    interval_s: float | None = None  # between checkpoints, where somebody asked for it
    is_shared_vpc: bool = False  # the network belongs to another project
    network_range: str | None = None  # of the network that is created for the machines
    limits: Mapping[str, DiskLimit] = {}  # by disk type, of this machine

    @property
    def pin(self) -> Storage | None:
        """The descriptor's entry, where it names the service."""
        return self.pinned if self.pinned and self.pinned.service else None

    @property
    def wanted_gib(self) -> float:
        """Capacity asked for, else the content and some room."""
        if self.pinned and self.pinned.capacity:
            return self.pinned.capacity / GIB
        if self.purpose == "scratch" and not self.content_gib:
            return SCRATCH_GIB
        return self.content_gib * FILE_SYSTEM_SHARE

    @property
    def wanted_mib_s(self) -> float:
        """Rate asked for, else the larger of reading and writing."""
        if self.pinned and self.pinned.throughput:
            return self.pinned.throughput / MIB
        return max(self.read_mib_s, self.write_mib_s)

    @property
    def wanted_iops(self) -> int | None:
        """Operations per second asked for."""
        return round(self.pinned.iops) if self.pinned and self.pinned.iops else None

    @property
    def network_mib_s(self) -> float:
        """What one machine's network carries beside the traffic of its accelerators."""
        record = self.machine.record
        gbps = (record.network_gbps or NETWORK_GBPS) - self.machine.fabric.accelerator_gbps
        return max(gbps, NETWORK_GBPS) * 1e9 / 8 / MIB


def is_disk(service: StorageService) -> bool:
    """Whether it is block storage over the network: written by one machine, or read by many."""
    return service.scope == "zonal" and not service.is_writable_shared


def is_own(service: StorageService, store: Store) -> bool:
    """Whether each machine has one of its own."""
    return service.scope == "host" or (is_disk(service) and not (service.is_shared and store.is_read_only))


def on_grid(service: StorageService, gib: float) -> int:
    """The smallest capacity that the service sells and that holds ``gib``; may exceed its maximum."""
    step = service.step_gib
    if service.threshold_gib and service.step_above_gib and gib > service.threshold_gib:
        step = service.step_above_gib
    steps = math.ceil(round(gib / step, 9))  # rounded first: 3.0000000000000004 steps are 3
    return int(max(service.min_gib, steps * step))


def capacity_gib(service: StorageService, store: Store) -> int:
    """Capacity to buy: room for the content, for the rate where it comes with size, and for the clients.

    0 for services without a size of their own. A capacity given beside the service is taken as it is.
    """
    if service.max_gib is None and service.min_gib == 0:
        return 0
    if service.scope == "host":
        return partitions(service, store) * service.step_gib
    if store.pin and store.pin.capacity:
        return math.ceil(store.pin.capacity / GIB)
    asked = [store.wanted_gib]
    iops = store.wanted_iops if service.iops_step else None
    if iops is None and service.read_mib_s_per_gib:
        asked.append(store.read_mib_s / service.read_mib_s_per_gib)
    if iops is None and service.write_mib_s_per_gib:
        asked.append(store.write_mib_s / service.write_mib_s_per_gib)
    if iops is None and service.clients_per_gib:
        asked.append(store.clients / service.clients_per_gib)
    if iops and service.iops_ceiling_per_gib:
        asked.append(iops / service.iops_ceiling_per_gib)
    if service.ceiling_mib_s_per_gib:
        asked.append(store.wanted_mib_s / service.ceiling_mib_s_per_gib)
    return on_grid(service, max(asked))


def partitions(service: StorageService, store: Store) -> int:
    """Local disks of one machine: those that it brings, else the smallest number it takes that holds what is asked."""
    record = store.machine.record
    if record.local_ssd_mode == "bundled":
        return round((record.local_ssd_gib or 0) / service.step_gib)
    limit = store.limits.get(service.tier)
    counts = sorted(limit.counts) if limit else [1]
    needed = math.ceil(store.wanted_gib / service.step_gib)
    return next((count for count in counts if count >= needed), counts[-1])


def bought_iops(service: StorageService, store: Store, gib: int) -> int | None:
    """Operations per second to buy: those asked for, else what the rate needs; None where none are bought."""
    if service.iops_step is None:
        return None
    if store.wanted_iops:
        return store.wanted_iops
    if service.min_iops is None:
        return None  # they come with the capacity, and are bought on request only
    needed = throughput_need(service, store, gib) / (service.read_mib_s_per_iops or math.inf)
    return round(min(max(service.min_iops, math.ceil(needed)), service.max_iops or math.inf))


def throughput_need(service: StorageService, store: Store, gib: int) -> float:
    """The rate to buy, or the rate that operations are to carry."""
    if not service.is_provisioned:
        return store.wanted_mib_s
    low, high = provisioned_bounds(service, store.clients, gib)
    return math.ceil(min(max(store.wanted_mib_s, low), high))


def throughput_mib_s(service: StorageService, store: Store, gib: int) -> float:
    """Aggregate read rate at that capacity; 0 where the service sets no limit of its own."""
    if service.is_provisioned:
        return throughput_need(service, store, gib)
    iops = bought_iops(service, store, gib)
    if iops and service.read_mib_s_per_iops:
        return round(min(iops * service.read_mib_s_per_iops, service.max_read_mib_s or math.inf), 1)
    if service.fixed_read_mib_s:
        return service.fixed_read_mib_s
    return round(gib * service.read_mib_s_per_gib, 1) if service.read_mib_s_per_gib else 0.0


def attainable(service: StorageService, store: Store, gib: int) -> tuple[float, float]:
    """The most that can be read and written, where the rate is not bought by itself; infinite without a limit."""
    if service.is_object:
        return tuple(
            min(share * store.network_mib_s, most) * store.clients if share and most else math.inf
            for share, most in (
                (service.client_read_share, service.client_read_mib_s),
                (service.client_write_share, service.client_write_mib_s),
            )
        )  # type: ignore[return-value]
    read = throughput_mib_s(service, store, gib) or math.inf
    iops = bought_iops(service, store, gib)
    if iops and service.write_mib_s_per_iops:
        write = iops * service.write_mib_s_per_iops
    elif service.fixed_write_mib_s:
        write = service.fixed_write_mib_s
    else:
        write = gib * service.write_mib_s_per_gib if service.write_mib_s_per_gib else read
    return min(read, service.max_read_mib_s or math.inf), write


def provisioned_bounds(service: StorageService, clients: int, gib: int) -> tuple[float, float]:
    """Lowest and highest rate, MiB/s, that can be bought for that size and number of clients."""
    floor = max(service.floor_mib_s or 0, (service.floor_mib_s_per_gib or 0) * gib)
    if clients > FREE_CLIENTS:
        floor = max(floor, (service.floor_mib_s_per_client or 0) * clients)
    ceiling = service.max_read_mib_s or math.inf
    if service.ceiling_mib_s_per_gib:
        ceiling = min(ceiling, service.ceiling_mib_s_per_gib * gib)
    return floor, ceiling


def iops_bounds(service: StorageService, gib: int) -> tuple[int, int]:
    """Fewest and most operations per second that can be bought at that capacity, on the grid of their step."""
    step = service.iops_step or 1
    low = max(service.min_iops or 0, (service.iops_floor_per_gib or 0) * gib)
    high = min(service.max_iops or math.inf, (service.iops_ceiling_per_gib or math.inf) * gib)
    return math.ceil(round(low / step, 3)) * step, math.floor(round(high / step, 3)) * step


def most_clients(service: StorageService, gib: int, iops: int | None = None) -> float:
    """How many VMs may use it at once at that capacity, or with those operations per second bought."""
    for entry in service.clients_by_gib:
        size, _, clients = entry.partition(":")
        if gib <= int(size):
            return int(clients)
    if iops and service.clients_per_iops:
        return math.floor(iops * service.clients_per_iops)
    if service.clients_per_gib:
        return min(math.floor(service.clients_per_gib * gib), service.max_clients or math.inf)
    return service.max_clients or math.inf


def charges(service: StorageService, store: Store) -> tuple[Charge, ...]:
    """The lines of the bill: size, and rate and operations where they are bought apart from it; of all machines' own together."""
    if service.scope == "host" and store.machine.record.local_ssd_mode == "bundled":
        return ()  # part of the machine's price
    gib, item = capacity_gib(service, store), service.id
    own = store.clients if is_own(service, store) else 1
    tier = "" if service.tier == service.service else f" {service.tier}"
    name = f"{service.product}{tier} for {store.purpose}"
    units: list[tuple[str, Unit, float]] = [("", "gib-month", gib or store.content_gib)]
    if service.is_provisioned and store.tariff.sells(item, "mib-s-month"):
        units.append((", rate", "mib-s-month", throughput_mib_s(service, store, gib)))
    iops = bought_iops(service, store, gib)
    if iops:
        units.append((", operations", "iops-month", iops))
    lines = [store.tariff.charge("storage", name + what, item, unit, amount * own) for what, unit, amount in units]
    if service.unpriced:
        lines.append(Charge("storage", f"{service.unpriced} for {store.purpose}", item, "gib-month", None, None))
    return tuple(replace(one, included=one.included * own) for one in lines)


def usd_per_month(service: StorageService, store: Store) -> float | None:
    """Price of a month, of all of them where each machine has its own; None where the tables have none."""
    known = [one for one in charges(service, store) if one.quantity is not None]
    if any(one.usd_per_unit is None for one in known):
        return None
    return sum(one.usd_per_hour or 0.0 for one in known) * HOURS_PER_MONTH


def usd_per_hour(service: StorageService, store: Store) -> float | None:
    """List price of an hour."""
    month = usd_per_month(service, store)
    return None if month is None else month / HOURS_PER_MONTH
