"""Storage: what suits the work among the services that can do it, as the vendor advises.

A preference removes services only where others stay; it never makes a plan impossible, and never overrules a service that
the descriptor names.
"""

from infragen.decide.rule import Miss, rule
from infragen.decide.store import Store, is_disk, is_own
from infragen.facts.model import StorageService
from infragen.units import MIB

GUIDANCE = "docs/facts.md: ST36, a digest of https://cloud.google.com/architecture/ai-ml/storage-for-ai-ml"
HYPERCOMPUTER = "https://docs.cloud.google.com/ai-hypercomputer/docs/storage"

SMALL_FILE_BYTES = 50e6  # below it, latency per file decides, T008
MANY_READERS = 100  # a large fleet, T007, T019 and T026
FEW_MACHINES, FEW_GIB = 10, 10 * 1024  # that one file server feeds, and holds for them, T018; design decisions
BUCKETS_MIB_S = 200e9 / 8 / MIB  # that a project reads from the buckets of a region by default, T026
FREQUENT_S = 600.0  # between checkpoints, T020; a design decision
LARGE_CHECKPOINT_MIB_S = 256.0  # T020; a design decision
LARGE_GIB = 10e15 / 2**30  # T027
DATA = frozenset({"weights", "dataset", "checkpoints"})


@rule(
    "T007",
    "many-static-readers",
    source="https://docs.cloud.google.com/compute/docs/disks/hyperdisks and design decision",
)
def many_static_readers(store: Store, service: StorageService) -> Miss | None:
    """Let a large fleet read weights that stay from one shared disk, and weights that change from anything else.

    Why: its rate is bought, so that 100 machines and more load at once as fast as one; but every new version is a new disk,
    and every machine has to change over. A fleet of 100 is where the vendor's guidance begins to speak of large ones.
    Example: 250 readers of static weights in one zone reject object storage; weights replaced every week reject the disk.
    """
    if store.purpose != "weights":
        return None
    if is_disk(service):
        return None if store.is_static else Miss("every new version is a new disk; the weights are replaced")
    if store.clients >= MANY_READERS and store.is_static and store.is_zonal:
        return Miss(f"{store.clients} VMs read the same static weights in one zone: a shared read-only disk is faster")
    return None


@rule("T008", "small-files", source=GUIDANCE)
def small_files(store: Store, service: StorageService) -> Miss | None:
    """Keep small files where latency is low.

    Why: in small files the time to the first byte decides, and object storage takes tens of milliseconds. The bound of
    50 MB is the vendor's, read in a digest: measure before relying on it near the bound.
    Example: a training set of 256 KiB files rejects Cloud Storage with Cloud Storage FUSE.
    """
    if store.purpose != "dataset" or store.file_bytes is None or store.file_bytes >= SMALL_FILE_BYTES:
        return None
    if not service.is_object:
        return None
    return Miss(f"tens of milliseconds per file, and files are {store.file_bytes / MIB:.3g} MiB, below 50 MB")


@rule(
    "T017",
    "found-by-the-next-machine",
    source="https://docs.cloud.google.com/compute/docs/instance-groups/stateful-migs",
)
def found_by_the_next_machine(store: Store, service: StorageService) -> Miss | None:
    """Keep what must last where the next machine finds it.

    Why: a group replaces its machines, and the successor starts with an empty disk of its own; training data changes, and a
    disk for many readers holds one version of it.
    Example: a data set for one machine rejects Persistent Disk; scratch takes it.
    """
    if store.purpose == "scratch" or store.is_kept or not is_disk(service):
        return None
    if is_own(service, store):
        return Miss("a disk of one machine: its successor starts with an empty one")
    return Miss("holds one version; a new one is a new disk") if store.purpose == "dataset" else None


@rule("T018", "few-machines-per-server", source=f"{HYPERCOMPUTER} and design decision")
def few_machines_per_server(store: Store, service: StorageService) -> Miss | None:
    """Feed more than a few accelerated machines, or more than a few TiB, from a file system of many servers.

    Why: behind a network file share stands one server; its rate and its metadata are shared by all machines, and
    accelerators that wait cost more than storage. The bounds of 10 machines and 10 TiB are design decisions.
    Example: 64 training machines reject Filestore; 2 take it for 3 TiB. Home directories take it for any number.
    """
    if store.purpose not in DATA or not store.is_accelerated or not service.protocols:
        return None
    if store.clients > FEW_MACHINES:
        return Miss(f"one server for {store.clients} machines with accelerators; good for {FEW_MACHINES}")
    if store.content_gib > FEW_GIB:
        return Miss(f"one server for {store.content_gib:,.0f} GiB of training data; good for {FEW_GIB:,}")
    return None


@rule("T019", "changing-weights", source=GUIDANCE)
def changing_weights(store: Store, service: StorageService) -> Miss | None:
    """Keep weights that change daily or hourly, for a fleet of fixed size in one zone, on a file system.

    Why: all machines read a new version at once, and must see it: the client of object storage keeps what it knows of files
    for good in its profile for serving. Where the fleet grows and shrinks, spans zones, is small or very large, object
    storage with its cache stays the better one.
    Example: 50 machines in one zone whose weights change hourly reject object storage; with an autoscaler they take it.
    """
    fleet = FEW_MACHINES <= store.clients <= MANY_READERS and store.is_zonal and not store.is_elastic
    if store.purpose != "weights" or not store.changes_often or not fleet or not service.is_object:
        return None
    return Miss(f"{store.clients} machines of one zone have to see new weights at once")


@rule("T020", "frequent-checkpoints", source=GUIDANCE)
def frequent_checkpoints(store: Store, service: StorageService) -> Miss | None:
    """Write large checkpoints that come often to a parallel file system.

    Why: the run pauses for each of them; a service that takes tens of milliseconds to begin, or one server for all, makes
    every pause longer. Often means every 10 minutes, large 256 MiB/s and more: design decisions.
    Example: 1 TB every 5 minutes rejects object storage; the same every 30 minutes takes it.
    """
    often = store.interval_s is not None and store.interval_s <= FREQUENT_S
    if store.purpose != "checkpoints" or not often or store.write_mib_s < LARGE_CHECKPOINT_MIB_S or service.is_parallel:
        return None
    return Miss(f"a checkpoint every {(store.interval_s or 0) / 60:.3g} min at {store.write_mib_s:,.0f} MiB/s")


@rule("T021", "zone-outage", source="https://docs.cloud.google.com/filestore/docs/service-tiers")
def zone_outage(store: Store, service: StorageService) -> Miss | None:
    """Keep what machines in several zones need on storage that survives the loss of one.

    Why: a group over several zones is there to outlive a zone; a file system in one of them would take all machines along.
    Example: home directories of a regional group take a regional file server, not a zonal one.
    """
    if store.is_zonal or service.scope != "zonal" or store.purpose == "scratch":
        return None
    return Miss("lost with its zone, which the machines would survive")


@rule("T026", "cache-pays", source="docs/facts.md: ST36 and ST37")
def cache_pays(store: Store, service: StorageService) -> Miss | None:
    """Put a cache beside the machines that read objects from 100 machines or 200 Gbps on; below, read the bucket itself.

    Why: it gives a large fleet the rate of its own zone, beyond the 200 Gbps that a project may read from the buckets of a
    region; a small one reads the bucket about as fast, and pays for the cache all the same. Its price is not in the tables.
    Example: 200 machines in two zones get Cloud Storage with Rapid Cache in both; 8 machines get the bucket.
    """
    if not service.is_object or (store.pinned and store.pinned.tier is not None):
        return None
    many = store.clients >= MANY_READERS and store.purpose in ("weights", "dataset")
    is_hot = many or store.read_mib_s > BUCKETS_MIB_S
    if service.is_cached:
        return None if is_hot else Miss(f"a cache pays from {MANY_READERS} machines or 200 Gbps on")
    return Miss(f"{store.clients:,} machines would share the rate of a bucket") if is_hot else None


@rule("T027", "cold-file-system", source="https://docs.cloud.google.com/managed-lustre/docs/performance-tiers")
def cold_file_system(store: Store, service: StorageService) -> Miss | None:
    """Keep more than 10 PB of files on the tier that is made for data that is mostly cold.

    Why: the tiers with a fixed rate per TiB sell a rate that nobody reads at; the dynamic tier caches what is hot.
    Example: 12 PiB with full POSIX reject the fixed tiers of Managed Lustre; 8 PiB keep them.
    """
    if not service.is_parallel or store.content_gib <= LARGE_GIB or not service.read_mib_s_per_gib:
        return None
    return Miss("a rate for every TiB of 10 PB and more") if service.latency == "sub-ms" else None


@rule("T028", "scratch-is-local", source="https://docs.cloud.google.com/compute/docs/disks/local-ssd")
def scratch_is_local(store: Store, service: StorageService) -> Miss | None:
    """Put scratch on the machine itself: on its local disks, else on a disk of its own.

    Why: what is thrown away needs no network, no second copy and no server; local disks are the fastest there are.
    Example: scratch takes Local SSD where the machine has it, Hyperdisk where not, and no file server.
    """
    if store.purpose != "scratch" or is_own(service, store):
        return None
    return Miss("shared by machines that need nothing shared")


@rule("T030", "local-before-network", source="https://docs.cloud.google.com/compute/docs/disks/local-ssd")
def local_before_network(store: Store, service: StorageService) -> Miss | None:
    """Take the local disks that a machine has for scratch before disks over the network.

    Why: they have the lowest latency, and the machines that bring them are paid for with them.
    Example: scratch of an H100 machine takes its Local SSD; a machine without any takes Hyperdisk.
    """
    if store.purpose != "scratch" or service.scope == "host":
        return None
    return Miss("over the network; the machine has local disks")


PREFERENCES = (
    scratch_is_local, local_before_network, found_by_the_next_machine, many_static_readers, zone_outage, small_files,
    few_machines_per_server, changing_weights, frequent_checkpoints, cold_file_system, cache_pays,
)  # fmt: skip
