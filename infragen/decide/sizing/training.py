"""Training: the smallest sufficient cluster, how the step lies on it, how long the run takes.

Takes a `ModelShape`, a `TrainNeed` and a `Node`. Gives a `TrainingFit`, or the `Shortfall` that rules the node out.
Promises: memory is never over what the device offers; hours are of the whole run with restarts (step efficiency times
goodput) and 2.5 times wide, as published whole runs are; a longer deadline never takes more VMs.
"""

import math
from collections.abc import Iterator

from msgspec import Struct

from infragen.decide.model import CheckpointPlan, Margin, Memory, Range
from infragen.decide.sizing.checkpoint import Saving, lost_share, saving
from infragen.decide.sizing.cluster import SPANNING_DEVICES, Cluster, least_activation_bytes
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import Recompute, Sharding, overhead_bytes
from infragen.decide.sizing.node import START_H, Node, Shortfall
from infragen.decide.sizing.parallel import GOOD_SPEED, Layout, best_layout
from infragen.decide.sizing.precision import weight_bytes
from infragen.decide.sizing.run import Run, TrainNeed, prepared
from infragen.decide.sizing.shape import ModelShape
from infragen.units import GIB, HOUR_S, MIB, duration, many

__all__ = ["TrainNeed", "TrainingFit", "ladder", "run_hours", "size_training"]

MAX_VMS = 4096
LARGE_CLUSTER, LARGE_CLUSTER_GOODPUT = (
    256,
    0.97,
)  # accelerators from which a run loses more; what is left of its goodput
SMALL_CLUSTER, SMALL_CLUSTER_LOSS = (
    64,
    0.5,
)  # accelerators up to which a run loses less; the part of the loss that stays
ALONE = 1.10  # times the published speed, which is that of clusters, where one VM trains by itself
SPOT_GOODPUT = 0.88  # of the goodput on machines that are not preempted
TOKEN_BYTES = 4.0  # of a tokenised data set
HOST_RESERVE_GIB = 16.0  # operating system, loader, runtime
MOST_EXPOSED = 0.25  # share of a step that may wait for the network before more VMs are pointless
FAR_OFF, PATIENCE = 2.0, 5  # this many times `MOST_EXPOSED`, on this many counts in turn: no larger count mends it
SMALL_STATE = 1e9  # trained parameters whose gradients any network carries
MOST_ORDINARY_VMS = 32  # that train a whole model over an ordinary network
WORTH_A_BATCH = 1.1  # times the speed that a larger batch than the usual one must bring, where none is given
SAMPLED_TOKENS = 1e9  # of a finetuning run below which its data are samples: padded, evaluated and saved between
SAMPLED_GROWTH = 0.3  # power of tokens with which the productive share grows up to there
RUN_FASTEST = 0.67  # published hours of whole runs over expected ones: the densest window of ...
WIDEST = 2.5  # ... highest over lowest hours; docs/calibration.md tells what it holds


class TrainingFit(Struct, frozen=True):
    """How a cluster trains the model."""

    nodes: int
    tensor_parallel: int
    pipeline_parallel: int
    context_parallel: int
    data_parallel: int
    expert_parallel: int
    sharding: Sharding
    recompute: Recompute
    micro_batch: int  # sequences per data-parallel rank and forward pass
    accumulation: int  # micro-batches per optimizer step
    global_batch_tokens: float
    memory: Memory  # per accelerator
    mfu: Range  # of a step, against the dense peak
    goodput: float  # productive share of the run, expected
    train_hours: Range | None  # the whole run, restarts included
    tokens_per_second: Range  # of a step
    checkpoint: CheckpointPlan
    saving: Saving
    dataset_mib_s: float  # aggregate
    host_memory_gib: float  # per VM
    weights_gib: float
    exposed_share: float  # of a step spent waiting for communication
    margins: tuple[Margin, ...]
    binding: str
    assumptions: tuple[str, ...]


def size_training(
    shape: ModelShape, need: TrainNeed, node: Node, facts: SizingFacts, nodes: int | None = None
) -> TrainingFit | Shortfall:
    """The fastest layout on the fewest VMs (or on ``nodes`` of them) that meets the deadline, or why there is none."""
    run = prepared(shape, need, node, facts)
    if isinstance(run, Shortfall):
        return run
    if nodes is not None:
        return _on(run, nodes, is_pinned=True)
    nearest: Shortfall | None = None
    most, is_first, hopeless = _most_ordinary_vms(run), True, 0  # `hopeless`: counts in turn that were far off
    for vms in _counts(run):
        found = _too_ordinary(run, vms, most) if vms > most else _on(run, vms)
        if isinstance(found, TrainingFit):
            return found
        # machines too small to share one copy of the model only divide its state further with a larger count
        is_far_off = (
            found.constraint == "interconnect" and found.distance >= FAR_OFF and node.devices < SPANNING_DEVICES
        )
        hopeless = hopeless + 1 if is_far_off else 0
        if nearest is None or found.constraint == "batch" or found.distance <= nearest.distance:
            nearest = found
        if found.constraint in ("batch", "host-memory") or (found.constraint == "interconnect" and found.unit == "VMs"):
            break
        if hopeless == PATIENCE:
            break
        if found.constraint == "memory" and is_first:
            if not Cluster(run.task, node, MAX_VMS).can_hold:  # what cannot be spread is too large
                break
            is_first = False
    return nearest or _too_many(run)


def _too_many(run: Run) -> Shortfall:
    least = _least_vms(run)
    return Shortfall(
        "deadline" if run.need.deadline_s else "memory", least, MAX_VMS, "VMs",
        f"at least {least:,.0f} VMs are needed, more than {MAX_VMS:,}",
        "use a faster accelerator, a later deadline, or fewer tokens",
    )  # fmt: skip


def _goodput(run: Run, devices: int) -> float:
    """Productive share of the run on that many devices, before what this cluster loses beyond the ordinary."""
    need, share = run.need, run.band.goodput
    if devices <= SMALL_CLUSTER:
        share = 1 - (1 - share) * SMALL_CLUSTER_LOSS
    if devices > LARGE_CLUSTER:
        share *= LARGE_CLUSTER_GOODPUT
    if need.is_spot:
        share *= SPOT_GOODPUT
    return share * _sampled_share(need)


def _sampled_share(need: TrainNeed) -> float:
    """Part of a finetuning run's time that goes into the tokens counted; grows slower than they do, so fewer never cost more."""
    if not need.is_finetune or not need.tokens:
        return 1.0
    return min(1.0, float((need.tokens / SAMPLED_TOKENS) ** SAMPLED_GROWTH))


def _least_vms(run: Run) -> float:
    """VMs below which no layout can do: by the training state beside what every device needs, and by arithmetic."""
    task, node = run.task, run.node
    state = task.state.weights + task.state.gradients + (0.0 if task.is_offloaded else task.state.optimizer)
    resident = (task.trained_dense + task.trained_experts) * state + task.frozen_dense_bytes + task.frozen_expert_bytes
    each = overhead_bytes(task.overhead, node.devices) + least_activation_bytes(task, node)
    room = node.usable_bytes * (1 - task.fragmentation) - each
    least = resident / (room * node.devices) if room > 0 else 1.0  # where nothing fits, one VM says why
    if run.need.deadline_s and run.need.tokens:
        rate = run.peak * node.devices * run.mfu[1] * run.speedup[1] * _goodput(run, node.devices) * ALONE
        least = max(least, run.need.tokens * task.flops_per_token / (rate * run.need.deadline_s))
    return max(1.0, least)


def _counts(run: Run) -> Iterator[int]:
    """VM counts worth trying, ascending: a fixed ladder, so that asking for less never takes more."""
    node, least = run.node, _least_vms(run)
    for vms in ladder(node.slice_vms, node.unit_vms):
        if vms >= least * 0.999:
            yield vms


def ladder(slice_vms: tuple[int, ...] = (), unit: int = 1) -> Iterator[int]:
    """Machine counts in steps of at most a quarter: 1 to 8, then 10, 12, 14, 16, 20, ... up to `MAX_VMS`.

    >>> [n for n in ladder() if n <= 48]
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48]
    """
    if slice_vms:
        yield from slice_vms
        largest, times = slice_vms[-1], 2
        while times * largest <= MAX_VMS:
            yield times * largest
            times += 1
        return
    step, vms = 1, 1
    while vms * unit <= MAX_VMS:
        yield vms * unit
        if vms >= 8 * step:
            step *= 2
        vms += step


def run_hours(tokens: float, tokens_per_second: float) -> float:
    """Hours of a run at a rate that already contains goodput.

    >>> round(run_hours(300e9, 1024 * 140e12 / (8 * 175e9)) / 24)  # Narayanan et al. 2021: 8 N FLOPs a token
    34
    """
    return tokens / (tokens_per_second * HOUR_S)


def _on(run: Run, vms: int, *, is_pinned: bool = False) -> TrainingFit | Shortfall:
    """The fit on a number of VMs, or what is lacking."""
    node, need, task = run.node, run.need, run.task
    devices = vms * node.devices
    host_gib = run.host_bytes / vms / GIB + HOST_RESERVE_GIB
    if run.host_bytes and host_gib > node.memory_gib:
        return Shortfall(
            "host-memory", host_gib, node.memory_gib, "GiB",
            f"the offloaded optimizer takes {host_gib:.0f} GiB of host memory per VM, there are {node.memory_gib:.0f}",
            "use more VMs, a machine with more memory, or no offload",
        )  # fmt: skip
    rate = run.peak * run.mfu[1] * run.speedup[1]
    batch = run.batch_tokens
    cluster = Cluster(task, node, vms, is_pinned=is_pinned)
    layout = best_layout(cluster, batch, rate)
    if run.most_batch_tokens > batch and (layout is None or _is_starved(layout)):
        larger = run.most_batch_tokens
        if layout is None:
            larger = min(larger, max(batch, float(devices * task.sequence * (task.micro_batch or 1))))
        found = best_layout(cluster, larger, rate) if larger > batch else None
        if found is not None and (layout is None or found.speed > layout.speed * WORTH_A_BATCH):
            batch, layout = larger, found
    if layout is None:
        return _no_fit(run, cluster)
    lonely = None if is_pinned else _network_shortfall(run, vms, layout)
    if lonely is not None:
        return lonely
    saved = _saving(run, vms)
    goodput = _goodput_of(run, devices, saved)
    if need.deadline_s and need.tokens:
        rate = _tokens_per_second(run, vms, layout)
        hours = START_H + run_hours(need.tokens, rate * goodput)
        allowed = need.deadline_s / HOUR_S
        if hours > allowed:
            return Shortfall(
                "deadline", hours, allowed, "h",
                f"{many(vms, 'VM')} {'takes' if vms == 1 else 'take'} {duration(hours * HOUR_S)} (expected, restarts included), "
                f"allowed are {duration(need.deadline_s)}",
                "use more or faster machines, or a later deadline",
            )  # fmt: skip
    return _described(run, vms, layout, batch, host_gib, saved, goodput)


def _is_starved(layout: Layout) -> bool:
    """A larger batch would help: communication once per step shows, or a pipeline has too few micro-batches."""
    return layout.speed < GOOD_SPEED and (layout.exposed_share > 0 or layout.pipeline > 1)


def _most_ordinary_vms(run: Run) -> float:
    """VMs that may train together over the network of these machines.

    Adapters and small models cross any network. Whole models need a network for accelerator traffic, or few large VMs:
    many small ones over ordinary networking are what a larger machine is for, and so are TPU types whose slices end at
    one VM.
    """
    node, trained = run.node, run.task.trained_dense + run.task.trained_experts
    if node.accelerator_gbps or node.domain > node.devices or trained < SMALL_STATE:
        return math.inf
    return MOST_ORDINARY_VMS if node.devices >= SPANNING_DEVICES and node.slice_vms != (1,) else 1


def _too_ordinary(run: Run, vms: int, most: float) -> Shortfall:
    node = run.node
    return Shortfall(
        "interconnect", vms, most, "VMs",
        f"{many(vms, 'VM')} with {node.devices} × {node.accelerator.name} each would train over an ordinary network; at most "
        f"{most:g} should",
        "use a machine with a network for accelerator traffic or more accelerators, or `method: lora`",
    )  # fmt: skip


def _network_shortfall(run: Run, vms: int, layout: Layout) -> Shortfall | None:
    """That the network does not hide the exchange of this many VMs; None where it does."""
    node = run.node
    if vms == 1 or node.domain >= vms * node.devices or layout.exposed_share <= MOST_EXPOSED:
        return None
    return Shortfall(
        "interconnect", layout.exposed_share, MOST_EXPOSED, "share of a step",
        f"{layout.exposed_share:.0%} of a step on {vms} VMs waits for the network",
        "use a machine with a network for accelerator traffic, a larger one, or `method: lora`",
    )  # fmt: skip


def _mfu(run: Run, vms: int, layout: Layout) -> Range:
    """Share of the peak that a step of this layout reaches; one VM alone exchanges nothing over a network."""
    node = run.node
    is_alone = vms == 1 and node.domain == node.devices and (node.is_switched or node.devices == 1)
    speed = layout.speed * (ALONE if is_alone else 1.0)
    return Range(*(min(one * speed, run.band.matmul_ceiling) for one in run.mfu))


def _tokens_per_second(run: Run, vms: int, layout: Layout) -> float:
    """Expected rate of a step."""
    at_once = vms * run.node.devices * run.peak / run.task.flops_per_token
    return at_once * run.speedup[1] * _mfu(run, vms, layout).expected


def _saving(run: Run, vms: int, run_s: float | None = None) -> Saving:
    need = run.need
    return saving(
        run.checkpoint_bytes, vms * run.node.devices, vms,
        is_spot=need.is_spot, every_s=need.checkpoint_every_s, run_s=run_s,
    )  # fmt: skip


def _goodput_of(run: Run, devices: int, saved: Saving) -> float:
    """Productive share of the run; what this cluster loses beyond the ordinary interruptions of the band comes off."""
    lost = max(0.0, lost_share(saved.stall_s, saved.interval_s, saved.mtbf_s) - run.band.interruptions)
    return _goodput(run, devices) * max(0.5, 1 - lost)


def _batched(run: Run) -> str:
    """What of the batch is on an accelerator at once."""
    batch = run.need.micro_batch or 1
    return "one sequence" if batch == 1 else f"{batch:,} sequences"


def _no_fit(run: Run, cluster: Cluster) -> Shortfall:
    """Why no layout fits: memory of the tightest one, or too many accelerators for the batch."""
    task, node, devices = run.task, run.node, cluster.devices
    widest = max(map(math.prod, cluster.splits()))
    sequences = run.most_batch_tokens / task.sequence / (task.micro_batch or 1)  # in micro-batches
    if devices // widest > sequences:
        most = sequences * widest
        return Shortfall(
            "batch", devices, most, "accelerators",
            f"a step of {run.most_batch_tokens:,.0f} tokens in sequences of {task.sequence:,} keeps at most {most:,.0f} "
            f"accelerators busy, not {devices:,}",
            "raise `train.global_batch_tokens`, shorten the sequences, or use fewer, faster accelerators",
        )  # fmt: skip
    tightest, usable = cluster.tightest, cluster.usable
    return Shortfall(
        "memory", tightest / GIB, usable / GIB, "GiB",
        f"{(tightest - usable) / GIB:.1f} GiB short per accelerator on {devices} × {node.accelerator.name}: the training "
        f"state and {_batched(run)} of {task.sequence:,} tokens take {tightest / GIB:.1f} GiB, usable are {usable / GIB:.1f}",
        "use more accelerators or ones with more memory, `method: lora` or `qlora`, or shorter sequences"
        + (", or a smaller `train.micro_batch`" if (run.need.micro_batch or 1) > 1 else ""),
    )  # fmt: skip


def _described(
    run: Run, vms: int, layout: Layout, batch: float, host_gib: float, saved: Saving, goodput: float
) -> TrainingFit:
    """The figures of a layout."""
    node, need, task = run.node, run.need, run.task
    devices = vms * node.devices
    mfu = _mfu(run, vms, layout)
    at_once = devices * run.peak / task.flops_per_token
    tokens_per_second = _capped(Range(*(one * faster for one, faster in zip(_levels(mfu), run.speedup, strict=True))))
    tokens_per_second = tokens_per_second.scaled(at_once)
    hours = None
    if need.tokens:
        hours = _hours(need.tokens, tokens_per_second.expected * goodput)
        saved = _saving(run, vms, hours.expected * HOUR_S)
    read = tokens_per_second.high * TOKEN_BYTES
    if need.dataset_bytes and hours:
        read = max(read, need.dataset_bytes / (hours.low * HOUR_S))
    memory = layout.parts.gib(node.usable_bytes * (1 - task.fragmentation))
    margins = tuple(_margins(run, vms, layout, memory, hours, batch, host_gib))
    notes = list(run.assumptions)
    sampled = _sampled_share(need)
    if sampled < 1:
        notes.append(
            f"a data set this small is samples, padded, evaluated and saved between: {sampled:.0%} of the time trains"
        )
    if layout.is_loss_chunked:
        notes.append("the loss is computed in chunks (fused cross entropy); logits at once would not fit")
    if need.deadline_s and hours:
        notes.append("the deadline is met by the expected hours, restarts included")
    return TrainingFit(
        nodes=vms,
        tensor_parallel=layout.tensor,
        pipeline_parallel=layout.pipeline,
        context_parallel=layout.context,
        data_parallel=layout.data,
        expert_parallel=layout.expert,
        sharding=layout.sharding,
        recompute=layout.recompute,
        micro_batch=layout.micro_batch,
        accumulation=layout.accumulation,
        global_batch_tokens=batch,
        memory=memory,
        mfu=mfu,
        goodput=goodput,
        train_hours=hours,
        tokens_per_second=tokens_per_second,
        checkpoint=CheckpointPlan(
            size_gib=saved.size_gib,
            interval_s=saved.interval_s,
            write_gib_s=saved.write_bytes_s / GIB,
            keep=need.checkpoints_kept,
        ),
        saving=saved,
        dataset_mib_s=read / MIB,
        host_memory_gib=host_gib,
        weights_gib=weight_bytes(task.shape, run.arithmetic.stored) / GIB,
        exposed_share=layout.exposed_share,
        margins=margins,
        binding=_binding(run, layout, margins),
        assumptions=tuple(notes),
    )


def _levels(range: Range) -> tuple[float, float, float]:
    return range.low, range.expected, range.high


def _capped(range: Range) -> Range:
    """No wider than `WIDEST`, by the same factor at both ends.

    >>> _capped(Range(1.0, 4.0, 10.0))
    Range(low=2.0, expected=4.0, high=5.0)
    """
    narrower = math.sqrt(max(1.0, range.high / (WIDEST * range.low)))
    return Range(min(range.expected, range.low * narrower), range.expected, max(range.expected, range.high / narrower))


def _hours(tokens: float, tokens_per_second: float) -> Range:
    """Hours of the whole run at the expected rate, goodput included. No figure of the plan narrows what runs vary by.

    >>> hours = _hours(9 * 3600 * 1000.0, 1000.0)
    >>> round(hours.low, 2), hours.expected, round(hours.high, 2)
    (6.1, 9.1, 15.24)
    """
    expected = START_H + run_hours(tokens, tokens_per_second)
    return Range(RUN_FASTEST * expected, expected, WIDEST * RUN_FASTEST * expected)


def _margins(
    run: Run, vms: int, layout: Layout, memory: Memory, hours: Range | None, batch: float, host_gib: float
) -> Iterator[Margin]:
    yield Margin("memory", memory.total, memory.usable, "GiB per accelerator")
    if run.need.deadline_s and hours:
        yield Margin("deadline", hours.expected, run.need.deadline_s / HOUR_S, "h")
    yield Margin("batch", layout.data, batch / run.task.sequence, "sequences per step")
    yield Margin("interconnect", layout.exposed_share, 1.0, "share of a step")
    if run.host_bytes:
        yield Margin("host-memory", host_gib, run.node.memory_gib, "GiB per VM")


def _binding(run: Run, layout: Layout, margins: tuple[Margin, ...]) -> str:
    """The constraint that stops the cluster from being smaller or faster."""
    by_name = {margin.constraint: margin.share for margin in margins}
    if by_name.get("deadline", 1.0) < 0.25:
        return "deadline"
    if layout.exposed_share > 0.15:
        return "interconnect"
    if by_name["memory"] < 0.25 or run.need.deadline_s is None:
        return "memory"
    return "compute"
