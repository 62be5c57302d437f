"""A machine with the model laid out on it: sizing's answer in the words of the plan."""

from msgspec import Struct

from infragen.decide.model import CheckpointPlan, Margin, Memory, Range
from infragen.decide.need import Machine


class Fit(Struct, frozen=True):
    """How one type of machine does the work. ``nodes`` are VMs at peak; rates are those of the whole plan."""

    machine: Machine
    nodes: int
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    context_parallel: int = 1
    expert_parallel: int = 1
    replicas_per_node: float = 1.0
    memory: Memory | None = None
    tokens_per_second: Range | None = None
    ttft_ms: Range | None = None
    tpot_ms: Range | None = None
    train_hours: Range | None = None
    mfu: Range | None = None
    max_batch: int | None = None
    requests_per_second_per_node: float | None = None
    weights_gib: float = 0.0  # what lies on disk
    dataset_mib_s: float = 0.0  # aggregate
    checkpoint: CheckpointPlan | None = None
    energy_kwh_per_hour: Range | None = None
    margins: tuple[Margin, ...] = ()
    binding: str = ""
    assumptions: tuple[str, ...] = ()
