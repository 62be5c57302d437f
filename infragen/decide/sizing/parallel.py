"""How a training step lies on a cluster: degrees of parallelism, sharding, recomputation, micro-batch.

Takes a `Cluster` and a batch and gives the `Layout` that is expected to be fastest among those that fit. Communication:
sizing follows ring collectives; a VM's accelerators share its network.
"""

import math

from msgspec import Struct

from infragen.decide.sizing.cluster import Attempt, Cluster, State, expert_degree
from infragen.decide.sizing.memory import Parts, Recompute, Sharding

DP_OVERLAP, FSDP_OVERLAP = 0.67, 0.8  # share of compute time that can hide communication
ORDINARY_OVERLAP = 0.5  # of that share, where the host's processors move the data
MAX_INTERLEAVE = 8  # virtual pipeline stages per device
TYPICAL_BUBBLE = 0.93  # what published efficiencies already contain
OFFLOAD_SPEED = 0.7  # of a step whose optimizer runs on the host
MAX_MICRO_BATCH = 32
BETTER = 1.05  # times the speed of a simpler layout that a wider one must reach
GOOD_SPEED = 0.90  # of an unhindered step; below it wider splits are looked at
SPARE = 0.04  # of usable memory that a layout leaves, if it can
WORTH_THE_LAST_BYTE = 1.1  # times the speed that a layout without memory to spare must bring
LAYOUTS_AFTER_FIRST = 2  # wider splits looked at once something good fits


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


class _Split(Struct, frozen=True):
    """A split of the cluster fed with a batch, and what every layout of it shares."""

    tensor: int
    pipeline: int
    context: int
    data: int
    shards: int  # ranks that training state is shared between: data- and context-parallel
    accumulate: float  # sequences per step and data-parallel rank
    layers: float  # layers' worth of activations on the fullest stage
    tokens: float  # of one sequence on one device
    used: float  # share of the accelerators that the split keeps busy


class _Kept(Struct, frozen=True):
    """What is kept of the activations in the room that there is. Bytes; ``each``: per micro-batch of one."""

    attempt: Attempt
    is_roomy: bool
    each: float
    room: float
    speed: float  # that recomputing the rest leaves


class _Found(Struct, frozen=True):
    """A layout that fits, as the choices that make it; ``speed`` with its communication."""

    split: _Split
    state: State
    kept: _Kept
    micro_batch: int
    accumulation: int
    speed: float
    exposed_share: float


def best_layout(cluster: Cluster, batch_tokens: float, compute_flops: float) -> Layout | None:
    """The fastest layout that fits, with some memory to spare if that costs little; None where none fits.

    ``compute_flops``: rate of one device, FLOP/s.
    """
    return _Search(cluster, batch_tokens, compute_flops).best()


class _Search:
    """The layouts of one cluster, simplest splits first: the fastest so far with memory to spare, and without.

    One without memory to spare must be much faster than the other: it may fail after the next update.
    """

    def __init__(self, cluster: Cluster, batch_tokens: float, compute_flops: float) -> None:
        self.cluster, self.task, self.compute_flops = cluster, cluster.task, compute_flops
        self.sequences = max(1.0, batch_tokens / cluster.task.sequence)
        self.roomy: _Found | None = None
        self.tight: _Found | None = None

    def best(self) -> Layout | None:
        """The fastest layout of the cluster's splits; None where none fits."""
        unhindered = OFFLOAD_SPEED if self.task.is_offloaded else 1.0
        patience = LAYOUTS_AFTER_FIRST
        for tensor, pipeline, context in self.cluster.splits():
            if self.roomy is not None and self.roomy.speed * BETTER >= unhindered:
                break
            if self.roomy is not None and self.roomy.speed > GOOD_SPEED:
                patience -= 1
                if patience < 0:
                    break
            split = self._split(tensor, pipeline, context)
            if split is not None:
                self._look_at(split)
        found = self.tight or self.roomy
        return self._layout(found) if found else None

    def _split(self, tensor: int, pipeline: int, context: int) -> _Split | None:
        """What the layouts of a split share; None where the batch cannot feed it."""
        devices, ranks = self.cluster.devices, tensor * pipeline * context
        data = devices // ranks
        if data * (self.task.micro_batch or 1) > self.sequences:
            return None
        accumulate = self.sequences / data
        in_flight = min(pipeline, accumulate)
        return _Split(
            tensor, pipeline, context, data, data * context, accumulate,
            math.ceil(self.task.shape.layers / pipeline) * in_flight, self.task.sequence / context,
            data * ranks / devices,
        )  # fmt: skip

    def _look_at(self, split: _Split) -> None:
        """Keep the layouts of a split that are faster than what is known: per sharding the one that recomputes least."""
        last = self.task.attempts[-1]
        least = last.bytes_per_token(split.tensor, split.layers) * split.tokens * (self.task.micro_batch or 1)
        for state in self.cluster.states(split.tensor, split.pipeline, split.shards):
            if state.room < least:
                continue
            if self.roomy is not None and self._fastest_of(split) <= self.roomy.speed * BETTER:
                return
            self._attempt(split, state)

    def _fastest_of(self, split: _Split) -> float:
        """No layout of a split is faster than without recomputation, waiting and all but the smallest bubble."""
        return self._hidden_speed(split, self.task.attempts[0].speed, max(1, round(split.accumulate)))

    def _attempt(self, split: _Split, state: State) -> None:
        """Recompute no more than it takes to fit, with memory to spare if that can be had.

        Where a lighter recomputation does not fit, the heavier one is also tried on as many layers as it takes.
        """
        spared = state.room - SPARE * self.cluster.usable
        least = self.task.micro_batch or 1
        lighter: tuple[float, float] | None = None  # bytes and speed of what does not fit
        for attempt in self.task.attempts:
            each, speed = split.tokens * attempt.bytes_per_token(split.tensor, split.layers), attempt.speed
            if each * least > state.room:
                lighter = each, speed
                continue
            is_roomy = each * least <= spared
            room = spared if is_roomy else state.room
            if lighter is not None and speed < lighter[1]:
                share = (lighter[0] - room / least) / (lighter[0] - each)
                mixed = share * speed + (1 - share) * lighter[1]
                self._keep(split, state, _Kept(attempt, is_roomy, room / least, room, mixed))
            self._keep(split, state, _Kept(attempt, is_roomy, each, room, speed))
            if is_roomy:
                return

    def _keep(self, split: _Split, state: State, kept: _Kept) -> None:
        """Remember the layout if it is worth having."""
        to_beat = self._to_beat(is_roomy=kept.is_roomy)
        micro, count = self._micro_batches(split, kept)
        hidden_speed = self._hidden_speed(split, kept.speed, count)
        if hidden_speed <= to_beat:  # not even with all communication hidden
            return
        exposed = self._exposed_share(split, state.sharding, micro * split.tokens, count)
        speed = hidden_speed * (1 - exposed)
        if speed <= to_beat:
            return
        found = _Found(split, state, kept, micro, count, speed, exposed)
        if not kept.is_roomy:
            self.tight = found
            return
        self.roomy = found
        if self.tight and self.tight.speed < found.speed * WORTH_THE_LAST_BYTE:
            self.tight = None

    def _layout(self, found: _Found) -> Layout:
        split, state, kept = found.split, found.state, found.kept
        return Layout(
            tensor=split.tensor,
            pipeline=split.pipeline,
            context=split.context,
            data=split.data,
            expert=expert_degree(self.task, self.cluster.node, split.tensor, split.data),
            sharding=state.sharding,
            recompute=kept.attempt.recompute,
            is_loss_chunked=kept.attempt.is_loss_chunked,
            micro_batch=found.micro_batch,
            accumulation=found.accumulation,
            parts=Parts(
                weights=state.weights,
                gradients=state.gradients,
                optimizer=state.optimizer,
                overhead=state.overhead,
                activations=kept.each * found.micro_batch,
            ),
            speed=found.speed,
            exposed_share=found.exposed_share,
        )

    def _to_beat(self, *, is_roomy: bool) -> float:
        """The speed from which on a layout is worth having."""
        least = self.roomy.speed * (BETTER if is_roomy else WORTH_THE_LAST_BYTE) if self.roomy else 0.0
        return least if is_roomy or self.tight is None else max(least, self.tight.speed * BETTER)

    def _micro_batches(self, split: _Split, kept: _Kept) -> tuple[int, int]:
        """(sequences of a micro-batch, micro-batches per step)."""
        fits = int(kept.room / kept.each * (1 + 1e-9)) if kept.each > 0 else MAX_MICRO_BATCH
        wanted = self.task.micro_batch or min(int(split.accumulate), 4 if split.pipeline == 1 else 1)
        micro = max(1, min(wanted, fits))
        return micro, max(1, round(split.accumulate / micro))

    def _hidden_speed(self, split: _Split, speed: float, count: int) -> float:
        """Relative speed of ``count`` micro-batches a step, with all communication hidden."""
        speed = speed * (OFFLOAD_SPEED if self.task.is_offloaded else 1.0) * split.used
        if split.pipeline > 1:
            interleave = max(1, min(MAX_INTERLEAVE, self.task.shape.layers // split.pipeline))
            speed *= min(1.0, count / (count + (split.pipeline - 1) / interleave) / TYPICAL_BUBBLE)
        return speed

    def _exposed_share(self, split: _Split, sharding: Sharding, micro_tokens: float, count: int) -> float:
        """Share of a step that waits for communication; 0 where a rate is not known.

        Gradients: a ring all-reduce once per step, or gathers and a scatter per micro-batch with full sharding. Between VMs
        the accelerators of one share its network, inside a VM each has its own link. Tensor parallelism costs extra only
        where no switch joins the accelerators; published efficiencies contain it otherwise.
        """
        task, node = self.task, self.cluster.node
        model_ranks = split.tensor * split.pipeline
        busy = task.flops_per_token * micro_tokens / (model_ranks * self.compute_flops)  # one micro-batch
        step = busy * count
        waiting = 0.0
        overlap = ORDINARY_OVERLAP if self.cluster.is_ordinary else 1.0
        ring = self._ring_s_per_byte(model_ranks, split.shards)
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

    def _ring_s_per_byte(self, model_ranks: int, shards: int) -> float:
        """Seconds per byte of one pass around the data-parallel ring; 0 where there is none or its rate is not known."""
        if shards <= 1:
            return 0.0
        node = self.cluster.node
        rate, sharers = node.link_bytes_s, 1
        if self.cluster.is_networked:
            # ranks of one VM that hold different parts of the model compete for its network
            rate, sharers = node.network_bytes_s, min(node.devices, model_ranks)
        return (shards - 1) / shards * sharers / rate if rate else 0.0
