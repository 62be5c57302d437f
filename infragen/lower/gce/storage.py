"""The stores: buckets, file systems, shared disks, and how a machine mounts each of them."""

from typing import Any

from msgspec import Struct

from infragen.decide.model import Decision, StorageChoice
from infragen.descriptor.model import Purpose
from infragen.facts.model import StorageService
from infragen.lower import names
from infragen.lower.gce.context import APIS_READY, PROJECT, REGION, Context, because, comment
from infragen.lower.gce.network import network_id, peering_ready
from infragen.lower.hcl import Expression, join
from infragen.lower.knowledge import know, store_kind
from infragen.lower.model import (
    Bucket,
    Cache,
    Disk,
    FileShare,
    Local,
    MoreDisk,
    Mount,
    ParallelFileSystem,
    ScratchFileSystem,
    SnapshotSchedule,
    StoragePart,
    Text,
    Variable,
)  # fmt: skip

BUCKET, DISK = "google_storage_bucket", "google_compute_disk"
FIRST_VERSION = "v1"
VERSION_PATTERN = "^[a-z0-9]([-a-z0-9]{0,14}[a-z0-9])?$"
LOCAL_SSD_TARGET = "/mnt/local-ssd"


class Lowered(Struct, frozen=True):
    """One store: the resources it takes, the disks of the template, and its mount."""

    bucket: Bucket | None = None
    cache: Cache | None = None
    schedule: SnapshotSchedule | None = None
    share: FileShare | None = None
    parallel: ParallelFileSystem | None = None
    scratch: ScratchFileSystem | None = None
    disk: Disk | None = None
    attached: MoreDisk | None = None
    local: Local | None = None
    mount: Mount | None = None
    variables: tuple[Variable, ...] = ()


def field(text: str) -> str:
    r"""``text`` as one field of a mount line: blanks, commas, backslashes and control characters as octal escapes.

    >>> print(field("a b,c"))
    a\0040b\0054c
    """
    return "".join(one if one.isprintable() and one not in " ,\\" else _octal(one) for one in text)


def _octal(letter: str) -> str:
    return "".join(f"\\0{byte:03o}" for byte in letter.encode())


def existing_bucket(source: str | None) -> tuple[str, str]:
    """Bucket and folder of a ``gs://`` address.

    >>> existing_bucket("gs://corpus/train/v2/")
    ('corpus', 'train/v2')
    """
    bucket, _, folder = (source or "").removeprefix("gs://").partition("/")
    return bucket, folder.strip("/")


def mounts_existing(choice: StorageChoice) -> bool:
    """Whether the store is a bucket that exists already: it is mounted where it is, and nothing is created."""
    return store_kind(choice.service.service) == "bucket" and choice.source is not None


def is_shared_disk(choice: StorageChoice) -> bool:
    """Whether all machines attach one disk read-only; else each machine has a disk of its own."""
    return store_kind(choice.service.service) == "disk" and choice.is_read_only and choice.service.is_shared


def local_ssd_target(context: Context) -> str | None:
    """Where the machine's local disks are mounted as one volume; None for a machine that has none."""
    asked = [one.choice.mount for one in context.stores if store_kind(one.choice.service.service) == "local"]
    machine = context.machine
    has_disks = machine.local_ssd_count > 0 or (
        machine.record.local_ssd_mode == "bundled" and (machine.record.local_ssd_count or 0) > 0
    )
    return (asked[0] if asked else LOCAL_SSD_TARGET) if has_disks else None


def lower(context: Context) -> tuple[Lowered, ...]:
    """Every store of the plan, in its order; those on another store become folders of it."""
    found = [_store(context, one) for one in context.stores]
    targets: dict[Purpose, str] = {one.choice.purpose: one.choice.mount for one in context.stores}
    for decision in context.plan.storage:
        choice = decision.choice
        if choice.shared_with is not None:
            home = targets[choice.shared_with]
            mount = Mount(kind="folder", source=f"{home}/{choice.purpose}", target=choice.mount)
            found.append(Lowered(mount=mount))
    return tuple(found)


def part(stores: tuple[Lowered, ...]) -> StoragePart | None:
    """Everything of storage.tf; None where nothing is created."""
    found = StoragePart(
        locals=tuple(one.local for one in stores if one.local),
        buckets=tuple(one.bucket for one in stores if one.bucket),
        caches=tuple(one.cache for one in stores if one.cache),
        shares=tuple(one.share for one in stores if one.share),
        parallel=tuple(one.parallel for one in stores if one.parallel),
        scratch=tuple(one.scratch for one in stores if one.scratch),
        disks=tuple(one.disk for one in stores if one.disk),
        schedules=tuple(one.schedule for one in stores if one.schedule),
    )
    return found if found != StoragePart() else None


def _store(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    kind = store_kind(decision.choice.service.service)
    if kind == "disk":
        return (_shared_disk if is_shared_disk(decision.choice) else _own_disk)(context, decision)
    lowerings = {"bucket": _bucket, "nfs": _share, "parallel": _parallel, "scratch": _scratch, "local": _local}
    return lowerings[kind](context, decision)


def _local(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    """Nothing: the disks belong to the machine, and the boot script mounts them where the store is wanted."""
    return Lowered()


def _common(context: Context, decision: Decision[StorageChoice], type: str) -> dict[str, Any]:
    """What every store has: address, reasons, cloud name, guard, and the API it waits for."""
    purpose = decision.choice.purpose
    return {
        "type": type,
        "name": names.local(purpose),
        "because": because(decision.because),
        "cloud_name": context.name(purpose, type),
        "is_guarded": context.plan.deletion_protection,
        "depends_on": APIS_READY,
    }


def _bucket(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    choice = decision.choice
    options = [f"profile={know('gcsfuse_profiles', choice.purpose)}", "ro" if choice.is_read_only else "rw"]
    limits = know("stat_cache")
    if context.machine.memory_gib < limits["unlimited_above_gib"]:
        options.append(f"stat-cache-mib={limits['limit_mib']}")
    if mounts_existing(choice):
        name, folder = existing_bucket(choice.source)
        if folder:
            options.append(f"only-dir={field(folder)}")
        mount = Mount(kind="bucket", source=name, target=choice.mount, options=",".join(options))
        return Lowered(cache=_cache(context, choice, name), mount=mount)
    common = _common(context, decision, BUCKET)
    reserve = know("project_id_max") + 1
    is_zonal = choice.service.scope == "zonal"
    bucket = Bucket(
        **(common | {"cloud_name": join(PROJECT, "-" + context.name(choice.purpose, BUCKET, reserve))}),
        is_read_only=choice.is_read_only,
        is_hierarchical=is_zonal or not choice.is_read_only,
        keeps_versions=choice.is_read_only and not is_zonal,
        cools=context.plan.task == "data-prep" and not is_zonal,
        zone=context.zone if is_zonal else None,
        kms_key=context.plan.kms_key,
    )
    mount = Mount(kind="bucket", source=bucket.get("name"), target=choice.mount, options=",".join(options))
    return Lowered(bucket=bucket, cache=_cache(context, choice, bucket.get("name")), mount=mount)


def _cache(context: Context, choice: StorageChoice, bucket: Text) -> Cache | None:
    """A cache in every zone of the machines, for a store that reads through one."""
    if not choice.service.is_cached:
        return None
    zones = Expression("toset(var.zones)") if context.is_regional else None
    return Cache(
        type="google_storage_anywhere_cache",
        name=names.local(choice.purpose),
        because=comment(
            "Rapid Cache: machines read from their own zone. Making one takes up to an hour, and is paid for by size."
        ),
        for_each=zones,
        bucket=bucket,
        zone=Expression("each.value") if zones else context.zone,
        depends_on=APIS_READY,
    )


def _location(context: Context, service: StorageService) -> Expression:
    return REGION if service.scope == "regional" else context.zone


def _share(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    choice = decision.choice
    can_guard = choice.service.tier in know("tiers", "service_guard")
    share = FileShare(
        **_common(context, decision, know("types", "nfs")),
        tier=choice.service.tier,
        location=_location(context, choice.service),
        share=names.plain(context.plan.name, choice.purpose, "file_share"),
        capacity_gib=choice.capacity_gib,
        network=network_id(context),
        protocol=know("nfs_protocols", choice.protocol or "nfs-v3"),
        connect_mode="PRIVATE_SERVICE_ACCESS" if context.network.host_project else "DIRECT_PEERING",
        reserved_range=choice.reserved_range,
        max_iops=choice.iops,
        kms_key=context.plan.kms_key,
        description=f"{choice.purpose} of {context.plan.name}",
        has_service_guard=context.plan.deletion_protection if can_guard else None,
    )
    address = share.get("networks[0].ip_addresses[0]")
    version = "vers=4.1" if choice.protocol == "nfs-v4.1" else "vers=3"
    access = "ro," if choice.is_read_only else ""
    options = f"{access}{version},hard,timeo=600,retrans=3,nconnect={7 if choice.capacity_gib >= 10240 else 2}"
    source = join(address, f":/{share.share}")
    return Lowered(share=share, mount=Mount(kind="nfs", source=source, target=choice.mount, options=options))


def _parallel(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    choice = decision.choice
    common = _common(context, decision, know("types", "parallel"))
    is_dynamic = choice.service.tier == know("tiers", "dynamic")
    system = ParallelFileSystem(
        **(common | {"depends_on": (*APIS_READY, *peering_ready(context))}),
        location=_location(context, choice.service),
        file_system=names.plain(context.plan.name, choice.purpose, "parallel_file_system"),
        capacity_gib=choice.capacity_gib,
        rate_mb_s_per_tib=None if is_dynamic else int(choice.service.tier),
        network=network_id(context),
        kms_key=context.plan.kms_key,
        description=f"{choice.purpose} of {context.plan.name}",
    )
    options = "ro" if choice.is_read_only else "rw"
    mount = Mount(kind="parallel", source=system.get("mount_point"), target=choice.mount, options=options)
    return Lowered(parallel=system, mount=mount)


def _scratch(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    choice = decision.choice
    common = _common(context, decision, know("types", "scratch"))
    system = ScratchFileSystem(
        **(common | {"depends_on": (*APIS_READY, *peering_ready(context))}),
        location=_location(context, choice.service),
        capacity_gib=choice.capacity_gib,
        network=network_id(context),
        reserved_range=Expression("google_compute_global_address.peering.name") if context.network.creates else None,
        description=f"{choice.purpose} of {context.plan.name}",
    )
    points = Expression(f'join(",", {system.get("access_points").text})')
    return Lowered(scratch=system, mount=Mount(kind="scratch", source=points, target=choice.mount))


def _shared_disk(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    """A disk per version of the content (and zone): a new version never touches the disk that machines read from."""
    choice = decision.choice
    purpose = choice.purpose
    versions, version = Expression(f"var.{purpose}_versions"), Expression(f"var.{purpose}_version")
    prefix = context.name(purpose, reserve=17)
    common = _common(context, decision, DISK)
    if context.is_regional:
        key = Expression("each.value.version")
        local = Local(
            name=f"{purpose}_disks",
            value=Expression(
                f'{{ for pair in setproduct({versions}, var.zones) : "${{pair[0]}}/${{pair[1]}}" => '
                "{ version = pair[0], zone = pair[1] } }"
            ),
            because=comment("A disk is bound to its zone, so every zone has one of the same name."),
        )
        each, zone = Expression(f"local.{local.name}"), Expression("each.value.zone")
        instance: Expression = join(version, "/", Expression("var.zones[0]"))
    else:
        key, local, each, zone = Expression("each.key"), None, versions, context.zone
        instance = version
    service = choice.service
    fills = can_fill_in_place(choice)
    disk = Disk(
        **(common | {"cloud_name": join(prefix, "-", key), "for_each": each}),
        disk_type=service.tier,
        size_gib=choice.capacity_gib,
        zone=zone,
        snapshot=_seed(join("projects/", PROJECT, f"/global/snapshots/{prefix}-", key), purpose, key, fills),
        throughput_mib_s=round(choice.throughput_mib_s) if service.is_provisioned and choice.throughput_mib_s else None,
        access_mode=_access_mode(purpose, key) if fills else None,
        kms_key=context.plan.kms_key,
    )
    attached = MoreDisk(
        device_name=purpose,
        source=disk.get("name", instance),
        is_read_only=True,
        auto_delete=False,
        because=comment("Shared by all machines: attached by name, read-only, and never deleted with a machine."),
    )
    mount = Mount(kind="disk", source=purpose, target=choice.mount)
    variables = _version_variables(purpose, prefix, fills) + (_filling_variables(purpose) if fills else ())
    return Lowered(disk=disk, attached=attached, local=local, mount=mount, variables=variables)


def can_fill_in_place(choice: StorageChoice) -> bool:
    """Whether the shared disk can be created empty, filled by one machine, and then be opened to many."""
    return choice.service.tier in know("disks", "read_only_many")


def _seed(snapshot: Expression, purpose: str, key: Expression, fills: bool) -> Expression:
    """The snapshot that a version is made from; null for one that is filled in place."""
    if not fills:
        return snapshot
    return Expression(f"contains(var.{purpose}_filled_in_place, {key.text}) ? null : {snapshot.text}")


def _access_mode(purpose: str, key: Expression) -> Expression:
    """One writer while a version is filled; many readers, for good, after that."""
    return Expression(f'contains(var.{purpose}_filling, {key.text}) ? "READ_WRITE_SINGLE" : "READ_ONLY_MANY"')


def _filling_variables(purpose: str) -> tuple[Variable, ...]:
    return (
        Variable(
            name=f"{purpose}_filled_in_place",
            type="set(string)",
            description=f"Versions of the {purpose} whose disk is made empty and filled by a machine; never take one out again.",
            default=[],
        ),
        Variable(
            name=f"{purpose}_filling",
            type="set(string)",
            description=f"Versions of the {purpose} that are being filled now: their disk has one writer. None of them is mounted yet.",
            default=[],
        ),
    )


def _version_variables(purpose: str, prefix: str, fills: bool) -> tuple[Variable, ...]:
    seed = f"made from the snapshot {prefix}-VERSION{' unless filled in place' if fills else ''}"
    return (
        Variable(
            name=f"{purpose}_version",
            type="string",
            description=f"Version of the {purpose} that machines mount; one of {purpose}_versions.",
            value=FIRST_VERSION,
            condition=Expression(f'can(regex("{VERSION_PATTERN}", var.{purpose}_version))'),
            error=f"{purpose}_version takes lower-case letters, digits and dashes, at most 16.",
        ),
        Variable(
            name=f"{purpose}_versions",
            type="set(string)",
            description=f"Versions of the {purpose} that exist as disks, each {seed}.",
            value=[FIRST_VERSION],
            condition=Expression(
                f'alltrue([for version in var.{purpose}_versions : can(regex("{VERSION_PATTERN}", version))])'
            ),
            error="A version takes lower-case letters, digits and dashes, at most 16.",
        ),
    )


def _own_disk(context: Context, decision: Decision[StorageChoice]) -> Lowered:
    choice = decision.choice
    service = choice.service
    keeps = choice.purpose != "scratch" and choice.purpose not in context.group.stateful_stores
    text = "kept when its machine is deleted; remove it by hand" if keeps else "goes with its machine"
    if choice.purpose in context.group.stateful_stores:
        text = "the group keeps it when the machine is replaced"
    schedule = _schedule(context, choice) if keeps or choice.purpose in context.group.stateful_stores else None
    attached = MoreDisk(
        device_name=choice.purpose,
        disk_type=service.tier,
        size_gib=choice.capacity_gib,
        iops=choice.iops,
        throughput_mib_s=round(choice.throughput_mib_s) if service.is_provisioned else None,
        auto_delete=not keeps,
        snapshots=schedule.get() if schedule else None,
        kms_key=context.plan.kms_key,
        because=(*because(decision.because), *comment(f"A disk of each machine's own: {text}.")),
    )
    return Lowered(
        schedule=schedule, attached=attached, mount=Mount(kind="attached", source=choice.purpose, target=choice.mount)
    )


def _schedule(context: Context, choice: StorageChoice) -> SnapshotSchedule:
    return SnapshotSchedule(
        type="google_compute_resource_policy",
        name=names.local(f"{choice.purpose}-snapshots"),
        cloud_name=context.name(f"{choice.purpose}-snapshots"),
        keep_days=know("disks", "keep_snapshots_days"),
        depends_on=APIS_READY,
    )
