"""Parameter counts from the shape of a model, exactly as its tensors are laid out.

Takes widths and depths (`Dimensions`) and how the family builds its layers (`ModelFamily`). Gives a `Count`, split as
sizing needs it: what every token reads, what only a routed token reads, and what stays unquantised.
Source: Megatron-LM theoretical memory usage; the shapes of the published checkpoints.
"""

from msgspec import Struct

from infragen.decide.sizing.facts import ModelFamily

LINEAR_HEAD = 128  # width of a head of linear attention


class Dimensions(Struct, frozen=True):
    """Widths and depths of a transformer. ``layers`` are those of the stack that generates (or of the only stack)."""

    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary: int
    tied_embeddings: bool
    max_positions: int = 0  # counted only where the family learns its positions
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate_size: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    moe_every: int = 1
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_head_dim: int = 0
    nope_head_dim: int = 0
    value_head_dim: int = 0
    linear_layers: int = 0  # of linear attention; counted like the others where no widths are known
    linear_key_width: int = 0  # of all heads
    linear_value_width: int = 0
    global_layers: int = 0  # among windowed ones, with heads of their own
    global_head_dim: int = 0
    global_kv_heads: int = 0
    output_rank: int = 0  # of an output projection in groups of heads, through a narrow space
    output_groups: int = 0
    encoder_layers: int = 0  # of an encoder-decoder
    extra_parameters: int = 0  # counted elsewhere: patches, convolutions, encoder positions

    @property
    def moe_layers(self) -> int:
        """Layers with routed experts."""
        return (self.layers - self.dense_layers) // self.moe_every if self.experts else 0


class Count(Struct, frozen=True):
    """Parameters by part. ``total`` = ``embeddings`` + ``experts`` + the rest."""

    total: float
    active: float  # that one token passes through, embeddings included
    embeddings: float  # input and output embeddings
    experts: float  # routed experts


def count(dims: Dimensions, family: ModelFamily) -> Count:
    """Parameters of a decoder, an encoder, or an encoder-decoder."""
    embeddings = dims.vocabulary * dims.hidden_size * (1 if dims.tied_embeddings else 2)
    expert = _expert(dims, family)
    routed = dims.moe_layers * dims.experts * expert
    idle = dims.moe_layers * (dims.experts - dims.experts_per_token) * expert
    total = embeddings + routed + _layers(dims, family) + _ends(dims, family)
    return Count(total=total, active=total - idle, embeddings=embeddings, experts=routed)


def _layers(dims: Dimensions, family: ModelFamily) -> int:
    """Everything inside the layers but the routed experts."""
    norm = dims.hidden_size * (2 if family.norm_bias else 1)
    every = attention(dims, family) + family.norms_per_layer * norm
    dense = _mlp(dims.hidden_size, dims.intermediate_size, family, family.mlp_bias)
    expert = _expert(dims, family)
    router = dims.hidden_size * dims.experts + (dims.experts if family.router_bias else 0)
    shared = dims.shared_experts * expert
    stack = dims.layers * every + dims.moe_layers * (shared + router) + (dims.layers - dims.moe_layers) * dense
    if dims.linear_value_width:
        stack += dims.linear_layers * (_linear_attention(dims) - attention(dims, family))
    if dims.global_layers and dims.global_head_dim:
        stack += dims.global_layers * (_global_attention(dims, family) - attention(dims, family))
    if dims.encoder_layers:  # each decoder layer attends to the encoder too, behind a norm of its own
        stack += dims.layers * (attention(dims, family) + norm) + dims.encoder_layers * (every + dense)
    return stack


def attention(dims: Dimensions, family: ModelFamily) -> int:
    """Parameters of one attention block, grouped-query or latent."""
    h, heads = dims.hidden_size, dims.attention_heads
    if dims.kv_lora_rank:
        query_width = heads * (dims.nope_head_dim + dims.rope_head_dim)
        query = (
            h * dims.q_lora_rank + dims.q_lora_rank + dims.q_lora_rank * query_width
            if dims.q_lora_rank
            else h * query_width
        )
        compress = h * (dims.kv_lora_rank + dims.rope_head_dim) + dims.kv_lora_rank
        expand = dims.kv_lora_rank * heads * (dims.nope_head_dim + dims.value_head_dim)
        return query + compress + expand + heads * dims.value_head_dim * h
    q_width, kv_width = heads * dims.head_dim, dims.kv_heads * dims.head_dim
    if dims.output_rank:  # keys are values
        query = (h + 1 + q_width) * dims.q_lora_rank if dims.q_lora_rank else h * q_width
        return query + h * kv_width + q_width * dims.output_rank + dims.output_groups * dims.output_rank * h
    biases = {
        "none": 0,
        "qkv": q_width + 2 * kv_width,
        "qvo": q_width + kv_width + h,
        "qkvo": q_width + 2 * kv_width + h,
    }[family.attention_bias]
    norms = {"none": 0, "head": 2 * dims.head_dim, "full": q_width + kv_width}[family.qk_norm]
    gate = h * q_width if family.has_output_gate else 0
    return 2 * h * q_width + 2 * h * kv_width + gate + biases + norms + (heads if family.has_sinks else 0)


def _linear_attention(dims: Dimensions) -> int:
    """A gated delta rule: queries and keys, values, their gate, two rates per head, a convolution of four, the output."""
    h, key, value = dims.hidden_size, dims.linear_key_width, dims.linear_value_width
    heads = value // LINEAR_HEAD
    mixed = 2 * key + value
    return h * (mixed + value + 2 * heads) + 4 * mixed + 2 * heads + LINEAR_HEAD + value * h


def _global_attention(dims: Dimensions, family: ModelFamily) -> int:
    """Attention of a global layer whose heads differ; keys may serve as values."""
    q_width, kv_width = dims.attention_heads * dims.global_head_dim, dims.global_kv_heads * dims.global_head_dim
    norms = 2 * dims.global_head_dim if family.qk_norm == "head" else 0
    return 2 * dims.hidden_size * q_width + (1 if family.has_shared_kv else 2) * dims.hidden_size * kv_width + norms


def _mlp(hidden: int, width: int, family: ModelFamily, has_bias: bool) -> int:
    bias = (family.mlp_matrices - 1) * width + hidden if has_bias else 0
    return family.mlp_matrices * hidden * width + bias


def _expert(dims: Dimensions, family: ModelFamily) -> int:
    return _mlp(dims.hidden_size, dims.expert_intermediate_size, family, family.expert_bias)


def _ends(dims: Dimensions, family: ModelFamily) -> int:
    """Positions, token types, pooler and the norms outside the layers."""
    h = dims.hidden_size
    norm = h * (2 if family.norm_bias else 1)
    positions = dims.max_positions * h if family.has_positions else 0
    pooler = h * h + h if family.has_pooler else 0
    return (
        dims.extra_parameters + positions + family.token_types * h + pooler + norm * (2 if dims.encoder_layers else 1)
    )
