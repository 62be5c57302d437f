"""The machine: every type that exists, narrowed by what is asked, then by what the model needs."""

import difflib
import math
from collections.abc import Iterator
from functools import lru_cache

from msgspec.structs import replace

from infragen.decide.need import ACCELERATED_TASKS, Machine, Need
from infragen.decide.rule import Miss, rule
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.load import Catalog, folded
from infragen.facts.model import Accelerator, HostMachine, MachineType, OtherAccelerator
from infragen.units import GIB

UNKNOWN_MACHINE = declare(
    "M001",
    "machine-unknown",
    """Name machine types, accelerators and series as Google Cloud names them.

    Why: a type that is not in the tables cannot be sized, priced or placed.
    Example: `machine: {type: a3-highgpu-9g}` is an error that suggests a3-highgpu-8g.
    """,
    source="docs/facts.md",
)
NOT_OFFERED = declare(
    "M002",
    "accelerator-not-offered",
    """Answer for accelerators that Google Cloud does not have with the nearest that it has.

    Why: a plan for hardware that cannot be rented helps nobody; the nearest offered part is the useful answer.
    Example: a consumer card with 24 GB is answered with the offered accelerator of the same memory.
    """,
    source="docs/facts.md",
)


@lru_cache(maxsize=4)
def machines(catalog: Catalog, named: str | None = None) -> tuple[Machine, ...]:
    """Every machine by name: each type as it is; for attached accelerators, one per general-purpose type that takes them.

    ``named``: a general-purpose type that is a candidate because the descriptor names it, beside those of the table.
    """
    found = [*_machines(catalog), *(_general(catalog, named) if named else ())]
    return tuple(sorted(found, key=lambda machine: machine.label))


def _general(catalog: Catalog, named: str) -> Iterator[Machine]:
    """A general-purpose type that the table has no row for: disks, wires and models of sale are those of its series."""
    host = catalog.host_machines.get(named)
    if host is None or named in catalog.machines:
        return
    rows = [row for row in catalog.machines.values() if row.series == host.series and not row.has_accelerator]
    if rows:
        record = min(rows, key=lambda row: abs(math.log(row.vcpus / host.vcpus)))
        own = replace(record, name=host.name, vcpus=host.vcpus, memory_gib=host.memory_gib, network_gbps=None)
        yield Machine(own, None, catalog.fabrics[record.fabric], host)


def _machines(catalog: Catalog) -> Iterator[Machine]:
    hosts: dict[str, tuple[HostMachine, ...]] = {}
    for record in catalog.machines.values():
        accelerator = catalog.accelerators.get(record.accelerator or "")
        fabric = catalog.fabrics[record.fabric]
        if record.is_attached:
            series = record.name.partition("+")[0]
            if series not in hosts:
                hosts[series] = catalog.hosts(series)
            for host in _hosts(hosts[series], record):
                yield Machine(record, accelerator, fabric, host)
        else:
            yield Machine(record, accelerator, fabric)


def _hosts(series: tuple[HostMachine, ...], record: MachineType) -> Iterator[HostMachine]:
    """Types of the series that the accelerators may be attached to: up to the rule's vCPUs and memory.

    Shared-core types and those with less than 2 vCPUs per accelerator are left out: they starve the accelerator.
    """
    for host in series:
        fits = host.vcpus <= record.vcpus and host.memory_gib <= record.memory_gib
        if fits and host.vcpus >= 2 * record.accelerators and "-standard-" in host.name:
            yield host


@rule("M010", "machine-pinned", source="descriptor: machine.type")
def machine_pinned(need: Need, machine: Machine) -> Miss | None:
    """Use the machine type that the descriptor names.

    Why: a reservation, a quota or an image may be bound to it.
    Example: `machine: {type: a2-highgpu-1g}` rejects every other type.
    """
    pinned = need.workload.machine.type
    return (
        None
        if pinned in (None, machine.type, machine.record.name)
        else Miss(f"machine.type is `{pinned}`", path="machine.type")
    )


@rule(
    "M011",
    "accelerator-bounds",
    source="descriptor: machine.accelerators, accelerators_per_node, min_accelerator_memory",
)
def accelerator_bounds(need: Need, machine: Machine) -> Miss | None:
    """Keep to the accelerators, their number and their memory that the descriptor asks for.

    Why: code is often built for one family, and tested on one number per machine.
    Example: `machine: {accelerators: [h100]}` keeps every memory size of that family and rejects the others.
    """
    asked = need.workload.machine
    chip = machine.accelerator
    if asked.accelerators:
        called = need.catalog.accelerators_called
        if chip is None or not any(chip.name in called(name) for name in asked.accelerators):
            return Miss(f"machine.accelerators is {', '.join(asked.accelerators)}", 2, path="machine.accelerators")
    wanted_each, each = asked.accelerators_per_node, machine.record.accelerators
    if wanted_each and each != wanted_each:
        because, off = f"{each:g} accelerators per VM; {wanted_each} asked", abs(each - wanted_each)
        return Miss(because, off / (each + wanted_each), path="machine.accelerators_per_node")
    if asked.min_accelerator_memory and (chip is None or chip.memory_gib * GIB < asked.min_accelerator_memory):
        return Miss(
            f"less accelerator memory than the {asked.min_accelerator_memory / GIB:g} GiB asked",
            path="machine.min_accelerator_memory",
        )
    return None


@rule("M012", "host-bounds", source="descriptor: machine.series, min_vcpus, min_memory")
def host_bounds(need: Need, machine: Machine) -> Miss | None:
    """Keep to the series, vCPUs and host memory that the descriptor asks for.

    Why: data loading, tokenising and offloading run on the host.
    Example: `machine: {min_memory: 200GiB}` rejects a machine with 48 GiB.
    """
    asked = need.workload.machine
    series = [asked.series] if isinstance(asked.series, str) else asked.series
    if series and machine.record.series not in series:
        return Miss(f"series {machine.record.series}; {', '.join(series)} asked", 2, path="machine.series")
    if asked.min_vcpus and machine.vcpus < asked.min_vcpus:
        because = f"{machine.vcpus} vCPUs; {asked.min_vcpus:,} asked"
        return Miss(because, 1 - machine.vcpus / asked.min_vcpus, path="machine.min_vcpus")
    if asked.min_memory and machine.memory_gib * GIB < asked.min_memory:
        because = f"{machine.memory_gib:,g} GiB of memory; {asked.min_memory / GIB:,g} GiB asked"
        return Miss(because, 1 - machine.memory_gib * GIB / asked.min_memory, path="machine.min_memory")
    return None


@rule("M013", "accelerator-needed", source="design decision")
def accelerator_needed(need: Need, machine: Machine) -> Miss | None:
    """Give models accelerators, and other work none unless it asks.

    Why: a language model on CPUs misses every latency and deadline; an idle accelerator is most of a machine's price.
    Example: serving rejects machines without accelerators; data preparation rejects machines with them.
    """
    asked = need.workload.machine
    if need.workload.task in ACCELERATED_TASKS:
        return None if machine.record.has_accelerator else Miss("no accelerator")
    wants = asked.type or asked.accelerators or asked.accelerators_per_node or asked.min_accelerator_memory
    if not machine.record.has_accelerator or wants:
        return None
    help = f"`accelerators: [{machine.accelerator.family}]` in `machine` asks for them" if machine.accelerator else ""
    return Miss("comes with accelerators that nothing asks for", help=help)


@rule("M014", "whole-accelerators", source="https://docs.cloud.google.com/compute/docs/accelerator-optimized-machines")
def whole_accelerators(need: Need, machine: Machine) -> Miss | None:
    """Size with whole accelerators unless a partition is named.

    Why: a partition has a share of the memory and of the compute that the tables do not state.
    Example: a machine type with an eighth of an accelerator is rejected unless `machine.type` names it.
    """
    if machine.record.accelerators in (0,) or machine.record.accelerators >= 1 or need.workload.machine.type:
        return None
    return Miss(f"{machine.record.accelerators:g} of an accelerator: its memory share is not known")


@rule("M015", "lowered-kind", source="design decision")
def lowered_kind(need: Need, machine: Machine) -> Miss | None:
    """Choose by itself only machines that Terraform can be written for.

    Why: TPU slices are sized and explained, and not yet written as Terraform.
    Example: without a pin, TPU machine types are listed as rejected; `machine.type` or `machine.accelerators` takes one.
    """
    if machine.accelerator is None or machine.accelerator.kind == "gpu":
        return None
    asked = need.workload.machine
    if asked.type or asked.accelerators or asked.topology:
        return None
    return Miss("sized on request only: Terraform for TPU slices is not written yet")


@rule("M016", "topology-unit", source="https://docs.cloud.google.com/ai-hypercomputer/docs/gpu-networking")
def topology_unit(need: Need, machine: Machine) -> Miss | None:
    """Take machines that come in units by whole units.

    Why: some systems are racks: their machines are sold and scheduled together.
    Example: a type that comes in units of 18 VMs is rejected for `machine.count: 4`.
    """
    unit, count = machine.record.topology_unit_vms or 1, need.workload.machine.count
    if unit == 1 or count is None or count % unit == 0:
        return None
    return Miss(
        f"comes in units of {unit} VMs; {count} asked",
        0,
        f"the nearest count is {-(-count // unit) * unit}",
        "machine.count",
    )


@rule("M017", "boot-disk-taken", source="https://docs.cloud.google.com/compute/docs/disks/hyperdisks")
def boot_disk_taken(need: Need, machine: Machine) -> Miss | None:
    """Boot from a disk type that the machine takes.

    Why: newer series take no Persistent Disk and older ones no Hyperdisk; a wrong pair fails at apply.
    Example: `machine: {boot_disk: pd-ssd}` rejects a series that boots from hyperdisk-balanced only.
    """
    asked, types = need.workload.machine.boot_disk, machine.record.boot_disk_types
    if asked is None or asked in types:
        return None
    takes = ", ".join(f"`{one}`" for one in types)
    return Miss(f"boots from {takes}; {asked} asked", 0, f"use {takes}", "machine.boot_disk")


@rule("M018", "topology-offered", source="https://docs.cloud.google.com/tpu/docs/system-architecture-tpu-vm")
def topology_offered(need: Need, machine: Machine) -> Miss | None:
    """Take a slice in a shape that it comes in.

    Why: the chips of a slice are wired as a torus of fixed shapes, each made of a fixed number of VMs of one type.
    Example: `machine: {topology: 3x3}` rejects every machine type, for no slice has that shape.
    """
    asked = need.workload.machine.topology
    shapes = [one.topology for one in need.catalog.topologies if one.machine_type == machine.record.name]
    if asked is None or asked in shapes:
        return None
    if not shapes:
        return Miss(f"does not come in slices; topology {asked} asked", path="machine.topology")
    return Miss(f"comes in slices of {', '.join(shapes)}", 0, f"use one of {', '.join(shapes)}", "machine.topology")


@rule("M030", "confidential-computing", source="docs/facts.md: confidential.csv")
def confidential_computing(need: Need, machine: Machine) -> Miss | None:
    """Encrypt memory in use only on machines whose processor can.

    Why: the API refuses the setting on any other type, at apply.
    Example: `security: {confidential: tdx}` keeps the types that the table lists, and rejects the others.
    """
    asked = need.workload.security.confidential
    if asked is None or (machine.type, asked) in need.catalog.confidential:
        return None
    known = [name for name, technology in need.catalog.confidential if technology == asked]
    help = f"known to have it: {', '.join(known)}" if known else "no type of the tables is known to have it"
    return Miss(f"not known to have {asked}", 0, help, "security.confidential")


RULES = (
    machine_pinned, accelerator_bounds, host_bounds, confidential_computing, accelerator_needed, whole_accelerators, lowered_kind, topology_unit,
    boot_disk_taken, topology_offered,
)  # fmt: skip


def check_names(need: Need, diags: Diagnostics) -> None:
    """Errors for machine types, accelerators and series that do not exist, with what was probably meant."""
    asked, catalog, at = need.workload.machine, need.catalog, need.workload.at
    types = {machine.type for machine in machines(catalog, asked.type)} | set(catalog.machines)
    if asked.type and asked.type not in types:
        diags.add(
            UNKNOWN_MACHINE.error(
                f"unknown machine type `{asked.type}`",
                at("machine.type"),
                "not in the catalogue",
                _suggest(asked.type, types, "machines"),
            )
        )
    offered = [chip for chip in catalog.accelerators.values() if chip.offered]
    known = {name for chip in offered for name in (chip.name, chip.family)}
    for index, name in enumerate(asked.accelerators or ()):
        if any(chip.name in catalog.accelerators_called(name) for chip in offered):
            continue
        other = _other(catalog, name)
        label = "known, not offered" if other else "not in the catalogue"
        help = f"the nearest offered are {_nearest(other, offered)}" if other else _suggest(name, known, "accelerators")
        message = f"`{name}` is not an accelerator that Google Cloud offers"
        diags.add(NOT_OFFERED.error(message, at(f"machine.accelerators.{index}"), label, help))
    series = {record.series for record in catalog.machines.values()}
    for name in [asked.series] if isinstance(asked.series, str) else asked.series or ():
        if name not in series:
            diags.add(
                UNKNOWN_MACHINE.error(
                    f"unknown machine series `{name}`",
                    at("machine.series"),
                    "not in the catalogue",
                    _suggest(name, series, "machines"),
                )
            )


def _other(catalog: Catalog, name: str) -> Accelerator | OtherAccelerator | None:
    """The chip of that name that exists and is not offered here."""
    wanted = folded(name)
    for chip in catalog.other_accelerators.values():
        if wanted in {folded(one) for one in (chip.name, *chip.aliases)}:
            return chip
    return next((catalog.accelerators[one] for one in sorted(catalog.accelerators_called(name))), None)


def _nearest(other: Accelerator | OtherAccelerator, offered: list[Accelerator]) -> str:
    """The two offered GPUs that are most alike: memory, which decides what fits, counts four times bandwidth or arithmetic."""

    def distance(chip: Accelerator) -> float:
        memory = abs(math.log(chip.memory_gib / other.memory_gib))
        bandwidth = abs(math.log(chip.memory_bandwidth_gb_s / other.memory_bandwidth_gb_s))
        peaks = (chip.bf16_tflops, other.bf16_tflops)
        arithmetic = abs(math.log(peaks[0] / peaks[1])) if peaks[0] and peaks[1] else 2.0
        return 4 * memory + bandwidth + arithmetic

    chips = sorted((chip for chip in offered if chip.kind == "gpu"), key=lambda chip: (distance(chip), chip.name))[:2]
    return " and ".join(
        f"`{chip.name}` ({chip.memory_gib:g} GB, {chip.memory_bandwidth_gb_s:g} GB/s)" for chip in chips
    )


def _suggest(name: str, known: set[str], subject: str) -> str:
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(f'`{folded[one]}`' for one in close)}?"
    return f"`infragen catalog {subject}` lists what there is"
