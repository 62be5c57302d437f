"""The plan record: everything that was decided, as plain data, the same for `--format json` and for ``plan.json``.

Takes what a run produced. Gives JSON-ready dictionaries in a fixed order. Promises: same input, same bytes; no dates of
the run, no paths of the machine; a number that comes from a model of reality is a range.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePath
from typing import Any, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from infragen.decide.image import ENDING
from infragen.decide.model import Charge, Decision, Estimate, ImageChoice, MachineChoice, Part, Plan, StorageChoice
from infragen.diagnostics import Diagnostic
from infragen.facts.age import OLD
from infragen.fileset import FileSet
from infragen.lower.model import Stack
from infragen.units import HOURS_PER_MONTH

FORMAT = 1
DATED = frozenset({ENDING.id, OLD.id})  # findings that come with the day of the run, and stay out of what is kept
PARTS: tuple[Part, ...] = get_args(Part)
SIGNIFICANT = 6  # digits of a number that was computed


def record(
    name: str,
    diagnostics: Iterable[Diagnostic],
    plan: Plan | None,
    stack: Stack | None,
    files: FileSet | None,
    *,
    is_kept: bool = False,
) -> dict[str, Any]:
    """The record of one run; without a plan it holds the workload's name and the diagnostics alone.

    ``is_kept``: it goes into a file, which must not depend on where the descriptor lay, nor on the day: files are named by
    their last part, and findings about dates are left out.
    """
    found = [diagnostic(one) for one in diagnostics]
    if is_kept:
        kept = [one for one in found if one["code"] not in DATED]
        found = [one | {"file": one["file"] and PurePath(one["file"]).name} for one in kept]
    if plan is None:
        return {"format": FORMAT, "workload": name, "diagnostics": found}
    resources = stack.resources if stack else ()
    return {
        **_decided(plan),
        "resources": [{"address": address, "provider": provider} for address, provider in resources],
        "diagnostics": found,
        "files": files.digests() if files else {},
    }


@lru_cache(maxsize=1)
def _decided(plan: Plan) -> dict[str, Any]:
    """The part of the record that follows from the plan; remembered, since a run both writes and prints it."""
    return {
        "format": FORMAT,
        "workload": plan.name,
        "task": plan.task,
        "decisions": {
            "platform": _decision(plan.platform, plan.platform.choice),
            "machine": _decision(plan.machine, _machine(plan.machine.choice)),
            "storage": [_decision(one, _store(one.choice), purpose=one.choice.purpose) for one in plan.storage],
            "capacity": _decision(plan.capacity, _plain(plan.capacity.choice)),
            "location": _decision(
                plan.location,
                {"region": plan.location.choice.region.name, "zones": list(plan.location.choice.zones)},
            ),
            "image": _decision(
                plan.image,
                {
                    "project": plan.image.choice.project,
                    "family": plan.image.choice.family,
                    "name": plan.image.choice.name,
                    "rollout": plan.image.choice.rollout,
                    "base": _base(plan.image.choice),
                    "canary": _canary(plan.image.choice),
                },
            ),
            "group": _decision(plan.group, _plain(plan.group.choice)),
            "network": _decision(plan.network, _plain(plan.network.choice)),
        },
        "estimate": _estimate(plan.estimate),
        "advice": [_plain(one) for one in plan.advice],
        "quotas": [_plain(need) for need in plan.quotas],
    }


def text(data: dict[str, Any]) -> str:
    """The record as a JSON file, ready to be reviewed in a pull request."""
    return msgspec.json.format(json.dumps(data, ensure_ascii=False), indent=2) + "\n"


def diagnostic(one: Diagnostic) -> dict[str, Any]:
    """A finding as data; ``file``, ``line`` and ``column`` are None where it has no place."""
    span = one.span
    return {
        "code": one.code,
        "severity": one.severity.value,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "message": one.message,
        "label": one.label,
        "why": one.why,
        "help": one.help,
    }


def _decision(decision: Decision[Any], choice: Any, **first: str) -> dict[str, Any]:
    return {
        **first,
        "choice": choice,
        "because": [asdict(reason) for reason in decision.because],
        "rejected": [asdict(one) for one in decision.rejected],
        "alternatives": [_plain(one) for one in decision.alternatives],
        "would_change": list(decision.would_change),
        "ranked": _plain(decision.ranked),
    }


def _base(choice: ImageChoice) -> str | None:
    """What the image is made from, by its path as far as the project is known."""
    if choice.origin:
        return choice.origin.path
    if choice.recipe is None:
        return None
    recipe = choice.recipe
    image = recipe.base_name or f"family/{recipe.base_family}"
    return f"{recipe.base_project}/{image}" if recipe.base_project else image


def _canary(choice: ImageChoice) -> dict[str, Any] | None:
    return {"name": choice.canary[0], "percent": choice.canary[1]} if choice.canary else None


def _machine(choice: MachineChoice) -> dict[str, Any]:
    return {
        "type": choice.type,
        "accelerator": choice.accelerator.name if choice.accelerator else None,
        "accelerators_per_node": _number(choice.accelerators_per_node),
        "nodes": choice.nodes,
        "tensor_parallel": choice.tensor_parallel,
        "pipeline_parallel": choice.pipeline_parallel,
        "data_parallel": choice.data_parallel,
        "context_parallel": choice.context_parallel,
        "expert_parallel": choice.expert_parallel,
        "replicas_per_node": _number(choice.replicas_per_node),
        "topology": choice.topology,
        "slices": choice.slices,
        "boot_disk": {"type": choice.boot_disk_type, "size_gib": choice.boot_disk_gib},
    }


def _store(choice: StorageChoice) -> dict[str, Any]:
    return {
        "service": choice.service.service,
        "tier": choice.service.tier,
        "capacity_gib": choice.capacity_gib,
        "throughput_mib_s": _number(choice.throughput_mib_s),
        "iops": choice.iops,
        "folder_of": choice.shared_with,
        "mount": choice.mount,
        "clients": choice.clients,
        "read_only": choice.is_read_only,
        "usd_per_month": _number(choice.usd_per_month),
        "unpriced": choice.service.unpriced,
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    costs, checkpoint = estimate.costs, estimate.checkpoint
    return {
        "memory_gib_per_accelerator": _plain(estimate.memory),
        "tokens_per_second": _plain(estimate.tokens_per_second),
        "ttft_ms": _plain(estimate.ttft_ms),
        "tpot_ms": _plain(estimate.tpot_ms),
        "train_hours": _plain(estimate.train_hours),
        "mfu": _plain(estimate.mfu),
        "max_batch": estimate.max_batch,
        "checkpoint": {
            "size_gib": _number(checkpoint.size_gib),
            "interval_s": _number(checkpoint.interval_s),
            "write_gib_s": _number(checkpoint.write_gib_s),
            "keep": checkpoint.keep,
        }
        if checkpoint
        else None,
        "usd_per_hour": {
            **{part: _number(costs.of(part)) for part in PARTS},
            "total": _number(costs.total),
            "unknown": list(costs.unknown),
            "from_memory": list(costs.marked("from-memory")),
            "at_most": list(costs.marked("upper-bound")),
            "negotiated": list(costs.marked("negotiated")),
            "of_another_region": list(costs.borrowed),
            "items": [_charge(one) for one in costs.charges],
        },
        "usd_per_month": _number(costs.total * HOURS_PER_MONTH if costs.total is not None else None),
        "usd_total": _plain(estimate.usd_total),
        "usd_per_million_tokens": _plain(estimate.usd_per_million_tokens),
        "tokens_priced": estimate.tokens_priced if estimate.usd_per_million_tokens else None,
        "energy_kwh_per_hour": _plain(estimate.energy_kwh_per_hour),
        "kg_co2e_per_hour": _plain(estimate.kg_co2e_per_hour),
        "kg_co2e_total": _plain(estimate.kg_co2e_total),
        "kg_co2e_per_hour_beyond_cfe": _plain(estimate.kg_co2e_per_hour_beyond_cfe),
        "prices_as_of": costs.as_of,
        "binding": estimate.binding,
        "margins": [_plain(margin) | {"share": _number(round(margin.share, 4))} for margin in estimate.margins],
        "assumptions": list(estimate.assumptions),
    }


def _charge(one: Charge) -> dict[str, Any]:
    """A line of the bill, with what it costs in an hour."""
    return {**_plain(one), "usd_per_hour": _number(one.usd_per_hour)}


def _plain(value: Any) -> Any:
    """Records as dictionaries, tuples as lists, computed numbers to a fixed number of digits."""
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None) -> float | int | None:
    """A number without the noise of binary fractions; whole numbers as integers."""
    if value is None or isinstance(value, int):
        return value
    rounded = float(f"{value:.{SIGNIFICANT}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
