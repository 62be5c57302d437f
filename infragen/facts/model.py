"""Records of the fact tables: one frozen record per row, one field per column, units in the names.

``None`` is "not known", never zero and never "no". Every row says where it comes from (``sources``: ids of
``docs/facts.md``) and how sure it is (``confidence``: verified, single-source, from-memory, ...).
"""

from typing import Literal

from msgspec import Struct

Flag = bool | None  # None: the sources do not say, or disagree


class Accelerator(Struct, frozen=True):
    """A GPU or TPU chip. Peaks are dense, per chip, in TFLOP/s (int8: TOP/s); None where the format has no native unit."""

    name: str
    aliases: tuple[str, ...]  # other ways of writing the name
    kind: Literal["gpu", "tpu"]
    terraform_type: str | None
    price_item: str | None  # its rows in prices.csv, without the machine for GPUs and with it for TPUs
    family: str  # the part of the name that covers all its memory sizes
    memory_gib: float  # as marketed; vendors mix decimal and binary here
    usable_gib: float  # what a process can get hold of
    memory_bandwidth_gb_s: float
    bf16_tflops: float | None
    fp16_tflops: float | None
    fp8_tflops: float | None
    fp4_tflops: float | None
    int8_tops: float | None
    fp32_tflops: float | None
    tdp_w: float | None
    measured_w: float | None  # average of a training run with its share of the host, where that is published
    interconnect: str
    interconnect_gb_s: float | None  # inside the node, both directions together
    is_switched: bool  # every chip of the node reaches every other at full rate (NVLink, ICI); else PCIe
    domain: int  # chips that the fast interconnect joins, at most
    native_formats: frozenset[str]  # fp16, bf16, fp8, fp4, int8
    architecture: str
    offered: bool
    confidence: str
    notes: str


class OtherAccelerator(Struct, frozen=True):
    """A chip that Google Cloud does not have. Figures serve to name the nearest that it has."""

    name: str
    aliases: tuple[str, ...]
    memory_gib: float
    memory_bandwidth_gb_s: float
    bf16_tflops: float
    confidence: str


class MachineType(Struct, frozen=True):
    """A machine type, or (``attached``) the rule for attaching an accelerator to general-purpose machines."""

    name: str
    series: str
    cpu_arch: Literal["x86_64", "arm64"]
    accelerator: str | None
    accelerators: float  # a fraction for partitioned accelerators
    vcpus: int
    memory_gib: float
    local_ssd_mode: Literal["bundled", "optional", "none", "unknown"]
    local_ssd_count: int | None
    local_ssd_gib: float | None
    network_gbps: float | None  # all interfaces together
    fabric: str  # row of fabrics.csv
    boot_disk_types: tuple[str, ...]  # best first
    data_disk_types: tuple[str, ...]
    max_hyperdisks: int | None
    on_demand: Flag
    spot: Flag
    flex_start: Flag
    reservation_bound: Flag
    calendar: Flag
    standard_reservation: Flag
    live_migration: Flag
    is_bare_metal: bool
    compact_placement: Flag
    placement_max_distances: tuple[int, ...]
    topology_unit_vms: int | None
    storage_series: str | None  # row of hyperdisk_support.csv
    confidence: str
    conf_provisioning: str
    conf_network: str
    sources: str
    notes: str

    @property
    def has_accelerator(self) -> bool:
        return self.accelerators > 0

    @property
    def is_attached(self) -> bool:
        """The accelerators are attached to a general-purpose machine instead of being part of the type."""
        return "+" in self.name


class Fabric(Struct, frozen=True):
    """How the machines of a series are wired together beyond their first interface."""

    name: str
    label: str  # what people call it; empty for plain networking
    data_vpcs: int  # extra VPCs with one subnet and one interface each
    data_nics: int  # interfaces for accelerator traffic, all VPCs together
    nic_type: str  # of those interfaces
    host_nics: int  # ordinary interfaces, each in a VPC of its own
    host_nic_type: str
    network_profile: str | None  # suffix of the zonal network profile
    has_subnets: bool  # false: the profile brings its subnets
    mtu: int
    accelerator_gbps: float  # per VM, for accelerator traffic; 0 for plain networking
    is_rdma: bool
    confidence: str
    sources: str


class Zone(Struct, frozen=True):
    """A place where a machine type exists. ``zone`` is None where only the region is known."""

    machine_type: str
    region: str
    zone: str | None
    tpu_access: str | None
    is_listed: Flag  # in the machine-type list of a normal project
    confidence: str


class Confidential(Struct, frozen=True):
    """A machine type whose memory can be encrypted with a key of its own processor."""

    machine_type: str
    technology: Literal["sev", "sev-snp", "tdx"]
    capacity_models: tuple[str, ...]  # that it is sold so under; empty: those of the type
    confidence: str


class Price(Struct, frozen=True):
    """A list price in USD per hour without taxes. ``scope`` says of what."""

    item: str
    scope: Literal["machine", "machine_without_gpu", "per_gpu", "per_chip"]
    region: str
    kind: str  # on_demand, spot, cud_1y, cud_3y, flex_start_inferred, dws_unspecified
    usd_per_hour: float
    includes: str  # what the price covers: vcpu, ram, gpu, local_ssd
    as_of: str
    is_buyable: bool
    confidence: str


class ServicePrice(Struct, frozen=True):
    """A list price in USD per unit without taxes, of anything but a machine. ``included`` units cost nothing."""

    item: str  # id of a storage service, or what else is billed
    unit: Literal["gib-month", "mib-s-month", "iops-month", "hour", "month", "gib", "mib", "million"]
    region: str  # ``everywhere``: the same in all
    kind: str  # on_demand, spot
    usd: float
    included: float | None
    as_of: str
    confidence: str


class AgreedPrices(Struct, frozen=True):
    """Prices that a customer has negotiated, as records like those of the tables."""

    of_machines: tuple[Price, ...] = ()
    of_services: tuple[ServicePrice, ...] = ()

    def machines(self, item: str) -> dict[tuple[str, str, str], Price]:
        """(scope, region, kind) -> price, of one item."""
        return {(one.scope, one.region, one.kind): one for one in self.of_machines if one.item == item}

    def services(self, item: str) -> tuple[ServicePrice, ...]:
        """The prices of one item."""
        return tuple(one for one in self.of_services if one.item == item)


class Region(Struct, frozen=True):
    """A region: where it lies and how clean its electricity is."""

    name: str
    location: str
    country: str  # ISO 3166-1 alpha-2
    groups: tuple[str, ...]  # residency groups it belongs to
    cfe_fraction: float | None  # hourly carbon-free share of the electricity, 0 to 1
    grid_g_co2e_per_kwh: float | None
    is_low_carbon: Flag
    carbon_year: int | None
    confidence: str


class ModelCard(Struct, frozen=True):
    """A published model. Parameters in units. ``attention`` is the card's own wording; see ``docs/facts.md``."""

    name: str
    family: str
    hf_id: str
    modality: str
    parameters: float
    active_parameters: float | None
    layers: int | None
    hidden_size: int | None
    attention_heads: int | None
    kv_heads: int | None
    head_dim: int | None
    intermediate_size: int | None
    experts: int | None
    experts_per_token: int | None
    expert_intermediate_size: int | None
    shared_experts: int | None
    vocabulary: int | None
    max_context_tokens: int | None
    attention: str
    sliding_window: int | None
    tied_embeddings: bool | None
    dtype: str
    kv_bytes_per_token: int | None  # bf16, no window
    parameters_method: str
    license: str
    confidence: str
    sources: str
    notes: str


class Topology(Struct, frozen=True):
    """A TPU slice: its shape, chips, machine type and VMs."""

    accelerator: str
    topology: str
    chips: int
    machine_type: str
    vms: int
    scope: str
    confidence: str


class StorageService(Struct, frozen=True):
    """A storage service or tier with its limits. Rates in MiB/s, capacities in GiB, None: no figure or not fixed."""

    id: str
    service: str  # the descriptor's word
    product: str
    tier: str
    is_new: bool  # may be chosen for new designs
    successor: str | None  # what takes its place, where it is deprecated
    posix: Literal["none", "basic", "full"]
    is_shared: bool  # many VMs at once
    is_writable_shared: bool  # ... and they may write
    is_parallel: bool  # one file system over many servers
    is_object: bool  # objects behind a file interface
    is_cached: bool  # with a cache in the zone of the readers
    is_persistent: bool
    scope: Literal["zonal", "regional", "host"]
    latency: Literal["sub-ms", "ms", "tens-of-ms"]
    min_gib: int
    max_gib: int | None
    step_gib: int
    threshold_gib: int | None  # above it the step is `step_above_gib`
    step_above_gib: int | None
    read_mib_s_per_gib: float | None
    write_mib_s_per_gib: float | None
    fixed_read_mib_s: float | None
    fixed_write_mib_s: float | None
    max_read_mib_s: float | None
    client_read_share: float | None  # of a client's network that its reads can fill ...
    client_read_mib_s: float | None  # ... and the most that was measured
    client_write_share: float | None
    client_write_mib_s: float | None
    max_clients: int | None
    clients_per_gib: float | None
    settings: frozenset[str]  # fields of the descriptor's entry that it has
    protocols: tuple[str, ...]
    range_prefix: int | None  # longest prefix of an address range reserved for it
    kms: bool  # takes a key of one's own
    is_provisioned: bool  # the rate is bought apart from the size, within these bounds:
    floor_mib_s: float | None
    floor_mib_s_per_gib: float | None
    floor_mib_s_per_client: float | None  # beyond 20 clients
    ceiling_mib_s_per_gib: float | None
    iops_step: int | None  # operations per second can be bought, in these steps and within these bounds:
    min_iops: int | None
    max_iops: int | None
    iops_floor_per_gib: float | None
    iops_ceiling_per_gib: float | None
    read_mib_s_per_iops: float | None  # rates that come with bought operations
    write_mib_s_per_iops: float | None
    clients_per_iops: float | None
    clients_by_gib: tuple[str, ...]  # ``GiB:clients``: up to that size, at most so many clients
    unpriced: str | None  # part of the service whose price is not known
    confidence: str
    sources: str

    @property
    def title(self) -> str:
        """The product and its tier; without the tier where the product's name says it."""
        return self.product if self.tier == self.service or self.is_object else f"{self.product} {self.tier}"


class DiskLimit(Struct, frozen=True):
    """What a disk type asks of the machine that it is attached to. ``machines``: a pattern of machine types."""

    machines: str
    disk_type: str
    min_vcpus: int | None
    max_mib_s: float | None  # of one machine
    counts: tuple[int, ...]  # numbers of local partitions that may be attached
    confidence: str
    sources: str


class ImageFamily(Struct, frozen=True):
    """A public image family to start from."""

    project: str
    family: str
    os: str
    arch: Literal["x86_64", "arm64"]
    has_driver: bool
    driver: str | None
    accelerators: frozenset[str]  # that its driver serves; empty: all that a branch of the driver knows
    fabrics: frozenset[str]  # rows of fabrics.csv that it is made for; empty: plain networking and accelerators
    has_parallel_client: bool  # packages of the parallel file system's client are known for it
    holds: frozenset[str]  # software that a build on it need not install: `cuda`, `python`
    preference: int  # the lowest is taken where several fit
    confidence: str
    sources: str
    notes: str


class Dispute(Struct, frozen=True):
    """A series and a consumption model that sources disagree or are silent about, and in what."""

    series: str
    model: str
    why: str
    confidence: str


class WorkloadPolicy(Struct, frozen=True):
    """That groups of a series take a workload policy. A topology must be in it where there is one."""

    series: str
    machine_types: tuple[str, ...]  # those of the series that take one; empty: all
    type: str
    accelerator_topology: str | None
    confidence: str


class OperatingSystem(Struct, frozen=True):
    """An operating system that images are made of. ``words`` are the pieces of an image's name that tell it."""

    name: str  # as in `ImageFamily.os`
    words: tuple[str, ...]
    packager: Literal["apt", "dnf", "none"]
    cuda_repository: str | None  # the folder of its packages at the vendor of the accelerators
    is_buildable: bool  # whether anything can be installed into it
    end_of_support: str  # ISO date, of the support that comes with the image
    confidence: str


class DriverBranch(Struct, frozen=True):
    """A branch of the accelerator driver, and the newest CUDA release that it is paired with."""

    branch: int
    cuda: str
    end_of_support: str  # ISO date
    confidence: str


class AcceleratorDriver(Struct, frozen=True):
    """The driver branches that know a chip; no last branch: the newest still does."""

    accelerator: str
    first_branch: int
    last_branch: int | None
    confidence: str
    notes: str


class ImageSoftware(Struct, frozen=True):
    """Packages for an image. They go in where the machine has all that ``needs`` names; empty sets ask for nothing."""

    id: str
    purpose: str
    needs: frozenset[str]
    os: frozenset[str]
    arch: frozenset[str]
    driver: int | None
    repository: str | None
    packages: tuple[str, ...]  # as the packager takes them; a shell may find $(uname -r) in one
    is_held: bool  # no upgrade may move it away from the driver or the kernel
    is_plugin: bool  # it makes programs use the fabric
    source_edit: str | None  # for sed: such a package holds the source of a kernel module, which is built for the image
    confidence: str
    sources: str
    notes: str


class ImageFile(Struct, frozen=True):
    """A file for an image, where the machine has all that ``needs`` names. Line breaks of its text are written as \\n."""

    id: str
    purpose: str
    needs: frozenset[str]
    path: str
    content: str
    unit: str | None  # of systemd, to be enabled
    confidence: str


class ImageRepository(Struct, frozen=True):
    """Where packages come from. ``line`` may name what /etc/os-release and the script set."""

    id: str
    kind: Literal[
        "apt", "deb", "repo", "yum"
    ]  # a line, a package that brings it, a file that brings it, a base address
    key: str | None  # address; `trusted`: it has none
    line: str
    transport: str | None  # the repository that must come before it
    packages: tuple[str, ...]  # what is installed from it before the next one is added
    confidence: str


class ImageBuilder(Struct, frozen=True):
    """A machine type that images are built on; the lowest preference is taken where several are to be had."""

    machine_type: str
    arch: Literal["x86_64", "arm64"]
    disk_type: str
    preference: int
    confidence: str


class Quota(Struct, frozen=True):
    """The quota metric that limits something. ``dimension``: what it is counted by beside the region."""

    kind: Literal["accelerator", "accelerators-everywhere", "vcpus", "local-ssd", "disk"]
    of: str  # an accelerator, a series or a disk type
    metric: str
    dimension: str
    preemptible_metric: str
    confidence: str


class HostMachine(Struct, frozen=True):
    """A general-purpose machine type without accelerator, for data preparation, builders and attached accelerators."""

    name: str
    series: str
    cpu_arch: Literal["x86_64", "arm64"]
    vcpus: int
    memory_gib: float
    zones: tuple[str, ...]
    confidence: str


class HostPrice(Struct, frozen=True):
    """Price of a general-purpose series in a region: per vCPU and per GB of memory, USD per hour."""

    series: str
    region: str
    kind: str
    usd_per_vcpu_hour: float
    usd_per_gb_hour: float
    as_of: str
    confidence: str
