"""Storage: for each purpose, the services that can do the work, and the cheapest of them."""

import ipaddress
import math
from collections.abc import Mapping

from msgspec import Struct

from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Machine, Need
from infragen.decide.rule import Miss, Narrowed, candidates, rule
from infragen.descriptor.model import Purpose, Storage
from infragen.diagnostics import declare
from infragen.facts.model import StorageService
from infragen.units import GIB, HOURS_PER_MONTH, MIB

FILE_SYSTEM_SHARE = 1.1  # room for a file system's own needs, and to grow
SMALL_FILE_BYTES = 50e6  # below it, latency per file decides, T008; from memory
MANY_READERS = 100  # T007; from memory
READ_ONLY: Mapping[str, str] = {"weights": "weights are replaced as a whole, never changed"}
POSIX_ORDER = ("none", "basic", "full")
CONTAINER_RANGE = ipaddress.IPv4Network("172.17.0.0/16")  # container engines and file servers use it themselves
FREE_CLIENTS = 20  # clients that a provisioned disk serves before its floor rises with their number
CHEAPEST = declare(
    "T014",
    "cheapest-storage",
    """Take the cheapest service that can do the work.

    Why: everything that is left holds the data, gives the rate and serves the machines; what remains is the price of a month.
    Example: of two file systems that both give 500 MiB/s, the one with the lower price per month is taken; one without a
    known price comes last.
    """,
    source="design decision",
)


class Store(Struct, frozen=True):
    """What one purpose asks of its storage. Rates are aggregates over all clients."""

    purpose: Purpose
    machine: Machine
    content_gib: float
    read_mib_s: float
    write_mib_s: float
    clients: int
    posix: str
    is_read_only: bool
    is_static: bool  # replaced less often than weekly
    is_zonal: bool  # all clients are in one zone
    file_bytes: float | None
    pinned: Storage | None
    has_key: bool = False  # it is to be encrypted with a key of one's own

    @property
    def wanted_gib(self) -> float:
        """Capacity asked for: the pinned one, else the content and some room."""
        return (
            self.pinned.capacity / GIB if self.pinned and self.pinned.capacity else self.content_gib * FILE_SYSTEM_SHARE
        )

    @property
    def wanted_mib_s(self) -> float:
        """Rate asked for: the pinned one, else the larger of reading and writing."""
        return (
            self.pinned.throughput / MIB
            if self.pinned and self.pinned.throughput
            else max(self.read_mib_s, self.write_mib_s)
        )


def on_grid(service: StorageService, gib: float) -> int:
    """The smallest capacity that the service sells and that holds ``gib``; may exceed its maximum."""
    step = service.step_gib
    if service.threshold_gib and service.step_above_gib and gib > service.threshold_gib:
        step = service.step_above_gib
    steps = math.ceil(round(gib / step, 9))  # rounded first: 3.0000000000000004 steps are 3
    return int(max(service.min_gib, steps * step))


def capacity_gib(service: StorageService, store: Store) -> int:
    """Capacity to buy: room for the content, for the rate where it comes with size, and for the clients.

    0 for services without a size of their own. A pinned capacity is taken as it is.
    """
    if service.max_gib is None and service.min_gib == 0:
        return 0
    if store.pinned and store.pinned.capacity:
        return math.ceil(store.pinned.capacity / GIB)
    asked = [store.wanted_gib]
    if service.read_mib_s_per_gib:
        asked.append(store.wanted_mib_s / service.read_mib_s_per_gib)
    if service.write_mib_s_per_gib:
        asked.append(store.write_mib_s / service.write_mib_s_per_gib)
    if service.clients_per_gib:
        asked.append(store.clients / service.clients_per_gib)
    if service.ceiling_mib_s_per_gib:
        asked.append(store.wanted_mib_s / service.ceiling_mib_s_per_gib)
    return on_grid(service, max(asked))


def throughput_mib_s(service: StorageService, store: Store, gib: int) -> float:
    """Aggregate read rate at that capacity; 0 where the service sets no limit of its own."""
    if service.is_provisioned:
        low, high = provisioned_bounds(service, store.clients, gib)
        return math.ceil(min(max(store.wanted_mib_s, low), high))
    if service.fixed_read_mib_s:
        return service.fixed_read_mib_s
    return round(gib * service.read_mib_s_per_gib, 1) if service.read_mib_s_per_gib else 0.0


def provisioned_bounds(service: StorageService, clients: int, gib: int) -> tuple[float, float]:
    """Lowest and highest rate, MiB/s, that can be bought for that size and number of clients."""
    floor = max(service.floor_mib_s or 0, (service.floor_mib_s_per_gib or 0) * gib)
    if clients > FREE_CLIENTS:
        floor = max(floor, (service.floor_mib_s_per_client or 0) * clients)
    ceiling = service.max_read_mib_s or math.inf
    if service.ceiling_mib_s_per_gib:
        ceiling = min(ceiling, service.ceiling_mib_s_per_gib * gib)
    return floor, ceiling


def most_clients(service: StorageService, gib: int) -> float:
    """How many VMs may use it at once at that capacity."""
    for entry in service.clients_by_gib:
        size, _, clients = entry.partition(":")
        if gib <= int(size):
            return int(clients)
    if service.clients_per_gib:
        return min(service.clients_per_gib * gib, service.max_clients or math.inf)
    return service.max_clients or math.inf


def usd_per_month(service: StorageService, store: Store) -> float | None:
    """List price of a month, or None where the tables have none."""
    if service.usd_per_gib_month is None:
        return None
    gib = capacity_gib(service, store)
    price = (gib or store.content_gib) * service.usd_per_gib_month
    if service.is_provisioned and service.usd_per_mib_s_month:
        included = service.floor_mib_s or 0 if service.max_clients == 1 else 0
        price += max(0.0, throughput_mib_s(service, store, gib) - included) * service.usd_per_mib_s_month
    return price


def usd_per_hour(service: StorageService, store: Store) -> float | None:
    """List price of an hour."""
    month = usd_per_month(service, store)
    return None if month is None else month / HOURS_PER_MONTH


@rule("T001", "service-pinned", source="descriptor: storage.service, storage.tier")
def service_pinned(store: Store, service: StorageService) -> Miss | None:
    """Use the service, and the tier, that the descriptor names.

    Why: data may lie there already, or a team knows how to run it.
    Example: `{purpose: dataset, service: filestore, tier: zonal}` rejects every other service and tier.
    """
    pinned = store.pinned
    if pinned is None or pinned.service is None:
        return None
    if service.service != pinned.service:
        return Miss(f"storage.service is `{pinned.service}`")
    if pinned.dynamic != (service.tier == "dynamic"):
        return Miss("storage.dynamic asks for the other kind of tier", 0.5)
    if pinned.tier is not None and str(pinned.tier).lower().replace("-", "_") != service.tier.lower():
        return Miss(f"storage.tier is `{pinned.tier}`", 0.5, f"`{service.tier.lower()}` is one it has", "tier")
    return None


@rule("T002", "not-deprecated", source="https://github.com/hashicorp/terraform-provider-google/issues/29376")
def not_deprecated(store: Store, service: StorageService) -> Miss | None:
    """Choose nothing new that its vendor is ending, or that has a better successor.

    Why: a file system outlives the plan that made it; moving data off a service that ends is weeks of work.
    Example: a deprecated service is refused with its successor; `accept_deprecated: true` takes it all the same.
    """
    if service.is_new:
        return None
    pinned = store.pinned
    if (
        pinned
        and pinned.service == service.service
        and (pinned.accept_deprecated or pinned.tier is not None or pinned.dynamic)
    ):
        ended = service.successor is not None and service.successor != service.service
        if not ended or pinned.accept_deprecated:
            return None
    instead = f"; `{service.successor}` takes its place" if service.successor else ""
    return Miss(f"not for new designs{instead}", 0, f"use `{service.successor}`" if service.successor else "")


@rule("T003", "persistent-data", source="https://docs.cloud.google.com/compute/docs/disks/local-ssd")
def persistent_data(store: Store, service: StorageService) -> Miss | None:
    """Keep data that matters on storage that survives the machine.

    Why: what lies on a machine's local disks is gone when the machine stops, is repaired or is preempted.
    Example: local SSD serves `scratch` only; checkpoints on it are rejected.
    """
    if service.is_persistent or store.purpose == "scratch":
        return None
    return Miss("its content does not survive the machine")


@rule("T004", "posix-needed", source="https://docs.cloud.google.com/storage/docs/cloud-storage-fuse/overview")
def posix_needed(store: Store, service: StorageService) -> Miss | None:
    """Give programs as much of POSIX as they need.

    Why: object storage behind a file interface has no locks, no atomic rename of folders, no ownership; programs that
    rely on them fail late and strangely.
    Example: `data: {posix: full}` rejects Cloud Storage with Cloud Storage FUSE.
    """
    if POSIX_ORDER.index(service.posix) >= POSIX_ORDER.index(store.posix):
        return None
    return Miss(f"gives {service.posix} POSIX semantics; {store.posix} is needed")


@rule("T005", "shared-access", source="https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms")
def shared_access(store: Store, service: StorageService) -> Miss | None:
    """Let every machine reach it, and write where it must.

    Why: block storage is for one writer; several machines share it read-only at most.
    Example: a data set that 8 machines write rejects every disk; weights that 8 machines read reject single-machine
    disks; checkpoints reject a disk that is made to be read by many.
    """
    if service.is_provisioned and service.is_shared and not service.is_writable_shared and not store.is_read_only:
        return Miss("it is filled once and then only read")
    if store.clients <= 1 or service.is_writable_shared or service.scope == "host":
        return None
    if not service.is_shared:
        return Miss(f"one VM at a time; {store.clients} need it")
    return None if store.is_read_only else Miss(f"{store.clients} VMs may read it together, none may write")


@rule("T006", "zone-coherent", source="https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms")
def zone_coherent(store: Store, service: StorageService) -> Miss | None:
    """Keep zonal disks and their readers in one zone.

    Why: a zonal disk can be attached in its own zone only; a regional group has machines in several.
    Example: weights for a group over three zones reject Hyperdisk ML and Persistent Disk.
    """
    is_disk = service.tier in _disk_types(store.machine)
    if store.is_zonal or service.scope != "zonal" or not is_disk:
        return None
    return Miss("lies in one zone; the group spans several")


def _disk_types(machine: Machine) -> frozenset[str]:
    return frozenset(machine.record.data_disk_types)


@rule(
    "T007",
    "many-static-readers",
    source="https://docs.cloud.google.com/compute/docs/disks/hyperdisks and design decision",
)
def many_static_readers(store: Store, service: StorageService) -> Miss | None:
    """Buy a shared read-only disk for weights from 100 readers on, and only for weights that stay.

    Why: its rate is paid for by the month and every new version is a new disk; below 100 readers, or with weekly
    updates, object storage with a cache loads about as fast for a fraction of the price. The
    bound of 100 is recalled, not read.
    Example: 250 readers of static weights in one zone reject object storage; 8 readers reject the shared disk.
    """
    if store.purpose != "weights" or (store.pinned and store.pinned.service):
        return None
    many = store.clients >= MANY_READERS and store.is_static and store.is_zonal
    is_shared_disk = service.is_provisioned and service.is_shared
    if many and not is_shared_disk:
        return Miss(f"{store.clients} VMs read the same static weights in one zone: a shared read-only disk is faster")
    if not many and is_shared_disk:
        seen = (
            f"{store.clients} readers"
            + ("" if store.is_static else ", replaced often")
            + ("" if store.is_zonal else ", several zones")
        )
        return Miss(f"pays from {MANY_READERS} readers of static weights in one zone on; here {seen}")
    return None


@rule("T008", "small-files", source="https://docs.cloud.google.com/ai-hypercomputer/docs/storage")
def small_files(store: Store, service: StorageService) -> Miss | None:
    """Keep small files where latency is low.

    Why: in small files the time to the first byte decides, and object storage takes tens of milliseconds. The bound of
    50 MB a file is recalled, not read: measure before relying on it near the bound.
    Example: a training set of 256 KiB files rejects Cloud Storage with Cloud Storage FUSE.
    """
    if store.purpose != "dataset" or store.file_bytes is None or store.file_bytes >= SMALL_FILE_BYTES:
        return None
    if service.latency != "tens-of-ms" or (store.pinned and store.pinned.service):
        return None
    return Miss(
        f"tens of milliseconds per file, and files are {store.file_bytes / MIB:.3g} MiB, below 50 MB (a bound from memory)"
    )


@rule("T009", "object-home", source="https://docs.cloud.google.com/ai-hypercomputer/docs/storage")
def object_home(store: Store, service: StorageService) -> Miss | None:
    """Keep home directories off object storage.

    Why: shells, editors, package managers and version control lock, rename and append.
    Example: `{purpose: home}` rejects Cloud Storage with Cloud Storage FUSE.
    """
    return Miss("home directories need a file system") if store.purpose == "home" and service.posix != "full" else None


@rule("T010", "disk-supported", source="https://docs.cloud.google.com/compute/docs/disks/hyperdisks")
def disk_supported(store: Store, service: StorageService) -> Miss | None:
    """Attach only disk types that the machine series takes.

    Why: the support matrix has holes in both directions, and a wrong pair fails when the machine is created.
    Example: a series that takes only Hyperdisk rejects Persistent Disk.
    """
    if service.scope == "host":
        if store.machine.record.local_ssd_mode in ("bundled", "optional"):
            return None
        return Miss(f"`{store.machine.type}` has no local disks")
    is_block = service.service == service.tier or service.tier.startswith("pd-")
    if not is_block or service.tier in _disk_types(store.machine):
        return None
    supported = ", ".join(f"`{type}`" for type in store.machine.record.data_disk_types)
    return Miss(f"`{store.machine.record.series}` does not take it; it takes {supported}", 0)


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
        return Miss(f"{gib:,} GiB is not on {grid}", off, f"the nearest capacity is `{nearest}GiB`", "capacity")
    return None


@rule(
    "T012",
    "rate-attainable",
    source="https://docs.cloud.google.com/filestore/docs/performance and managed-lustre/docs/performance",
)
def rate_attainable(store: Store, service: StorageService) -> Miss | None:
    """Give the rate that the work asks for.

    Why: accelerators that wait for data, or for a checkpoint to be written, cost as much as those that compute.
    Example: 30,000 MiB/s asked of a file system that gives at most 26,000 MiB/s is rejected.
    """
    gib = capacity_gib(service, store)
    if service.is_provisioned:
        low, high = provisioned_bounds(service, store.clients, gib)
        if store.wanted_mib_s > high:
            return Miss(
                f"{store.wanted_mib_s:,.0f} MiB/s asked; at {gib:,} GiB it gives up to {high:,.0f}",
                0,
                f"the most is `{high:.0f}MiB/s`",
                "throughput",
            )
        if store.pinned and store.pinned.throughput and store.wanted_mib_s < low:
            return Miss(
                f"{store.wanted_mib_s:,.0f} MiB/s asked; {gib:,} GiB for {store.clients} VMs need at least {low:,.0f}",
                0,
                f"the least is `{math.ceil(low)}MiB/s`",
                "throughput",
            )
        return None
    attainable = throughput_mib_s(service, store, gib)
    if service.max_read_mib_s and not service.fixed_read_mib_s:
        attainable = min(attainable, service.max_read_mib_s)
    if attainable and store.wanted_mib_s > attainable + 0.5:
        return Miss(f"{store.wanted_mib_s:,.0f} MiB/s needed; it gives {attainable:,.0f}", 0.5)
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
    limit = most_clients(service, gib)
    if service.scope == "host" or store.clients <= limit:
        return None
    return Miss(f"{store.clients} VMs at once; {limit:,.0f} may use it at {gib:,} GiB", 0)


@rule("T015", "setting-known", source="docs/facts.md: storage_services.csv, settings and protocols")
def setting_known(store: Store, service: StorageService) -> Miss | None:
    """Give a store only settings that its service has.

    Why: a setting that the service does not have would be obeyed by nobody.
    Example: `{service: cloud-storage, capacity: 100TiB}` is an error: a bucket has no capacity; so is NFS 4.1 on a basic tier.
    """
    pinned = store.pinned
    if pinned is None or pinned.service is None:
        return None
    for field in ("capacity", "throughput", "iops", "tier", "dynamic", "protocol", "reserved_range"):
        if getattr(pinned, field) and field not in service.settings:
            return Miss(f"it has no `{field}`", 0, f"leave `{field}` out", field)
    if pinned.protocol and pinned.protocol not in service.protocols:
        speaks = ", ".join(f"`{one}`" for one in service.protocols)
        return Miss(f"it speaks {speaks}", 0, f"set `protocol` to {speaks}, or choose another tier", "protocol")
    return _unusable_range(pinned.reserved_range) if pinned.reserved_range else None


def _unusable_range(text: str) -> Miss | None:
    help = "choose a private range like `10.30.0.0/24`"
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return Miss(f"`{text}` is not an address range", 0, help, "reserved_range")
    if network.is_private and not network.overlaps(CONTAINER_RANGE):
        return None
    return Miss(f"`{text}` is public, or overlaps {CONTAINER_RANGE}", 0, help, "reserved_range")


@rule("T016", "key-taken", source="https://docs.cloud.google.com/filestore/docs/cmek")
def key_taken(store: Store, service: StorageService) -> Miss | None:
    """With a key of one's own, use services that take it.

    Why: a service that encrypts with Google's keys only would break the rule that the key stands for, and refuses at apply.
    Example: `security.kms_key` rejects the basic tiers of a file server.
    """
    return Miss("takes no key of one's own") if store.has_key and not service.kms and service.scope != "host" else None


RULES = (
    service_pinned, setting_known, key_taken, not_deprecated, persistent_data, posix_needed, shared_access, zone_coherent, object_home,
    disk_supported, small_files, many_static_readers, capacity_on_grid, rate_attainable, client_limit,
)  # fmt: skip


def narrow(need: Need, store: Store) -> Narrowed[StorageService]:
    """The services that can hold this store."""
    services = need.catalog.storage_services
    return candidates(services[id] for id in sorted(services)).by(RULES, store)


def rank(store: Store, services: tuple[StorageService, ...]) -> list[StorageService]:
    """Cheapest first by list price of a month; those without a price last; ties by name."""
    prices = {service.id: usd_per_month(service, store) for service in services}
    return sorted(services, key=lambda one: (prices[one.id] is None, prices[one.id] or 0.0, one.id))


def purposes(need: Need) -> list[Purpose]:
    """What needs a store: what the task implies, and what the descriptor lists besides."""
    workload = need.workload
    implied: list[Purpose] = []
    if workload.task in SERVING_TASKS and workload.model:
        implied.append("weights")
    if workload.data:
        implied.append("dataset")
    if workload.task in TRAINING_TASKS:
        implied.append("checkpoints")
    return implied + [entry.purpose for entry in workload.storage if entry.purpose not in implied]
