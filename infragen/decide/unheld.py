"""When no service can hold a store: which one comes nearest, what is in its way, and what to ask for instead."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace

from infragen import units
from infragen.decide import storage
from infragen.decide.need import Need
from infragen.decide.rule import Narrowed
from infragen.decide.store import Store
from infragen.descriptor.model import Storage
from infragen.diagnostics import Diagnostic
from infragen.facts.model import StorageService

VALUES = frozenset(
    {"capacity", "throughput", "iops", "protocol", "reserved_range"}
)  # fields whose nearest valid value is named
_HALVINGS = 24  # steps to the largest amount that a service holds


def explain(need: Need, wanted: Store, narrowed: Narrowed[StorageService], *, is_told: bool = True) -> Diagnostic:
    """Why no service can hold it, what would make the nearest one do, and which others do.

    ``is_told``: with a way out that takes looking for; a plan that is only compared does without.
    """
    last, pin = narrowed.nearest, wanted.pin
    path = last.miss.path if wanted.pinned and getattr(wanted.pinned, last.miss.path or "purpose") else "service"
    index = next((i for i, entry in enumerate(need.workload.storage) if entry.purpose == wanted.purpose), None)
    helps = [last.miss.help]
    if pin:
        services = need.catalog.storage_services.values()
        tiers = dict.fromkeys(tier(one) for one in services if one.service == pin.service and one.tier != "dynamic")
        if last.rule.id == "T001" and path == "tier":
            helps = [f"its tiers are {', '.join(f'`{tier}`' for tier in tiers)}"]
        if last.rule.id == "T015" and last.miss.path != "reserved_range":
            able = dict.fromkeys(
                tier(one) for one in services if one.service == pin.service and _has(one, pin, last.miss.path)
            )
            helps += [f"set `tier` to {' or '.join(f'`{tier}`' for tier in able)}"] if able else []
        is_answered = bool(last.miss.help) and (last.miss.path in VALUES or last.rule.id in ("T001", "T002"))
        free = storage.narrow(need, replace(wanted, pinned=None))
        other = storage.rank(wanted, free.kept)[0] if free.kept else None
        if other and not is_answered and not any(f"`{other.service}`" in text for text in helps):
            is_tier = other.service == pin.service
            if not is_tier or other.tier != last.candidate.tier:
                helps.append(
                    f"`{'tier' if is_tier else 'service'}: {tier(other) if is_tier else other.service}` would do"
                )
    what = f"no storage service can hold the {wanted.purpose}; the nearest is {last.candidate.title}"
    if pin:
        what = f"{last.candidate.title} cannot hold the {wanted.purpose}"
    place = "data" if index is None else f"storage.{index}.{path}"
    help = "; ".join(filter(None, helps)) or (_way_out(need, wanted) if is_told else "")
    return last.rule.error(what, need.workload.at(place), last.miss.because, help)


def tier(service: StorageService) -> str:
    """The tier as the descriptor spells it."""
    return service.tier.lower().replace("_", "-")


def _has(service: StorageService, pin: Storage, field: str) -> bool:
    """Whether a tier has the setting, and takes what is asked of it."""
    return field in service.settings and (field != "protocol" or pin.protocol in service.protocols)


class Ease(Struct, frozen=True):
    """Something that can be asked less of: ``change`` makes a store that asks so much of it, ``words`` says so."""

    amount: Callable[[Store], float]  # that is asked; of what is either asked or not, 1 or 0
    change: Callable[[Store, float], Store]
    words: Callable[[Store, float], str]
    is_whole: bool = False  # either asked or not


def _pinned(one: Store, **changes: object) -> Store:
    return replace(one, pinned=one.pinned.model_copy(update=changes)) if one.pinned else one


def _slower(store: Store, rate: float) -> str:
    """A rate, or what it comes to where nobody asked for one: the time between two checkpoints."""
    every = store.interval_s
    if every is None or rate <= 0 or (store.pinned and store.pinned.throughput):
        return f"at up to {rate:,.0f} MiB/s"
    return f"with `train.checkpoint.every` at least {units.duration(every * store.write_mib_s / rate)}"


def _without(field: str) -> Ease:
    return Ease(
        lambda one: bool(one.pinned and getattr(one.pinned, field)),
        lambda one, _: _pinned(one, **{field: None}),
        lambda *_: f"without `{field}`",
        is_whole=True,
    )


EASES = (
    *(_without(field) for field in ("tier", "service", "iops", "protocol", "access_mode", "reserved_range")),
    Ease(lambda one: one.has_key, lambda one, _: replace(one, has_key=False), lambda *_: "without `security.kms_key`", True),
    Ease(lambda one: not one.is_zonal, lambda one, _: replace(one, is_zonal=True), lambda *_: "with `group.scope: zonal`", True),
    Ease(lambda one: one.changes_often, lambda one, _: replace(one, changes_often=False), lambda *_: "if its content stays for a week", True),
    Ease(
        lambda one: one.purpose == "dataset" and one.posix != "none",
        lambda one, _: replace(one, posix="none"),
        lambda *_: "with `data.posix: none`",
        True,
    ),
    Ease(
        lambda one: max(one.wanted_mib_s, one.read_mib_s, one.write_mib_s),
        lambda one, rate: replace(
            _pinned(one, throughput=rate * units.MIB or None),
            read_mib_s=min(one.read_mib_s, rate),
            write_mib_s=min(one.write_mib_s, rate),
        ),
        _slower,
    ),
    Ease(
        lambda one: max(one.content_gib, one.wanted_gib),
        lambda one, gib: replace(_pinned(one, capacity=None), content_gib=min(one.content_gib, gib)),
        lambda _, gib: f"up to {units.size(gib * units.GIB)}",
    ),
    Ease(
        lambda one: one.clients - 1.0,
        lambda one, machines: replace(one, clients=max(int(machines), 1)),
        lambda _, machines: f"for up to {max(int(machines), 1):,} machines at once",
    ),
)  # fmt: skip
"""What may be asked less of, in the order in which it is tried."""


def _way_out(need: Need, wanted: Store) -> str:
    """One or two things to ask less of, else all, each as little less as will do, and the service that then holds it."""
    asked = [ease for ease in EASES if ease.amount(wanted)]
    for count in sorted({1, 2, len(asked)} & set(range(1, len(asked) + 1))):  # one or two things, else all of them
        found = [text for eases in combinations(asked, count) for text in _eased(need, wanted, eases)]
        if found:
            return "; ".join(found[:2])
    return "leave the store out, or hold the content outside of infragen"


def _eased(need: Need, wanted: Store, eases: tuple[Ease, ...]) -> Iterator[str]:
    """What holds it when less is asked of all of these; nothing where nothing does."""

    def best(amounts: list[float]) -> StorageService | None:
        store = wanted
        for ease, amount in zip(eases, amounts, strict=True):
            store = ease.change(store, amount)
        kept = storage.narrow(need, store).kept
        return storage.rank(store, kept)[0] if kept else None

    amounts = [0.0 for _ in eases]
    service = best(amounts)
    if service is None:
        return
    for index, ease in enumerate(eases):
        low, high = (0.0, 0.0) if ease.is_whole else (0.0, ease.amount(wanted))
        for _ in range(_HALVINGS):
            middle = _two_digits((low + high) / 2)
            held = best([*amounts[:index], middle, *amounts[index + 1 :]])
            low, high, service = (middle, high, held) if held else (low, middle, service)
        amounts[index] = low
    words = " ".join(ease.words(wanted, amount) for ease, amount in zip(eases, amounts, strict=True))
    yield f"{service.title} holds it {words}"


def _two_digits(amount: float) -> float:
    """Rounded down."""
    step = 10.0 ** (math.floor(math.log10(amount)) - 1) if amount > 0 else 1.0
    return math.floor(amount / step) * step
