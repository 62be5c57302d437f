"""Serving: which layout, how many machines, which limits bind, and what is refused."""

import pytest
from msgspec.structs import replace

from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import Node, Shortfall, node_of
from infragen.decide.sizing.serving import MAX_SEQUENCES, ServeNeed, ServingFit, size_serving
from infragen.decide.sizing.shape import from_card, from_numbers
from infragen.descriptor.model import Model, Replicas, Serve
from infragen.facts.load import Catalog

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)


def machine(name: str) -> Node:
    record = CATALOG.machines[name]
    assert record.accelerator is not None
    return node_of(record, CATALOG.accelerators[record.accelerator], CATALOG.fabrics[record.fabric])


def size(model: str, node: str, nodes: int | None = None, **need: object) -> ServingFit | Shortfall:
    shape = from_card(CATALOG.models[model], FACTS)
    return size_serving(shape, ServeNeed(**need), machine(node), FACTS, nodes)  # type: ignore[arg-type]


def fitted(model: str, node: str, nodes: int | None = None, **need: object) -> ServingFit:
    found = size(model, node, nodes, **need)
    assert isinstance(found, ServingFit), found
    return found


@pytest.mark.parametrize(
    ("model", "node", "precision", "fits"),
    [
        ("Llama-3.1-8B", "g2-standard-8", None, True),
        ("Llama-3.1-8B", "n1+T4x1", None, False),
        ("Llama-3.1-8B", "n1+T4x1", "int4", True),
        ("Llama-2-13b", "g2-standard-8", None, False),
        ("Llama-2-13b", "g2-standard-24", None, True),
        ("Llama-3.1-70B", "a3-highgpu-1g", None, False),
        ("Llama-3.1-70B", "a3-highgpu-2g", None, True),
        ("Llama-3.1-70B", "a3-highgpu-1g", "int4", True),
        ("Mixtral-8x7B", "a2-ultragpu-1g", None, False),
        ("Mixtral-8x7B", "a2-ultragpu-2g", None, True),
        ("DeepSeek-V3", "a3-ultragpu-8g", None, True),
        ("gpt-oss-120b", "a3-highgpu-1g", None, True),
        ("gpt-oss-20b", "g2-standard-4", None, True),
        ("FLUX.1-dev", "g2-standard-4", None, False),
        ("FLUX.1-dev", "a2-highgpu-1g", None, True),
        ("BERT-base-uncased", "n1+T4x1", None, True),
        ("Whisper-large-v3", "n1+T4x1", None, True),
    ],
)
def test_what_fits_one_machine(model: str, node: str, precision: str | None, fits: bool) -> None:
    found = size(model, node, 1, precision=precision)
    if fits:
        assert isinstance(found, ServingFit), found
        assert found.nodes == 1
        assert found.memory.total <= found.memory.usable
    else:
        assert isinstance(found, Shortfall)
        assert found.constraint == "memory"
        assert f"{found.needed - found.available:.1f} GiB short" in found.message


def test_a_model_beyond_one_machine_is_split_over_whole_ones() -> None:
    found = fitted("DeepSeek-V3", "a3-highgpu-8g")
    assert (found.nodes, found.tensor_parallel, found.pipeline_parallel) == (2, 8, 2)
    assert found.replicas_per_node == 0.5


def test_several_replicas_share_a_machine() -> None:
    found = fitted("Llama-3.1-8B", "a3-highgpu-8g")
    assert found.replicas == found.replicas_per_node * found.nodes
    assert found.tensor_parallel * found.pipeline_parallel * found.replicas_per_node == 8


def test_heads_that_do_not_divide_stay_together() -> None:
    found = fitted("Falcon-7B", "g2-standard-96")
    assert found.tensor_parallel == 1


def test_little_s_law_sets_the_machines() -> None:
    need = {"input_tokens": 1000, "output_tokens": 250, "tpot_ms": 100}
    few = fitted("Llama-3.1-8B", "g2-standard-8", requests_per_second=1, **need)
    many = fitted("Llama-3.1-8B", "g2-standard-8", requests_per_second=10, **need)
    assert many.nodes > few.nodes
    assert many.nodes * many.requests_per_second_per_node >= 10 * 0.999
    assert (many.nodes - 1) * many.requests_per_second_per_node < 10
    assert many.utilisation is not None
    assert many.utilisation <= 0.85 + 1e-9


def test_concurrency_is_held_by_all_replicas_together() -> None:
    found = fitted("Llama-3.1-70B", "a3-highgpu-2g", input_tokens=2000, output_tokens=500, concurrent_requests=64)
    assert found.replicas * found.max_batch >= 64
    assert found.nodes > 1


def test_one_request_alone_is_not_counted_once_per_replica() -> None:
    one = fitted("Llama-3.1-8B", "a3-highgpu-8g", nodes=1, concurrent_requests=1, input_tokens=100, output_tokens=100)
    assert one.tokens_per_second is not None
    assert one.tpot_ms is not None
    assert one.tokens_per_second.expected <= 1000 / one.tpot_ms.expected


@pytest.mark.parametrize(("limit", "constraint"), [({"tpot_ms": 20}, "tpot"), ({"ttft_ms": 50}, "ttft")])
def test_a_limit_that_one_request_alone_misses(limit: dict[str, float], constraint: str) -> None:
    found = size("Llama-3.1-8B", "g2-standard-8", **limit)
    assert isinstance(found, Shortfall)
    assert found.constraint == constraint
    assert found.needed > found.available


def test_latency_limits_bound_the_batch() -> None:
    free = fitted("Llama-3.1-8B", "a3-highgpu-1g", input_tokens=1000, output_tokens=250)
    bound = fitted("Llama-3.1-8B", "a3-highgpu-1g", input_tokens=1000, output_tokens=250, tpot_ms=15, ttft_ms=300)
    assert bound.max_batch < free.max_batch
    assert bound.tpot_ms is not None
    assert bound.tpot_ms.expected <= 15
    assert {margin.constraint for margin in bound.margins} == {"memory", "ttft", "tpot"}


def test_replicas_are_kept_within_bounds() -> None:
    low = fitted("Llama-3.1-8B", "g2-standard-8", replicas_min=3)
    assert low.replicas == 3
    refused = size("Llama-3.1-8B", "g2-standard-8", requests_per_second=100, replicas_max=2)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "replicas"


def test_a_given_number_of_machines_is_obeyed_or_refused() -> None:
    assert fitted("Llama-3.1-8B", "g2-standard-8", nodes=4).nodes == 4
    refused = size("Llama-3.1-8B", "g2-standard-8", 1, requests_per_second=50)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "rate"
    crowded = size("Llama-3.1-8B", "g2-standard-8", 1, concurrent_requests=900)
    assert isinstance(crowded, Shortfall)
    assert crowded.constraint == "concurrency"


@pytest.mark.parametrize("requests", [1, 30, 300, 3000, 1e6])
@pytest.mark.parametrize("deadline_s", [5, 400, 600, 3600, 24 * 3600])
def test_a_batch_is_done_in_time_or_refused(requests: float, deadline_s: float) -> None:
    """Machines start first, and at the end of a job fewer and fewer requests run: both count."""
    lengths = {"input_tokens": 500, "output_tokens": 500}
    found = size("Llama-3.1-8B", "g2-standard-8", is_batch=True, requests=requests, deadline_s=deadline_s, **lengths)
    if isinstance(found, Shortfall):
        assert found.constraint == "deadline" and deadline_s < 600
        return
    assert found.batch_hours is not None
    assert found.batch_hours.expected * 3600 <= deadline_s * 1.0001
    assert [one.share >= 0 for one in found.margins if one.constraint == "deadline"] == [True]


def test_batch_inference_meets_its_deadline() -> None:
    need = {"is_batch": True, "requests": 1e6, "input_tokens": 1000, "output_tokens": 200}
    found = fitted("Llama-3.1-8B", "g2-standard-8", deadline_s=24 * 3600.0, **need)
    assert found.batch_hours is not None
    assert found.batch_hours.expected <= 24
    assert found.utilisation is None, "a batch keeps its machines busy until it is done, whatever the deadline"
    assert fitted("Llama-3.1-8B", "g2-standard-8", deadline_s=48 * 3600.0, **need).nodes < found.nodes
    assert fitted("Llama-3.1-8B", "g2-standard-8", **need).nodes == 1


def test_missing_traffic_is_filled_in_and_said_so() -> None:
    found = fitted("Llama-3.1-8B", "a3-highgpu-1g")
    text = " ".join(found.assumptions)
    assert "prompts of 1000 tokens" in text
    assert "no traffic is given" in text
    assert found.max_batch <= MAX_SEQUENCES


def test_stored_formats_are_computed_in_the_next_native_one() -> None:
    found = fitted("Llama-3.1-8B", "a2-highgpu-1g", precision="fp8")
    assert (found.precision, found.computed_in) == ("fp8", "bf16")
    assert "stores fp8 and computes in bf16" in " ".join(found.assumptions)
    assert fitted("Llama-3.1-8B", "a3-highgpu-1g", precision="fp8").computed_in == "fp8"


def test_bf16_weights_run_as_fp16_only_where_nobody_asked_for_bf16() -> None:
    assert fitted("Qwen2.5-1.5B", "n1+T4x1").computed_in == "fp16"
    refused = size("Qwen2.5-1.5B", "n1+T4x1", precision="bf16")
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "precision"
    assert isinstance(size("Qwen2.5-1.5B", "n1+V100x1", precision="fp8"), Shortfall)


def test_contexts_beyond_the_model() -> None:
    assert isinstance(size("GPT2-xl", "a3-highgpu-1g", max_context_tokens=2048), Shortfall)
    extended = fitted("Qwen2.5-7B", "a3-highgpu-1g", max_context_tokens=262_144)
    assert "rescaled" in " ".join(extended.assumptions)
    refused = size("Llama-2-7b", "a3-highgpu-1g", max_context_tokens=100_000)
    assert isinstance(refused, Shortfall)
    assert refused.constraint == "model"


def test_an_unknown_peak_takes_no_part_and_is_said_so() -> None:
    node = machine("g2-standard-8")
    blind = replace(node, accelerator=replace(node.accelerator, bf16_tflops=None))
    found = size_serving(from_card(CATALOG.models["Llama-3.1-8B"], FACTS), ServeNeed(), blind, FACTS)
    assert isinstance(found, ServingFit)
    assert "no peak of" in " ".join(found.assumptions)


def test_parts_of_an_accelerator_are_small_devices() -> None:
    whole, half = fitted("Qwen3-8B", "g4-standard-48"), fitted("Qwen3-8B", "g4-standard-24")
    assert half.memory.usable == pytest.approx(whole.memory.usable / 2)
    assert isinstance(size("Qwen3-8B", "g4-standard-6"), Shortfall)


def test_encoders_answer_in_input_tokens() -> None:
    found = fitted("BERT-base-uncased", "g2-standard-4", input_tokens=128, requests_per_second=50)
    assert found.tpot_ms is None
    assert found.memory.kv_cache == 0
    assert found.tokens_per_second is not None


def test_a_guessed_shape_widens_the_ranges() -> None:
    need, node = ServeNeed(input_tokens=500, output_tokens=500), machine("a3-highgpu-1g")
    guessed = size_serving(from_numbers(Model(parameters=8e9), FACTS), need, node, FACTS)
    known = size_serving(from_card(CATALOG.models["Llama-3.1-8B"], FACTS), need, node, FACTS)
    assert isinstance(guessed, ServingFit)
    assert isinstance(known, ServingFit)
    assert guessed.tpot_ms is not None
    assert known.tpot_ms is not None
    known_width, width = known.tpot_ms.high / known.tpot_ms.low, guessed.tpot_ms.high / guessed.tpot_ms.low
    assert known_width < width <= 2.5
    assert width == pytest.approx(min(2.5, known_width * 1.15**2), rel=0.05)


def test_machines_that_come_in_units() -> None:
    assert fitted("Llama-3.1-8B", "a4x-highgpu-4g").nodes == 18


def test_slices_join_chips_of_several_vms() -> None:
    joined = replace(machine("ct5p-hightpu-4t"), slice_vms=(1, 2, 4, 8))
    found = size_serving(from_card(CATALOG.models["Llama-3.1-405B"], FACTS), ServeNeed(precision="bf16"), joined, FACTS)
    assert isinstance(found, ServingFit)
    assert found.nodes in (4, 8)
    assert found.pipeline_parallel == 1


def test_the_need_of_a_descriptor() -> None:
    serve = Serve(input_tokens=10, requests_per_second=2, replicas=Replicas(min=2, max=8), tpot_ms=40)
    need = ServeNeed.of(serve, Model(name="x", precision="fp8"))
    assert (need.input_tokens, need.replicas_min, need.replicas_max, need.precision) == (10, 2, 8, "fp8")
    assert ServeNeed.of(None, None).gpu_memory_utilization == 0.9


def test_what_engines_report_beside_the_weights() -> None:
    # a published start-up: 14.99 GiB of weights and 4.6 GiB of cache in 19.86 GiB of an L4; a guide serves 32,768 tokens
    found = fitted("Llama-3.1-8B", "g2-standard-8", 1, precision="bf16", max_context_tokens=32768)
    assert found.memory.activations + found.memory.overhead < 0.85
    assert isinstance(size("Llama-3.1-8B", "g2-standard-8", 1, precision="bf16", max_context_tokens=40000), Shortfall)


def test_a_machine_of_our_choice_is_not_filled_to_the_brim() -> None:
    spare = ServeNeed.of(None, Model(name="x", precision="fp8"), is_pinned=False).spare_gib
    assert (spare, ServeNeed.of(None, None).spare_gib) == (0.5, 0.0)
    asked = {"precision": "fp8", "max_context_tokens": 8192}
    assert isinstance(size("Llama-3.1-70B", "a3-highgpu-1g", 1, **asked), ServingFit)
    assert isinstance(size("Llama-3.1-70B", "a3-highgpu-1g", 1, spare_gib=spare, **asked), Shortfall)
