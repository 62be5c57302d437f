"""What each purpose asks of its storage, and the service that gives it."""

from collections.abc import Sequence

from infragen import units
from infragen.decide import scaling, sizing_of, storage
from infragen.decide.fit import Fit
from infragen.decide.model import Alternative, Decision, Reason, StorageChoice
from infragen.decide.need import Need
from infragen.decide.rule import Narrowed
from infragen.descriptor.model import Purpose
from infragen.diagnostics import Diagnostics
from infragen.facts.model import StorageService


def decide(need: Need, fit: Fit, zones: tuple[str, ...], diags: Diagnostics) -> tuple[Decision[StorageChoice], ...]:
    """A store for each purpose; a purpose that no service can serve is reported."""
    decided = []
    for purpose in storage.purposes(need):
        store = _store(need, fit, purpose, zones)
        narrowed = storage.narrow(need, store)
        if not narrowed.kept:
            last = narrowed.nearest
            index = next((i for i, entry in enumerate(need.workload.storage) if entry.purpose == purpose), None)
            path = "data" if index is None else f"storage.{index}.{last.miss.path}".rstrip(".")
            diags.add(
                last.rule.error(
                    f"no storage service can hold the {purpose}; the nearest is {last.candidate.product} {last.candidate.tier}",
                    need.workload.at(path),
                    last.miss.because,
                    last.miss.help,
                )
            )
            continue
        decided.append(_stored(need, store, narrowed))
    return tuple(decided)


def _store(need: Need, fit: Fit, purpose: Purpose, zones: tuple[str, ...]) -> storage.Store:
    workload = need.workload
    pinned = next((entry for entry in workload.storage if entry.purpose == purpose), None)
    replicas = workload.serve.replicas if workload.serve else None
    _, most = scaling.bounds(replicas, fit.nodes, 1 / fit.replicas_per_node)
    if workload.group.autoscale:
        most = max(most, workload.group.autoscale.max or 0)
    surge = len(zones) if workload.task == "serve" else 0
    clients = pinned.clients if pinned and pinned.clients else most + surge
    data = workload.data
    content = {
        "weights": fit.weights_gib,
        "dataset": (data.size or 0) / units.GIB if data else 0.0,
        "checkpoints": _checkpoint_gib(fit),
    }
    reads = {
        "weights": fit.weights_gib * 1024 / sizing_of.LOAD_BUDGET_S * min(clients, max(surge, 1)),
        "dataset": fit.dataset_mib_s,
    }
    writes = {"checkpoints": fit.checkpoint.write_gib_s * 1024 if fit.checkpoint else 0.0}
    posix = {"dataset": data.posix if data else "basic", "home": "full", "scratch": "full"}
    updates = pinned.update_frequency if pinned else None
    updated = updates or (workload.serve.model_updates if workload.serve else "never")
    return storage.Store(
        purpose=purpose,
        machine=fit.machine,
        content_gib=max(content.get(purpose, 0.0), 0.0),
        read_mib_s=reads.get(purpose, 0.0),
        write_mib_s=writes.get(purpose, 0.0),
        clients=clients,
        posix=posix.get(purpose, "basic"),
        is_read_only=purpose in storage.READ_ONLY
        or (purpose == "dataset" and data is not None and data.access == "read-only"),
        is_static=updated == "never",
        is_zonal=len(zones) == 1,
        file_bytes=data.file_size if data and purpose == "dataset" else None,
        pinned=pinned,
        has_key=workload.security.kms_key is not None,
    )


def _checkpoint_gib(fit: Fit) -> float:
    """Checkpoints kept, one being written, and the weights that the run starts from."""
    if fit.checkpoint is None:
        return 0.0
    return fit.checkpoint.size_gib * (fit.checkpoint.keep + 1) + fit.weights_gib


def _stored(need: Need, store: storage.Store, narrowed: Narrowed[StorageService]) -> Decision[StorageChoice]:
    ranked = storage.rank(store, narrowed.kept)
    best, pinned = ranked[0], store.pinned
    gib = storage.capacity_gib(best, store)
    month = storage.usd_per_month(best, store)
    choice = StorageChoice(
        purpose=store.purpose,
        service=best,
        capacity_gib=gib,
        throughput_mib_s=storage.throughput_mib_s(best, store, gib),
        iops=round(pinned.iops) if pinned and pinned.iops else None,
        mount=pinned.mount if pinned and pinned.mount else f"/mnt/{store.purpose}",
        clients=store.clients,
        is_read_only=store.is_read_only,
        source=need.workload.data.source if need.workload.data and store.purpose == "dataset" else None,
        protocol=pinned.protocol if pinned else None,
        reserved_range=pinned.reserved_range if pinned else None,
        usd_per_month=month,
    )
    text = f"{store.content_gib:,.0f} GiB for {store.clients} VM{'s' if store.clients > 1 else ''}"
    if pinned and pinned.service:
        why = Reason("T001", f"storage.service is `{pinned.service}`; {text}")
    else:
        price = f", {units.usd(month)} a month" if month is not None else ""
        why = Reason(
            storage.CHEAPEST.id,
            f"{text}: the cheapest of {len(ranked)} service{'s' if len(ranked) > 1 else ''} that can do it{price}",
        )
    others = tuple(
        Alternative(
            f"{one.product} {one.tier}",
            _monthly(storage.usd_per_month(one, store), storage.capacity_gib(one, store)),
            storage.usd_per_hour(one, store),
        )
        for one in ranked[1:]
    )
    return Decision(choice, (why,), narrowed.rejections(lambda one: f"{one.product} {one.tier}"), others)


def _monthly(month: float | None, gib: int) -> str:
    price = f"{units.usd(month)} a month" if month is not None else "price unknown"
    return f"{price} for {units.size(gib * units.GIB)}" if gib else price


def load_seconds(fit: Fit, stores: Sequence[Decision[StorageChoice]]) -> float:
    """Time to read the model on one machine, at the slower of the store's share and the machine's network."""
    weights = next((one.choice for one in stores if one.choice.purpose == "weights"), None)
    if weights is None or not fit.weights_gib:
        return 0.0
    network_mib_s = (fit.machine.record.network_gbps or 10.0) * 1e9 / 8 / units.MIB * sizing_of.READ_SHARE
    store_mib_s = (
        weights.throughput_mib_s / max(weights.clients, 1) if weights.throughput_mib_s else sizing_of.OBJECT_READ_MIB_S
    )
    return fit.weights_gib * 1024 / min(network_mib_s, store_mib_s)
