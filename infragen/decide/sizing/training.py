"""Training: the smallest sufficient cluster, how the step lies on it, how long the run takes.

Takes a `ModelShape`, a `TrainNeed` and a `Node`. Gives a `TrainingFit`, or the `Shortfall` that rules the node out.
Promises: memory is never over what the device offers; hours are of the whole run with restarts (step efficiency times
goodput) and at most 2.5 times wide; a longer deadline never takes more VMs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from infragen.decide.model import CheckpointPlan, Margin, Memory, Range
from infragen.decide.sizing.checkpoint import Saving, lost_share, saving
from infragen.decide.sizing.facts import OptimizerState, SizingFacts, TrainingBand
from infragen.decide.sizing.memory import Recompute, Sharding, StateBytes, adapter_parameters, state_bytes
from infragen.decide.sizing.node import Node, Shortfall, context_shortfall
from infragen.decide.sizing.parallel import (
    Layout,
    Task,
    activations_per_token,
    best_layout,
    layer_bytes,
    splits,
    state_parts,
)
from infragen.decide.sizing.precision import Arithmetic, expert_bytes, rest_bytes, training_arithmetic, weight_bytes
from infragen.decide.sizing.shape import ModelShape
from infragen.descriptor.model import Data, Model, Train
from infragen.units import GIB, HOUR_S, MIB

DEFAULT_SEQUENCE, DEFAULT_RANK = 4096, 16
MAX_VMS = 4096
SMALL_MODEL, LARGE_MODEL = 3e9, 60e9  # active parameters
LONG_CONTEXT = 32_768  # tokens
LARGE_CLUSTER, LARGE_CLUSTER_GOODPUT = 256, 0.97
SPOT_GOODPUT = 0.88  # of the goodput on machines that are not preempted
ADAPTER_UNPACKING = 0.8  # of the rate, where the base is unpacked on the fly
TOKEN_BYTES = 4.0  # of a tokenised data set
HOST_RESERVE_GIB = 16.0  # operating system, loader, runtime
OFFLOAD_SAFETY = 1.5  # DeepSpeed's estimate of host buffers
MOST_EXPOSED = 0.5  # share of a step that may wait for the network before more VMs are pointless
WIDEST = 2.5  # highest over lowest hours


@dataclass(frozen=True, slots=True)
class TrainNeed:
    """What is asked of a training run. None: not said."""

    method: str = "full"
    precision: str | None = None
    tokens: float | None = None
    sequence_length: int | None = None
    global_batch_tokens: float | None = None
    deadline_s: float | None = None
    checkpoint_every_s: float | None = None
    checkpoints_kept: int = 3
    optimizer: str = "adamw"
    optimizer_precision: str | None = None
    micro_batch: int | None = None
    recompute: Recompute | None = None
    sharding: str | None = None
    is_offloaded: bool = False
    lora_rank: int | None = None
    is_finetune: bool = False
    is_spot: bool = False
    dataset_bytes: float | None = None

    @classmethod
    def of(
        cls, train: Train | None, model: Model | None, task: str, data: Data | None = None, *, is_spot: bool = False
    ) -> "TrainNeed":
        """The need of a descriptor's sections."""
        train, model = train or Train(), model or Model()
        is_finetune = task == "finetune"
        return cls(
            method=train.method or ("lora" if is_finetune else "full"),
            precision=model.precision,
            tokens=train.tokens,
            sequence_length=train.sequence_length,
            global_batch_tokens=train.global_batch_tokens,
            deadline_s=train.deadline,
            checkpoint_every_s=train.checkpoint.every if train.checkpoint else None,
            checkpoints_kept=train.checkpoint.keep if train.checkpoint else 3,
            optimizer=train.optimizer or "adamw",
            optimizer_precision=train.optimizer_precision,
            micro_batch=train.micro_batch,
            recompute=train.recompute,
            sharding=train.sharding,
            is_offloaded=train.offload,
            lora_rank=train.lora_rank,
            is_finetune=is_finetune,
            is_spot=is_spot,
            dataset_bytes=data.size if data else None,
        )


@dataclass(frozen=True, slots=True)
class TrainingFit:
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
    goodput: Range  # productive share of the run
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


@dataclass(frozen=True, slots=True)
class _Run:
    """Everything about the run that does not depend on the number of machines."""

    task: Task
    need: TrainNeed
    node: Node
    band: TrainingBand
    arithmetic: Arithmetic
    peak: float  # FLOP/s of one device
    mfu: tuple[float, float, float]
    speedup: float  # tokens per second beyond what MFU at this peak says
    batch_tokens: float
    most_batch_tokens: float
    checkpoint_bytes: float
    host_bytes: float  # of all VMs together
    assumptions: tuple[str, ...]


def size_training(
    shape: ModelShape, need: TrainNeed, node: Node, facts: SizingFacts, nodes: int | None = None
) -> TrainingFit | Shortfall:
    """The fastest layout on the fewest VMs (or on ``nodes`` of them) that meets the deadline, or why there is none."""
    run = _prepared(shape, need, node, facts)
    if isinstance(run, Shortfall):
        return run
    if nodes is not None:
        return _on(run, nodes, is_pinned=True)
    nearest: Shortfall | None = None
    for vms in _counts(run):
        found = _on(run, vms)
        if isinstance(found, TrainingFit):
            return found
        if nearest is None or found.constraint == "batch" or found.distance <= nearest.distance:
            nearest = found
        if found.constraint in ("batch", "host-memory"):
            break
    return nearest or _too_many(run)


def _too_many(run: _Run) -> Shortfall:
    least = _least_vms(run)
    return Shortfall(
        "deadline" if run.need.deadline_s else "memory", least, MAX_VMS, "VMs",
        f"at least {least:,.0f} VMs are needed, more than {MAX_VMS:,}",
        "use a faster accelerator, a later deadline, or fewer tokens",
    )  # fmt: skip


def _prepared(shape: ModelShape, need: TrainNeed, node: Node, facts: SizingFacts) -> _Run | Shortfall:
    """The run with all defaults filled, or why this chip cannot do it."""
    is_adapter = need.method in ("lora", "qlora")
    # of an adapter run, the descriptor's precision is that of the frozen base
    asked = None if is_adapter and need.precision not in ("fp16", "fp32", "bf16") else need.precision
    arithmetic = training_arithmetic(node.accelerator, asked, facts)
    if isinstance(arithmetic, Shortfall):
        return arithmetic
    if arithmetic.peak_flops is None:
        return Shortfall(
            "precision", 1, 0, "figure",
            f"no peak of {node.accelerator.name} in {arithmetic.computed} is known",
            "use an accelerator whose figures are known",
        )  # fmt: skip
    band = facts.training.get(node.accelerator.architecture) or facts.training[node.accelerator.kind]
    notes = [*shape.assumptions, *arithmetic.assumptions]
    sequence = need.sequence_length
    if sequence is None:
        sequence = int(min(DEFAULT_SEQUENCE, shape.max_context_tokens or DEFAULT_SEQUENCE))
        notes.append(f"sequences of {sequence} tokens, as none are given")
    too_long = context_shortfall(shape, sequence, notes)
    if too_long is not None:
        return too_long
    state, trained, checkpoint = _state(shape, need, arithmetic, facts, notes)
    frozen_dense, frozen_experts = _frozen(shape, need, arithmetic, facts) if is_adapter else (0.0, 0.0)
    attention = 3.0 * shape.attention_flops(sequence) / sequence
    flops = (4.0 if is_adapter else 6.0) * shape.active_parameters + attention
    batch, most = _batch(shape, need, sequence, notes)
    overhead = facts.overheads[node.accelerator.kind]
    task = Task(
        shape=shape,
        sequence=sequence,
        state=state,
        trained_dense=trained if is_adapter else shape.dense_parameters,
        trained_experts=0.0 if is_adapter else shape.expert_parameters,
        frozen_dense_bytes=frozen_dense,
        frozen_expert_bytes=frozen_experts,
        flops_per_token=flops,
        weight_bytes=min(2.0, arithmetic.stored.bytes_per_weight) if arithmetic.computed != "fp32" else 4.0,
        recomputes=(need.recompute,) if need.recompute else ("none", "selective", "full"),
        shardings=_shardings(need),
        micro_batch=need.micro_batch,
        is_offloaded=need.is_offloaded,
        layer_bytes=layer_bytes(shape),
        logit_words=shape.vocabulary if shape.kind != "diffusion" else 0,
        overhead=overhead,
        fragmentation=overhead.fragmentation_share,
    )
    factor = _band_factor(shape, sequence, band)
    if need.method == "qlora":
        factor *= ADAPTER_UNPACKING
    is_fp8 = arithmetic.stored.format == "fp8"
    mfu = (band.step_mfu_low, band.step_mfu_expected, band.step_mfu_high)
    return _Run(
        task=task,
        need=need,
        node=node,
        band=band,
        arithmetic=arithmetic,
        peak=arithmetic.peak_flops * node.share,
        mfu=(mfu[0] * factor, mfu[1] * factor, min(mfu[2] * factor, band.matmul_ceiling)),
        speedup=band.fp8_speedup if is_fp8 else 1.0,
        batch_tokens=batch,
        most_batch_tokens=most,
        checkpoint_bytes=checkpoint,
        host_bytes=_host_bytes(shape, need, facts),
        assumptions=tuple(notes),
    )


def _state(
    shape: ModelShape, need: TrainNeed, arithmetic: Arithmetic, facts: SizingFacts, notes: list[str]
) -> tuple[StateBytes, float, float]:
    """(bytes per trained parameter, trained parameters, bytes of a checkpoint)."""
    precision = need.optimizer_precision or "fp32"
    optimizer: OptimizerState = facts.optimizers[(need.optimizer, precision)]
    weight = 4.0 if arithmetic.stored.format == "fp32" else 2.0
    state = state_bytes(optimizer, weight, weight)
    if need.method in ("lora", "qlora"):
        rank = need.lora_rank or DEFAULT_RANK
        if need.lora_rank is None:
            notes.append(f"adapters of rank {rank} on all linear layers")
        trained = adapter_parameters(shape, rank)
    else:
        trained = shape.parameters
    return state, trained, trained * (state.weights + state.optimizer)


def _frozen(shape: ModelShape, need: TrainNeed, arithmetic: Arithmetic, facts: SizingFacts) -> tuple[float, float]:
    """Bytes of the base model that adapters train on: (dense part, experts)."""
    stored = arithmetic.stored
    if need.method == "qlora":
        stored = facts.formats["nf4"]
    elif need.precision in ("fp8", "int8"):
        stored = facts.formats[need.precision]
    return rest_bytes(shape, stored), expert_bytes(shape, stored)


def _shardings(need: TrainNeed) -> tuple[Sharding, ...]:
    """What data-parallel ranks may share, least first."""
    match need.sharding:
        case "zero-1":
            return ("zero-1",)
        case "zero-2":
            return ("zero-2",)
        case "zero-3" | "fsdp":
            return ("zero-3",)
        case _:
            return ("zero-1", "zero-2", "zero-3")


def _batch(shape: ModelShape, need: TrainNeed, sequence: int, notes: list[str]) -> tuple[float, float]:
    """(tokens per optimizer step, most that may be taken to use more machines)."""
    if need.global_batch_tokens is not None:
        batch = max(float(sequence), need.global_batch_tokens)
        return batch, batch
    if need.is_finetune:
        batch, most = max(64.0 * sequence, 0.25e6), 4e6
    elif shape.active_parameters < 1e9:
        batch, most = 0.5e6, 4e6
    elif shape.active_parameters < 7e9:
        batch, most = 2e6, 16e6
    elif shape.active_parameters < 2e11:
        batch, most = 4e6, 16e6
    else:
        batch, most = 16e6, 32e6
    batch, most = max(batch, float(sequence)), max(most, float(sequence))
    notes.append(f"{batch / 1e6:.3g} M tokens per optimizer step, as none are given")
    return batch, most


def _host_bytes(shape: ModelShape, need: TrainNeed, facts: SizingFacts) -> float:
    """Host memory of all VMs together: the offloaded optimizer, with buffers."""
    if not need.is_offloaded or need.method != "full":
        return 0.0
    optimizer = facts.optimizers[(need.optimizer, need.optimizer_precision or "fp32")]
    return shape.parameters * (optimizer.master_bytes + optimizer.moment_bytes + 4.0) * OFFLOAD_SAFETY


def _band_factor(shape: ModelShape, sequence: int, band: TrainingBand) -> float:
    """What the model makes of the architecture's step efficiency."""
    factor = 1.0
    if shape.active_parameters >= LARGE_MODEL:
        factor *= band.large_model_factor
    if shape.active_parameters < SMALL_MODEL:
        factor *= band.small_model_factor
    if sequence > LONG_CONTEXT:
        factor *= band.long_context_factor
    if shape.is_moe:
        factor *= band.moe_factor
    return factor


def _goodput(run: _Run, devices: int) -> tuple[float, float, float]:
    scale = (LARGE_CLUSTER_GOODPUT if devices > LARGE_CLUSTER else 1.0) * (SPOT_GOODPUT if run.need.is_spot else 1.0)
    return run.band.goodput_low * scale, run.band.goodput_expected * scale, run.band.goodput_high * scale


def _least_vms(run: _Run) -> float:
    """VMs below which no layout can do: by training state alone, and by arithmetic at an unhindered step."""
    task, node = run.task, run.node
    state = task.state.weights + task.state.gradients + (0.0 if task.is_offloaded else task.state.optimizer)
    resident = (task.trained_dense + task.trained_experts) * state + task.frozen_dense_bytes + task.frozen_expert_bytes
    least = resident / (node.usable_bytes * node.devices)
    if run.need.deadline_s and run.need.tokens:
        rate = run.peak * node.devices * run.mfu[1] * run.speedup * _goodput(run, node.devices)[1]
        least = max(least, run.need.tokens * task.flops_per_token / (rate * run.need.deadline_s))
    return max(1.0, least)


def _counts(run: _Run) -> Iterator[int]:
    """VM counts worth trying, ascending: a fixed ladder, so that asking for less never takes more."""
    node, least = run.node, _least_vms(run)
    for vms in ladder(node.slice_vms, node.unit_vms):
        if vms >= least * 0.999:
            yield vms


def ladder(slice_vms: tuple[int, ...] = (), unit: int = 1) -> Iterator[int]:
    """Machine counts in steps of at most a seventh: 1 to 8, then 10, 12, 14, 16, 20, ... up to `MAX_VMS`.

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


def _on(run: _Run, vms: int, *, is_pinned: bool = False) -> TrainingFit | Shortfall:
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
    rate = run.peak * run.mfu[1] * run.speedup
    batch = run.batch_tokens
    layout = best_layout(task, node, vms, batch, rate)
    if layout is None and run.most_batch_tokens > batch:
        batch = min(run.most_batch_tokens, max(batch, float(devices * task.sequence)))
        layout = best_layout(task, node, vms, batch, rate)
    if layout is None:
        return _no_fit(run, vms)
    if vms > 1 and layout.exposed_share > MOST_EXPOSED and not is_pinned:
        return Shortfall(
            "interconnect", layout.exposed_share, MOST_EXPOSED, "share of a step",
            f"{layout.exposed_share:.0%} of a step on {vms} VMs waits for the network",
            "use a machine with a network for accelerator traffic, a larger one, or `method: lora`",
        )  # fmt: skip
    saved = _saving(run, vms)
    goodput = _goodput_of(run, devices, saved)
    if need.deadline_s and need.tokens:
        rate = _tokens_per_second(run, devices, layout.speed)
        hours = run_hours(need.tokens, rate * goodput.expected)
        allowed = need.deadline_s / HOUR_S
        if hours > allowed:
            return Shortfall(
                "deadline", hours, allowed, "h",
                f"{vms} VMs take {hours:,.0f} h (expected, restarts included), allowed are {allowed:,.0f} h",
                "use more or faster machines, or a later deadline",
            )  # fmt: skip
    return _described(run, vms, layout, batch, host_gib, saved, goodput)


def _tokens_per_second(run: _Run, devices: int, speed: float) -> float:
    """Expected rate of a step of the given relative speed."""
    mfu = min(run.mfu[1] * speed, run.band.matmul_ceiling)
    return devices * run.peak * run.speedup * mfu / run.task.flops_per_token


def _saving(run: _Run, vms: int, run_s: float | None = None) -> Saving:
    need = run.need
    return saving(
        run.checkpoint_bytes, vms * run.node.devices, vms,
        is_spot=need.is_spot, every_s=need.checkpoint_every_s, run_s=run_s,
    )  # fmt: skip


def _goodput_of(run: _Run, devices: int, saved: Saving) -> Range:
    """Productive share of the run; what this cluster loses beyond the ordinary interruptions of the band comes off."""
    lost = max(0.0, lost_share(saved.stall_s, saved.interval_s, saved.mtbf_s) - (1 - run.band.goodput_high))
    low, expected, high = _goodput(run, devices)
    left = max(0.5, 1 - lost)
    return Range(low * left, expected * left, high * left)


def _no_fit(run: _Run, vms: int) -> Shortfall:
    """Why no layout fits: memory of the tightest one, or too many accelerators for the batch."""
    task, node = run.task, run.node
    devices = vms * node.devices
    widest, pipeline, context = max(splits(task, node, devices), key=lambda split: split[0] * split[1] * split[2])
    if devices // (widest * pipeline * context) > run.most_batch_tokens / task.sequence:
        most = run.most_batch_tokens / task.sequence * widest * pipeline * context
        return Shortfall(
            "batch", devices, most, "accelerators",
            f"a step of {run.most_batch_tokens:,.0f} tokens in sequences of {task.sequence:,} keeps at most {most:,.0f} "
            f"accelerators busy, not {devices:,}",
            "raise `train.global_batch_tokens`, shorten the sequences, or use fewer, faster accelerators",
        )  # fmt: skip
    usable = node.usable_bytes * (1 - task.fragmentation)
    tightest = min(_tightest(run, vms, split) for split in splits(task, node, devices))
    return Shortfall(
        "memory", tightest / GIB, usable / GIB, "GiB",
        f"{(tightest - usable) / GIB:.1f} GiB short per accelerator on {devices} × {node.accelerator.name}: the training "
        f"state and one sequence of {task.sequence:,} tokens take {tightest / GIB:.1f} GiB, usable are {usable / GIB:.1f}",
        "use more accelerators or ones with more memory, `method: lora` or `qlora`, or shorter sequences",
    )  # fmt: skip


def _tightest(run: _Run, vms: int, split: tuple[int, int, int]) -> float:
    """Least bytes per device of a split."""
    task, (tensor, pipeline, context) = run.task, split
    shards = vms * run.node.devices // (tensor * pipeline)
    fixed = state_parts(task, run.node, tensor, pipeline, shards, task.shardings[-1]).total
    tokens = task.sequence / context * (task.micro_batch or 1)
    layers = math.ceil(task.shape.layers / pipeline) * pipeline
    each = activations_per_token(task, tensor, layers, task.recomputes[-1], is_loss_chunked=True)
    return fixed + each * tokens


def _described(
    run: _Run, vms: int, layout: Layout, batch: float, host_gib: float, saved: Saving, goodput: Range
) -> TrainingFit:
    """The figures of a layout."""
    node, need, task = run.node, run.need, run.task
    devices = vms * node.devices
    mfu = Range(*(min(one * layout.speed, run.band.matmul_ceiling) for one in run.mfu))
    tokens_per_second = mfu.scaled(devices * run.peak * run.speedup / task.flops_per_token)
    hours = None
    if need.tokens:
        fastest = run_hours(need.tokens, tokens_per_second.high * goodput.high)
        expected = run_hours(need.tokens, tokens_per_second.expected * goodput.expected)
        slowest = run_hours(need.tokens, tokens_per_second.low * goodput.low)
        hours = Range(fastest, expected, min(slowest, WIDEST * fastest))
        saved = _saving(run, vms, hours.expected * HOUR_S)
    read = tokens_per_second.high * TOKEN_BYTES
    if need.dataset_bytes and hours:
        read = max(read, need.dataset_bytes / (hours.low * HOUR_S))
    memory = layout.parts.gib(node.usable_bytes * (1 - task.fragmentation))
    margins = tuple(_margins(run, vms, layout, memory, hours, batch, host_gib))
    notes = list(run.assumptions)
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


def _margins(
    run: _Run, vms: int, layout: Layout, memory: Memory, hours: Range | None, batch: float, host_gib: float
) -> Iterator[Margin]:
    yield Margin("memory", memory.total, memory.usable, "GiB per accelerator")
    if run.need.deadline_s and hours:
        yield Margin("deadline", hours.expected, run.need.deadline_s / HOUR_S, "h")
    yield Margin("batch", layout.data, batch / run.task.sequence, "sequences per step")
    yield Margin("interconnect", layout.exposed_share, 1.0, "share of a step")
    if run.host_bytes:
        yield Margin("host-memory", host_gib, run.node.memory_gib, "GiB per VM")


def _binding(run: _Run, layout: Layout, margins: tuple[Margin, ...]) -> str:
    """The constraint that stops the cluster from being smaller or faster."""
    by_name = {margin.constraint: margin.share for margin in margins}
    if by_name.get("deadline", 1.0) < 0.25:
        return "deadline"
    if layout.exposed_share > 0.15:
        return "interconnect"
    if by_name["memory"] < 0.25 or run.need.deadline_s is None:
        return "memory"
    return "compute"
