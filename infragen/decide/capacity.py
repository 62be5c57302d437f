"""How the machines are obtained: the consumption models that suit the machine and the work."""

from typing import get_args

from msgspec import Struct

from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.decide.rule import Miss, Narrowed, candidates, rule
from infragen.descriptor.model import Capacity, CapacityModel
from infragen.diagnostics import declare
from infragen.facts.model import Flag, MachineType
from infragen.units import DAY_S, HOUR_S, duration

FLEX_MIN_S, FLEX_MAX_S = 600, 7 * DAY_S  # life of a VM under flex-start, C004
CALENDAR_MAX_VMS = 80  # GPU VMs per request, C006
CALENDAR_MIN_S, CALENDAR_MAX_S = DAY_S, 90 * DAY_S  # C006
FUTURE_MIN_S = DAY_S  # C006
WINDOWED: frozenset[CapacityModel] = frozenset({"future-reservation", "calendar"})
BOOKED: frozenset[CapacityModel] = frozenset({"reservation", "future-reservation", "calendar"})
DISPUTED = declare(
    "C007",
    "capacity-disputed",
    """Say where sources disagree about what can be bought.

    Why: the vendor's pages, its tools and what users see differ for some pairs of machine and model.
    Example: a type whose flex-start cell is unknown stays a candidate, with a warning.
    """,
    source="docs/facts.md",
)


class Offer(Struct, frozen=True):
    """A machine under a consumption model. ``hours`` is the longest the job may take, None for a service."""

    machine: Machine
    model: CapacityModel
    nodes: int
    hours: float | None


def offered(record: MachineType, model: CapacityModel) -> Flag:
    """Whether the machine type can be had under the model; None where sources disagree or do not say.

    A reservation may be an ordinary one or one of the reservation-bound kind, whichever the type has.
    """
    match model:
        case "on-demand":
            return record.on_demand
        case "spot":
            return record.spot
        case "reservation" | "future-reservation":
            return _either(record.standard_reservation, record.reservation_bound)
        case "calendar":
            return record.calendar
        case "flex-start":
            return record.flex_start


def _either(first: Flag, second: Flag) -> Flag:
    if first or second:
        return True
    return None if first is None or second is None else False


@rule("C001", "capacity-pinned", source="descriptor: capacity.model")
def capacity_pinned(need: Need, offer: Offer) -> Miss | None:
    """Use the consumption model that the descriptor names.

    Why: a booking, a budget or an agreement stands behind it.
    Example: `capacity: {model: spot}` rejects on-demand.
    """
    pinned = need.workload.capacity.model
    return None if pinned in (None, offer.model) else Miss(f"capacity.model is `{pinned}`", path="capacity.model")


@rule("C002", "capacity-offered", source="https://docs.cloud.google.com/compute/docs/instances/provisioning-models")
def capacity_offered(need: Need, offer: Offer) -> Miss | None:
    """Ask only for what the machine type can be bought under.

    Why: types differ: some cannot be had on demand, some only by reservation; a wrong pair fails at apply, or waits forever.
    Example: a type whose table row says `on_demand` no is rejected on demand; where sources disagree it stays, with a warning.
    """
    if offered(offer.machine.record, offer.model) is not False:
        return None
    possible = [model for model in get_args(CapacityModel) if offered(offer.machine.record, model)]
    return Miss(
        f"`{offer.machine.record.name}` is not sold as {offer.model}; it is as {', '.join(possible)}",
        0,
        f"set `capacity.model` to one of {', '.join(f'`{model}`' for model in possible)}",
        "capacity.model",
    )


@rule("C003", "booking-asked-for", source="design decision: a purchase needs a person")
def booking_asked_for(need: Need, offer: Offer) -> Miss | None:
    """Never book capacity that nobody asked for.

    Why: a reservation is billed whether it is used or not; only a person can decide that.
    Example: without `capacity.model` no reservation is made; a machine that is sold in no other way is planned on one
    that exists, with a warning.
    """
    if offer.model not in BOOKED or need.workload.capacity.model == offer.model:
        return None
    return Miss("billed whether it is used or not: name it in capacity.model to book it")


@rule("C004", "flex-start-window", source="https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms")
def flex_start_window(need: Need, offer: Offer) -> Miss | None:
    """Use flex-start for jobs of 10 minutes to 7 days.

    Why: a flex-start VM is deleted after its run duration, at most 7 days; a service, or a longer run, would be cut off.
    Example: a fine-tune of at most 30 hours may wait for flex-start; one of 9 days, and any service, may not.
    """
    if offer.model != "flex-start":
        return None
    if need.workload.task == "serve" and need.workload.capacity.model != "flex-start":
        return Miss("a flex-start VM lives at most 7 days; a service runs on")
    asked = need.workload.capacity.run_for or (offer.hours * HOUR_S if offer.hours else None)
    if asked is None and need.workload.capacity.model != "flex-start":
        return Miss("how long the job runs is not known; flex-start needs a run duration of at most 7 days")
    if asked is not None and not FLEX_MIN_S <= asked <= FLEX_MAX_S:
        limit = duration(FLEX_MAX_S if asked > FLEX_MAX_S else FLEX_MIN_S)
        side = "at most" if asked > FLEX_MAX_S else "at least"
        return Miss(
            f"runs {duration(asked)}; a flex-start VM lives {side} {limit}",
            0,
            f"the nearest legal value is {limit}",
            "capacity.run_for",
        )
    return None


@rule("C005", "interruptible", source="https://docs.cloud.google.com/compute/docs/instances/spot")
def interruptible(need: Need, offer: Offer) -> Miss | None:
    """Choose Spot by itself only for work that a preemption does not hurt.

    Why: a Spot VM can be taken within 30 seconds. A service loses requests, and a training run over several machines
    stops when one goes; independent batch work just loses a shard.
    Example: data preparation and batch inference may run on Spot; serving, and training on 8 machines, only when asked.
    """
    if offer.model != "spot" or need.workload.capacity.model == "spot":
        return None
    task = need.workload.task
    if task == "serve":
        return Miss("a preemption would drop requests: name it in capacity.model to accept that")
    if task in TRAINING_TASKS:
        return Miss("a preemption would stop the run: name it in capacity.model to accept that")
    return (
        None if task in {"batch-inference", "data-prep"} else Miss("nothing says that the work survives a preemption")
    )


@rule(
    "C006",
    "booking-window",
    source="https://docs.cloud.google.com/compute/docs/instances/future-reservations-calendar-mode-overview",
)
def booking_window(need: Need, offer: Offer) -> Miss | None:
    """Book only windows that exist: calendar mode 1 to 90 days and at most 80 GPU VMs, future reservations 24 hours or more.

    Why: requests outside of that are refused after the fact, and a calendar booking cannot be changed once submitted.
    Example: a calendar window of 120 days is rejected; the nearest legal one is 90 days.
    """
    asked = need.workload.capacity.duration
    if offer.model == "calendar":
        if asked is not None and not CALENDAR_MIN_S <= asked <= CALENDAR_MAX_S:
            nearest = CALENDAR_MAX_S if asked > CALENDAR_MAX_S else CALENDAR_MIN_S
            return Miss(
                f"a window of {duration(asked)}; calendar mode takes 1 to 90 days",
                0,
                f"the nearest legal value is {duration(nearest)}",
                "capacity.duration",
            )
        if offer.nodes > CALENDAR_MAX_VMS:
            return Miss(f"{offer.nodes} VMs; calendar mode takes at most {CALENDAR_MAX_VMS} per request", 0)
    if offer.model == "future-reservation" and asked is not None and asked < FUTURE_MIN_S:
        return Miss(
            f"a window of {duration(asked)}; a future reservation takes 24 h or more",
            0,
            "the nearest legal value is 24 h",
            "capacity.duration",
        )
    return None


@rule("C008", "booking-window-given", source="descriptor: capacity.start, capacity.duration")
def booking_window_given(need: Need, offer: Offer) -> Miss | None:
    """Ask for a window only with its start and its length, and only for one that lies ahead.

    Why: a future reservation and a calendar booking are requests for a window; there is no sensible guess for it.
    Example: `capacity: {model: calendar}` without `start` is an error; so is a start in the past.
    """
    asked = need.workload.capacity
    if offer.model not in WINDOWED:
        return None
    if asked.start is None or asked.duration is None:
        missing = "start" if asked.start is None else "duration"
        return Miss(
            f"needs a window; capacity.{missing} is not given", 0, f"set `capacity.{missing}`", "capacity.model"
        )
    if asked.start <= need.today:
        return Miss(
            f"the window starts at {asked.start.isoformat()}, which lies in the past",
            0,
            "name a later start",
            "capacity.start",
        )
    return None


SHORT_WINDOW = declare(
    "C010",
    "window-shorter-than-job",
    """Say when the capacity ends before the job can.

    Why: at the end of a window the machines go; a job that needs longer loses what it has not saved.
    Example: a calendar booking of 2 days for a job of at least 30 days is a warning.
    """,
    source="sizing estimate",
)
UNPLACED = declare(
    "C011",
    "reservation-zone-unknown",
    """Say when the zone of an existing reservation had to be chosen.

    Why: a reservation lies in one zone, and machines elsewhere never find it.
    Example: `capacity: {model: reservation, name: block}` without `zone` is a warning that names the zone taken.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/reservations-consume",
)
LAST_RESORT = declare(
    "C009",
    "last-resort-capacity",
    """Where a machine cannot be had on demand, plan with what is left, and say so.

    Why: some machines are sold only as Spot or by booking. A size and a price are still worth having, and a person must
    decide which of the two it shall be.
    Example: a pinned machine that is sold as Spot and by reservation is planned on Spot, with a warning.
    """,
    source="design decision",
)
RULES = (capacity_pinned, capacity_offered, flex_start_window, booking_window, booking_window_given)
PREFERENCES = (interruptible, booking_asked_for)  # given up only where a machine can be had in no other way


class Options(Struct, frozen=True):
    """How one machine can be had. ``is_last_resort``: only against the preferences."""

    offers: Narrowed[Offer]
    kept: tuple[Offer, ...]
    is_last_resort: bool


def narrow(need: Need, machine: Machine, nodes: int, hours: float | None) -> Options:
    """The consumption models that suit this machine and this work; else the one that is left, Spot before a booking."""
    offers = [Offer(machine, model, nodes, hours) for model in get_args(CapacityModel)]
    possible = candidates(offers).by(RULES, need)
    preferred = possible.by(PREFERENCES, need)
    if preferred.kept:
        return Options(preferred, preferred.kept, False)
    return Options(preferred, tuple(sorted(possible.kept, key=lambda offer: offer.model in BOOKED))[:1], True)


def is_existing(asked: Capacity) -> bool:
    """Whether the booking exists already: said so, a reservation that is named, or one that nobody asked to make."""
    if asked.existing is not None:
        return asked.existing
    return asked.model is None or (asked.model == "reservation" and asked.name is not None)
