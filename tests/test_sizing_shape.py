"""Shapes of models: counted parameters, configs, bare numbers, and names."""

import json
from pathlib import Path

import pytest

from infragen.decide.sizing.config import from_config
from infragen.decide.sizing.count import count
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import kv_bytes
from infragen.decide.sizing.names import find, find_base, quantisation
from infragen.decide.sizing.precision import weight_bytes
from infragen.decide.sizing.shape import ShapeError, card_dimensions, from_card, from_numbers, overridden
from infragen.descriptor.model import Model
from infragen.facts.load import Catalog
from infragen.facts.model import ModelCard
from infragen.units import GIB

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)
COUNTED = [card for card in CATALOG.models.values() if card.parameters_method.startswith("computed")]
CONFIGS = json.loads((Path(__file__).parent / "sizing" / "configs.json").read_text(encoding="utf-8"))


def test_there_are_counted_cards() -> None:
    assert len(COUNTED) > 50


@pytest.mark.parametrize("card", COUNTED, ids=lambda card: card.name)
def test_counted_parameters_agree_with_the_card(card: ModelCard) -> None:
    family = FACTS.family(card.name, card.family)
    dims = card_dimensions(card, family)
    assert dims is not None
    found = count(dims, family)
    assert found.total == pytest.approx(card.parameters, rel=0.0005)
    if card.active_parameters:
        assert found.active == pytest.approx(card.active_parameters, rel=0.005)


@pytest.mark.parametrize("card", CATALOG.models.values(), ids=lambda card: card.name)
def test_every_card_has_a_sound_shape(card: ModelCard) -> None:
    shape = from_card(card, FACTS)
    assert shape.parameters == card.parameters
    assert 0 < shape.active_parameters <= shape.parameters
    assert 0 <= shape.embedding_parameters + shape.expert_parameters <= shape.parameters * 1.0001
    assert shape.checkpoint_format in FACTS.formats
    if shape.is_generative and card.kv_bytes_per_token:
        per_token = 2 * sum(group.layers * group.values_per_token for group in shape.attention)
        assert per_token == card.kv_bytes_per_token


def test_windows_stop_the_cache_from_growing() -> None:
    """Five local layers of 1,024 tokens to one global: far below the card's upper bound at long context."""
    card = CATALOG.models["Gemma-3-27b"]
    shape = from_card(card, FACTS)
    at_128k = kv_bytes(shape, 131_072, 2.0)
    assert card.kv_bytes_per_token is not None
    assert at_128k < 0.2 * card.kv_bytes_per_token * 131_072
    assert sum(group.layers for group in shape.attention) == 62
    assert sum(group.layers for group in shape.attention if group.window_tokens is None) == 10


def test_linear_attention_keeps_a_constant_state() -> None:
    shape = from_card(CATALOG.models["Qwen3-Next-80B-A3B"], FACTS)
    growth = kv_bytes(shape, 32_768, 2.0) - kv_bytes(shape, 16_384, 2.0)
    assert growth == pytest.approx(12 * 2 * 2 * 256 * 2 * 16_384)


@pytest.mark.parametrize(("name", "gib"), [("gpt-oss-20b", 12.8), ("gpt-oss-120b", 60.8)])
def test_mixed_checkpoints_weigh_what_is_published(name: str, gib: float) -> None:
    shape = from_card(CATALOG.models[name], FACTS)
    assert weight_bytes(shape, FACTS.formats["mxfp4"]) / GIB == pytest.approx(gib, rel=0.02)


def test_quantised_checkpoints_keep_embeddings_in_16_bits() -> None:
    shape = from_card(CATALOG.models["Llama-3.1-8B"], FACTS)
    assert weight_bytes(shape, FACTS.formats["fp8"]) == pytest.approx(8.03e9 + 2 * 128_256 * 4096, rel=0.001)


@pytest.mark.parametrize("case", CONFIGS, ids=lambda case: case["name"])
def test_configs_of_known_architectures(case: dict) -> None:
    shape = from_config(case["config"], FACTS, case["name"])
    assert shape.parameters == pytest.approx(case["parameters"], rel=case.get("tolerance", 0.005))
    if "active" in case:
        assert shape.active_parameters == pytest.approx(case["active"], rel=0.01)
    if "kv_bytes_per_token" in case:
        # below every window
        assert kv_bytes(shape, 64, 2.0) / 64 == pytest.approx(case["kv_bytes_per_token"])
    for field in ("kind", "modality", "checkpoint_format", "max_context_tokens"):
        if field in case:
            assert getattr(shape, field) == case[field], field


GROUP = {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}}
FLOATS = {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}}


@pytest.mark.parametrize(
    ("quantised", "stored"),
    [
        ({"quant_method": "gptq", "bits": 4}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "awq", "w_bit": 4}, "int4"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "fp8"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": GROUP}, "int4"),
        (
            {"quant_method": "compressed-tensors", "config_groups": GROUP, "ignore": ["re:.*self_attn.*"]},
            "int4-experts",
        ),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": FLOATS}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8"),
        ({"quant_method": "somethingnew"}, "bf16"),
    ],
)
def test_quantised_configs(quantised: dict, stored: str) -> None:
    llama = next(case["config"] for case in CONFIGS if case["name"] == "llama-3.1-8b")
    assert from_config({**llama, "quantization_config": quantised}, FACTS).checkpoint_format == stored


def test_an_unknown_architecture_is_the_common_block_and_says_so() -> None:
    config = {"model_type": "somethingnew", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
              "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}  # fmt: skip
    shape = from_config(config, FACTS)
    assert shape.parameters == pytest.approx(8.03e9, rel=0.001)
    assert shape.is_estimated
    assert "somethingnew" in shape.assumptions[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "width of the model"),
        ([], "not a mapping"),
        ({"hidden_size": 4096}, "number of layers"),
        ({"hidden_size": "wide", "n_layer": 2}, "width of the model"),
        ({"hidden_size": -1}, "`hidden_size` of the config is -1"),
        ({"hidden_size": float("nan"), "num_hidden_layers": 1}, "`hidden_size` of the config is nan"),
        ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 4}, "share 4 KV"),
        ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}, "vocabulary"),
        ({"hidden_size": [1, 2], "num_hidden_layers": 2, "num_attention_heads": 4}, "a width of 2 does not divide"),
        (
            {
                "hidden_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_local_experts": 8,
                "num_experts_per_tok": 9,
            },
            "cannot visit 9 of 8 experts",
        ),
        ({"hidden_size": 64, "num_hidden_layers": 52, "hybrid_override_pattern": "M-M*"}, "are not counted"),
    ],
)
def test_configs_that_describe_nothing(config: object, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        from_config(config, FACTS)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert caught.value.help


def test_bare_parameters_are_filled_in_and_said_so() -> None:
    shape = from_numbers(Model(parameters=70.6e9), FACTS)
    assert shape.parameters == 70.6e9
    assert shape.is_estimated
    assert "leaves out" in shape.assumptions[0]
    assert 60 <= shape.layers <= 110
    assert shape.attention_heads % 8 == 0


def test_given_widths_are_counted() -> None:
    given = Model(
        layers=32, hidden_size=4096, intermediate_size=14336, attention_heads=32, kv_heads=8, vocabulary=128_256
    )
    shape = from_numbers(given, FACTS)
    assert shape.parameters == pytest.approx(8.03e9, rel=0.001)
    assert not shape.is_estimated


def test_active_parameters_make_a_mixture() -> None:
    shape = from_numbers(Model(parameters=100e9, active_parameters=12e9), FACTS)
    assert shape.is_moe
    assert shape.dense_parameters < shape.active_parameters


def test_numbers_that_say_nothing_of_the_size() -> None:
    with pytest.raises(ShapeError, match="how large"):
        from_numbers(Model(layers=12), FACTS)


def test_numbers_beside_a_name_take_the_place_of_the_card() -> None:
    shape = from_card(CATALOG.models["Llama-3.1-8B"], FACTS)
    assert overridden(shape, Model(max_context_tokens=8192)).max_context_tokens == 8192
    assert overridden(shape, Model(parameters=4e9)).active_parameters == 4e9


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", "Llama-3.1-70B"),
        ("meta-llama/Meta-Llama-3.1-405B-Instruct", "Llama-3.1-405B"),
        ("llama3.1-8b", "Llama-3.1-8B"),
        ("LLAMA_3_1_8B", "Llama-3.1-8B"),
        ("llama-2-7b-chat-hf", "Llama-2-7b"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "Qwen3-235B-A22B"),
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek-R1"),
        ("mistralai/Mistral-7B-Instruct-v0.1", "Mistral-7B-v0.1"),
        ("google/gemma-3-27b-it", "Gemma-3-27b"),
        ("Qwen/Qwen3-8B-Base", "Qwen3-8B"),
        ("mixtral 8x7b", "Mixtral-8x7B"),
        ("Llama-3.3-70B", "Llama-3.3-70B-Instruct"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", "Qwen3-30B-A3B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "DeepSeek-R1-Distill-Qwen-32B"),
        ("moonshotai/Kimi-K2-Thinking", "Kimi-K2-Thinking"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "Mistral-7B-Instruct-v0.2"),
        ("deepseek-ai/DeepSeek-V3.1-Terminus", "DeepSeek-V3.1"),
        ("phi-4-instruct", "Phi-4"),
        ("microsoft/Phi-4-mini-reasoning", "Phi-4-mini"),
    ],
)
def test_spellings_of_a_name(asked: str, found: str) -> None:
    card = find(asked, CATALOG.models)
    assert isinstance(card, ModelCard)
    assert card.name == found


@pytest.mark.parametrize("name", [name for card in CATALOG.models.values() for name in (card.name, card.hf_id)])
def test_every_name_of_the_catalogue_is_found(name: str) -> None:
    card = find(name, CATALOG.models)
    assert isinstance(card, ModelCard)
    assert name in (card.name, card.hf_id)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("llama-3.1-80b", "Llama-3.1-8B"),
        ("t5", "T5-small"),
        ("bert-base", "BERT-base-uncased"),
        ("meta-llama/Llama-3.1-70B-Instruct-FP8", "Llama-3.1-70B"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "Llama-3.1-70B"),
        ("Mistral-7B-v0.4", "Mistral-7B-v0.1"),
        ("mistral-small", "Mistral-Small-24B"),
        ("stable-diffusion-xl", "SDXL-base-1.0"),
        ("TheBloke/Llama-2-7B-Chat-GGUF", "Llama-2-7b"),
    ],
)
def test_another_size_version_or_quantisation_is_only_suggested(asked: str, near: str) -> None:
    names = find(asked, CATALOG.models)
    assert isinstance(names, tuple)
    assert near in names


@pytest.mark.parametrize("asked", ["", "/", "🦙", "completely-different-thing"])
def test_nothing_near(asked: str) -> None:
    assert find(asked, CATALOG.models) == ()


@pytest.mark.parametrize(
    ("asked", "base", "precision"),
    [
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "Llama-3.1-70B", "int4"),
        ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "Llama-3.1-70B", "int4"),
        ("RedHatAI/Llama-4-Maverick-17B-128E-Instruct-FP8-dynamic", "Llama-4-Maverick-17B-128E", "fp8"),
        ("Qwen/Qwen2.5-32B-Instruct-GPTQ-Int8", "Qwen2.5-32B", "int8"),
        ("nvidia/DeepSeek-R1-0528-FP4", "DeepSeek-R1", "nvfp4"),
        ("unsloth/Llama-3.3-70B-Instruct-bnb-4bit", "Llama-3.3-70B-Instruct", "int4"),
        ("unsloth/DeepSeek-R1-bf16", "DeepSeek-R1", "bf16"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama-3.1-8B", "int4"),
        ("google/gemma-3-27b-it-qat-q4_0-gguf", "Gemma-3-27b", "int4"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-FP8", "Nemotron-3-Nano-30B-A3B", "fp8"),
    ],
)
def test_a_quantised_variant_is_its_base_with_that_precision(asked: str, base: str, precision: str) -> None:
    based = find_base(asked, CATALOG.models)
    assert based is not None
    assert (based[0].name, based[1]) == (base, precision)


def test_no_variant_of_anything() -> None:
    assert find_base("Llama-3.1-70B", CATALOG.models) is None
    assert find_base("completely-different-thing-awq", CATALOG.models) is None
    assert find_base("Llama-3.1-71B-AWQ", CATALOG.models) is None


def test_quantisation_in_a_name() -> None:
    assert quantisation("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16") == "int4"
    assert quantisation("Llama-3.1-8B-Instruct-FP8") == "fp8"
    assert quantisation("Llama-3.1-8B") is None
