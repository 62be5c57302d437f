"""What the rules look at: the workload, the facts, and what sizing made of the model."""

from datetime import datetime

from msgspec import Struct

from infragen.decide.sizing.shape import ModelShape
from infragen.descriptor.model import Workload
from infragen.facts.load import Catalog
from infragen.facts.model import Accelerator, Fabric, HostMachine, MachineType

ACCELERATED_TASKS = frozenset({"pretrain", "finetune", "serve", "batch-inference"})
TRAINING_TASKS = frozenset({"pretrain", "finetune"})
SERVING_TASKS = frozenset({"serve", "batch-inference"})


class Need(Struct, frozen=True):
    """One workload as the rules see it. ``today`` serves checks of dates and never reaches the output."""

    workload: Workload
    catalog: Catalog
    shape: ModelShape | None
    today: datetime


class Machine(Struct, frozen=True, cache_hash=True):  # a key of what is remembered
    """A candidate machine: the type, and the host type where accelerators are attached to one."""

    record: MachineType
    accelerator: Accelerator | None
    fabric: Fabric
    host: HostMachine | None = None

    @property
    def type(self) -> str:
        """The cloud's name of the machine type."""
        return self.host.name if self.host else self.record.name

    @property
    def label(self) -> str:
        """The machine type, and what is attached to it."""
        if self.host and self.accelerator:
            return f"{self.host.name} with {self.record.accelerators:g} × {self.accelerator.name}"
        return self.record.name

    @property
    def vcpus(self) -> int:
        """vCPUs of one VM."""
        return self.host.vcpus if self.host else self.record.vcpus

    @property
    def memory_gib(self) -> float:
        """Host memory of one VM, GiB."""
        return self.host.memory_gib if self.host else self.record.memory_gib
