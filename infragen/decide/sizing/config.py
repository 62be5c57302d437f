"""The shape of a model from its Hugging Face ``config.json``.

Takes the parsed mapping. Gives a `ModelShape` whose parameters are counted from the widths; raises ShapeError with
message and help where the file does not describe a transformer. An unknown architecture with the usual keys still works,
as the common block, and says so in ``assumptions``.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from infragen.decide.sizing.count import Dimensions
from infragen.decide.sizing.facts import ModelFamily, SizingFacts
from infragen.decide.sizing.shape import (
    CHECKPOINT_FORMATS,
    Kind,
    ModelShape,
    ShapeError,
    attention_layers,
    audio_front,
    family_widths,
    from_dimensions,
)

Config = Mapping[str, object]
MOST = 10**9  # no width, depth or vocabulary is larger

HIDDEN = ("hidden_size", "d_model", "n_embd", "dim", "model_dim")
LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "encoder_layers")
HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "decoder_attention_heads", "encoder_attention_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "n_kv_heads")
HEAD_DIM = ("head_dim", "d_kv", "kv_channels")
FEED_FORWARD = (
    "intermediate_size_mlp", "dense_intermediate_size", "intermediate_size", "n_inner", "d_ff", "ffn_dim", "hidden_dim", "ffn_hidden_size", "decoder_ffn_dim",
)  # fmt: skip
VOCABULARY = ("vocab_size", "padded_vocab_size", "n_vocab")
POSITIONS = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length",
    "max_target_positions", "model_max_length",
)  # fmt: skip
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "num_moe_experts", "moe_num_experts")
EXPERTS_PER_TOKEN = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k_experts", "moe_top_k")
EXPERT_WIDTH = ("moe_intermediate_size", "expert_intermediate_size", "moe_ffn_hidden_size")
SHARED_EXPERTS = ("n_shared_experts", "num_shared_experts")
NEEDED = frozenset({*HIDDEN, *LAYERS, *HEADS, *VOCABULARY})
UNCOUNTED = {  # keys of layers that are no transformer blocks of one shape
    "hybrid_override_pattern": "state-space and attention layers in a pattern",
    "layers_block_type": "state-space and attention layers in a pattern",
    "block_configs": "layers that differ from each other",
    "ssm_cfg": "state-space layers",
    "mamba_d_state": "state-space layers",
}

ENCODER_HEADS = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForImageClassification")
QUANTISED = {
    "fp8": "fp8", "compressed-tensors": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "awq": "int4", "gptq": "int4",
    "auto-round": "int4", "nvfp4": "nvfp4", "mxfp8": "fp8", "w4a16": "int4", "int8": "int8", "w8a8": "int8",
}  # fmt: skip
NVFP4_GROUP = 16  # weights that share a scale; in the open format they are 32


def from_config(config: Mapping[str, object], facts: SizingFacts, name: str = "model") -> ModelShape:
    """The shape that a ``config.json`` describes. Raises ShapeError."""
    text = _text_part(config)
    model_type = str(text.get("model_type") or config.get("model_type") or "")
    family = facts.family(model_type)
    _refuse_uncounted(text)
    notes: list[str] = []
    if model_type.lower() not in facts.families:
        notes.append(f"`{model_type or 'unnamed'}` is not a known architecture: the common gated block is taken")
    family = _adjusted(text, family)
    kind = _kind(text, family)
    dims = _dimensions(text, family, kind)
    shape = from_dimensions(name, kind, dims, family)
    extra = _tower_parameters(config)
    if extra:
        notes.append(f"encoders beside the language model: about {extra / 1e9:.2g} B parameters")
    return replace(
        shape,
        modality="text+image" if extra else _modality(kind, text),
        extra_parameters=extra,
        max_context_tokens=_integer(text, POSITIONS),
        checkpoint_format=_checkpoint_format(config, text),
        attention=attention_layers(dims, family, _window(text), kind),
        is_estimated=model_type.lower() not in facts.families,
        assumptions=tuple(notes),
    )


def _refuse_uncounted(text: Config) -> None:
    """Raises ShapeError for layers whose parameters and cache do not follow from the common widths."""
    for key, meaning in UNCOUNTED.items():
        if text.get(key):
            raise ShapeError(
                f"the config describes {meaning} (`{key}`), which are not counted",
                "give the model's published `parameters` and `active_parameters` in place of `config`",
            )


def _text_part(config: Config) -> Config:
    """The language model of a config, which multimodal ones keep in a section of its own."""
    if not isinstance(config, Mapping):
        raise ShapeError("the config is not a mapping", "give the model's `config.json`")
    for key in ("text_config", "llm_config", "language_config", "thinker_config"):
        part = config.get(key)
        if isinstance(part, Mapping):
            return {**{k: v for k, v in config.items() if not isinstance(v, Mapping)}, **part}
    return config


def _integer(config: Config, keys: tuple[str, ...]) -> int | None:
    """The first of the keys that holds a usable number; the largest of a list (one per layer)."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, list) and value:
            value = max((one for one in value if isinstance(one, (int, float))), default=None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not 0 < value <= MOST or value != int(value):
            if key in POSITIONS or (value == 0 and key not in NEEDED):
                continue  # some tokenizers write 1e30 for no limit; a part of width 0 is not there
            raise ShapeError(f"`{key}` of the config is {value}", f"a whole number from 1 to {MOST:,} is expected")
        return int(value)
    return None


def _needed(config: Config, keys: tuple[str, ...], meaning: str) -> int:
    value = _integer(config, keys)
    if value is None:
        raise ShapeError(
            f"the config does not state the {meaning}", f"a transformer's `config.json` has `{keys[0]}` or `{keys[1]}`"
        )
    return value


def _adjusted(config: Config, family: ModelFamily) -> ModelFamily:
    """The family with what this config says of itself."""
    changes: dict[str, object] = {}
    if config.get("attention_bias") is True and family.attention_bias == "none":
        changes["attention_bias"] = "qkvo"
    if isinstance(config.get("mlp_bias"), bool):
        changes["mlp_bias"] = config["mlp_bias"]
    changes |= _of_layers_apart(config)
    if config.get("qk_norm") is True or config.get("use_qk_norm") is True:
        changes["qk_norm"] = "head" if family.qk_norm == "none" else family.qk_norm
    if "gated" in str(config.get("feed_forward_proj", "")):
        changes["mlp_matrices"] = 3
    local = _local_per_global(config)
    if local is not None:
        changes["local_per_global"] = local
    linear = _linear_per_full(config)
    if linear is not None:
        changes["linear_per_full"] = linear
    if "first_k_dense_replace" in config:
        changes["dense_layers"] = _count(config, "first_k_dense_replace")
    every = _integer(config, ("moe_layer_freq", "decoder_sparse_step", "interleave_moe_layer_step"))
    if every:
        changes["moe_every"] = every
    for key, field in (
        ("q_lora_rank", "q_lora_rank"), ("kv_lora_rank", "kv_lora_rank"), ("qk_rope_head_dim", "rope_head_dim"),
        ("qk_nope_head_dim", "nope_head_dim"), ("v_head_dim", "value_head_dim"),
    ):  # fmt: skip
        if key in config:
            changes[field] = _integer(config, (key,))
    if _integer(config, ("kv_lora_rank",)) is None and "kv_lora_rank" not in config and _integer(config, KV_HEADS):
        changes.setdefault("kv_lora_rank", family.kv_lora_rank)
    return replace(family, **changes)


def _of_layers_apart(config: Config) -> dict[str, object]:
    """What a config says of linear attention, and of global layers that are built otherwise than windowed ones."""
    changes: dict[str, object] = {}
    if config.get("attn_output_gate") is True:
        changes["has_output_gate"] = True
    heads, width = _integer(config, ("linear_num_value_heads",)), _integer(config, ("linear_value_head_dim",))
    if heads and width:
        key_heads, key_width = _integer(config, ("linear_num_key_heads",)), _integer(config, ("linear_key_head_dim",))
        changes["linear_key_width"] = (key_heads or heads) * (key_width or width)
        changes["linear_value_width"] = heads * width
    global_width = _integer(config, ("global_head_dim",))
    if global_width:
        changes["global_head_dim"] = global_width
        changes["global_kv_heads"] = _integer(config, ("num_global_key_value_heads",)) or 0
        changes["has_shared_kv"] = config.get("attention_k_eq_v") is True
    return changes


def _count(config: Config, key: str) -> int:
    value = config.get(key)
    return int(value) if isinstance(value, int) and 0 <= value < 10_000 else 0


def _local_per_global(config: Config) -> int | None:
    """Windowed layers per global one, from the list of layer types or the pattern's length."""
    types = config.get("layer_types")
    if isinstance(types, list) and types:
        wide = sum(1 for one in types if "full" in str(one))
        local = sum(1 for one in types if "sliding" in str(one) or "chunked" in str(one))
        return round(local / wide) if wide and local else None
    pattern = _integer(config, ("sliding_window_pattern", "_sliding_window_pattern"))
    return pattern - 1 if pattern and pattern > 1 else None


def _linear_per_full(config: Config) -> int | None:
    types = config.get("layer_types")
    if isinstance(types, list) and any("linear" in str(one) for one in types):
        wide = sum(1 for one in types if "full" in str(one))
        return round((len(types) - wide) / wide) if wide else None
    interval = _integer(config, ("full_attention_interval",))
    return interval - 1 if interval and interval > 1 else None


def _window(config: Config) -> int | None:
    if config.get("use_sliding_window") is False:
        return None
    return _integer(config, ("sliding_window", "attention_chunk_size", "local_attention"))


def _kind(config: Config, family: ModelFamily) -> Kind:
    if config.get("is_encoder_decoder") is True:
        return "encoder-decoder"
    architectures = config.get("architectures")
    words = " ".join(map(str, architectures)) if isinstance(architectures, list) else ""
    if config.get("is_decoder") is True or "CausalLM" in words:
        return "decoder"
    if any(head in words for head in ENCODER_HEADS) or ("image_size" in config and "vocab_size" not in config):
        return "encoder"
    return "encoder" if "type_vocab_size" in config else family.kind


def _modality(kind: Kind, config: Config) -> str:
    if "num_mel_bins" in config:
        return "audio"
    if "image_size" in config and "vocab_size" not in config:
        return "image-encoder"
    return {"encoder": "text-encoder", "encoder-decoder": "text-encoder-decoder"}.get(kind, "text")


def _dimensions(config: Config, family: ModelFamily, kind: Kind) -> Dimensions:
    hidden = _needed(config, HIDDEN, "width of the model")
    layers = _needed(config, LAYERS, "number of layers")
    heads = _needed(config, HEADS, "number of attention heads")
    head_dim = _integer(config, HEAD_DIM) or max(1, hidden // heads)
    kv_heads = _kv_heads(config, heads)
    if heads % kv_heads:
        raise ShapeError(
            f"{heads} attention heads cannot share {kv_heads} KV heads", "check `num_key_value_heads` of the config"
        )
    if hidden < heads:
        raise ShapeError(
            f"a width of {hidden} does not divide among {heads} attention heads", f"check `{HIDDEN[0]}` of the config"
        )
    feed_forward = _integer(config, FEED_FORWARD) or 4 * hidden
    experts = _integer(config, EXPERTS) or 0
    per_token = (_integer(config, EXPERTS_PER_TOKEN) or 1) if experts else 0
    if per_token > experts:
        raise ShapeError(
            f"a token cannot visit {per_token} of {experts} experts", f"check `{EXPERTS_PER_TOKEN[0]}` of the config"
        )
    expert_width = _integer(config, EXPERT_WIDTH) or _integer(config, ("intermediate_size",)) or feed_forward
    shared = _integer(config, SHARED_EXPERTS) or 0
    shared_width = _integer(config, ("shared_expert_intermediate_size",))
    if experts and shared_width:
        shared = max(1, round(shared_width / expert_width))
    if experts and config.get("enable_moe_block") is True:
        shared = max(1, round(feed_forward / expert_width))  # a dense part beside the experts of every layer
    if experts and not shared and family.window_tokens and "intermediate_size_mlp" in config:
        shared = 1  # a shared expert that the config takes for granted
    tied = config.get("tie_word_embeddings")
    has_latent, output_rank = bool(family.kv_lora_rank), _integer(config, ("o_lora_rank",)) or 0
    positions = _integer(config, POSITIONS) or 0
    image_positions, patch = _image_front(config, hidden)
    vocabulary = _integer(config, VOCABULARY) or 0
    if not vocabulary and "image_size" not in config:
        raise ShapeError(
            "the config does not state the vocabulary", "a language model's `config.json` has `vocab_size`"
        )
    is_audio = "num_mel_bins" in config
    audio = replace(
        family,
        audio_bands=_integer(config, ("num_mel_bins",)) or family.audio_bands,
        encoder_positions=_integer(config, ("max_source_positions",)) or family.encoder_positions,
    )
    decoder_layers = _integer(config, ("decoder_layers", "num_decoder_layers")) or layers
    return Dimensions(
        layers=decoder_layers if kind == "encoder-decoder" else layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=feed_forward,
        vocabulary=vocabulary,
        tied_embeddings=tied if isinstance(tied, bool) else kind != "decoder" or bool(family.default_tied),
        max_positions=image_positions or positions,
        experts=experts,
        experts_per_token=per_token,
        expert_intermediate_size=expert_width if experts else 0,
        shared_experts=shared if experts else 0,
        dense_layers=min(layers, family.dense_layers) if experts else 0,
        moe_every=max(1, family.moe_every),
        q_lora_rank=(family.q_lora_rank or 0) if has_latent or output_rank else 0,
        output_rank=output_rank,
        output_groups=_integer(config, ("o_groups",)) or 1,
        kv_lora_rank=family.kv_lora_rank or 0,
        rope_head_dim=(family.rope_head_dim or 0) if has_latent else 0,
        nope_head_dim=(family.nope_head_dim or 0) if has_latent else 0,
        value_head_dim=(family.value_head_dim or 0) if has_latent else 0,
        **family_widths(family, layers, kv_heads),
        encoder_layers=(_integer(config, ("encoder_layers",)) or layers) if kind == "encoder-decoder" else 0,
        extra_parameters=(audio_front(audio, hidden) if is_audio else 0) + patch,
    )


def _kv_heads(config: Config, heads: int) -> int:
    """KV heads; multi-query configs of some families repeat the number of query heads in that place."""
    if config.get("multi_query") is True and config.get("new_decoder_architecture") is not True:
        return 1
    return _integer(config, KV_HEADS) or heads


def _image_front(config: Config, hidden: int) -> tuple[int, int]:
    """(positions, parameters of the patch projection and class token) of an image encoder; zeros of any other model."""
    size, patch = _integer(config, ("image_size",)), _integer(config, ("patch_size",))
    if not size or not patch or "vocab_size" in config:
        return 0, 0
    channels = _integer(config, ("num_channels",)) or 3
    return (size // patch) ** 2 + 1, channels * patch * patch * hidden + 2 * hidden


def _tower_parameters(config: Config) -> float:
    """Parameters of vision and audio encoders beside the language model: 12·L·h² each."""
    total = 0.0
    for key in ("vision_config", "audio_config"):
        tower = config.get(key)
        if isinstance(tower, Mapping):
            hidden, layers = _integer(tower, HIDDEN), _integer(tower, (*LAYERS, "depth"))
            if hidden and layers:
                width = _integer(tower, FEED_FORWARD) or 4 * hidden
                total += layers * (4.0 * hidden * hidden + 2.0 * hidden * width)
    return total


def _checkpoint_format(config: Config, text: Config) -> str:
    """The storage format of the published weights."""
    quantised = config.get("quantization_config") or text.get("quantization_config")
    if str(text.get("expert_dtype", "")).lower() == "fp4":
        return "mxfp4"
    if isinstance(quantised, Mapping):
        found = _quantised_format(quantised)
        if found:
            return found
    dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype") or config.get("dtype") or "")
    return CHECKPOINT_FORMATS.get(dtype.removeprefix("torch."), "bf16")


def _quantised_format(quantised: Config) -> str | None:
    """The format that a ``quantization_config`` describes; None where it says none that is known."""
    weights = _group_weights(quantised)
    if weights and weights.get("num_bits") in (4, 8):
        return _group_format(weights, quantised)
    for spelled in (quantised.get("quant_algo"), quantised.get("format")):
        words = str(spelled or "").lower().replace("-", "_").split("_")
        found = next((QUANTISED[word] for word in words if word in QUANTISED), None)
        if found:
            return found
    method = str(quantised.get("quant_method", "")).lower()
    if method == "bitsandbytes":
        return "nf4" if quantised.get("load_in_4bit") or quantised.get("_load_in_4bit") else "int8"
    bits = quantised.get("bits") or quantised.get("num_bits") or quantised.get("w_bit")
    return "int8" if bits == 8 and QUANTISED.get(method) == "int4" else QUANTISED.get(method)


def _group_format(weights: Config, quantised: Config) -> str:
    """The format of a group of layers in 4 or 8 bits."""
    is_integer = weights.get("type") == "int"
    if weights.get("num_bits") == 8:
        return "int8" if is_integer else "fp8"
    if is_integer:
        return "int4-experts" if _skips_attention(quantised) else "int4"
    return "nvfp4" if weights.get("group_size") == NVFP4_GROUP else "mxfp4"


def _group_weights(quantised: Config) -> Config | None:
    """How the first group of layers stores its weights."""
    groups = quantised.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    return weights if isinstance(weights, Mapping) else None


def _skips_attention(quantised: Config) -> bool:
    """Attention is among what stays unquantised."""
    ignored = quantised.get("ignore")
    return isinstance(ignored, list) and any("attn" in str(one) for one in ignored)
