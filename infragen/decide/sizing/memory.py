"""Device memory by part: weights, KV cache, activations, gradients, optimizer, overhead.

Takes shapes, formats and degrees of parallelism; gives bytes per device. Formulas: Korthikanti et al. 2022 (arXiv
2205.05198) for activations, ZeRO (arXiv 1910.02054) for training state, Megatron-LM for modern blocks; the vLLM memory
profile for serving.
"""

import math
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from infragen.decide.model import Memory
from infragen.decide.sizing.facts import OptimizerState, RuntimeOverhead
from infragen.decide.sizing.shape import ModelShape
from infragen.units import GIB

Recompute = Literal["none", "selective", "full"]
Sharding = Literal["zero-1", "zero-2", "zero-3"]

KV_BLOCK_TOKENS = 16  # of a paged cache: each sequence is rounded up to it
SERVING_STEP_TOKENS = 2048  # tokens of one scheduler step that activations are profiled with
SERVING_HIDDEN_COPIES = (
    14  # hidden states of two bytes alive at once in a forward pass: 0.22 GiB at 4096 wide, measured
)
SAMPLED_SEQUENCES = 256  # sequences whose next word one step draws
SAMPLED_BYTES = 10.0  # per sequence and word: 16-bit logits, and two copies of four bytes while sampling
UNFUSED_COPIES = 28  # hidden states that backward needs per layer without recomputation, unfused kernels
GATHERED_LAYERS = 2  # full layers alive while fully sharded weights are gathered
LOGIT_BYTES = 10.0  # per token and word: bf16 logits, fp32 copy, fp32 gradient
CHUNKED_LOGIT_BYTES = 0.6  # ... of a fused cross entropy that works in chunks


class Parts(Struct, frozen=True):
    """Bytes on one device, by part."""

    weights: float = 0.0
    kv_cache: float = 0.0
    activations: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    overhead: float = 0.0

    @property
    def total(self) -> float:
        """All parts together."""
        return self.weights + self.kv_cache + self.activations + self.gradients + self.optimizer + self.overhead

    def gib(self, usable_bytes: float) -> Memory:
        """The same in GiB, beside what the device offers."""
        return Memory(
            weights=self.weights / GIB,
            kv_cache=self.kv_cache / GIB,
            activations=self.activations / GIB,
            gradients=self.gradients / GIB,
            optimizer=self.optimizer / GIB,
            overhead=self.overhead / GIB,
            total=self.total / GIB,
            usable=usable_bytes / GIB,
        )


def stage_share(layers: int, pipeline: int) -> float:
    """Share of the layers on the fullest of ``pipeline`` stages.

    >>> stage_share(80, 4), stage_share(61, 4)
    (0.25, 0.26229508196721313)
    """
    return math.ceil(layers / pipeline) / layers


@lru_cache(maxsize=1024)
def kv_bytes(shape: ModelShape, tokens: float, bytes_per_value: float, tensor: int = 1, pipeline: int = 1) -> float:
    """Bytes of one sequence's cache on the fullest device, rounded up to whole blocks.

    Keys and values are split over at most as many devices as there are KV heads; a latent cache is replicated.
    """
    whole = math.ceil(tokens / KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS
    values = sum(group.values(whole) / min(tensor, group.shards) for group in shape.attention)
    return values * bytes_per_value * (stage_share(shape.layers, pipeline) if pipeline > 1 else 1.0)


def serving_activation_bytes(shape: ModelShape, step_tokens: float = SERVING_STEP_TOKENS) -> float:
    """Activation peak of one scheduler step of a serving engine, not divided by tensor parallelism.

    Only the last token of each sequence reaches the output head.
    """
    hidden = step_tokens * shape.hidden_size * SERVING_HIDDEN_COPIES * 2.0
    return hidden + min(step_tokens, SAMPLED_SEQUENCES) * shape.vocabulary * SAMPLED_BYTES


def overhead_bytes(overhead: RuntimeOverhead, devices: int) -> float:
    """Runtime, kernels and graphs of training; with more than one device the buffers of the collective library."""
    return float((overhead.runtime_gib + (overhead.collective_gib if devices > 1 else 0.0)) * GIB)


def serving_overhead_bytes(overhead: RuntimeOverhead, devices: int) -> float:
    """Runtime and kernels inside an engine's share of memory; with more than one device the buffers of collectives."""
    return float((overhead.serving_gib + (overhead.serving_collective_gib if devices > 1 else 0.0)) * GIB)


def block_activation_bytes(
    tokens: float,
    hidden: int,
    heads: int,
    sequence: int,
    tensor: int = 1,
    *,
    is_sequence_parallel: bool = False,
    recompute: Recompute = "none",
) -> float:
    """Activations of one layer of the block that Korthikanti et al. analyse (GELU, dropout, explicit attention matrix).

    ``tokens`` = sequence length × micro-batch. Full recomputation keeps the layer's input alone.
    """
    unit = tokens * hidden
    if recompute == "full":
        return 2.0 * unit
    attention = 5.0 * heads * sequence / hidden if recompute == "none" else 0.0
    if is_sequence_parallel:
        return unit * (34.0 + attention) / tensor
    return unit * (10.0 + (24.0 + attention) / tensor)


def layer_activation_bytes(shape: ModelShape, tokens: float, tensor: int, recompute: Recompute) -> float:
    """Activations that backward needs of one layer, flash attention, sequence parallel where ``tensor`` > 1.

    none: unfused kernels (28 hidden states of 2 bytes, measured on a gated block); selective: fused block, Megatron's
    18 + 4·f/h bytes per value (34 for a GELU block); full: the layer's input.
    """
    unit = tokens * shape.hidden_size / tensor
    if recompute == "full":
        return 2.0 * unit
    if not shape.has_gated_mlp:
        return 34.0 * unit
    fused = 18.0 + 4.0 * min(8.0, shape.active_width / shape.hidden_size)
    return max(2.0 * UNFUSED_COPIES, fused) * unit if recompute == "none" else fused * unit


class StateBytes(Struct, frozen=True):
    """Bytes per trained parameter."""

    weights: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        """All three."""
        return self.weights + self.gradients + self.optimizer


def state_bytes(optimizer: OptimizerState, weight: float = 2.0, gradient: float = 2.0) -> StateBytes:
    """Bytes per trained parameter before any sharding; fp32 weights are their own master copy."""
    master = 0.0 if weight >= 4.0 else optimizer.master_bytes
    return StateBytes(weight, gradient, master + optimizer.moment_bytes)


def sharded_state(state: StateBytes, parameters: float, ranks: int, sharding: Sharding) -> Parts:
    """Training state of ``parameters`` per model-parallel rank, on one of ``ranks`` data-parallel devices.

    Without the transient layers that full sharding gathers (`gathered_bytes`).
    """
    weights = state.weights / (ranks if sharding == "zero-3" else 1)
    gradients = state.gradients / (ranks if sharding in ("zero-2", "zero-3") else 1)
    return Parts(
        weights=weights * parameters,
        gradients=gradients * parameters,
        optimizer=state.optimizer / ranks * parameters,
    )


def gathered_bytes(shape: ModelShape, tensor: int, expert: int, weight: float) -> float:
    """Transient memory of full sharding: whole layers with weights, and the gradients of one.

    Experts stay where they are when they are spread over ``expert`` devices: each gathers its own.
    """
    layer = (shape.dense_parameters - shape.embedding_parameters + shape.expert_parameters / expert) / shape.layers
    embedding = shape.embedding_parameters / (1 if shape.tied_embeddings else 2)
    return max(layer, embedding) / tensor * (GATHERED_LAYERS * weight + 2.0)


def adapter_parameters(shape: ModelShape, rank: int) -> float:
    """Trained parameters of low-rank adapters on all linear layers of the attention and feed-forward blocks.

    Experts are left out: adapters of mixtures are attached to attention and the shared width, as is common.
    """
    return float(rank) * shape.linear_parameters
