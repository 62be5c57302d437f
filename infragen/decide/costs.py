"""The bill: everything in the plan that costs money, line by line, at the peak that was planned for."""

import math

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide.model import (
    CapacityChoice,
    Charge,
    GroupChoice,
    NetworkChoice,
    ServingChoice,
    StorageChoice,
)
from infragen.decide.need import Need
from infragen.decide.pricing import Tariff
from infragen.decide.rank import Candidate
from infragen.descriptor.model import Workload
from infragen.diagnostics import declare
from infragen.units import GIB, HOUR_S, many

PROXIES = 3  # that an internal load balancer is billed for at the least; from memory
NAT_VMS = 32  # a gateway costs no more than for so many
NAT_VMS_PER_ADDRESS = 1008  # 64,512 ports at 64 for each VM
RULES = 2.0  # forwarding rules of an external service: for requests, and for those that are sent on to HTTPS
ARMOR_RULES = 2  # of the policy in front of an external service, besides the default
TOKEN_BYTES, EVENT_BYTES = 5.0, 35.0  # a token as text; what streaming puts around each token of an answer

UNKNOWN_PRICE = declare(
    "X001",
    "price-unknown",
    """Say which prices the tables lack, and count them nowhere.

    Why: a price that is silently zero makes the wrong plan look cheap.
    Example: a load balancer's data processing is listed as unknown beside the total of the rest.
    """,
    source="design decision",
)


class Bought(Struct, frozen=True):
    """What a candidate brings with it: the parts of the plan that are billed besides its machines."""

    zones: tuple[str, ...]
    stores: tuple[StorageChoice, ...]
    group: GroupChoice
    capacity: CapacityChoice
    network: NetworkChoice
    serving: ServingChoice | None
    boot_disk: tuple[str, int]  # type, GiB


def bill(need: Need, best: Candidate, bought: Bought) -> tuple[Charge, ...]:
    """Every line, machines first."""
    tariff = Tariff(need.catalog, best.site.region.name)
    return (
        *_machines(best, bought, tariff),
        *_boot_disks(best, bought, tariff),
        *(line for store in bought.stores for line in _store(store, bought)),
        *_front(need.workload, bought, tariff),
        *_nat(best, bought, tariff),
        *_kept(need, bought, tariff),
    )


def billed_machines(best: Candidate, bought: Bought) -> int:
    """Machines that are paid for: those that work, or all that are booked here, used or not."""
    if not bought.capacity.creates:
        return bought.group.size
    most = max(bought.group.size, bought.group.max_size)
    if bought.capacity.model == "reservation" and bought.group.scope == "regional":
        return math.ceil(most / len(bought.zones)) * len(bought.zones)
    return most


def _machines(best: Candidate, bought: Bought, tariff: Tariff) -> list[Charge]:
    record, price, count = best.fit.machine.record, best.price, billed_machines(best, bought)
    booked = ", booked: billed whether used or not" if bought.capacity.creates else ""
    region, label = best.site.region.name, best.fit.machine.label
    lines = [
        Charge(
            part="compute",
            name=f"{label} ({best.model}{booked})",
            item=record.name,
            unit="machine-hour",
            quantity=float(count),
            usd_per_unit=price.usd if price else None,
            region=region,
            as_of=price.as_of if price else "",
            confidence=price.confidence if price else "unknown",
        )
    ]
    is_bundled = record.local_ssd_mode == "bundled" and bool(record.local_ssd_count)
    if (
        price
        and is_bundled
        and record.has_accelerator
        and "local_ssd" not in price.includes
        and "host" not in price.includes
    ):
        name = (
            f"{record.local_ssd_count} local SSD of each {label}, unless its price holds them: the table does not say"
        )
        lines.append(Charge("storage", name, "local-ssd", "gib-month", None, None))
    return lines


def _boot_disks(best: Candidate, bought: Bought, tariff: Tariff) -> list[Charge]:
    """Disks of the machines that work, and of those that rest; a machine that is suspended also keeps its memory."""
    disk, gib = bought.boot_disk
    vms = bought.group.size + bought.group.stopped + bought.group.suspended
    lines = [tariff.charge("storage", f"boot disks, {disk} {gib} GiB each", disk, "gib-month", float(gib * vms))]
    if bought.group.suspended:
        name = f"memory of {bought.group.suspended} suspended machines"
        kept = bought.group.suspended * best.fit.machine.memory_gib
        lines.append(tariff.charge("storage", name, "suspended-memory", "gib-month", kept))
    return lines


def _store(store: StorageChoice, bought: Bought) -> tuple[Charge, ...]:
    """The lines of a store; of one that each machine has for itself, for the machines that there are."""
    if not store.is_per_machine:
        return store.charges
    share = (bought.group.size + bought.group.stopped + bought.group.suspended) / store.clients
    return tuple(
        replace(one, quantity=None if one.quantity is None else one.quantity * share, included=one.included * share)
        for one in store.charges
    )


def _front(workload: Workload, bought: Bought, tariff: Tariff) -> list[Charge]:
    """What stands in front of a service."""
    if bought.serving is None or bought.serving.expose == "none":
        return []
    requests = _requests_per_hour(workload)
    asked, answered = _gib_per_hour(workload, requests)
    both = None if asked is None or answered is None else asked + answered
    data = tariff.charge("network", "load balancer data", "load-balancer-data", "gib", both)
    if bought.serving.expose == "internal":
        name = f"internal load balancer, {PROXIES} proxies"
        return [tariff.charge("network", name, "load-balancer-proxy", "hour", float(PROXIES)), data]
    millions = None if requests is None else requests / 1e6
    return [
        tariff.charge(
            "network", f"external load balancer, {RULES:g} forwarding rules", "forwarding-rule", "hour", RULES
        ),
        data,
        tariff.charge("network", "answers sent to the internet", "egress-internet", "gib", answered),
        tariff.charge("network", "Cloud Armor policy", "cloud-armor-policy", "month", 1.0),
        tariff.charge("network", f"Cloud Armor, {ARMOR_RULES} rules", "cloud-armor-rule", "month", float(ARMOR_RULES)),
        tariff.charge("network", "Cloud Armor requests", "cloud-armor-requests", "million", millions),
    ]


def _requests_per_hour(workload: Workload) -> float | None:
    rate = workload.serve.requests_per_second if workload.serve else None
    return None if rate is None else rate * HOUR_S


def _gib_per_hour(workload: Workload, requests: float | None) -> tuple[float | None, float | None]:
    """What comes in and what goes out, streamed token by token; None where traffic or lengths are not given."""
    serve = workload.serve
    if serve is None or requests is None or serve.input_tokens is None or serve.output_tokens is None:
        return None, None
    asked = requests * serve.input_tokens * TOKEN_BYTES / GIB
    return asked, requests * serve.output_tokens * (TOKEN_BYTES + EVENT_BYTES) / GIB


def _nat(best: Candidate, bought: Bought, tariff: Tariff) -> list[Charge]:
    if not (bought.network.creates and bought.network.nat):
        return []
    vms = best.fit.nodes
    gateway = (
        tariff.charge("network", f"NAT gateway for {many(vms, 'VM')}", "nat-vm", "hour", float(vms))
        if vms <= NAT_VMS
        else tariff.charge("network", f"NAT gateway for more than {NAT_VMS} VMs", "nat-gateway", "hour", 1.0)
    )
    addresses = float(math.ceil(vms / NAT_VMS_PER_ADDRESS))
    return [
        gateway,
        tariff.charge("network", "addresses of the NAT gateway", "external-address", "hour", addresses),
        tariff.charge("network", "NAT traffic", "nat-data", "gib", None),
    ]


def _kept(need: Need, bought: Bought, tariff: Tariff) -> list[Charge]:
    """What is paid by what is kept and written, which nobody knows before: images, logs, alerts."""
    asked = need.workload.image
    images = (
        [tariff.charge("storage", "images that are kept", "image", "gib-month", None)]
        if asked.source or asked.is_built
        else []
    )
    flows = "logs of machines and network flows" if bought.network.creates else "logs of machines"
    return [
        *images,
        tariff.charge("network", "alert conditions", "alert-condition", "month", None),
        tariff.charge("network", flows, "logs", "gib", None),
    ]
