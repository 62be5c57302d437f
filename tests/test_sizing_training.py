"""Training: memory, plans, time, checkpoints, and what is refused."""

import itertools

import pytest
from msgspec.structs import replace

from infragen.decide.sizing.checkpoint import saving
from infragen.decide.sizing.energy import power_kw, wh_per_token
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import Node, Shortfall, node_of
from infragen.decide.sizing.shape import from_card
from infragen.decide.sizing.training import START_H, TrainingFit, TrainNeed, ladder, size_training
from infragen.descriptor.model import Checkpoint, Data, Model, Train
from infragen.facts.load import Catalog
from infragen.units import GIB

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)
DAY_S = 86_400.0


def machine(name: str) -> Node:
    record = CATALOG.machines[name]
    assert record.accelerator is not None
    return node_of(record, CATALOG.accelerators[record.accelerator], CATALOG.fabrics[record.fabric])


def size(model: str, node: str, nodes: int | None = None, **need: object) -> TrainingFit | Shortfall:
    return size_training(from_card(CATALOG.models[model], FACTS), TrainNeed(**need), machine(node), FACTS, nodes)  # type: ignore[arg-type]


def fitted(model: str, node: str, nodes: int | None = None, **need: object) -> TrainingFit:
    found = size(model, node, nodes, **need)
    assert isinstance(found, TrainingFit), found
    return found


@pytest.mark.parametrize(
    ("model", "node", "method", "fits"),
    [
        ("Llama-3.1-8B", "a3-highgpu-1g", "full", False),
        ("Llama-3.1-8B", "a3-highgpu-2g", "full", True),
        ("Llama-3.1-8B", "a2-highgpu-2g", "full", False),
        ("Llama-3.1-8B", "a2-highgpu-8g", "full", True),
        ("Llama-3.1-8B", "a2-highgpu-1g", "lora", True),
        ("Llama-2-13b", "g2-standard-8", "lora", False),
        ("Llama-2-13b", "g2-standard-8", "qlora", True),
        ("Llama-3.1-8B", "g2-standard-8", "qlora", True),
        ("Llama-3.1-70B", "a3-highgpu-8g", "full", False),
        ("Llama-3.1-70B", "a3-ultragpu-8g", "full", False),
        ("Llama-3.1-70B", "a4-highgpu-8g", "full", True),
        ("Llama-3.1-70B", "a3-highgpu-1g", "lora", False),
        ("Llama-3.1-70B", "a3-highgpu-2g", "lora", True),
        ("Llama-3.1-70B", "a3-highgpu-1g", "qlora", True),
        ("Llama-3.1-405B", "a3-highgpu-8g", "qlora", True),
    ],
)
def test_what_trains_on_one_machine(model: str, node: str, method: str, fits: bool) -> None:
    found = size(model, node, 1, method=method, is_finetune=True)
    if fits:
        assert isinstance(found, TrainingFit), found
        assert found.memory.total <= found.memory.usable
    else:
        assert isinstance(found, Shortfall)
        assert found.constraint == "memory"
        assert "GiB short per accelerator" in found.message


def test_the_smallest_cluster_that_fits() -> None:
    assert fitted("Llama-3.1-70B", "a3-highgpu-8g", is_finetune=True).nodes == 2


def test_large_models_are_split_as_published_runs_are() -> None:
    found = fitted(
        "Llama-3.1-405B", "a3-megagpu-8g", 2048, tokens=15.6e12, sequence_length=8192, global_batch_tokens=16.8e6
    )
    assert found.tensor_parallel == 8
    assert found.pipeline_parallel >= 2
    assert found.tensor_parallel * found.pipeline_parallel * found.data_parallel == 16_384
    assert found.mfu.low < 0.41 < found.mfu.high


def test_hours_meet_the_deadline_with_the_fewest_machines() -> None:
    need = {"tokens": 200e9, "sequence_length": 8192, "global_batch_tokens": 4e6}
    found = fitted("Llama-3.1-8B", "a3-ultragpu-8g", deadline_s=21 * DAY_S, **need)
    assert found.train_hours is not None
    assert found.train_hours.expected <= 21 * 24
    fewer = size("Llama-3.1-8B", "a3-ultragpu-8g", found.nodes - 1, deadline_s=21 * DAY_S, **need)
    assert isinstance(fewer, Shortfall)
    assert fewer.constraint == "deadline"
    assert "deadline" in {margin.constraint for margin in found.margins}


def test_hours_are_a_narrow_range_and_contain_restarts() -> None:
    found = fitted("Llama-3.1-8B", "a3-megagpu-8g", 16, tokens=1e12)
    assert found.train_hours is not None
    assert found.train_hours.low < found.train_hours.expected < found.train_hours.high <= 2.5001 * found.train_hours.low
    ideal = 1e12 / (found.tokens_per_second.expected * 3600)
    assert found.train_hours.expected == pytest.approx(START_H + ideal / found.goodput)


def test_spot_machines_take_longer() -> None:
    calm = fitted("Llama-3.1-8B", "a3-highgpu-8g", 8, tokens=1e11)
    spot = fitted("Llama-3.1-8B", "a3-highgpu-8g", 8, tokens=1e11, is_spot=True)
    assert calm.train_hours is not None
    assert spot.train_hours is not None
    assert spot.train_hours.expected > 1.05 * calm.train_hours.expected
    assert spot.checkpoint.interval_s < calm.checkpoint.interval_s


def test_a_batch_that_cannot_feed_the_cluster() -> None:
    found = size("Qwen2.5-0.5B", "a3-highgpu-8g", 64, global_batch_tokens=65_536, sequence_length=4096)
    assert isinstance(found, Shortfall)
    assert found.constraint == "batch"
    assert found.needed == 512


def test_ordinary_networks_are_no_place_for_full_sharding() -> None:
    slow = size("Llama-3.1-70B", "g2-standard-96", tokens=1e11, deadline_s=30 * DAY_S, is_finetune=True)
    assert isinstance(slow, Shortfall) or slow.exposed_share <= 0.5
    fast = fitted("Llama-3.1-8B", "a3-megagpu-8g", 8, tokens=1e11)
    assert fast.exposed_share < 0.10


def test_adapters_cross_any_network() -> None:
    found = fitted("Llama-3.1-8B", "a2-highgpu-8g", 4, method="lora", is_finetune=True)
    assert found.exposed_share < 0.05


def test_bf16_needs_bf16_units() -> None:
    refused = size("Llama-3.1-8B", "n1+T4x4", precision="bf16")
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "precision"
    assert "fp16 with loss scaling" in " ".join(fitted("BERT-base-uncased", "n1+T4x1").assumptions)
    assert isinstance(size("Llama-3.1-8B", "a3-highgpu-8g", precision="int4"), Shortfall)
    assert isinstance(size("Llama-3.1-8B", "a2-highgpu-8g", precision="fp8"), Shortfall)


def test_fp8_is_faster_where_it_is_native() -> None:
    plain = fitted("Llama-3.1-8B", "a3-highgpu-8g", 4, precision="bf16")
    fast = fitted("Llama-3.1-8B", "a3-highgpu-8g", 4, precision="fp8")
    assert 1.2 < fast.tokens_per_second.expected / plain.tokens_per_second.expected < 1.7


def test_full_recomputation_costs_a_quarter() -> None:
    none = fitted("Qwen3-8B", "a3-ultragpu-8g", 1, recompute="none", sharding="fsdp")
    full = fitted("Qwen3-8B", "a3-ultragpu-8g", 1, recompute="full", sharding="fsdp", micro_batch=none.micro_batch)
    assert full.memory.activations < none.memory.activations
    assert full.mfu.expected == pytest.approx(0.77 * none.mfu.expected, rel=0.05)


def test_what_is_given_is_obeyed() -> None:
    found = fitted("Qwen3-8B", "a3-ultragpu-8g", 2, recompute="selective", sharding="fsdp", micro_batch=2)
    assert (found.recompute, found.sharding, found.micro_batch) == ("selective", "zero-3", 2)
    eight_bits = fitted("Qwen3-8B", "a3-ultragpu-8g", 1, optimizer="adamw-8bit")
    assert eight_bits.checkpoint.size_gib < found.checkpoint.size_gib


def test_an_offloaded_optimizer_lives_in_host_memory() -> None:
    kept = fitted("Llama-3.1-8B", "a3-highgpu-8g", 1, is_finetune=True)
    offloaded = fitted("Llama-3.1-8B", "a3-highgpu-8g", 1, is_finetune=True, is_offloaded=True)
    assert offloaded.memory.optimizer == 0 < kept.memory.optimizer
    assert offloaded.host_memory_gib == pytest.approx(8.03e9 * 16 * 1.5 / GIB + 16, rel=0.01)
    assert offloaded.tokens_per_second.expected < kept.tokens_per_second.expected
    refused = size("Llama-3.1-405B", "a3-highgpu-8g", 2, is_finetune=True, is_offloaded=True)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "host-memory"


def test_long_sequences_are_split_over_devices() -> None:
    found = fitted("Llama-3.1-8B", "a3-highgpu-8g", 2, sequence_length=131_072)
    assert found.context_parallel > 1 or found.tensor_parallel > 1
    assert isinstance(size("GPT2-xl", "a3-highgpu-8g", sequence_length=4096, is_finetune=True), Shortfall)
    assert "trained anew to 4,096 tokens" in " ".join(
        fitted("GPT2-xl", "a3-highgpu-8g", sequence_length=4096).assumptions
    )
    longer = fitted("Llama-2-7b", "a3-highgpu-8g", sequence_length=65_536, is_finetune=True)  # 16 times what it knows
    assert "extends its positions to 65,536 tokens" in " ".join(longer.assumptions)


def test_a_vm_alone_trains_faster_than_one_of_two() -> None:
    alone, two = (fitted("Llama-3.1-8B", "a3-highgpu-8g", vms, global_batch_tokens=4e6) for vms in (1, 2))
    assert alone.tokens_per_second.expected > 1.05 * two.tokens_per_second.expected / 2
    slice_, larger = (fitted("Llama-3.1-8B", "ct6e-standard-4t", vms, global_batch_tokens=4e6) for vms in (8, 16))
    assert slice_.tokens_per_second.expected == pytest.approx(larger.tokens_per_second.expected / 2, rel=0.05)


def test_fp8_speeds_up_products_with_weights_alone() -> None:
    def faster(model: str, sequence: int) -> float:
        eight, sixteen = (
            fitted(model, "a3-megagpu-8g", 16, sequence_length=sequence, precision=one, global_batch_tokens=8e6)
            for one in ("fp8", "bf16")
        )
        assert eight.tokens_per_second.high <= 2.5001 * eight.tokens_per_second.low
        return eight.tokens_per_second.expected / sixteen.tokens_per_second.expected

    assert 1.4 < faster("Llama-3.1-70B", 4096) < 1.6
    assert faster("Llama-3.1-8B", 131_072) < 1.2  # attention takes most of a step
    assert 1.1 < faster("Qwen3-30B-A3B", 4096) < 1.4  # so does routing


def test_small_data_sets_of_samples_take_longer_by_the_token() -> None:
    def hours(tokens: float, *, is_finetune: bool = True) -> float:
        found = fitted("Llama-3.1-8B", "a3-highgpu-8g", tokens=tokens, method="full", is_finetune=is_finetune)
        assert found.train_hours is not None
        return found.train_hours.expected - START_H

    assert hours(1e10) == pytest.approx(10 * hours(1e9))
    assert hours(1e8) == pytest.approx(hours(1e9) / 10**0.7)
    assert hours(1e10, is_finetune=False) == pytest.approx(100 * hours(1e8, is_finetune=False))


def test_checkpoints_hold_weights_and_optimizer() -> None:
    full = fitted("Llama-3.1-70B", "a3-ultragpu-8g", 2, tokens=1e11)
    assert full.checkpoint.size_gib * GIB == pytest.approx(70.55e9 * 14, rel=0.001)
    adapters = fitted("Llama-3.1-70B", "a3-ultragpu-8g", 1, method="lora", is_finetune=True)
    assert adapters.checkpoint.size_gib < 0.01 * full.checkpoint.size_gib
    assert fitted("Llama-3.1-70B", "a3-ultragpu-8g", 2, checkpoint_every_s=1800.0).checkpoint.interval_s == 1800


@pytest.mark.parametrize(
    ("model", "published_gib"), [("Llama-3.1-8B", 105), ("Llama-3.1-70B", 912), ("Llama-3.1-405B", 5290)]
)
def test_checkpoint_sizes_of_the_storage_benchmark(model: str, published_gib: float) -> None:
    found = fitted(model, "a4-highgpu-8g", 16)
    assert found.checkpoint.size_gib == pytest.approx(published_gib, rel=0.02)


def test_the_write_rate_keeps_up_with_the_interval() -> None:
    kept = saving(1e12, 1024, 128, is_spot=False, every_s=1000.0, run_s=None)
    assert kept.write_bytes_s == pytest.approx(2e9)


def test_the_data_set_is_read_in_time() -> None:
    text = fitted("Llama-3.1-8B", "a3-highgpu-8g", 4, tokens=1e11)
    images = fitted("Llama-3.1-8B", "a3-highgpu-8g", 4, tokens=1e11, dataset_bytes=1e15)
    assert text.dataset_mib_s < 20
    assert images.dataset_mib_s > 100 * text.dataset_mib_s


def test_mixtures_hold_all_experts_and_compute_some() -> None:
    dense = fitted("Llama-3.1-70B", "a3-megagpu-8g", 64, tokens=1e12)
    mixture = fitted("Mixtral-8x22B", "a3-megagpu-8g", 64, tokens=1e12)
    assert mixture.mfu.expected < dense.mfu.expected
    assert mixture.checkpoint.size_gib > dense.checkpoint.size_gib


def test_slices_come_in_fixed_sizes() -> None:
    slices = (1, 2, 4, 8, 16, 32, 64, 128)
    node = replace(machine("ct5p-hightpu-4t"), slice_vms=slices)
    need = TrainNeed(tokens=3e11, deadline_s=20 * DAY_S)
    found = size_training(from_card(CATALOG.models["Llama-3.1-8B"], FACTS), need, node, FACTS)
    assert isinstance(found, TrainingFit)
    assert found.nodes in slices


def test_the_ladder_of_machine_counts() -> None:
    assert list(ladder((1, 2, 4)))[:5] == [1, 2, 4, 8, 12]
    assert next(iter(ladder(unit=18))) == 18
    steps = list(ladder())
    assert all(0 < after - before <= max(1, before / 4) for before, after in itertools.pairwise(steps))


def test_energy_is_a_range_and_unknown_power_is_none() -> None:
    chip = CATALOG.accelerators["H100-80GB"]
    power = power_kw(chip, 8, "training", FACTS)
    assert power is not None
    assert power.low == pytest.approx(8 * 0.7 * 1.08 * 0.85)
    idle, busy = power_kw(chip, 8, "serving", FACTS, 0.0), power_kw(chip, 8, "serving", FACTS, 1.0)
    assert idle is not None
    assert busy is not None
    assert idle.expected < busy.expected
    assert power_kw(replace(chip, tdp_w=None), 8, "training", FACTS) is None
    per_token = wh_per_token(power, power.scaled(100))
    assert per_token.low < per_token.expected < per_token.high


def test_the_need_of_a_descriptor() -> None:
    train = Train(tokens=1e9, sharding="fsdp", offload=True, checkpoint=Checkpoint(every="30m", keep=5))
    need = TrainNeed.of(train, Model(name="x"), "finetune", Data(size="1TiB"))
    assert (need.method, need.checkpoint_every_s, need.checkpoints_kept, need.dataset_bytes) == ("lora", 1800, 5, 2**40)
    assert TrainNeed.of(None, None, "pretrain").method == "full"


def test_many_small_machines_are_no_cluster() -> None:
    """Whole models train over ordinary networking on a few large VMs at most; pins are obeyed, adapters go anywhere."""
    need = {"tokens": 200e9, "sequence_length": 8192, "global_batch_tokens": 4e6, "deadline_s": 21 * DAY_S}
    refused = size("Llama-3.1-8B", "g2-standard-4", **need)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "interconnect"
    assert isinstance(size("Llama-3.1-8B", "g2-standard-4", 512, **need), TrainingFit)
    assert isinstance(size("Llama-3.1-8B", "a2-highgpu-8g", **need), TrainingFit)
    lora = fitted("Llama-3.1-8B", "a2-highgpu-1g", tokens=1e9, deadline_s=DAY_S / 4, method="lora", is_finetune=True)
    assert lora.nodes > 1
