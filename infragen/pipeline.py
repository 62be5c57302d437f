"""The straight line from a descriptor to verified Terraform.

    workload.yaml --load--> Workload --decide--> Plan --lower--> Stack --emit--> FileSet --verify--> Diagnostics

Every stage takes a frozen record and gives the next one. What went wrong travels in `Diagnostics`; a stage that found
an error raises `CompileError` as its last act. Nothing here touches the disk, the clock or the network.
"""

from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from infragen import decide, descriptor, emit, lower, record, verify
from infragen.decide.model import Plan
from infragen.descriptor.source import Source
from infragen.diagnostics import CompileError, Diagnostics
from infragen.emit import Templates
from infragen.facts.load import Catalog
from infragen.fileset import FileSet
from infragen.lower.model import Stack

PLAN_FILE = "plan.json"


class Compilation(Struct, frozen=True):
    """What a run produced. Stages that were not reached left None."""

    diagnostics: Diagnostics
    name: str
    plan: Plan | None = None
    stack: Stack | None = None
    files: FileSet | None = None


def compile_workload(source: Source, catalog: Catalog, templates: Templates, today: datetime) -> Compilation:
    """Everything infragen knows about one descriptor: the plan, the Terraform, and what is wrong with either."""
    diags = Diagnostics()
    reached = Compilation(diags, Path(source.descriptor.name).stem)
    try:
        workload = descriptor.load(source, diags)
        reached = Compilation(diags, workload.name)
        plan = decide.run(workload, catalog, today, diags)
        reached = Compilation(diags, workload.name, plan)
        if not plan.is_lowered:
            return reached
        diags.extend(replace(one, span=workload.at(lower.PATHS[one.code])) for one in lower.check(plan))
        diags.raise_if_errors()
        stack = lower.run(plan)
        files = emit.run(stack, templates, diags)
        reached = Compilation(diags, workload.name, plan, stack, files)
        verify.run(files, diags, catalog.is_accelerator_machine)
        diags.raise_if_errors()
        plan_record = record.record(workload.name, diags, plan, stack, files, is_kept=True)
        return Compilation(diags, workload.name, plan, stack, files.with_file(PLAN_FILE, record.text(plan_record)))
    except CompileError:
        return reached
