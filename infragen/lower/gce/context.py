"""What every part of the lowering needs to know of one plan."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from infragen.decide.model import (
    CapacityChoice,
    Decision,
    GroupChoice,
    ImageChoice,
    MachineChoice,
    NetworkChoice,
    Plan,
    Reason,
    StorageChoice,
)  # fmt: skip
from infragen.lower import names
from infragen.lower.hcl import Expression
from infragen.lower.knowledge import know, store_kind
from infragen.lower.model import Because

COMMENT_WIDTH = 110  # characters of a comment line, without the mark and its indentation
TRAINING_TASKS = frozenset({"pretrain", "finetune"})
MODEL_TASKS = TRAINING_TASKS | {"serve", "batch-inference"}
JOB_TASKS = TRAINING_TASKS | {"batch-inference", "data-prep"}  # they end, while their machines go on being paid for

PROJECT = Expression("var.project_id")
REGION = Expression("var.region")
ACCOUNT_ADDRESS = "google_service_account.main"
ACCOUNT_EMAIL = Expression(f"{ACCOUNT_ADDRESS}.email")
ACCOUNT_MEMBER = Expression(f"{ACCOUNT_ADDRESS}.member")
APIS_READY = (Expression("google_project_service.main"),)


def comment(*texts: str) -> Because:
    """The texts as comment lines: control characters become blanks, so that no text can leave its comment."""
    lines: list[str] = []
    for text in texts:
        clean = text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
        lines += textwrap.wrap(clean, COMMENT_WIDTH, break_on_hyphens=False) or [""]
    return tuple(lines)


def because(reasons: Iterable[Reason]) -> Because:
    """Reasons as comment lines: the rule, then what it saw."""
    return comment(*(f"{reason.rule}: {reason.text}" for reason in reasons))


@dataclass(frozen=True)
class Context:
    """A plan, and what follows from it for more than one part of the stack."""

    plan: Plan

    @property
    def machine(self) -> MachineChoice:
        return self.plan.machine.choice

    @property
    def capacity(self) -> CapacityChoice:
        return self.plan.capacity.choice

    @property
    def group(self) -> GroupChoice:
        return self.plan.group.choice

    @property
    def network(self) -> NetworkChoice:
        return self.plan.network.choice

    @property
    def image(self) -> ImageChoice:
        return self.plan.image.choice

    @property
    def zones(self) -> tuple[str, ...]:
        return self.plan.location.choice.zones

    @property
    def is_regional(self) -> bool:
        return self.group.scope == "regional"

    @property
    def is_training(self) -> bool:
        return self.plan.task in TRAINING_TASKS

    @property
    def has_model(self) -> bool:
        return self.plan.task in MODEL_TASKS

    @property
    def is_job(self) -> bool:
        return self.plan.task in JOB_TASKS

    @property
    def needs_machine_traffic(self) -> bool:
        """Whether the machines talk to each other."""
        return self.works_together

    @property
    def works_together(self) -> bool:
        """Whether the machines run one program: a training run, a job on machines with a network for it, a split replica."""
        has_fabric = self.machine.fabric.data_nics > 0 and self.plan.task != "serve"
        is_one = self.is_training or has_fabric or self.has_split_replicas
        return self.machine.nodes > 1 and is_one and not self.group.has_autoscaler

    @property
    def has_split_replicas(self) -> bool:
        """Whether a copy of the model spans several machines."""
        return self.machine.replicas_per_node < 1 and not self.is_training

    @property
    def has_gpus(self) -> bool:
        return self.machine.accelerator is not None

    @property
    def zone(self) -> Expression:
        """The zone that zonal things with a state lie in."""
        return Expression("var.zones[0]" if self.is_regional else "var.zone")

    @property
    def group_location(self) -> tuple[str, Expression]:
        """The argument that says where a group and what belongs to it are."""
        return ("region", REGION) if self.is_regional else ("zone", self.zone)

    @cached_property
    def stores(self) -> tuple[Decision[StorageChoice], ...]:
        """The stores that are something of their own; the others are folders on one of these."""
        return tuple(one for one in self.plan.storage if one.choice.shared_with is None)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """How the stores are lowered, see `knowledge.store_kind`."""
        return frozenset(store_kind(one.choice.service.service) for one in self.stores)

    def name(self, meaning: str = "", kind: str = "default", reserve: int = 0) -> str:
        """A cloud name of this workload."""
        return names.cloud(self.plan.name, meaning, kind, reserve)

    def group_reasons(self, place: str) -> Because:
        """The group's reasons that belong to one place; those without a place of their own belong to `group`."""
        places = know("reason_places")
        return because(one for one in self.plan.group.because if places.get(one.rule, "group") == place)
