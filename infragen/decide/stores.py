"""What each purpose asks of its storage, and the service that gives it."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from infragen import units
from infragen.decide import sizing_of, storage, store, unheld
from infragen.decide.fit import Fit
from infragen.decide.model import Alternative, Decision, Reason, Rejection, StorageChoice
from infragen.decide.need import ACCELERATED_TASKS, Need
from infragen.decide.pricing import Tariff
from infragen.decide.rule import Narrowed
from infragen.decide.store import Store
from infragen.descriptor.model import Purpose
from infragen.diagnostics import Diagnostic, Diagnostics
from infragen.facts.model import DiskLimit, StorageService

OFTEN = frozenset({"hourly", "daily"})  # how often content is replaced that running machines have to see anew
BAKED_GIB = 10.0  # of weights that an image of an autoscaled fleet may hold, T032; a design decision
FOLLOWERS: tuple[Purpose, ...] = ("checkpoints", "home")  # that may lie on the data set's file system, T029


class Fleet(Struct, frozen=True):
    """The machines that reach a store: where they are, and how many there may be at once."""

    region: str
    zones: tuple[str, ...]
    most: int  # at the autoscaler's maximum and in the middle of an update
    surge: int
    is_elastic: bool
    network_range: str | None  # of the network that is created for them


def decide(
    need: Need, fit: Fit, fleet: Fleet, diags: Diagnostics, *, is_told: bool = True
) -> tuple[Decision[StorageChoice], ...]:
    """A store for each purpose; a purpose that no service can serve is reported.

    ``is_told``: with what was not chosen, and why; a plan that is only compared does without.
    """
    wanted = {purpose: _store(need, fit, purpose, fleet) for purpose in storage.purposes(need)}
    diags.extend(_elsewhere(need, fleet))
    diags.raise_if_errors()
    found = {purpose: storage.narrow(need, one) for purpose, one in wanted.items()}
    diags.extend(
        unheld.explain(need, wanted[purpose], one, is_told=is_told) for purpose, one in found.items() if not one.kept
    )
    if diags.has_errors:
        return ()
    followers = _followers(need, wanted, found)
    if followers:
        wanted["dataset"], found["dataset"] = followers.together, followers.narrowed
    decided = {purpose: _stored(need, one, found[purpose], is_told=is_told) for purpose, one in wanted.items()}
    for purpose in followers.purposes if followers else ():
        decided[purpose] = _followed(wanted[purpose], decided["dataset"])
    diags.extend(one for purpose, found in decided.items() for one in _idle_rate(need, wanted[purpose], found.choice))
    return tuple(decided.values())


def _idle_rate(need: Need, wanted: Store, choice: StorageChoice) -> list[Diagnostic]:
    """A warning where a rate that was asked for is more than the machines can take."""
    service = choice.service
    index = next((i for i, entry in enumerate(need.workload.storage) if entry.purpose == wanted.purpose), None)
    if index is None or not service.is_provisioned or not (wanted.pinned and wanted.pinned.throughput):
        return []
    limit = wanted.limits.get(service.tier)
    each = min(wanted.network_mib_s, (limit and limit.max_mib_s) or math.inf)
    usable = math.ceil(each * (1 if store.is_own(service, wanted) else wanted.clients))
    low, _ = store.provisioned_bounds(service, wanted.clients, choice.capacity_gib)
    usable = max(usable, math.ceil(low))
    if choice.throughput_mib_s <= usable:
        return []
    more = wanted.tariff.charge("storage", "", service.id, "mib-s-month", choice.throughput_mib_s - usable)
    saved = (more.usd_per_unit or 0.0) * (choice.throughput_mib_s - usable)
    message = f"{choice.throughput_mib_s:,.0f} MiB/s are bought for the {wanted.purpose}; the machines take {usable:,}"
    label = f"{wanted.clients:,} × {each:,.0f} MiB/s"
    help = f"`throughput: {usable}MiB/s` gives the same and saves {units.usd(saved)} a month"
    return [storage.IDLE_RATE.warning(message, need.workload.at(f"storage.{index}.throughput"), label, help)]


def _store(need: Need, fit: Fit, purpose: Purpose, fleet: Fleet) -> Store:
    workload = need.workload
    pinned = next((entry for entry in workload.storage if entry.purpose == purpose), None)
    clients = pinned.clients if pinned and pinned.clients else fleet.most
    zones = tuple(sorted({*fleet.zones, *(pinned.zones or ())})) if pinned else fleet.zones
    data, serve = workload.data, workload.serve
    updates = (pinned.update_frequency if pinned else None) or (serve.model_updates if serve else "never")
    often = updates in OFTEN
    saving = workload.train.checkpoint if workload.train else None
    every = saving.every if saving else None
    content = {
        "weights": fit.weights_gib,
        "dataset": (data.size or 0) / units.GIB if data else 0.0,
        "checkpoints": _checkpoint_gib(fit),
    }
    readers = clients if often else min(clients, max(fleet.surge, 1))
    asked = pinned.throughput / units.MIB if pinned and pinned.throughput else 0.0
    reads = {"weights": fit.weights_gib * 1024 / sizing_of.LOAD_BUDGET_S * readers, "dataset": fit.dataset_mib_s}
    writes = {"checkpoints": fit.checkpoint.write_gib_s * 1024 if fit.checkpoint else 0.0}
    posix = {"dataset": data.posix if data else "basic", "home": "full", "scratch": "full"}
    return Store(
        purpose=purpose,
        machine=fit.machine,
        content_gib=max(content.get(purpose, 0.0), 0.0),
        read_mib_s=asked or reads.get(purpose, 0.0),
        write_mib_s=asked if asked and purpose == "checkpoints" else writes.get(purpose, 0.0),
        clients=clients,
        posix=posix.get(purpose, "basic"),
        is_read_only=purpose in storage.READ_ONLY
        or (purpose == "dataset" and data is not None and data.access == "read-only"),
        is_static=updates == "never",
        is_zonal=len(zones) == 1,
        zones=zones,
        file_bytes=data.file_size if data and purpose == "dataset" else None,
        pinned=pinned,
        tariff=Tariff(need.catalog, fleet.region),
        has_key=workload.security.kms_key is not None,
        is_accelerated=workload.task in ACCELERATED_TASKS,
        is_elastic=fleet.is_elastic,
        is_kept=bool(workload.group.stateful and purpose in workload.group.stateful.stores),
        changes_often=often,
        interval_s=every if purpose == "checkpoints" else None,
        is_shared_vpc=workload.network.host_project is not None,
        network_range=fleet.network_range,
        limits=limits(need, fit),
    )


def _checkpoint_gib(fit: Fit) -> float:
    """Checkpoints kept, one being written, and the weights that the run starts from."""
    if fit.checkpoint is None:
        return 0.0
    return fit.checkpoint.size_gib * (fit.checkpoint.keep + 1) + fit.weights_gib


def _elsewhere(need: Need, fleet: Fleet) -> list[Diagnostic]:
    """Zones that a store is to be reached from, in another region than the machines."""
    if not fleet.zones:  # of slices that are only sized
        return []
    region = fleet.region
    return [
        storage.ELSEWHERE.error(
            f"`{zone}` is not in {region}, where the machines are",
            need.workload.at(f"storage.{index}.zones.{position}"),
            f"the machines are in {', '.join(fleet.zones)}",
            f"name zones of {region}, or set `place.regions` to `[{zone.rpartition('-')[0]}]`",
        )
        for index, entry in enumerate(need.workload.storage)
        for position, zone in enumerate(entry.zones or ())
        if zone.rpartition("-")[0] != region
    ]


class Followers(Struct, frozen=True):
    """Purposes that lie on the data set's file system, and that file system for all of them."""

    purposes: tuple[Purpose, ...]
    together: Store
    narrowed: Narrowed[StorageService]


def _followers(
    need: Need, wanted: dict[Purpose, Store], found: dict[Purpose, Narrowed[StorageService]]
) -> Followers | None:
    """Checkpoints and homes that nobody gave a service, where the data set takes a parallel file system that holds them too."""
    data = wanted.get("dataset")
    if data is None or data.is_read_only or not storage.rank(data, found["dataset"].kept)[0].is_parallel:
        return None
    follow = tuple(one for one in FOLLOWERS if one in wanted and wanted[one].pin is None)
    if not follow:
        return None
    parts = [data, *(wanted[one] for one in follow)]
    together = replace(
        data,
        content_gib=sum(one.wanted_gib for one in parts if one is not data) / store.FILE_SYSTEM_SHARE
        + data.content_gib,
        read_mib_s=sum(one.read_mib_s for one in parts),
        write_mib_s=sum(one.write_mib_s for one in parts),
        posix="full",
    )
    narrowed = storage.narrow(need, together)
    if not narrowed.kept or not storage.rank(together, narrowed.kept)[0].is_parallel:
        return None
    return Followers(follow, together, narrowed)


def _followed(wanted: Store, home: Decision[StorageChoice]) -> Decision[StorageChoice]:
    """A folder on the data set's file system."""
    choice = replace(
        home.choice,
        purpose=wanted.purpose,
        mount=_mount(wanted),
        shared_with="dataset",
        source=None,
        content_gib=wanted.content_gib,
        usd_per_month=0.0,
        charges=(),
    )
    why = f"{_content(wanted)}: a folder on the {home.choice.service.product} of the data set, paid for there"
    return Decision(choice, (Reason(storage.TOGETHER.id, why),))


def _stored(need: Need, wanted: Store, narrowed: Narrowed[StorageService], *, is_told: bool) -> Decision[StorageChoice]:
    ranked = storage.rank(wanted, narrowed.kept)
    best, pin, asked = ranked[0], wanted.pin, wanted.pinned
    gib = store.capacity_gib(best, wanted)
    month = store.usd_per_month(best, wanted)
    _, write = store.attainable(best, wanted, gib)
    data = need.workload.data
    choice = StorageChoice(
        purpose=wanted.purpose,
        service=best,
        capacity_gib=gib,
        throughput_mib_s=store.throughput_mib_s(best, wanted, gib),
        iops=store.bought_iops(best, wanted, gib),
        mount=_mount(wanted),
        clients=wanted.clients,
        is_read_only=wanted.is_read_only,
        source=data.source if data and wanted.purpose == "dataset" else None,
        protocol=asked.protocol if asked else None,
        reserved_range=asked.reserved_range if asked else None,
        content_gib=wanted.content_gib,
        write_mib_s=0.0 if math.isinf(write) else write,
        file_bytes=wanted.file_bytes,
        holds_containers=bool(asked and asked.docker_data),
        usd_per_month=month,
        charges=store.charges(best, wanted),
        is_per_machine=store.is_own(best, wanted),
    )
    if pin:
        why = [Reason("T001", f"storage.service is `{pin.service}`; {_content(wanted)}")]
    else:
        price = f", {units.usd(month)} a month" if month is not None else ", no price known"
        rank = (
            f"the cheapest of {len(ranked)} services that suit"
            if len(ranked) > 1
            else "the one service left that suits"
        )
        why = [Reason(storage.CHEAPEST.id, f"{_content(wanted)}: {rank}{price}")]
    if not is_told:
        return Decision(choice, tuple(why))
    others = tuple(Alternative(one.title, _figures(one, wanted), store.usd_per_hour(one, wanted)) for one in ranked[1:])
    return Decision(choice, tuple(why), _rejections(wanted, narrowed), others)


def _mount(wanted: Store) -> str:
    return wanted.pinned.mount if wanted.pinned and wanted.pinned.mount else f"/mnt/{wanted.purpose}"


def _content(wanted: Store) -> str:
    """What lies on it and who uses it; the size only where it is known."""
    size = f"{wanted.content_gib:,.0f} GiB for " if wanted.content_gib else "for "
    return f"{size}{wanted.clients:,} VM{'s' if wanted.clients > 1 else ''}"


def _rejections(wanted: Store, narrowed: Narrowed[StorageService]) -> tuple[Rejection, ...]:
    """What went, with what it would have given where that is worth knowing."""
    return tuple(
        Rejection(
            one.candidate.title,
            one.rule.id,
            one.miss.because if wanted.pin else f"{one.miss.because}; {_figures(one.candidate, wanted)}",
        )
        for one in narrowed.removed
    )


def _figures(service: StorageService, wanted: Store) -> str:
    """Capacity, rate and price of what would be bought."""
    gib = store.capacity_gib(service, wanted)
    rate = store.throughput_mib_s(service, wanted, gib)
    month = store.usd_per_month(service, wanted)
    price = f"{units.usd(month)} a month" if month is not None else "price unknown"
    parts = [units.size(gib * units.GIB) if gib else "", f"{rate:,.0f} MiB/s" if rate else "", price]
    return ", ".join(part for part in parts if part)


def check_weights(
    need: Need, fit: Fit, stores: Sequence[Decision[StorageChoice]], is_elastic: bool, diags: Diagnostics
) -> None:
    """An error where a fleet that grows would read large weights from the image or the container of each machine."""
    run = need.workload.run
    if need.workload.task != "serve" or not is_elastic or run is None or fit.weights_gib <= BAKED_GIB:
        return
    mounts = [one.choice.mount.rstrip("/") for one in stores]
    weights = next((one.choice for one in stores if one.choice.purpose == "weights"), None)
    for index, (flag, value) in enumerate(pairwise(run.command or ())):
        is_path = flag.startswith("--model") and value.startswith("/")
        if is_path and weights and not any(value == mount or value.startswith(f"{mount}/") for mount in mounts):
            message = f"the weights are read from `{value}`, which is in the image or the container"
            label = f"{fit.weights_gib:.3g} GiB in every machine that the autoscaler adds"
            help = f"put them into the store for weights, and write `{weights.mount}/{value.rpartition('/')[2]}`"
            diags.add(storage.BAKED.error(message, need.workload.at(f"run.command.{index + 1}"), label, help))


def load_seconds(fit: Fit, stores: Sequence[Decision[StorageChoice]], limits: Mapping[str, DiskLimit]) -> float:
    """Time to read the model on one machine, at the slowest of its share of the store, the disk's limit and its network."""
    weights = next((one.choice for one in stores if one.choice.purpose == "weights"), None)
    if weights is None or not fit.weights_gib:
        return 0.0
    network_mib_s = (fit.machine.record.network_gbps or 10.0) * 1e9 / 8 / units.MIB * sizing_of.READ_SHARE
    store_mib_s = (
        weights.throughput_mib_s / max(weights.clients, 1) if weights.throughput_mib_s else sizing_of.OBJECT_READ_MIB_S
    )
    limit = limits.get(weights.service.tier)
    return fit.weights_gib * 1024 / min(network_mib_s, store_mib_s, (limit and limit.max_mib_s) or math.inf)


def limits(need: Need, fit: Fit) -> Mapping[str, DiskLimit]:
    """What each disk type asks of this machine."""
    return need.catalog.disk_limits_of(fit.machine.type)


def mounts_parallel(stored: Sequence[Decision[StorageChoice]]) -> bool:
    """Whether a store is a parallel file system: its client is a kernel module."""
    return any(one.choice.service.is_parallel for one in stored)
