"""What sizing sees of a machine (`Node`), and how it says that a machine will not do (`Shortfall`)."""

import math
from functools import cached_property
from typing import Literal

from msgspec import Struct

from infragen.decide.sizing.shape import ModelShape
from infragen.facts.model import Accelerator, Fabric, MachineType
from infragen.units import GIB

MAX_ACCELERATORS_PER_VM = 16  # an interconnect that joins more than these reaches beyond one VM
LINK_EFFICIENCY = 0.7  # of a link's rate in large collectives
CONTEXT_EXTENSION = 4  # times the trained context that rescaled rotary positions reach (YaRN, arXiv 2309.00071)
START_H = 0.1  # of a job: machines boot, take the image, load weights and compile
TCP_EFFICIENCY = 0.6  # of a network rate without kernel bypass

Constraint = Literal[
    "precision", "memory", "host-memory", "parallelism", "ttft", "tpot", "concurrency", "rate", "replicas", "deadline",
    "batch", "interconnect", "model", "group",
]  # fmt: skip


class Node(Struct, frozen=True, cache_hash=True, dict=True):  # a key of what is remembered, and remembers
    """One VM with its accelerators. ``accelerators`` is a fraction where the VM holds a part of one."""

    accelerator: Accelerator
    accelerators: float
    vcpus: int
    memory_gib: float
    network_gbps: float | None  # all interfaces together
    accelerator_gbps: float = 0.0  # for accelerator traffic; 0: it shares the ordinary interface
    is_rdma: bool = False
    slice_vms: tuple[int, ...] = ()  # VM counts that a slice may have, ascending; empty: any number
    unit_vms: int = 1  # VMs come in multiples of this

    @cached_property
    def devices(self) -> int:
        """Accelerators that a process can address: a part of one counts as one small device."""
        return max(1, int(self.accelerators))

    @cached_property
    def share(self) -> float:
        """Part of an accelerator's memory, bandwidth and arithmetic that one device has."""
        return min(1.0, self.accelerators)

    @cached_property
    def usable_bytes(self) -> float:
        """Memory of one device that a process can get hold of."""
        return float(self.accelerator.usable_gib * GIB * self.share)

    @property
    def bandwidth(self) -> float:
        """Memory bandwidth of one device, bytes per second."""
        return self.accelerator.memory_bandwidth_gb_s * 1e9 * self.share

    @cached_property
    def is_switched(self) -> bool:
        """The devices of the VM reach each other at full rate."""
        return self.accelerator.is_switched

    @cached_property
    def domain(self) -> int:
        """Devices that the fast interconnect joins: those of the VM, or more where it reaches beyond one VM."""
        if not self.is_switched or self.accelerator.domain <= MAX_ACCELERATORS_PER_VM:
            return self.devices
        if self.slice_vms:
            return self.slice_vms[-1] * self.devices
        return self.devices if self.accelerator.kind == "tpu" else self.accelerator.domain

    @cached_property
    def link_bytes_s(self) -> float | None:
        """Rate between two devices of a VM, one direction; None where no figure is known."""
        rate = self.accelerator.interconnect_gb_s
        return None if rate is None else rate * 1e9 / 2 * LINK_EFFICIENCY

    @cached_property
    def network_bytes_s(self) -> float | None:
        """Rate out of the VM that collectives reach, bytes per second; None where no figure is known."""
        if self.accelerator_gbps:
            return self.accelerator_gbps / 8 * 1e9 * LINK_EFFICIENCY
        return None if self.network_gbps is None else self.network_gbps / 8 * 1e9 * TCP_EFFICIENCY


def node_of(
    machine: MachineType,
    accelerator: Accelerator,
    fabric: Fabric,
    vcpus: int | None = None,
    memory_gib: float | None = None,
    slice_vms: tuple[int, ...] = (),
) -> Node:
    """The node that a machine type makes; ``vcpus`` and ``memory_gib`` of the host where accelerators are attached."""
    return Node(
        accelerator=accelerator,
        accelerators=machine.accelerators,
        vcpus=vcpus or machine.vcpus,
        memory_gib=memory_gib or machine.memory_gib,
        network_gbps=machine.network_gbps,
        accelerator_gbps=fabric.accelerator_gbps,
        is_rdma=fabric.is_rdma,
        slice_vms=slice_vms,
        unit_vms=machine.topology_unit_vms or 1,
    )


class Shortfall(Struct, frozen=True):
    """Why a node will not do: which constraint, what it needs and what there is. ``help`` says what would do."""

    constraint: Constraint
    needed: float
    available: float
    unit: str
    message: str
    help: str = ""

    @property
    def distance(self) -> float:
        """How far off, as a ratio: 1 is almost enough."""
        low = min(self.needed, self.available)
        return max(self.needed, self.available) / low if low > 0 else math.inf


def context_shortfall(shape: ModelShape, tokens: int, notes: list[str]) -> Shortfall | None:
    """Why the model cannot take sequences of that length; None where it can, with a note if only after extension."""
    trained = shape.max_context_tokens
    if trained is None or tokens <= trained:
        return None
    if not shape.is_context_fixed and tokens <= trained * CONTEXT_EXTENSION:
        notes.append(f"{tokens:,} tokens are beyond the {trained:,} of {shape.name}: its positions must be rescaled")
        return None
    most = trained if shape.is_context_fixed else trained * CONTEXT_EXTENSION
    return Shortfall(
        "model", tokens, most, "tokens",
        f"{shape.name} takes sequences of up to {most:,} tokens, {tokens:,} are asked for",
        f"ask for at most {most:,} tokens, or use a model with a longer context",
    )  # fmt: skip
