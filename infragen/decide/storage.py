"""Storage: the rules that say which services can hold a store, in the order in which they are asked."""

import ipaddress
from collections.abc import Mapping

from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Machine, Need
from infragen.decide.rule import Miss, Narrowed, candidates, rule
from infragen.decide.storage_limits import LIMITS
from infragen.decide.storage_preferences import GUIDANCE, PREFERENCES, cache_pays
from infragen.decide.store import Store, is_disk, is_own, on_grid, usd_per_month
from infragen.descriptor.model import Purpose
from infragen.diagnostics import declare
from infragen.facts.model import StorageService

__all__ = ["PREFERENCES", "RULES", "Store", "narrow", "on_grid", "purposes", "rank"]

SHARING = "https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms"
READ_ONLY: Mapping[str, str] = {"weights": "weights are replaced as a whole, never changed"}
POSIX_ORDER = ("none", "basic", "full")
CONTAINER_RANGE = ipaddress.IPv4Network("172.17.0.0/16")  # container engines and file servers use it themselves
ASKED_OF_ANY = (
    "iops",
    "protocol",
    "reserved_range",
    "access_mode",
    "docker_data",
)  # that a service left open must have
SETTINGS = ("capacity", "throughput", "tier", "dynamic", *ASKED_OF_ANY)
# "capacity", "throughput", "iops", "tier", "dynamic", "protocol", "reserved_range", "access_mode", "docker_data")
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
ELSEWHERE = declare(
    "T025",
    "zone-elsewhere",
    """Ask a store to be reached only from zones of the region that the machines are in.

    Why: disks, file systems, buckets and their caches belong to a region; machines elsewhere would read across the world or
    not at all.
    Example: `zones: [us-central1-a]` with machines in europe-west4 is refused.
    """,
    source=SHARING,
)
BAKED = declare(
    "T032",
    "weights-in-the-image",
    """Keep large weights out of the image and the container of a fleet that grows by itself.

    Why: every machine that is added pulls all of it before it answers, from a registry that is slower than any store; a new
    version of the model would be a new image. The bound of 10 GiB is a design decision.
    Example: `--model /opt/models/llama` with 15 GiB of weights and `replicas: {min: 1, max: 8}` is refused.
    """,
    source="docs/facts.md: ST31",
)
IDLE_RATE = declare(
    "T034",
    "rate-beyond-machines",
    """Say when a rate is bought that all machines together cannot take.

    Why: a rate is paid for by the month whether somebody reads at it or not; a machine reads no faster than its network, or
    than its type reads from that disk.
    Example: 100 GiB/s of a shared disk for two machines with 16 Gbit/s each are a warning with the saving.
    """,
    source="docs/facts.md: disk_limits.csv",
)
TOGETHER = declare(
    "T029",
    "one-file-system",
    """Keep checkpoints and home directories on the parallel file system that the data set is on.

    Why: a machine that mounts it anyway needs no second client, its rate is paid for, and restarts read where they wrote.
    Example: a data set on Managed Lustre takes the checkpoints too; one on object storage leaves them in a bucket.
    """,
    source=GUIDANCE,
)
"""The rule by which a purpose lies on another's file system; `stores` applies it."""


@rule("T001", "service-pinned", source="descriptor: storage.service, storage.tier")
def service_pinned(store: Store, service: StorageService) -> Miss | None:
    """Use the service, and the tier, that the descriptor names.

    Why: data may lie there already, or a team knows how to run it.
    Example: `{purpose: dataset, service: filestore, tier: zonal}` rejects every other service and tier.
    """
    pinned = store.pinned
    if pinned is None:
        return None
    if pinned.service and service.service != pinned.service:
        return Miss(f"storage.service is `{pinned.service}`")
    if pinned.dynamic and pinned.tier is not None:
        return Miss(
            f"`tier: {pinned.tier}` and `dynamic: true` exclude each other", 0, "leave one of the two out", "dynamic"
        )
    tier = "dynamic" if pinned.dynamic else pinned.tier
    is_open = tier is None and (service.tier != "dynamic" or pinned.service is None)
    if is_open or _word(tier) == _word(service.tier):
        return None
    return Miss(f"storage.tier is `{tier}`" if tier else "only `dynamic: true` asks for it", 0.5, path="tier")


def _word(tier: object) -> str:
    """A tier as the descriptor spells it."""
    return str(tier).lower().replace("_", "-")


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
    if service.is_persistent or (store.purpose == "scratch" and not store.is_kept):
        return None
    return Miss("its content does not survive the machine", 1, f"it serves `scratch`; the {store.purpose} must last")


@rule("T004", "posix-needed", source="https://docs.cloud.google.com/storage/docs/cloud-storage-fuse/overview")
def posix_needed(store: Store, service: StorageService) -> Miss | None:
    """Give programs as much of POSIX as they need.

    Why: object storage behind a file interface has no locks, no atomic rename of folders, no ownership; programs that
    rely on them fail late and strangely.
    Example: `data: {posix: full}` rejects Cloud Storage with Cloud Storage FUSE.
    """
    if POSIX_ORDER.index(service.posix) >= POSIX_ORDER.index(store.posix):
        return None
    help = "set `data.posix` to `basic` if the programs neither lock nor rename" if store.purpose == "dataset" else ""
    return Miss(f"gives {service.posix} POSIX semantics; {store.posix} is needed", 1, help)


@rule("T005", "shared-access", source="https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms")
def shared_access(store: Store, service: StorageService) -> Miss | None:
    """Let every machine reach it, and write where it must.

    Why: block storage is for one writer; several machines share it read-only at most.
    Example: a data set that 8 machines write rejects every disk; weights that 8 machines read reject single-machine
    disks; checkpoints reject a disk that is made to be read by many.
    """
    if is_own(service, store):
        return _own_of_each(store, service)
    if is_disk(service) and not service.is_shared and store.clients > 1:
        return Miss(f"one VM at a time; {store.clients} need it")
    return None


def _own_of_each(store: Store, service: StorageService) -> Miss | None:
    """What a disk for each machine cannot be: shared, or filled once for many."""
    if service.is_shared and service.is_provisioned:
        help = "set `data.access` to `read-only`" if store.purpose == "dataset" else ""
        return Miss("it is filled once and then only read", 1, help)
    if store.purpose == "scratch" or store.is_kept or store.clients <= 1:
        return None
    if service.is_shared:
        return Miss(f"{store.clients} VMs may read it together, none may write")
    return Miss(f"one VM at a time; {store.clients} need it")


@rule("T006", "zone-coherent", source="https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms")
def zone_coherent(store: Store, service: StorageService) -> Miss | None:
    """Keep zonal disks and their readers in one zone.

    Why: a zonal disk can be attached in its own zone only; a regional group has machines in several.
    Example: weights for a group over three zones reject Hyperdisk ML and Persistent Disk.
    """
    if store.is_zonal or not is_disk(service) or is_own(service, store):
        return None
    spread = ", ".join(store.zones) or "several"
    return Miss(
        f"lies in one zone; it is needed in {spread}",
        1,
        "set `group.scope` to `zonal`, and `zones` to the zone of the machines",
        "zones",
    )


def _disk_types(machine: Machine) -> frozenset[str]:
    return frozenset(machine.record.data_disk_types)


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
    if not is_disk(service) or service.tier in _disk_types(store.machine):
        return None
    supported = ", ".join(f"`{type}`" for type in store.machine.record.data_disk_types)
    return Miss(f"`{store.machine.record.series}` does not take it; it takes {supported}", 0)


@rule("T015", "setting-known", source="docs/facts.md: storage_services.csv, settings and protocols")
def setting_known(store: Store, service: StorageService) -> Miss | None:
    """Give a store only settings that its service has.

    Why: a setting that the service does not have would be obeyed by nobody.
    Example: `{service: cloud-storage, capacity: 100TiB}` is an error: a bucket has no capacity; so is NFS 4.1 on a basic tier.
    """
    pinned = store.pinned
    if pinned is None:
        return None
    for field in SETTINGS if pinned.service else ASKED_OF_ANY:
        if getattr(pinned, field) and field not in service.settings:
            return Miss(f"it has no `{field}`", 0, f"leave `{field}` out", field)
    if pinned.protocol and pinned.protocol not in service.protocols:
        speaks = ", ".join(f"`{one}`" for one in service.protocols)
        return Miss(f"it speaks {speaks}", 0, f"set `protocol` to {speaks}", "protocol")
    return _unusable_range(store, service, pinned.reserved_range) if pinned.reserved_range else None


def _unusable_range(store: Store, service: StorageService, text: str) -> Miss | None:
    """Why a file server cannot take its addresses from that range."""
    longest = service.range_prefix or 29
    help = f"choose a free private range like `10.30.0.0/{longest}`"
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return Miss(f"`{text}` is not an address range", 0, help, "reserved_range")
    because = ""
    if store.is_shared_vpc:
        because, help = "in a shared VPC its addresses are of private services access", "leave `reserved_range` out"
    elif not network.is_private:
        because = f"`{text}` is public"
    elif network.overlaps(CONTAINER_RANGE):
        because = f"`{text}` overlaps {CONTAINER_RANGE}, which the service uses itself"
    elif store.network_range and network.overlaps(ipaddress.IPv4Network(store.network_range)):
        because = f"`{text}` overlaps the machines' {store.network_range}"
    elif network.prefixlen > longest:
        because = f"`{text}` has {network.num_addresses} addresses; a /{longest} is the least"
    return Miss(because, 1 - longest / 32, help, "reserved_range") if because else None


@rule("T016", "key-taken", source="https://docs.cloud.google.com/filestore/docs/cmek")
def key_taken(store: Store, service: StorageService) -> Miss | None:
    """With a key of one's own, use services that take it.

    Why: a service that encrypts with Google's keys only would break the rule that the key stands for, and refuses at apply.
    Example: `security.kms_key` rejects the basic tiers of a file server.
    """
    return Miss("takes no key of one's own") if store.has_key and not service.kms and service.scope != "host" else None


@rule("T023", "machine-large-enough", source="docs/facts.md: disk_limits.csv")
def machine_large_enough(store: Store, service: StorageService) -> Miss | None:
    """Attach a disk type only to machines that are large enough for it.

    Why: the fastest disks are sold for large machines only; smaller ones of the series are refused when they are created.
    Example: Hyperdisk Extreme on a C3 machine with 44 vCPUs is rejected; 88 are the least.
    """
    limit = store.limits.get(service.tier)
    if limit is None or limit.min_vcpus is None or store.machine.vcpus >= limit.min_vcpus:
        return None
    help = f"choose a machine with at least `{limit.min_vcpus}` vCPUs, or another service"
    return Miss(f"`{store.machine.type}` has {store.machine.vcpus} vCPUs; it takes {limit.min_vcpus}", 0, help)


@rule("T024", "access-as-asked", source=SHARING)
def access_as_asked(store: Store, service: StorageService) -> Miss | None:
    """Attach a disk the way it can be shared: written by one machine, or read by many.

    Why: two machines that write an ordinary file system on one disk destroy it, and a disk that many read can never be
    written again.
    Example: `access_mode: read-write-many` is an error; so is `read-only-many` for scratch.
    """
    asked = store.pinned.access_mode if store.pinned else None
    if asked is None:
        return None
    given = "read-write-single" if is_own(service, store) else "read-only-many"
    if asked == given:
        return None
    if asked == "read-write-many":
        files = "set `service` to `filestore` or `managed-lustre` for files that many write"
        return Miss("several machines would write one file system on a disk", 1, files, "access_mode")
    return Miss(f"the {store.purpose} are `{given}` here", 1, f"write `{given}`, or leave it out", "access_mode")


@rule("T033", "static-content", source="https://docs.cloud.google.com/compute/docs/disks/hyperdisks")
def static_content(store: Store, service: StorageService) -> Miss | None:
    """Share a disk only for content that stays for longer than a day.

    Why: nobody can write to a disk that many read: every new version is a new disk, and every machine is replaced to mount it.
    Example: weights that are replaced every hour are refused on Hyperdisk ML; every week they are accepted.
    """
    if not store.changes_often or not is_disk(service) or is_own(service, store):
        return None
    help = "set `update_frequency` to `weekly` or `never` if a new disk and new machines for every version will do"
    return Miss(
        "nobody can write to it, and its content is replaced every day or more often", 1, help, "update_frequency"
    )


@rule("T031", "zonal-bucket", source="https://docs.cloud.google.com/storage/docs/ai-zones")
def zonal_bucket(store: Store, service: StorageService) -> Miss | None:
    """Keep objects in one zone only where that is asked for.

    Why: what lies in a bucket of one zone is gone with the zone; somebody has to accept that.
    Example: a training set takes a bucket of the region; `tier: rapid` takes one of the zone.
    """
    if not (service.is_object and service.scope == "zonal") or (store.pinned and store.pinned.tier):
        return None
    return Miss("objects of one zone, lost with it", 0.5, "set `tier` to `rapid` to accept that", "tier")


RULES = (
    service_pinned, setting_known, key_taken, not_deprecated, persistent_data, posix_needed, shared_access, zone_coherent, object_home,
    zonal_bucket, static_content, access_as_asked, disk_supported, machine_large_enough, *LIMITS,
)  # fmt: skip


def narrow(need: Need, store: Store) -> Narrowed[StorageService]:
    """The services that can hold this store; of those, the ones that suit it."""
    services = need.catalog.storage_services
    narrowed = candidates(services[id] for id in sorted(services)).by(RULES, store)
    if store.pin:
        return narrowed.by((cache_pays,), store) if len(narrowed.kept) > 1 else narrowed
    for preference in PREFERENCES:
        preferred = narrowed.by((preference,), store)
        narrowed = preferred if preferred.kept else narrowed
    return narrowed


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
