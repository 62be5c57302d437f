"""How the machines are obtained: scheduling of the template, reservations, requests for capacity, placement."""

from msgspec import Struct

from infragen.lower import names
from infragen.lower.gce.context import APIS_READY, PROJECT, Context, because, comment
from infragen.lower.hcl import Expression, join, literal
from infragen.lower.model import (
    Affinity,
    CapacityPart,
    FutureReservation,
    PlacementPolicy,
    Reservation,
    ReservedMachine,
    ResizeRequest,
    Scheduling,
    Text,
    Variable,
)  # fmt: skip

FUTURE_RESERVATION = "google_compute_future_reservation"
FIRST_RUN = "run-1"
RUN_PATTERN = "^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$"


class Terms(Struct, frozen=True):
    """What a consumption model writes into the template."""

    provisioning_model: str
    automatic_restart: bool
    termination_action: str | None
    affinity: str | None
    is_preemptible: bool = False


TERMS = {
    "on-demand": Terms("STANDARD", True, None, None),
    "spot": Terms("SPOT", False, "DELETE", "NO_RESERVATION", is_preemptible=True),
    "reservation": Terms("STANDARD", True, None, "SPECIFIC_RESERVATION"),
    "future-reservation": Terms("STANDARD", True, None, "SPECIFIC_RESERVATION"),
    "calendar": Terms("RESERVATION_BOUND", False, "DELETE", "SPECIFIC_RESERVATION"),
    "flex-start": Terms("FLEX_START", False, "DELETE", "NO_RESERVATION"),
}
BOUND = Terms("RESERVATION_BOUND", False, "DELETE", "SPECIFIC_RESERVATION")
ANY = Terms("STANDARD", True, None, "ANY_RESERVATION")
BOOKED_AHEAD = frozenset({"future-reservation", "calendar"})  # models that are asked for with a window of time
BOOKED = BOOKED_AHEAD | {"reservation"}
MACHINES = Expression("var.machines")
PAID_ANYWAY = "C024"  # the reason that says what a booking costs: it stands at the booking
WAITING = frozenset({"flex-start"})  # models whose machines come when they can be had


def terms(context: Context) -> Terms:
    """The terms of the plan's model; a machine type that is only sold bound to a reservation is bound."""
    record = context.machine.record
    found = TERMS[context.capacity.model]
    is_bound = record.reservation_bound and record.standard_reservation is False
    if found.affinity == "SPECIFIC_RESERVATION" and is_bound:
        return BOUND
    return ANY if context.capacity.is_automatic else found


def scheduling(context: Context) -> Scheduling:
    """The scheduling block: always written, because without it a machine with a GPU is asked to migrate live."""
    found, capacity = terms(context), context.capacity
    migrates = (
        bool(context.machine.record.live_migration)
        and not context.has_gpus
        and found.provisioning_model == "STANDARD"
        and context.group.placement != "compact"
        and context.plan.confidential is None
    )
    restarts = found.automatic_restart
    if capacity.automatic_restart is not None and found.provisioning_model in ("STANDARD", "RESERVATION_BOUND"):
        restarts = capacity.automatic_restart
    run_s = None if found.provisioning_model == "RESERVATION_BOUND" else capacity.run_for_s
    return Scheduling(
        provisioning_model=found.provisioning_model,
        automatic_restart=restarts,
        on_host_maintenance="MIGRATE" if migrates else "TERMINATE",
        is_preemptible=found.is_preemptible,
        termination_action=_termination(found, capacity.at_end, ends=run_s is not None),
        max_run_s=run_s,
        because=because(one for one in context.plan.capacity.because if one.rule != PAID_ANYWAY),
    )


def _termination(found: Terms, asked: str | None, *, ends: bool) -> str | None:
    """What becomes of a machine at its end; None where it has none."""
    if found.termination_action is None and not ends:
        return None
    return asked.upper() if asked else (found.termination_action or "DELETE")


def reservation_name(context: Context) -> str:
    """The name that capacity is booked or consumed under."""
    return context.capacity.reservation or context.name()


def affinity(context: Context) -> Affinity | None:
    """Which reservations the machines use; None leaves the choice to the service."""
    found = terms(context).affinity
    if found != "SPECIFIC_RESERVATION":
        return Affinity(type=found) if found else None
    value: Text = _path(context)
    if context.capacity.creates and context.capacity.model == "reservation":
        value = Expression(f"google_compute_reservation.main[{literal(context.zone)}].name")
    elif waits_for_window(context):
        value = Expression(f"{FUTURE_RESERVATION}.main.reservation_name")
    return Affinity(type=found, values=(value,))


def _path(context: Context) -> Text:
    """A reservation as machines name it: alone in the project's own, by its path in another's and for a part of it."""
    name, booked = reservation_name(context), context.capacity
    if not (booked.project or booked.block):
        return name
    tail = f"/reservations/{name}"
    tail += f"/reservationBlocks/{booked.block}" if booked.block else ""
    tail += f"/reservationSubBlocks/{booked.sub_block}" if booked.sub_block else ""
    return f"projects/{booked.project}{tail}" if booked.project else join("projects/", PROJECT, tail)


def reserved_machine(context: Context) -> ReservedMachine:
    """The properties by which a machine finds its reservation: equal to the template's."""
    machine = context.machine
    attached = machine.attached_accelerators
    return ReservedMachine(
        machine_type=machine.type,
        accelerator_type=machine.accelerator.terraform_type if machine.accelerator and attached else None,
        accelerators=attached,
        local_ssds=machine.local_ssd_count,
    )


def waits_for_window(context: Context) -> bool:
    """Whether the machines can only come once a request of this stack is approved and its window is open."""
    return context.capacity.creates and context.capacity.model in BOOKED_AHEAD


def lower(context: Context) -> CapacityPart | None:
    """Everything of capacity.tf; None where nothing is booked, asked for or placed."""
    part = CapacityPart(
        reservations=_reservations(context),
        future_reservation=_future_reservation(context),
        resize_request=_resize_request(context),
        placement=placement(context),
    )
    return part if part != CapacityPart() else None


def _reservations(context: Context) -> tuple[Reservation, ...]:
    capacity = context.capacity
    if capacity.model != "reservation" or not capacity.creates:
        return ()
    most = max(context.group.size, context.group.max_size)
    zones = Expression("toset(var.zones)" if context.is_regional else "toset([var.zone])")
    count = -(-most // max(1, len(context.zones))) if context.is_regional else most
    return (
        Reservation(
            type="google_compute_reservation",
            name="main",
            because=(
                *because(context.plan.capacity.because),
                *comment("Billed from creation on, used or not. A group finds it under the same name in every zone."),
            ),
            for_each=zones,
            cloud_name=reservation_name(context),
            zone=Expression("each.key"),
            count=count,
            machine=reserved_machine(context),
            shared_with=capacity.shared_with,
            is_specific=not capacity.is_automatic,
            is_guarded=context.plan.deletion_protection,
            depends_on=APIS_READY,
        ),
    )


def _future_reservation(context: Context) -> FutureReservation | None:
    capacity = context.capacity
    if not waits_for_window(context):
        return None
    status = (
        "Submitted: a purchase. It cannot be taken back once approved: a destroy here forgets it, and it stays booked."
        if capacity.submit
        else "A draft: nothing is asked for or paid until `capacity.submit` is true."
    )
    return FutureReservation(
        type=FUTURE_RESERVATION,
        name="main",
        because=(*because(context.plan.capacity.because), *comment(status)),
        provider="google-beta",
        cloud_name=context.name(kind=FUTURE_RESERVATION),
        zone=context.zone,
        reservation_name=reservation_name(context),
        count=max(context.group.size, context.group.max_size),
        machine=reserved_machine(context),
        start=capacity.start or "",
        end=capacity.end or "",
        reservation_mode="CALENDAR" if capacity.model == "calendar" else "DEFAULT",
        planning_status="SUBMITTED" if capacity.submit else "DRAFT",
        deployment_type="DENSE" if capacity.model == "future-reservation" and terms(context) is BOUND else None,
        is_specific=not capacity.is_automatic,
        shared_with=capacity.shared_with,
        is_guarded=capacity.submit,  # a purchase: `security.deletion_protection` is about data, and does not lift this
        depends_on=APIS_READY,
    )


def is_all_or_nothing(context: Context) -> bool:
    """Whether the group itself waits until all machines can be had."""
    match terms(context).provisioning_model:
        case "FLEX_START":
            return context.capacity.mode == "bulk"
        case "RESERVATION_BOUND":
            return context.group.all_or_nothing
    return False


def uses_resize_request(context: Context) -> bool:
    """Whether machines come through a request of their own instead of the group's size."""
    return context.capacity.model in WAITING and not is_all_or_nothing(context)


def _resize_request(context: Context) -> ResizeRequest | None:
    if not uses_resize_request(context):
        return None
    regional = context.is_regional
    return ResizeRequest(
        type="google_compute_region_resize_request" if regional else "google_compute_resize_request",
        name="main",
        because=comment(
            "The machines come when all of them can be had. A finished request is not run again: a new run takes a new"
            " var.run_id. Removing the request leaves its machines; removing the group removes both."
        ),
        cloud_name=join(context.name(reserve=21), "-", Expression("var.run_id")),
        location=context.group_location,
        group=group_reference(context, "name"),
        size=context.group.size,
        run_s=context.capacity.run_for_s,
    )


def group_reference(context: Context, attribute: str = "id") -> Expression:
    """A reference to the managed instance group."""
    kind = (
        "google_compute_region_instance_group_manager"
        if context.is_regional
        else "google_compute_instance_group_manager"
    )
    return Expression(f"{kind}.{names.local()}.{attribute}")


def variables(context: Context) -> tuple[Variable, ...]:
    """What starts the machines: a new run, where they come through a resize request, or their number, once a window opens."""
    if waits_for_window(context):
        return (_machines(context),)
    if not uses_resize_request(context):
        return ()
    return (
        Variable(
            name="run_id",
            type="string",
            description="Name of the run; a new one asks for the machines again.",
            value=FIRST_RUN,
            condition=Expression(f'can(regex("{RUN_PATTERN}", var.run_id))'),
            error="run_id starts with a letter and takes lower-case letters, digits and dashes, at most 20.",
        ),
    )


def _machines(context: Context) -> Variable:
    group = context.group
    most = group.max_size if group.has_autoscaler else group.size
    text = f"Machines to run: 0 until the booked window opens, then {window_size(context)}."
    if group.has_autoscaler:
        text = f"Fewest machines to run: 0 keeps the autoscaler off until the booked window opens, then {window_size(context)}."
    return Variable(
        name="machines",
        type="number",
        description=text,
        default=0,
        condition=Expression(f"var.machines >= 0 && var.machines <= {most} && floor(var.machines) == var.machines"),
        error=f"machines is a whole number from 0 to {most}.",
    )


def window_size(context: Context) -> int:
    """Machines to start with when the window opens."""
    return context.group.min_size if context.group.has_autoscaler else context.group.size


def placement(context: Context) -> PlacementPolicy | None:
    """The placement policy; None where machines stand anywhere, or the booked capacity brings its place."""
    group = context.group
    is_rack = group.topology is not None  # racks have to be asked for in their topology, by whatever capacity
    if group.placement == "none" or (context.capacity.model in BOOKED and not is_rack):
        return None
    is_compact = group.placement == "compact"
    return PlacementPolicy(
        type="google_compute_resource_policy",
        name="placement",
        because=context.group_reasons("placement"),
        cloud_name=context.name("placement"),
        is_workload_policy=is_rack or context.capacity.model in WAITING,
        is_compact=is_compact,
        topology=group.topology,
        domains=None if is_compact else min(8, max(2, group.max_size)),
        depends_on=APIS_READY,
    )
