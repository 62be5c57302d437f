"""The descriptor, version 1: what a user may write, with the meaning, unit and default of every field.

Everything but ``version``, ``name`` and ``task`` may be left out: what is left out is decided and explained. Records
are frozen. Checks that need only the descriptor itself stand here; what needs the fact tables stands in ``decide``.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from infragen import units
from infragen.diagnostics import Span

Where = Callable[[str], Span | None]


def _quantity(kind: units.Kind) -> Any:
    """A pydantic field type that reads a text with a unit of that kind."""

    def read(value: object) -> float:
        try:
            return units.parse(value, kind)
        except units.UnitError as error:
            context = {"message": error.message, "help": error.help}
            raise PydanticCustomError(error.problem, "{message}", context) from None

    choices = "|".join(units.UNITS[kind])
    schema: dict[str, JsonValue] = {
        "type": "string",
        "pattern": rf"^\d+(\.\d+)?([eE][+-]?\d+)? ?({choices})$",
        "examples": [units.EXAMPLE[kind]],
    }
    return Annotated[float, BeforeValidator(read), Field(json_schema_extra=schema)]


def _moment(value: object) -> datetime:
    """A point in time, with its zone offset, from RFC 3339 text."""
    if isinstance(value, str) and MOMENT_PATTERN.fullmatch(value.strip()):
        try:
            value = datetime.fromisoformat(value.strip().upper())
        except ValueError as error:
            raise PydanticCustomError("not-a-time", "{problem}", {"problem": str(error)}) from None
    if not isinstance(value, datetime):
        raise PydanticCustomError("not-a-time", "not a date with a time")
    if value.tzinfo is None:
        raise PydanticCustomError("no-offset", "no zone offset")
    return value


if TYPE_CHECKING:
    Bytes = float
    Seconds = float
    BytesPerSecond = float
else:
    Bytes = _quantity("size")  # bytes
    Seconds = _quantity("duration")  # seconds
    BytesPerSecond = _quantity("rate")  # bytes per second


def _whole(value: object) -> object:
    """Python holds `true` and `1.0` to be equal to 1; a version is the number 1 and nothing else."""
    if type(value) is not int:
        raise PydanticCustomError("literal_error", "not a version")
    return value


MOMENT_PATTERN = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
Moment = Annotated[datetime, BeforeValidator(_moment)]

Text = Annotated[str, StringConstraints(min_length=1)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
ProjectId = Annotated[str, StringConstraints(pattern=r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$")]
Booking = Annotated[
    str,
    StringConstraints(
        pattern=r"^(projects/[^/]+/reservations/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?(/reservationBlocks/[^/]+(/reservationSubBlocks/[^/]+)?)?$"
    ),
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Tokens = Annotated[int, Field(ge=1, le=100_000_000)]

Parameters = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]  # hundreds of times the largest model
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]  # a second: everybody on earth, every eight seconds
Amount = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]  # of money, time, weight, or requests at once
Quantity = Annotated[float, Field(gt=0, le=1e18, allow_inf_nan=False)]  # of all tokens and requests ever
SUBSCRIPTION = r"^[A-Za-z][-A-Za-z0-9._~+%]{2,254}$"
DOMAIN = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
METRIC = r"^[a-z][-a-z0-9.]*\.[a-z]+(/[A-Za-z0-9_.-]+)+$"
CIDR = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$")]

Precision = Literal["fp32", "bf16", "fp16", "fp8", "int8", "int4", "mxfp4", "nvfp4"]
CapacityModel = Literal["on-demand", "spot", "reservation", "future-reservation", "calendar", "flex-start"]
Purpose = Literal["weights", "dataset", "checkpoints", "home", "scratch"]
Service = Literal[
    "hyperdisk-ml", "hyperdisk-balanced", "hyperdisk-extreme", "hyperdisk-throughput", "persistent-disk", "filestore",
    "managed-lustre", "parallelstore", "cloud-storage", "local-ssd",
]  # fmt: skip


class Section(BaseModel):
    """A part of the descriptor: frozen, closed to keys it does not know, and strict: the text `yes` is not true."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=False, protected_namespaces=(), strict=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_left_out(cls, written: object) -> object:
        """A known key with nothing behind it is the same as no key."""
        if not isinstance(written, dict):
            return written
        return {key: value for key, value in written.items() if value is not None or key not in cls.model_fields}


class Model(Section):
    """The model: a catalogue name, a Hugging Face config.json, or the numbers themselves."""

    name: Text | None = Field(
        None, description="catalogue name or Hugging Face id", examples=["meta-llama/Llama-3.1-8B-Instruct"]
    )
    config: Text | None = Field(None, description="path of a Hugging Face config.json, relative to the descriptor")
    precision: Precision | None = Field(
        None, description="format of the weights; else the format the model was published in"
    )
    kv_precision: Precision | None = Field(None, description="format of the KV cache; else 16 bits")
    parameters: Parameters | None = Field(None, description="total parameters, for example `70.6e9`")
    active_parameters: Parameters | None = Field(None, description="parameters used per token (mixture of experts)")
    layers: Count | None = Field(None, description="transformer layers")
    hidden_size: Count | None = Field(None, description="width of the residual stream")
    intermediate_size: Count | None = Field(None, description="width of the feed-forward layer")
    attention_heads: Count | None = Field(None, description="query heads")
    kv_heads: Count | None = Field(None, description="key and value heads (grouped-query attention)")
    head_dim: Count | None = Field(None, description="width of one head; else hidden_size / attention_heads")
    vocabulary: Count | None = Field(None, description="size of the vocabulary")
    max_context_tokens: Tokens | None = Field(None, description="longest sequence the model was trained for")
    sliding_window: Tokens | None = Field(None, description="tokens that a windowed attention layer looks back")
    experts: Count | None = Field(None, description="routed experts per layer")
    experts_per_token: Count | None = Field(None, description="routed experts that a token visits")
    expert_intermediate_size: Count | None = Field(None, description="width of one expert")
    shared_experts: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="experts that every token visits"
    )
    kv_lora_rank: Count | None = Field(None, description="rank of the latent KV cache (multi-head latent attention)")
    qk_rope_head_dim: Count | None = Field(None, description="width of the rotary part beside the latent")
    tied_embeddings: bool | None = Field(None, description="input and output embeddings are one matrix")


class Replicas(Section):
    """How many copies of the model are served; several may share a VM with enough accelerators."""

    min: Annotated[int, Field(ge=0, le=10_000)] | None = Field(None, description="never fewer copies than this")
    max: Count | None = Field(None, description="never more copies than this")


class Serve(Section):
    """Traffic and latency: for the tasks `serve` and `batch-inference`."""

    input_tokens: Tokens | None = Field(None, description="tokens of a typical prompt")
    output_tokens: Tokens | None = Field(None, description="tokens of a typical answer")
    max_context_tokens: Tokens | None = Field(None, description="longest prompt and answer together that must fit")
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = Field(
        0.90, description="share of device memory that the serving engine may use"
    )
    requests_per_second: Rate | None = Field(None, description="peak rate of requests")
    concurrent_requests: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None, description="requests in flight at once, instead of a rate"
    )
    requests: Quantity | None = Field(None, description="requests in all (batch-inference)")
    deadline: Seconds | None = Field(None, description="time for all requests (batch-inference)")
    ttft_ms: Rate | None = Field(None, description="longest time to the first token, milliseconds")
    tpot_ms: Rate | None = Field(None, description="longest time per output token after the first, milliseconds")
    replicas: Replicas | None = Field(None, description="bounds for the number of replicas")
    expose: Literal["none", "internal", "external"] = Field(
        "internal", description="who can reach it: nobody but the VPC's VMs, the VPC through a load balancer, everybody"
    )
    domain: Annotated[str, StringConstraints(pattern=DOMAIN, max_length=253)] | None = Field(
        None, description="DNS name of an external service, for its certificate; else a Terraform variable"
    )
    model_updates: Literal["never", "weekly", "daily"] = Field(
        "never", description="how often new weights are published"
    )


class Checkpoint(Section):
    """When the state of a training run is saved, and how much is kept."""

    every: Seconds | None = Field(None, description="interval; else from the failure rate (Young/Daly)")
    keep: Count = Field(3, description="checkpoints kept")


class Train(Section):
    """The training run: for the tasks `pretrain` and `finetune`."""

    method: Literal["full", "lora", "qlora"] | None = Field(
        None, description="what is trained; else full for pretrain, lora for finetune"
    )
    tokens: Quantity | None = Field(None, description="tokens to train on in all, epochs included, for example `200e9`")
    sequence_length: Tokens | None = Field(None, description="tokens per sequence; else 4096 or the model's own limit")
    global_batch_tokens: Amount | None = Field(None, description="tokens per optimizer step over all accelerators")
    deadline: Seconds | None = Field(None, description="longest time for the whole run, restarts included")
    checkpoint: Checkpoint | None = Field(None, description="saving and keeping state")
    optimizer: Literal["adamw", "adamw-8bit", "adafactor", "muon"] | None = Field(
        None, description="optimizer; else adamw"
    )
    optimizer_precision: Literal["fp32", "bf16"] | None = Field(
        None, description="format of the master weights and moments; else fp32"
    )
    micro_batch: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        None, description="sequences per accelerator and forward pass"
    )
    recompute: Literal["none", "selective", "full"] | None = Field(
        None, description="activation recomputation; else the least that fits"
    )
    sharding: Literal["zero-1", "zero-2", "zero-3", "fsdp"] | None = Field(
        None, description="what data-parallel ranks share; else the least that fits"
    )
    offload: bool = Field(False, description="keep the optimizer state in host memory")
    lora_rank: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="rank of the adapters; else 16")


class Data(Section):
    """The data set."""

    size: Bytes | None = Field(None, description="all of it")
    file_size: Bytes | None = Field(None, description="a typical file")
    source: Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9](/.*)?$")] | None = Field(
        None, description="bucket and prefix it lies in", examples=["gs://bucket/prefix"]
    )
    posix: Literal["none", "basic", "full"] = Field(
        "basic",
        description="what the programs need of a file system: "
        "objects are enough, files without locks and renames, all of POSIX",
    )
    access: Literal["read-only", "read-mostly", "read-write"] = Field(
        "read-mostly", description="what the programs do with it"
    )


class Machine(Section):
    """The machine, where it is given or bounded."""

    type: Text | None = Field(None, description="machine type, for example one that `infragen catalog machines` lists")
    count: Count | None = Field(None, description="number of VMs (of slices, with a topology)")
    fallbacks: list[Text] | None = Field(
        None,
        description="machine types to take where the first cannot be had, in this order",
        min_length=1,
        max_length=10,
    )
    accelerators: list[Text] | None = Field(
        None, description="accelerators to choose from; a family name covers all its memory sizes", min_length=1
    )
    accelerators_per_node: Count | None = Field(None, description="accelerators in one VM")
    series: list[Text] | Text | None = Field(None, description="machine series to choose from")
    min_vcpus: Count | None = Field(None, description="vCPUs of one VM at least")
    min_memory: Bytes | None = Field(None, description="host memory of one VM at least")
    min_accelerator_memory: Bytes | None = Field(None, description="memory of one accelerator at least")
    topology: Annotated[str, StringConstraints(pattern=r"^\d+(x\d+){1,2}$")] | None = Field(
        None, description="topology of a TPU slice, for example `4x4`"
    )
    boot_disk: Text | None = Field(None, description="type of the boot disk")
    boot_disk_size: Bytes | None = Field(None, description="size of the boot disk")


class Storage(Section):
    """One mounted store. Without a service, the service is decided for its purpose."""

    purpose: Purpose = Field(description="what it holds")
    service: Service | None = Field(None, description="storage service; else decided")
    capacity: Bytes | None = Field(None, description="size; else from what it must hold")
    throughput: BytesPerSecond | None = Field(None, description="aggregate rate it must give")
    iops: Rate | None = Field(None, description="operations per second it must give")
    mount: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")] | None = Field(
        None, description="where it is mounted; else /mnt/ and its purpose"
    )
    tier: Text | int | None = Field(None, description="tier of the service")
    dynamic: bool = Field(False, description="the dynamic tier (managed-lustre)")
    protocol: Literal["nfs-v3", "nfs-v4.1"] | None = Field(None, description="protocol (filestore)")
    update_frequency: Literal["never", "hourly", "daily", "weekly"] | None = Field(
        None, description="how often its content is replaced"
    )
    clients: Count | None = Field(None, description="VMs that mount it at once")
    zones: list[Text] | None = Field(None, description="zones it must be reachable from")
    access_mode: Literal["read-write-single", "read-only-many", "read-write-many"] | None = Field(
        None, description="how many VMs may attach it, and how (disks)"
    )
    reserved_range: Text | None = Field(None, description="address range it may use (filestore)")
    docker_data: bool = Field(False, description="keep the container engine's data there (local-ssd)")
    accept_deprecated: bool = Field(False, description="use a service that its vendor has deprecated")


class Capacity(Section):
    """How the machines are obtained and paid for."""

    model: CapacityModel | None = Field(None, description="consumption model; else decided")
    name: Booking | None = Field(
        None,
        description="name of the reservation, or the path of one that exists: `projects/OWNER/reservations/NAME`, with "
        "`/reservationBlocks/BLOCK` and `/reservationSubBlocks/SUB` for a part of it",
        examples=["q1-block"],
    )
    project: Text | None = Field(None, description="project that owns an existing reservation; else the workload's own")
    block: Label | None = Field(None, description="block of an existing reservation")
    sub_block: Label | None = Field(None, description="sub-block of that block")
    consume: Literal["specific", "automatic"] | None = Field(
        None, description="the reservation that is named, or any that matches the machine; else specific"
    )
    existing: bool | None = Field(None, description="consume what is booked under that name and create nothing")
    zone: Text | None = Field(None, description="zone of the reservation")
    start: Moment | None = Field(None, description="when the window begins, with a zone offset")
    duration: Seconds | None = Field(None, description="length of the window")
    submit: bool = Field(False, description="submit the request: a purchase")
    lead: Seconds = Field(
        86_400.0, description="shortest time to the start that is taken without a warning (no minimum is published)"
    )
    run_for: Seconds | None = Field(None, description="longest life of a VM")
    wait_for: Seconds | None = Field(None, description="longest wait for capacity")
    automatic_restart: bool | None = Field(None, description="restart a VM that its host lost")
    at_end: Literal["delete", "stop"] | None = Field(
        None, description="what becomes of a VM that is preempted, or whose time is over; else it is deleted"
    )
    interruptible: bool | None = Field(
        None, description="whether the work survives that its machines are taken away; else told from the task"
    )
    shared_with: list[Text] | None = Field(None, description="projects that may use the reservation too")
    mode: Literal["resize-request", "bulk"] | None = Field(None, description="how a flexible start is asked for")


class Place(Section):
    """Where, and what to optimise for."""

    regions: list[Text] | None = Field(None, description="regions to choose from", min_length=1)
    zones: list[Text] | None = Field(None, description="zones to choose from")
    residency: Text | None = Field(
        None, description="`eu`, `us` or a two-letter country code that the machines must stay in"
    )
    optimise: Literal["cost", "carbon", "balanced"] = Field("cost", description="what to prefer among sufficient plans")


class BaseImage(Section):
    """An image or image family of a project."""

    project: Text | None = Field(None, description="project that holds it; else the workload's own")
    family: Label | None = Field(None, description="image family")
    name: Label | None = Field(None, description="image name")


GuestFeature = Literal[
    "GVNIC", "IDPF", "MULTI_IP_SUBNET", "SECURE_BOOT", "SEV_CAPABLE", "SEV_LIVE_MIGRATABLE", "SEV_LIVE_MIGRATABLE_V2",
    "SEV_SNP_CAPABLE", "SNP_SVSM_CAPABLE", "SUSPEND_RESUME_COMPATIBLE", "TDX_CAPABLE", "UEFI_COMPATIBLE",
    "VIRTIO_SCSI_MULTIQUEUE",
]  # fmt: skip


class ImageSource(Section):
    """What Terraform makes the image from: one of disk, snapshot, image, archive."""

    disk: (
        Annotated[str, StringConstraints(pattern=r"^projects/[^/]+/(zones|regions)/[^/]+/disks/[a-z][-a-z0-9]*$")]
        | None
    ) = Field(None, description="disk that no running machine uses, by its full path")
    snapshot: (
        Annotated[str, StringConstraints(pattern=r"^(projects/[^/]+/global/snapshots/)?[a-z][-a-z0-9]*$")] | None
    ) = Field(None, description="snapshot, by name or full path")
    image: Annotated[str, StringConstraints(pattern=r"^(projects/[^/]+/global/images/)?[a-z][-a-z0-9]*$")] | None = (
        Field(None, description="image to copy, by name or full path")
    )
    archive: (
        Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]/.+\.tar\.gz$")] | None
    ) = Field(
        None,
        description="`disk.raw` in a compressed archive in Cloud Storage",
        examples=["gs://bucket/path/image.tar.gz"],
    )
    sha1: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="digest of the archive"
    )
    guest_os_features: list[GuestFeature] | None = Field(
        None, description="what the system in it can do; else what the source says"
    )


class Canary(Section):
    """A second version for a part of the group."""

    name: Label = Field(description="image to try")
    percent: Annotated[int, Field(ge=1, le=99)] = Field(10, description="share of the machines")


Package = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*(=[A-Za-z0-9][A-Za-z0-9.+:~_-]*)?$", max_length=200)
]


class Image(Section):
    """The boot image: used as it is (base), made in Terraform (source), or built with Packer (family, packages, scripts, python)."""

    base: BaseImage | None = Field(None, description="image to boot, or to build on; else decided")
    source: ImageSource | None = Field(None, description="what Terraform makes the image from")
    family: Label | None = Field(
        None, description="family that images of this workload are published in; else its name"
    )
    packages: list[Package] | None = Field(
        None, description="operating system packages to install, `name` or `name=version`"
    )
    scripts: list[Text] | None = Field(None, description="scripts to run while building, relative to the descriptor")
    python: Text | None = Field(None, description="requirements file to install, relative to the descriptor")
    preload: bool = Field(False, description="pull the container of `run` into the image, so that no machine does")
    builder: Text | None = Field(None, description="machine type to build on; else decided, without accelerator")
    external_ip: bool = Field(False, description="give the builder an external address")
    revision: Count = Field(
        1, description="raise it to make the image anew from the same recipe, for example on a newer base"
    )
    rollout: Literal["pinned", "family-at-plan", "family-at-boot"] | None = Field(
        None, description="when a new image reaches the group"
    )
    canary: Canary | None = Field(None, description="try another image on part of the group")

    @property
    def is_built(self) -> bool:
        """Whether an image is built with Packer."""
        return self.source is None and any((self.family, self.packages, self.scripts, self.python))


class Update(Section):
    """How a new version is rolled out."""

    type: Literal["proactive", "opportunistic"] | None = Field(
        None, description="at once, or when a machine is replaced anyway"
    )
    max_surge: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="machines above the size")
    max_unavailable: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="machines below the size")
    replacement: Literal["substitute", "recreate"] | None = Field(None, description="new names, or the same names")


class ScaleIn(Section):
    """How fast an autoscaler may take machines away."""

    machines: Count = Field(1, description="machines that may go within that time")
    within: Seconds = Field(600, description="length of the time looked back on, 1 minute to 1 hour")


class Schedule(Section):
    """A time at which a number of machines is there, whatever the signal says."""

    name: Label = Field(description="name of the schedule")
    at: Text = Field(
        description="when it begins: minute, hour, day, month and weekday, as in crontab", examples=["0 8 * * 1-5"]
    )
    lasts: Seconds = Field(description="how long it holds, at least 5 minutes")
    machines: Count = Field(description="machines at least while it holds")
    time_zone: Text = Field(
        "UTC", description="time zone of `at`, a name of the tz database", examples=["Europe/Berlin"]
    )


class Autoscale(Section):
    """When the group grows and shrinks."""

    signal: Literal["cpu-utilization", "gpu-utilization", "load-balancing", "requests", "queue", "metric"] | None = (
        Field(None, description="what is measured: at the machines, at the load balancer, or the length of a queue")
    )
    target: Amount | None = Field(
        None, description="value per machine to hold: percent, requests per second, or waiting items that one takes on"
    )
    min: Annotated[int, Field(ge=0, le=10_000)] | None = Field(None, description="machines at least")
    max: Count | None = Field(None, description="machines at most")
    queue: Annotated[str, StringConstraints(pattern=SUBSCRIPTION)] | None = Field(
        None, description="name of the Pub/Sub subscription whose backlog is the queue, in the workload's project"
    )
    metric: Annotated[str, StringConstraints(pattern=METRIC)] | None = Field(
        None, description="metric to read: of the group for `queue`, of each machine for `metric`"
    )
    filter: Text | None = Field(None, description="which series of the metric: conditions with `=`, joined by AND")
    scale_in: ScaleIn | None = Field(None, description="how fast it shrinks; else one machine in 10 minutes")
    schedules: list[Schedule] = Field(default_factory=lambda: [], description="times with more machines")


class Heal(Section):
    """Replacing machines that fail their health check."""

    initial_delay: Seconds | None = Field(None, description="time to boot and load before the first verdict")


class Standby(Section):
    """Machines kept ready beside the group."""

    suspended: Annotated[int, Field(ge=0, le=1000)] = Field(0, description="suspended machines")
    stopped: Annotated[int, Field(ge=0, le=1000)] = Field(0, description="stopped machines")


class Stateful(Section):
    """What a machine keeps when it is replaced, beside its name."""

    stores: list[Purpose] = Field(default_factory=lambda: [], description="stores on disks of each machine's own")
    internal_ip: bool = Field(False, description="keep the internal address")


class Group(Section):
    """The managed instance group, where the defaults do not suit."""

    scope: Literal["zonal", "regional"] | None = Field(None, description="one zone or several")
    update: Update | None = Field(None, description="rolling updates")
    autoscale: Autoscale | None = Field(None, description="autoscaling")
    placement: Literal["compact", "spread", "none"] | None = Field(None, description="how close the machines stand")
    heal: Heal | None = Field(None, description="autohealing")
    all_or_nothing: bool = Field(False, description="no machine before there is room for all")
    standby: Standby | None = Field(None, description="machines kept ready")
    stateful: Stateful | None = Field(None, description="what a machine keeps when it is replaced")


class Network(Section):
    """The network: created, or one that exists."""

    create: bool | None = Field(None, description="make a VPC for this workload; else true without `network`")
    range: CIDR | None = Field(None, description="addresses of the created VPC; else 10.20.0.0/16")
    nat: bool = Field(True, description="let machines without external address reach the internet")
    network: Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")] | None = Field(
        None, description="existing VPC"
    )
    subnetwork: Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")] | None = Field(
        None, description="existing subnetwork"
    )
    host_project: Text | None = Field(None, description="project of a shared VPC")


class Run(Section):
    """The program on the machines."""

    container: Text | None = Field(None, description="container image")
    command: list[str] | None = Field(None, description="command and arguments")
    env: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] | None = Field(
        None, description="environment; `secret:NAME` takes a value from Secret Manager"
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(8000, description="port it serves on")
    health: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$")] = Field(
        "/health", description="path that answers 200 when it can serve"
    )


class Security(Section):
    """Keys and guards."""

    kms_key: (
        Annotated[str, StringConstraints(pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$")]
        | None
    ) = Field(None, description="key for disks, file systems, buckets and images")
    confidential: Literal["sev", "sev-snp", "tdx"] | None = Field(
        None, description="encrypt the memory of the machines in use, by this technology of their processor"
    )
    secure_boot: bool | None = Field(
        None, description="load signed kernel modules only; else where all modules are known to be signed"
    )
    deletion_protection: bool = Field(True, description="guard what holds data against destruction")
    may_lose: list[Annotated[str, StringConstraints(pattern=r"^google_[a-z_]+\.[a-z0-9_]+$")]] = Field(
        default_factory=lambda: [], description="Terraform addresses whose content a new output may destroy or replace"
    )


class Limits(Section):
    """What the plan may not exceed."""

    usd_per_hour: Amount | None = Field(None, description="list price of an hour, USD")
    usd_total: Amount | None = Field(None, description="list price of the whole job, USD")
    kg_co2e: Amount | None = Field(None, description="emissions of the whole job, or of a month of serving, kg")


class Budget(Section):
    """A limit of spending that people are told of; nothing is stopped."""

    billing_account: Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$")] = Field(
        description="billing account that pays"
    )
    usd_per_month: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        description="amount of a month, in the currency of the account"
    )


class Observe(Section):
    """Who is told of what goes wrong, and how long logs are kept."""

    notify: list[Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]] = Field(
        default_factory=lambda: [], description="e-mail addresses that are told of incidents"
    )
    log_retention: Seconds | None = Field(
        None, description="how long logs of the machines are kept, 1 to 3650 days; else the project's 30 days"
    )
    metrics: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$")] | None = Field(
        None, description="path of the program's Prometheus metrics, on its port; else known from the engine"
    )
    budget: Budget | None = Field(None, description="amount of a month that people are told of")


class State(Section):
    """Where Terraform keeps its state."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]$")] = Field(
        description="existing bucket"
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]+$")] | None = Field(
        None, description="folder in the bucket; else the workload's name"
    )


class Workload(Section):
    """What a workload is. The root of the descriptor."""

    # Empty defaults are lambdas: pydantic asks for the signature of a factory, and that of `dict` starts a tokenizer. Empty
    # sections are constructed: to validate nothing, each would first compile a validator of its own.

    version: Annotated[Literal[1], BeforeValidator(_whole)] = Field(description="version of this format")
    name: Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)] = Field(
        description="RFC 1035 label; every cloud name derives from it"
    )
    task: Literal["pretrain", "finetune", "serve", "batch-inference", "data-prep", "compute"] = Field(
        description="what is done"
    )
    project: ProjectId | None = Field(None, description="project id; else a Terraform variable")
    labels: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][-_a-z0-9]{0,62}$")],
        Annotated[str, StringConstraints(pattern=r"^[-_a-z0-9]{0,63}$")],
    ] = Field(default_factory=lambda: {}, description="labels of every resource")
    platform: Literal["gce"] = Field("gce", description="where it runs")
    model: Model | None = Field(None, description="the model")
    serve: Serve | None = Field(None, description="traffic and latency (serve, batch-inference)")
    train: Train | None = Field(None, description="the training run (pretrain, finetune)")
    data: Data | None = Field(None, description="the data set")
    machine: Machine = Field(default_factory=Machine.model_construct, description="bounds for the machine")
    storage: list[Storage] = Field(default_factory=lambda: [], description="stores that are given or asked for")
    capacity: Capacity = Field(default_factory=Capacity.model_construct, description="how machines are obtained")
    place: Place = Field(default_factory=Place.model_construct, description="where")
    image: Image = Field(default_factory=Image.model_construct, description="the boot image")
    group: Group = Field(default_factory=Group.model_construct, description="the managed instance group")
    network: Network = Field(default_factory=Network.model_construct, description="the network")
    run: Run | None = Field(None, description="the program")
    security: Security = Field(default_factory=Security.model_construct, description="keys and guards")
    limits: Limits = Field(default_factory=Limits.model_construct, description="what the plan may not exceed")
    observe: Observe = Field(default_factory=Observe.model_construct, description="alerts, logs, budget")
    state: State | None = Field(None, description="remote state in a bucket; else local")

    _shape: dict[str, Any] | None = PrivateAttr(default=None)
    _files: dict[str, str] = PrivateAttr(default_factory=lambda: {})
    _where: Where | None = PrivateAttr(default=None)  # a function as default would be bound like a method

    @property
    def published_shape(self) -> dict[str, Any] | None:
        """Content of the ``config.json`` that ``model.config`` names; None without one."""
        return self._shape

    @property
    def files(self) -> dict[str, str]:
        """Text of the files that ``image.scripts`` and ``image.python`` name, by that name."""
        return self._files

    def at(self, path: str) -> Span | None:
        """The place of ``path`` (for example ``serve.ttft_ms`` or ``storage.0.service``) in the user's files.

        For a path that was not written, the place of the nearest part of it that was; None for a workload that did
        not come from a file.
        """
        return self._where(path) if self._where else None


NAME_PATTERN = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035 label
