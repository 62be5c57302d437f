"""The decide stage. Takes a workload and the facts. Gives the plan. Promises: no disk, clock, network or randomness;
candidates only ever shrink; one ranking at the end picks; every removal is on record.

    machines --rules--> --sizing--> fits --x capacity models, places--> candidates --rank--> plan
"""

import math
from datetime import datetime

from msgspec.structs import replace

from infragen import units
from infragen.decide import (
    capacity,
    choices,
    estimate,
    group,
    image,
    machine,
    obtain,
    place,
    pricing,
    quotas,
    rank,
    recipe,
    sizing_of,
    stores,
    unsupported,
)
from infragen.decide.capacity import Offer
from infragen.decide.fit import Fit
from infragen.decide.model import (
    Decision,
    ImageChoice,
    NetworkChoice,
    ObserveChoice,
    Plan,
    Program,
    Reason,
    ServingChoice,
    StorageChoice,
)
from infragen.decide.need import Need
from infragen.decide.rank import Candidate
from infragen.decide.rule import Narrowed, Removal, candidates, rule_of
from infragen.descriptor.model import Workload
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.load import Catalog

NOT_LOWERED = declare(
    "N001",
    "not-lowered",
    """Give the full record for machines that are sized and priced but cannot be written as Terraform yet.

    Why: knowing the size and the cost is worth having; a half-right file is not.
    Example: a TPU slice gives its record with no resources; with `--out` that is an error.
    """,
    source="design decision",
)
PLATFORM = declare(
    "N003",
    "platform-gce",
    """Run on Compute Engine.

    Why: managed instance groups of plain machines are what this version writes.
    Example: every plan; `platform: gce` is the only value yet.
    """,
    source="design decision",
)
NETWORK = declare(
    "N004",
    "own-network",
    """Make a network of its own unless one is named.

    Why: a VPC of its own has no neighbours to open ports to and no ranges to collide with.
    Example: without `network.network` the stack holds a VPC, its subnets, NAT and firewall rules.
    """,
    source="https://docs.cloud.google.com/vpc/docs/vpc",
)
UNSPLIT = declare(
    "N006",
    "split-not-passed",
    """Say when a model is laid over several accelerators and the program is not told.

    Why: a serving engine uses one accelerator unless it is told otherwise; the others are paid for and idle.
    Example: a plan with two accelerators per replica and a command without `--tensor-parallel-size` is a warning.
    """,
    source="https://docs.vllm.ai/en/latest/serving/parallelism_scaling.html",
)
RANGE = declare(
    "N008",
    "range-beside-a-network",
    """Name the addresses of the networks that are made beside one that exists, and no others.

    Why: a machine's interfaces must not overlap, and the addresses of a network that exists are not known here; a range of
    which nothing is made would be obeyed by nobody.
    Example: `network: {network: main-vpc}` for a machine with four more interfaces is a warning until `range` is given; for a
    machine with one interface `range` is an error.
    """,
    source="https://docs.cloud.google.com/vpc/docs/multiple-interfaces-concepts",
)
NO_WAY_OUT = declare(
    "N012",
    "no-way-out",
    """Say when machines without a way to the internet need something from there.

    Why: without NAT a machine reaches Google's own services alone: packages, agents and containers from elsewhere never come,
    and the machine waits for them for good.
    Example: `network: {nat: false}` with a container of a public registry is a warning; with an image of one's own and a
    container in Artifact Registry it is none.
    """,
    source="https://docs.cloud.google.com/vpc/docs/private-google-access",
)
UNSIGNED = declare(
    "N007",
    "unsigned-modules",
    """Say when Secure Boot may keep a driver from being loaded.

    Why: a kernel that loads signed modules only boots all the same, without accelerators or file system.
    Example: `security: {secure_boot: true}` for machines with GPUs is obeyed with a warning; without it they boot without.
    """,
    source="https://docs.cloud.google.com/compute/shielded-vm/docs/shielded-vm",
)
OVERSIZE = declare(
    "M020",
    "pin-oversized",
    """Say what a pinned machine costs beyond the one that would do.

    Why: two fifths of what teams rent is more than their work needs; a pin is obeyed, and its price is worth knowing.
    Example: 8 accelerators pinned for a model that one smaller machine serves within its latency are a warning with the saving.
    """,
    source="design decision",
)
TIGHT = declare(
    "M021",
    "memory-tight",
    """Say when device memory is all but full.

    Why: allocators fragment and drivers change; a job planned to the last byte fails after an update, or hours in.
    Example: 75.0 of 75.2 GiB usable per accelerator is a warning; 70 of 75.2 is none.
    """,
    source="design decision",
)
TIGHT_SHARE = 0.03  # of usable device memory, M021
OVERSIZED = 1.25  # times the price of what would do, M020
DEFAULT_RANGE = "10.20.0.0/16"
WIDE_RANGE = "10.16.0.0/12"  # where a group has more machines than those of the default have addresses
FILE_SYSTEM_MTU = 8896  # what the vendor advises for file systems over the network
ADDRESSES = 240  # of the smallest subnets that a part of the default is cut into
DRAIN_S = 60
LONGEST_ANSWER_FACTOR = 4  # a long answer may take this many times the typical one


def run(workload: Workload, catalog: Catalog, today: datetime, diags: Diagnostics) -> Plan:
    """The plan for one workload. Raises CompileError after reporting what makes a plan impossible."""
    shape = sizing_of.shape(workload, catalog, diags)
    need = Need(workload, catalog, shape, today)
    machine.check_names(need, diags)
    place.check_names(need, diags)
    unsupported.check(need, diags)
    diags.raise_if_errors()

    fits = sizing_of.narrow(need, candidates(machine.machines(catalog, workload.machine.type)).by(machine.RULES, need))
    _explain_empty(need, fits, diags)
    joined, options, sites = _join(need, fits.kept)
    if not joined:
        _explain_nothing_joined(need, fits.kept, options, sites, diags)
    ranked = rank.rank(rank.within(joined, workload.limits), workload.place.optimise)
    best = ranked[0]

    _check_oversize(need, best, diags)
    _check_tight(need, best, diags)

    regional = group.is_regional(
        need, best.fit.machine, len(best.site.zones), best.model, 1 / best.fit.replicas_per_node
    )
    zones = place.group_zones(need, best.site, regional)
    unplaced = Narrowed(fits.kept, (*fits.removed, *_not_to_be_had(fits.kept, options, sites)))
    return _plan(need, best, ranked, unplaced, options[best.fit.machine.label].offers, sites, zones, diags)


def _check_oversize(need: Need, best: Candidate, diags: Diagnostics) -> None:
    """A warning with the saving, where a pinned machine costs much more than the one that would have been chosen."""
    asked = need.workload.machine
    is_bound_only = best.price is not None and best.price.confidence == pricing.UPPER_BOUND  # the saving is not known
    if best.usd is None or is_bound_only or need.shape is None or not (asked.type or asked.count):
        return  # without a model nothing is known of what is needed
    free = sizing_of.unpinned(need)
    fits = sizing_of.narrow(free, candidates(machine.machines(need.catalog)).by(machine.RULES, free))
    joined, _, _ = _join(free, fits.kept)
    known = [one for one in joined if one.usd is not None and not one.is_last_resort]
    if not known:
        return
    other = rank.first(known, "cost")
    if other.usd is not None and other.usd * OVERSIZED < best.usd:
        path = "machine.type" if asked.type else "machine.count"
        message = f"{best.fit.nodes} × `{best.fit.machine.label}` is more than is needed: {best.figures()}"
        label = f"{1 - other.usd / best.usd:.0%} can be saved"
        place_text = f"{other.fit.nodes} × {other.fit.machine.label} as {other.model} in {other.site.region.name}"
        diags.add(OVERSIZE.warning(message, need.workload.at(path), label, f"{place_text} would do: {other.figures()}"))


def _check_tight(need: Need, best: Candidate, diags: Diagnostics) -> None:
    """A warning where the plan leaves next to no device memory."""
    memory, asked = best.fit.memory, need.workload.machine
    if memory is None or memory.total < (1 - TIGHT_SHARE) * memory.usable:
        return
    path = "machine.type" if asked.type else "machine.accelerators" if asked.accelerators else "task"
    left = 1 - memory.total / memory.usable
    message = f"device memory is all but full: {memory.total:.1f} of {memory.usable:.1f} GiB per accelerator"
    help = "a smaller precision, a shorter context or a smaller micro-batch leaves more; so do more accelerators"
    diags.add(TIGHT.warning(message, need.workload.at(path), f"{left:.1%} left", help))


def _explain_empty(need: Need, fits: Narrowed[Fit], diags: Diagnostics) -> None:
    """One error, from the last rule that fired, when no machine is left."""
    if fits.kept:
        return
    last = fits.nearest
    help = "; ".join(filter(None, (last.miss.help, sizing_of.what_would_fit(need))))
    span = need.workload.at(last.miss.path or "machine")
    name = last.candidate.machine.label
    pinned = need.workload.machine.type
    message = f"`{pinned}` cannot do this" if pinned else f"no machine can do this; the nearest is `{name}`"
    diags.add(last.rule.error(message, span, last.miss.because, help))
    diags.raise_if_errors()


def _join(
    need: Need, fits: tuple[Fit, ...]
) -> tuple[list[Candidate], dict[str, capacity.Options], dict[str, Narrowed[place.Site]]]:
    """Every fit with every model and site left to it; and what was removed, by machine."""
    joined: list[Candidate] = []
    options: dict[str, capacity.Options] = {}
    sites: dict[str, Narrowed[place.Site]] = {}
    for fit in fits:
        box, label = fit.machine, fit.machine.label
        hours = fit.train_hours.high if fit.train_hours else None
        options[label] = capacity.narrow(need, box, fit.nodes, hours)
        sites[label] = place.narrow(need, box)
        for offer in options[label].kept:
            for site in sites[label].kept:
                price = pricing.machine_price(need.catalog, box.record, box.host, site.region.name, offer.model)
                joined.append(Candidate(fit, offer, site, price, options[label].is_last_resort))
    return joined, options, sites


def _not_to_be_had(
    fits: tuple[Fit, ...], options: dict[str, capacity.Options], sites: dict[str, Narrowed[place.Site]]
) -> tuple[Removal[Fit], ...]:
    """Machines that would do and can be had nowhere, or in no way, with the rule that was last in the way."""
    found: list[Removal[Fit]] = []
    for fit in fits:
        label = fit.machine.label
        last: Removal[Offer] | Removal[place.Site]
        if not options[label].kept:
            last = options[label].offers.nearest
        elif not sites[label].kept:
            last = sites[label].nearest
        else:
            continue
        found.append(Removal(fit, last.rule, last.miss))
    return tuple(found)


def _explain_nothing_joined(
    need: Need,
    fits: tuple[Fit, ...],
    options: dict[str, capacity.Options],
    sites: dict[str, Narrowed[place.Site]],
    diags: Diagnostics,
) -> None:
    """Machines are left, but none can be had: say whether the model or the place is in the way."""
    removal: Removal[Offer] | Removal[place.Site]
    obtainable = [fit.machine for fit in fits if options[fit.machine.label].kept]
    if obtainable:
        box = obtainable[0]
        removal = sites[box.label].nearest
        have = ", ".join(site.region.name for site in place.sites(need.catalog, box)) or "no region"
        text, help = f"no place is left for `{box.label}`", removal.miss.help or f"`{box.label}` exists in {have}"
        path = removal.miss.path or "place"
    else:
        order = [rule_of(check) for check in (*capacity.RULES, *capacity.PREFERENCES)]
        label = max((fit.machine.label for fit in fits), key=lambda one: order.index(options[one].offers.nearest.rule))
        removal = options[label].offers.nearest
        text, help = f"`{label}` cannot be had this way", removal.miss.help
        path = removal.miss.path or "capacity.model"
    diags.add(removal.rule.error(text, need.workload.at(path), removal.miss.because, help))
    diags.raise_if_errors()


def _plan(
    need: Need,
    best: Candidate,
    ranked: list[Candidate],
    fits: Narrowed[Fit],
    offers: Narrowed[Offer],
    sites: dict[str, Narrowed[place.Site]],
    zones: tuple[str, ...],
    diags: Diagnostics,
) -> Plan:
    """The records of the winner, decision by decision."""
    workload, fit, label = need.workload, best.fit, best.fit.machine.label
    asked = group.GroupNeed(
        machine=fit.machine,
        capacity=best.model,
        nodes=fit.nodes,
        nodes_per_replica=1 / fit.replicas_per_node,
        zones=zones,
        load_s=0.0,
        has_own_image=bool(workload.image.base or workload.image.source or workload.image.is_built),
        requests_per_second_per_node=fit.requests_per_second_per_node,
        boot_disk=workload.machine.boot_disk or fit.machine.record.boot_disk_types[0],
    )
    most, surge, is_elastic = group.most_at_once(need, asked)
    addresses = _addresses(need, most + surge) if _creates_network(need) else None
    stored = stores.decide(need, fit, stores.Fleet(zones, most + surge, surge, is_elastic, addresses), diags)
    stores.check_weights(need, fit, stored, is_elastic, diags)
    diags.raise_if_errors()
    load_s = stores.load_seconds(fit, stored, stores.limits(need, fit))
    asked = replace(asked, load_s=load_s, stores=tuple(one.choice for one in stored))
    group_decision = group.decide(need, asked, diags)
    capacity_decision = obtain.decide(need, best, ranked, offers, group_decision.choice, diags)
    ground = recipe.Ground(
        machine=fit.machine,
        region=best.site.region.name,
        zones=zones,
        stores=frozenset(one.choice.service.service for one in stored),
        has_local_ssd=fit.machine.record.local_ssd_mode == "bundled" and bool(fit.machine.record.local_ssd_count),
    )
    image_decision = image.decide(need, ground, _mounts_parallel(stored), diags)
    machine_decision = choices.machine(need, best, ranked, fits, image_decision.choice, stored)
    serving = _serving(need, fit)
    largest = group_decision.choice.max_size + group_decision.choice.max_surge
    network = _network(need, fit, stored, largest, diags)
    estimated = estimate.estimate(need, best, ranked, stored, serving, network.choice, diags)
    _check_split(need, fit, diags)
    is_lowered = fit.machine.accelerator is None or fit.machine.accelerator.kind == "gpu"
    if not is_lowered:
        diags.add(
            NOT_LOWERED.warning(
                f"`{label}` is sized and priced; Terraform for it cannot be written yet", workload.at("machine")
            )
        )
    diags.raise_if_errors()
    return Plan(
        name=workload.name,
        task=workload.task,
        project=workload.project,
        labels=tuple(sorted(workload.labels.items())),
        state_bucket=workload.state.bucket if workload.state else None,
        state_prefix=(workload.state.prefix or workload.name) if workload.state else None,
        kms_key=workload.security.kms_key,
        deletion_protection=workload.security.deletion_protection,
        platform=Decision("gce", (Reason(PLATFORM.id, "managed instance groups of Compute Engine"),)),
        machine=machine_decision,
        storage=stored,
        capacity=capacity_decision,
        location=choices.location(
            need, best, ranked, sites[label], zones, regional=group_decision.choice.scope == "regional"
        ),
        image=image_decision,
        group=group_decision,
        network=network,
        serving=serving,
        program=_program(workload),
        estimate=estimated,
        quotas=quotas.bill(
            need,
            machine_decision.choice,
            capacity_decision.choice,
            tuple(one.choice for one in stored if one.choice.shared_with is None),
            best.site.region.name,
            largest,
        ),
        model_name=need.shape.name if need.shape else None,
        data_source=workload.data.source if workload.data else None,
        observe=_observe(workload),
        confidential=workload.security.confidential,
        secure_boot=_secure_boot(need, fit, _mounts_parallel(stored), image_decision.choice, diags),
        port=workload.run.port if workload.run else 8000,
        may_lose=tuple(workload.security.may_lose),
        is_lowered=is_lowered,
    )


def _check_split(need: Need, fit: Fit, diags: Diagnostics) -> None:
    run, degree = need.workload.run, fit.tensor_parallel * fit.pipeline_parallel
    if need.workload.task != "serve" or run is None or not run.container or degree == 1:
        return
    if not any("parallel" in word for word in run.command or ()):
        message = f"a replica spans {degree} accelerators, and the command does not say so"
        label = f"tensor parallel {fit.tensor_parallel}, pipeline parallel {fit.pipeline_parallel}"
        help = f'with vLLM add `--tensor-parallel-size, "{fit.tensor_parallel}"` to `run.command`'
        diags.add(UNSPLIT.warning(message, need.workload.at("run.command"), label, help))


def _mounts_parallel(stored: tuple[Decision[StorageChoice], ...]) -> bool:
    """Whether a store is a parallel file system: its client is a kernel module."""
    return any(one.choice.service.is_parallel for one in stored)


def _serving(need: Need, fit: Fit) -> ServingChoice | None:
    workload = need.workload
    if workload.task != "serve" or workload.serve is None:
        return None
    port, health = (workload.run.port, workload.run.health) if workload.run else (8000, "/health")
    answer_s = 30.0
    if fit.ttft_ms and fit.tpot_ms and workload.serve.output_tokens:
        answer_s = (fit.ttft_ms.high + workload.serve.output_tokens * fit.tpot_ms.high) / 1000
    timeout = 60 * math.ceil(LONGEST_ANSWER_FACTOR * answer_s / 60)
    drain = min(3600, max(DRAIN_S, timeout))
    return ServingChoice(workload.serve.expose, port, health, timeout, drain, workload.serve.domain)


def _network(
    need: Need, fit: Fit, stores: tuple[Decision[StorageChoice], ...], largest: int, diags: Diagnostics
) -> Decision[NetworkChoice]:
    asked = need.workload.network
    creates = _creates_network(need)
    over_network = any(one.choice.service.is_writable_shared and one.choice.service.scope == "zonal" for one in stores)
    mtu = FILE_SYSTEM_MTU if over_network and not fit.machine.fabric.data_nics else fit.machine.fabric.mtu
    choice = NetworkChoice(
        creates=creates,
        range=_addresses(need, largest),
        nat=asked.nat,
        network=asked.network,
        subnetwork=asked.subnetwork,
        host_project=asked.host_project,
        mtu=mtu,
    )
    wires = fit.machine.fabric
    makes_more = wires.host_nics > 1 or wires.data_nics > 0
    if not creates and asked.range and not makes_more:
        help = "remove `range`; an existing network has its addresses"
        message = "`range` is given for an existing network"
        diags.add(RANGE.error(message, need.workload.at("network.range"), "nothing is created", help))
    if not creates and not asked.range and makes_more:
        message = f"the further interfaces of `{fit.machine.type}` take addresses of {choice.range}"
        help = f"give `network.range` a range that `{asked.network}` and its peers do not use"
        diags.add(RANGE.warning(message, need.workload.at("network.network"), "must not overlap its subnet", help))
    container = need.workload.run.container if need.workload.run else None
    from_outside = [
        *(["the packages that the public image lacks"] if not need.workload.image.base else []),
        *([f"`{container}`"] if container and ".pkg.dev/" not in container and "gcr.io/" not in container else []),
    ]
    if creates and not asked.nat and from_outside:
        message = f"without NAT the machines cannot fetch {' and '.join(from_outside)}"
        help = "remove `nat: false`, or bring an image with everything and a container in Artifact Registry"
        diags.add(NO_WAY_OUT.warning(message, need.workload.at("network.nat"), "no way to the internet", help))
    why = "a VPC of its own" if creates else f"network.network is `{asked.network}`"
    return Decision(choice, (Reason(NETWORK.id, why),))


def _secure_boot(need: Need, fit: Fit, mounts_parallel: bool, image: ImageChoice, diags: Diagnostics) -> bool:
    """Whether only signed kernel modules are loaded: as asked, else where nothing but the public image's own is needed."""
    asked, machine = need.workload.security.secure_boot, fit.machine
    needs = [
        *([f"the driver of {machine.accelerator.name}"] if machine.accelerator else []),
        *([f"the stack of {machine.fabric.label}"] if machine.fabric.is_rdma else []),
        *(["the client of the file system"] if mounts_parallel else []),
    ]
    if asked and needs:
        message = f"with Secure Boot, {' and '.join(needs)} must be signed, or the machines boot without"
        help = "use an image whose modules are signed, and try it with one machine"
        diags.add(UNSIGNED.warning(message, need.workload.at("security.secure_boot"), "not known of the image", help))
    return asked if asked is not None else image.base is not None and not needs


def _observe(workload: Workload) -> ObserveChoice:
    asked = workload.observe
    return ObserveChoice(
        notify=tuple(asked.notify),
        log_retention_days=round(asked.log_retention / units.DAY_S) if asked.log_retention else None,
        metrics_path=asked.metrics,
        billing_account=asked.budget.billing_account if asked.budget else None,
        budget_per_month=asked.budget.usd_per_month if asked.budget else None,
    )


def _creates_network(need: Need) -> bool:
    asked = need.workload.network
    return asked.create if asked.create is not None else asked.network is None


def _addresses(need: Need, largest: int) -> str:
    """The range of the networks that are created."""
    return need.workload.network.range or (DEFAULT_RANGE if largest < ADDRESSES else WIDE_RANGE)


def _program(workload: Workload) -> Program | None:
    if workload.run is None or not (workload.run.container or workload.run.command):
        return None
    env = sorted((workload.run.env or {}).items())
    return Program(
        container=workload.run.container,
        command=tuple(workload.run.command or ()),
        env=tuple((key, value) for key, value in env if not value.startswith("secret:")),
        secrets=tuple((key, value.removeprefix("secret:")) for key, value in env if value.startswith("secret:")),
    )
