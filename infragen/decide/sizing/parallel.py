"""How a training step lies on a cluster: degrees of parallelism, sharding, recomputation, micro-batch.

Takes a `Cluster` (model, machine count, batch) and gives the `Layout` that is expected to be fastest among those that
fit, or the tightest that does not. Communication: sizing follows ring collectives; a VM's accelerators share its network.
"""

import math
from functools import lru_cache

from msgspec import Struct

from infragen.decide.sizing.facts import RuntimeOverhead
from infragen.decide.sizing.memory import (
    CHUNKED_LOGIT_BYTES,
    LOGIT_BYTES,
    Parts,
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

RECOMPUTE_SPEED: dict[Recompute, float] = {"none": 1.0, "selective": 0.97, "full": 0.77}  # Korthikanti: 33 % more FLOPs
DP_OVERLAP, FSDP_OVERLAP = 0.67, 0.8  # share of compute time that can hide communication
ORDINARY_OVERLAP = 0.5  # of that share, where the host's processors move the data
MAX_INTERLEAVE = 8  # virtual pipeline stages per device
TYPICAL_BUBBLE = 0.93  # what published efficiencies already contain
OFFLOAD_SPEED = 0.7  # of a step whose optimizer runs on the host
CP_FROM_TOKENS = 16_384  # shorter sequences are never split over devices
MAX_MICRO_BATCH = 32
SPANNING_DEVICES = 8  # accelerators of a VM from which on a copy of a model may span several
MAX_TENSOR, MAX_CONTEXT = 8, 32  # widest degrees that are looked at
BETTER = 1.05  # times the speed of a simpler layout that a wider one must reach
GOOD_SPEED = 0.90  # of an unhindered step; below it wider splits are looked at
SPARE = 0.04  # of usable memory that a layout leaves, if it can
WORTH_THE_LAST_BYTE = 1.1  # times the speed that a layout without memory to spare must bring
LAYOUTS_AFTER_FIRST = 2  # wider splits looked at once something good fits


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
    attempts: tuple[tuple[Recompute, bool], ...]  # (recomputation, loss in chunks), in the order in which to try them
    shardings: tuple[Sharding, ...]
    micro_batch: int | None
    is_offloaded: bool
    layer_bytes: dict[Recompute, tuple[float, float]]  # activations per token: (kept per layer, of the layer worked on)
    logit_words: int
    end_parameters: float  # of the input embedding, which one pipeline stage holds
    overhead: RuntimeOverhead
    fragmentation: float


def layer_bytes(shape: ModelShape) -> dict[Recompute, tuple[float, float]]:
    """Activation bytes per token by recomputation: kept of every layer, and of the layer being worked on."""
    fused = layer_activation_bytes(shape, 1.0, 1, "selective")
    return {
        "none": (layer_activation_bytes(shape, 1.0, 1, "none"), 0.0),
        "selective": (fused, 0.0),
        "full": (layer_activation_bytes(shape, 1.0, 1, "full"), fused),
    }


class Layout(Struct, frozen=True):
    """A training step on a cluster. ``bytes`` per device by part; ``speed`` is relative to an unhindered step."""

    tensor: int
    pipeline: int
    context: int
    data: int
    expert: int
    sharding: Sharding
    recompute: Recompute
    is_loss_chunked: bool
    micro_batch: int
    accumulation: int  # micro-batches per step and data-parallel rank
    parts: Parts
    speed: float
    exposed_share: float  # of the step spent waiting for communication


def splits(task: Task, node: Node, devices: int, *, is_pinned: bool = False) -> tuple[tuple[int, int, int], ...]:
    """(tensor, pipeline, context) degrees, from none to the whole cluster; tensor inside the fast domain.

    What does not divide the devices leaves some of them idle. One copy of the model spans several VMs only where these
    are large, made for it, or asked for in that number.
    """
    shape, is_switched = task.shape, node.is_switched
    reach = min(node.domain if is_switched else node.devices, MAX_TENSOR)
    longest = max(1, 2 * task.sequence // CP_FROM_TOKENS)
    is_joined = is_pinned or node.devices >= SPANNING_DEVICES or node.accelerator_gbps > 0 or node.domain > node.devices
    widest = devices if is_joined else node.devices
    return _splits(shape.attention_heads, shape.layers, reach, is_switched, min(longest, MAX_CONTEXT), widest, devices)


@lru_cache(maxsize=4096)
def _splits(
    heads: int, layers: int, reach: int, is_switched: bool, widest_context: int, widest: int, devices: int
) -> tuple[tuple[int, int, int], ...]:
    tensors = [t for t in (1, 2, 4, 8) if t <= reach and heads % t == 0]
    options = [
        (t * p * c, p, c, t)
        for t in tensors
        for p in (1, 2, 4, 8, 16, 32, 64)
        # a pipeline joins what the fast domain cannot; without one it takes the place of tensor parallelism
        if p <= max(1, layers // 2) and (p == 1 or t == (tensors[-1] if is_switched else 1))
        for c in (1, 2, 4, 8, 16, 32)
        if c <= widest_context and t * p <= widest and t * p * c <= devices
    ]
    return tuple((t, p, c) for _, p, c, t in sorted(options))


class _Split(Struct, frozen=True):
    """A split of the cluster, and what every layout of it shares."""

    tensor: int
    pipeline: int
    context: int
    data: int
    shards: int  # ranks that training state is shared between: data- and context-parallel
    accumulate: float  # sequences per step and data-parallel rank
    layers: float  # layers' worth of activations on the fullest stage
    tokens: float  # of one sequence on one device
    used: float  # share of the accelerators that the split keeps busy


Fixed = tuple[float, float, float, float]  # bytes of weights, gradients, optimizer, overhead


class _Kept(Struct, frozen=True):
    """What is kept of the activations, and what recomputing the rest leaves of the speed. Bytes per micro-batch of one."""

    recompute: Recompute
    is_loss_chunked: bool
    is_roomy: bool
    each: float
    speed: float
    room: float


def best_layout(
    task: Task, node: Node, vms: int, batch_tokens: float, compute_flops: float, *, is_pinned: bool = False
) -> Layout | None:
    """The fastest layout that fits, with some memory to spare if that costs little; None where none fits.

    ``compute_flops``: rate of one device, FLOP/s.
    """
    every = splits(task, node, vms * node.devices, is_pinned=is_pinned)
    return _Search(task, node, vms, batch_tokens, compute_flops).best(every)


class _Search:
    """The layouts of one cluster, simplest splits first: the fastest so far with memory to spare, and without.

    One without memory to spare must be much faster than the other: it may fail after the next update.
    """

    def __init__(self, task: Task, node: Node, vms: int, batch_tokens: float, compute_flops: float) -> None:
        self.task, self.node, self.vms, self.compute_flops = task, node, vms, compute_flops
        self.devices = vms * node.devices
        self.most_sequences = batch_tokens / task.sequence
        self.usable = node.usable_bytes * (1 - task.fragmentation)
        self.roomy: Layout | None = None
        self.tight: Layout | None = None

    def best(self, every: tuple[tuple[int, int, int], ...]) -> Layout | None:
        """The fastest layout of these splits; None where none fits."""
        unhindered = OFFLOAD_SPEED if self.task.is_offloaded else 1.0
        patience = LAYOUTS_AFTER_FIRST
        for tensor, pipeline, context in every:
            if self.roomy is not None and self.roomy.speed * BETTER >= unhindered:
                break
            if self.roomy is not None and self.roomy.speed > GOOD_SPEED:
                patience -= 1
                if patience < 0:
                    break
            split = self._split(tensor, pipeline, context)
            if split is not None and (self.roomy is None or self._fastest_of(split) > self.roomy.speed * BETTER):
                self._look_at(split)
        return self.tight or self.roomy

    def _split(self, tensor: int, pipeline: int, context: int) -> _Split | None:
        """What the layouts of a split share; None where the batch cannot feed it."""
        data = self.devices // (tensor * pipeline * context)
        if data > max(1.0, self.most_sequences):
            return None
        accumulate = max(1.0, self.most_sequences / data)
        in_flight = max(1.0, min(pipeline, accumulate))
        return _Split(
            tensor, pipeline, context, data, data * context, accumulate,
            math.ceil(self.task.shape.layers / pipeline) * in_flight, self.task.sequence / context,
            data * tensor * pipeline * context / self.devices,
        )  # fmt: skip

    def _fastest_of(self, split: _Split) -> float:
        """No layout of a split is faster than without recomputation, waiting and all but the smallest bubble."""
        first = self.task.attempts[0][0]
        return _schedule(self.task, split, _Kept(first, False, True, 1.0, RECOMPUTE_SPEED[first], 1.0))[2]

    def _look_at(self, split: _Split) -> None:
        """Keep the layouts of a split that are faster than what is known: per sharding the one that recomputes least."""
        task, node = self.task, self.node
        least = _least_activations(task, split)
        for sharding in task.shardings:
            fixed = _state(task, node, split.tensor, split.pipeline, split.shards, sharding)
            whole = self.usable - sum(fixed)
            if whole >= least:
                self._attempt(split, sharding, fixed, whole)

    def _attempt(self, split: _Split, sharding: Sharding, fixed: Fixed, whole: float) -> None:
        """Recompute no more than it takes to fit in the ``whole`` room, with memory to spare if that can be had.

        Where a lighter recomputation does not fit, the heavier one is also tried on as many layers as it takes.
        """
        task = self.task
        spared = whole - SPARE * self.usable
        least = task.micro_batch or 1
        lighter: tuple[float, float] | None = None  # bytes and speed of what does not fit
        for recompute, is_chunked in task.attempts:
            per_token = activations_per_token(task, split.tensor, split.layers, recompute, is_loss_chunked=is_chunked)
            each, speed = split.tokens * per_token, RECOMPUTE_SPEED[recompute]
            if each * least > whole:
                lighter = each, speed
                continue
            is_roomy = each * least <= spared
            room = spared if is_roomy else whole
            if lighter is not None and speed < lighter[1]:
                share = (lighter[0] - room / least) / (lighter[0] - each)
                mixed = share * speed + (1 - share) * lighter[1]
                self._keep(split, sharding, fixed, _Kept(recompute, is_chunked, is_roomy, room / least, mixed, room))
            self._keep(split, sharding, fixed, _Kept(recompute, is_chunked, is_roomy, each, speed, room))
            if is_roomy:
                return

    def _keep(self, split: _Split, sharding: Sharding, fixed: Fixed, kept: _Kept) -> None:
        """Remember the layout if it is worth having."""
        task, to_beat = self.task, self._to_beat(is_roomy=kept.is_roomy)
        micro, count, hidden_speed = _schedule(task, split, kept)
        if hidden_speed <= to_beat:  # not even with all communication hidden
            return
        exposed = exposed_share(
            task, self.node, self.vms, split, sharding, micro * split.tokens, count, self.compute_flops
        )
        speed = hidden_speed * (1 - exposed)
        if speed <= to_beat:
            return
        weights, gradients, optimizer, overhead = fixed
        found = Layout(
            tensor=split.tensor,
            pipeline=split.pipeline,
            context=split.context,
            data=split.data,
            expert=expert_degree(task, self.node, split.tensor, split.data),
            sharding=sharding,
            recompute=kept.recompute,
            is_loss_chunked=kept.is_loss_chunked,
            micro_batch=micro,
            accumulation=count,
            parts=Parts(
                weights=weights,
                gradients=gradients,
                optimizer=optimizer,
                overhead=overhead,
                activations=kept.each * micro,
            ),
            speed=speed,
            exposed_share=exposed,
        )
        if not kept.is_roomy:
            self.tight = found
            return
        self.roomy = found
        if self.tight and self.tight.speed < found.speed * WORTH_THE_LAST_BYTE:
            self.tight = None

    def _to_beat(self, *, is_roomy: bool) -> float:
        """The speed from which on a layout is worth having."""
        least = self.roomy.speed * (BETTER if is_roomy else WORTH_THE_LAST_BYTE) if self.roomy else 0.0
        return least if is_roomy or self.tight is None else max(least, self.tight.speed * BETTER)


def least_activation_bytes(task: Task, node: Node) -> float:
    """Activations of one sequence that no split avoids: recomputed, and spread as widely as any split does."""
    stored, _ = task.layer_bytes[task.attempts[-1][0]]
    tensor = min(node.domain if node.is_switched else node.devices, MAX_TENSOR)
    context = MAX_CONTEXT if task.sequence >= CP_FROM_TOKENS else 1
    return task.shape.layers * stored * task.sequence * (task.micro_batch or 1) / (tensor * context)


def _least_activations(task: Task, split: _Split) -> float:
    per_token = activations_per_token(task, split.tensor, split.layers, task.attempts[-1][0], is_loss_chunked=True)
    return per_token * split.tokens * (task.micro_batch or 1)


def _schedule(task: Task, split: _Split, kept: _Kept) -> tuple[int, int, float]:
    """(micro-batch, micro-batches per step, relative speed with all communication hidden)."""
    fits = int(kept.room / kept.each) if kept.each > 0 else MAX_MICRO_BATCH
    wanted = task.micro_batch or min(int(split.accumulate), 4 if split.pipeline == 1 else 1)
    micro = max(1, min(wanted, fits))
    count = max(1, round(split.accumulate / micro))
    speed = kept.speed * (OFFLOAD_SPEED if task.is_offloaded else 1.0) * split.used
    if split.pipeline > 1:
        interleave = max(1, min(MAX_INTERLEAVE, task.shape.layers // split.pipeline))
        speed *= min(1.0, count / (count + (split.pipeline - 1) / interleave) / TYPICAL_BUBBLE)
    return micro, count, speed


def expert_degree(task: Task, node: Node, tensor: int, data: int) -> int:
    """Devices that the experts of a layer are spread over: inside the fast domain, dividing the experts."""
    experts = task.shape.experts
    if not experts:
        return 1
    most = min(data, max(1, node.domain // tensor), experts)
    return max(e for e in (1, 2, 4, 8, 16, 32, 64) if e <= most and experts % e == 0)


def state_parts(task: Task, node: Node, tensor: int, pipeline: int, shards: int, sharding: Sharding) -> Parts:
    """Weights, gradients, optimizer and overhead of one device, without activations."""
    weights, gradients, optimizer, overhead = _state(task, node, tensor, pipeline, shards, sharding)
    return Parts(weights=weights, gradients=gradients, optimizer=optimizer, overhead=overhead)


def _state(task: Task, node: Node, tensor: int, pipeline: int, shards: int, sharding: Sharding) -> Fixed:
    """Bytes of (weights, gradients, optimizer, overhead) of one device."""
    split = stage_share(task.shape.layers, pipeline) / tensor
    expert = expert_degree(task, node, tensor, shards) if task.shape.experts else 1
    dense, experts = task.trained_dense * split, task.trained_experts * split / expert
    if pipeline > 1 and task.trained_experts + task.trained_dense == task.shape.parameters:
        dense += task.end_parameters * (1 / tensor - split)  # the first stage holds the whole input embedding
    state, is_full = task.state, sharding == "zero-3"
    expert_ranks = max(1, shards // expert)
    stepped = dense / shards + experts / expert_ranks  # shared by all data-parallel ranks
    whole = dense + experts
    trained = stepped if is_full else whole
    graded = whole if sharding == "zero-1" else stepped
    frozen = (task.frozen_dense_bytes + task.frozen_expert_bytes) * split / (shards if is_full else 1)
    transient = gathered_bytes(task.shape, tensor, expert, task.weight_bytes) if is_full and shards > 1 else 0.0
    return (
        trained * state.weights + frozen + transient,
        graded * state.gradients,
        0.0 if task.is_offloaded else stepped * state.optimizer,
        overhead_bytes(task.overhead, shards * tensor * pipeline),
    )


def activations_per_token(
    task: Task, tensor: int, layers: float, recompute: Recompute, *, is_loss_chunked: bool
) -> float:
    """Activation bytes per token of a micro-batch on the fullest device, which keeps ``layers`` layers' worth."""
    stored, working = task.layer_bytes[recompute]
    logits = task.logit_words * (CHUNKED_LOGIT_BYTES if is_loss_chunked else LOGIT_BYTES)
    return (layers * stored + max(working, logits)) / tensor


def exposed_share(
    task: Task,
    node: Node,
    vms: int,
    split: _Split,
    sharding: Sharding,
    micro_tokens: float,
    count: int,
    compute_flops: float,
) -> float:
    """Share of a step that waits for communication; 0 where a rate is not known.

    Gradients: a ring all-reduce once per step, or gathers and a scatter per micro-batch with full sharding. Between VMs
    the accelerators of one share its network, inside a VM each has its own link. Tensor parallelism costs extra only
    where no switch joins the accelerators; published efficiencies contain it otherwise.
    """
    model_ranks = split.tensor * split.pipeline
    busy = task.flops_per_token * micro_tokens / (model_ranks * compute_flops)  # one micro-batch
    step = busy * count
    waiting = 0.0
    is_ordinary = vms > 1 and not node.accelerator_gbps and node.domain < vms * node.devices
    overlap = ORDINARY_OVERLAP if is_ordinary else 1.0
    ring = _ring_s_per_byte(node, vms, model_ranks, split.shards)
    if ring:
        trained = (task.trained_dense + task.trained_experts) / model_ranks
        frozen = (task.frozen_dense_bytes + task.frozen_expert_bytes) / model_ranks
        if sharding == "zero-3":
            moved = 2 * (trained * task.weight_bytes + frozen) + trained * task.state.gradients
            waiting = max(0.0, ring * moved - overlap * FSDP_OVERLAP * busy) * count
        else:
            waiting = max(0.0, 2 * ring * trained * task.state.gradients - overlap * DP_OVERLAP * step)
    if split.tensor > 1 and not node.is_switched and node.link_bytes_s:
        hidden_bytes = 2 * task.shape.hidden_size
        reduces = 4 * task.shape.layers / split.pipeline * 2 * (split.tensor - 1) / split.tensor
        waiting += reduces * micro_tokens * hidden_bytes / node.link_bytes_s * count
    return waiting / (step + waiting)


def _ring_s_per_byte(node: Node, vms: int, model_ranks: int, shards: int) -> float:
    """Seconds per byte of one pass around the data-parallel ring; 0 where there is none or its rate is not known."""
    if shards <= 1:
        return 0.0
    rate, sharers = node.link_bytes_s, 1
    if vms > 1 and node.domain < vms * node.devices:
        # ranks of one VM that hold different parts of the model compete for its network
        rate, sharers = node.network_bytes_s, min(node.devices, model_ranks)
    return (shards - 1) / shards * sharers / rate if rate else 0.0
