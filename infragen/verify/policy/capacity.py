"""Policies on how machines are bought: scheduling, reservations, queued requests."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from infragen.diagnostics import Diagnostic, Rule
from infragen.verify.module import UNKNOWN, Value
from infragen.verify.policy.network import MACHINES
from infragen.verify.policy.rules import Rules
from infragen.verify.policy.view import View, is_known, is_true

RULES = Rules()

_SCHEDULING = "https://docs.cloud.google.com/compute/docs/reference/rest/v1/instances"
_FLEX = "https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms"
_RESERVATIONS = "https://docs.cloud.google.com/compute/docs/instances/reservations-overview"
_FUTURE = "https://docs.cloud.google.com/compute/docs/instances/future-reservations-overview"

LONGEST_RUN_S = 604_800  # seven days
SHORTEST_RUN_S = 600
_DEFAULT_PERIOD_MIN_D = 1
_CALENDAR_DAYS = (1, 90)


def scheduling_value(resource: View, name: str) -> Value:
    """An argument of the scheduling block; `UNKNOWN` where the block itself is not written out."""
    if resource.may_have("scheduling"):
        return UNKNOWN
    scheduling = resource.first("scheduling")
    return scheduling.value(name) if scheduling else None


def provisioning_model(resource: View) -> Value:
    """How a machine is bought: None means STANDARD, as the API has it."""
    value = scheduling_value(resource, "provisioning_model")
    if value is None and is_true(scheduling_value(resource, "preemptible")):
        return "SPOT"
    return value


def has_accelerators(resource: View) -> bool:
    """Whether a machine surely has accelerators: attached ones, or a machine type that comes with them."""
    for accelerator in resource.all("guest_accelerator"):
        if not resource.may_have("guest_accelerator") and accelerator.number("count") != 0:
            return True
    machine_type = resource.value("machine_type")
    return isinstance(machine_type, str) and resource.scope.is_accelerator_machine(machine_type.rsplit("/", 1)[-1])


def _scheduling_span(resource: View, name: str) -> View:
    return resource.first("scheduling") or resource


@RULES.add("P020", "accelerators-that-migrate", _SCHEDULING, MACHINES)
def accelerators_that_migrate(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine with accelerators terminates for maintenance.

    Why: it cannot be moved while it runs, and without a scheduling block the provider asks for just that; the API
    refuses the machine at apply.
    Example: a template with GPUs and no `on_host_maintenance = "TERMINATE"`.
    """
    if not has_accelerators(resource):
        return
    value = scheduling_value(resource, "on_host_maintenance")
    # The provider fills in TERMINATE by itself for preemptible machines only.
    if value is None and is_true(scheduling_value(resource, "preemptible")):
        return
    if value is None or (is_known(value) and value != "TERMINATE"):
        where = _scheduling_span(resource, "on_host_maintenance")
        yield rule.error(
            f"`{resource.address}` has accelerators and would be migrated for maintenance",
            where.span("on_host_maintenance"),
            help='set `on_host_maintenance = "TERMINATE"` in its `scheduling` block',
        )


@RULES.add("P021", "spot-that-restarts", _SCHEDULING, MACHINES)
def spot_that_restarts(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A Spot machine does not restart by itself.

    Why: the API refuses the combination, and the provider's default is true.
    Example: `provisioning_model = "SPOT"` without `automatic_restart = false`.
    """
    if provisioning_model(resource) != "SPOT":
        return
    value = scheduling_value(resource, "automatic_restart")
    if value is None or is_true(value):
        yield rule.error(
            f"`{resource.address}` is a Spot machine that would restart by itself",
            _scheduling_span(resource, "automatic_restart").span("automatic_restart"),
            help="set `automatic_restart = false`",
        )


def _affinity(resource: View) -> Value:
    if resource.may_have("reservation_affinity"):
        return UNKNOWN
    block = resource.first("reservation_affinity")
    return block.value("type") if block else None


@RULES.add("P022", "spot-from-a-reservation", _RESERVATIONS, MACHINES)
def spot_from_a_reservation(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A Spot machine uses no reservation.

    Why: Spot machines cannot consume one; the reservation would be paid for and stay empty.
    Example: SPOT with `reservation_affinity { type = "SPECIFIC_RESERVATION" }`.
    """
    affinity = _affinity(resource)
    if provisioning_model(resource) == "SPOT" and is_known(affinity) and affinity != "NO_RESERVATION":
        block = resource.first("reservation_affinity")
        assert block is not None  # a known type stands in a block
        yield rule.error(
            f"`{resource.address}` is a Spot machine with a reservation",
            block.span("type"),
            help='set `type = "NO_RESERVATION"`, or use a standard machine',
        )


@RULES.add("P023", "flex-start-without-its-terms", _FLEX, MACHINES)
def flex_start_without_its_terms(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A flex-start machine states its terms: no restart, no migration, an end within seven days, no reservation.

    Why: the API refuses flex-start without a run time of 600 to 604800 s, with a reservation or with migration; the
    provider's defaults are none of these.
    Example: `provisioning_model = "FLEX_START"` without `max_run_duration`.
    """
    if provisioning_model(resource) != "FLEX_START":
        return
    scheduling = resource.first("scheduling")
    assert scheduling is not None  # a known model stands in a block
    if (value := scheduling.value("automatic_restart")) is None or is_true(value):
        yield rule.error(
            f"`{resource.address}` is a flex-start machine that would restart by itself",
            scheduling.span("automatic_restart"),
            help="set `automatic_restart = false`",
        )
    for name, wanted in (("on_host_maintenance", "TERMINATE"), ("instance_termination_action", "DELETE")):
        value = scheduling.value(name)
        if value is None or (is_known(value) and value != wanted):
            yield rule.error(
                f"`{resource.address}` is a flex-start machine without `{name}` of {wanted}",
                scheduling.span(name),
                help=f'set `{name} = "{wanted}"`',
            )
    yield from _run_time(resource, rule, scheduling)
    affinity = _affinity(resource)
    if affinity is None or (is_known(affinity) and affinity != "NO_RESERVATION"):
        block = resource.first("reservation_affinity") or resource
        yield rule.error(
            f"`{resource.address}` is a flex-start machine that may use a reservation",
            block.span("type"),
            help='add `reservation_affinity { type = "NO_RESERVATION" }`',
        )


def _run_time(resource: View, rule: Rule, scheduling: View) -> Iterator[Diagnostic]:
    run = scheduling.first("max_run_duration")
    if run is None:
        if not scheduling.may_have("max_run_duration"):
            yield rule.error(
                f"`{resource.address}` is a flex-start machine without an end",
                scheduling.span(),
                help=f"add `max_run_duration {{ seconds = ... }}` of {SHORTEST_RUN_S} to {LONGEST_RUN_S} s",
            )
        return
    seconds = run.number("seconds")
    if seconds is not None and not SHORTEST_RUN_S <= seconds <= LONGEST_RUN_S:
        yield rule.error(
            f"`{resource.address}` would run for {seconds:.0f} s, flex-start takes {SHORTEST_RUN_S} to {LONGEST_RUN_S} s",
            run.span("seconds"),
            help=f"set `seconds` to {SHORTEST_RUN_S if seconds < SHORTEST_RUN_S else LONGEST_RUN_S}",
        )


@RULES.add("P024", "reservation-bound-without-reservation", _RESERVATIONS, MACHINES)
def reservation_bound_without_reservation(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine bound to a reservation names it, and ends with it.

    Why: RESERVATION_BOUND without a specific reservation has nothing to run on, and a run time of its own contradicts
    the reservation's; the API refuses both.
    Example: `provisioning_model = "RESERVATION_BOUND"` without `reservation_affinity`.
    """
    if provisioning_model(resource) != "RESERVATION_BOUND":
        return
    scheduling = resource.first("scheduling")
    assert scheduling is not None  # a known model stands in a block
    affinity = _affinity(resource)
    if affinity is None or (is_known(affinity) and affinity != "SPECIFIC_RESERVATION"):
        block = resource.first("reservation_affinity") or resource
        yield rule.error(
            f"`{resource.address}` is bound to a reservation and names none",
            block.span("type"),
            help='add `reservation_affinity { type = "SPECIFIC_RESERVATION" ... }`',
        )
    run = next(iter(scheduling.all("max_run_duration")), None)
    if run is not None and not scheduling.may_have("max_run_duration"):
        yield rule.error(
            f"`{resource.address}` ends with its reservation and has a run time of its own",
            run.span(),
            help="remove the block `max_run_duration`",
        )


@RULES.add("P025", "reservation-half-named", _RESERVATIONS, MACHINES)
def reservation_half_named(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A specific reservation is named, and only a specific one.

    Why: the provider looks at this only when it applies.
    Example: `type = "SPECIFIC_RESERVATION"` without the block `specific_reservation`.
    """
    affinity = _affinity(resource)
    block = resource.first("reservation_affinity")
    if block is None or not is_known(affinity) or block.may_have("specific_reservation"):
        return
    is_named = bool(block.all("specific_reservation"))
    if affinity == "SPECIFIC_RESERVATION" and not is_named:
        yield rule.error(
            f"`{resource.address}` wants a specific reservation and names none",
            block.span("type"),
            help='add `specific_reservation { key = "compute.googleapis.com/reservation-name" values = [...] }`',
        )
    elif affinity != "SPECIFIC_RESERVATION" and is_named:
        yield rule.error(
            f"`{resource.address}` names a reservation that its type `{affinity}` ignores",
            block.span("type"),
            help='set `type = "SPECIFIC_RESERVATION"`, or remove the block `specific_reservation`',
        )


@RULES.add("P026", "ambiguous-future-reservation", _FUTURE, ("google_compute_future_reservation",))
def ambiguous_future_reservation(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A future reservation says one end, one name and one kind of capacity.

    Why: the provider checks none of this; the request fails at apply, or asks for something else.
    Example: both `end_time` and `duration` in its `time_window`.
    """
    window = resource.first("time_window")
    choices = [
        (resource, ("reservation_name", "name_prefix")),
        (resource, ("specific_sku_properties", "aggregate_reservation")),
    ]
    if window is not None:
        choices.append((window, ("end_time", "duration")))
    for view, names in choices:
        certain = [name for name in names if is_known(view.value(name)) or (view.all(name) and not view.may_have(name))]
        if len(certain) > 1 or not any(view.has(name) for name in names):
            both = " and ".join(f"`{name}`" for name in names)
            yield rule.error(
                f"`{resource.address}` has {'both' if certain else 'neither'} {both}",
                view.span(certain[1] if certain else None),
                help=f"set one of {both}",
            )
    sku = resource.first("specific_sku_properties")
    count = sku.number("total_count") if sku else None
    if sku is not None and count is not None and count < 1:
        yield rule.error(
            f"`{resource.address}` reserves {count:g} machines", sku.span("total_count"), help="set at least 1"
        )


def _moment(value: Value) -> datetime | None:
    """A point in time from RFC 3339 text; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@RULES.add("P027", "reservation-period-out-of-range", _FUTURE, ("google_compute_future_reservation",))
def reservation_period_out_of_range(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """The period of a future reservation has a length that is sold.

    Why: a calendar reservation takes 1 to 90 days, any other at least 24 hours; the API refuses the rest at apply.
    Example: `reservation_mode = "CALENDAR"` for 120 days.
    """
    window = resource.first("time_window")
    if window is None or resource.value("reservation_mode") is UNKNOWN:
        return
    start, end = _moment(window.value("start_time")), _moment(window.value("end_time"))
    duration = window.first("duration")
    seconds = duration.number("seconds") if duration else None
    period = timedelta(seconds=seconds) if seconds is not None else end - start if start and end else None
    if period is None:
        return
    is_calendar = resource.value("reservation_mode") == "CALENDAR"
    days = period / timedelta(days=1)
    low, high = _CALENDAR_DAYS if is_calendar else (_DEFAULT_PERIOD_MIN_D, float("inf"))
    if not low <= days <= high:
        place = duration.span("seconds") if duration else window.span("end_time")
        limits = f"{low} to {high} days" if is_calendar else "at least 24 hours"
        yield rule.error(
            f"`{resource.address}` lasts {days:.3g} days, it takes {limits}", place, help=f"ask for {limits}"
        )


@RULES.add(
    "P028",
    "request-without-its-terms",
    _FLEX,
    ("google_compute_resize_request", "google_compute_region_resize_request"),
)
def request_without_its_terms(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A queued request asks for a run time of 600 to 604800 seconds.

    Why: the provider does not look, and the API refuses the request when it applies.
    Example: `requested_run_duration { seconds = "60" }`.
    """
    run = resource.first("requested_run_duration")
    seconds = run.number("seconds") if run else None
    if run is not None and seconds is not None and not SHORTEST_RUN_S <= seconds <= LONGEST_RUN_S:
        yield rule.error(
            f"`{resource.address}` asks for {seconds:.0f} s, it takes {SHORTEST_RUN_S} to {LONGEST_RUN_S} s",
            run.span("seconds"),
            help=f'set `seconds = "{SHORTEST_RUN_S if seconds < SHORTEST_RUN_S else LONGEST_RUN_S}"`',
        )


@RULES.add(
    "P029",
    "zero-accelerators",
    "https://registry.terraform.io/providers/hashicorp/google/latest/docs/guides/version_8_upgrade",
    MACHINES,
)
def zero_accelerators(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """No accelerator block has a count of zero.

    Why: up to version 7 of the provider it means nothing, from version 8 it removes accelerators and replaces the
    machine.
    Example: `guest_accelerator { count = 0 }`.
    """
    for accelerator in resource.all("guest_accelerator"):
        if accelerator.number("count") == 0:
            yield rule.error(
                f"`{resource.address}` asks for no accelerators, in a block that asks for some",
                accelerator.span("count"),
                help="remove the block",
            )


@RULES.add("P030", "unguarded-purchase", _FUTURE, ("google_compute_future_reservation",))
def unguarded_purchase(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A future reservation that is submitted cannot be destroyed by accident.

    Why: it is a purchase; once approved it cannot be cancelled, and a destroy fails half-way through the stack.
    Example: `planning_status = "SUBMITTED"` without `prevent_destroy`.
    """
    if resource.value("planning_status") != "SUBMITTED" or is_true(resource.lifecycle("prevent_destroy")):
        return
    policy = resource.value("deletion_policy")
    if policy is UNKNOWN or policy == "PREVENT":
        return
    yield rule.error(
        f"`{resource.address}` is a purchase that a destroy would touch",
        resource.span("planning_status"),
        help="add `lifecycle { prevent_destroy = true }`",
    )


_WORKLOAD = "https://docs.cloud.google.com/compute/docs/instance-groups/about-workload-policies"
_MOST_CALENDAR_VMS = 256  # 80 of them with accelerators
_MOST_CALENDAR_GPU_VMS = 80
_MOST_CONSUMERS = 100
_PREFIX = re.compile(r"[a-z][-a-z0-9]{0,19}")


@RULES.add("P031", "placement-that-is-not-taken", _WORKLOAD, MACHINES)
def placement_that_is_not_taken(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine that is queued for, or that uses a reservation, has no placement policy of its own.

    Why: flex-start takes a workload policy of the group instead; a reservation brings its place, and a machine with another
    never finds it.
    Example: FLEX_START with `resource_policies` that name a `group_placement_policy`.
    """
    named = [resource.resource(address) for address in resource.targets("resource_policies")]
    if not any(one is not None and one.first("group_placement_policy") for one in named):
        return
    is_queued = provisioning_model(resource) == "FLEX_START"
    if is_queued or _affinity(resource) == "SPECIFIC_RESERVATION":
        yield rule.error(
            f"`{resource.address}` {'is queued for' if is_queued else 'uses a reservation'} and has a placement policy",
            resource.span("resource_policies"),
            help="give the group a workload policy" if is_queued else "remove `resource_policies`",
        )


@RULES.add("P032", "booking-beyond-its-limits", _FUTURE, ("google_compute_future_reservation",))
def booking_beyond_its_limits(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A future reservation asks for as many machines, consumers and letters as there may be, and ends after it starts.

    Why: the provider checks none of this: in calendar mode 80 machines with accelerators or 256 others, 100 projects to share
    with, a prefix of 20 letters.
    Example: `reservation_mode = "CALENDAR"` with a `total_count` of 300.
    """
    sku = resource.first("specific_sku_properties")
    machine = sku.first("instance_properties") if sku else None
    count = sku.number("total_count") if sku else None
    if sku is not None and count is not None and resource.value("reservation_mode") == "CALENDAR":
        machine_type = machine.value("machine_type") if machine else None
        is_gpu = isinstance(machine_type, str) and resource.scope.is_accelerator_machine(machine_type)
        most = _MOST_CALENDAR_GPU_VMS if is_gpu else _MOST_CALENDAR_VMS
        if count > most:
            message = f"`{resource.address}` asks for {count:g} machines, calendar mode gives {most}"
            yield rule.error(message, sku.span("total_count"), help=f'set `total_count = "{most}"`, or another mode')
    sharing = resource.first("share_settings")
    consumers = len(sharing.all("project_map")) if sharing and not sharing.may_have("project_map") else 0
    if sharing is not None and consumers > _MOST_CONSUMERS:
        message = f"`{resource.address}` is shared with {consumers} projects, at most {_MOST_CONSUMERS} can be"
        yield rule.error(message, sharing.span(), help=f"remove {consumers - _MOST_CONSUMERS}")
    prefix = resource.value("name_prefix")
    if isinstance(prefix, str) and not _PREFIX.fullmatch(prefix):
        message = f"the prefix of `{resource.address}` is no name of at most 20 letters"
        yield rule.error(message, resource.span("name_prefix"), help="lower-case letters, digits and `-`, 20 at most")
    window = resource.first("time_window")
    start, end = (_moment(window.value("start_time")), _moment(window.value("end_time"))) if window else (None, None)
    if window is not None and start and end and end <= start:
        message = f"`{resource.address}` ends before it starts"
        yield rule.error(message, window.span("end_time"), help="name a later end")
