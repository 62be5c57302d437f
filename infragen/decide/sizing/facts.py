"""The constants of sizing, as records of the fact tables.

Takes a `Catalog`. Gives `SizingFacts`, which every formula that needs a constant receives as an argument. Promises:
nothing here is computed; formulas stand in the modules beside this one.
"""

from functools import cached_property
from typing import Literal

from msgspec import Struct

from infragen.facts.load import Catalog

QkNorm = Literal["none", "head", "full"]
Biased = Literal["none", "qkv", "qvo", "qkvo"]


class NumberFormat(Struct, frozen=True):
    """A format that weights are stored in. ``compute_formats`` is in order of preference."""

    format: str
    bytes_per_weight: float  # block scales included
    quantised_part: Literal["all", "linear", "experts"]  # what is stored in it; the rest stays in 16 bits
    bytes_per_value: float  # of a KV cache in it
    compute_formats: tuple[str, ...]  # what a chip may compute it in
    cast_formats: tuple[str, ...]  # what the same weights run as where none of those is native
    kv_format: bool  # engines keep a KV cache in it


class ModelFamily(Struct, frozen=True):
    """How the layers of a family are built, beyond the widths that a card or a config states."""

    keys: tuple[str, ...]  # family of a card, name of a card, or model_type of a config
    mlp_matrices: int  # 2, or 3 with a gate
    attention_bias: Biased
    mlp_bias: bool
    norm_bias: bool
    norms_per_layer: int
    qk_norm: QkNorm
    overflows_fp16: bool  # engines refuse it in that format
    has_positions: bool  # learned, one per position
    has_pooler: bool
    token_types: int
    expert_bias: bool
    router_bias: bool
    has_sinks: bool  # one learned weight per attention head
    local_per_global: int  # windowed layers per global one; 0: a window holds on every layer
    window_tokens: int | None  # where card and config give none
    linear_per_full: int  # linear-attention layers per full one
    dense_layers: int  # first layers without experts
    moe_every: int  # experts in every n-th layer
    q_lora_rank: int | None
    kv_lora_rank: int | None  # latent attention
    rope_head_dim: int | None
    nope_head_dim: int | None
    value_head_dim: int | None
    default_tied: bool | None
    extra_parameters: float  # encoders and decoders that run beside the counted part
    encoder_positions: int  # that each decoder layer keeps keys and values of
    audio_bands: int  # of the convolutions in front of an audio encoder
    kind: Literal["decoder", "encoder", "encoder-decoder", "diffusion"]
    decoder_layers: int | None  # where they are not as many as the encoder's
    has_output_gate: bool  # of attention: as wide as the query, beside it
    linear_key_width: int  # of all heads of a linear-attention layer; 0: counted like a full one
    linear_value_width: int
    global_head_dim: int  # of the global layers among windowed ones; 0: as on the others
    global_kv_heads: int
    has_shared_kv: bool  # global layers project keys alone and take them for values


class TrainingBand(Struct, frozen=True):
    """What an architecture reaches in training: published shares of the dense 16-bit peak."""

    architecture: str  # of the chip; ``gpu`` and ``tpu`` stand for architectures without a row
    step_mfu_low: float
    step_mfu_expected: float
    step_mfu_high: float
    goodput: float  # productive share of a whole run on 64 to 256 chips
    interruptions: float  # share that ordinary ones take, contained in it
    large_model_factor: float  # from 30e9 active parameters
    small_model_factor: float  # below 3e9 active parameters
    attention_factor: float  # efficiency of attention over a sequence against that of matrix products with weights
    moe_factor: float  # on active parameters
    fp8_low: float  # tokens per second against 16 bits, where fp8 is native
    fp8_expected: float
    fp8_high: float
    matmul_ceiling: float  # best shape ever measured


class ServingBand(Struct, frozen=True):
    """What an architecture reaches in serving, as shares of bandwidth and of the dense peak."""

    architecture: str
    bandwidth_low: float
    bandwidth_expected: float
    bandwidth_high: float
    compute_low: float
    compute_expected: float
    compute_high: float
    moe_factor: float  # of both, where a step runs narrow experts
    host_ms_low: float  # per decode step outside the kernels
    host_ms_expected: float
    host_ms_high: float
    allreduce_us_low: float  # latency of one all-reduce inside the node
    allreduce_us_expected: float
    allreduce_us_high: float


class RuntimeOverhead(Struct, frozen=True):
    """Device memory that no tensor of the model occupies."""

    kind: str  # gpu, tpu
    runtime_gib: float
    collective_gib: float  # more than one accelerator
    fragmentation_share: float  # of usable memory, in training
    serving_gib: float  # inside the share of memory that a serving engine takes
    serving_collective_gib: float


class OptimizerState(Struct, frozen=True):
    """Bytes per trained parameter that an optimizer keeps beside weights and gradients."""

    optimizer: str
    precision: Literal["fp32", "bf16"]
    master_bytes: float
    moment_bytes: float


class PowerBand(Struct, frozen=True):
    """Power of an accelerator and its share of the host, as shares of the rated power."""

    task: Literal["training", "serving"]
    load_low: float
    load_expected: float
    load_high: float
    host_low: float
    host_expected: float
    host_high: float


class SizingFacts:
    """The constants of sizing, read from a catalogue on first use. Shared by all workloads; nothing in it changes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @cached_property
    def formats(self) -> dict[str, NumberFormat]:
        """Storage formats by name."""
        return {row.format: row for row in self._catalog.table("number_formats").records(NumberFormat)}

    @cached_property
    def families(self) -> dict[str, ModelFamily]:
        """Model families by every key they go by, lower case."""
        rows = self._catalog.table("model_families").records(ModelFamily)
        return {key.lower(): row for row in rows for key in row.keys}

    @cached_property
    def training(self) -> dict[str, TrainingBand]:
        """Training efficiency by architecture."""
        return {row.architecture: row for row in self._catalog.table("training_efficiency").records(TrainingBand)}

    @cached_property
    def serving(self) -> dict[str, ServingBand]:
        """Serving efficiency by architecture."""
        return {row.architecture: row for row in self._catalog.table("serving_efficiency").records(ServingBand)}

    @cached_property
    def overheads(self) -> dict[str, RuntimeOverhead]:
        """Runtime memory by kind of accelerator."""
        return {row.kind: row for row in self._catalog.table("runtime_overheads").records(RuntimeOverhead)}

    @cached_property
    def optimizers(self) -> dict[tuple[str, str], OptimizerState]:
        """Optimizer state by optimizer and precision."""
        rows = self._catalog.table("optimizer_state").records(OptimizerState)
        return {(row.optimizer, row.precision): row for row in rows}

    @cached_property
    def power(self) -> dict[str, PowerBand]:
        """Power bands by task."""
        return {row.task: row for row in self._catalog.table("power_bands").records(PowerBand)}

    def family(self, *keys: str) -> ModelFamily:
        """The first family that one of the keys names; else the default block."""
        return next((self.families[key.lower()] for key in keys if key.lower() in self.families), self.default_family)

    @property
    def default_family(self) -> ModelFamily:
        """The pre-norm gated block that most published models share."""
        return self.families["default"]
