"""How the winner is obtained: the choice with its reasons, what every other way would cost and need, and what to beware of."""

from datetime import UTC, datetime, timedelta
from typing import get_args

from msgspec.structs import replace

from infragen import units
from infragen.decide import capacity, place, pricing
from infragen.decide.capacity import Offer
from infragen.decide.choices import alternative
from infragen.decide.model import Alternative, CapacityChoice, Decision, GroupChoice, Reason
from infragen.decide.need import Need
from infragen.decide.rank import Candidate
from infragen.decide.rule import Narrowed, rule_of
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import Diagnostics

TERMS: dict[CapacityModel, str] = {
    "on-demand": "machines that are free at that moment",
    "spot": "work that survives a preemption at any time",
    "reservation": "to be paid from its creation on, used or not",
    "future-reservation": "a start within a year and 24 h or more, paid from the start on, used or not",
    "calendar": "a fixed start and 1 to 90 days, all of them paid, used or not",
    "flex-start": "a start at any time and an end within 7 days",
}
"""What each model takes beside its price."""


def decide(
    need: Need,
    best: Candidate,
    ranked: list[Candidate],
    narrowed: Narrowed[Offer],
    group: GroupChoice,
    diags: Diagnostics,
) -> Decision[CapacityChoice]:
    """How the winner is obtained; what is disputed, short or guessed is a warning."""
    _check_offered(need, best, diags)
    _check_window(need, best, diags)
    _check_zones(need, best, group, diags)
    taken = choice(need, best, group)
    if taken.creates:
        _check_count(need, best, group, diags)
    return Decision(
        taken,
        (*_reasons(need, best, len(narrowed.kept)), *_booked(best, taken, max(group.size, group.max_size))),
        narrowed.rejections(lambda offer: offer.model),
        _alternatives(need, best, ranked),
        ranked=alternative(best.model, best, best, ""),
    )


def choice(need: Need, best: Candidate, group: GroupChoice) -> CapacityChoice:
    """How the machines of a candidate are obtained."""
    asked, model, hours = need.workload.capacity, best.model, best.offer.hours
    is_booked = model in capacity.BOOKED
    creates = is_booked and not capacity.is_existing(asked, model)
    is_automatic = is_booked and asked.consume == "automatic"
    named = capacity.booking(asked)
    window = capacity.window_s(asked, hours) if creates and model in capacity.WINDOWED else None
    booked_hours = (window / units.HOUR_S if window else units.HOURS_PER_MONTH) if creates else None
    vms = max(group.size, group.max_size)
    return CapacityChoice(
        model=model,
        reservation=(named.name or need.workload.name) if is_booked and (creates or not is_automatic) else None,
        creates=creates,
        project=named.project,
        block=named.block,
        sub_block=named.sub_block,
        is_automatic=is_automatic,
        shared_with=tuple(asked.shared_with or ()),
        start=_rfc3339(asked.start) if asked.start and window else None,
        end=_rfc3339(asked.start + timedelta(seconds=window)) if asked.start and window else None,
        submit=asked.submit,
        run_for_s=_run_for(best, asked.run_for),
        mode=(asked.mode or ("bulk" if group.all_or_nothing else "resize-request")) if model == "flex-start" else None,
        automatic_restart=asked.automatic_restart,
        at_end=asked.at_end,
        usd_booked=best.price.usd * vms * booked_hours if best.price and booked_hours else None,
        booked_hours=booked_hours,
    )


def _booked(best: Candidate, choice: CapacityChoice, vms: int) -> tuple[Reason, ...]:
    """What is paid for the booking that is made, used or not."""
    if not choice.creates:
        return ()
    price = units.usd(choice.usd_booked) if choice.usd_booked is not None else "what the tables do not know"
    if best.price and best.price.confidence == pricing.UPPER_BOUND:
        price = f"at most {price}"
    what = f"{vms} × {best.fit.machine.label}"
    if choice.start is None:
        text = f"{what} cost {price} a month from creation on, used or not, until the reservation is destroyed"
    else:
        text = f"{what} from {choice.start} to {choice.end} cost {price}, used or not"
    return (Reason(capacity.PAID_ANYWAY.id, text),)


def _run_for(best: Candidate, asked: float | None) -> int | None:
    """Longest life of a VM in seconds: as asked; for flex-start else the longest the job may take."""
    if asked:
        return round(asked)
    if best.model != "flex-start":
        return None
    hours = best.offer.hours
    longest = hours * units.HOUR_S if hours else capacity.FLEX_MAX_S
    return round(min(capacity.FLEX_MAX_S, max(capacity.FLEX_MIN_S, longest)))


def _rfc3339(moment: datetime) -> str:
    """In UTC, as the service gives it back: any other offset would show as a change of what cannot be changed."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _reasons(need: Need, best: Candidate, sufficient: int) -> tuple[Reason, ...]:
    """Why this model: named, the only one, or what in the workload speaks for it."""
    asked, name, model = need.workload.capacity, best.fit.machine.record.name, best.model
    if asked.model:
        return (Reason(rule_of(capacity.capacity_pinned).id, f"capacity.model is `{model}`"),)
    if best.is_last_resort:
        return (Reason(capacity.LAST_RESORT.id, f"`{name}` cannot be had in a way that suits the work better"),)
    found = list[Reason]()
    length = units.duration(best.offer.hours * units.HOUR_S) if best.offer.hours else None
    if model in capacity.WINDOWED and asked.start:
        window = capacity.window_s(asked, best.offer.hours) or 0.0
        text = "capacity.start is given: only a booking promises machines then"
        found.append(Reason(rule_of(capacity.start_promised).id, text))
        what = f"{units.duration(window)} on {best.fit.nodes} VMs"
        fits = "calendar mode takes them" if model == "calendar" else "more than calendar mode takes, or offers"
        found.append(Reason(rule_of(capacity.calendar_before_future).id, f"{what}: {fits}"))
    elif model == "flex-start":
        text = (
            f"the job takes up to {length} and may start at any time" if length else "the run is short enough to queue"
        )
        found.append(Reason(rule_of(capacity.queue_before_chance).id, text))
    elif model == "spot":
        text = (
            "the work survives a preemption" if asked.interruptible else "a preemption loses a piece of the work only"
        )
        found.append(Reason(rule_of(capacity.interruptible).id, text))
    if sufficient == 1 and not found:
        text = f"the only model left that `{name}` is sold under and that suits the work"
        found.append(Reason(rule_of(capacity.capacity_offered).id, text))
    elif sufficient > 1:
        text = f"the cheapest of {sufficient} models that suit the work"
        found.append(Reason(rule_of(capacity.capacity_offered).id, text))
    return tuple(found)


def _alternatives(need: Need, best: Candidate, ranked: list[Candidate]) -> tuple[Alternative, ...]:
    """Every other model that the machine is sold under, with its price here and what it would take; the suitable first."""
    box, asked = best.fit.machine, need.workload.capacity
    suitable = {one.model for one in ranked if one.fit.machine == box and one.is_last_resort == best.is_last_resort}
    found = list[tuple[bool, float, Alternative]]()
    for model in get_args(CapacityModel):
        if model == best.model or capacity.offered(need.catalog, box.record, model) is False:
            continue
        offer = Offer(box, model, best.fit.nodes, best.offer.hours)
        price = pricing.machine_price(need.catalog, box.record, box.host, best.site.region.name, model)
        one = Candidate(best.fit, offer, best.site, price)
        named = need.workload.model_copy(update={"capacity": asked.model_copy(update={"model": model})})
        varied = replace(need, workload=named)
        others = [check for check in capacity.RULES if check is not capacity.booking_window_given]
        missing = [miss for check in others if (miss := check(varied, offer))]
        needs = "; ".join([TERMS[model], *(miss.because for miss in missing[:1])])
        entry = alternative(model, one, best, f"capacity.model={model}", needs)
        found.append((model not in suitable, one.usd if one.usd is not None else float("inf"), entry))
    return tuple(entry for _, _, entry in sorted(found, key=lambda item: item[:2]))


def _check_offered(need: Need, best: Candidate, diags: Diagnostics) -> None:
    """Warnings where sources disagree about the pair, and where nothing better was left."""
    asked, at, record, model = need.workload.capacity, need.workload.at, best.fit.machine.record, best.model
    dispute = need.catalog.disputes.get((record.series, model))
    if capacity.offered(need.catalog, record, model) is None:
        message = f"sources disagree whether `{best.fit.machine.type}` can be had as {model}"
        help = "try it with one machine before you rely on it"
        diags.add(capacity.DISPUTED.warning(message, at("capacity.model"), dispute.why if dispute else "", help))
    if best.is_last_resort:
        also = [one for one in get_args(CapacityModel) if one != model and capacity.offered(need.catalog, record, one)]
        message = f"`{best.fit.machine.type}` cannot be had on demand for this: the plan takes {model}"
        label = f"a reservation `{asked.name or need.workload.name}` must exist"
        label = "Spot can be taken at any time" if model == "spot" else label
        help = f"name what you want in `capacity.model`: it is also sold as {', '.join(also)}"
        diags.add(capacity.LAST_RESORT.warning(message, at("machine"), label, help))


def _check_window(need: Need, best: Candidate, diags: Diagnostics) -> None:
    """Warnings for a window that is shorter than the job, and for a start that is very near or very far."""
    asked, at = need.workload.capacity, need.workload.at
    low = best.fit.train_hours.low if best.fit.train_hours else None
    for field in ("run_for", "duration"):
        window = getattr(asked, field)
        if low is not None and window is not None and window < low * units.HOUR_S:
            label = f"the job takes {units.duration(low * units.HOUR_S)} at the least"
            message = f"a window of {units.duration(window)} is shorter than the job"
            help = "make it longer, or have the job start again from its checkpoints in a later window"
            diags.add(capacity.SHORT_WINDOW.warning(message, at(f"capacity.{field}"), label, help))
    if best.model not in capacity.WINDOWED or asked.start is None or capacity.is_existing(asked, best.model):
        return
    ahead = asked.start - need.today
    if ahead < timedelta(seconds=asked.lead):
        message = f"the window starts in {units.duration(ahead.total_seconds())}; the request has to be approved before"
        help = f"start {units.duration(asked.lead)} ahead or more, or set `capacity.lead` to what is enough for you"
        diags.add(capacity.SOON.warning(message, at("capacity.start"), "no shortest time is published", help))
    chip = best.fit.machine.accelerator
    days = capacity.CALENDAR_SEEN_DAYS[chip.kind if chip else "gpu"]
    if best.model == "calendar" and ahead > timedelta(days=days):
        message = f"the window starts in {units.duration(ahead.total_seconds())}; availability can be looked up for {days} days"
        help = f"start by {need.today + timedelta(days=days):%Y-%m-%d}, or ask again when the start is nearer"
        diags.add(capacity.CALENDAR_HORIZON.warning(message, at("capacity.start"), "beyond the calendar", help))


def _check_zones(need: Need, best: Candidate, group: GroupChoice, diags: Diagnostics) -> None:
    """Warnings for a booking whose zone is a guess, or that machines in several zones look for."""
    asked, at = need.workload.capacity, need.workload.at
    if best.model not in capacity.BOOKED or asked.consume == "automatic" or asked.model is None:
        return
    if not capacity.is_existing(asked, best.model):
        return
    if group.scope == "regional":
        message = f"machines in several zones look for `{asked.name}`: each zone needs a reservation of that name"
        help = "set `group.scope: zonal` and `capacity.zone`, or see that there is one in each zone"
        diags.add(capacity.SAME_NAME.warning(message, at("group.scope"), "a reservation lies in one zone", help))
    elif not place.named_zones(need):
        message = f"the zone of reservation `{asked.name}` is not given: {best.site.region.name} is chosen by price"
        help = "set `capacity.zone`; `gcloud compute reservations list` shows it"
        diags.add(capacity.UNPLACED.warning(message, at("capacity.name"), "a reservation lies in one zone", help))


def _check_count(need: Need, best: Candidate, group: GroupChoice, diags: Diagnostics) -> None:
    """An error where the group may grow beyond what one request takes."""
    vms = max(group.size, group.max_size)
    miss = capacity.too_many(best.fit.machine, best.model, vms)
    if miss and vms > best.fit.nodes:
        rule = rule_of(capacity.booking_window)
        diags.add(
            rule.error(
                f"the group may have {units.many(vms, 'VM')}",
                need.workload.at("serve.replicas"),
                miss.because,
                miss.help,
            )
        )
