"""Machine types that the group may take where the first choice cannot be had: instance flexibility."""

from collections.abc import Iterator
from difflib import get_close_matches

from infragen.decide.capacity import offered
from infragen.decide.model import FallbackChoice, Reason
from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.model import MachineType

FALLBACK = declare(
    "G024",
    "interchangeable-machines",
    """Let a group mix machine types only where one template and one plan suit all of them.

    Why: all machines of the group boot one template: its disks, interfaces, accelerators and processor must suit each type,
    and each must do what the plan computed for the first. The service mixes types in regional groups only.
    Example: `fallbacks: [g2-standard-16]` behind a `g2-standard-12` is obeyed, with the same L4; `a2-highgpu-1g` is refused.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/about-instance-flexibility",
)
MIXED: frozenset[CapacityModel] = frozenset({"on-demand", "spot"})


def decide(
    need: Need, machine: Machine, boot_disk: str, model: CapacityModel, zones: tuple[str, ...], diags: Diagnostics
) -> tuple[tuple[FallbackChoice, ...], list[Reason]]:
    """The types by rank, the first choice before them; errors for those that cannot stand in for it."""
    asked, at = need.workload.machine.fallbacks or [], need.workload.at
    if not asked:
        return (), []
    for path, message, label, help in _group_objections(need, machine, model, zones):
        diags.add(FALLBACK.error(message, at(path), label, help))
    for index, name in enumerate(asked):
        path = f"machine.fallbacks.{index}"
        other = need.catalog.machines.get(name)
        if other is None or other.is_attached:
            near = get_close_matches(name, need.catalog.machines, 1)
            help = f"did you mean `{near[0]}`?" if near else "`infragen catalog machines` lists them"
            diags.add(FALLBACK.error(f"unknown machine type `{name}`", at(path), "not in the catalogue", help))
        elif name == machine.type or name in asked[:index]:
            diags.add(FALLBACK.error(f"`{name}` is listed twice", at(path), "", "remove it"))
        else:
            objections = list(_differences(need, machine, other, boot_disk, model, zones))
            if objections:
                message = f"`{name}` cannot stand in for `{machine.type}`"
                help = "remove it, or choose a type with the same accelerators and disks"
                diags.add(FALLBACK.error(message, at(path), "; ".join(objections), help))
    types = [machine.type, *asked]
    text = f"{machine.type} first, else {', '.join(asked)}: whichever can be had; priced as the first"
    return tuple(FallbackChoice(name, rank) for rank, name in enumerate(types)), [Reason(FALLBACK.id, text)]


def _group_objections(
    need: Need, machine: Machine, model: CapacityModel, zones: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    """Path, message, label and help of what keeps this group from mixing machine types at all."""
    path = "machine.fallbacks"
    if need.workload.task in TRAINING_TASKS:
        message = "the machines of a training run must be equal"
        yield path, message, "the slowest sets the pace", "remove `fallbacks`"
    if len(zones) < 2:
        help = "remove `group.scope: zonal`, or give `place` more than one zone"
        yield path, "a zonal group has one machine type", f"in {', '.join(zones)} alone", help
    if model not in MIXED:
        yield path, f"{model} capacity is of one machine type", "booked or asked for by type", "remove `fallbacks`"
    if machine.host:
        message = f"accelerators are attached to `{machine.type}` by the template"
        yield path, message, "for this type alone", "remove `fallbacks`"


def _differences(
    need: Need, machine: Machine, other: MachineType, boot_disk: str, model: CapacityModel, zones: tuple[str, ...]
) -> Iterator[str]:
    """What of a machine type does not suit the template or the plan."""
    first = machine.record
    if (other.accelerator, other.accelerators) != (first.accelerator, first.accelerators):
        yield f"has {other.accelerators:g} × {other.accelerator}" if other.accelerator else "has no accelerator"
    if other.cpu_arch != first.cpu_arch:
        yield f"is {other.cpu_arch}"
    if other.fabric != first.fabric:
        yield "is wired otherwise"
    if boot_disk not in other.boot_disk_types:
        yield f"cannot boot from {boot_disk}"
    if other.local_ssd_mode == "bundled" and first.local_ssd_mode != "bundled":
        yield "brings local disks of its own"
    if other.vcpus < machine.vcpus or other.memory_gib < machine.memory_gib:
        yield f"has less: {other.vcpus} vCPUs, {other.memory_gib:g} GiB"
    if offered(need.catalog, other, model) is False:
        yield f"is not sold as {model}"
    known = {one.zone for one in need.catalog.zones(other.name) if one.zone}
    if known and not known & set(zones):
        yield f"exists in none of {', '.join(zones)}"
