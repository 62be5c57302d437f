"""The machines: instance template, managed instance group, autoscaler, and the health check that heals."""

import re
from typing import Literal

from msgspec.structs import replace

from infragen.lower import names
from infragen.lower.gce import capacity, network
from infragen.lower.gce.boot import metadata
from infragen.lower.gce.context import ACCOUNT_EMAIL, APIS_READY, Context, because, comment
from infragen.lower.gce.image import BOOT_IMAGE, CANARY_IMAGE
from infragen.lower.gce.storage import Lowered
from infragen.lower.hcl import Expression
from infragen.lower.knowledge import know
from infragen.lower.model import (
    Autoscaler,
    Because,
    Boot,
    BootDisk,
    ComputePart,
    GroupVersion,
    Healing,
    HealthCheck,
    InstanceGroup,
    InstanceTemplate,
    MoreDisk,
    ScalingSchedule,
    UpdatePolicy,
)  # fmt: skip

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)  # what a machine may do is said by roles alone
PORT_NAME = "http"
CONFIDENTIAL = {"sev": "SEV", "sev-snp": "SEV_SNP", "tdx": "TDX"}
CANARY = "canary"
CANARY_RULE = "I020"


def lower(
    context: Context, stores: tuple[Lowered, ...], boot: Boot, permissions: tuple[Expression, ...]
) -> ComputePart:
    """Everything of main.tf. ``permissions``: what must be granted before a machine boots."""
    health_check = _health_check(context) if context.group.heals else None
    template = _template(context, stores, boot)
    templates = (template, *_canary_template(context, template))
    return ComputePart(
        templates=templates,
        group=_group(context, templates, health_check, permissions),
        health_check=health_check,
        autoscaler=_autoscaler(context) if context.group.has_autoscaler else None,
    )


def _template(context: Context, stores: tuple[Lowered, ...], boot: Boot) -> InstanceTemplate:
    machine = context.machine
    placement = capacity.placement(context)
    key = context.plan.kms_key
    return InstanceTemplate(
        type="google_compute_instance_template",
        name=names.local(),
        name_prefix=context.name(kind="google_compute_instance_template", reserve=1) + "-",
        description=f"Machine of {context.plan.name}",
        machine_type=machine.type,
        machine_because=because(context.plan.machine.because),
        accelerator_type=machine.accelerator.terraform_type if machine.accelerator else None,
        accelerators=machine.attached_accelerators,
        boot_disk=BootDisk(
            image=BOOT_IMAGE, disk_type=machine.boot_disk_type, size_gib=machine.boot_disk_gib, kms_key=key
        ),
        disks=(*_local_disks(context), *(one.attached for one in stores if one.attached)),
        interfaces=network.interfaces(context),
        metadata=metadata(context, boot),
        scheduling=capacity.scheduling(context),
        affinity=capacity.affinity(context),
        resource_policy=placement.get() if placement and not placement.is_workload_policy else None,
        service_account=ACCOUNT_EMAIL,
        scopes=SCOPES,
        secure_boot=context.plan.secure_boot,
        secure_boot_because=comment(
            "Secure Boot loads signed modules only: all of the public image's are."
            if context.plan.secure_boot
            else "Secure Boot loads signed modules only; `security.secure_boot` sets it where the image's are."
        ),
        confidential=CONFIDENTIAL.get(context.plan.confidential or ""),
        depends_on=APIS_READY,
    )


def _canary_template(context: Context, template: InstanceTemplate) -> tuple[InstanceTemplate, ...]:
    """The same machine with the image that is tried."""
    if context.image.canary is None:
        return ()
    return (
        replace(
            template,
            name=CANARY,
            because=comment("The same machine with the image that is tried."),
            name_prefix=context.name(CANARY, kind="google_compute_instance_template", reserve=1) + "-",
            description=f"Canary of {context.plan.name}",
            boot_disk=replace(template.boot_disk, image=CANARY_IMAGE),
        ),
    )


def _versions(context: Context, templates: tuple[InstanceTemplate, ...]) -> tuple[GroupVersion, ...]:
    main, *others = (one.get("self_link_unique") for one in templates)
    found = (GroupVersion(name="main", template=main),)
    if context.image.canary is None:
        return found
    image, percent = context.image.canary
    why = because(one for one in context.plan.image.because if one.rule == CANARY_RULE)
    return (*found, *(GroupVersion(name=image, template=one, percent=percent, because=why) for one in others))


def _local_disks(context: Context) -> tuple[MoreDisk, ...]:
    """Partitions that have to be asked for; those that come with the machine type are attached by themselves."""
    shape = know("local_disk")
    disk = MoreDisk(kind="SCRATCH", disk_type=shape["type"], size_gib=shape["gib"], interface=shape["interface"])
    return (disk,) * context.machine.local_ssd_count


def _group(
    context: Context,
    templates: tuple[InstanceTemplate, ...],
    health_check: HealthCheck | None,
    before: tuple[Expression, ...],
) -> InstanceGroup:
    group, serving = context.group, context.plan.serving
    regional = context.is_regional
    reference = capacity.group_reference(context)
    waits_for_capacity = context.capacity.model in capacity.WAITING
    all_or_nothing = capacity.is_all_or_nothing(context)
    decided_elsewhere = group.has_autoscaler or capacity.uses_resize_request(context)
    placement = capacity.placement(context)
    return InstanceGroup(
        type=reference.text.split(".")[0],
        name=names.local(),
        because=context.group_reasons("group"),
        cloud_name=context.name(),
        base_name=context.name(kind="base_instance_name"),
        description=f"Machines of {context.plan.name}",
        location=context.group_location,
        zones=Expression("var.zones") if regional else None,
        shape=_shape(context) if regional else None,
        versions=_versions(context, templates),
        size=None if decided_elsewhere else _size(context),
        size_because=_size_reasons(context),
        suspended=_resting(context, group.suspended),
        stopped=_resting(context, group.stopped),
        standby_delay_s=group.standby_delay_s,
        port=(PORT_NAME, serving.port) if serving else None,
        healing=Healing(
            health_check=health_check.get(),
            initial_delay_s=group.initial_delay_s,
            because=context.group_reasons("healing"),
        )
        if health_check
        else None,
        update=update_policy(context),
        on_failure="DO_NOTHING" if waits_for_capacity or all_or_nothing else "REPAIR",
        repairs_unhealthy=group.repairs_unhealthy,
        updates_on_repair=group.update_type == "proactive",
        changes_zone=regional and _shape(context) == "BALANCED" and not group.is_stateful,
        is_all_or_nothing=all_or_nothing,
        workload_policy=placement.get() if placement and placement.is_workload_policy else None,
        waits=context.capacity.model == "on-demand" and not decided_elsewhere and not group.heals,
        stateful_disks=tuple(group.stateful_stores),
        keeps_internal_ip=group.keeps_internal_ip,
        keeps_for_good=context.plan.deletion_protection,
        selections=tuple((f"rank-{one.rank}", one.type, one.rank) for one in group.fallbacks),
        depends_on=before,
    )


def _shape(context: Context) -> str:
    """How a regional group spreads: one zone for machines that work together, else where accelerators can be had.

    Two versions are taken by an even spread alone.
    """
    if context.image.canary:
        return "EVEN"
    if context.is_training or capacity.is_all_or_nothing(context) or capacity.uses_resize_request(context):
        return "ANY_SINGLE_ZONE"
    if context.capacity.creates:  # each zone has its share booked
        return "EVEN"
    return "BALANCED" if context.has_gpus or context.group.fallbacks else "EVEN"


def _size(context: Context) -> int | Expression:
    return capacity.MACHINES if capacity.waits_for_window(context) else context.group.size


def _resting(context: Context, count: int) -> int | Expression:
    """Machines at rest; none before the window opens, where there is one."""
    if not count or not capacity.waits_for_window(context):
        return count
    return Expression(f"var.machines > 0 ? {count} : 0")


def _size_reasons(context: Context) -> Because:
    """Why this many; a reason that speaks of another number stays in the README."""
    size = context.group.size
    found = context.group_reasons("size")
    if not re.search(rf"(?<![\d.,]){size:,}(?![\d.,])", " ".join(found)):
        found = comment(f"{size:,} machines to start with")
    if capacity.waits_for_window(context):
        found += comment("None before the booked window opens: until then nothing could hold them.")
    return found


def update_policy(context: Context) -> UpdatePolicy:
    """How a new template reaches the machines; those that had to be waited for keep running whatever comes."""
    group = context.group
    step = len(context.zones) if context.is_regional else 1
    redistribution = None
    if context.is_regional:
        is_even = _shape(context) == "EVEN" and not context.image.canary
        moves = is_even and group.heals and not group.is_stateful  # else a working machine would go
        redistribution = "PROACTIVE" if moves else "NONE"
    is_waiting = context.capacity.model in capacity.WAITING
    return UpdatePolicy(
        type="OPPORTUNISTIC" if is_waiting else group.update_type.upper(),
        replacement=group.replacement.upper(),
        max_surge=0 if is_waiting else _step(group.max_surge, step),
        max_unavailable=step if is_waiting else _step(group.max_unavailable, step),
        redistribution=redistribution,
        because=context.group_reasons("update"),
    )


def _step(machines: int, zones: int) -> int:
    """0 or at least one per zone: what a regional group takes.

    >>> _step(0, 3), _step(1, 3), _step(5, 3)
    (0, 3, 5)
    """
    return max(machines, zones) if machines else 0


def _health_check(context: Context) -> HealthCheck:
    """The slow check that replaces machines: it asks whether the machine lives, not whether it is quick."""
    serving = context.plan.serving
    return HealthCheck(
        type="google_compute_region_health_check" if context.is_regional else "google_compute_health_check",
        name="healing",
        cloud_name=context.name("healing"),
        description="Liveness: a machine that fails it for minutes is replaced",
        region=context.group_location[1] if context.is_regional else None,
        port=serving.port if serving else know("ports", "ssh"),
        path=serving.health_path if serving else None,
        interval_s=30,
        timeout_s=10,
        healthy=1,
        unhealthy=5,
        depends_on=APIS_READY,
    )


def _autoscaler(context: Context) -> Autoscaler:
    group = context.group
    limits = know("autoscale")
    metric, filter_text, why = group.metric, group.metric_filter, comment()
    target = group.target or limits["load_balancing_target"]
    signal: Literal["cpu", "metric", "queue", "load-balancing"]
    match group.signal:
        case "gpu-utilization":
            signal, metric, devices = (
                "metric",
                know("metrics", "accelerator_utilisation"),
                context.machine.accelerators_per_node,
            )
            target = 100 * target * max(1, devices)
            if devices > 1:
                why = comment(
                    f"{100 * (group.target or 0):g}% of each of {devices:g} devices: the series of all are summed up."
                )
        case "queue":
            signal = "queue"
            why = comment(f"A machine takes on {target:g} of what waits.")
            if group.queue:
                metric = know("metrics", "backlog")
                filter_text = (
                    f'resource.type = "pubsub_subscription" AND resource.labels.subscription_id = "{group.queue}"'
                )
        case "metric":
            signal = "metric"
        case "requests":
            signal, target = "load-balancing", limits["load_balancing_target"]
        case "load-balancing":
            signal = "load-balancing"
        case _:
            signal = "cpu"
    regional = context.is_regional
    min_size: int | Expression = group.min_size
    mode: str | Expression = "ON" if group.scales_in else "ONLY_SCALE_OUT"
    if capacity.waits_for_window(context):
        min_size, mode = capacity.MACHINES, Expression(f'var.machines > 0 ? "{mode}" : "OFF"')
    return Autoscaler(
        type="google_compute_region_autoscaler" if regional else "google_compute_autoscaler",
        name=names.local(),
        because=(*context.group_reasons("autoscaler"), *context.group_reasons("size")),
        cloud_name=context.name(),
        location=context.group_location,
        group=capacity.group_reference(context),
        min_size=min_size,
        max_size=group.max_size,
        cooldown_s=max(limits["cooldown_min_s"], group.initial_delay_s),
        scales_in=group.scales_in,
        scale_in_machines=group.scale_in_machines,
        scale_in_window_s=group.scale_in_window_s,
        scaling_mode=mode,
        signal=signal,
        target=target,
        target_because=why,
        metric=metric,
        filter=filter_text,
        schedules=tuple(
            ScalingSchedule(
                name=one.name,
                schedule=one.at,
                time_zone=one.time_zone,
                duration_s=one.lasts_s,
                machines=one.machines,
            )
            for one in group.schedules
        ),
    )
