"""The worked examples of the field, W01 to W25: published or derived figures that the formulas must give back."""

import statistics

import pytest
from msgspec.structs import replace

from infragen.decide.model import Range
from infragen.decide.sizing import checkpoint, memory
from infragen.decide.sizing.energy import kg_co2e_per_hour, power_kw
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import (
    adapter_parameters,
    block_activation_bytes,
    kv_bytes,
    layer_activation_bytes,
    sharded_state,
    state_bytes,
)
from infragen.decide.sizing.node import Node, Shortfall
from infragen.decide.sizing.precision import Arithmetic, checkpoint_bytes, rest_bytes, weight_bytes
from infragen.decide.sizing.roofline import Replica, Speed, band_of, speed
from infragen.decide.sizing.serving import ServeNeed, size_serving
from infragen.decide.sizing.shape import ModelShape, from_card, from_numbers
from infragen.decide.sizing.training import TrainNeed, run_hours, size_training
from infragen.descriptor.model import Model
from infragen.facts.load import Catalog
from infragen.units import GIB

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)


def shape(name: str) -> ModelShape:
    return from_card(CATALOG.models[name], FACTS)


def node(accelerator: str, count: int) -> Node:
    return Node(CATALOG.accelerators[accelerator], count, 26 * count, 234.0 * count, 100.0)


@pytest.mark.parametrize(("name", "gb"), [("Llama-2-7b", 13.48), ("Llama-2-13b", 26.03), ("Llama-2-70b", 137.95)])
def test_w01_weights_in_16_bits(name: str, gb: float) -> None:
    assert weight_bytes(shape(name), FACTS.formats["fp16"]) / 1e9 == pytest.approx(gb, rel=0.01)


@pytest.mark.parametrize(
    ("name", "kib_per_token"),
    [("Llama-2-7b", 512), ("Llama-2-13b", 800), ("Llama-2-70b", 320), ("Llama-3-70B", 320), ("DeepSeek-V3", 68.6)],
)
def test_w02_w03_w04_w19_cache_per_token(name: str, kib_per_token: float) -> None:
    assert kv_bytes(shape(name), 16, 2.0) / 16 / 1024 == pytest.approx(kib_per_token, rel=0.001)


def test_w02_one_sequence() -> None:
    assert kv_bytes(shape("Llama-2-7b"), 4096, 2.0) == 2 * GIB


@pytest.mark.parametrize(
    ("name", "gb"),
    [
        ("Llama-3.1-8B", (16, 8, 4)),
        ("Llama-3.1-70B", (140, 70, 35)),
        ("Llama-3.1-405B", (810, 405, 203)),
    ],
)
def test_w05_nominal_checkpoint_sizes(name: str, gb: tuple[float, ...]) -> None:
    sizes = [checkpoint_bytes(shape(name).parameters, one, FACTS) / 1e9 for one in ("fp16", "fp8", "int4")]
    assert sizes == pytest.approx(gb, rel=0.02)


@pytest.mark.parametrize(
    ("name", "tokens", "gib"),
    [
        ("Llama-3.1-8B", 1024, 0.125), ("Llama-3.1-8B", 16_000, 1.95), ("Llama-3.1-8B", 128_000, 15.62),
        ("Llama-3.1-70B", 1024, 0.313), ("Llama-3.1-70B", 16_000, 4.88), ("Llama-3.1-70B", 128_000, 39.06),
        ("Llama-3.1-405B", 1024, 0.492), ("Llama-3.1-405B", 16_000, 7.69), ("Llama-3.1-405B", 128_000, 61.5),
        ("Llama-3.1-8B", 131_072, 16.0), ("Llama-3.1-70B", 131_072, 40.0), ("Llama-3.1-405B", 131_072, 63.0),
    ],
)  # fmt: skip
def test_w06_cache_of_long_contexts(name: str, tokens: int, gib: float) -> None:
    assert kv_bytes(shape(name), tokens, 2.0) / GIB == pytest.approx(gib, rel=0.01)


def test_w07_405b_fits_eight_80_gb_chips_in_fp8_only() -> None:
    eight = node("H100-80GB", 8)
    refused = size_serving(shape("Llama-3.1-405B"), ServeNeed(precision="bf16"), eight, FACTS, nodes=1)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "memory"
    assert refused.needed > refused.available
    assert not isinstance(size_serving(shape("Llama-3.1-405B"), ServeNeed(precision="fp8"), eight, FACTS, 1), Shortfall)


@pytest.mark.parametrize(
    ("name", "lora_gb", "qlora_gb"),
    [("Llama-3.1-8B", 16, 6), ("Llama-3.1-70B", 160, 48), ("Llama-3.1-405B", 950, 250)],
)
def test_w08_adapter_training_in_the_published_order(name: str, lora_gb: float, qlora_gb: float) -> None:
    """Rough published estimates, held to 30 %: base weights plus adapters with their state."""
    model = shape(name)
    adapters = adapter_parameters(model, 16) * 16
    lora = weight_bytes(model, FACTS.formats["bf16"]) + adapters
    qlora = rest_bytes(model, FACTS.formats["nf4"]) + adapters
    assert lora / 1e9 == pytest.approx(lora_gb, rel=0.30)
    assert qlora / 1e9 == pytest.approx(qlora_gb, rel=0.30)


def test_adapters_of_rank_16_on_all_linear_layers() -> None:
    assert adapter_parameters(shape("Llama-3.1-8B"), 16) == 32 * 1_310_720


@pytest.mark.parametrize(
    ("ranks", "sharding", "gb"), [(1, "zero-1", 120), (64, "zero-1", 31.4), (64, "zero-2", 16.6), (64, "zero-3", 1.88)]
)
def test_w09_zero_stages(ranks: int, sharding: memory.Sharding, gb: float) -> None:
    state = state_bytes(FACTS.optimizers[("adamw", "fp32")])
    assert state.total == 16
    assert sharded_state(state, 7.5e9, ranks, sharding).total / 1e9 == pytest.approx(gb, rel=0.01)


GPT3 = {"tokens": 2048, "hidden": 12288, "heads": 96, "sequence": 2048}


def test_w10_the_attention_matrix_term() -> None:
    whole = block_activation_bytes(**GPT3, is_sequence_parallel=True)
    without = block_activation_bytes(**GPT3, is_sequence_parallel=True, recompute="selective")
    assert (whole - without) / (2048 * 12288) == pytest.approx(80)


@pytest.mark.parametrize(
    ("tensor", "is_sequence_parallel", "recompute", "gib", "all_layers"),
    [
        (1, False, "none", 2.672, 256.5), (8, False, "none", 0.539, 51.75), (8, True, "none", 0.334, 32.06),
        (8, False, "selective", 0.305, 29.25), (8, True, "selective", 0.0996, 9.56), (1, False, "full", 0.0469, 4.5),
    ],
)  # fmt: skip
def test_w11_w12_activations_of_gpt3(
    tensor: int, is_sequence_parallel: bool, recompute: memory.Recompute, gib: float, all_layers: float
) -> None:
    found = block_activation_bytes(
        **GPT3, tensor=tensor, is_sequence_parallel=is_sequence_parallel, recompute=recompute
    )
    assert found / GIB == pytest.approx(gib, rel=0.01)
    assert 96 * found / GIB == pytest.approx(all_layers, rel=0.01)


def test_w13_selective_recomputation_saves_70_percent() -> None:
    none = block_activation_bytes(**GPT3, tensor=8, is_sequence_parallel=True)
    selective = block_activation_bytes(**GPT3, tensor=8, is_sequence_parallel=True, recompute="selective")
    assert 1 - selective / none == pytest.approx(0.70, abs=0.01)


def test_w14_published_step_mfu() -> None:
    """The four runs as published, model, cluster and batch: each inside its range, together within 15 %."""
    ratios = []
    for parameters, layers, hidden, heads, gpus, sequences, mfu in (
        (22e9, 48, 6144, 64, 8, 4, 0.415), (175e9, 96, 12288, 96, 64, 64, 0.514),
        (530e9, 105, 20480, 128, 280, 280, 0.560), (1e12, 128, 25600, 160, 512, 512, 0.563),
    ):  # fmt: skip
        numbers = Model(
            parameters=parameters, layers=layers, hidden_size=hidden, attention_heads=heads, vocabulary=51_200
        )
        need = TrainNeed(sequence_length=2048, global_batch_tokens=2048.0 * sequences, recompute="selective")
        machine = replace(node("A100-80GB", 8), accelerator_gbps=1600.0, is_rdma=True)
        fit = size_training(from_numbers(numbers, FACTS), need, machine, FACTS, gpus // 8)
        assert not isinstance(fit, Shortfall)
        assert fit.mfu.low <= mfu <= fit.mfu.high
        ratios.append(mfu / fit.mfu.expected)
    assert all(0.8 < ratio < 1.35 for ratio in ratios)
    assert statistics.geometric_mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_w15_w16_narayanan() -> None:
    assert run_hours(300e9, 1024 * 140e12 / (8 * 175e9)) / 24 == pytest.approx(34, rel=0.02)
    assert run_hours(450e9, 3072 * 163e12 / (8 * 1.008e12)) / 24 == pytest.approx(84, rel=0.02)


def test_w17_published_hours() -> None:
    """Each inside its range, the larger two within 30 % and all together within 15 % of what is expected."""
    ratios = []
    for name, gpu_hours, gpus, tokens, effective in (
        ("Llama-3.1-8B", 1.46e6, 2048, 15e12, 0.139), ("Llama-3.1-70B", 7.0e6, 4096, 15e12, 0.255),
        ("Llama-3.1-405B", 30.84e6, 16_384, 15.6e12, 0.346),
    ):  # fmt: skip
        assert 6 * shape(name).parameters * tokens / (gpu_hours * 3600 * 989e12) == pytest.approx(effective, rel=0.01)
        machine = replace(node("H100-80GB", 8), accelerator_gbps=3200.0, is_rdma=True)
        need = TrainNeed(tokens=tokens, sequence_length=8192, global_batch_tokens=32e6)
        fit = size_training(shape(name), need, machine, FACTS, gpus // 8)
        assert not isinstance(fit, Shortfall)
        assert fit.train_hours is not None
        assert fit.train_hours.low <= gpu_hours / gpus <= fit.train_hours.high
        ratios.append(gpu_hours / gpus / fit.train_hours.expected)
    assert ratios[1:] == pytest.approx([1.0, 1.0], abs=0.3)
    assert statistics.geometric_mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_w18_palm_whole_run_is_slower_than_its_step() -> None:
    chip_hours = 6144 * 1200 + 3072 * 336
    assert chip_hours == 8_404_992
    effective = 6 * 540e9 * 780e9 / (chip_hours * 3600 * 275e12)
    assert effective == pytest.approx(0.304, rel=0.01)
    numbers = Model(parameters=540e9, layers=118, hidden_size=18_432, attention_heads=48, vocabulary=256_000)
    need = TrainNeed(tokens=780e9, sequence_length=2048, global_batch_tokens=16e6)
    vm = Node(CATALOG.accelerators["TPU-v4"], 4, 240, 407.0, 100.0)
    fit = size_training(from_numbers(numbers, FACTS), need, vm, FACTS, 6144 // 4)
    assert not isinstance(fit, Shortfall)
    assert fit.train_hours is not None
    assert fit.mfu.low <= 0.457 <= fit.mfu.high
    assert fit.train_hours.expected == pytest.approx(chip_hours / 6144, rel=0.10)
    assert fit.mfu.expected * fit.goodput == pytest.approx(effective, rel=0.10)


def test_w20_cache_of_128_sequences() -> None:
    assert 128 * kv_bytes(shape("Llama-3.1-8B"), 1024, 2.0) / 1e9 == pytest.approx(17.2, rel=0.01)


def test_w21_energy_of_gpt3() -> None:
    """10,000 chips for 14.8 days, measured at 330 W each and a PUE of 1.10: 1,287 MWh and 552 t at 0.429 kg/kWh."""
    power = power_kw(CATALOG.accelerators["V100"], 10_000, "training", FACTS)
    assert power is not None
    energy = power.scaled(14.8 * 24)
    assert energy.low / 1000 < 1287 < energy.high / 1000
    assert energy.expected / 1000 == pytest.approx(1287, rel=0.01)
    assert kg_co2e_per_hour(Range(1.287e6, 1.287e6, 1.287e6), 429).expected / 1000 == pytest.approx(552, rel=0.01)


def test_w22_activations_of_a_gated_block_without_recomputation() -> None:
    assert layer_activation_bytes(shape("Llama-3.1-8B"), 32_768, 1, "none") / GIB == pytest.approx(7, rel=0.01)


def ideal(name: str, accelerator: str, count: int) -> Speed:
    """The roofline itself: every efficiency at 1, no latency."""
    model, machine = shape(name), node(accelerator, count)
    stored = FACTS.formats["bf16"]
    arithmetic = Arithmetic(stored, "bf16", CATALOG.accelerators[accelerator].bf16_tflops * 1e12)
    replica = Replica(
        model, machine, count, 1, 1, rest_bytes(model, stored), 0.0, 0.0, arithmetic, 1, 1,
        band_of(machine, FACTS),
    )  # fmt: skip
    return speed(replica, 1.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("accelerator", "batch"), [("A100-80GB", 153), ("H100-80GB", 295), ("H200-141GB", 206), ("B200", 281), ("L4", 403)]
)
def test_w23_ridge_batch(accelerator: str, batch: float) -> None:
    roofline = ideal("Llama-2-7b", accelerator, 1)
    assert roofline.fixed_read_s / roofline.compute_s == pytest.approx(batch, rel=0.01)


def test_w24_decode_floor() -> None:
    """Of all weights; a step reads the input embedding, 1.5 % of them, only where its tokens are."""
    assert ideal("Llama-3-70B", "H100-80GB", 4).fixed_read_s * 1000 == pytest.approx(10.5, rel=0.015)


def test_w25_young_interval() -> None:
    mtbf_s = 3.1 * 3600
    interval_s = checkpoint.young_interval_s(30, mtbf_s)
    assert interval_s == pytest.approx(818, rel=0.01)
    assert 30 / interval_s == pytest.approx(0.037, abs=0.001)
    assert checkpoint.lost_share(30, interval_s, mtbf_s) == pytest.approx(0.074, abs=0.001)
    assert checkpoint.daly_interval_s(30, mtbf_s) == pytest.approx(818, rel=0.05)
    assert checkpoint.daly_interval_s(3 * mtbf_s, mtbf_s) == mtbf_s


def test_job_mtbf_of_the_llama_3_run() -> None:
    assert checkpoint.job_mtbf_s(16_384, 2048, is_spot=False) / 3600 == pytest.approx(3.1, rel=0.05)
