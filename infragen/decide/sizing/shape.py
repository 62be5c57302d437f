"""Everything sizing needs to know of a model: `ModelShape`.

Takes a catalogue card, a Hugging Face config (``config.py``) or the numbers of a descriptor. Gives a `ModelShape`.
Promises: what had to be guessed is listed in ``assumptions``, and ``is_estimated`` widens every range made from it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide.sizing.count import LINEAR_HEAD, Count, Dimensions, count
from infragen.decide.sizing.facts import ModelFamily, SizingFacts
from infragen.descriptor.model import Model
from infragen.facts.model import ModelCard
from infragen.units import count as spelled

Kind = Literal["decoder", "encoder", "encoder-decoder", "diffusion"]
CARD_KINDS: dict[str, Kind] = {
    "text-encoder": "encoder",
    "image-encoder": "encoder",
    "text-encoder-decoder": "encoder-decoder",
    "audio": "encoder-decoder",
    "image-gen": "diffusion",
}
CHECKPOINT_FORMATS = {
    "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float8_e4m3": "fp8", "float8_e4m3fn": "fp8",
    "mxfp4": "mxfp4", "int8": "int8", "int4": "int4", "int4-experts": "int4-experts", "nvfp4": "nvfp4",
}  # fmt: skip


class AttentionLayers(Struct, frozen=True):
    """A number of layers whose cache is laid out in the same way."""

    layers: int
    values_per_token: float  # cached per token and layer, keys and values together
    window_tokens: int | None = None  # the cache stops growing here
    shards: int = 1  # ways that tensor parallelism can split the cache; beyond it, it is replicated
    values_per_sequence: float = 0.0  # state of linear attention, and what a decoder keeps of its encoder
    flops_per_token: float = 0.0  # of one query over one cached token, per layer

    def values(self, tokens: float) -> float:
        """Cached values of one sequence of that many tokens."""
        kept = min(tokens, self.window_tokens) if self.window_tokens else tokens
        return self.layers * (kept * self.values_per_token + self.values_per_sequence)


class ModelShape(Struct, frozen=True, cache_hash=True):  # a key of what is remembered
    """A model as sizing sees it. Parameters in units; ``active_parameters`` is per token."""

    name: str
    kind: Kind
    modality: str
    parameters: float
    active_parameters: float
    embedding_parameters: float  # input and output embeddings: not quantised
    expert_parameters: float  # routed experts, all of them
    extra_parameters: float  # encoders and decoders beside the counted part, resident in 16 bits
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary: int
    active_width: int  # feed-forward width that one token passes through: of an expert layer, the experts it visits
    experts: int
    experts_per_token: int
    expert_width: int  # inner width of one routed expert
    max_context_tokens: int | None
    overflows_fp16: bool  # trained in bf16 to values that fp16 does not hold
    is_context_fixed: bool  # learned positions: a longer context is impossible, not merely untrained
    tied_embeddings: bool
    has_gated_mlp: bool
    attention: tuple[AttentionLayers, ...]
    checkpoint_format: str  # of the published weights
    linear_parameters: (
        float  # of attention and feed-forward matrices that adapters attach to, per rank: sum of d_in + d_out
    )
    is_estimated: bool = False
    assumptions: tuple[str, ...] = ()

    @property
    def is_generative(self) -> bool:
        """It makes tokens one by one, from a cache."""
        return self.kind in ("decoder", "encoder-decoder")

    @property
    def is_moe(self) -> bool:
        """A token visits only some of the feed-forward parameters."""
        return self.active_parameters < 0.95 * self.parameters

    @property
    def dense_parameters(self) -> float:
        """Parameters that every token reads: all but the routed experts."""
        return self.parameters - self.expert_parameters

    def kv_values(self, tokens: float) -> float:
        """Cached values of one sequence, all layers, before any sharding."""
        return sum(group.values(tokens) for group in self.attention)

    def query_flops(self, tokens: float) -> float:
        """FLOPs of attention that one new token adds to a sequence of that many."""
        return sum(
            group.layers * min(tokens, group.window_tokens or tokens) * group.flops_per_token
            for group in self.attention
        )

    def attention_flops(self, tokens: float) -> float:
        """Forward FLOPs of causal attention over one sequence, beyond the matrix products with weights."""
        width = self.attention_heads * self.head_dim
        full = sum(
            group.layers * tokens * min(tokens, 2 * group.window_tokens if group.window_tokens else tokens)
            for group in self.attention
            if group.values_per_token
        )
        return 2.0 * full * width


@dataclass(frozen=True, slots=True)
class ShapeError(ValueError):
    """Why no shape can be made of what was given; ``help`` says what would do."""

    message: str
    help: str

    def __str__(self) -> str:
        return self.message


def from_card(card: ModelCard, facts: SizingFacts) -> ModelShape:
    """The shape of a published model. Its stated parameter count is the truth; the parts come from its widths."""
    family = facts.family(card.name, card.family)
    kind = CARD_KINDS.get(card.modality, "decoder")
    dims = card_dimensions(card, family)
    assumptions: list[str] = []
    if dims is None:
        dims = _guessed_dimensions(card.parameters, None, 1)
        if kind != "diffusion":
            assumptions.append(f"the catalogue has no layer widths of {card.name}; a common block of its size is taken")
    active = card.active_parameters
    if active is None:
        active = count(dims, family).active if dims.experts else card.parameters
        if dims.experts:
            assumptions.append(f"active parameters of {card.name} are not published: {spelled(active)} from its widths")
    shape = _assembled(card.name, kind, card.modality, dims, family, card.parameters, active)
    return replace(
        shape,
        max_context_tokens=card.max_context_tokens,
        checkpoint_format=CHECKPOINT_FORMATS.get(card.dtype, "bf16"),
        attention=attention_layers(dims, family, card.sliding_window, kind),
        is_estimated=bool(assumptions),
        assumptions=tuple(assumptions),
    )


def card_dimensions(card: ModelCard, family: ModelFamily) -> Dimensions | None:
    """Widths of a card; None where it does not state enough of them (image models)."""
    if not (card.layers and card.hidden_size and card.attention_heads and card.vocabulary):
        return None
    has_latent = family.kv_lora_rank is not None
    return Dimensions(
        layers=family.decoder_layers or card.layers,
        hidden_size=card.hidden_size,
        attention_heads=card.attention_heads,
        kv_heads=card.kv_heads or card.attention_heads,
        head_dim=card.head_dim or card.hidden_size // card.attention_heads,
        intermediate_size=card.intermediate_size or card.expert_intermediate_size or 4 * card.hidden_size,
        vocabulary=card.vocabulary,
        tied_embeddings=bool(card.tied_embeddings),
        max_positions=(card.max_context_tokens or 0) + (2 if card.family == "roberta" else 0),
        experts=card.experts or 0,
        experts_per_token=card.experts_per_token or 0,
        expert_intermediate_size=card.expert_intermediate_size or 0,
        shared_experts=card.shared_experts or 0,
        dense_layers=family.dense_layers,
        moe_every=family.moe_every,
        q_lora_rank=family.q_lora_rank or 0,
        kv_lora_rank=family.kv_lora_rank or 0,
        rope_head_dim=(family.rope_head_dim or 0) if has_latent else 0,
        nope_head_dim=family.nope_head_dim or 0,
        value_head_dim=family.value_head_dim or 0,
        **family_widths(family, card.layers, card.kv_heads or card.attention_heads),
        encoder_layers=card.layers if CARD_KINDS.get(card.modality) == "encoder-decoder" else 0,
        extra_parameters=audio_front(family, card.hidden_size),
    )


def family_widths(family: ModelFamily, layers: int, kv_heads: int) -> dict[str, int]:
    """Widths of the layers that differ from the others: of linear attention, and of global attention among windows."""
    linear = family.linear_per_full
    wide = layers // (family.local_per_global + 1) if family.local_per_global and family.global_head_dim else 0
    return {
        "linear_layers": layers - layers // (linear + 1) if linear else 0,
        "linear_key_width": family.linear_key_width,
        "linear_value_width": family.linear_value_width,
        "global_layers": wide,
        "global_head_dim": family.global_head_dim,
        "global_kv_heads": family.global_kv_heads or kv_heads,
    }


def audio_front(family: ModelFamily, width: int) -> int:
    """Parameters in front of an audio encoder: two convolutions of three taps, and the positions."""
    if not family.audio_bands:
        return 0
    return 3 * family.audio_bands * width + 3 * width * width + 2 * width + family.encoder_positions * width


def from_dimensions(
    name: str, kind: Kind, dims: Dimensions, family: ModelFamily, parameters: float | None = None
) -> ModelShape:
    """The shape of a model whose widths are known; parameters are counted unless they are given."""
    counted = count(dims, family)
    total = parameters or counted.total
    return _assembled(name, kind, "text", dims, family, total, total * counted.active / counted.total)


def _assembled(
    name: str, kind: Kind, modality: str, dims: Dimensions, family: ModelFamily, parameters: float, active: float
) -> ModelShape:
    counted: Count = count(dims, family)
    # where the stated total differs from the count (unknown extras, an estimate), the parts keep their proportion
    scale = min(1.0, parameters / counted.total)
    experts = counted.experts * scale
    if active < 0.95 * parameters and not counted.experts:
        experts = min(_unexplained_experts(parameters, active), parameters - counted.embeddings * scale)
    width = dims.hidden_size
    per_rank = (
        2 * (width + dims.attention_heads * dims.head_dim)
        + 2 * (width + dims.kv_heads * dims.head_dim)
        + (3 if family.mlp_matrices == 3 else 2) * (width + dims.intermediate_size)
    ) * (dims.layers + dims.encoder_layers)
    return ModelShape(
        name=name,
        kind=kind,
        modality=modality,
        parameters=parameters,
        active_parameters=min(active, parameters),
        embedding_parameters=0.0 if kind == "diffusion" else counted.embeddings * scale,
        expert_parameters=experts,
        extra_parameters=family.extra_parameters,
        layers=dims.layers,
        hidden_size=width,
        attention_heads=dims.attention_heads,
        kv_heads=dims.kv_heads,
        head_dim=dims.head_dim,
        intermediate_size=dims.intermediate_size,
        vocabulary=dims.vocabulary,
        active_width=(
            dims.expert_intermediate_size * (dims.experts_per_token + dims.shared_experts)
            if dims.moe_layers
            else dims.intermediate_size
        ),
        experts=dims.experts,
        experts_per_token=dims.experts_per_token,
        expert_width=dims.expert_intermediate_size,
        max_context_tokens=None,
        overflows_fp16=family.overflows_fp16,
        is_context_fixed=family.has_positions,
        tied_embeddings=dims.tied_embeddings,
        has_gated_mlp=family.mlp_matrices == 3,
        attention=attention_layers(dims, family, None, kind),
        checkpoint_format="bf16",
        linear_parameters=per_rank,
    )


def _unexplained_experts(parameters: float, active: float) -> float:
    """Routed parameters of a model that only states total and active: active = shared + an eighth of the experts."""
    return min(parameters, (parameters - active) * 8 / 7)


def attention_layers(
    dims: Dimensions, family: ModelFamily, window: int | None, kind: Kind
) -> tuple[AttentionLayers, ...]:
    """How the layers cache, by group. ``window`` is the stated sliding window, None for the family's own."""
    if kind in ("encoder", "diffusion"):
        # nothing is cached; the group still states the layers, for the FLOPs of attention
        return (AttentionLayers(dims.layers, 0.0),)
    if dims.kv_lora_rank:  # decoding compares and sums the latent vectors themselves, for every head
        latent = 2.0 * dims.attention_heads * (2 * dims.kv_lora_rank + dims.rope_head_dim)
        return (AttentionLayers(dims.layers, dims.kv_lora_rank + dims.rope_head_dim, flops_per_token=latent),)
    query = 4.0 * dims.attention_heads * dims.head_dim
    values = 2.0 * dims.kv_heads * dims.head_dim
    if kind == "encoder-decoder":
        crossed = family.encoder_positions * values
        return (AttentionLayers(dims.layers, values, None, dims.kv_heads, crossed, query),)
    if family.linear_per_full:
        full = dims.layers // (family.linear_per_full + 1)
        width = dims.linear_value_width or dims.attention_heads * dims.head_dim
        state = width * float(LINEAR_HEAD)  # one row per key channel of a head
        return (
            AttentionLayers(full, values, None, dims.kv_heads, 0.0, query),
            AttentionLayers(dims.layers - full, 0.0, None, dims.attention_heads, state),
        )
    window = window or family.window_tokens
    every = AttentionLayers(dims.layers, values, window, dims.kv_heads, 0.0, query)
    if window is None or not family.local_per_global:
        return (every,)
    wide = dims.layers // (family.local_per_global + 1)
    if dims.global_head_dim:
        query = 4.0 * dims.attention_heads * dims.global_head_dim
        values = 2.0 * dims.global_kv_heads * dims.global_head_dim
    heads = dims.global_kv_heads if dims.global_head_dim else dims.kv_heads
    local = replace(every, layers=dims.layers - wide)
    return (AttentionLayers(wide, values, None, heads, 0.0, query), local) if wide else (local,)


def from_numbers(given: Model, facts: SizingFacts) -> ModelShape:
    """The shape that a descriptor's own numbers describe. Raises ShapeError where they are too few.

    What is missing is taken from a common block of the same size, and said so.
    """
    family = facts.default_family
    if given.parameters is None and not (given.layers and given.hidden_size):
        raise ShapeError(
            "the numbers of the model do not say how large it is",
            "give `parameters`, or `layers` and `hidden_size`",
        )
    assumptions: list[str] = []
    dims = _given_dimensions(given, assumptions)
    counted = count(dims, family)
    parameters = given.parameters or counted.total
    active = given.active_parameters or (counted.active * parameters / counted.total if dims.experts else parameters)
    if given.parameters and given.layers and given.hidden_size and not 0.6 < counted.total / given.parameters < 1.67:
        assumptions.append(
            f"layers and widths make {spelled(counted.total)} parameters, stated are {spelled(given.parameters)}: "
            "the stated number is taken"
        )
    shape = _assembled(given.name or "model", "decoder", "text", dims, family, parameters, active)
    return replace(
        shape,
        max_context_tokens=given.max_context_tokens,
        attention=attention_layers(dims, family, given.sliding_window, "decoder"),
        is_estimated=bool(assumptions),
        assumptions=tuple(assumptions),
    )


def overridden(shape: ModelShape, given: Model) -> ModelShape:
    """A known shape with the sizes that the descriptor states beside the name put in its place."""
    return replace(
        shape,
        parameters=given.parameters or shape.parameters,
        active_parameters=given.active_parameters or min(shape.active_parameters, given.parameters or math.inf),
        max_context_tokens=given.max_context_tokens or shape.max_context_tokens,
    )


def _given_dimensions(given: Model, assumptions: list[str]) -> Dimensions:
    guess = _guessed_dimensions(
        given.parameters or 12.0 * (given.layers or 32) * float(given.hidden_size or 4096) ** 2,
        given.active_parameters,
        given.experts or 0,
    )
    hidden = given.hidden_size or guess.hidden_size
    head_dim = given.head_dim or (hidden // given.attention_heads if given.attention_heads else guess.head_dim)
    heads = given.attention_heads or max(1, hidden // max(1, head_dim))
    kv_heads = given.kv_heads or (heads if given.attention_heads else min(guess.kv_heads, heads))
    missing = [
        name
        for name, value in (
            ("layers", given.layers), ("hidden_size", given.hidden_size), ("attention_heads", given.attention_heads),
            ("kv_heads", given.kv_heads), ("vocabulary", given.vocabulary),
        )
        if value is None
    ]  # fmt: skip
    layers = given.layers or guess.layers
    vocabulary = given.vocabulary or guess.vocabulary
    dims = Dimensions(
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim or 1,
        intermediate_size=given.intermediate_size or 7 * hidden // 2,
        vocabulary=vocabulary,
        tied_embeddings=bool(given.tied_embeddings),
        experts=given.experts or 0,
        experts_per_token=min(given.experts_per_token or (2 if given.experts else 0), given.experts or 0),
        expert_intermediate_size=given.expert_intermediate_size or given.intermediate_size or 7 * hidden // 2,
        shared_experts=given.shared_experts or 0,
        kv_lora_rank=given.kv_lora_rank or 0,
        rope_head_dim=(given.qk_rope_head_dim or 64) if given.kv_lora_rank else 0,
        nope_head_dim=head_dim if given.kv_lora_rank else 0,
        value_head_dim=head_dim if given.kv_lora_rank else 0,
    )
    if missing:
        taken = (
            f"{layers} layers of width {hidden}, {heads} heads of {head_dim}, {kv_heads} KV heads, {vocabulary:,} words"
        )
        assumptions.append(f"the descriptor leaves out {', '.join(missing)} of the model: {taken} are taken")
    return dims


def _guessed_dimensions(parameters: float, active: float | None, experts: int) -> Dimensions:
    """A common decoder of that size: width 128 times depth, heads of 128, 8 KV heads, 128,256 words."""
    dense = active if active and not experts else parameters
    width = (dense * 128 / 12) ** (1 / 3)
    step = 1024 if width >= 6000 else 512 if width >= 1500 else 128  # heads that tensor parallelism can split
    hidden = min(65_536, max(128, round(width / step) * step))
    head_dim = 128 if hidden >= 1024 else 64
    layers = max(1, min(256, round(dense / (12.0 * hidden * hidden))))
    heads = max(1, hidden // head_dim)
    vocabulary = 128_256 if dense > 5e8 else 32_000
    return Dimensions(layers, hidden, heads, min(8, heads), head_dim, 7 * hidden // 2, vocabulary, hidden < 3000)
