"""How many machines the group has, and what makes it grow and shrink."""

import math
from typing import Literal

from msgspec import Struct

from infragen.decide.model import Reason, ScheduleChoice
from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.descriptor.model import Replicas
from infragen.diagnostics import Diagnostics, declare
from infragen.units import many

UTILISATION_TARGET = 0.7  # share of a machine's capacity at which the autoscaler adds one, G004

SCALE = declare(
    "G004",
    "autoscale-signal",
    """Scale on the requests that a machine can answer, where a load balancer counts them; else on GPU utilisation.

    Why: a serving engine batches: its GPU looks busy long before it is full. The rate that the plan computed for a
    machine is the honest capacity.
    Example: an exposed service with `requests_per_second` scales on the load balancer's rate per machine.
    """,
    source="https://docs.cloud.google.com/compute/docs/autoscaler/scaling-load-balancing",
)
SIZE = declare(
    "G006",
    "group-size",
    """Run as many machines as the traffic or the job needs, within the replicas that the descriptor allows.

    Why: fewer do not meet the latency at peak; more are paid for and idle.
    Example: 3 replicas for the peak within `replicas: {min: 2, max: 8}` scale between 2 and 8 machines.
    """,
    source="Little's law: requests in flight = rate × time per request",
)
FROM_NOTHING = declare(
    "G020",
    "scale-from-nothing",
    """Let a group shrink to nothing only where something outside of it calls it back.

    Why: a group without machines has no utilisation, and a load balancer without machines answers with errors and counts
    no request: the autoscaler would leave it empty for good. The length of a queue is measured without the group.
    Example: `replicas: {min: 0, max: 4}` scaled on requests is refused; `signal: queue` with `min: 0` is not.
    """,
    source="https://docs.cloud.google.com/compute/docs/autoscaler/scaling-cloud-monitoring-metrics",
)
UNMEASURED = declare(
    "G021",
    "signal-not-measured",
    """Scale only on what the machines have.

    Why: a metric that no machine writes leaves the autoscaler without a signal; the group stays at its smallest size.
    Example: `signal: gpu-utilization` for machines without accelerators is refused.
    """,
    source="https://docs.cloud.google.com/compute/docs/autoscaler/scaling-cloud-monitoring-metrics",
)
Signal = Literal["cpu-utilization", "gpu-utilization", "load-balancing", "requests", "queue", "metric"]


class Scaling(Struct, frozen=True):
    """Size and autoscaler of the group, and why."""

    size: int
    low: int
    high: int
    is_automatic: bool
    signal: Signal | None
    target: float | None
    scale_in_machines: int
    scale_in_window_s: int
    schedules: tuple[ScheduleChoice, ...]
    because: tuple[Reason, ...]


def bounds(replicas: Replicas | None, nodes: int, nodes_per_replica: float) -> tuple[int, int]:
    """Smallest and largest number of VMs."""
    if replicas is None:
        return nodes, nodes
    low = math.ceil((replicas.min if replicas.min is not None else 1) * nodes_per_replica)
    high = math.ceil(replicas.max * nodes_per_replica) if replicas.max is not None else max(nodes, low)
    return low, max(high, low)


def decide(
    need: Need, machine: Machine, nodes: int, nodes_per_replica: float, rate: float | None, diags: Diagnostics
) -> Scaling:
    """Size and autoscaler. ``rate``: requests per second that a machine answers within the latency asked for."""
    workload = need.workload
    replicas = workload.serve.replicas if workload.serve and workload.task in ("serve", "batch-inference") else None
    low, high = bounds(replicas, nodes, nodes_per_replica)
    asked = workload.group.autoscale if workload.task not in TRAINING_TASKS else None
    if asked:
        low = asked.min if asked.min is not None else low
        high = asked.max if asked.max is not None else max(high, low, *(one.machines for one in asked.schedules))
        low = min(low, high)
    elif workload.machine.count:
        low = high = workload.machine.count
    if nodes_per_replica > 1:
        low = high = math.ceil(max(nodes, low) / nodes_per_replica) * round(nodes_per_replica)
    is_automatic = high > low and (workload.task == "serve" or asked is not None)
    size = min(max(nodes, low), high)
    text = f"{size} VM{'s' if size > 1 else ''}"
    if is_automatic:
        text = f"{many(nodes, 'VM')} at peak; between {low} and {high} as asked"
    why = [Reason(SIZE.id, text)]
    signal: Signal | None = None
    target: float | None = None
    if is_automatic:
        signal, target, text = _signal(need, machine, rate)
        why.append(Reason(SCALE.id, text))
        _check(need, machine, signal, low, diags)
    shrink = asked.scale_in if asked else None
    return Scaling(
        size=size, low=low, high=high, is_automatic=is_automatic, signal=signal, target=target,
        scale_in_machines=shrink.machines if shrink else 1,
        scale_in_window_s=round(shrink.within) if shrink else 600,
        schedules=tuple(
            ScheduleChoice(one.name, one.at, round(one.lasts), one.machines, one.time_zone)
            for one in (asked.schedules if asked and is_automatic else ())
        ),
        because=tuple(why),
    )  # fmt: skip


def _signal(need: Need, machine: Machine, rate: float | None) -> tuple[Signal, float, str]:
    given, serve = need.workload.group.autoscale, need.workload.serve
    exposed = need.workload.task == "serve" and serve is not None and serve.expose != "none"
    usual: Signal = "gpu-utilization" if machine.accelerator else "cpu-utilization"
    signal: Signal = given.signal if given and given.signal else ("requests" if exposed and rate else usual)
    if given and given.target:
        is_share = signal in ("cpu-utilization", "gpu-utilization", "load-balancing")
        return signal, given.target / 100 if is_share else given.target, f"{signal} at {given.target:g}, as asked"
    if signal == "requests" and rate:
        return (
            signal,
            round(rate, 3),
            f"a machine answers {rate:.3g} requests/s within the latency asked for; add one at {UTILISATION_TARGET:.0%} of that",
        )
    return signal, UTILISATION_TARGET, f"{signal} at {UTILISATION_TARGET:.0%}"


def _check(need: Need, machine: Machine, signal: Signal, low: int, diags: Diagnostics) -> None:
    at = need.workload.at
    if low == 0 and signal != "queue":
        path = "group.autoscale.min" if need.workload.group.autoscale else "serve.replicas.min"
        message = "a group that shrank to nothing would never grow again"
        help = "set it to 1 or more, or scale on the length of a queue with `group.autoscale.signal: queue`"
        diags.add(FROM_NOTHING.error(message, at(path), f"{signal} is measured at the machines", help))
    if signal == "gpu-utilization" and machine.accelerator is None:
        message = f"`{machine.type}` has no GPU whose utilisation could be measured"
        help = "write `signal: cpu-utilization`"
        diags.add(UNMEASURED.error(message, at("group.autoscale.signal"), "no accelerator", help))
