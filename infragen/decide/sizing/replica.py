"""How one replica of a model may lie on the devices of a node, and the memory that it leaves.

Takes a model, its traffic and a node. Gives every legal `ServingLayout`, fewest VMs first. Tensor parallelism stays inside
the fast interconnect; a pipeline joins what that cannot.
"""

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.memory import (
    Parts,
    kv_bytes,
    serving_activation_bytes,
    serving_overhead_bytes,
    stage_share,
)
from infragen.decide.sizing.node import Node
from infragen.decide.sizing.precision import Arithmetic, expert_bytes, rest_bytes, weight_bytes
from infragen.decide.sizing.roofline import Replica, band_of
from infragen.decide.sizing.shape import ModelShape
from infragen.decide.sizing.traffic import ServeNeed, Traffic
from infragen.units import GIB

SPANNING_DEVICES = 8  # accelerators of a VM from which on a replica may span several
MAX_REPLICA_VMS = 32  # VMs that one replica may span


class ServingLayout(Struct, frozen=True):
    """One way to lay a replica over devices, with the memory and the speed that it has."""

    tensor: int
    pipeline: int
    groups: int  # of devices that attend for requests of their own; 1: all devices share each request
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
        return int(min(1e9, self.room / self.kv_request)) * self.groups if self.kv_request > 0 else 1_000_000


@lru_cache(maxsize=256)
def degrees(
    shape: ModelShape, on_node: int, domain: int, is_switched: bool, slice_vms: tuple[int, ...]
) -> tuple[tuple[int, int, int], ...]:
    """(tensor, pipeline, VMs) of every legal layout of a replica, fewest VMs first. ``on_node``: devices of one VM."""
    return tuple(_degrees(shape, on_node, domain, is_switched, slice_vms))


def _degrees(
    shape: ModelShape, on_node: int, domain: int, is_switched: bool, slice_vms: tuple[int, ...]
) -> Iterator[tuple[int, int, int]]:
    inside = [d for d in (1, 2, 4, 8, 16) if d <= on_node and (d == 1 or shape.kind != "diffusion")]
    splits = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= domain and shape.attention_heads % t == 0]
    for devices in inside:
        for tensor in reversed(splits):
            pipeline = devices // tensor
            if tensor * pipeline != devices or pipeline > shape.layers:
                continue
            # inside a switched node a pipeline only serves what tensor parallelism cannot split
            if pipeline == 1 or not is_switched or shape.attention_heads % (tensor * 2):
                yield tensor, pipeline, 1
    if shape.kind == "diffusion" or (on_node < SPANNING_DEVICES and domain <= on_node):
        return  # a replica over several small machines is what a larger machine is for
    widest = max((t for t in splits if t <= on_node), default=1)
    for vms in range(2, MAX_REPLICA_VMS + 1):
        if slice_vms and vms not in slice_vms:
            continue
        devices = vms * on_node
        if devices in splits:
            yield devices, 1, vms  # the fast interconnect joins the VMs
        elif devices // widest <= shape.layers and devices % widest == 0:
            yield widest, devices // widest, vms


def _groups(shape: ModelShape, tensor: int, pipeline: int) -> tuple[int, ...]:
    """Into how many groups the devices may fall for attention: mixtures also run with each device for itself.

    The experts stay spread over all devices; attention and its cache are then not split (DeepSeek-V3, arXiv 2412.19437
    section 3.4; "attention data parallelism" of serving engines).
    """
    return (1, tensor) if shape.expert_parameters and tensor > 1 and pipeline == 1 else (1,)


def layouts(
    shape: ModelShape,
    need: ServeNeed,
    traffic: Traffic,
    node: Node,
    arithmetic: Arithmetic,
    facts: SizingFacts,
    nodes: int | None,
) -> Iterator[ServingLayout]:
    """Every legal layout that is not hopeless by the weight of the model alone, fewest VMs first."""
    stored = arithmetic.stored
    weights = weight_bytes(shape, stored)
    rest, experts = rest_bytes(shape, stored), expert_bytes(shape, stored)
    budget = node.usable_bytes * need.gpu_memory_utilization - need.spare_gib * GIB
    value_bytes = facts.formats[traffic.kv_format].bytes_per_value
    overhead = facts.overheads[node.accelerator.kind]
    band = band_of(node, facts)
    activations = serving_activation_bytes(shape, min(2048.0, max(64.0, traffic.context_tokens * 8.0)))
    mean_tokens = traffic.input_tokens + traffic.output_tokens / 2  # of a request in flight
    fewest = min(nodes or MAX_REPLICA_VMS, MAX_REPLICA_VMS)
    hopeless, is_offered = None, False
    for tensor, pipeline, vms in degrees(shape, node.devices, node.domain, node.is_switched, node.slice_vms):
        if vms > fewest or (vms > 1 and nodes is None and not node.is_switched):
            break  # without a switch, a replica over several machines is only for those who ask for them
        devices = tensor * pipeline
        is_hopeless = weights / devices > budget
        if is_hopeless and hopeless is not None and hopeless.tensor * hopeless.pipeline >= devices:
            continue
        for groups in _groups(shape, tensor, pipeline):
            attending = tensor // groups  # devices that share the attention of a request
            layout = ServingLayout(
                tensor=tensor,
                pipeline=pipeline,
                groups=groups,
                vms=vms,
                per_vm=node.devices // devices if vms == 1 else 1 / vms,
                fixed=Parts(
                    weights=(rest / attending + experts / tensor) * stage_share(shape.layers, pipeline),
                    activations=activations,
                    overhead=serving_overhead_bytes(overhead, devices),
                ),
                kv_request=kv_bytes(shape, traffic.request_tokens, value_bytes, attending, pipeline),
                kv_longest=kv_bytes(shape, traffic.context_tokens, value_bytes, attending, pipeline),
                budget=budget,
                replica=Replica(
                    shape=shape,
                    node=node,
                    tensor=tensor,
                    pipeline=pipeline,
                    groups=groups,
                    vms=vms,
                    rest_bytes=rest * groups,
                    expert_bytes=experts,
                    kv_read_bytes=attending * kv_bytes(shape, mean_tokens, value_bytes, attending),
                    arithmetic=arithmetic,
                    input_tokens=traffic.input_tokens,
                    output_tokens=traffic.output_tokens,
                    band=band,
                ),
            )
            if is_hopeless:
                hopeless = layout
                break
            is_offered = True
            yield layout
    if hopeless is not None and not is_offered:
        yield hopeless  # so that the refusal says by how much
