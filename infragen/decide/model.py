"""What the decide stage gives: the plan, every choice in it with its reasons, and everything that was not chosen."""

from collections.abc import Mapping
from functools import cached_property
from typing import Generic, Literal, TypeVar

from msgspec import Struct

from infragen.descriptor.model import CapacityModel, Purpose
from infragen.facts.model import (
    Accelerator,
    Fabric,
    ImageFamily,
    ImageFile,
    ImageRepository,
    ImageSoftware,
    MachineType,
    OperatingSystem,
    Region,
    StorageService,
)  # fmt: skip
from infragen.units import HOURS_PER_MONTH

Choice_co = TypeVar("Choice_co", covariant=True)


class Reason(Struct, frozen=True):
    """Why something was chosen: the rule, and what it saw in this case."""

    rule: str
    text: str


class Rejection(Struct, frozen=True):
    """A candidate that a rule removed."""

    candidate: str
    rule: str
    because: str


class Alternative(Struct, frozen=True):
    """A sufficient candidate that ranked behind the choice, with the figures that it was ranked by."""

    candidate: str
    because: str
    usd_per_hour: float | None = None
    kg_co2e_per_hour: float | None = None
    usd_total: float | None = None  # of a job
    kg_co2e_total: float | None = None
    region: str = ""
    capacity: str = ""  # the model it is obtained under
    is_last_resort: bool = False  # in a way that nobody asked for
    setting: str = ""  # the `--set` that takes it
    needs: str = ""  # what it would take beside that


class Decision(Struct, Generic[Choice_co], frozen=True):
    """One choice, the reasons for it, and what became of the others."""

    choice: Choice_co
    because: tuple[Reason, ...]
    rejected: tuple[Rejection, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    would_change: tuple[str, ...] = ()
    ranked: Alternative | None = None  # the choice in the figures of its alternatives, where a ranking made it


class Range(Struct, frozen=True):
    """A number that comes from a model of reality."""

    low: float
    expected: float
    high: float

    def scaled(self, factor: float) -> "Range":
        """The range times a positive factor."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)


Part = Literal["compute", "storage", "network"]  # network: with what watches it
Unit = Literal["machine-hour", "gib-month", "mib-s-month", "iops-month", "hour", "month", "gib", "mib", "million"]
MONTHLY: frozenset[Unit] = frozenset({"gib-month", "mib-s-month", "iops-month", "month"})


class Charge(Struct, frozen=True):
    """One line of the bill. What has no price, or no quantity that anybody knows, costs None and not zero."""

    part: Part
    name: str  # what is billed, in words
    item: str  # its rows in the price tables
    unit: Unit
    quantity: (
        float | None
    )  # of units; of what is used up (gib, million): in an hour; None: depends on traffic that nobody gave
    usd_per_unit: float | None
    included: float = 0.0  # units of these that cost nothing
    region: str = ""  # of the price
    as_of: str = ""
    confidence: str = ""

    @property
    def usd_per_hour(self) -> float | None:
        """What the line costs in an hour."""
        if self.quantity is None or self.usd_per_unit is None:
            return None
        usd = max(0.0, self.quantity - self.included) * self.usd_per_unit
        return usd / HOURS_PER_MONTH if self.unit in MONTHLY else usd


class MachineChoice(Struct, frozen=True):
    """The machines: what, how many, and how the model lies on them."""

    type: str  # as the cloud names it; for attached accelerators the host machine type
    record: MachineType
    accelerator: Accelerator | None
    accelerators_per_node: float
    attached_accelerators: int  # to be attached to the host machine; 0 where they are part of the type
    nodes: int  # VMs; for serving, what the traffic needs
    fabric: Fabric
    vcpus: int
    memory_gib: float
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    context_parallel: int = 1
    expert_parallel: int = 1
    replicas_per_node: float = 1.0  # below 1: a replica spans several VMs
    topology: str | None = None  # of a slice, where the machines make slices
    slices: int = 0
    boot_disk_type: str = ""
    boot_disk_gib: int = 0
    local_ssd_count: int = 0  # partitions to attach; bundled ones come by themselves and are not counted


class StorageChoice(Struct, frozen=True):
    """One mounted store."""

    purpose: Purpose
    service: StorageService
    capacity_gib: int  # 0: no capacity is set (object storage)
    throughput_mib_s: float  # aggregate; what is bought or what comes with the capacity; 0: not limited by the service
    iops: int | None  # that are bought; None: they come with the capacity
    mount: str
    clients: int  # VMs at once, surge included
    is_read_only: bool
    shared_with: Purpose | None = None  # lies on the store of that purpose, in a folder of its own
    source: str | None = None  # gs:// address its content comes from
    protocol: str | None = None
    reserved_range: str | None = None
    content_gib: float = 0.0  # that it will hold; 0: not known
    write_mib_s: float = 0.0  # aggregate; 0: not limited by the service
    file_bytes: float | None = None  # of a typical file
    holds_containers: bool = False  # the container engine keeps its data there
    usd_per_month: float | None = None
    charges: tuple[Charge, ...] = ()  # of all clients together
    is_per_machine: bool = False  # each machine has its own


class CapacityChoice(Struct, frozen=True):
    """How the machines are obtained. Fields that a model does not use are None."""

    model: CapacityModel
    reservation: str | None = None  # name it is created or consumed under
    creates: bool = False  # the reservation is part of this stack
    project: str | None = None  # owner of a shared reservation
    block: str | None = None  # part of the reservation
    sub_block: str | None = None
    is_automatic: bool = False  # any reservation that matches the machine, instead of the one that is named
    shared_with: tuple[str, ...] = ()
    start: str | None = None  # RFC 3339
    end: str | None = None
    submit: bool = False
    run_for_s: int | None = None
    mode: Literal["resize-request", "bulk"] | None = None
    automatic_restart: bool | None = None
    at_end: Literal["delete", "stop"] | None = None
    usd_booked: float | None = (
        None  # list price of the window, or of a month of a reservation; owed whether used or not
    )
    booked_hours: float | None = None  # that this is the price of


class LocationChoice(Struct, frozen=True):
    """One region; the zones the group may use, best first. Stateful zonal things lie in the first."""

    region: Region
    zones: tuple[str, ...]


class Recipe(Struct, frozen=True):
    """How an image is built: what it starts from, what goes into it, and the machine that does it."""

    base_project: str | None  # None: the workload's own
    base_family: str | None
    base_name: str | None
    os: OperatingSystem | None  # None: cannot be told from the base's name
    arch: Literal["x86_64", "arm64"]
    software: tuple[ImageSoftware, ...]  # in the order of installation
    repositories: tuple[ImageRepository, ...]  # likewise
    files: tuple[ImageFile, ...]
    traits: frozenset[str]  # what the machine has and the software was chosen by, see image_software.csv
    packages: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]  # name, text; in the order in which they run
    requirements: str | None  # of Python
    builder: str  # machine type
    builder_has_accelerator: bool
    disk_type: str
    disk_gib: int
    zone: str
    external_ip: bool
    container: str | None  # pulled while the image is built


class ImageOrigin(Struct, frozen=True):
    """What Terraform makes an image from."""

    kind: Literal["disk", "snapshot", "image", "archive"]
    path: str  # a bare name is one of the workload's own project
    sha1: str | None
    features: tuple[str, ...]  # empty: those of the source


class ImageChoice(Struct, frozen=True):
    """What the machines boot: an image or the newest of a family, always by project."""

    project: str | None  # None: the workload's own
    family: str | None
    name: str | None
    rollout: Literal["pinned", "family-at-plan", "family-at-boot"]
    os: str  # for the boot scripts: ubuntu, rocky, cos, or "" for an image of the user's own
    arch: Literal["x86_64", "arm64"]
    base: ImageFamily | None  # the public family it is, or is built from
    recipe: Recipe | None = None  # it is built with Packer
    origin: ImageOrigin | None = None  # it is made by Terraform
    canary: tuple[str, int] | None = None  # another image of the same project, and its share of the machines in percent

    @property
    def boots(self) -> str:
        """What the machines boot, as the templates name it: an image, or the newest of a family."""
        if self.name and self.rollout == "pinned":
            return f"image {self.name}"
        return f"family {self.family}"


class ScheduleChoice(Struct, frozen=True):
    """A time with more machines. ``at``: as in crontab."""

    name: str
    at: str
    lasts_s: int
    machines: int
    time_zone: str


class FallbackChoice(Struct, frozen=True):
    """A machine type that the group may take instead; the first choice has rank 0."""

    type: str
    rank: int


class GroupChoice(Struct, frozen=True):
    """The managed instance group."""

    scope: Literal["zonal", "regional"]
    size: int  # machines, where no autoscaler decides
    min_size: int
    max_size: int
    has_autoscaler: bool
    signal: Literal["cpu-utilization", "gpu-utilization", "load-balancing", "requests", "queue", "metric"] | None
    target: float | None  # per machine: a share of 1 for utilisations, else as the signal counts
    scales_in: bool
    update_type: Literal["proactive", "opportunistic"]
    max_surge: int
    max_unavailable: int
    replacement: Literal["substitute", "recreate"]
    heals: bool
    initial_delay_s: int
    placement: Literal["compact", "spread", "none"]
    topology: str | None = None  # of the accelerators over all machines, which a workload policy has to name
    all_or_nothing: bool = False
    repairs_unhealthy: bool = True  # false: it may load longer than the first verdict can be put off, or starts nothing
    suspended: int = 0
    stopped: int = 0
    standby_delay_s: int = 0  # from the start of a machine to its rest, so that it is ready when it wakes
    queue: str | None = None  # Pub/Sub subscription
    metric: str | None = None
    metric_filter: str | None = None
    scale_in_machines: int = 1  # that may go within the window
    scale_in_window_s: int = 600
    schedules: tuple[ScheduleChoice, ...] = ()
    stateful_stores: tuple[Purpose, ...] = ()
    keeps_internal_ip: bool = False
    fallbacks: tuple[FallbackChoice, ...] = ()

    @property
    def is_stateful(self) -> bool:
        """Whether a machine keeps more than its name when it is replaced."""
        return bool(self.stateful_stores) or self.keeps_internal_ip


class NetworkChoice(Struct, frozen=True):
    """The network of the machines."""

    creates: bool
    range: str  # CIDR of the created VPC
    nat: bool
    network: str | None = None
    subnetwork: str | None = None
    host_project: str | None = None
    mtu: int = 1460


class ServingChoice(Struct, frozen=True):
    """How requests reach the machines."""

    expose: Literal["none", "internal", "external"]
    port: int
    health_path: str
    timeout_s: int  # longest answer, streaming included
    drain_s: int
    domain: str | None = None  # DNS name of an external service; None: given to Terraform


class ObserveChoice(Struct, frozen=True):
    """Who is told of what, and how long logs are kept. None: the project's own retention; no budget."""

    notify: tuple[str, ...] = ()
    log_retention_days: int | None = None
    metrics_path: str | None = None  # of the program, on its port
    billing_account: str | None = None
    budget_per_month: int | None = None


class Memory(Struct, frozen=True):
    """Device memory per accelerator, GiB, by part."""

    weights: float
    kv_cache: float
    activations: float
    gradients: float
    optimizer: float
    overhead: float
    total: float
    usable: float


class Margin(Struct, frozen=True):
    """How much room a constraint leaves."""

    constraint: str
    needed: float
    available: float
    unit: str

    @property
    def share(self) -> float:
        """Room as a share of what is available; negative where it does not fit."""
        return 1 - self.needed / self.available if self.available else 0.0


class CheckpointPlan(Struct, frozen=True):
    """Saving the state of a run: size, interval, and the rate that hides the write."""

    size_gib: float
    interval_s: float
    write_gib_s: float
    keep: int


class Costs(Struct, frozen=True, dict=True):  # a dictionary: the sum is made once
    """The bill of an hour at peak, line by line."""

    charges: tuple[Charge, ...]
    region: str

    def of(self, part: Part) -> float | None:
        """Sum of what has a price in that part; None for machines without one, for then a sum would say nothing."""
        known = [one.usd_per_hour for one in self.charges if one.part == part]
        if part == "compute" and None in known:
            return None
        return sum(usd for usd in known if usd is not None)

    @cached_property
    def total(self) -> float | None:
        """USD of an hour, of everything that has a price; None where the machines have none."""
        if self.of("compute") is None:
            return None
        return sum(one.usd_per_hour for one in self.charges if one.usd_per_hour is not None)

    @property
    def as_of(self) -> str:
        """Date of the oldest price among those counted."""
        return min((one.as_of for one in self.charges if one.usd_per_hour), default="")

    @property
    def unknown(self) -> tuple[str, ...]:
        """What is not counted, and why."""
        found = []
        for one in self.charges:
            if one.usd_per_unit is None:
                found.append(f"{one.part}: {one.name}")
            elif one.quantity is None:
                found.append(f"{one.part}: {one.name}, {one.usd_per_unit:g} USD a {UNIT_NAMES[one.unit]}")
        return tuple(found)

    def marked(self, confidence: str) -> tuple[str, ...]:
        """Names of what is counted at a price of that confidence."""
        return tuple(
            dict.fromkeys(one.name for one in self.charges if one.usd_per_hour and one.confidence == confidence)
        )

    @property
    def borrowed(self) -> tuple[str, ...]:
        """Names of what is counted at the price of another region, with that region."""
        return tuple(
            dict.fromkeys(
                f"{one.name} ({one.region})"
                for one in self.charges
                if one.usd_per_hour and one.region not in ("everywhere", self.region)
            )
        )


UNIT_NAMES: Mapping[Unit, str] = {
    "machine-hour": "machine and hour",
    "gib-month": "GiB and month",
    "mib-s-month": "MiB/s and month",
    "iops-month": "IOPS and month",
    "hour": "hour",
    "month": "month",
    "gib": "GiB",
    "mib": "MiB",
    "million": "million",
}


class Estimate(Struct, frozen=True):
    """What the plan will do and cost, as far as the model of reality says. None: does not apply, or is not known."""

    costs: Costs
    memory: Memory | None = None
    tokens_per_second: Range | None = None
    ttft_ms: Range | None = None
    tpot_ms: Range | None = None
    train_hours: Range | None = None
    mfu: Range | None = None
    max_batch: int | None = None
    load_gib_s: float | None = None  # aggregate read rate for a scale-out
    dataset_mib_s: float | None = None
    checkpoint: CheckpointPlan | None = None
    usd_total: Range | None = None
    usd_per_million_tokens: Range | None = None  # at the traffic given
    tokens_priced: Literal["input", "output"] = "output"  # what those tokens are: read where nothing is generated
    energy_kwh_per_hour: Range | None = None
    kg_co2e_per_hour: Range | None = None
    kg_co2e_total: Range | None = None
    kg_co2e_per_hour_beyond_cfe: Range | None = None  # counting the hourly carbon-free share as free of emissions
    margins: tuple[Margin, ...] = ()
    binding: str = ""
    assumptions: tuple[str, ...] = ()


class Advice(Struct, frozen=True):
    """A change, the plan that it gives, and what that saves; a negative saving is a price. None: not known, or does not apply."""

    change: str  # the line of the descriptor
    because: str  # what it asks of people, or rests on
    takes: str  # the machines, how and where they are had
    usd_per_hour: float | None = None
    usd_total: float | None = None
    hours: float | None = None
    kg_co2e_per_hour: float | None = None
    kg_co2e_total: float | None = None


class QuotaNeed(Struct, frozen=True):
    """Quota to ask for."""

    metric: str
    region: str  # `global` where one limit holds for all of them
    amount: int
    note: str = ""
    dimension: str = ""  # what it is counted by beside the region, such as ``gpu_family=...``


class Program(Struct, frozen=True):
    """What runs on the machines, as the descriptor gives it."""

    container: str | None
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]  # variable, secret name


class Plan(Struct, frozen=True):
    """Everything that was decided for one workload. The next stage needs nothing else."""

    name: str
    task: str
    project: str | None
    labels: tuple[tuple[str, str], ...]
    state_bucket: str | None
    state_prefix: str | None
    kms_key: str | None
    deletion_protection: bool
    platform: Decision[str]
    machine: Decision[MachineChoice]
    storage: tuple[Decision[StorageChoice], ...]
    capacity: Decision[CapacityChoice]
    location: Decision[LocationChoice]
    image: Decision[ImageChoice]
    group: Decision[GroupChoice]
    network: Decision[NetworkChoice]
    serving: ServingChoice | None
    program: Program | None
    estimate: Estimate
    advice: tuple[Advice, ...]
    quotas: tuple[QuotaNeed, ...]
    model_name: str | None = None
    data_source: str | None = None
    observe: ObserveChoice = ObserveChoice()
    confidential: Literal["sev", "sev-snp", "tdx"] | None = None
    secure_boot: bool = False
    port: int = 8000  # that the program listens on
    may_lose: tuple[str, ...] = ()  # addresses whose content a new output may destroy or replace
    is_lowered: bool = True  # false: sized and explained, but no Terraform can be written for it yet
