"""Serving: the smallest sufficient layout of a model on a node, and what it does.

Takes a `ModelShape`, a `ServeNeed` and a `Node`. Gives a `ServingFit`, or the `Shortfall` nearest to a fit. Promises:
memory is never over the engine's share; every time and rate is a range from the low, expected and high efficiency of the
chip's architecture; asking for less never takes more VMs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from infragen.decide.model import Margin, Memory, Range
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import (
    Parts,
    kv_bytes,
    overhead_bytes,
    serving_activation_bytes,
    stage_share,
)
from infragen.decide.sizing.node import Node, Shortfall, context_shortfall
from infragen.decide.sizing.precision import Arithmetic, expert_bytes, rest_bytes, serving_arithmetic, weight_bytes
from infragen.decide.sizing.roofline import Replica, Speed, band_of, efficiency
from infragen.decide.sizing.shape import ModelShape
from infragen.descriptor.model import Model, Serve
from infragen.units import GIB

DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS = 1000, 250
UTILISATION = 0.85  # of a replica's capacity at the peak rate: room for bursts
MAX_SEQUENCES = 1024  # that an engine schedules at once; vLLM's default on large accelerators
SPANNING_DEVICES = 8  # accelerators of a VM from which on a replica may span several
MAX_REPLICA_VMS = 32  # VMs that one replica may span


@dataclass(frozen=True, slots=True)
class ServeNeed:
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

    @classmethod
    def of(cls, serve: Serve | None, model: Model | None, *, is_batch: bool = False) -> "ServeNeed":
        """The need of a descriptor's sections."""
        serve, model = serve or Serve(), model or Model()
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
        )


@dataclass(frozen=True, slots=True)
class Traffic:
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


@dataclass(frozen=True, slots=True)
class ServingFit:
    """How a node serves the model. Rates are those of all ``nodes`` VMs together."""

    nodes: int
    tensor_parallel: int
    pipeline_parallel: int
    replicas: int  # copies of the model on all VMs
    replicas_per_node: float  # below 1: a replica spans several VMs
    memory: Memory  # per accelerator
    max_batch: int  # sequences per replica that memory and the latency limits allow
    batch: int  # sequences per replica that the figures are for
    tokens_per_second: Range | None  # output tokens; of encoders input tokens; None for image models
    ttft_ms: Range | None
    tpot_ms: Range | None
    requests_per_second: Range | None
    requests_per_second_per_node: float | None  # with room for bursts
    batch_hours: Range | None  # of a batch job
    weights_gib: float  # of the checkpoint, once
    precision: str
    computed_in: str
    utilisation: float | None  # of the capacity, at the rate asked for
    margins: tuple[Margin, ...]
    binding: str
    assumptions: tuple[str, ...]


def traffic_of(shape: ModelShape, need: ServeNeed) -> Traffic:
    """The need with its gaps filled by stated defaults."""
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
    longest = max(context or 0, tokens_in + tokens_out)
    rate = need.requests_per_second
    if need.is_batch and need.requests and need.deadline_s:
        rate = need.requests / need.deadline_s
    if rate is None and need.concurrent_requests is None and not need.is_batch:
        notes.append("no traffic is given: one replica, with memory for one request of the longest context")
    if need.concurrent_requests is not None and need.input_tokens is None and context:
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


@dataclass(frozen=True, slots=True)
class _Layout:
    """One way to lay a replica over devices, with the memory and the speed that it has."""

    tensor: int
    pipeline: int
    vms: int  # that one replica spans
    per_vm: float  # replicas in one VM
    fixed: Parts  # bytes per device without cache
    kv_request: float  # bytes per device of a typical request
    kv_longest: float
    budget: float  # bytes per device that the engine may use
    replica: Replica

    @property
    def room(self) -> float:
        """Bytes per device that are left for the cache."""
        return self.budget - self.fixed.total

    @property
    def memory_batch(self) -> int:
        """Typical requests that the cache holds at once."""
        return int(min(1e9, self.room / self.kv_request)) if self.kv_request > 0 else 1_000_000


def size_serving(
    shape: ModelShape, need: ServeNeed, node: Node, facts: SizingFacts, nodes: int | None = None
) -> ServingFit | Shortfall:
    """The best layout on the fewest VMs (or on ``nodes`` of them), or why there is none."""
    arithmetic = serving_arithmetic(shape, node.accelerator, need.precision, facts)
    if isinstance(arithmetic, Shortfall):
        return arithmetic
    traffic = traffic_of(shape, need)
    notes: list[str] = []
    too_long = context_shortfall(shape, traffic.context_tokens, notes)
    if too_long is not None:
        return too_long
    traffic = replace(traffic, assumptions=(*traffic.assumptions, *notes))
    best: ServingFit | None = None
    nearest: Shortfall | None = None
    spanning = 0
    for layout in _layouts(shape, need, traffic, node, arithmetic, facts, nodes):
        if best is not None and layout.vms > spanning:
            break  # a replica over more VMs is only for what fewer VMs cannot hold
        spanning = layout.vms
        found = _fit(shape, need, traffic, node, layout, arithmetic, nodes)
        if isinstance(found, Shortfall):
            nearest = found if nearest is None or found.distance <= nearest.distance else nearest
        elif best is None or _rank(found) < _rank(best):
            best = found
    if best is not None:
        return best
    return nearest or _no_layout(shape, node)


def _rank(fit: ServingFit) -> tuple[float, ...]:
    """Sort key: fewest VMs, then most tokens per second (to a percent), then the least splitting."""
    rate = fit.tokens_per_second.expected if fit.tokens_per_second else 0.0
    return (fit.nodes, -round(math.log(rate) * 50) if rate > 0 else 0, fit.pipeline_parallel, fit.tensor_parallel)


def _no_layout(shape: ModelShape, node: Node) -> Shortfall:
    return Shortfall(
        "parallelism", shape.attention_heads, node.devices, "heads",
        f"{shape.attention_heads} attention heads cannot be split over {node.devices} accelerators",
        "use a machine with one accelerator, or a number that divides the heads",
    )  # fmt: skip


def degrees(shape: ModelShape, node: Node) -> Iterator[tuple[int, int, int]]:
    """(tensor, pipeline, VMs) of every legal layout of a replica, fewest VMs first."""
    inside = [d for d in (1, 2, 4, 8, 16) if d <= node.devices and (d == 1 or shape.kind != "diffusion")]
    splits = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= node.domain and shape.attention_heads % t == 0]
    for devices in inside:
        for tensor in reversed(splits):
            pipeline = devices // tensor
            if tensor * pipeline != devices or pipeline > shape.layers:
                continue
            # inside a switched node a pipeline only serves what tensor parallelism cannot split
            if pipeline == 1 or not node.is_switched or shape.attention_heads % (tensor * 2):
                yield tensor, pipeline, 1
    if shape.kind == "diffusion" or (node.devices < SPANNING_DEVICES and node.domain <= node.devices):
        return  # a replica over several small machines is what a larger machine is for
    widest = max((t for t in splits if t <= node.devices), default=1)
    for vms in range(2, MAX_REPLICA_VMS + 1):
        if node.slice_vms and vms not in node.slice_vms:
            continue
        devices = vms * node.devices
        if devices in splits:
            yield devices, 1, vms
        if devices // widest <= shape.layers and devices % widest == 0:
            yield widest, devices // widest, vms


def _layouts(
    shape: ModelShape,
    need: ServeNeed,
    traffic: Traffic,
    node: Node,
    arithmetic: Arithmetic,
    facts: SizingFacts,
    nodes: int | None,
) -> Iterator[_Layout]:
    """Every legal layout that is not hopeless by the weight of the model alone, fewest VMs first."""
    stored = arithmetic.stored
    weights = weight_bytes(shape, stored)
    rest, experts = rest_bytes(shape, stored), expert_bytes(shape, stored)
    budget = node.usable_bytes * need.gpu_memory_utilization
    value_bytes = facts.formats[traffic.kv_format].bytes_per_value
    overhead = facts.overheads[node.accelerator.kind]
    band = band_of(node, facts)
    activations = serving_activation_bytes(shape, min(2048.0, max(64.0, traffic.context_tokens * 8.0)))
    kv_one = kv_bytes(shape, traffic.request_tokens, value_bytes)
    kv_mean = kv_bytes(shape, traffic.input_tokens + traffic.output_tokens / 2, value_bytes)
    fewest = min(nodes or MAX_REPLICA_VMS, MAX_REPLICA_VMS)
    hopeless, is_offered = None, False
    for tensor, pipeline, vms in degrees(shape, node):
        if vms > fewest:
            break
        devices = tensor * pipeline
        is_hopeless = weights / devices > budget
        if is_hopeless and hopeless is not None and hopeless.tensor * hopeless.pipeline >= devices:
            continue
        layout = _Layout(
            tensor=tensor,
            pipeline=pipeline,
            vms=vms,
            per_vm=node.devices // devices if vms == 1 else 1 / vms,
            fixed=Parts(
                weights=weights / tensor * stage_share(shape.layers, pipeline),
                activations=activations,
                overhead=overhead_bytes(overhead, devices),
            ),
            kv_request=kv_bytes(shape, traffic.request_tokens, value_bytes, tensor, pipeline),
            kv_longest=kv_bytes(shape, traffic.context_tokens, value_bytes, tensor, pipeline),
            budget=budget,
            replica=Replica(
                shape=shape,
                node=node,
                tensor=tensor,
                pipeline=pipeline,
                vms=vms,
                rest_bytes=rest,
                expert_bytes=experts,
                kv_read_bytes=kv_mean
                * (tensor * kv_bytes(shape, 16, 1.0, tensor) / max(1.0, kv_bytes(shape, 16, 1.0))),
                kv_bytes=kv_one,
                arithmetic=arithmetic,
                input_tokens=traffic.input_tokens,
                output_tokens=traffic.output_tokens,
                band=band,
            ),
        )
        if is_hopeless:
            hopeless = layout
            continue
        is_offered = True
        yield layout
    if hopeless is not None and not is_offered:
        yield hopeless  # so that the refusal says by how much


def _fit(
    shape: ModelShape,
    need: ServeNeed,
    traffic: Traffic,
    node: Node,
    layout: _Layout,
    arithmetic: Arithmetic,
    nodes: int | None,
) -> ServingFit | Shortfall:
    """The fit of one layout, or what it lacks."""
    if layout.room < layout.kv_longest:
        return _memory_shortfall(traffic, node, layout)
    bands = efficiency(layout.replica)
    expected = bands[1]
    allowed = _allowed_batch(need, traffic, layout, expected)
    if isinstance(allowed, Shortfall):
        return allowed
    found = _replicas(need, traffic, layout, expected, allowed, nodes, node.unit_vms)
    if isinstance(found, Shortfall):
        return found
    vms, replicas = found
    batch = _operating_batch(traffic, expected, allowed, replicas)
    at_rate = _load_batch(traffic, expected, allowed, replicas)
    kv = max(layout.kv_longest, at_rate * layout.kv_request)
    memory = replace(layout.fixed, kv_cache=min(kv, layout.room)).gib(layout.budget)
    busy = min(replicas, traffic.concurrency / batch) if traffic.concurrency else replicas  # that have a full batch
    rate = Range(*(busy * band.requests_per_second(batch) for band in bands))
    is_image = shape.kind == "diffusion"
    per_request = traffic.output_tokens if shape.is_generative else traffic.input_tokens
    tokens = None if is_image else rate.scaled(per_request)
    ttft = None if is_image else Range(*(band.ttft_s(at_rate) * 1000 for band in reversed(bands)))
    tpot = Range(*(band.tpot_s(at_rate) * 1000 for band in reversed(bands))) if shape.is_generative else None
    if shape.is_estimated:
        tokens, ttft, tpot = (_widened(one) for one in (tokens, ttft, tpot))
    capacity = replicas * expected.requests_per_second(allowed)
    margins = tuple(_margins(need, traffic, layout, memory, ttft, tpot, capacity))
    return ServingFit(
        nodes=vms,
        tensor_parallel=layout.tensor,
        pipeline_parallel=layout.pipeline,
        replicas=replicas,
        replicas_per_node=layout.per_vm,
        memory=memory,
        max_batch=allowed,
        batch=batch,
        tokens_per_second=tokens,
        ttft_ms=ttft,
        tpot_ms=tpot,
        requests_per_second=None if is_image else rate,
        requests_per_second_per_node=None if is_image else capacity / vms * UTILISATION,
        batch_hours=_batch_hours(need, rate) if need.is_batch and not is_image else None,
        weights_gib=weight_bytes(shape, arithmetic.stored) / GIB,
        precision=arithmetic.stored.format,
        computed_in=arithmetic.computed,
        utilisation=traffic.rate / capacity if traffic.rate and not is_image else None,
        margins=margins,
        binding=_binding(margins, layout, expected, allowed, batch),
        assumptions=(*shape.assumptions, *arithmetic.assumptions, *traffic.assumptions, *expected.assumptions),
    )


def _memory_shortfall(traffic: Traffic, node: Node, layout: _Layout) -> Shortfall:
    needed, budget = (layout.fixed.total + layout.kv_longest) / GIB, layout.budget / GIB
    devices = layout.tensor * layout.pipeline
    where = f"{devices} × {node.accelerator.name}" if devices > 1 else f"one {node.accelerator.name}"
    return Shortfall(
        "memory", needed, budget, "GiB",
        f"{needed - budget:.1f} GiB short per accelerator on {where}: weights {layout.fixed.weights / GIB:.1f}, cache of "
        f"{traffic.context_tokens:,} tokens {layout.kv_longest / GIB:.1f}, runtime and activations "
        f"{(layout.fixed.overhead + layout.fixed.activations) / GIB:.1f} GiB; usable are {budget:.1f} GiB",
        "use more accelerators, one with more memory, a smaller precision, or a shorter context",
    )  # fmt: skip


def _allowed_batch(need: ServeNeed, traffic: Traffic, layout: _Layout, expected: Speed) -> int | Shortfall:
    """The largest batch that memory, the scheduler and the latency limits allow; latencies are the expected ones."""
    most = max(1, min(MAX_SEQUENCES, layout.memory_batch))
    limits = [
        (constraint, limit, of)
        for constraint, limit, of in (("ttft", need.ttft_ms, expected.ttft_s), ("tpot", need.tpot_ms, expected.tpot_s))
        if limit is not None and (constraint == "ttft" or traffic.output_tokens)
    ]
    for constraint, limit, of in limits:
        alone = of(1) * 1000
        if alone > limit:
            return Shortfall(
                "ttft" if constraint == "ttft" else "tpot", alone, limit, "ms",
                f"{constraint.upper()} of a single request is {alone:.3g} ms, allowed are {limit:g} ms",
                f"raise `serve.{constraint}_ms`, or use a faster accelerator, more of them, or a smaller precision",
            )  # fmt: skip
    low, high = 1, most
    while low < high:  # latencies grow with the batch
        middle = (low + high + 1) // 2
        if all(of(middle) * 1000 <= limit for _, limit, of in limits):
            low = middle
        else:
            high = middle - 1
    return low


def _replicas(
    need: ServeNeed, traffic: Traffic, layout: _Layout, expected: Speed, allowed: int, nodes: int | None, unit: int
) -> tuple[int, int] | Shortfall:
    """(VMs, replicas on them) that carry the traffic."""
    wanted = max(1, need.replicas_min or 1)
    if traffic.concurrency:
        wanted = max(wanted, math.ceil(traffic.concurrency / allowed))
    capacity = expected.requests_per_second(allowed) * UTILISATION
    if traffic.rate:
        wanted = max(wanted, math.ceil(traffic.rate / capacity - 1e-9))
    if need.replicas_max is not None and wanted > max(need.replicas_max, need.replicas_min or 1):
        return Shortfall(
            "replicas", wanted, need.replicas_max, "replicas",
            f"the traffic takes {wanted} replicas, allowed are {need.replicas_max}",
            f"raise `serve.replicas.max` to {wanted}, or use a faster machine",
        )  # fmt: skip
    vms = math.ceil(wanted / layout.per_vm - 1e-9)
    vms = math.ceil(vms / unit) * unit
    if nodes is None:
        return vms, max(1, int(vms * layout.per_vm + 1e-9))
    if vms > nodes:
        offered = max(1, int(nodes * layout.per_vm + 1e-9))
        if traffic.concurrency and wanted == math.ceil(traffic.concurrency / allowed):
            return Shortfall(
                "concurrency", traffic.concurrency, offered * allowed, "requests",
                f"{nodes} VMs hold {offered * allowed} requests at once, {traffic.concurrency} are asked for",
                f"use {vms} VMs",
            )  # fmt: skip
        return Shortfall(
            "rate" if traffic.rate else "replicas", wanted, offered, "replicas",
            f"the traffic takes {wanted} replicas, {nodes} VMs hold {offered}", f"use {vms} VMs",
        )  # fmt: skip
    return nodes, max(1, int(nodes * layout.per_vm + 1e-9))


def _operating_batch(traffic: Traffic, expected: Speed, allowed: int, replicas: int) -> int:
    """Sequences per replica that the plan's tokens per second are for: the concurrency asked for, else all there is."""
    if traffic.concurrency:
        return max(1, min(allowed, math.ceil(traffic.concurrency / replicas)))
    return allowed


def _load_batch(traffic: Traffic, expected: Speed, allowed: int, replicas: int) -> int:
    """Sequences in flight per replica at the rate asked for (Little's law); at the operating batch without a rate."""
    if traffic.rate is None or traffic.concurrency:
        return _operating_batch(traffic, expected, allowed, replicas)
    each = traffic.rate / replicas
    low, high = 1, allowed
    while low < high:  # the smallest batch whose throughput carries the rate
        middle = (low + high) // 2
        if expected.requests_per_second(middle) >= each:
            high = middle
        else:
            low = middle + 1
    return low


def _batch_hours(need: ServeNeed, rate: Range) -> Range | None:
    if not need.requests:
        return None
    return Range(*(need.requests / (3600 * one) for one in (rate.high, rate.expected, rate.low)))


def _widened(range: Range | None, factor: float = 1.15) -> Range | None:
    """A range from a model whose shape had to be guessed."""
    return None if range is None else Range(range.low / factor, range.expected, range.high * factor)


def _margins(
    need: ServeNeed,
    traffic: Traffic,
    layout: _Layout,
    memory: Memory,
    ttft: Range | None,
    tpot: Range | None,
    capacity: float,
) -> Iterator[Margin]:
    yield Margin("memory", memory.total, memory.usable, "GiB per accelerator")
    if need.ttft_ms is not None and ttft:
        yield Margin("ttft", ttft.expected, need.ttft_ms, "ms")
    if need.tpot_ms is not None and tpot:
        yield Margin("tpot", tpot.expected, need.tpot_ms, "ms")
    if traffic.rate:
        yield Margin("rate", traffic.rate, capacity, "requests/s")


def _binding(margins: tuple[Margin, ...], layout: _Layout, expected: Speed, allowed: int, batch: int) -> str:
    """The constraint that stops this plan from being smaller."""
    tightest = min(margins, key=lambda margin: margin.share)
    if tightest.share < 0.10 and tightest.constraint != "rate":
        return tightest.constraint
    if allowed == layout.memory_batch:
        return "memory"
    return expected.regime(batch)
