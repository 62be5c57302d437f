"""What must hold of any model, need and machine: nothing raises, and asking for less never costs more."""

import math
from typing import get_args

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infragen.decide.sizing.config import from_config
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import kv_bytes
from infragen.decide.sizing.names import find
from infragen.decide.sizing.node import Node, Shortfall, node_of
from infragen.decide.sizing.precision import serving_arithmetic, weight_bytes
from infragen.decide.sizing.roofline import Level, Replica, band_of, efficiency
from infragen.decide.sizing.serving import ServeNeed, ServingFit, size_serving
from infragen.decide.sizing.shape import ShapeError, from_card, from_numbers
from infragen.decide.sizing.training import TrainingFit, TrainNeed, size_training
from infragen.descriptor.model import Model
from infragen.facts.load import Catalog

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)
SHAPES = [from_card(card, FACTS) for card in CATALOG.models.values()]
NODES = [
    node_of(record, CATALOG.accelerators[record.accelerator], CATALOG.fabrics[record.fabric])
    for record in CATALOG.machines.values()
    if record.accelerator
]
BOXES = [node for node in NODES if node.unit_vms == 1]

relaxed = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

shapes = st.sampled_from(SHAPES)
generative = st.sampled_from([shape for shape in SHAPES if shape.is_generative and not shape.is_context_fixed])
nodes = st.sampled_from(NODES)
boxes = st.sampled_from(BOXES)
precisions = st.sampled_from([None, *FACTS.formats])
tokens = st.integers(1, 4000)
rates = st.floats(0.01, 500)


def vms(found: ServingFit | TrainingFit | Shortfall) -> float:
    return math.inf if isinstance(found, Shortfall) else found.nodes


@relaxed
@given(shapes, nodes, st.data())
def test_serving_never_raises_and_never_overfills(shape, node: Node, data) -> None:
    """Any need, sensible or not, ends in a fit within the memory or in a shortfall with figures."""
    number = st.none() | st.floats(1e-9, 1e18)
    count = st.none() | st.integers(1, 10_000_000)
    need = ServeNeed(
        precision=data.draw(precisions),
        kv_precision=data.draw(precisions),
        input_tokens=data.draw(st.none() | st.integers(1, 100_000_000)),
        output_tokens=data.draw(st.none() | st.integers(1, 100_000_000)),
        max_context_tokens=data.draw(st.none() | st.integers(1, 100_000_000)),
        gpu_memory_utilization=data.draw(st.floats(1e-6, 1)),
        requests_per_second=data.draw(number),
        concurrent_requests=data.draw(count),
        requests=data.draw(number),
        deadline_s=data.draw(number),
        ttft_ms=data.draw(number),
        tpot_ms=data.draw(number),
        replicas_min=data.draw(st.none() | st.integers(0, 10_000)),
        replicas_max=data.draw(count),
        is_batch=data.draw(st.booleans()),
    )
    found = size_serving(shape, need, node, FACTS, data.draw(st.none() | st.integers(1, 100)))
    if isinstance(found, Shortfall):
        assert found.message
        assert math.isfinite(found.needed)
    else:
        assert found.memory.total <= found.memory.usable * (1 + 1e-9)
        for one in (found.tokens_per_second, found.ttft_ms, found.tpot_ms):
            assert one is None or 0 < one.low <= one.expected <= one.high < math.inf


@relaxed
@given(shapes, nodes, st.data())
def test_training_never_raises_and_never_overfills(shape, node: Node, data) -> None:
    number = st.none() | st.floats(1, 1e18)
    need = TrainNeed(
        method=data.draw(st.sampled_from(["full", "lora", "qlora"])),
        precision=data.draw(precisions),
        tokens=data.draw(number),
        sequence_length=data.draw(st.none() | st.integers(1, 100_000_000)),
        global_batch_tokens=data.draw(number),
        deadline_s=data.draw(number),
        checkpoint_every_s=data.draw(number),
        optimizer=data.draw(st.sampled_from(["adamw", "adamw-8bit", "adafactor", "muon"])),
        optimizer_precision=data.draw(st.sampled_from([None, "fp32", "bf16"])),
        micro_batch=data.draw(st.none() | st.integers(1, 65_536)),
        recompute=data.draw(st.sampled_from([None, "none", "selective", "full"])),
        sharding=data.draw(st.sampled_from([None, "zero-1", "zero-2", "zero-3", "fsdp"])),
        is_offloaded=data.draw(st.booleans()),
        lora_rank=data.draw(st.none() | st.integers(1, 4096)),
        is_finetune=data.draw(st.booleans()),
        is_spot=data.draw(st.booleans()),
        dataset_bytes=data.draw(number),
    )
    found = size_training(shape, need, node, FACTS, data.draw(st.none() | st.integers(1, 1000)))
    if isinstance(found, Shortfall):
        assert found.message
        return
    assert found.memory.total <= found.memory.usable * (1 + 1e-9)
    if found.train_hours:
        assert 0 < found.train_hours.low <= found.train_hours.expected <= found.train_hours.high
        assert found.train_hours.high <= 2.5001 * found.train_hours.low


@relaxed
@given(
    st.builds(
        Model,
        parameters=st.none() | st.floats(1, 1e15),
        active_parameters=st.none() | st.floats(1, 1e15),
        layers=st.none() | st.integers(1, 1000),
        hidden_size=st.none() | st.integers(1, 100_000),
        attention_heads=st.none() | st.integers(1, 1000),
        kv_heads=st.none() | st.integers(1, 1000),
        head_dim=st.none() | st.integers(1, 1000),
        vocabulary=st.none() | st.integers(1, 1_000_000),
        experts=st.none() | st.integers(1, 1000),
        experts_per_token=st.none() | st.integers(1, 1000),
        kv_lora_rank=st.none() | st.integers(1, 10_000),
    ),
    boxes,
)
def test_any_numbers_make_a_shape_or_a_reason(given_model: Model, node: Node) -> None:
    try:
        shape = from_numbers(given_model, FACTS)
    except ShapeError as error:
        assert error.help
        return
    assert shape.parameters > 0
    assert 0 < shape.active_parameters <= shape.parameters
    size_serving(shape, ServeNeed(), node, FACTS)
    size_training(shape, TrainNeed(tokens=1e9), node, FACTS, 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
config_keys = st.sampled_from(
    [
        "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "intermediate_size", "vocab_size", "layer_types", "sliding_window", "text_config", "vision_config",
        "quantization_config", "num_experts", "num_experts_per_tok", "kv_lora_rank", "architectures",
        "max_position_embeddings", "image_size", "patch_size", "num_mel_bins", "first_k_dense_replace", "moe_layer_freq",
        "shared_expert_intermediate_size", "is_encoder_decoder",
    ]
)  # fmt: skip


@relaxed
@given(st.dictionaries(config_keys, json_values | st.integers(1, 1000) | st.sampled_from(list(FACTS.families))))
def test_any_config_makes_a_shape_or_a_reason(config: dict) -> None:
    try:
        shape = from_config(config, FACTS)
    except ShapeError as error:
        assert error.message
        assert error.help
    else:
        assert shape.parameters > 0


@relaxed
@given(st.text())
def test_any_name_is_found_or_not(name: str) -> None:
    find(name, CATALOG.models)


@relaxed
@given(shapes, st.integers(1, 200_000), st.integers(1, 200_000), st.sampled_from([1, 2, 4, 8]))
def test_more_context_never_needs_less_memory(shape, one: int, other: int, tensor: int) -> None:
    fewer, more = sorted((one, other))
    assert kv_bytes(shape, fewer, 2.0, tensor) <= kv_bytes(shape, more, 2.0, tensor)


@relaxed
@given(shapes, st.integers(1, 50_000), st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4]))
def test_more_devices_never_hold_more_cache_each(shape, length: int, tensor: int, pipeline: int) -> None:
    assert kv_bytes(shape, length, 2.0, 2 * tensor, pipeline) <= kv_bytes(shape, length, 2.0, tensor, pipeline)
    assert kv_bytes(shape, length, 2.0, tensor, 2 * pipeline) <= kv_bytes(shape, length, 2.0, tensor, pipeline) * (
        1 + 1e-9
    )


@relaxed
@given(generative, st.sampled_from(["fp8", "int8", "int4", "nvfp4", "mxfp4"]))
def test_a_smaller_format_never_weighs_more(shape, precision: str) -> None:
    assert weight_bytes(shape, FACTS.formats[precision]) <= weight_bytes(shape, FACTS.formats["bf16"])


@relaxed
@given(generative, boxes, tokens, tokens, st.integers(1, 500), st.integers(1, 500))
def test_a_larger_batch_never_lowers_throughput(
    shape, node: Node, prompt: int, answer: int, one: int, more: int
) -> None:
    arithmetic = serving_arithmetic(shape, node.accelerator, None, FACTS)
    assume(not isinstance(arithmetic, Shortfall))
    replica = Replica(shape, node, 1, 1, 1, 2 * shape.dense_parameters, 2 * shape.expert_parameters,
                      kv_bytes(shape, prompt + answer, 2.0), arithmetic, prompt, answer, band_of(node, FACTS))  # fmt: skip
    low, expected, high = (efficiency(replica, level) for level in get_args(Level))
    few, many = sorted((one, one + more))
    assert expected.requests_per_second(many) >= expected.requests_per_second(few) * (1 - 1e-9)
    assert expected.tpot_s(many) >= expected.tpot_s(few)
    assert low.requests_per_second(few) <= expected.requests_per_second(few) <= high.requests_per_second(few)
    # never above the roofline itself; of an input embedding apart from the head only the rows of the tokens are read
    looked_up = 0 if shape.tied_embeddings else shape.embedding_parameters / 2
    assert high.decode_s(many) >= 2 * (shape.dense_parameters - looked_up) / node.bandwidth


def serve(shape, node: Node, **need: object) -> ServingFit | Shortfall:
    return size_serving(shape, ServeNeed(**need), node, FACTS)  # type: ignore[arg-type]


@relaxed
@given(generative, boxes, rates, st.floats(1, 10), st.sampled_from([None, 30.0, 100.0]))
def test_fewer_requests_never_take_more_machines(
    shape, node: Node, rate: float, factor: float, tpot: float | None
) -> None:
    less = serve(shape, node, input_tokens=500, output_tokens=200, requests_per_second=rate, tpot_ms=tpot)
    more = serve(shape, node, input_tokens=500, output_tokens=200, requests_per_second=rate * factor, tpot_ms=tpot)
    assert vms(less) <= vms(more)


@relaxed
@given(generative, boxes, st.integers(1, 500), st.integers(0, 500))
def test_less_concurrency_never_takes_more_machines(shape, node: Node, concurrency: int, extra: int) -> None:
    need = {"input_tokens": 500, "output_tokens": 200}
    less = serve(shape, node, concurrent_requests=concurrency, **need)
    assert vms(less) <= vms(serve(shape, node, concurrent_requests=concurrency + extra, **need))


@relaxed
@given(generative, boxes, st.integers(1, 30_000), st.integers(0, 30_000))
def test_a_shorter_context_never_takes_more_machines(shape, node: Node, context: int, extra: int) -> None:
    assume(shape.max_context_tokens is None or context + extra <= shape.max_context_tokens)
    need = {"input_tokens": 1, "output_tokens": 1}
    less = serve(shape, node, max_context_tokens=context, **need)
    assert vms(less) <= vms(serve(shape, node, max_context_tokens=context + extra, **need))


@relaxed
@given(generative, boxes, st.floats(5, 500), st.floats(1, 10))
def test_a_looser_latency_never_takes_more_machines(shape, node: Node, tpot: float, factor: float) -> None:
    need = {"input_tokens": 500, "output_tokens": 200, "requests_per_second": 5.0}
    loose = serve(shape, node, tpot_ms=tpot * factor, **need)
    assert vms(loose) <= vms(serve(shape, node, tpot_ms=tpot, **need))


@relaxed
@given(generative, boxes, st.floats(1e8, 1e13), st.floats(1, 2000), st.floats(1, 10))
def test_a_longer_deadline_never_takes_more_machines(
    shape, node: Node, amount: float, days: float, factor: float
) -> None:
    def trained(deadline_days: float) -> TrainingFit | Shortfall:
        need = TrainNeed(tokens=amount, deadline_s=deadline_days * 86_400, sequence_length=2048)
        return size_training(shape, need, node, FACTS)

    assert vms(trained(days * factor)) <= vms(trained(days))


@relaxed
@given(generative, boxes, st.floats(1e8, 1e13), st.floats(1, 10))
def test_fewer_tokens_never_take_more_machines(shape, node: Node, amount: float, factor: float) -> None:
    def trained(count: float) -> TrainingFit | Shortfall:
        need = TrainNeed(tokens=count, deadline_s=30 * 86_400, sequence_length=2048)
        return size_training(shape, need, node, FACTS)

    assert vms(trained(amount)) <= vms(trained(amount * factor))


@relaxed
@given(generative, boxes, st.integers(1, 32), st.integers(0, 32), st.sampled_from(["full", "lora", "qlora"]))
def test_more_machines_never_hold_less_of_a_run(shape, node: Node, count: int, extra: int, method: str) -> None:
    """What fits on some machines fits on more: those that a split does not need stay idle."""
    need = TrainNeed(method=method, sequence_length=2048, global_batch_tokens=1e9, is_finetune=True)
    few = size_training(shape, need, node, FACTS, count)
    many = size_training(shape, need, node, FACTS, count + extra)
    assert isinstance(few, Shortfall) or isinstance(many, TrainingFit)


@pytest.mark.parametrize("node", BOXES, ids=lambda node: f"{node.accelerators:g}x{node.accelerator.name}")
def test_every_machine_answers_for_a_small_model(node: Node) -> None:
    shape = from_card(CATALOG.models["Qwen2.5-0.5B"], FACTS)
    assert isinstance(size_serving(shape, ServeNeed(), node, FACTS), ServingFit | Shortfall)
