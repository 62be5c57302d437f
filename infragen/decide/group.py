"""The managed instance group: scope, size, autoscaling, healing and updates."""

import math
from typing import Literal

from msgspec import Struct

from infragen.decide.model import Decision, GroupChoice, Reason
from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Machine, Need
from infragen.descriptor.model import CapacityModel, Replicas
from infragen.diagnostics import Diagnostics, declare

HEALING_CHECKS = "https://docs.cloud.google.com/compute/docs/instance-groups/autohealing-instances-in-migs"
UPDATES = "https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups"
BOOT_S = 300  # boot of an image that holds everything, G005
CONTAINER_S = 300  # pulling a container of several GB, and starting its engine
INSTALL_S = 300  # packages that a public image lacks
HEAL_MAX_S = 3600  # the API's limit of the initial delay, G005
UTILISATION_TARGET = 0.7  # share of a machine's capacity at which the autoscaler adds one, G004

SCOPE = declare(
    "G001",
    "group-scope",
    """Spread a service over the zones of its region; keep everything else in one zone.

    Why: a zone can fail or run out of machines, and requests do not care which zone answers. Machines that talk to each
    other, share a zonal disk, or use a zonal network profile or reservation belong in one zone.
    Example: serving replicas with weights in a bucket become a regional group; 8 machines of a training run a zonal one.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/regional-migs",
)
UPDATE = declare(
    "G002",
    "update-policy",
    """Roll a new version out to a service at once, and to a running job never.

    Why: replacing a machine of a training run stops the run; replacing one of several replicas stops nothing.
    Example: serving groups update proactively, training groups opportunistically.
    """,
    source=UPDATES,
)
SURGE = declare(
    "G003",
    "update-surge",
    """Add machines during an update only where spare machines exist.

    Why: a reserved or scarce accelerator has no spare; the update would wait for a machine that never comes. Regional
    groups take 0, or at least one per zone.
    Example: on-demand serving in three zones surges by 3 with none unavailable; a reserved fleet surges by 0.
    """,
    source=UPDATES,
)
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
HEAL = declare(
    "G005",
    "heal-delay",
    """Give a machine time to boot and read the model before it is judged.

    Why: a machine that is replaced while it still loads never becomes healthy.
    Example: 15 GiB of weights at 0.2 GiB/s take 75 seconds; with 10 minutes to boot and to pull the container the first
    verdict comes after 12 minutes.
    """,
    source=HEALING_CHECKS,
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
PLACEMENT = declare(
    "G007",
    "group-placement",
    """Stand machines that train together close together.

    Why: the exchange of gradients waits for the slowest link; a compact placement keeps all of them under few switches.
    Example: 8 machines of a training run get a compact placement; replicas of a service, and capacity that brings its
    own placement, get none.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/use-compact-placement-policies",
)
CONTRADICTION = declare(
    "G008",
    "group-contradiction",
    """Refuse group settings that the API would refuse at apply.

    Why: `terraform plan` accepts them all; the group then fails to be created, or to be updated.
    Example: surge and unavailable both 0; `recreate` with a surge; suspended machines with GPUs.
    """,
    source=UPDATES,
)
OUTAGE = declare(
    "G009",
    "update-outage",
    """Say when an update takes all machines of a service at once.

    Why: a regional group replaces at least one machine per zone at a time; with no more machines than zones nobody is left to
    answer.
    Example: 3 reserved machines in 3 zones, none to spare: each update is an outage.
    """,
    source=UPDATES,
)
Signal = Literal["cpu-utilization", "gpu-utilization", "load-balancing", "requests"]
Placement = Literal["compact", "spread", "none"]
SPARE: frozenset[CapacityModel] = frozenset({"on-demand", "spot"})


class GroupNeed(Struct, frozen=True):
    """What the group must do. ``nodes`` are the VMs at peak; ``nodes_per_replica`` may be below 1."""

    machine: Machine
    capacity: CapacityModel
    nodes: int
    nodes_per_replica: float
    zones: tuple[str, ...]
    has_placement_of_its_own: bool  # the capacity brings its topology
    load_s: float  # reading the model
    has_own_image: bool
    requests_per_second_per_node: float | None


def is_regional(need: Need, machine: Machine, zones_available: int) -> bool:
    """Whether the group spans several zones (G001)."""
    asked = need.workload.group.scope
    if asked:
        return asked == "regional"
    return (
        need.workload.task == "serve"
        and zones_available > 1
        and machine.fabric.network_profile is None
        and need.workload.capacity.model not in ("reservation", "future-reservation", "calendar")
        and not _pins_a_disk(need)
    )


def _pins_a_disk(need: Need) -> bool:
    """Whether the descriptor asks for a store that all machines must share a zone with."""
    asked = {entry.service for entry in need.workload.storage}
    services = need.catalog.storage_services.values()
    return any(one.service in asked and one.scope == "zonal" and not one.is_writable_shared for one in services)


def bounds(replicas: Replicas | None, nodes: int, nodes_per_replica: float) -> tuple[int, int]:
    """Smallest and largest number of VMs."""
    if replicas is None:
        return nodes, nodes
    low = math.ceil((replicas.min if replicas.min is not None else 1) * nodes_per_replica)
    high = math.ceil(replicas.max * nodes_per_replica) if replicas.max is not None else max(nodes, low)
    return low, max(high, low)


def decide(need: Need, asked: GroupNeed, diags: Diagnostics) -> Decision[GroupChoice]:
    """The group, with the reason for each part."""
    workload = need.workload
    settings, serves = workload.group, workload.task == "serve"
    regional = len(asked.zones) > 1
    why = [_scope_reason(need, regional)]

    replicas = workload.serve.replicas if workload.serve and workload.task in SERVING_TASKS else None
    low, high = bounds(replicas, asked.nodes, asked.nodes_per_replica)
    autoscale = settings.autoscale
    if autoscale:
        low = autoscale.min if autoscale.min is not None else low
        high = autoscale.max if autoscale.max is not None else max(high, low)
    if workload.machine.count:
        low = high = workload.machine.count if not autoscale else high
    has_autoscaler = serves and high > low
    size = min(max(asked.nodes, low), high)
    why.append(Reason(SIZE.id, _size_text(asked, low, high, size, has_autoscaler)))

    signal: Signal | None = None
    target: float | None = None
    if has_autoscaler:
        signal, target, text = _signal(need, asked)
        why.append(Reason(SCALE.id, text))

    surge, unavailable, text = _surge(need, asked, regional, high)
    update = (
        settings.update.type
        if settings.update and settings.update.type
        else ("proactive" if serves else "opportunistic")
    )
    replacement = settings.update.replacement if settings.update and settings.update.replacement else "substitute"
    why += [
        Reason(
            UPDATE.id,
            "a new version replaces machines at once"
            if update == "proactive"
            else "a new version waits until a machine is replaced anyway",
        ),
        Reason(SURGE.id, text),
    ]
    _contradictions(need, asked, surge, unavailable, replacement, regional, diags)
    if serves and update == "proactive" and surge == 0 and unavailable >= size > 0:
        message = f"an update replaces all {size} machines at once"
        help = "raise the smallest size, set `group.scope: zonal`, or `group.update.type: opportunistic`"
        label = f"{unavailable} may be unavailable at a time"
        diags.add(OUTAGE.warning(message, need.workload.at("group.update"), label, help))

    delay = (
        settings.heal.initial_delay
        if settings.heal and settings.heal.initial_delay
        else _boot_s(need, asked) + asked.load_s
    )
    delay_s = min(HEAL_MAX_S, 60 * math.ceil(delay / 60))
    if serves:
        why.append(
            Reason(
                HEAL.id,
                f"first verdict after {delay_s // 60} min: {_boot_s(need, asked) // 60} min to boot and install, {asked.load_s / 60:.1f} min to read the model",
            )
        )
    placement, reason = _placement(need, asked)
    why.append(reason)
    return Decision(
        GroupChoice(
            scope="regional" if regional else "zonal",
            size=size,
            min_size=low,
            max_size=high,
            has_autoscaler=has_autoscaler,
            signal=signal,
            target=target,
            scales_in=asked.capacity in SPARE
            and signal != "gpu-utilization",  # a busy GPU says little, an idle one less
            update_type=update,
            max_surge=surge,
            max_unavailable=unavailable,
            replacement=replacement,
            heals=serves,
            initial_delay_s=delay_s,
            placement=placement,
            all_or_nothing=settings.all_or_nothing,
            stopped=settings.standby.stopped if settings.standby else 0,
        ),
        tuple(why),
    )


def _boot_s(need: Need, asked: GroupNeed) -> int:
    """Time until the program runs: longer for a container that is pulled, and for packages that are installed."""
    container = CONTAINER_S if need.workload.run and need.workload.run.container else 0
    return BOOT_S + container + (0 if asked.has_own_image else INSTALL_S)


def _scope_reason(need: Need, regional: bool) -> Reason:
    if need.workload.group.scope:
        return Reason(SCOPE.id, f"group.scope is `{need.workload.group.scope}`")
    if regional:
        return Reason(SCOPE.id, "replicas answer from any zone of the region")
    if need.workload.task == "serve":
        return Reason(SCOPE.id, "one zone: the machine, its network or its capacity is bound to it")
    if need.workload.task in TRAINING_TASKS:
        return Reason(SCOPE.id, "the machines work together: one zone")
    return Reason(SCOPE.id, "a job in one zone, beside its data")


def _size_text(asked: GroupNeed, low: int, high: int, size: int, scales: bool) -> str:
    if scales:
        return f"{asked.nodes} VMs at peak; between {low} and {high} as asked"
    return f"{size} VM{'s' if size > 1 else ''}"


def _signal(need: Need, asked: GroupNeed) -> tuple[Signal, float, str]:
    given = need.workload.group.autoscale
    serve = need.workload.serve
    rate = asked.requests_per_second_per_node
    exposed = serve is not None and serve.expose != "none"
    signal: Signal = given.signal if given and given.signal else ("requests" if exposed and rate else "gpu-utilization")
    if given and given.target:
        target = given.target if signal == "requests" else given.target / 100
        return signal, target, f"{signal} at {given.target:g}, as asked"
    if signal == "requests" and rate:
        return (
            signal,
            round(rate, 3),
            f"a machine answers {rate:.3g} requests/s within the latency asked for; add one at {UTILISATION_TARGET:.0%} of that",
        )
    return signal, UTILISATION_TARGET, f"{signal} at {UTILISATION_TARGET:.0%}"


def _surge(need: Need, asked: GroupNeed, regional: bool, high: int) -> tuple[int, int, str]:
    update = need.workload.group.update
    step = len(asked.zones) if regional else 1
    recreate = update is not None and update.replacement == "recreate"
    has_spare = asked.capacity in SPARE and need.workload.task == "serve" and not recreate
    surge, unavailable = (step, 0) if has_spare else (0, step)
    text = (
        "spare machines can be had: none goes before its successor serves"
        if has_spare
        else "no spare machines: one goes before its successor comes"
    )
    if update and (update.max_surge is not None or update.max_unavailable is not None):
        surge = update.max_surge if update.max_surge is not None else (0 if update.max_unavailable else surge)
        unavailable = update.max_unavailable if update.max_unavailable is not None else (0 if surge else unavailable)
        text = "as group.update says"
    return surge, unavailable, text


def _contradictions(
    need: Need, asked: GroupNeed, surge: int, unavailable: int, replacement: str, regional: bool, diags: Diagnostics
) -> None:
    at = need.workload.at
    zones = len(asked.zones)
    if surge == 0 and unavailable == 0:
        diags.add(
            CONTRADICTION.error(
                "surge and unavailable are both 0",
                at("group.update"),
                "no machine could ever be replaced",
                "set `group.update.max_surge` or `max_unavailable` to 1 or more",
            )
        )
    if replacement == "recreate" and surge > 0:
        diags.add(
            CONTRADICTION.error(
                "`recreate` keeps names, so it cannot surge",
                at("group.update"),
                f"max_surge is {surge}",
                "set `group.update.max_surge` to 0 and `max_unavailable` to 1 or more",
            )
        )
    for name, value in (("max_surge", surge), ("max_unavailable", unavailable)):
        if regional and 0 < value < zones:
            diags.add(
                CONTRADICTION.error(
                    f"`{name}` of {value} in a group over {zones} zones",
                    at(f"group.update.{name}"),
                    f"0, or at least {zones}",
                    f"set it to 0 or {zones}",
                )
            )
    standby = need.workload.group.standby
    if standby and standby.suspended and asked.machine.accelerator:
        diags.add(
            CONTRADICTION.error(
                "a machine with an accelerator cannot be suspended",
                at("group.standby.suspended"),
                f"{standby.suspended} suspended",
                "use `stopped`, which keeps no accelerator",
            )
        )


def _placement(need: Need, asked: GroupNeed) -> tuple[Placement, Reason]:
    given = need.workload.group.placement
    if given:
        return given, Reason(PLACEMENT.id, f"group.placement is `{given}`")
    trains = need.workload.task in ("pretrain", "finetune") and asked.nodes > 1
    if asked.has_placement_of_its_own:
        return "none", Reason(PLACEMENT.id, "the booked capacity brings its own placement")
    if trains and asked.machine.record.compact_placement:
        return "compact", Reason(PLACEMENT.id, "the machines exchange gradients at every step")
    return "none", Reason(PLACEMENT.id, "the machines do not wait for each other")
