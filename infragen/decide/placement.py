"""How close the machines of a group stand: what their work wants, within what the machine and its capacity can have."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from infragen.decide.model import Reason
from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics, declare

Placement = Literal["compact", "spread", "none"]
BOOKED: frozenset[CapacityModel] = frozenset({"reservation", "future-reservation", "calendar"})
LEAVE = "leave `group.placement` out"

PLACEMENT = declare(
    "G007",
    "group-placement",
    """Stand machines that train together close together.

    Why: the exchange of gradients waits for the slowest link; a compact placement keeps all of them under few switches.
    Example: 8 machines of a training run get a compact placement; replicas of a service, and capacity that brings its
    own placement, get none.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/use-compact-placement-policies",
)
NO_PLACEMENT = declare(
    "G010",
    "placement-not-to-be-had",
    """Refuse a placement that the machine or its capacity cannot have.

    Why: `terraform plan` accepts it; the machines are then refused, or never find their reservation, or the request waits
    forever.
    Example: `placement: compact` with a reservation, which brings its own place; `placement: spread` with flex-start; 20 VMs
    of a type that comes in racks of 18.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/about-workload-policies",
)


class Standing(Struct, frozen=True):
    """The machines of a group. ``work_together``: there are several, and they have one piece of work."""

    machine: Machine
    capacity: CapacityModel
    size: int
    work_together: bool
    zones: tuple[str, ...]


class Closeness(Struct, frozen=True):
    """The placement, the topology that it has to be asked for in, and why."""

    placement: Placement
    topology: str | None
    reason: Reason


def decide(need: Need, group: Standing, diags: Diagnostics) -> Closeness:
    """How close the machines stand; what is asked for and cannot be had is reported."""
    given, record = need.workload.group.placement, group.machine.record
    policy = need.catalog.workload_policy(record)
    topology = policy.accelerator_topology if policy else None
    objection = next(_objections(need, group, has_policy=policy is not None, topology=topology), None)
    if objection:
        message, label, help = objection
        diags.add(NO_PLACEMENT.error(message, need.workload.at("group.placement"), label, help))
    unit = record.topology_unit_vms or 1
    if group.size % unit:
        message = f"`{record.name}` comes in units of {unit} VMs; the group has {group.size}"
        help = f"the nearest number is {-(-group.size // unit) * unit}"
        diags.add(NO_PLACEMENT.error(message, need.workload.at("machine.count"), f"not a multiple of {unit}", help))
    placement, text = _chosen(need, group, has_policy=policy is not None)
    if topology:
        placement, text = "compact", f"the machines come in racks of {unit}, wired as {topology}"
    elif given:
        placement, text = given, f"group.placement is `{given}`"
    return Closeness(placement, topology, Reason(PLACEMENT.id, text))


def _chosen(need: Need, group: Standing, *, has_policy: bool) -> tuple[Placement, str]:
    """What suits, where the descriptor says nothing."""
    name = group.machine.record.name
    if group.capacity in BOOKED:
        return "none", "the booked capacity brings its own placement"
    if not group.work_together:
        return "none", "the machines do not wait for each other"
    if not group.machine.record.compact_placement:
        return "none", f"`{name}` is not known to take a compact placement"
    if group.capacity == "flex-start" and not has_policy:
        return "none", f"`{name}` takes no workload policy, and flex-start no other placement"
    if need.workload.task not in TRAINING_TASKS:
        return "compact", "every token passes between the machines of a replica"
    return "compact", "the machines exchange gradients at every step"


def _objections(
    need: Need, group: Standing, *, has_policy: bool, topology: str | None
) -> Iterator[tuple[str, str, str]]:
    """Message, label and help of what stands against the placement that is asked for, the weightiest first."""
    given, record = need.workload.group.placement, group.machine.record
    if given in (None, "none") or (topology and given == "compact"):
        return
    is_queued = group.capacity == "flex-start"
    if topology:
        yield f"`{record.name}` cannot be spread", f"racks wired as {topology}", LEAVE
    if group.capacity in BOOKED:
        label = "the reservation brings its place: machines with a policy of their own never find it"
        yield f"{group.capacity} capacity takes no placement of its own", label, LEAVE
    if is_queued and given == "spread":
        yield "flex-start machines cannot be spread", "a workload policy brings machines together", LEAVE
    if is_queued and not has_policy:
        label = "flex-start takes a workload policy, and this series takes none"
        message = f"`{record.name}` cannot be placed together under flex-start"
        yield message, label, f"{LEAVE}, or take on-demand or Spot"
    if given == "compact" and record.compact_placement is False:
        yield f"`{record.name}` takes no compact placement", "not for this series", LEAVE
    if given == "compact" and len(group.zones) > 1 and need.workload.task not in TRAINING_TASKS:
        yield "machines of several zones cannot stand together", ", ".join(group.zones), "set `group.scope: zonal`"
