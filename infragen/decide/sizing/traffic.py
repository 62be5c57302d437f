"""What is asked of serving, and what is taken where nothing is said.

Takes the sections of a descriptor. Gives a `ServeNeed`, and its `Traffic`: the same with every gap filled by a default
that is put into words.
"""

import math

from msgspec import Struct

from infragen.decide.sizing.node import START_H
from infragen.decide.sizing.shape import ModelShape
from infragen.descriptor.model import Model, Serve
from infragen.units import HOUR_S

DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS, DEFAULT_CONTEXT_TOKENS = 1000, 250, 4096
CHOSEN_SPARE_GIB = 0.5  # of each accelerator of a machine that is ours to choose: what engines and versions differ by


class ServeNeed(Struct, frozen=True):
    """What is asked of serving. None: not said."""

    precision: str | None = None
    kv_precision: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    max_context_tokens: int | None = None
    gpu_memory_utilization: float = 0.90
    requests_per_second: float | None = None
    concurrent_requests: int | None = None
    requests: float | None = None  # in all: batch inference
    deadline_s: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    replicas_min: int | None = None
    replicas_max: int | None = None
    is_batch: bool = False
    spare_gib: float = 0.0  # of each accelerator that is to stay free

    @classmethod
    def of(
        cls, serve: Serve | None, model: Model | None, *, is_batch: bool = False, is_pinned: bool = True
    ) -> "ServeNeed":
        """The need of a descriptor's sections; ``is_pinned``: they name the machine."""
        serve, model = serve or Serve.model_construct(), model or Model.model_construct()
        return cls(
            precision=model.precision,
            kv_precision=model.kv_precision,
            input_tokens=serve.input_tokens,
            output_tokens=serve.output_tokens,
            max_context_tokens=serve.max_context_tokens,
            gpu_memory_utilization=serve.gpu_memory_utilization,
            requests_per_second=serve.requests_per_second,
            concurrent_requests=serve.concurrent_requests,
            requests=serve.requests,
            deadline_s=serve.deadline,
            ttft_ms=serve.ttft_ms,
            tpot_ms=serve.tpot_ms,
            replicas_min=serve.replicas.min if serve.replicas else None,
            replicas_max=serve.replicas.max if serve.replicas else None,
            is_batch=is_batch,
            spare_gib=0.0 if is_pinned else CHOSEN_SPARE_GIB,
        )


class Traffic(Struct, frozen=True):
    """A `ServeNeed` with its gaps filled, and the words for how."""

    input_tokens: int
    output_tokens: int
    context_tokens: int  # of the longest request
    rate: float | None  # requests per second at the peak
    concurrency: int | None
    kv_format: str
    assumptions: tuple[str, ...]

    @property
    def request_tokens(self) -> int:
        """What a typical request occupies at its end."""
        return self.input_tokens + self.output_tokens


def traffic_of(shape: ModelShape, need: ServeNeed) -> Traffic:
    """The need with its gaps filled by stated defaults."""
    if shape.kind == "diffusion":
        note = (
            "the time that an image takes is not modelled: memory alone decides; measure it, then give `machine.count`"
        )
        return Traffic(1, 0, 1, None, need.concurrent_requests, need.kv_precision or "bf16", (note,))
    notes: list[str] = []
    tokens_in, tokens_out, context = need.input_tokens, need.output_tokens, need.max_context_tokens
    limit = context or shape.max_context_tokens or math.inf
    if tokens_in is None:
        tokens_in = int(max(1, min(DEFAULT_INPUT_TOKENS, limit * 0.8)))
        if shape.is_generative and tokens_out is not None:
            tokens_in = int(max(1, min(tokens_in, limit - tokens_out)))
        notes.append(f"prompts of {tokens_in} tokens, as none are given")
    if not shape.is_generative:
        tokens_out = 0
    elif tokens_out is None:
        tokens_out = int(max(1, min(DEFAULT_OUTPUT_TOKENS, limit - tokens_in if limit > tokens_in else 1)))
        notes.append(f"answers of {tokens_out} tokens, as none are given")
    if context is None and need.input_tokens is None and need.output_tokens is None and shape.is_generative:
        context = int(min(DEFAULT_CONTEXT_TOKENS, limit))
        notes.append(f"requests of up to {context} tokens, as no length is given")
    longest = max(context or 0, tokens_in + tokens_out)
    rate = need.requests_per_second
    if need.is_batch and need.requests and need.deadline_s:
        rate = need.requests / max(1.0, need.deadline_s - START_H * HOUR_S)
    if rate is None and need.concurrent_requests is None and not need.is_batch:
        notes.append("no traffic is given: one replica, with memory for one request of the longest context")
    if need.concurrent_requests is not None and need.input_tokens is None and need.max_context_tokens:
        context = need.max_context_tokens
        tokens_in, tokens_out = context - min(tokens_out, context - 1), min(tokens_out, context - 1)
    return Traffic(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        context_tokens=longest,
        rate=rate,
        concurrency=need.concurrent_requests,
        kv_format=need.kv_precision or "bf16",
        assumptions=tuple(notes),
    )
