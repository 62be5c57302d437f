"""What a group keeps: machines at rest beside it, and the state of a machine that is replaced."""

from infragen.decide.model import Reason, StorageChoice
from infragen.decide.need import Machine, Need
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics, declare

_STATEFUL = "https://docs.cloud.google.com/compute/docs/instance-groups/configuring-stateful-migs"
_STANDBY = "https://docs.cloud.google.com/compute/docs/instance-groups/suspended-and-stopped-vms-in-mig"
LARGEST_SUSPENDED_GIB = 208  # host memory that can be suspended, from memory

STANDBY = declare(
    "G022",
    "standby-machines",
    """Keep machines at rest only where they can rest, and say what they give up.

    Why: a machine with accelerators, and bare metal, cannot be suspended; a stopped machine gives its accelerators back, and
    may find none when it is woken. Capacity that was waited for or booked ends with its machine.
    Example: `standby: {stopped: 2}` for machines with one GPU each is obeyed with a warning; `suspended: 2` is refused.
    """,
    source=_STANDBY,
)
STATEFUL = declare(
    "G023",
    "stateful-machines",
    """Keep the state of a machine only in a group that leaves its machines alone.

    Why: an autoscaler and a redistribution over zones delete machines, and a substitute has another name: the API refuses
    all three beside a stateful policy. The machines are recreated under their names instead, without a surge.
    Example: `stateful: {stores: [scratch]}` with `autoscale` is refused; a store that all machines share has no state of one.
    """,
    source=_STATEFUL,
)
RESTING: frozenset[CapacityModel] = frozenset({"on-demand", "spot", "reservation"})


def check_standby(need: Need, machine: Machine, model: CapacityModel, diags: Diagnostics) -> list[Reason]:
    """Reasons for machines at rest; errors and warnings where they cannot rest."""
    asked, at = need.workload.group.standby, need.workload.at
    if asked is None or not (asked.suspended or asked.stopped):
        return []
    if model not in RESTING:
        message = f"{model} machines cannot be kept at rest"
        help = f"remove `standby`, or choose one of {', '.join(sorted(RESTING))} as `capacity.model`"
        diags.add(STANDBY.error(message, at("group.standby"), "what ends is given back", help))
    if asked.suspended:
        help = "use `stopped`, which keeps the disks and not the memory"
        if machine.accelerator:
            message, help = (
                "a machine with an accelerator cannot be suspended",
                "use `stopped`, which keeps no accelerator",
            )
            diags.add(STANDBY.error(message, at("group.standby.suspended"), f"{asked.suspended} suspended", help))
        elif need.workload.security.confidential:
            message = "the encrypted memory of a confidential machine cannot be suspended"
            diags.add(STANDBY.error(message, at("group.standby.suspended"), f"{asked.suspended} suspended", help))
        elif machine.record.is_bare_metal:
            message = f"`{machine.type}` is bare metal and cannot be suspended"
            diags.add(STANDBY.error(message, at("group.standby.suspended"), f"{asked.suspended} suspended", help))
        elif machine.memory_gib > LARGEST_SUSPENDED_GIB:
            message = f"`{machine.type}` may be too large to be suspended"
            label = f"{machine.memory_gib:g} GiB; {LARGEST_SUSPENDED_GIB} GiB is the limit known from memory"
            diags.add(STANDBY.warning(message, at("group.standby.suspended"), label, help))
    if asked.stopped and machine.accelerator:
        message = "a stopped machine keeps no accelerator: it may find none when it is woken"
        help = "raise the smallest size of the group to be sure of machines"
        diags.add(STANDBY.warning(message, at("group.standby.stopped"), f"{asked.stopped} stopped", help))
    parts = [f"{count} {word}" for count, word in ((asked.suspended, "suspended"), (asked.stopped, "stopped")) if count]
    return [Reason(STANDBY.id, f"{' and '.join(parts)} machines wait beside the group, booted and ready")]


def check_stateful(
    need: Need, stores: tuple[StorageChoice, ...], is_automatic: bool, replacement: str, diags: Diagnostics
) -> list[Reason]:
    """Reasons for a stateful group; errors where something else of the group contradicts it."""
    asked, at = need.workload.group.stateful, need.workload.at
    if asked is None or not (asked.stores or asked.internal_ip):
        return []
    if is_automatic:
        message, help = (
            "an autoscaler deletes the machines whose state is to be kept",
            "remove `autoscale` or `stateful`",
        )
        diags.add(STATEFUL.error(message, at("group.stateful"), "and the group is scaled", help))
    if replacement == "substitute":
        message, help = (
            "a substitute has another name and another state",
            "write `replacement: recreate`, or leave it out",
        )
        diags.add(STATEFUL.error(message, at("group.update.replacement"), "with `stateful`", help))
    own = {one.purpose for one in stores if _is_own_disk(one)}
    for index, purpose in enumerate(asked.stores):
        if purpose not in own:
            listed = ", ".join(f"`{one}`" for one in sorted(own)) or "none of the stores is"
            message = f"the store for `{purpose}` is not a disk of each machine's own"
            help = f"on own disks: {listed}"
            diags.add(STATEFUL.error(message, at(f"group.stateful.stores.{index}"), "no state of one machine", help))
    kept = [*(f"the disk for {one}" for one in asked.stores), *(["the internal address"] if asked.internal_ip else [])]
    return [Reason(STATEFUL.id, f"a machine that is replaced keeps its name, {' and '.join(kept)}")]


def _is_own_disk(store: StorageChoice) -> bool:
    """Whether each machine has a disk of its own for it."""
    service = store.service
    is_disk = service.scope == "zonal" and service.is_persistent and not service.is_writable_shared
    return is_disk and store.shared_with is None and not (store.is_read_only and service.is_shared)
