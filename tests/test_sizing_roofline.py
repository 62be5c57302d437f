"""The roofline of a replica: what a step reads and computes, and what of it the layout changes."""

import pytest
from msgspec.structs import replace

from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import START_H, Node, node_of
from infragen.decide.sizing.precision import expert_bytes, rest_bytes, serving_arithmetic
from infragen.decide.sizing.roofline import Replica, Speed, band_of, efficiency
from infragen.decide.sizing.serving import WIDEST, ServeNeed, ServingFit, size_serving
from infragen.decide.sizing.shape import ModelShape, from_card
from infragen.facts.load import Catalog

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)


def machine(name: str) -> Node:
    record = CATALOG.machines[name]
    assert record.accelerator is not None
    return node_of(record, CATALOG.accelerators[record.accelerator], CATALOG.fabrics[record.fabric])


def shape(name: str) -> ModelShape:
    return from_card(CATALOG.models[name], FACTS)


def speed(model: ModelShape, node: Node, prompt: int, answer: int, kv_read_bytes: float = 0.0) -> Speed:
    arithmetic = serving_arithmetic(model, node.accelerator, "bf16", FACTS)
    return efficiency(
        Replica(
            shape=model, node=node, tensor=1, pipeline=1, vms=1,
            rest_bytes=rest_bytes(model, arithmetic.stored), expert_bytes=expert_bytes(model, arithmetic.stored),
            kv_read_bytes=kv_read_bytes, arithmetic=arithmetic, input_tokens=prompt, output_tokens=answer,
            band=band_of(node, FACTS),
        ),
        "expected",
    )  # fmt: skip


def fitted(model: str, node: str, **need: object) -> ServingFit:
    found = size_serving(shape(model), ServeNeed(**need), machine(node), FACTS, 1)  # type: ignore[arg-type]
    assert isinstance(found, ServingFit), found
    return found


def attends_in_groups(fit: ServingFit) -> bool:
    return any("attends for requests of its own" in one for one in fit.assumptions)


def test_latent_attention_runs_in_groups_when_the_machine_is_full() -> None:
    """TensorRT-LLM's tables and SGLang serve DeepSeek so: a cache that cannot be split would be held eight times."""
    full = fitted("DeepSeek-R1", "a3-ultragpu-8g", input_tokens=1024, output_tokens=8192, is_batch=True)
    assert attends_in_groups(full)
    assert full.memory.weights > full.weights_gib / 8
    few = fitted("DeepSeek-R1", "a3-ultragpu-8g", input_tokens=1024, output_tokens=1024, concurrent_requests=8)
    assert not attends_in_groups(few)
    assert full.max_batch > 4 * few.max_batch * (2048 / 9216)


def test_dense_models_are_never_grouped() -> None:
    assert not attends_in_groups(fitted("Llama-3.1-405B", "a3-ultragpu-8g", precision="fp8", is_batch=True))


def test_a_prompt_does_not_pass_the_output_head() -> None:
    model, node = shape("Llama-3.2-1B"), machine("a3-highgpu-1g")
    wide = replace(model, vocabulary=4 * model.vocabulary)
    assert speed(wide, node, 1000, 100).prefill_cost_s == speed(model, node, 1000, 100).prefill_cost_s
    assert speed(wide, node, 1000, 100).compute_s > speed(model, node, 1000, 100).compute_s


def test_a_step_reads_an_input_embedding_only_where_the_head_shares_it() -> None:
    node, model = machine("a3-highgpu-1g"), shape("Llama-3.1-8B")
    table = model.vocabulary * model.hidden_size * 2.0
    apart, tied = (speed(replace(model, tied_embeddings=one), node, 100, 100).fixed_read_s for one in (False, True))
    assert tied - apart == pytest.approx(table / (node.bandwidth * band_of(node, FACTS).bandwidth_expected))


def test_decoding_with_a_latent_cache_is_arithmetic() -> None:
    """128 heads meet every cached vector: 242 FLOPs a byte of a 16-bit cache, so at that cache the chip computes."""
    model, node = shape("DeepSeek-V3"), machine("a3-ultragpu-8g")
    assert model.query_flops(1.0) / model.kv_values(1.0) / 2 == pytest.approx(242, rel=0.01)
    eight_bits = speed(model, node, 8000, 2, model.kv_values(8001))
    assert eight_bits.attend_s == speed(model, node, 8000, 2, 0.0).attend_s
    assert speed(model, node, 8000, 2, 4 * model.kv_values(8001)).attend_s > eight_bits.attend_s
    grouped_queries = shape("Llama-3.1-70B")
    assert grouped_queries.query_flops(1.0) / grouped_queries.kv_values(1.0) / 2 == 8


def test_a_window_bounds_what_a_new_token_is_compared_with() -> None:
    windowed = shape("gpt-oss-20b")
    assert windowed.query_flops(100_000) < 0.6 * replace(
        windowed, attention=tuple(replace(one, window_tokens=None) for one in windowed.attention)
    ).query_flops(100_000)


def test_narrow_experts_keep_the_chip_less_busy() -> None:
    node, mixtral = machine("a3-highgpu-2g"), shape("Mixtral-8x7B")
    wide, narrow = (speed(replace(mixtral, expert_width=one), node, 1000, 100) for one in (14_336, 1536))
    assert narrow.expert_read_s > 1.1 * wide.expert_read_s
    assert narrow.prefill_cost_s > 1.1 * wide.prefill_cost_s


@pytest.mark.parametrize("concurrency", [1, 4, 64, None])
@pytest.mark.parametrize(("model", "node", "precision"), [
    ("DeepSeek-R1", "a4-highgpu-8g", "nvfp4"), ("Qwen3-30B-A3B", "g4-standard-48", "nvfp4"), ("Llama-3.1-8B", "a2-ultragpu-1g", None),
])  # fmt: skip
def test_no_range_is_wider_than_it_may_be(
    model: str, node: str, precision: str | None, concurrency: int | None
) -> None:
    fit = fitted(model, node, precision=precision, concurrent_requests=concurrency, is_batch=concurrency is None,
                 input_tokens=1000, output_tokens=500)  # fmt: skip
    for one in filter(
        None, (fit.tokens_per_second, fit.tpot_ms, fit.ttft_ms, fit.requests_per_second, fit.batch_hours)
    ):
        assert one.low <= one.expected <= one.high <= WIDEST * one.low


def test_the_end_of_a_short_job_counts() -> None:
    """Bursts of 1,000 prompts at a fast machine reach a fraction of its steady rate; long jobs reach it."""
    found = speed(shape("Llama-3.1-8B"), machine("a3-highgpu-1g"), 217, 202, kv_read_bytes=40e6)
    steady = found.requests_per_second(512)
    rates = [found.job_rate(512, requests) for requests in (10, 512, 1000, 10_000, 1e7)]
    assert rates == sorted(rates)
    assert 0.4 * steady < rates[2] < 0.8 * steady
    assert rates[-1] == pytest.approx(steady, rel=0.01)
    assert found.job_rate(1, 1) == pytest.approx(found.requests_per_second(1))


def test_a_short_job_is_said_to_be_one() -> None:
    lengths = {"input_tokens": 217, "output_tokens": 202, "is_batch": True}
    short, long = (fitted("Llama-3.1-8B", "a3-highgpu-1g", requests=number, **lengths) for number in (1000, 1e7))
    assert any("a short job" in one for one in short.assumptions)
    assert not any("a short job" in one for one in long.assumptions)
    assert short.batch_hours is not None
    assert short.batch_hours.low <= short.batch_hours.expected <= short.batch_hours.high
    assert short.tokens_per_second is not None
    assert short.batch_hours.expected == pytest.approx(START_H + 1000 * 202 / 3600 / short.tokens_per_second.expected)
