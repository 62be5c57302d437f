"""What a training step does, and what it leaves on every device of a cluster before the first activation.

Gives a `Task` (one step, the same for every machine count), and of so many machines the `Cluster`: the ways to split it
and the training state that each of them keeps on a device, worked out once for every batch that is looked at.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from infragen.decide.sizing.facts import RuntimeOverhead
from infragen.decide.sizing.memory import (
    CHUNKED_LOGIT_BYTES,
    LOGIT_BYTES,
    Recompute,
    Sharding,
    StateBytes,
    gathered_bytes,
    layer_activation_bytes,
    overhead_bytes,
    stage_share,
)
from infragen.decide.sizing.node import Node
from infragen.decide.sizing.shape import ModelShape

CP_FROM_TOKENS = 16_384  # shorter sequences are never split over devices
SPANNING_DEVICES = 8  # accelerators of a VM from which on a copy of a model may span several
MAX_TENSOR, MAX_CONTEXT = 8, 32  # widest degrees that are looked at

RECOMPUTE_SPEED: dict[Recompute, float] = {"none": 1.0, "selective": 0.97, "full": 0.77}  # Korthikanti: 33 % more FLOPs

Degrees = tuple[int, int, int]  # tensor, pipeline, context


class Attempt(Struct, frozen=True):
    """One way to save on activations, and what it leaves of the speed. Bytes per token of a micro-batch."""

    recompute: Recompute
    is_loss_chunked: bool
    stored: float  # of every layer
    working: float  # of the layer being worked on, or of the logits where these are more
    speed: float

    def bytes_per_token(self, tensor: int, layers: float) -> float:
        """Activations on the fullest device, which keeps ``layers`` layers' worth."""
        return (layers * self.stored + self.working) / tensor


def attempt(shape: ModelShape, recompute: Recompute, *, is_loss_chunked: bool) -> Attempt:
    """What recomputing that much, and the loss in chunks, makes of a model's activations."""
    stored = layer_activation_bytes(shape, 1.0, 1, recompute)
    working = layer_activation_bytes(shape, 1.0, 1, "selective") if recompute == "full" else 0.0
    words = shape.vocabulary if shape.kind != "diffusion" else 0
    logits = words * (CHUNKED_LOGIT_BYTES if is_loss_chunked else LOGIT_BYTES)
    return Attempt(recompute, is_loss_chunked, stored, max(working, logits), RECOMPUTE_SPEED[recompute])


class Task(Struct, frozen=True):
    """What one step does, the same for every machine count. Bytes per parameter; parameters of the whole model."""

    shape: ModelShape
    sequence: int
    state: StateBytes  # of what is trained
    trained_dense: float
    trained_experts: float
    frozen_dense_bytes: float  # adapters: the base that is only read
    frozen_expert_bytes: float
    flops_per_token: float
    weight_bytes: float  # of a weight while computing
    attempts: tuple[Attempt, ...]  # in the order in which to try them; the last keeps least
    shardings: tuple[Sharding, ...]
    micro_batch: int | None
    is_offloaded: bool
    end_parameters: float  # of the input embedding, which one pipeline stage holds
    overhead: RuntimeOverhead
    fragmentation: float


class State(Struct, frozen=True):
    """What training keeps on a device beside activations, under one way to share it. Bytes."""

    sharding: Sharding
    weights: float
    gradients: float
    optimizer: float
    overhead: float
    total: float
    room: float  # left for activations


class Cluster:
    """A number of VMs that one step is shared out to, and the training state of each way to split it.

    ``usable``: bytes of a device that a layout may fill. ``is_networked``: the step crosses the network between VMs;
    ``is_ordinary``: and that network is not made for it.
    """

    def __init__(self, task: Task, node: Node, vms: int, *, is_pinned: bool = False) -> None:
        self.task, self.node, self.vms = task, node, vms
        self.devices = vms * node.devices
        self.usable = node.usable_bytes * (1 - task.fragmentation)
        self.is_networked = vms > 1 and node.domain < self.devices
        self.is_ordinary = self.is_networked and not node.accelerator_gbps
        is_joined = (
            is_pinned or node.devices >= SPANNING_DEVICES or node.accelerator_gbps > 0 or node.domain > node.devices
        )
        self._degrees = _degrees_of(task, node)
        self._widest = self.devices if is_joined else node.devices  # devices that one copy of the model may lie on
        self._states: dict[Degrees, list[State]] = {}

    def splits(self) -> Iterator[Degrees]:
        """Tensor, pipeline and context degrees, from none to the whole cluster; tensor inside the fast domain.

        What does not divide the devices leaves some of them idle. One copy of the model spans several VMs only where
        these are large, made for it, or asked for in that number.
        """
        for tensor, pipeline, context in self._degrees:
            copy = tensor * pipeline
            if copy <= self._widest and copy * context <= self.devices:
                yield tensor, pipeline, context

    def states(self, tensor: int, pipeline: int, shards: int) -> list[State]:
        """Weights, gradients, optimizer and overhead of one device for each sharding, in the order of the task."""
        key = tensor, pipeline, shards
        if key not in self._states:
            self._states[key] = self._shared_out(*key)
        return self._states[key]

    def _shared_out(self, tensor: int, pipeline: int, shards: int) -> list[State]:
        task, shape, state = self.task, self.task.shape, self.task.state
        split = stage_share(shape.layers, pipeline) / tensor
        expert = expert_degree(task, self.node, tensor, shards)
        dense, experts = task.trained_dense * split, task.trained_experts * split / expert
        if pipeline > 1 and task.trained_experts + task.trained_dense == shape.parameters:
            dense += task.end_parameters * (1 / tensor - split)  # the first stage holds the whole input embedding
        whole = dense + experts
        stepped = dense / shards + experts / max(1, shards // expert)  # shared by all data-parallel ranks
        frozen = (task.frozen_dense_bytes + task.frozen_expert_bytes) * split
        optimizer = 0.0 if task.is_offloaded else stepped * state.optimizer
        overhead = overhead_bytes(task.overhead, shards * tensor * pipeline)
        found = []
        for sharding in task.shardings:
            if sharding == "zero-3":
                gathered = gathered_bytes(shape, tensor, expert, task.weight_bytes) if shards > 1 else 0.0
                weights = stepped * state.weights + frozen / shards + gathered
            else:
                weights = whole * state.weights + frozen
            gradients = (whole if sharding == "zero-1" else stepped) * state.gradients
            total = weights + gradients + optimizer + overhead
            found.append(State(sharding, weights, gradients, optimizer, overhead, total, self.usable - total))
        return found

    @property
    def tightest(self) -> float:
        """Least bytes per device of all splits: the state and one sequence, recomputed as far as may be."""
        return min(self._least_of(*split) for split in self.splits())

    @property
    def can_hold(self) -> bool:
        """One of the splits has room for the state and one sequence; the widest are asked first."""
        return any(self._least_of(*split) <= self.usable for split in reversed(list(self.splits())))

    def _least_of(self, tensor: int, pipeline: int, context: int) -> float:
        task = self.task
        # full sharding gathers whole layers, so that sharding less may take less
        fixed = min(state.total for state in self.states(tensor, pipeline, self.devices // (tensor * pipeline)))
        tokens = task.sequence / context * (task.micro_batch or 1)
        layers = math.ceil(task.shape.layers / pipeline) * pipeline
        return fixed + task.attempts[-1].bytes_per_token(tensor, layers) * tokens


def _degrees_of(task: Task, node: Node) -> tuple[Degrees, ...]:
    """Splits of any number of these nodes."""
    reach = min(node.domain if node.is_switched else node.devices, MAX_TENSOR)
    longest = min(max(1, 2 * task.sequence // CP_FROM_TOKENS), MAX_CONTEXT)
    return _degrees(task.shape.attention_heads, task.shape.layers, reach, node.is_switched, longest)


@lru_cache(maxsize=256)
def _degrees(heads: int, layers: int, reach: int, is_switched: bool, widest_context: int) -> tuple[Degrees, ...]:
    """Splits that shape and wiring allow, whatever the number of devices; narrow before wide."""
    tensors = [t for t in (1, 2, 4, 8) if t <= reach and heads % t == 0]
    options = [
        (t * p * c, p, c, t)
        for t in tensors
        for p in (1, 2, 4, 8, 16, 32, 64)
        # a pipeline joins what the fast domain cannot; without one it takes the place of tensor parallelism
        if p <= max(1, layers // 2) and (p == 1 or t == (tensors[-1] if is_switched else 1))
        for c in (1, 2, 4, 8, 16, 32)
        if c <= widest_context
    ]
    return tuple((t, p, c) for _, p, c, t in sorted(options))


def least_activation_bytes(task: Task, node: Node) -> float:
    """Activations of one sequence that no split avoids: recomputed, and spread as widely as any split does."""
    stored = task.attempts[-1].stored
    tensor = min(node.domain if node.is_switched else node.devices, MAX_TENSOR)
    context = MAX_CONTEXT if task.sequence >= CP_FROM_TOKENS else 1
    return task.shape.layers * stored * task.sequence * (task.micro_batch or 1) / (tensor * context)


def expert_degree(task: Task, node: Node, tensor: int, data: int) -> int:
    """Devices that the experts of a layer are spread over: inside the fast domain, dividing the experts."""
    experts = task.shape.experts
    if not experts:
        return 1
    most = min(data, max(1, node.domain // tensor), experts)
    return next(e for e in (64, 32, 16, 8, 4, 2, 1) if e <= most and experts % e == 0)
