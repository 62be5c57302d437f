"""How fast one replica prefills and decodes: the roofline of arithmetic, memory bandwidth and communication.

Takes a `Replica` (a model on t × p devices) and gives a `Speed` for the low, expected and high efficiency of the chip's
architecture. Steady state of continuous batching: a batch of B requests occupies the replica for B prefills and
``output_tokens`` decode steps, so that requests per second = B / (B·t_prefill + output_tokens·t_decode(B)).
"""

import math
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from infragen.decide.sizing.facts import ServingBand, SizingFacts
from infragen.decide.sizing.node import Node
from infragen.decide.sizing.precision import DEQUANTISATION_COST, SIXTEEN_BITS, Arithmetic, peak_flops
from infragen.decide.sizing.shape import ModelShape

Level = Literal["low", "expected", "high"]  # of efficiency
ALLREDUCES_PER_LAYER = 2
GROUPED_SHARE = 0.8  # of the rates that is left where groups of devices wait for the busiest: see docs/calibration.md
NARROW_EXPERT = 2048  # inner width up to which a routed expert is narrow
ROUTING_POWER = 1 / 3  # by which what routing costs falls with the width of an expert: see docs/calibration.md
DRAIN_POINTS = 24  # batches that the end of a job is summed over
PIPELINE_HOP_S = 50e-6  # latency of one hand-over between VMs


class Replica(Struct, frozen=True):
    """A model on tensor × pipeline devices, with the traffic that it gets. Bytes are of the whole model."""

    shape: ModelShape
    node: Node
    tensor: int
    pipeline: int
    vms: int
    rest_bytes: float  # read at every step, once by each group
    expert_bytes: float  # read as far as the batch visits them
    kv_read_bytes: float  # of one mean-length request, replication over devices included
    arithmetic: Arithmetic
    input_tokens: int
    output_tokens: int
    band: ServingBand
    groups: int = 1  # of devices that attend for requests of their own


class Speed(Struct, frozen=True):
    """The roofline at one efficiency, as the coefficients of a step's time. Seconds, per replica."""

    prefill_s: float  # of one prompt, from arrival to its first token, alone
    prefill_cost_s: float  # that one prompt keeps the replica busy
    fixed_read_s: float  # weights that every step reads
    expert_read_s: float  # all routed experts
    routed_share: float  # of the experts that one token visits
    attend_s: float  # attention of one request: its cache is read, or its arithmetic done, whichever takes longer
    compute_s: float  # arithmetic of one token
    step_s: float  # latency of communication and host per step
    transfer_s: float  # communication per token
    pipeline: int
    output_tokens: int
    assumptions: tuple[str, ...] = ()

    def decode_s(self, batch: float) -> float:
        """Time of one decode step of ``batch`` sequences: the time per output token while nothing is prefilled."""
        stage = batch / self.pipeline  # a pipeline works on as many micro-batches as it has stages
        experts = (
            self.expert_read_s * (1.0 - (1.0 - self.routed_share) ** max(1.0, stage)) if self.expert_read_s else 0.0
        )
        # matrix products read the weights while they compute, unless it is many small ones, of an expert each; attention
        # reads the cache after them
        read, computed = self.fixed_read_s + experts, self.compute_s * stage
        products = read + computed if experts else max(read, computed)
        return products + self.attend_s * stage + self.step_s + self.transfer_s * stage

    def tpot_s(self, batch: float) -> float:
        """Time per output token in steady state, prefills of other requests included."""
        if not self.output_tokens:
            return 0.0
        return self.decode_s(batch) + max(0.0, batch - 1) * self.prefill_cost_s / self.output_tokens

    def requests_per_second(self, batch: float) -> float:
        """Requests that a replica completes, at that many in flight."""
        return batch / (batch * self.prefill_cost_s + self.output_tokens * self.decode_s(batch))

    def job_rate(self, batch: int, requests: float) -> float:
        """Requests per second over a whole job of that many: full until none waits, then fewer and fewer answer on.

        Lengths of answers vary about their mean as far as it is long (exponentially): of n requests left, one ends
        after each n-th part of the mean. Answers of one length end together instead, and sooner.
        """
        at_once = max(1, min(batch, int(requests)))
        full = max(0.0, requests - at_once) / self.requests_per_second(at_once)
        started = at_once * self.prefill_cost_s
        return requests / (full + started + self.output_tokens * self._draining_s(at_once))

    def _draining_s(self, batch: int) -> float:
        """Sum of the time of a step over its requests, from that many down to one."""
        steps = [*(max(2, round(batch ** (n / DRAIN_POINTS))) for n in range(DRAIN_POINTS)), batch + 1]
        spans = ((low, high) for low, high in pairwise(steps) if high > low)
        return self.decode_s(1) + sum(
            self.decode_s((low + high - 1) / 2) * (math.log(high - 0.5) - math.log(low - 0.5)) for low, high in spans
        )

    def ttft_s(self, batch: float) -> float:
        """Time to the first token: own prefill, a decode step, and the mean wait behind other prefills."""
        step = self.decode_s(batch) if self.output_tokens else 0.0
        # share of the time spent on prefills
        busy = self.prefill_cost_s * (batch / (batch * self.prefill_cost_s + self.output_tokens * step))
        wait = self.prefill_cost_s * busy / (2 * (1 - min(busy, 0.999)))
        return self.prefill_s + step + min(wait, (batch - 1) * self.prefill_cost_s)

    def regime(self, batch: float) -> str:
        """What bounds the replica at that batch: ``compute`` or ``bandwidth``."""
        stage = batch / self.pipeline
        decode = self.output_tokens * self.decode_s(batch)
        if self.compute_s * stage > self.decode_s(batch) / 2 or batch * self.prefill_cost_s > decode:
            return "compute"
        return "bandwidth"


def band_of(node: Node, facts: SizingFacts) -> ServingBand:
    """The efficiency of a chip's architecture; of its kind where it has no row."""
    return facts.serving.get(node.accelerator.architecture) or facts.serving[node.accelerator.kind]


def efficiency(replica: Replica, level: Level) -> Speed:
    """The roofline at low, expected or high efficiency."""
    b = replica.band
    match level:
        case "low":
            return speed(replica, b.bandwidth_low, b.compute_low, b.host_ms_high, b.allreduce_us_high)
        case "expected":
            return speed(replica, b.bandwidth_expected, b.compute_expected, b.host_ms_expected, b.allreduce_us_expected)
        case "high":
            return speed(replica, b.bandwidth_high, b.compute_high, b.host_ms_low, b.allreduce_us_low)


def speed(replica: Replica, of_bandwidth: float, of_peak: float, host_ms: float, allreduce_us: float) -> Speed:
    """The roofline at given shares of bandwidth and peak, host time per step and latency of an all-reduce."""
    shape, node, tensor = replica.shape, replica.node, replica.tensor
    attention_share = of_peak
    if shape.is_moe:
        routing = _routing_share(replica)
        of_bandwidth, of_peak = of_bandwidth * routing, of_peak * routing
    if replica.groups > 1:
        of_bandwidth, of_peak = of_bandwidth * GROUPED_SHARE, of_peak * GROUPED_SHARE
        attention_share *= GROUPED_SHARE
    bandwidth = node.bandwidth * of_bandwidth * tensor  # a step passes all stages one after the other
    peak, notes = replica.arithmetic.peak_flops, []
    if peak is None:
        notes.append(
            f"no peak of {node.accelerator.name} in {replica.arithmetic.computed} is known: arithmetic is left out"
        )
    unpacking = DEQUANTISATION_COST if replica.arithmetic.is_dequantised else 1.0
    rate = None if peak is None else peak * node.share * of_peak * unpacking * tensor
    # a prompt passes the layers alone; the output head works on its last token, and on every token of a decode step
    per_token = 2.0 * max(0.0, shape.active_parameters - shape.embedding_parameters)
    head = 2.0 * shape.vocabulary * shape.hidden_size if shape.is_generative else 0.0
    prompt_flops = per_token * replica.input_tokens
    attending = _attention_peak(replica) * node.share * attention_share * tensor
    attention_s = shape.attention_flops(replica.input_tokens) / attending if attending else 0.0
    transfer = _transfer_s(replica)
    routed = 2.0 * shape.expert_parameters * shape.experts_per_token / shape.experts if shape.experts else 0.0
    prompt_s = (prompt_flops / rate if rate else 0.0) + attention_s
    # one group alone attends to a prompt, with what it has of the rates
    shared = prompt_s - (routed * replica.input_tokens / rate if rate else 0.0)
    prompt = prompt_s + shared * (replica.groups - 1) + transfer * replica.input_tokens
    # a prompt reads the weights at least once, whatever its length
    read = replica.rest_bytes - replica.groups * _looked_up_bytes(replica)
    prompt = max(prompt, (read + replica.expert_bytes) / bandwidth)
    mean_tokens = replica.input_tokens + replica.output_tokens / 2
    query_s = shape.query_flops(mean_tokens) / attending if attending else 0.0
    hops = (replica.vms - 1) * PIPELINE_HOP_S + (replica.pipeline - 1) * PIPELINE_HOP_S
    latency = host_ms / 1000 + hops
    if tensor > 1:
        latency += ALLREDUCES_PER_LAYER * shape.layers * allreduce_us * 1e-6
    if node.link_bytes_s is None and tensor > 1:
        notes.append(f"no rate of the interconnect of {node.accelerator.name} is known: only its latency counts")
    return Speed(
        prefill_s=prompt + latency,
        # prompts arrive together: the weights are read once for several of them, so arithmetic alone counts
        prefill_cost_s=(prompt_s + transfer * replica.input_tokens) / replica.pipeline,
        fixed_read_s=read / bandwidth,
        expert_read_s=replica.expert_bytes / bandwidth,
        routed_share=min(1.0, shape.experts_per_token / shape.experts if shape.experts else 0.125),
        attend_s=max(replica.kv_read_bytes / bandwidth, query_s),
        compute_s=(per_token + head) / rate if rate else 0.0,
        step_s=latency,
        transfer_s=transfer,
        pipeline=replica.pipeline,
        output_tokens=replica.output_tokens,
        assumptions=tuple(notes),
    )


def _routing_share(replica: Replica) -> float:
    """What is left of the rates where a step runs experts: narrow ones keep kernels less busy than wide ones."""
    width = replica.shape.expert_width or NARROW_EXPERT
    return 1.0 - (1.0 - replica.band.moe_factor) * min(1.0, math.pow(NARROW_EXPERT / width, ROUTING_POWER))


def _attention_peak(replica: Replica) -> float:
    """Peak of what attention is computed in: 8 bits where the model is computed in 8 or fewer, else 16; 0: not known."""
    chip, computed = replica.node.accelerator, replica.arithmetic.computed
    if computed in ("fp8", "fp4"):
        return peak_flops(chip, "fp8") or replica.arithmetic.peak_flops or 0.0
    return peak_flops(chip, "bf16") or peak_flops(chip, "fp16") or replica.arithmetic.peak_flops or 0.0


def _looked_up_bytes(replica: Replica) -> float:
    """Bytes of the input embedding, of which a step reads only the rows of its tokens; none where the head shares it."""
    shape, stored = replica.shape, replica.arithmetic.stored
    if shape.tied_embeddings or not shape.is_generative:
        return 0.0
    each = stored.bytes_per_weight if stored.quantised_part == "all" else SIXTEEN_BITS
    return min(shape.embedding_parameters, shape.dense_parameters) / 2 * each


def _transfer_s(replica: Replica) -> float:
    """Time to move one token's activations through all all-reduces of a tensor-parallel group, and between stages."""
    shape, node, tensor = replica.shape, replica.node, replica.tensor
    hidden_bytes = 2.0 * shape.hidden_size
    moved = 0.0
    if replica.groups > 1 and node.link_bytes_s:
        # each token goes to the devices that hold its experts, and its results come back; all links carry at once
        visited = tensor * (1.0 - (1.0 - 1.0 / tensor) ** shape.experts_per_token) * (tensor - 1) / tensor
        moved = shape.layers * 2.0 * visited * hidden_bytes / node.link_bytes_s / tensor
    elif tensor > 1 and node.link_bytes_s:
        moved = ALLREDUCES_PER_LAYER * shape.layers * 2.0 * (tensor - 1) / tensor * hidden_bytes / node.link_bytes_s
    between = node.network_bytes_s if replica.vms > 1 else node.link_bytes_s
    if replica.pipeline > 1 and between:
        moved += (replica.pipeline - 1) * hidden_bytes / between
    return moved
