"""Storage: the rules that hold a store against the limits of a service: capacity, rates, operations, machines at once."""

import math

from infragen.decide.rule import Miss, rule
from infragen.decide.store import (
    Store,
    attainable,
    bought_iops,
    capacity_gib,
    iops_bounds,
    is_own,
    most_clients,
    on_grid,
    partitions,
    provisioned_bounds,
)
from infragen.facts.model import StorageService

ENOUGH = 0.5  # MiB/s that a rate may miss by: below the precision of the tables


@rule(
    "T011",
    "capacity-on-grid",
    source="https://docs.cloud.google.com/managed-lustre/docs/performance-tiers and filestore/docs/service-tiers",
)
def capacity_on_grid(store: Store, service: StorageService) -> Miss | None:
    """Buy only capacities that the service sells.

    Why: each tier has a smallest and a largest size and steps between; other values are refused at apply.
    Example: 10,000 GiB of a tier sold in steps of 9,000 GiB is rejected; the nearest value up is 18,000 GiB.
    """
    gib = capacity_gib(service, store)
    if gib == 0:
        return None
    if service.scope == "host":
        return _local_capacity(store, service, gib)
    nearest = on_grid(service, max(gib, store.content_gib))
    off = abs(nearest - gib) / gib
    if service.max_gib is not None and nearest > service.max_gib:
        distance = 1 + (nearest - service.max_gib) / service.max_gib
        largest = f"the largest is `{service.max_gib}GiB`"
        return Miss(f"{gib:,} GiB needed; it goes to {service.max_gib:,} GiB", distance, largest, "capacity")
    if gib < store.content_gib:
        smallest = f"the smallest that holds it is `{nearest}GiB`"
        return Miss(f"{gib:,} GiB for {store.content_gib:,.0f} GiB of content", off, smallest, "capacity")
    if nearest != gib:
        grid = f"its grid of {service.step_gib:,} GiB from {service.min_gib:,}"
        if service.threshold_gib and gib > service.threshold_gib:
            grid = f"its grid of {service.step_above_gib:,} GiB above {service.threshold_gib:,}"
        return Miss(f"{gib:,} GiB is not on {grid}", off, f"the nearest capacity is `{nearest}GiB`", "capacity")
    return None


def _local_capacity(store: Store, service: StorageService, gib: int) -> Miss | None:
    if gib >= store.wanted_gib or not (store.pinned and store.pinned.capacity):
        return None
    most = f"`{store.machine.type}` has {partitions(service, store)} partitions, {gib:,} GiB, at most"
    return Miss(f"{store.wanted_gib:,.0f} GiB needed; {most}", 0.5, f"the largest is `{gib}GiB`", "capacity")


@rule(
    "T012",
    "rate-attainable",
    source="https://docs.cloud.google.com/filestore/docs/performance, managed-lustre/docs/performance and docs/facts.md: ST33",
)
def rate_attainable(store: Store, service: StorageService) -> Miss | None:
    """Give the rates that the work asks for.

    Why: accelerators that wait for data, or for a checkpoint to be written, cost as much as those that compute.
    Example: 30,000 MiB/s asked of a file system that gives at most 26,000 MiB/s is rejected; so are 100 GiB/s of object
    storage for 8 machines whose networks carry a tenth of that.
    """
    gib = capacity_gib(service, store)
    if service.is_provisioned:
        return _provisioned(store, service, gib)
    read, write = attainable(service, store, gib)
    wanted = store.wanted_mib_s
    if service.is_object:
        if wanted > max(read, write) + ENOUGH or store.read_mib_s > read + ENOUGH:
            return Miss(f"{wanted:,.0f} MiB/s needed; {store.clients:,} machines read {read:,.0f} from objects", 0.5)
        if service.max_read_mib_s and wanted > service.max_read_mib_s:
            return Miss(f"{wanted:,.0f} MiB/s needed; a bucket gives {service.max_read_mib_s:,.0f}", 0.5)
    elif wanted > read + ENOUGH and wanted > store.write_mib_s:
        return Miss(f"{wanted:,.0f} MiB/s needed; it gives {read:,.0f}", 0.5, *_more_capacity(store, service))
    if store.write_mib_s > write + ENOUGH:
        return Miss(
            f"{store.write_mib_s:,.0f} MiB/s to write; it takes {write:,.0f}", 0.5, *_more_capacity(store, service)
        )
    return None


def _more_capacity(store: Store, service: StorageService) -> tuple[str, str]:
    """The capacity that would give the rate, where capacity is what is in the way."""
    if not (store.pin and store.pin.capacity and service.read_mib_s_per_gib and service.write_mib_s_per_gib):
        return "", ""
    gib = max(store.read_mib_s / service.read_mib_s_per_gib, store.write_mib_s / service.write_mib_s_per_gib)
    nearest = on_grid(service, max(gib, store.wanted_gib))
    if service.max_gib and nearest > service.max_gib:
        return "", ""
    return f"the smallest capacity that does is `{nearest}GiB`", "capacity"


def _provisioned(store: Store, service: StorageService, gib: int) -> Miss | None:
    low, high = provisioned_bounds(service, store.clients, gib)
    asked = store.wanted_mib_s
    if asked > high:
        because = f"{asked:,.0f} MiB/s asked; at {gib:,} GiB it gives up to {high:,.0f}"
        is_given = store.pinned is not None and store.pinned.throughput is not None
        return Miss(because, 0, f"the most is `{math.floor(high)}MiB/s`" if is_given else "", "throughput")
    if store.pinned and store.pinned.throughput and asked < low:
        because = f"{asked:,.0f} MiB/s asked; {gib:,} GiB for {store.clients} VMs need at least {low:,.0f}"
        return Miss(because, 0, f"the least is `{math.ceil(low)}MiB/s`", "throughput")
    return None


@rule(
    "T013",
    "client-limit",
    source="https://docs.cloud.google.com/filestore/docs/limits and compute/docs/disks/hyperdisks",
)
def client_limit(store: Store, service: StorageService) -> Miss | None:
    """Stay within the number of machines that may use it at once.

    Why: the autoscaler's maximum, and the surge of a rolling update, count; the machine beyond the limit does not start.
    Example: 200 VMs on a disk of 4,000 GiB, which 128 may attach, is rejected.
    """
    gib = capacity_gib(service, store)
    iops = bought_iops(service, store, gib)
    limit = most_clients(service, gib, iops)
    if is_own(service, store) or store.clients <= limit:
        return None
    at = f"{iops:,} IOPS" if iops and service.clients_per_iops else f"{gib:,} GiB"
    because = f"{store.clients:,} VMs at once; {limit:,.0f} may use it at {at}"
    return Miss(because, 0, *_room_for_clients(store, service, iops))


def _room_for_clients(store: Store, service: StorageService, iops: int | None) -> tuple[str, str]:
    """The value nearest to the one asked that would serve all machines, and the field it goes into."""
    if iops and service.clients_per_iops:
        step = service.iops_step or 1
        return f"the least is `{math.ceil(store.clients / service.clients_per_iops / step) * step}`", "iops"
    if service.clients_per_gib:
        needed = on_grid(service, store.clients / service.clients_per_gib)
        if needed <= (service.max_gib or math.inf) and store.clients <= (service.max_clients or math.inf):
            return f"the smallest capacity for {store.clients:,} VMs is `{needed}GiB`", "capacity"
    sizes = [(int(gib), int(most)) for gib, _, most in (entry.partition(":") for entry in service.clients_by_gib)]
    fitting = [gib for gib, most in sizes if most >= store.clients]
    if fitting and max(fitting) >= store.content_gib:
        return f"the largest capacity for {store.clients:,} VMs is `{max(fitting)}GiB`", "capacity"
    fewer = most_clients(service, capacity_gib(service, store), iops)
    return f"at most {fewer:,.0f} VMs: split the content over several stores, or set `service` to `cloud-storage`", ""


@rule(
    "T022",
    "iops-attainable",
    source="https://docs.cloud.google.com/filestore/docs/custom-performance and compute/docs/disks/hyperdisks",
)
def iops_attainable(store: Store, service: StorageService) -> Miss | None:
    """Buy only as many operations per second as the capacity allows, in the steps that they are sold in.

    Why: a file server sells them by the thousand within a band per TiB, a disk up to a number per GiB; the service refuses
    others at apply.
    Example: 3,000 IOPS on 1 TiB of a zonal file server are rejected; 4,000 is the least.
    """
    asked = store.wanted_iops
    if asked is None or service.iops_step is None:
        return None
    gib = capacity_gib(service, store)
    low, high = iops_bounds(service, gib)
    nearest = min(max(math.ceil(asked / service.iops_step) * service.iops_step, low), high)
    if nearest != asked:
        because = f"{asked:,} IOPS asked; {gib:,} GiB take {low:,} to {high:,} in steps of {service.iops_step:,}"
        return Miss(because, 0, f"the nearest is `{nearest}`", "iops")
    rate = store.pinned.throughput / 2**20 if store.pinned and store.pinned.throughput else 0
    carried = asked * (service.read_mib_s_per_iops or math.inf)
    if rate > carried + ENOUGH:
        needed = math.ceil(rate / (service.read_mib_s_per_iops or 1) / service.iops_step) * service.iops_step
        return Miss(f"{asked:,} IOPS carry {carried:,.0f} MiB/s; {rate:,.0f} asked", 0, f"it takes `{needed}`", "iops")
    return None


LIMITS = (capacity_on_grid, iops_attainable, rate_attainable, client_limit)
