"""An alert that is true whatever the workload: a group below its size.

An alert on what the Ops Agent measures cannot be made before a machine has sent its first value: it would fail the first
apply. The group's size is measured by the platform itself.
"""

from infragen.lower.gce import capacity
from infragen.lower.gce.context import APIS_READY, Context
from infragen.lower.hcl import Expression, join
from infragen.lower.knowledge import know
from infragen.lower.model import AlertPolicy, MonitoringPart, Variable

SHORT_FOR_S = 900


def lower(context: Context) -> MonitoringPart | None:
    """Everything of monitoring.tf; None where the alert would mean nothing."""
    if context.capacity.model in capacity.WAITING:
        return None
    return MonitoringPart(policies=(_too_few(context),))


def _too_few(context: Context) -> AlertPolicy:
    group = context.group
    least: int | Expression = group.min_size if group.has_autoscaler else group.size
    title = f"{context.plan.name}: fewer than {least} machines"
    if capacity.waits_for_window(context):
        least, title = capacity.MACHINES, f"{context.plan.name}: fewer machines than wanted"
    name = capacity.group_reference(context, "name")
    metric = know("metrics", "group_size")
    return AlertPolicy(
        type="google_monitoring_alert_policy",
        name="group_size",
        title=title,
        filter=join(
            f'metric.type = "{metric}" AND resource.type = "instance_group" AND '
            'resource.labels.instance_group_name = "',
            name,
            '"',
        ),
        comparison="COMPARISON_LT",
        threshold=least,
        duration_s=SHORT_FOR_S,
        aligner="ALIGN_MIN",
        reducer="REDUCE_SUM",
        group_by=("resource.labels.instance_group_name",),
        text="Machines are missing: look at the group's errors for quota or stock, and at the serial log of the newest machine.",
        depends_on=APIS_READY,
    )


def variables(part: MonitoringPart | None) -> tuple[Variable, ...]:
    """Who is told."""
    if part is None:
        return ()
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
