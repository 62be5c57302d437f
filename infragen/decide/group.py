"""The managed instance group: scope, size, autoscaling, healing and updates."""

import math
from typing import Literal

from msgspec import Struct

from infragen.decide import fallbacks, keeping, placement, scaling
from infragen.decide.model import Decision, GroupChoice, Reason, StorageChoice
from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics, declare

HEALING_CHECKS = "https://docs.cloud.google.com/compute/docs/instance-groups/autohealing-instances-in-migs"
UPDATES = "https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups"
BOOT_S = 300  # boot of an image that holds everything, G005
ENGINE_S = 120  # starting the engine of a container that is there
CONTAINER_S = 300  # pulling a container of several GB, and starting its engine
INSTALL_S = 300  # packages that a public image lacks
HEAL_MAX_S = 3600  # the API's limit of the initial delay, G005

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

    Why: a reserved or scarce accelerator has no spare; the update would wait for a machine that never comes. Machines with a
    network for their accelerators are sold in blocks, and a list of fallbacks says itself that the first is scarce. Regional
    groups take 0, or at least one per zone.
    Example: on-demand serving in three zones surges by 3 with none unavailable; a reserved fleet surges by 0.
    """,
    source=UPDATES,
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
IDLE = declare(
    "G027",
    "nothing-starts",
    """Say when the machines have no program to start.

    Why: a public image starts nothing: a probe then never passes, so nothing is served, and no machine is replaced for it; a
    job's machines cost money and do nothing.
    Example: `task: serve` without `run`, on an image that nobody named, is a warning.
    """,
    source="design decision",
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
TOGETHER = declare(
    "G025",
    "replica-of-several-machines",
    """Treat the machines of one replica as one: in one zone, close together, of a fixed number, and replaced by hand.

    Why: every token passes between them; a machine in another zone, or one that an autoscaler or an update takes away alone,
    is a replica that does not answer. Only the first machine of a replica answers requests, so the others are not probed.
    Example: a model over 2 machines of 8 accelerators each becomes a zonal group of 2 with ranks, without autohealing.
    """,
    source="https://docs.vllm.ai/en/latest/serving/parallelism_scaling.html",
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
SPARE: frozenset[CapacityModel] = frozenset({"on-demand", "spot"})
IN_ONE_ZONE: frozenset[CapacityModel] = frozenset({"reservation", "future-reservation", "calendar"})
QUEUED: CapacityModel = "flex-start"  # machines come by request and go at their end: none is replaced or healed


class GroupNeed(Struct, frozen=True):
    """What the group must do. ``nodes`` are the VMs at peak; ``nodes_per_replica`` may be below 1."""

    machine: Machine
    capacity: CapacityModel
    nodes: int
    nodes_per_replica: float
    zones: tuple[str, ...]
    load_s: float  # reading the model
    has_own_image: bool
    requests_per_second_per_node: float | None
    boot_disk: str = ""
    stores: tuple[StorageChoice, ...] = ()


def is_regional(
    need: Need, machine: Machine, zones_available: int, capacity: CapacityModel, nodes_per_replica: float = 1
) -> bool:
    """Whether the group spans several zones (G001)."""
    asked = need.workload.group.scope if nodes_per_replica <= 1 else "zonal"
    if asked:
        return asked == "regional"
    return (
        (need.workload.task == "serve" or bool(need.workload.machine.fallbacks))
        and zones_available > 1
        and machine.fabric.network_profile is None
        and capacity not in IN_ONE_ZONE
        and not _pins_a_disk(need)
    )


def _pins_a_disk(need: Need) -> bool:
    """Whether the descriptor asks for a store that all machines must share a zone with."""
    asked = {entry.service for entry in need.workload.storage}
    services = need.catalog.storage_services.values()
    return any(one.service in asked and one.scope == "zonal" and not one.is_writable_shared for one in services)


def most_at_once(need: Need, asked: GroupNeed) -> tuple[int, int, bool]:
    """The most machines outside of an update, how many more an update may add, and whether their number changes by itself."""
    rate = asked.requests_per_second_per_node
    sized = scaling.decide(need, asked.machine, asked.nodes, asked.nodes_per_replica, rate, Diagnostics())
    surge, _, _ = _surge(need, asked, len(asked.zones) > 1, _replacement(need, asked))
    return sized.high, surge, sized.is_automatic


def decide(need: Need, asked: GroupNeed, diags: Diagnostics) -> Decision[GroupChoice]:
    """The group, with the reason for each part."""
    workload = need.workload
    settings, is_split = workload.group, asked.nodes_per_replica > 1
    serves = workload.task == "serve" and not is_split
    regional = len(asked.zones) > 1
    why = [_together(need, asked, diags) if is_split else _scope_reason(need, regional)]

    sized = scaling.decide(
        need, asked.machine, asked.nodes, asked.nodes_per_replica, asked.requests_per_second_per_node, diags
    )
    size = sized.size
    why += sized.because

    replacement = _replacement(need, asked)
    surge, unavailable, text = _surge(need, asked, regional, replacement)
    update = (
        settings.update.type
        if settings.update and settings.update.type
        else ("proactive" if serves and asked.capacity != QUEUED else "opportunistic")
    )
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
        message = f"an update replaces {'the only machine' if size == 1 else f'all {size} machines'} at once"
        help = "raise the smallest size, set `group.scope: zonal`, or `group.update.type: opportunistic`"
        label = f"{unavailable} may be unavailable at a time"
        diags.add(OUTAGE.warning(message, need.workload.at("group.update"), label, help))

    own = workload.image
    starts = workload.run is not None or bool(own.base or own.source or own.scripts)
    if not starts and workload.task != "compute":
        message = "the machines start no program: `run` is missing, and a public image has none"
        label = (
            "probes of its port never pass; no machine is replaced for that"
            if serves
            else "the machines wait, and cost as if they worked"
        )
        help = "write `run.container` and `run.command`, or name an image that starts the program in `image.base`"
        diags.add(IDLE.warning(message, workload.at("task"), label, help))
    why += keeping.check_standby(need, asked.machine, asked.capacity, diags)
    why += keeping.check_stateful(need, asked.stores, sized.is_automatic, replacement, diags)
    fallback, reasons = fallbacks.decide(need, asked.machine, asked.boot_disk, asked.capacity, asked.zones, diags)
    why += reasons

    delay = (
        settings.heal.initial_delay
        if settings.heal and settings.heal.initial_delay
        else _boot_s(need, asked) + asked.load_s
    )
    delay_s = min(HEAL_MAX_S, 60 * math.ceil(delay / 60))
    heals = serves and asked.capacity != QUEUED
    if heals and delay > HEAL_MAX_S:
        message = f"a machine takes {delay / 60:.0f} min to serve; the longest delay of a first verdict is 60 min"
        label = "an unhealthy machine is not replaced: it may be loading still"
        help = "load faster: build an image with everything, or put the weights on a faster store"
        diags.add(HEAL.warning(message, workload.at("group.heal"), label, help))
    if heals:
        why.append(
            Reason(
                HEAL.id,
                f"first verdict after {delay_s // 60} min: {_boot_s(need, asked) // 60} min to boot and install, {asked.load_s / 60:.1f} min to read the model",
            )
        )
    is_one = asked.nodes > 1 and (is_split or workload.task in TRAINING_TASKS)
    closeness = placement.decide(
        need, placement.Standing(asked.machine, asked.capacity, size, is_one, asked.zones), diags
    )
    why.append(closeness.reason)
    return Decision(
        GroupChoice(
            scope="regional" if regional else "zonal",
            size=size,
            min_size=sized.low,
            max_size=sized.high,
            has_autoscaler=sized.is_automatic,
            signal=sized.signal,
            target=sized.target,
            scales_in=asked.capacity in SPARE
            and sized.signal != "gpu-utilization",  # a busy GPU says little, an idle one less
            update_type=update,
            max_surge=surge,
            max_unavailable=unavailable,
            replacement=replacement,
            heals=heals,
            repairs_unhealthy=(starts or not heals) and delay <= HEAL_MAX_S,
            initial_delay_s=delay_s,
            placement=closeness.placement,
            topology=closeness.topology,
            all_or_nothing=settings.all_or_nothing,
            suspended=settings.standby.suspended if settings.standby else 0,
            stopped=settings.standby.stopped if settings.standby else 0,
            standby_delay_s=delay_s if settings.standby else 0,
            queue=settings.autoscale.queue if settings.autoscale else None,
            metric=settings.autoscale.metric if settings.autoscale else None,
            metric_filter=settings.autoscale.filter if settings.autoscale else None,
            scale_in_machines=sized.scale_in_machines,
            scale_in_window_s=sized.scale_in_window_s,
            schedules=sized.schedules,
            stateful_stores=tuple(settings.stateful.stores) if settings.stateful else (),
            keeps_internal_ip=settings.stateful.internal_ip if settings.stateful else False,
            fallbacks=fallback,
        ),
        tuple(why),
    )


def _together(need: Need, asked: GroupNeed, diags: Diagnostics) -> Reason:
    """The reason for one zone where a replica spans machines; what contradicts it is said."""
    count, at = round(asked.nodes_per_replica), need.workload.at
    help = "remove it, or choose a machine that holds the model by itself"
    if need.workload.group.scope == "regional":
        label = f"{count} machines answer together"
        diags.add(TOGETHER.error("a replica cannot span zones", at("group.scope"), label, help))
    replicas = need.workload.serve.replicas if need.workload.serve else None
    if need.workload.group.autoscale or (replicas and replicas.max and replicas.min != replicas.max):
        path = "group.autoscale" if need.workload.group.autoscale else "serve.replicas"
        message = f"replicas of {count} machines are not scaled automatically"
        diags.add(TOGETHER.warning(message, at(path), "the group has the size of the peak", help))
    return Reason(TOGETHER.id, f"a replica spans {count} machines: one zone, one size, ranks told")


def _boot_s(need: Need, asked: GroupNeed) -> int:
    """Time until the program runs: longer for a container that is pulled, and for packages that are installed."""
    container = 0
    if need.workload.run and need.workload.run.container:
        container = ENGINE_S if need.workload.image.preload else CONTAINER_S
    return BOOT_S + container + (0 if asked.has_own_image else INSTALL_S)


def _scope_reason(need: Need, regional: bool) -> Reason:
    if need.workload.group.scope:
        return Reason(SCOPE.id, f"group.scope is `{need.workload.group.scope}`")
    if regional and need.workload.task != "serve":
        return Reason(SCOPE.id, "machine types are mixed in a regional group only")
    if regional:
        return Reason(SCOPE.id, "replicas answer from any zone of the region")
    if need.workload.task == "serve":
        return Reason(SCOPE.id, "one zone: the machine, its network or its capacity is bound to it")
    if need.workload.task in TRAINING_TASKS:
        return Reason(SCOPE.id, "the machines work together: one zone")
    return Reason(SCOPE.id, "a job in one zone, beside its data")


def _replacement(need: Need, asked: GroupNeed) -> Literal["substitute", "recreate"]:
    """New names, or the same: machines that know each other, or that keep something, come back under their names."""
    settings = need.workload.group
    if settings.update and settings.update.replacement:
        return settings.update.replacement
    keeps = settings.stateful is not None and bool(settings.stateful.stores or settings.stateful.internal_ip)
    knows = asked.nodes_per_replica > 1 or (need.workload.task in TRAINING_TASKS and asked.nodes > 1)
    return "recreate" if keeps or knows else "substitute"


def _surge(need: Need, asked: GroupNeed, regional: bool, replacement: str) -> tuple[int, int, str]:
    update = need.workload.group.update
    step = len(asked.zones) if regional else 1
    is_scarce = asked.machine.fabric.data_nics > 0 or bool(need.workload.machine.fallbacks)
    has_spare = (
        asked.capacity in SPARE and need.workload.task == "serve" and replacement != "recreate" and not is_scarce
    )
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
    update = need.workload.group.update
    if asked.capacity == QUEUED and update and (update.type == "proactive" or update.max_surge):
        field = "type" if update.type == "proactive" else "max_surge"
        diags.add(
            CONTRADICTION.error(
                "machines that came by request are not replaced by an update",
                at(f"group.update.{field}"),
                "with flex-start capacity",
                f"leave `group.update.{field}` out: the machines of the next run have the new version",
            )
        )
