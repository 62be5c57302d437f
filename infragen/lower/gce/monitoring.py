"""What is watched: a dashboard of what the plan expects beside what is measured, alerts, logs that are kept, a budget.

An alert on what machines or programs write themselves cannot be made by a filter before the first value is there: the
API answers 404, and the first apply fails. As a query with `disable_metric_validation` it can. An event in the logs needs
no metric at all. What Compute Engine measures by itself is known from the start, and takes a plain condition.
"""

from msgspec import Struct

from infragen.lower import names
from infragen.lower.gce import capacity, dashboard
from infragen.lower.gce.context import APIS_READY, PROJECT, REGION, Context, comment
from infragen.lower.gce.measure import REAL_DISKS, machine_pattern, measured
from infragen.lower.hcl import Expression, join, literal
from infragen.lower.knowledge import know
from infragen.lower.model import (
    AlertPolicy,
    Budget,
    Dashboard,
    LogBucket,
    LogMatch,
    LogMetric,
    LogSink,
    MonitoringPart,
    NotificationChannel,
    Query,
    Threshold,
    Variable,
)  # fmt: skip

SHORT_FOR_S = 900
IDLE_FOR_S = 3600
IDLE_BELOW = 5  # percent
FULL_ABOVE = 90  # percent
FULL_FOR_S = 600


def lower(context: Context) -> MonitoringPart:
    """Everything of monitoring.tf."""
    events = _events(context)
    policies = [
        *([_too_few(context)] if _has_least(context) else []),
        *(_told_of(context, event) for event in events),
        *([_idle(context)] if context.has_gpus else []),
        _disk_full(context),
    ]
    observe = context.plan.observe
    bucket = _log_bucket(context) if observe.log_retention_days else None
    return MonitoringPart(
        channels=_channels(context),
        told=told(context),
        log_metrics=tuple(_count(context, event) for event in events),
        policies=tuple(policies),
        dashboard=Dashboard(
            type="google_monitoring_dashboard",
            name=names.local(),
            because=comment(
                "What the plan expects stands beside what is measured: lines across a chart are the plan's."
            ),
            content=dashboard.content(context, [(event.name, event.resource) for event in events]),
            depends_on=APIS_READY,
        ),
        log_bucket=bucket,
        log_sink=_log_sink(context, bucket) if bucket else None,
        budget=_budget(context) if observe.billing_account else None,
    )


def _has_least(context: Context) -> bool:
    """Whether fewer machines than some number mean that something is wrong."""
    is_waiting = context.capacity.model in capacity.WAITING
    return not is_waiting and not (context.group.has_autoscaler and context.group.min_size == 0)


def _too_few(context: Context) -> AlertPolicy:
    group = context.group
    least: int | Expression = group.min_size if group.has_autoscaler else group.size
    title = f"{context.plan.name}: fewer than {least} machine{'' if least == 1 else 's'}"
    if capacity.waits_for_window(context):
        least, title = capacity.MACHINES, f"{context.plan.name}: fewer machines than wanted"
    name = capacity.group_reference(context, "name")
    metric = know("metrics", "group_size")
    return _policy(
        "group_size",
        title,
        Threshold(
            filter=join(
                f'metric.type = "{metric}" AND resource.type = "instance_group" AND '
                'resource.labels.instance_group_name = "',
                name,
                '"',
            ),
            comparison="COMPARISON_LT",
            value=least,
            duration_s=SHORT_FOR_S,
            aligner="ALIGN_MIN",
            reducer="REDUCE_SUM",
            group_by=("resource.labels.instance_group_name",),
        ),
        "Machines are missing: look at the group's errors for quota or stock, and at the serial log of the newest machine.",
    )


def _policy(name: str, title: str, condition: Threshold | Query | LogMatch, text: str) -> AlertPolicy:
    return AlertPolicy(
        type="google_monitoring_alert_policy",
        name=name,
        title=title,
        condition=condition,
        text=text,
        depends_on=APIS_READY,
    )


class Event(Struct, frozen=True):
    """Something that is only in the logs: counted for the dashboard, and an alert each time."""

    name: str
    description: str
    filter: str
    resource: str
    title: str
    text: str
    told_every_s: int
    labels: tuple[tuple[str, str, str], ...] = ()


def _events(context: Context) -> tuple[Event, ...]:
    logs, pattern = know("logs"), machine_pattern(context)
    lost = Event(
        "lost",
        "Machines that were preempted, or whose host failed",
        f'{logs["lost"]} AND protoPayload.resourceName =~ "/instances/{pattern}$"',
        "gce_instance",
        "machines lost",
        "A machine was preempted, or its host failed; the group makes another as far as there is one.",
        told_every_s=3600,
        labels=(("event", "EXTRACT(protoPayload.methodName)", "What took the machine"),),
    )
    xid = Event(
        "xid",
        "Errors that the driver of the accelerators reports (Xid)",
        f'resource.type = "gce_instance" AND {logs["machine"]} =~ "^{pattern}$" AND "{logs["xid"]}"',
        "gce_instance",
        "accelerator errors (Xid)",
        "The driver reported an error; the number after Xid says which. Replace a machine whose errors come again: its"
        " accelerator or its memory is failing.",
        told_every_s=300,
    )
    unhealthy = Event(
        "unhealthy",
        "Machines that were healthy and are not any more, by their health checks",
        f'{logs["unhealthy"]} AND resource.labels.instance_group_name = "{context.name()}"',
        "gce_instance_group",
        "a machine became unhealthy",
        "A machine that served fails its health check: look at the program's log, and at what was rolled out last.",
        told_every_s=300,
    )
    return (lost, *((xid,) if context.has_gpus else ()), *((unhealthy,) if context.group.heals else ()))


def _count(context: Context, event: Event) -> LogMetric:
    return LogMetric(
        type="google_logging_metric",
        name=event.name,
        cloud_name=f"{context.plan.name}/{event.name}",
        description=event.description,
        filter=event.filter,
        resource=event.resource,
        labels=event.labels,
        depends_on=APIS_READY,
    )


def _told_of(context: Context, event: Event) -> AlertPolicy:
    match = LogMatch(filter=event.filter, told_every_s=event.told_every_s)
    return _policy(event.name, f"{context.plan.name}: {event.title}", match, event.text)


def _idle(context: Context) -> AlertPolicy:
    query = f"max by (metadata_system_name) ({measured(context, 'accelerator_utilisation')}) < {IDLE_BELOW}"
    text = "The busiest accelerator of a machine does nothing, and is paid for: is the program still running?"
    return _policy(
        "idle", f"{context.plan.name}: accelerators idle for an hour", Query(text=query, duration_s=IDLE_FOR_S), text
    )


def _disk_full(context: Context) -> AlertPolicy:
    full = measured(context, "disk", *REAL_DISKS)
    query = f"max by (metadata_system_name, device) ({full}) > {FULL_ABOVE}"
    text = "A disk of a machine is nearly full: clear it, or give `machine.boot_disk_size` or the store more room."
    return _policy(
        "disk_full", f"{context.plan.name}: disk nearly full", Query(text=query, duration_s=FULL_FOR_S), text
    )


def _channels(context: Context) -> NotificationChannel | None:
    addresses = context.plan.observe.notify
    if not addresses:
        return None
    return NotificationChannel(
        type="google_monitoring_notification_channel",
        name="email",
        for_each=Expression("toset([" + ", ".join(literal(one) for one in sorted(set(addresses))) + "])"),
        email=Expression("each.key"),
        depends_on=APIS_READY,
    )


def told(context: Context) -> Expression:
    """All channels that are told of incidents: the given ones, and those of this stack."""
    if not context.plan.observe.notify:
        return Expression("var.notification_channels")
    own = "[for channel in google_monitoring_notification_channel.email : channel.id]"
    return Expression(f"concat(var.notification_channels, {own})")


def _log_bucket(context: Context) -> LogBucket:
    days = context.plan.observe.log_retention_days
    return LogBucket(
        type="google_logging_project_bucket_config",
        name=names.local(),
        because=comment("A deleted bucket is kept for 7 days, and its name with it."),
        bucket_id=context.name(),
        description=f"Logs of the machines of {context.plan.name}",
        project=PROJECT,
        location=REGION,
        days=days or 0,
        depends_on=APIS_READY,
    )


def _log_sink(context: Context, bucket: LogBucket) -> LogSink:
    return LogSink(
        type="google_logging_project_sink",
        name=names.local(),
        cloud_name=context.name(),
        description=f"Logs of the machines of {context.plan.name}",
        destination=join("logging.googleapis.com/", bucket.get("id")),
        filter=f'resource.type = "gce_instance" AND {know("logs", "machine")} =~ "^{machine_pattern(context)}$"',
    )


def _budget(context: Context) -> Budget:
    observe = context.plan.observe
    return Budget(
        type="google_billing_budget",
        name=names.local(),
        because=comment("Tells people and stops nothing. Costs come in hours late."),
        title=context.plan.name,
        billing_account=observe.billing_account or "",
        label=context.plan.name,
        amount=observe.budget_per_month or 0,
        depends_on=APIS_READY,
    )


def variables() -> tuple[Variable, ...]:
    """Who is told."""
    return (
        Variable(
            name="notification_channels",
            type="list(string)",
            description="Monitoring channels that are told of incidents, projects/PROJECT/notificationChannels/ID; none: incidents only show in the console.",
            default=[],
            condition=Expression(
                'alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])'
            ),
            error="A channel is projects/PROJECT/notificationChannels/ID.",
        ),
    )
