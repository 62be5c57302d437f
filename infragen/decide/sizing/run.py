"""What is asked of a training run, and everything about it that does not depend on the number of machines.

Takes the sections of a descriptor, a model and a node. Gives a `TrainNeed`, and the `Run` made of it: state per parameter,
work per token, batch, efficiency; or the `Shortfall` that rules the chip out.
"""

from functools import lru_cache

from msgspec import Struct

from infragen.decide.sizing.cluster import Attempt, Task, attempt
from infragen.decide.sizing.facts import OptimizerState, SizingFacts, TrainingBand
from infragen.decide.sizing.memory import Recompute, Sharding, StateBytes, adapter_parameters, state_bytes
from infragen.decide.sizing.node import Node, Shortfall, context_shortfall
from infragen.decide.sizing.precision import Arithmetic, expert_bytes, is_native, rest_bytes, training_arithmetic
from infragen.decide.sizing.shape import ModelShape
from infragen.descriptor.model import Data, Model, Train

DEFAULT_SEQUENCE, DEFAULT_RANK = 4096, 16
SMALL_MODEL, LARGE_MODEL = 3e9, 30e9  # active parameters
UNSWITCHED = 0.72  # of the efficiency, where accelerators exchange through the host: published 0.15 to 0.35
ADAPTERS = 0.85  # of the efficiency, where small products run beside every large one
ADAPTER_UNPACKING = (
    0.75  # of that, where the base is unpacked on the fly: 0.6 (Vertex AI tuning guide) to 0.74 (Qwen README)
)
MIXTURE_PRODUCTS = 0.6  # of a mixture's time, which fp8 speeds up; the rest routes (torchao: 1.30 for Llama 4 Scout)
OFFLOAD_SAFETY = 1.5  # DeepSpeed's estimate of host buffers


class TrainNeed(Struct, frozen=True):
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
        train, model = train or Train.model_construct(), model or Model.model_construct()
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


class Run(Struct, frozen=True):
    """Everything about the run that does not depend on the number of machines."""

    task: Task
    need: TrainNeed
    node: Node
    band: TrainingBand
    arithmetic: Arithmetic
    peak: float  # FLOP/s of one device
    mfu: tuple[float, float, float]
    speedup: tuple[float, float, float]  # tokens per second beyond what MFU at this peak says
    batch_tokens: float
    most_batch_tokens: float
    checkpoint_bytes: float
    host_bytes: float  # of all VMs together
    assumptions: tuple[str, ...]


def prepared(shape: ModelShape, need: TrainNeed, node: Node, facts: SizingFacts) -> Run | Shortfall:
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
    if need.is_finetune and shape.is_context_fixed:
        too_long = context_shortfall(shape, sequence, notes)
        if too_long is not None:
            return too_long
    elif shape.max_context_tokens and sequence > shape.max_context_tokens:
        how = "the run extends its positions" if need.is_finetune else "trained anew"
        notes.append(f"{how} to {sequence:,} tokens, beyond the {shape.max_context_tokens:,} of {shape.name}")
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
        attempts=_attempts(shape, need.recompute),
        shardings=_shardings(need),
        micro_batch=need.micro_batch,
        is_offloaded=need.is_offloaded,
        end_parameters=shape.embedding_parameters / (1 if shape.tied_embeddings else 2),
        overhead=overhead,
        fragmentation=overhead.fragmentation_share,
    )
    attending = attention / flops
    factor = _band_factor(shape, attending, band)
    products = (1.0 - attending) / (1.0 - attending + attending / band.attention_factor)  # share of a step's time
    if node.devices > 1 and not node.is_switched:
        factor *= UNSWITCHED
    if is_adapter:
        factor *= ADAPTERS * (ADAPTER_UNPACKING if need.method == "qlora" else 1.0)
    # adapters: the products with a frozen base in fp8 run in fp8, where the chip does
    is_fp8_base = is_adapter and need.precision == "fp8" and is_native(node.accelerator, "fp8")
    is_fp8 = is_fp8_base or arithmetic.stored.format == "fp8"
    mfu = (band.step_mfu_low, band.step_mfu_expected, band.step_mfu_high)
    return Run(
        task=task,
        need=need,
        node=node,
        band=band,
        arithmetic=arithmetic,
        peak=arithmetic.peak_flops * node.share,
        mfu=(mfu[0] * factor, mfu[1] * factor, min(mfu[2] * factor, band.matmul_ceiling)),
        speedup=_speedup(band, products * (MIXTURE_PRODUCTS if shape.is_moe else 1.0)) if is_fp8 else (1.0, 1.0, 1.0),
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


@lru_cache(maxsize=64)
def _attempts(shape: ModelShape, asked: Recompute | None) -> tuple[Attempt, ...]:
    """Recomputation in the order in which it is tried; the loss in chunks is the last resort."""
    recomputes: tuple[Recompute, ...] = (asked,) if asked else ("none", "selective", "full")
    whole = (attempt(shape, one, is_loss_chunked=False) for one in recomputes)
    return (*whole, attempt(shape, recomputes[-1], is_loss_chunked=True))


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


def _speedup(band: TrainingBand, products: float) -> tuple[float, float, float]:
    """What fp8 makes of the rate when only that share of a step's time is products with weights (Amdahl 1967)."""
    low, expected, high = (
        1.0 / (1.0 - products + products / one) for one in (band.fp8_low, band.fp8_expected, band.fp8_high)
    )
    return low, expected, high


def _band_factor(shape: ModelShape, attention_share: float, band: TrainingBand) -> float:
    """What the model makes of the architecture's step efficiency. ``attention_share``: of all FLOPs, over the sequence."""
    factor = 1.0 / (1.0 - attention_share + attention_share / band.attention_factor)
    if shape.active_parameters >= LARGE_MODEL:
        factor *= band.large_model_factor
    if shape.active_parameters < SMALL_MODEL:
        factor *= band.small_model_factor
    if shape.is_moe:
        factor *= band.moe_factor
    return factor
