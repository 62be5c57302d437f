"""The quota bill: what a project must be granted before the largest size of the group can be had."""

from infragen.decide.model import CapacityChoice, MachineChoice, QuotaNeed, StorageChoice
from infragen.decide.need import Need
from infragen.descriptor.model import CapacityModel

PREEMPTIBLE: frozenset[CapacityModel] = frozenset(
    {"spot", "flex-start"}
)  # models that draw on the quota for what is taken away
EVERYWHERE = "global"
GIB_PER_LOCAL_DISK = 375


def bill(
    need: Need,
    machine: MachineChoice,
    capacity: CapacityChoice,
    stores: tuple[StorageChoice, ...],
    region: str,
    vms: int,
) -> tuple[QuotaNeed, ...]:
    """Metrics with the amounts for ``vms`` machines in the region, accelerators first; what has no known metric is left out."""
    record, chip = machine.record, machine.accelerator
    has_gpus = chip is not None and chip.kind == "gpu"
    local_gib = machine.local_ssd_count * GIB_PER_LOCAL_DISK
    if record.local_ssd_mode == "bundled":
        local_gib += round(record.local_ssd_gib or 0)
    disks = {machine.boot_disk_type: machine.boot_disk_gib * vms}
    for store in stores:
        disks[store.service.id] = disks.get(store.service.id, 0) + store.capacity_gib
    wanted = [
        ("accelerator", record.accelerator or "", round(record.accelerators * vms), region),
        ("accelerators-everywhere", "", round(record.accelerators * vms) if has_gpus else 0, EVERYWHERE),
        ("vcpus", record.series, machine.vcpus * vms, region),
        ("local-ssd", record.series, local_gib * vms, region),
        *(("disk", kind, gib, region) for kind, gib in sorted(disks.items())),
    ]
    found: dict[tuple[str, str], QuotaNeed] = {}
    for kind, of, amount, place in wanted:
        quota = need.catalog.quotas.get((kind, of))
        if quota is None or amount == 0:
            continue
        is_preemptible = capacity.model in PREEMPTIBLE
        metric = quota.preemptible_metric if is_preemptible else quota.metric
        dimension = quota.dimension if metric == quota.metric else ""
        before = found[metric, dimension].amount if (metric, dimension) in found else 0  # types of disk share a metric
        note = _note(quota.confidence, capacity, kind)
        found[metric, dimension] = QuotaNeed(metric, place, before + amount, note, dimension)
    return tuple(found.values())


def _note(confidence: str, capacity: CapacityChoice, kind: str) -> str:
    """What to know of the figure."""
    notes = ["metric name from memory"] if confidence == "from-memory" else []
    if capacity.reservation and not capacity.creates and not capacity.project and kind != "disk":
        notes.append("held already by a reservation of this project")
    return "; ".join(notes)
