"""How the machines are obtained: the consumption models that suit the machine and the work."""

import math
from datetime import timedelta
from typing import get_args

from msgspec import Struct

from infragen.decide.need import TRAINING_TASKS, Machine, Need
from infragen.decide.place import named_zones
from infragen.decide.rule import Miss, Narrowed, candidates, rule
from infragen.descriptor.model import Capacity, CapacityModel
from infragen.diagnostics import declare
from infragen.facts.load import Catalog
from infragen.facts.model import Flag, MachineType
from infragen.units import DAY_S, HOUR_S, duration

PROVISIONING = "https://docs.cloud.google.com/compute/docs/instances/provisioning-models"
FLEX = "https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms"
FUTURE = "https://docs.cloud.google.com/compute/docs/instances/future-reservations-overview"
CALENDAR = "https://docs.cloud.google.com/compute/docs/instances/future-reservations-calendar-mode-overview"
FLEX_MIN_S, FLEX_MAX_S = 600, 7 * DAY_S  # life of a VM under flex-start, C004
CALENDAR_MAX_GPU_VMS, CALENDAR_MAX_CPU_VMS = 80, 256  # per request, C006
CALENDAR_MIN_S, CALENDAR_MAX_S = DAY_S, 90 * DAY_S  # C006
CALENDAR_TPU_CHIPS = (1, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # per request, C006
CALENDAR_SEEN_DAYS = {
    "gpu": 60,
    "tpu": 120,
}  # how far ahead availability can be looked up, by kind of accelerator, C015
FUTURE_MIN_S = DAY_S  # C006
FUTURE_START_S = 365 * DAY_S  # from the submission to the start, C014
WINDOWED: frozenset[CapacityModel] = frozenset({"future-reservation", "calendar"})
BOOKED: frozenset[CapacityModel] = frozenset({"reservation", "future-reservation", "calendar"})
INTERRUPTIBLE_TASKS = frozenset({"batch-inference", "data-prep"})  # independent pieces: a lost one is done again
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


def offered(catalog: Catalog, record: MachineType, model: CapacityModel, *, creates: bool = False) -> Flag:
    """Whether the machine type can be had under the model; None where sources disagree or do not say.

    ``creates``: a reservation is to be made. An ordinary one can be; one that machines are bound to comes out of a
    future reservation or a calendar booking only.
    """
    if (record.series, model) in catalog.disputes:
        return None
    if model == "reservation" and creates:
        return record.standard_reservation
    if model in ("reservation", "future-reservation"):
        return _either(record.standard_reservation, record.reservation_bound)
    flags = {"on-demand": record.on_demand, "spot": record.spot, "calendar": record.calendar}
    return flags.get(model, record.flex_start)


def _either(first: Flag, second: Flag) -> Flag:
    if first or second:
        return True
    return None if first is None or second is None else False


def is_bound(record: MachineType) -> bool:
    """Whether the machine type is sold bound to a reservation only: its machines end with the reservation."""
    return bool(record.reservation_bound) and record.standard_reservation is False


def is_existing(asked: Capacity, model: CapacityModel) -> bool:
    """Whether the booking exists already: said so, part of it is named, or a reservation that nobody asked to make."""
    if asked.existing is not None:
        return asked.existing
    if asked.project or asked.block or "/" in (asked.name or ""):
        return True
    return model == "reservation" and (asked.model is None or asked.name is not None)


class Booking(Struct, frozen=True):
    """Which reservation: its name, its owner where that is another project, and the part of it."""

    name: str | None
    project: str | None = None
    block: str | None = None
    sub_block: str | None = None


def booking(asked: Capacity) -> Booking:
    """The booking that the descriptor names, by single fields or by a path."""
    if "/" not in (asked.name or ""):
        return Booking(asked.name, asked.project, asked.block, asked.sub_block)
    path = asked.name or ""
    words = (path if path.startswith("projects/") else f"reservations/{path}").split("/")
    parts = dict(zip(words[::2], words[1::2], strict=True))
    return Booking(
        parts["reservations"], parts.get("projects"), parts.get("reservationBlocks"), parts.get("reservationSubBlocks")
    )


def window_s(asked: Capacity, hours: float | None) -> float | None:
    """Length of the window in seconds: as asked, else whole hours that hold the longest the job may take, a day at least."""
    if asked.duration is not None or hours is None:
        return asked.duration
    return max(float(DAY_S), math.ceil(hours) * HOUR_S)


def _exactly(seconds: float) -> str:
    """A time for people; where rounding would hide what is wrong with it, to the second."""
    text = duration(seconds)
    return text if all(text != duration(limit) or seconds == limit for limit in LIMITS_S) else f"{seconds:,.0f} s"


LIMITS_S = (FLEX_MIN_S, FLEX_MAX_S, DAY_S, CALENDAR_MAX_S)


@rule("C001", "capacity-pinned", source="descriptor: capacity.model")
def capacity_pinned(need: Need, offer: Offer) -> Miss | None:
    """Use the consumption model that the descriptor names.

    Why: a booking, a budget or an agreement stands behind it.
    Example: `capacity: {model: spot}` rejects on-demand.
    """
    pinned = need.workload.capacity.model
    return None if pinned in (None, offer.model) else Miss(f"capacity.model is `{pinned}`", path="capacity.model")


@rule("C002", "capacity-offered", source=PROVISIONING)
def capacity_offered(need: Need, offer: Offer) -> Miss | None:
    """Ask only for what the machine type can be bought under.

    Why: types differ: some cannot be had on demand, some only by reservation; a wrong pair fails at apply, or waits forever.
    Example: a type whose table row says `on_demand` no is rejected on demand; where sources disagree it stays, with a warning.
    """
    record, asked = offer.machine.record, need.workload.capacity
    creates = asked.model == "reservation" and not is_existing(asked, "reservation")
    if offered(need.catalog, record, offer.model, creates=creates) is not False:
        return None
    standing = {model: offered(need.catalog, record, model, creates=creates) for model in get_args(CapacityModel)}
    possible = [model for model, flag in standing.items() if flag]
    disputed = [model for model, flag in standing.items() if flag is None]
    because = f"`{record.name}` is not sold as {offer.model}; it is as {', '.join(possible)}"
    if disputed:
        because += f"; sources disagree about {', '.join(disputed)}"
    help = f"set `capacity.model` to one of {', '.join(f'`{model}`' for model in (*possible, *disputed))}"
    if creates and offer.model == "reservation" and offered(need.catalog, record, "reservation"):
        because = f"a reservation for `{record.name}` comes out of a future reservation or a calendar booking; none can be made at once"
        help += ", or name an existing reservation in `capacity.name`"
    return Miss(because, 0, help, "capacity.model")


@rule("C003", "booking-asked-for", source="design decision: a purchase needs a person")
def booking_asked_for(need: Need, offer: Offer) -> Miss | None:
    """Never book capacity that nobody asked for.

    Why: a reservation is billed whether it is used or not; only a person can decide that. Naming the model asks for it, and
    so does a fixed start, which nothing else can promise.
    Example: without `capacity.model` no reservation is made; a machine that is sold in no other way is planned on one
    that exists, with a warning.
    """
    asked = need.workload.capacity
    if offer.model not in BOOKED or asked.model == offer.model or (offer.model in WINDOWED and asked.start):
        return None
    return Miss("billed whether it is used or not: name it in capacity.model to book it")


@rule("C004", "flex-start-window", source=FLEX)
def flex_start_window(need: Need, offer: Offer) -> Miss | None:
    """Use flex-start for jobs of 10 minutes to 7 days.

    Why: a flex-start VM is deleted after its run duration, at most 7 days; a service, or a longer run, would be cut off.
    Example: a fine-tune of at most 30 hours may wait for flex-start; one of 9 days, and any service, may not.
    """
    if offer.model != "flex-start":
        return None
    workload, asked = need.workload, need.workload.capacity.run_for
    if asked is not None:
        return _run_out_of_range(asked)
    if offer.hours is not None and offer.hours * HOUR_S > FLEX_MAX_S:
        because = f"takes up to {_exactly(offer.hours * HOUR_S)}; a flex-start VM lives at most 7 days"
        help = "use more machines, or set `capacity.run_for: 7d` and go on from a checkpoint in a further run"
        return Miss(because, 0, help, "capacity.model")
    if workload.capacity.model == "flex-start" or (offer.hours is not None and workload.task != "serve"):
        return None
    unknown = "how long the job runs is not known; flex-start needs a run duration of at most 7 days"
    return Miss("a flex-start VM lives at most 7 days; a service runs on" if workload.task == "serve" else unknown)


def _run_out_of_range(asked: float) -> Miss | None:
    if FLEX_MIN_S <= asked <= FLEX_MAX_S:
        return None
    is_long = asked > FLEX_MAX_S
    limit = duration(FLEX_MAX_S) if is_long else duration(FLEX_MIN_S)
    because = f"runs {_exactly(asked)}; a flex-start VM lives at {'most' if is_long else 'least'} {limit}"
    return Miss(because, 0, f"the nearest valid value is `{'7d' if is_long else '10m'}`", "capacity.run_for")


@rule("C005", "interruptible", source="https://docs.cloud.google.com/compute/docs/instances/spot")
def interruptible(need: Need, offer: Offer) -> Miss | None:
    """Choose Spot by itself only for work that a preemption does not hurt.

    Why: a Spot VM can be taken within 30 seconds. A service loses requests, and a training run over several machines
    stops when one goes; independent batch work just loses a shard.
    Example: data preparation and batch inference may run on Spot; serving, and training on 8 machines, only with
    `capacity: {interruptible: true}`, or when Spot is named.
    """
    asked, task = need.workload.capacity, need.workload.task
    if offer.model != "spot" or asked.model == "spot" or asked.interruptible:
        return None
    if asked.interruptible is False:
        return Miss("capacity.interruptible is `false`", path="capacity.interruptible")
    if task == "serve":
        return Miss("a preemption would drop requests: name it in capacity.model to accept that")
    if task in TRAINING_TASKS:
        return Miss("a preemption would stop the run: name it in capacity.model to accept that")
    return None if task in INTERRUPTIBLE_TASKS else Miss("nothing says that the work survives a preemption")


@rule("C006", "booking-window", source=CALENDAR)
def booking_window(need: Need, offer: Offer) -> Miss | None:
    """Book only windows that exist: calendar mode 1 to 90 days, for at most 80 GPU VMs, 256 others, or 1, 4, 8, 16 ... 1,024
    TPU chips; future reservations 24 hours or more.

    Why: requests outside of that are refused after the fact, and a calendar booking cannot be changed once submitted.
    Example: a calendar window of 120 days is rejected; the nearest valid one is 90 days.
    """
    asked = need.workload.capacity
    if offer.model not in WINDOWED or is_existing(asked, offer.model):
        return None
    window, limits, least = window_s(asked, offer.hours), "1 to 90 days", CALENDAR_MIN_S
    if offer.model == "future-reservation":
        limits, least = "24 h or more", FUTURE_MIN_S
    is_long = offer.model == "calendar" and window is not None and window > CALENDAR_MAX_S
    if window is not None and (is_long or window < least):
        name = "calendar mode" if offer.model == "calendar" else "a future reservation"
        help = f"the nearest valid value is `{'90d' if is_long else '1d'}`"
        if is_long:
            help += "; for longer set `capacity.model: future-reservation`"
        path = "capacity.duration" if asked.duration else "capacity.model"
        return Miss(f"a window of {_exactly(window)}; {name} takes {limits}", 0, help, path)
    return too_many(offer.machine, offer.model, offer.nodes)


def too_many(machine: Machine, model: CapacityModel, vms: int) -> Miss | None:
    """A number that one request does not take (C006)."""
    if model != "calendar":
        return None
    later = "for more set `capacity.model: future-reservation`"
    if machine.accelerator and machine.accelerator.kind == "tpu":
        chips = round(vms * machine.record.accelerators)
        if chips in CALENDAR_TPU_CHIPS:
            return None
        nearest = min(CALENDAR_TPU_CHIPS, key=lambda number: abs(number - chips))
        because = (
            f"{chips} chips; calendar mode takes {', '.join(str(number) for number in CALENDAR_TPU_CHIPS)} of them"
        )
        return Miss(because, 0, f"the nearest valid number of chips is {nearest}; {later}", "machine.count")
    most = CALENDAR_MAX_GPU_VMS if machine.record.has_accelerator else CALENDAR_MAX_CPU_VMS
    if vms <= most:
        return None
    kind = "GPU VMs" if machine.record.has_accelerator else "VMs"
    because = f"{vms} VMs; calendar mode takes at most {most} {kind} per request"
    return Miss(because, 0, f"the nearest valid number is {most}; {later}", "machine.count")


@rule("C008", "booking-window-given", source="descriptor: capacity.start, capacity.duration")
def booking_window_given(need: Need, offer: Offer) -> Miss | None:
    """Ask for a window only with its start and its length, and only for one that lies ahead.

    Why: a future reservation and a calendar booking are requests for a window; there is no sensible guess for its start. Its
    length is that of the job, where sizing knows it.
    Example: `capacity: {model: calendar}` without `start` is an error; so is a start in the past.
    """
    asked = need.workload.capacity
    if offer.model not in WINDOWED or is_existing(asked, offer.model):
        return None
    missing = ["start"] if asked.start is None else []
    missing += ["duration"] if window_s(asked, offer.hours) is None else []
    if missing:
        names = " and ".join(f"capacity.{name}" for name in missing)
        help = " and ".join(f"`capacity.{name}`" for name in missing)
        is_said = "are" if len(missing) > 1 else "is"
        return Miss(f"needs a window; {names} {is_said} not given", 0, f"set {help}", "capacity.model")
    if asked.start is not None and asked.start <= need.today:
        return Miss(
            f"the window starts at {asked.start.isoformat()}, which lies in the past",
            0,
            f"name a start after {need.today:%Y-%m-%dT%H:%M}Z",
            "capacity.start",
        )
    return None


@rule("C012", "start-promised", source=PROVISIONING)
def start_promised(need: Need, offer: Offer) -> Miss | None:
    """Where the descriptor fixes a start, take only capacity that is promised for it.

    Why: on demand and Spot machines are there or not at that moment, and a queued request starts when it can.
    Example: `capacity: {start: 2027-01-11T08:00:00Z, duration: 30d}` rejects everything but a calendar booking and a
    future reservation.
    """
    if need.workload.capacity.start is None or offer.model in WINDOWED:
        return None
    return Miss(f"{offer.model} promises no machines at capacity.start", path="capacity.start")


@rule("C014", "start-in-reach", source=FUTURE)
def start_in_reach(need: Need, offer: Offer) -> Miss | None:
    """Submit a future reservation at most a year before it starts.

    Why: the service refuses a start that lies more than a year after the submission.
    Example: a start in 14 months is rejected; the help names the latest.
    """
    asked = need.workload.capacity
    if offer.model != "future-reservation" or asked.start is None or is_existing(asked, offer.model):
        return None
    latest = need.today + timedelta(seconds=FUTURE_START_S)
    if asked.start <= latest:
        return None
    because = f"starts at {asked.start.isoformat()}, more than a year after it is asked for"
    return Miss(because, 0, f"the nearest valid value is {latest:%Y-%m-%dT%H:%M:%S}Z", "capacity.start")


@rule("C017", "end-of-its-own", source=PROVISIONING)
def end_of_its_own(need: Need, offer: Offer) -> Miss | None:
    """Give no run duration to machines that end with their reservation.

    Why: machines that are bound to a reservation live as long as it does; the service refuses a run duration beside that.
    Example: `capacity: {model: reservation, name: block, run_for: 2d}` for a type that is sold bound only.
    """
    if offer.model not in BOOKED or not need.workload.capacity.run_for or not is_bound(offer.machine.record):
        return None
    because = f"`{offer.machine.record.name}` is bound to its reservation and ends with it"
    return Miss(because, 0, "remove `capacity.run_for`", "capacity.run_for")


@rule("C021", "matched-machines", source="https://docs.cloud.google.com/compute/docs/instances/reservations-consume")
def matched_machines(need: Need, offer: Offer) -> Miss | None:
    """Let only ordinary machines take any reservation that matches.

    Why: machines that are bound to a reservation have to name it; the service refuses them without.
    Example: `consume: automatic` for a type that is sold bound to a reservation only.
    """
    if need.workload.capacity.consume != "automatic" or not is_bound(offer.machine.record):
        return None
    because = f"`{offer.machine.record.name}` is bound to a reservation that it has to name"
    return Miss(because, 0, "remove `capacity.consume`, and set `capacity.name`", "capacity.consume")


@rule("C022", "booking-in-one-zone", source=FUTURE)
def booking_in_one_zone(need: Need, offer: Offer) -> Miss | None:
    """Run what is booked ahead, and what is reserved for machines that work together, in the one zone of the booking.

    Why: a future reservation lies in one zone; machines that a regional group puts elsewhere never find it. Those of a
    training run stand in one zone, which nobody knows before.
    Example: `group: {scope: regional}` with `capacity: {model: calendar}` is an error.
    """
    asked, workload = need.workload.capacity, need.workload
    is_made = offer.model == "reservation" and not is_existing(asked, offer.model) and workload.task in TRAINING_TASKS
    if workload.group.scope != "regional" or len(named_zones(need)) == 1 or not (offer.model in WINDOWED or is_made):
        return None
    because = f"a {offer.model} lies in one zone; the group is to span several"
    return Miss(because, 0, "set `group.scope: zonal`", "group.scope")


@rule("C018", "disputed-when-named", source="docs/facts.md")
def disputed_when_named(need: Need, offer: Offer) -> Miss | None:
    """Choose by itself only pairs of machine and model that no source disputes.

    Why: a plan that nobody pinned should not rest on a guess.
    Example: flex-start for a type that one page of the vendor admits and another leaves out is taken when it is named.
    """
    if offered(need.catalog, offer.machine.record, offer.model) is not None:
        return None
    if need.workload.capacity.model == offer.model:
        return None
    return Miss("sources disagree whether it can be had so: name it in capacity.model to try it")


@rule("C020", "start-before-deadline", source=FLEX)
def start_before_deadline(need: Need, offer: Offer) -> Miss | None:
    """Against a deadline, choose by itself only capacity that starts at once or at a time that is promised.

    Why: how long a queued request waits is not known, nor when a preempted machine comes back.
    Example: a fine-tune with `train.deadline` is not queued under flex-start unless that is named.
    """
    workload = need.workload
    due = (workload.train and workload.train.deadline) or (workload.serve and workload.serve.deadline)
    if offer.model != "flex-start" or workload.capacity.model == "flex-start" or not due:
        return None
    return Miss(
        "how long the request waits is not known, and there is a deadline: name it in capacity.model to accept that"
    )


@rule("C025", "one-request-one-kind", source=FLEX)
def one_request_one_kind(need: Need, offer: Offer) -> Miss | None:
    """Queue by itself only groups that come once and as they are.

    Why: one request brings machines of one type, all at once; a group that scales, rests, keeps something or mixes types lives
    longer than that.
    Example: `machine.fallbacks` or `group.standby` keeps a job on demand unless flex-start is named.
    """
    workload = need.workload
    group = workload.group
    lives_on = group.autoscale or group.standby or group.stateful or workload.machine.fallbacks
    if offer.model != "flex-start" or workload.capacity.model == "flex-start" or not lives_on:
        return None
    return Miss("the group scales, rests, keeps something or mixes types, and a request does none of that")


@rule("C013", "calendar-before-future", source=CALENDAR)
def calendar_before_future(need: Need, offer: Offer) -> Miss | None:
    """For a fixed window take calendar mode; a future reservation where calendar mode cannot serve it.

    Why: a calendar booking costs less and ends by itself. It takes 1 to 90 days and few enough VMs, and not every series
    has it.
    Example: 30 days on 16 VMs from a fixed start become a calendar booking, 200 days or 100 GPU VMs a future reservation.
    """
    if offer.model != "future-reservation" or need.workload.capacity.model:
        return None
    other = Offer(offer.machine, "calendar", offer.nodes, offer.hours)
    if not offered(need.catalog, offer.machine.record, "calendar"):
        return None
    if booking_window(need, other) or booking_window_given(need, other):
        return None
    return Miss("a calendar booking of the same window suits, and ends by itself")


@rule("C019", "queue-before-chance", source=FLEX)
def queue_before_chance(need: Need, offer: Offer) -> Miss | None:
    """Queue a job that may start at any time, where its machines are sold so.

    Why: on demand the machines are there at this moment or the apply fails, one by one; a queued request gets all of them
    when they can be had, is billed from then on, and costs no more.
    Example: a fine-tune of 20 hours without a fixed start or deadline takes flex-start; with `train.deadline` on-demand.
    """
    if offer.model != "on-demand" or need.workload.capacity.model or not offer.machine.record.has_accelerator:
        return None
    queued = Offer(offer.machine, "flex-start", offer.nodes, offer.hours)
    if not offered(need.catalog, offer.machine.record, "flex-start"):
        return None
    if any(check(need, queued) for check in (flex_start_window, start_before_deadline, one_request_one_kind)):
        return None
    return Miss("the job may start at any time: a queued request gets all of its machines at once")


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
CALENDAR_HORIZON = declare(
    "C015",
    "beyond-the-calendar",
    """Say when a calendar booking starts later than availability can be looked up.

    Why: the service shows 60 days ahead what can be had, 120 for TPUs; a request for later is a shot in the dark.
    Example: a start in 90 days is a warning.
    """,
    source=CALENDAR,
)
SOON = declare(
    "C016",
    "start-too-soon",
    """Say when a booking starts sooner after today than its review may take.

    Why: a request is reviewed before it is granted. No shortest time is published: `capacity.lead` says what is thought
    enough, a day unless told otherwise.
    Example: a start in 6 hours is a warning; with `lead: 4h` it is none.
    """,
    source=FUTURE,
)
SAME_NAME = declare(
    "C023",
    "reservation-in-each-zone",
    """Say when machines in several zones look for one reservation.

    Why: a reservation lies in one zone. A regional group finds it elsewhere only if each zone has one of that name.
    Example: `group: {scope: regional}` with an existing reservation over three zones is a warning.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/reservations-consume",
)
PAID_ANYWAY = declare(
    "C024",
    "paid-used-or-not",
    """Say what a booking costs, whether it is used or not.

    Why: a reservation is billed from its creation, a booked window from its start to its end; machines that never run change
    nothing about it.
    Example: 16 machines for 30 days are printed with their list price beside the choice.
    """,
    source=FUTURE,
)


@rule("C030", "confidential-capacity", source="docs/facts.md: confidential.csv")
def confidential_capacity(need: Need, offer: Offer) -> Miss | None:
    """Buy confidential machines as they are sold.

    Why: some types encrypt their memory only under some consumption models; the API refuses the others.
    Example: `a3-highgpu-1g` with `confidential: tdx` is had as Spot or with a flexible start.
    """
    found = need.catalog.confidential.get((offer.machine.type, need.workload.security.confidential or ""))
    if found is None or not found.capacity_models or offer.model in found.capacity_models:
        return None
    models = ", ".join(f"`{model}`" for model in found.capacity_models)
    message = f"with {found.technology} it is sold as {models}"
    return Miss(message, 0, f"set `capacity.model` to one of {models}", "capacity.model")


RULES = (
    capacity_pinned, capacity_offered, confidential_capacity, start_promised, flex_start_window, booking_window, booking_window_given, start_in_reach,
    end_of_its_own, matched_machines, booking_in_one_zone,
)  # fmt: skip
PREFERENCES = (
    disputed_when_named, interruptible, start_before_deadline, one_request_one_kind, booking_asked_for, calendar_before_future, queue_before_chance,
)  # fmt: skip
# preferences are given up only where a machine can be had in no other way


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
