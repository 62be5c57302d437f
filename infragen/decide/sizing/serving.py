"""Serving: the smallest sufficient layout of a model on a node, and what it does.

Takes a `ModelShape`, a `ServeNeed` and a `Node`. Gives a `ServingFit`, or the `Shortfall` nearest to a fit. Promises:
memory is never over the engine's share; every time and rate is a range from the low, expected and high efficiency of the
chip's architecture; asking for less never takes more VMs.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide.model import Margin, Memory, Range
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import START_H, Node, Shortfall, context_shortfall
from infragen.decide.sizing.precision import Arithmetic, serving_arithmetic, weight_bytes
from infragen.decide.sizing.replica import ServingLayout, layouts
from infragen.decide.sizing.roofline import Speed, efficiency
from infragen.decide.sizing.shape import ModelShape
from infragen.decide.sizing.traffic import ServeNeed, Traffic, traffic_of
from infragen.units import GIB, HOUR_S, duration, many

__all__ = ["MAX_SEQUENCES", "ServeNeed", "ServingFit", "size_serving"]

UTILISATION = 0.85  # of a replica's capacity at the peak rate: room for bursts
GROUPING_GAIN = 1.1  # that attention in groups must bring to be worth what the engine must be told for it
MOE_SPREAD = 1.2  # how far engines lie apart on experts, each way: see docs/calibration.md
SHORT_JOB = 0.8  # of the steady rate, below which a plan says that the job is short
GUESS_SPREAD = 1.15  # more, where the shape had to be guessed
WIDEST = 2.5  # highest over lowest figure of a range
MAX_SEQUENCES = 1024  # that an engine schedules at once; vLLM's default on large accelerators


class ServingFit(Struct, frozen=True):
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
    utilisation: float | None  # of the capacity, at the rate asked for; None: all, until a batch is done
    margins: tuple[Margin, ...]
    binding: str
    assumptions: tuple[str, ...]


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
    best: _Sufficient | None = None
    nearest: Shortfall | None = None
    spanning = 0
    for layout in layouts(shape, need, traffic, node, arithmetic, facts, nodes):
        if best is not None and layout.vms > spanning:
            break  # a replica over more VMs is only for what fewer VMs cannot hold
        spanning = layout.vms
        found = _sufficient(shape, need, traffic, node, layout, nodes)
        if isinstance(found, Shortfall):
            nearest = found if nearest is None or found.distance <= nearest.distance else nearest
        elif best is None or found.rank < best.rank:
            best = found
    if best is not None:
        return _fit(shape, need, traffic, arithmetic, best)
    return nearest or _no_layout(shape, node)


class _Sufficient(Struct, frozen=True):
    """A layout that carries the traffic, with what it takes to rank it."""

    layout: ServingLayout
    expected: Speed
    vms: int
    replicas: int
    allowed: int  # sequences per replica that memory and the latency limits allow
    batch: int  # sequences per replica that the figures are for
    busy: float  # replicas that have a full batch
    tokens: float  # that count for each request

    @property
    def rank(self) -> tuple[float, ...]:
        """Sort key: fewest VMs, then most tokens per second (to a percent), then the least splitting."""
        rate = self.busy * self.expected.requests_per_second(self.batch) * self.tokens
        if self.layout.groups > 1:
            rate /= GROUPING_GAIN
        share = -round(math.log(rate) * 50) if rate > 0 else 0
        return (self.vms, share, self.layout.pipeline, self.layout.tensor, self.layout.groups)


def _no_layout(shape: ModelShape, node: Node) -> Shortfall:
    return Shortfall(
        "parallelism", shape.attention_heads, node.devices, "heads",
        f"{shape.attention_heads} attention heads cannot be split over {node.devices} accelerators",
        "use a machine with one accelerator, or a number that divides the heads",
    )  # fmt: skip


def _sufficient(
    shape: ModelShape, need: ServeNeed, traffic: Traffic, node: Node, layout: ServingLayout, nodes: int | None
) -> _Sufficient | Shortfall:
    """What one layout carries, or what it lacks."""
    if layout.room < layout.kv_longest:
        return _memory_shortfall(traffic, node, layout)
    expected = efficiency(layout.replica, "expected")
    allowed = _allowed_batch(need, traffic, layout, expected)
    if isinstance(allowed, Shortfall):
        return allowed
    found = _replicas(need, traffic, layout, expected, allowed, nodes, node.unit_vms)
    if isinstance(found, Shortfall):
        return found
    vms, replicas = found
    batch = _operating_batch(need, traffic, allowed, replicas)
    busy = min(replicas, traffic.concurrency / batch) if traffic.concurrency else replicas
    per_request = traffic.output_tokens if shape.is_generative else traffic.input_tokens
    tokens = 0 if shape.kind == "diffusion" else per_request
    return _Sufficient(layout, expected, vms, replicas, allowed, batch, busy, tokens)


def _fit(
    shape: ModelShape, need: ServeNeed, traffic: Traffic, arithmetic: Arithmetic, found: _Sufficient
) -> ServingFit:
    """Everything there is to say about a layout that suffices."""
    layout, expected, allowed, replicas = found.layout, found.expected, found.allowed, found.replicas
    bands = (efficiency(layout.replica, "low"), expected, efficiency(layout.replica, "high"))
    at_rate = _load_batch(traffic, expected, found, allowed)
    in_flight = found.batch if need.is_batch else at_rate  # a job runs flat out
    asked = at_rate if traffic.rate or traffic.concurrency else 1
    kv = max(layout.kv_longest, asked * layout.kv_request)  # what is asked for, not the pool that is left
    memory = replace(layout.fixed, kv_cache=min(kv, layout.room)).gib(layout.budget)
    is_image = shape.kind == "diffusion"
    rate = Range(*(found.busy * _rate(need, shape, found, band) for band in bands))
    ttft = None if is_image else Range(*(band.ttft_s(in_flight) * 1000 for band in reversed(bands)))
    tpot = Range(*(band.tpot_s(in_flight) * 1000 for band in reversed(bands))) if shape.is_generative else None
    spread = (GUESS_SPREAD if shape.is_estimated else 1.0) * (MOE_SPREAD if shape.is_moe else 1.0)
    rate = _widened(rate, spread) or rate
    tokens = None if is_image else rate.scaled(found.tokens)
    ttft, tpot = (_widened(one, spread, is_time=True) for one in (ttft, tpot))
    capacity = replicas * expected.requests_per_second(allowed)
    hours = _batch_hours(need, rate) if need.is_batch and not is_image else None
    margins = tuple(_margins(need, traffic, layout, memory, ttft, tpot, hours, capacity))
    return ServingFit(
        nodes=found.vms,
        tensor_parallel=layout.tensor,
        pipeline_parallel=layout.pipeline,
        replicas=replicas,
        replicas_per_node=layout.per_vm,
        memory=memory,
        max_batch=allowed,
        batch=found.batch,
        tokens_per_second=tokens,
        ttft_ms=ttft,
        tpot_ms=tpot,
        requests_per_second=None if is_image else rate,
        requests_per_second_per_node=None if is_image else capacity / found.vms * UTILISATION,
        batch_hours=hours,
        weights_gib=weight_bytes(shape, arithmetic.stored) / GIB,
        precision=arithmetic.stored.format,
        computed_in=arithmetic.computed,
        utilisation=traffic.rate / capacity if traffic.rate and not (is_image or need.is_batch) else None,
        margins=margins,
        binding=_binding(margins, layout, expected, allowed, found.batch),
        assumptions=(
            *shape.assumptions,
            *arithmetic.assumptions,
            *traffic.assumptions,
            *expected.assumptions,
            *_shared(need, found),
            *_short(need, found, rate),
            *_grouped(layout),
        ),
    )


def _rate(need: ServeNeed, shape: ModelShape, found: _Sufficient, speed: Speed) -> float:
    """Requests per second of a busy replica: steadily, or over a batch job of a stated number."""
    if need.is_batch and need.requests and shape.is_generative:
        return speed.job_rate(found.batch, max(1.0, need.requests / found.busy))
    return speed.requests_per_second(found.batch)


def _short(need: ServeNeed, found: _Sufficient, rate: Range) -> Iterator[str]:
    """That a batch job is so short that its end counts, where it is."""
    steady = found.busy * found.expected.requests_per_second(found.batch)
    if need.requests and rate.expected < SHORT_JOB * steady:
        yield (
            f"{many(round(need.requests), 'request')} make a short job: fewer and fewer run at once towards its end, which leaves "
            f"{rate.expected / steady:.0%} of the steady rate"
        )


def _shared(need: ServeNeed, found: _Sufficient) -> Iterator[str]:
    """That copies asked for share VMs, where they do."""
    if (need.replicas_min or 1) > found.vms and found.layout.vms == 1:
        yield f"{found.replicas} copies of the model share {found.vms} VM{'s' if found.vms > 1 else ''} and fail with it"


def _grouped(layout: ServingLayout) -> Iterator[str]:
    """That attention is not split like the experts, where it is not."""
    if layout.groups > 1:
        yield (
            f"each of {layout.groups} accelerators attends for requests of its own, the experts are spread over all "
            f"(with vLLM `--data-parallel-size {layout.groups} --enable-expert-parallel`)"
        )


def _memory_shortfall(traffic: Traffic, node: Node, layout: ServingLayout) -> Shortfall:
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


def _allowed_batch(need: ServeNeed, traffic: Traffic, layout: ServingLayout, expected: Speed) -> int | Shortfall:
    """The largest batch that memory, the scheduler and the latency limits allow; latencies are the expected ones."""
    most = max(1, min(MAX_SEQUENCES * layout.groups, layout.memory_batch))
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
    for _, limit, of in limits:  # latencies grow with the batch
        if of(most) * 1000 > limit:
            most = bisect_right(range(1, most), limit, key=lambda batch: of(batch) * 1000)
    return most


def _replicas(
    need: ServeNeed,
    traffic: Traffic,
    layout: ServingLayout,
    expected: Speed,
    allowed: int,
    nodes: int | None,
    unit: int,
) -> tuple[int, int] | Shortfall:
    """(VMs, replicas on them) that carry the traffic."""
    wanted = max(1, need.replicas_min or 1)
    if traffic.concurrency:
        wanted = max(wanted, math.ceil(traffic.concurrency / allowed))
    capacity = expected.requests_per_second(allowed) * UTILISATION
    if traffic.rate:
        wanted = max(wanted, math.ceil(traffic.rate / capacity - 1e-9))
    if need.is_batch and need.requests and need.deadline_s and traffic.output_tokens:
        hurried = _in_time(need.requests, need.deadline_s - START_H * HOUR_S, expected, allowed, wanted)
        if isinstance(hurried, Shortfall):
            return hurried
        wanted = hurried
    if need.replicas_max is not None and wanted > max(need.replicas_max, need.replicas_min or 1):
        return Shortfall(
            "replicas", wanted, need.replicas_max, "replicas",
            f"the traffic takes {wanted} replicas, allowed are {need.replicas_max}",
            f"raise `serve.replicas.max` to {wanted}, or use a faster machine",
        )  # fmt: skip
    vms = math.ceil(wanted / layout.per_vm - 1e-9)
    if nodes is None:
        vms = math.ceil(vms / unit) * unit
        return vms, max(1, int(vms * layout.per_vm + 1e-9))
    if vms > nodes:
        offered = max(1, int(nodes * layout.per_vm + 1e-9))
        if traffic.concurrency and wanted == math.ceil(traffic.concurrency / allowed):
            return Shortfall(
                "concurrency", traffic.concurrency, offered * allowed, "requests",
                f"{_vms_hold(nodes)} {offered * allowed} requests at once, {traffic.concurrency} are asked for",
                f"use {many(vms, 'VM')}",
            )  # fmt: skip
        return Shortfall(
            "rate" if traffic.rate else "replicas", wanted, offered, "replicas",
            f"the traffic takes {wanted} replicas, {_vms_hold(nodes)} {offered}", f"use {many(vms, 'VM')}",
        )  # fmt: skip
    return nodes, max(1, int(nodes * layout.per_vm + 1e-9))


def _in_time(requests: float, left_s: float, expected: Speed, allowed: int, least: int) -> int | Shortfall:
    """The fewest replicas, from ``least`` on, with which the whole job is done in the time that is left once machines have
    started, its end included."""

    def job_s(replicas: int) -> float:
        each = max(1.0, requests / replicas)
        return each / expected.job_rate(allowed, each)

    most = max(least, math.ceil(requests))
    alone = job_s(most)
    if alone > left_s:
        start_s = START_H * HOUR_S
        return Shortfall(
            "deadline", start_s + alone, start_s + left_s, "s",
            f"machines start in {duration(start_s)} and one request alone takes {duration(alone)} (expected); "
            f"allowed are {duration(start_s + left_s)}",
            "raise `serve.deadline`, or use a faster accelerator, more of them for each copy, or a smaller precision",
        )  # fmt: skip
    return least + bisect_left(range(least, most), True, key=lambda replicas: job_s(replicas) <= left_s)


def _vms_hold(nodes: int) -> str:
    return f"{many(nodes, 'VM')} {'holds' if nodes == 1 else 'hold'}"


def _operating_batch(need: ServeNeed, traffic: Traffic, allowed: int, replicas: int) -> int:
    """Sequences per replica that the plan's tokens per second are for: as many as there are at once, else all that fit."""
    at_once = traffic.concurrency or (need.requests if need.is_batch else None)
    return max(1, min(allowed, math.ceil(at_once / replicas))) if at_once else allowed


def _load_batch(traffic: Traffic, expected: Speed, found: _Sufficient, allowed: int) -> int:
    """Sequences in flight per replica at the rate asked for (Little's law); at the operating batch without a rate."""
    if traffic.rate is None or traffic.concurrency:
        return found.batch
    # the smallest batch whose throughput carries the rate
    each = traffic.rate / found.replicas
    return 1 + bisect_left(range(1, allowed), each, key=expected.requests_per_second)


def _batch_hours(need: ServeNeed, rate: Range) -> Range | None:
    if not need.requests:
        return None
    return Range(*(START_H + need.requests / (HOUR_S * one) for one in (rate.high, rate.expected, rate.low)))


def _widened(range: Range | None, factor: float, *, is_time: bool = False) -> Range | None:
    """A range from a model whose shape had to be guessed, or whose kernels differ between engines; never above `WIDEST`.

    What is too wide loses its slow end.
    """
    if range is None:
        return None
    low, high, widest = range.low / factor, range.high * factor, WIDEST * (1 - 1e-9)
    if is_time:
        low = max(low, range.expected / widest)
        return Range(low, range.expected, min(high, low * widest))
    high = min(high, range.expected * widest)
    return Range(max(low, high / widest), range.expected, high)


def _margins(
    need: ServeNeed,
    traffic: Traffic,
    layout: ServingLayout,
    memory: Memory,
    ttft: Range | None,
    tpot: Range | None,
    hours: Range | None,
    capacity: float,
) -> Iterator[Margin]:
    yield Margin("memory", memory.total, memory.usable, "GiB per accelerator")
    if need.ttft_ms is not None and ttft:
        yield Margin("ttft", ttft.expected, need.ttft_ms, "ms")
    if need.tpot_ms is not None and tpot:
        yield Margin("tpot", tpot.expected, need.tpot_ms, "ms")
    if traffic.rate:
        yield Margin("rate", traffic.rate, capacity, "requests/s")
    if need.deadline_s and hours:
        yield Margin("deadline", hours.expected, need.deadline_s / HOUR_S, "h")


def _binding(margins: tuple[Margin, ...], layout: ServingLayout, expected: Speed, allowed: int, batch: int) -> str:
    """The constraint that stops this plan from being smaller."""
    tightest = min(margins, key=lambda margin: margin.share)
    if tightest.share < 0.10 and tightest.constraint != "rate":
        return tightest.constraint
    if allowed == layout.memory_batch:
        return "memory"
    return expected.regime(batch)
