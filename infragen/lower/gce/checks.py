"""What a plan may ask that no managed instance group can do: contradictions that the API refuses only at apply."""

import math

from infragen.diagnostics import Diagnostic, declare
from infragen.lower.gce import capacity
from infragen.lower.gce.context import Context
from infragen.lower.knowledge import know

REQUEST_SIGNALS = frozenset({"load-balancing", "requests"})

WAITING_GROUP = declare(
    "N103",
    "group-against-capacity",
    """A group that waits for all of its machines takes capacity that can wait, and no autoscaler.

    Why: the API creates a group in bulk only under flex-start or bound to a reservation, and an autoscaler would change
    the size of a group whose machines come by request.
    Example: `group.all_or_nothing` with `capacity.model: on-demand` is refused; so is an autoscaler with flex-start.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/about-resize-requests-mig",
)
BLIND_SIGNAL = declare(
    "N104",
    "signal-without-load-balancer",
    """An autoscaler that counts requests needs a load balancer that counts them.

    Why: requests and load-balancing utilisation are measured at the backend service; without one the signal is never there,
    and the group stays at its smallest size.
    Example: `signal: requests` with `serve.expose: none` is refused.
    """,
    source="https://docs.cloud.google.com/compute/docs/autoscaler/scaling-load-balancing",
)
NO_WINDOW = declare(
    "N105",
    "booking-without-window",
    """A request for capacity in the future says from when to when.

    Why: the API takes no request without a window, and an empty one passes `terraform plan`.
    Example: `capacity: {model: calendar}` without `start` and `duration` is refused.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/future-reservations-overview",
)
KEY_NOT_TAKEN = declare(
    "N106",
    "key-not-taken",
    """A key of your own is asked for only where every store can be encrypted with it.

    Why: the basic tiers of file shares are encrypted with Google's keys alone; the API refuses the share at apply, and
    leaving the key out would break the promise that the key makes.
    Example: `security.kms_key` with a home on `filestore`, tier `basic-hdd`, is refused.
    """,
    source="https://docs.cloud.google.com/filestore/docs/cmek",
)
CANARY_UNFIT = declare(
    "N110",
    "canary-against-group",
    """A canary is tried on a part of a group that replaces its machines, and leaves the others.

    Why: a group counts a share in whole machines, rounded up: of few machines it takes all. A group that waits for its machines,
    or wants all of them in one zone, takes no second version.
    Example: `canary: {percent: 10}` with one machine is refused, and so is a canary with flex-start capacity.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-set-target-distribution-shape",
)


def check(context: Context) -> list[Diagnostic]:
    """The contradictions of this plan."""
    return [*_group(context), *_signal(context), *_window(context), *_key(context), *_canary(context)]


def _canary(context: Context) -> list[Diagnostic]:
    if context.image.canary is None:
        return []
    size, percent = context.group.size, context.image.canary[1]
    tried = math.ceil(size * percent / 100)
    if context.capacity.model in capacity.WAITING or capacity.is_all_or_nothing(context):
        message = f"a group of {context.capacity.model} machines takes no second version"
        return [CANARY_UNFIT.error(message, help="try the image in a workload of its own")]
    if context.group.fallbacks:
        message = "a group that takes other machine types is balanced over its zones, and takes no second version"
        return [CANARY_UNFIT.error(message, help="remove `image.canary` or `machine.fallbacks`")]
    if tried >= size:
        message = f"{percent}% of {size} machine{'s' if size > 1 else ''} is all of them"
        return [
            CANARY_UNFIT.error(message, help="try the image in a workload of its own, or give the group more machines")
        ]
    found = []
    if tried > round(size * percent / 100):
        message = f"{percent}% of {size} machines is {tried}: {tried / size:.0%}"
        found.append(CANARY_UNFIT.note(message))
    if context.group.update_type == "opportunistic":
        message = "no running machine becomes a canary: updates of this group wait until a machine is replaced anyway"
        help = "replace the machines that shall try it, as the README says, or set `group.update.type: proactive`"
        found.append(CANARY_UNFIT.warning(message, help=help))
    return found


def _group(context: Context) -> list[Diagnostic]:
    group, model = context.group, context.capacity.model
    found = []
    if group.all_or_nothing and not capacity.is_all_or_nothing(context):
        found.append(
            WAITING_GROUP.error(
                f"`group.all_or_nothing` cannot be had with {model} capacity",
                help="set `capacity.model` to `flex-start`, or leave `group.all_or_nothing` out",
            )
        )
    if group.has_autoscaler and (model in capacity.WAITING or capacity.is_all_or_nothing(context)):
        found.append(
            WAITING_GROUP.error(
                f"an autoscaler cannot size a group of {model} machines",
                label=f"between {group.min_size} and {group.max_size}",
                help="give `serve.replicas` the same `min` and `max`, and leave `group.autoscale` out",
            )
        )
    return found


def _signal(context: Context) -> list[Diagnostic]:
    serving = context.plan.serving
    has_door = serving is not None and serving.expose != "none"
    if not context.group.has_autoscaler or context.group.signal not in REQUEST_SIGNALS or has_door:
        return []
    message = f"`group.autoscale.signal: {context.group.signal}` without a load balancer"
    return [BLIND_SIGNAL.error(message, help="set `serve.expose` to `internal`, or the signal to `gpu-utilization`")]


def _window(context: Context) -> list[Diagnostic]:
    booking = context.capacity
    if booking.model not in ("future-reservation", "calendar") or not booking.creates:
        return []
    missing = [name for name, value in (("start", booking.start), ("duration", booking.end)) if not value]
    if not missing:
        return []
    names = " and ".join(f"`capacity.{name}`" for name in missing)
    return [NO_WINDOW.error(f"{names} missing for {booking.model} capacity", help=f"give {names}")]


def _key(context: Context) -> list[Diagnostic]:
    if context.plan.kms_key is None:
        return []
    refusing = know("tiers", "without_kms")
    return [
        KEY_NOT_TAKEN.error(
            f"{one.choice.service.title} for {one.choice.purpose} takes no key of your own",
            help=f"give the store for {one.choice.purpose} another tier or service, or leave `security.kms_key` out",
        )
        for one in context.stores
        if one.choice.service.tier in refusing
    ]
