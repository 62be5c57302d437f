"""The decide stage. Takes a workload and the facts. Gives the plan. Promises: no disk, clock, network or randomness;
candidates only ever shrink; one ranking at the end picks; every removal is on record.

    machines --rules--> --sizing--> fits --x capacity models, places--> candidates --rank--> plan
"""

from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from infragen import units
from infragen.decide import (
    advice,
    candidates,
    choices,
    estimate,
    limits,
    machine,
    obtain,
    outline,
    place,
    quotas,
    rank,
    relaxed,
    sizing_of,
    stated,
    stores,
    unsupported,
)
from infragen.decide.capacity import Offer
from infragen.decide.fit import Fit
from infragen.decide.model import Advice, Decision, ImageChoice, ObserveChoice, Plan, Program, Reason
from infragen.decide.need import Need
from infragen.decide.pricing import UPPER_BOUND
from infragen.decide.rank import Candidate
from infragen.decide.rule import Narrowed, Removal
from infragen.descriptor.model import Workload
from infragen.diagnostics import Diagnostics, declare
from infragen.facts import age
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
NOT_LOWERED_HELP = (
    "without `--out` the record is whole; for Terraform bound `machine` to GPUs or to machines without accelerators"
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
UNSPLIT = declare(
    "N006",
    "split-not-passed",
    """Say when a model is laid over several accelerators and the program is not told.

    Why: a serving engine uses one accelerator unless it is told otherwise; the others are paid for and idle.
    Example: a plan with two accelerators per replica and a command without `--tensor-parallel-size` is a warning.
    """,
    source="https://docs.vllm.ai/en/latest/serving/parallelism_scaling.html",
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
T = TypeVar("T")
TIGHT_SHARE = 0.03  # of usable device memory, M021
OVERSIZED = 1.25  # times the price of what would do, M020


def run(workload: Workload, catalog: Catalog, today: datetime, diags: Diagnostics) -> Plan:
    """The plan for one workload. Raises CompileError after reporting what makes a plan impossible."""
    shape = sizing_of.shape(workload, catalog, diags)
    need = Need(workload, catalog, shape, today)
    stated.check(need, diags)
    machine.check_names(need, diags)
    place.check_names(need, diags)
    unsupported.check(need, diags)
    diags.raise_if_errors()

    fits = candidates.sized(need)
    if not fits.kept:
        relaxed.explain_fits(need, fits, diags)
    market = candidates.Market(need)
    joined = candidates.join(need, fits, market)
    if not joined.candidates:
        relaxed.explain(need, joined, diags)
    ranked = rank.rank(joined.candidates, workload.place.optimise)
    best = limits.first_within(need, ranked)
    ranked = [best, *(one for one in ranked if one is not best)]
    _check_oversize(need, best, market, diags)
    _check_tight(need, best, diags)
    unplaced = Narrowed(fits.kept, (*fits.removed, *_not_to_be_had(fits.kept, joined)))
    plan = _plan(need, ranked, unplaced, advice.Known(joined, market), diags)
    diags.extend(age.old(catalog, today))
    return plan


def _check_oversize(need: Need, best: Candidate, market: candidates.Market, diags: Diagnostics) -> None:
    """A warning with the saving, where a pinned machine costs much more than the one that would have been chosen."""
    asked = need.workload.machine
    is_bound_only = best.price is not None and best.price.confidence == UPPER_BOUND  # the saving is not known
    if best.usd is None or is_bound_only or need.shape is None or not (asked.type or asked.count):
        return  # without a model nothing is known of what is needed
    free = sizing_of.unpinned(need)
    joined = candidates.join(free, candidates.sized(free), market)
    known = [one for one in joined.candidates if one.usd is not None and not one.is_last_resort]
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


def _not_to_be_had(fits: tuple[Fit, ...], joined: candidates.Joined) -> tuple[Removal[Fit], ...]:
    """Machines that would do and can be had nowhere, or in no way, with the rule that was last in the way."""
    found: list[Removal[Fit]] = []
    for fit in fits:
        label = fit.machine.label
        last: Removal[Offer] | Removal[place.Site]
        if not joined.options[label].kept:
            last = joined.options[label].offers.nearest
        elif not joined.sites[label].kept:
            last = joined.sites[label].nearest
        else:
            continue
        found.append(Removal(fit, last.rule, last.miss))
    return tuple(found)


def _plan(need: Need, ranked: list[Candidate], fits: Narrowed[Fit], known: advice.Known, diags: Diagnostics) -> Plan:
    """The records of the winner, the first of those ranked, decision by decision."""
    workload, best, joined = need.workload, ranked[0], known.joined
    fit, label = best.fit, best.fit.machine.label
    found = outline.outline(need, best, diags)
    capacity_decision = obtain.decide(need, best, ranked, joined.options[label].offers, found.group.choice, diags)
    machine_decision = choices.machine(need, best, ranked, fits, found.image.choice, found.stored)
    limits.check(need, found, lambda: advice.changes(need, best, known), diags)
    _check_split(need, fit, diags)
    is_lowered = fit.machine.accelerator is None or fit.machine.accelerator.kind == "gpu"
    if not is_lowered:
        diags.add(
            NOT_LOWERED.warning(
                f"`{label}` is sized and priced; Terraform for it cannot be written yet",
                workload.at("machine"),
                help=NOT_LOWERED_HELP,
            )
        )
    diags.raise_if_errors()
    advised = advice.advise(need, found, known)
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
        machine=_told_once(machine_decision, advised),
        storage=found.stored,
        capacity=capacity_decision,
        location=_told_once(
            choices.location(
                need,
                best,
                ranked,
                joined.sites[label],
                found.zones,
                regional=found.group.choice.scope == "regional",
            ),
            advised,
        ),
        image=found.image,
        group=found.group,
        network=found.network,
        serving=found.serving,
        program=_program(workload),
        estimate=estimate.estimate(need, found),
        advice=advised,
        quotas=quotas.bill(
            need,
            machine_decision.choice,
            capacity_decision.choice,
            tuple(one.choice for one in found.stored if one.choice.shared_with is None),
            best.site.region.name,
            _largest(found),
        ),
        model_name=need.shape.name if need.shape else None,
        data_source=workload.data.source if workload.data else None,
        observe=_observe(workload),
        confidential=workload.security.confidential,
        secure_boot=_secure_boot(need, fit, stores.mounts_parallel(found.stored), found.image.choice, diags),
        port=workload.run.port if workload.run else 8000,
        may_lose=tuple(workload.security.may_lose),
        is_lowered=is_lowered,
    )


def _told_once(decision: Decision[T], advised: tuple[Advice, ...]) -> Decision[T]:
    """The decision without what would change it and is advised: the advice decides the whole plan anew, and says more."""
    lines = [f"`{one.change}`" for one in advised]
    left = tuple(text for text in decision.would_change if not any(line in text for line in lines))
    return replace(decision, would_change=left)


def _largest(found: outline.Outline) -> int:
    """Machines at once while the largest group is updated."""
    return found.group.choice.max_size + found.group.choice.max_surge


def _check_split(need: Need, fit: Fit, diags: Diagnostics) -> None:
    run, degree = need.workload.run, fit.tensor_parallel * fit.pipeline_parallel
    if need.workload.task != "serve" or run is None or not run.container or degree == 1:
        return
    if not any("parallel" in word for word in run.command or ()):
        message = f"a replica spans {degree} accelerators, and the command does not say so"
        label = f"tensor parallel {fit.tensor_parallel}, pipeline parallel {fit.pipeline_parallel}"
        help = f'with vLLM add `--tensor-parallel-size, "{fit.tensor_parallel}"` to `run.command`'
        diags.add(UNSPLIT.warning(message, need.workload.at("run.command"), label, help))


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
