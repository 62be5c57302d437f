"""What differs from the plan that was written last: two plan records, held against each other.

Takes the text of two ``plan.json``. Gives rows of what changed. The old one lies in a directory that people share and
edit, so that nothing in it is trusted: what does not read as a record is said to be none.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from infragen import units
from infragen.render import words


class _Range(Struct, frozen=True):
    expected: float


class _Machine(Struct, frozen=True):
    type: str
    nodes: int
    accelerator: str | None = None
    accelerators_per_node: float = 0
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1

    def words(self) -> str:
        chips = f" with {self.accelerators_per_node:g} × {self.accelerator}" if self.accelerator else ""
        degrees = (("TP", self.tensor_parallel), ("PP", self.pipeline_parallel), ("DP", self.data_parallel))
        layout = ", ".join(f"{name} {degree}" for name, degree in degrees if degree > 1)
        return f"{self.nodes} × {self.type}{chips}" + (f" ({layout})" if layout else "")


class _Capacity(Struct, frozen=True):
    model: str
    reservation: str | None = None

    def words(self) -> str:
        return " ".join(filter(None, (self.model, self.reservation)))


class _Location(Struct, frozen=True):
    region: str
    zones: tuple[str, ...] = ()

    def words(self) -> str:
        return f"{self.region} ({', '.join(self.zones)})" if self.zones else self.region


class _Store(Struct, frozen=True):
    service: str
    tier: str = ""
    capacity_gib: float = 0
    throughput_mib_s: float = 0
    mount: str = ""

    def words(self) -> str:
        size = f", {units.size(self.capacity_gib * units.GIB)}" if self.capacity_gib else ""
        rate = f", {self.throughput_mib_s:,.0f} MiB/s" if self.throughput_mib_s else ""
        return f"{self.service} {self.tier}{size}{rate} at {self.mount}"


class _Image(Struct, frozen=True):
    project: str | None = None
    family: str | None = None
    name: str | None = None
    rollout: str = ""

    def words(self) -> str:
        return f"{self.name or self.family} of {self.project or 'the own project'} ({self.rollout})"


class _Group(Struct, frozen=True):
    scope: str = ""
    size: int = 0
    min_size: int = 0
    max_size: int = 0
    has_autoscaler: bool = False

    def words(self) -> str:
        return f"{self.scope}, " + (
            f"{self.min_size} to {self.max_size} VMs" if self.has_autoscaler else f"{self.size} VMs"
        )


class _MachineDecision(Struct, frozen=True):
    choice: _Machine


class _CapacityDecision(Struct, frozen=True):
    choice: _Capacity


class _LocationDecision(Struct, frozen=True):
    choice: _Location


class _StoreDecision(Struct, frozen=True):
    purpose: str
    choice: _Store


class _ImageDecision(Struct, frozen=True):
    choice: _Image


class _GroupDecision(Struct, frozen=True):
    choice: _Group


class _Decisions(Struct, frozen=True):
    machine: _MachineDecision
    capacity: _CapacityDecision
    location: _LocationDecision
    image: _ImageDecision
    group: _GroupDecision
    storage: tuple[_StoreDecision, ...] = ()


class _Costs(Struct, frozen=True):
    total: float | None = None
    unknown: tuple[str, ...] = ()


class _Estimate(Struct, frozen=True):
    usd_per_hour: _Costs
    usd_total: _Range | None = None
    kg_co2e_per_hour: _Range | None = None
    kg_co2e_total: _Range | None = None
    train_hours: _Range | None = None
    tokens_per_second: _Range | None = None
    ttft_ms: _Range | None = None
    tpot_ms: _Range | None = None


class _Quota(Struct, frozen=True):
    metric: str
    region: str
    amount: int


class _Resource(Struct, frozen=True):
    address: str


class _Record(Struct, frozen=True):
    """As much of a plan record as is compared. Fields that are not named here may hold anything."""

    decisions: _Decisions
    estimate: _Estimate
    quotas: tuple[_Quota, ...] = ()
    resources: tuple[_Resource, ...] = ()


class Row(Struct, frozen=True):
    """One thing that changed. ``change`` says by how much, where that can be said."""

    what: str
    before: str
    now: str
    change: str = ""


class Comparison(Struct, frozen=True):
    """What changed since the last plan. ``problem`` says why that is not known."""

    rows: tuple[Row, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of what is compared changed."""
        return not (self.rows or self.added or self.removed or self.problem)


NONE = "none"


def compare(before: str, now: str) -> Comparison:
    """The difference between two records; the second is one of ours."""
    try:
        old = msgspec.json.decode(before.encode("utf-8", "replace"), type=_Record)
    except (msgspec.DecodeError, RecursionError):
        return Comparison(problem="the plan.json that is there cannot be read as a plan")
    new = msgspec.json.decode(now, type=_Record)
    had, has = ({one.address for one in record.resources} for record in (old, new))
    rows = [*_choices(old, new), *_stores(old, new), *_figures(old.estimate, new.estimate), *_quotas(old, new)]
    return Comparison(tuple(rows), tuple(sorted(has - had)), tuple(sorted(had - has)))


def _choices(old: _Record, new: _Record) -> list[Row]:
    pairs = (
        ("machine", old.decisions.machine.choice.words(), new.decisions.machine.choice.words()),
        ("capacity", old.decisions.capacity.choice.words(), new.decisions.capacity.choice.words()),
        ("place", old.decisions.location.choice.words(), new.decisions.location.choice.words()),
        ("image", old.decisions.image.choice.words(), new.decisions.image.choice.words()),
        ("group", old.decisions.group.choice.words(), new.decisions.group.choice.words()),
    )
    return [Row(what, before, now) for what, before, now in pairs if before != now]


def _stores(old: _Record, new: _Record) -> list[Row]:
    before = {one.purpose: one.choice.words() for one in old.decisions.storage}
    now = {one.purpose: one.choice.words() for one in new.decisions.storage}
    return [
        Row(f"storage: {purpose}", before.get(purpose, NONE), now.get(purpose, NONE))
        for purpose in dict.fromkeys((*before, *now))
        if before.get(purpose) != now.get(purpose)
    ]


def _figures(old: _Estimate, new: _Estimate) -> list[Row]:
    def kg(value: float) -> str:
        return f"{units.figure(value)} kg CO2e"

    def of(unit: str) -> Callable[[float], str]:
        return lambda value: f"{units.figure(value)} {unit}"

    measures = (
        ("cost an hour", old.usd_per_hour.total, new.usd_per_hour.total, units.usd),
        ("cost of the job", _expected(old.usd_total), _expected(new.usd_total), units.usd),
        ("emissions an hour", _expected(old.kg_co2e_per_hour), _expected(new.kg_co2e_per_hour), kg),
        ("emissions of the job", _expected(old.kg_co2e_total), _expected(new.kg_co2e_total), kg),
        ("time", _expected(old.train_hours), _expected(new.train_hours), of("h")),
        ("speed", _expected(old.tokens_per_second), _expected(new.tokens_per_second), of("tokens/s")),
        ("first token", _expected(old.ttft_ms), _expected(new.ttft_ms), of("ms")),
        ("each token after it", _expected(old.tpot_ms), _expected(new.tpot_ms), of("ms")),
    )
    rows = []
    for what, before, now, say in measures:
        texts = [NONE if value is None else say(value) for value in (before, now)]
        if texts[0] != texts[1]:
            change = words.percentage(now / before - 1) if before and now is not None else ""
            rows.append(Row(what, texts[0], texts[1], change))
    unpriced = [", ".join(one.usd_per_hour.unknown) or NONE for one in (old, new)]
    if unpriced[0] != unpriced[1]:
        rows.append(Row("without a price", *unpriced))
    return rows


def _expected(value: _Range | None) -> float | None:
    return value.expected if value else None


def _quotas(old: _Record, new: _Record) -> list[Row]:
    before = {(one.metric, one.region): one.amount for one in old.quotas}
    now = {(one.metric, one.region): one.amount for one in new.quotas}
    return [
        Row(
            f"quota {metric} in {region}", str(before.get((metric, region), NONE)), str(now.get((metric, region), NONE))
        )
        for metric, region in dict.fromkeys((*before, *now))
        if before.get((metric, region)) != now.get((metric, region))
    ]
