"""What the lower stage gives: every Terraform block to write, as records, grouped by the file they go into.

Records hold what varies; templates hold the shape. A field that is None is an argument that is left out. Names that end
in ``_gib``, ``_s`` carry their unit; ``because`` are the comment lines that stand above a block or an argument.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import astuple

from infragen.lower.hcl import Expression, Value, literal

Text = str | Expression
Provider = Literal["google", "google-beta"]
Because = tuple[str, ...]


class Resource(Struct, frozen=True, kw_only=True):
    """A resource or data block: its address, and what stands before its own arguments."""

    type: str
    name: str  # the second word of the address
    because: Because = ()
    provider: Provider = "google"
    for_each: Expression | None = None
    depends_on: tuple[Expression, ...] = ()
    mode: Literal["resource", "data"] = "resource"

    @property
    def address(self) -> str:
        """Terraform address without an instance key."""
        return f"{'data.' if self.mode == 'data' else ''}{self.type}.{self.name}"

    def get(self, attribute: str = "id", key: Text | None = None) -> Expression:
        """A reference to an attribute; ``key`` picks an instance of a ``for_each``."""
        index = f"[{literal(key)}]" if key is not None else ""
        return Expression(f"{self.address}{index}.{attribute}")

    @property
    def whole(self) -> Expression:
        """A reference to all of it, for ``depends_on`` and ``for_each``."""
        return Expression(self.address)


class Named(Resource, frozen=True, kw_only=True):
    """A resource with a name in the cloud."""

    cloud_name: Text


class Variable(Struct, frozen=True, kw_only=True):
    """An input variable. ``value`` is what ``terraform.tfvars`` sets it to."""

    name: str
    type: str
    description: str
    default: Value | None = None
    is_nullable: bool = False  # default null: what happens then is in the description
    value: Value | None = None
    condition: Expression | None = None
    error: str = ""
    because: Because = ()


class Local(Struct, frozen=True, kw_only=True):
    """A named expression."""

    name: str
    value: Value
    because: Because = ()


class Output(Struct, frozen=True, kw_only=True):
    """A value that `terraform output` prints."""

    name: str
    description: str
    value: Expression


class Settings(Struct, frozen=True, kw_only=True):
    """What holds for the whole root module."""

    required_version: str
    provider_version: str
    has_beta: bool
    state_bucket: str | None
    state_prefix: str
    labels: Mapping[str, str]


# --- network ---------------------------------------------------------------------------------------------------------


class Network(Named, frozen=True, kw_only=True):
    """A VPC without automatic subnets."""

    description: str
    mtu: int
    profile: Expression | None = None


class Subnet(Named, frozen=True, kw_only=True):
    """A subnet of a created VPC; with a purpose it serves load balancers only."""

    range: Text
    network: Expression
    purpose: str | None = None
    role: str | None = None
    has_flow_logs: bool = True


class FirewallRule(Named, frozen=True, kw_only=True):
    """An ingress rule. ``allows``: protocol, ports (none: all)."""

    description: str
    network: Expression
    sources: Value
    allows: tuple[tuple[str, tuple[str, ...]], ...]
    target: Expression | None


class Router(Named, frozen=True, kw_only=True):
    """The router that a NAT hangs on."""

    network: Expression


class Nat(Named, frozen=True, kw_only=True):
    """A way out to the internet for machines without an external address."""

    router: Expression
    subnet: Expression


class PeeringRange(Named, frozen=True, kw_only=True):
    """Addresses of the VPC that a managed service may use."""

    first: str  # address
    prefix_length: int
    network: Expression


class PeeringConnection(Resource, frozen=True, kw_only=True):
    """The peering between the VPC and the managed services."""

    network: Expression
    ranges: tuple[Expression, ...]


class NetworkPart(Struct, frozen=True, kw_only=True):
    """Everything of network.tf. ``locals`` come first."""

    locals: tuple[Local, ...] = ()
    networks: tuple[Network, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    router: Router | None = None
    nat: Nat | None = None
    peering_range: PeeringRange | None = None
    peering: PeeringConnection | None = None
    rules: tuple[FirewallRule, ...] = ()


# --- storage ---------------------------------------------------------------------------------------------------------


class Bucket(Named, frozen=True, kw_only=True):
    """An object store. Hierarchical buckets rename folders in one step and cannot keep versions.

    ``zone``: all its objects are in that zone, in the class made for it. ``cools``: objects that lie become cheaper to keep.
    """

    is_read_only: bool  # by the machines; people publish into it
    is_hierarchical: bool
    keeps_versions: bool
    cools: bool
    zone: Expression | None
    kms_key: str | None
    is_guarded: bool


class Cache(Resource, frozen=True, kw_only=True):
    """A cache of a bucket in a zone of its readers."""

    bucket: Text
    zone: Expression


class SnapshotSchedule(Named, frozen=True, kw_only=True):
    """Daily snapshots of disks."""

    keep_days: int


class FileShare(Named, frozen=True, kw_only=True):
    """An NFS server with one share."""

    tier: str
    location: Expression
    share: str
    capacity_gib: int
    network: Expression
    protocol: str
    connect_mode: str
    reserved_range: Text | None
    max_iops: int | None
    kms_key: str | None
    description: str
    has_service_guard: bool | None  # the service itself refuses deletion; None: the tier cannot
    is_guarded: bool


class ParallelFileSystem(Named, frozen=True, kw_only=True):
    """A parallel file system. ``rate_mb_s_per_tib`` None: the dynamic tier."""

    location: Expression
    file_system: str
    capacity_gib: int
    rate_mb_s_per_tib: int | None
    network: Expression
    kms_key: str | None
    description: str
    is_guarded: bool


class ScratchFileSystem(Named, frozen=True, kw_only=True):
    """A parallel file system of the kind its vendor has deprecated."""

    location: Expression
    capacity_gib: int
    network: Expression
    reserved_range: Expression | None
    description: str
    is_guarded: bool


class Disk(Named, frozen=True, kw_only=True):
    """A disk that many machines attach read-only, made from a snapshot; or (``snapshot`` can be null) filled in place."""

    disk_type: str
    size_gib: int
    zone: Expression
    snapshot: Expression
    throughput_mib_s: int | None
    access_mode: Expression | None
    kms_key: str | None
    is_guarded: bool


class StoragePart(Struct, frozen=True, kw_only=True):
    """Everything of storage.tf."""

    locals: tuple[Local, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    caches: tuple[Cache, ...] = ()
    shares: tuple[FileShare, ...] = ()
    parallel: tuple[ParallelFileSystem, ...] = ()
    scratch: tuple[ScratchFileSystem, ...] = ()
    disks: tuple[Disk, ...] = ()
    schedules: tuple[SnapshotSchedule, ...] = ()


# --- capacity --------------------------------------------------------------------------------------------------------


class ReservedMachine(Struct, frozen=True, kw_only=True):
    """The properties that a machine and its reservation share. Bundled accelerators and disks are not listed."""

    machine_type: str
    accelerator_type: str | None = None
    accelerators: int = 0
    local_ssds: int = 0


class Reservation(Named, frozen=True, kw_only=True):
    """Machines kept free from now on, and paid for from now on."""

    zone: Expression
    count: int
    machine: ReservedMachine
    shared_with: tuple[str, ...]
    is_specific: bool
    is_guarded: bool


class FutureReservation(Named, frozen=True, kw_only=True):
    """A request for machines in a window of time."""

    zone: Expression
    reservation_name: str
    count: int
    machine: ReservedMachine
    start: str
    end: str
    reservation_mode: Literal["DEFAULT", "CALENDAR"]
    planning_status: Literal["DRAFT", "SUBMITTED"]
    deployment_type: str | None
    is_specific: bool
    shared_with: tuple[str, ...]
    is_guarded: bool


class ResizeRequest(Named, frozen=True, kw_only=True):
    """A request for machines that waits until all of them can be had."""

    location: tuple[str, Expression]  # argument, value
    group: Expression
    size: int
    run_s: int | None


class PlacementPolicy(Named, frozen=True, kw_only=True):
    """How close machines stand: a policy of the template, or (``workload``) of the group."""

    is_workload_policy: bool
    is_compact: bool
    topology: str | None = None
    domains: int | None = None


class CapacityPart(Struct, frozen=True, kw_only=True):
    """Everything of capacity.tf."""

    reservations: tuple[Reservation, ...] = ()
    future_reservation: FutureReservation | None = None
    resize_request: ResizeRequest | None = None
    placement: PlacementPolicy | None = None


# --- compute ---------------------------------------------------------------------------------------------------------


class BootDisk(Struct, frozen=True, kw_only=True):
    """The first disk."""

    image: Expression
    disk_type: str
    size_gib: int
    kms_key: str | None
    because: Because = ()


class MoreDisk(Struct, frozen=True, kw_only=True):
    """Another disk of each machine. ``source``: an existing disk by name; else a new one."""

    device_name: str | None = None
    source: Expression | None = None
    disk_type: str | None = None
    size_gib: int | None = None
    kind: Literal["SCRATCH", "PERSISTENT"] = "PERSISTENT"
    interface: str | None = None
    iops: int | None = None
    throughput_mib_s: int | None = None
    is_read_only: bool = False
    auto_delete: bool = True
    snapshots: Expression | None = None
    kms_key: str | None = None
    because: Because = ()


class Interface(Struct, frozen=True, kw_only=True):
    """A network interface, or (``for_each``) one per item of a map of subnets or a set of names."""

    nic_type: str
    network: Expression | None = None
    subnet: Expression | None = None
    stack_type: str | None = None
    for_each: Expression | None = None
    because: Because = ()


class Scheduling(Struct, frozen=True, kw_only=True):
    """How the machine lives and ends."""

    provisioning_model: str
    automatic_restart: bool
    on_host_maintenance: str
    is_preemptible: bool = False
    termination_action: str | None = None
    max_run_s: int | None = None
    because: Because = ()


class Affinity(Struct, frozen=True, kw_only=True):
    """Which reservations the machine may use."""

    type: str
    values: tuple[Text, ...] = ()


class InstanceTemplate(Resource, frozen=True, kw_only=True):
    """What a machine is."""

    name_prefix: str
    description: str
    machine_type: str
    machine_because: Because
    accelerator_type: str | None
    accelerators: int
    boot_disk: BootDisk
    disks: tuple[MoreDisk, ...]
    interfaces: tuple[Interface, ...]
    metadata: Mapping[str, Value]
    scheduling: Scheduling
    affinity: Affinity | None
    resource_policy: Expression | None
    service_account: Expression
    scopes: tuple[str, ...]
    secure_boot: bool
    secure_boot_because: Because
    confidential: str | None  # the API's name of the technology


class Healing(Struct, frozen=True, kw_only=True):
    """When a machine that fails its check is replaced."""

    health_check: Expression
    initial_delay_s: int
    because: Because = ()


class UpdatePolicy(Struct, frozen=True, kw_only=True):
    """How a new template reaches the machines."""

    type: str
    replacement: str
    max_surge: int
    max_unavailable: int
    redistribution: str | None
    because: Because = ()


class GroupVersion(Struct, frozen=True, kw_only=True):
    """A template, and the share of the machines that are made from it; None: all the others."""

    name: str
    template: Expression
    percent: int | None = None
    because: Because = ()


class InstanceGroup(Named, frozen=True, kw_only=True):
    """The managed instance group."""

    base_name: str
    description: str
    location: tuple[str, Expression]  # argument, value
    zones: Expression | None
    shape: str | None
    versions: tuple[GroupVersion, ...]
    size: int | Expression | None  # None: the autoscaler or a resize request decides
    size_because: Because
    suspended: int | Expression
    stopped: int | Expression
    standby_delay_s: int
    port: tuple[str, int] | None
    healing: Healing | None
    update: UpdatePolicy
    on_failure: str
    repairs_unhealthy: bool
    updates_on_repair: bool
    changes_zone: bool  # a machine that cannot be had again in its zone comes back in another
    is_all_or_nothing: bool
    workload_policy: Expression | None
    waits: bool
    stateful_disks: tuple[str, ...] = ()  # device names
    keeps_internal_ip: bool = False
    keeps_for_good: bool = True  # what is kept outlives its machine
    selections: tuple[tuple[str, str, int], ...] = ()  # name, machine type, rank; the lowest is tried first


class ScalingSchedule(Struct, frozen=True, kw_only=True):
    """A time with more machines."""

    name: str
    schedule: str
    time_zone: str
    duration_s: int
    machines: int


class Autoscaler(Named, frozen=True, kw_only=True):
    """Holds a signal at its target by adding and removing machines."""

    location: tuple[str, Expression]
    group: Expression
    min_size: int | Expression
    max_size: int
    cooldown_s: int
    scales_in: bool
    scale_in_machines: int
    scale_in_window_s: int
    scaling_mode: str | Expression
    signal: Literal["cpu", "metric", "queue", "load-balancing"]
    target: float
    target_because: Because = ()
    metric: str | None = None
    filter: str | None = None
    schedules: tuple[ScalingSchedule, ...] = ()


class HealthCheck(Named, frozen=True, kw_only=True):
    """A probe. ``path`` None: a TCP connection is enough."""

    description: str
    region: Expression | None
    port: int
    path: str | None
    interval_s: int
    timeout_s: int
    healthy: int
    unhealthy: int


class ComputePart(Struct, frozen=True, kw_only=True):
    """Everything of main.tf."""

    templates: tuple[InstanceTemplate, ...]
    group: InstanceGroup
    health_check: HealthCheck | None
    autoscaler: Autoscaler | None

    @property
    def template(self) -> InstanceTemplate:
        """What most machines are made from; a canary's comes after it."""
        return self.templates[0]


# --- serving, image, identity, monitoring ------------------------------------------------------------------------------


class BackendService(Named, frozen=True, kw_only=True):
    """The machines as a load balancer sees them."""

    region: Expression | None
    scheme: str
    port_name: str
    timeout_s: int
    drain_s: int
    health_check: Expression
    group: Expression
    max_requests_per_second: float | None  # per machine; None: balanced by utilisation
    security_policy: Expression | None


class FrontDoor(Struct, frozen=True, kw_only=True):
    """From an address to the backend service. A door to the internet has TLS and a request limit; regions are None there."""

    address: Named
    url_map: Named
    proxy: Named
    rule: Named
    certificate: Named | None
    ssl_policy: Named | None
    security_policy: Named | None
    redirect: (
        tuple[Named, Named, Named] | None
    )  # URL map, proxy and rule that send plain requests to the encrypted door
    region: Expression | None
    scheme: str
    network: Expression | None
    subnet: Expression | None


class ServingPart(Struct, frozen=True, kw_only=True):
    """Everything of serving.tf."""

    health_check: HealthCheck
    backend: BackendService
    door: FrontDoor


class ImageLookup(Resource, frozen=True, kw_only=True):
    """The newest image of a family, looked up when Terraform plans."""

    family: str
    project: Text


class MadeImage(Named, frozen=True, kw_only=True):
    """An image that Terraform makes. ``source``: argument and value; None: the archive is it."""

    description: str
    family: str | None
    source: tuple[str, Text] | None
    archive: str | None
    sha1: str | None
    location: Expression
    features: tuple[str, ...]
    kms_key: str | None


class ImagePart(Struct, frozen=True, kw_only=True):
    """Everything of image.tf."""

    locals: tuple[Local, ...]
    lookup: ImageLookup | None
    made: MadeImage | None = None


class ImageRepository(Struct, frozen=True, kw_only=True):
    """Where packages come from, as the script adds it: a function of the script, and its arguments."""

    function: str
    arguments: tuple[str, ...]
    packages: tuple[str, ...]  # what is installed before the next one is added


class ImagePackages(Struct, frozen=True, kw_only=True):
    """Packages that are installed together, and what for. ``source_edit``: of the module's source that the package holds."""

    purpose: str
    packages: tuple[str, ...]
    is_held: bool
    source_edit: str | None


class ImageFile(Struct, frozen=True, kw_only=True):
    """A file, its text with line breaks as \\n, and the unit of systemd that it is, where it is to be enabled."""

    purpose: str
    path: str
    content: str
    unit: str | None


class ImageBuild(Struct, frozen=True, kw_only=True):
    """Everything of image/: the Packer file and what it runs. Values that hold `var.` are expressions of Packer."""

    name: str
    family: str
    description: str
    because: Because
    project: str | None
    base: tuple[str, str]  # argument, name
    base_project: Text
    labels: Mapping[str, str]
    location: str
    zone: str
    region: str
    subnet: Expression
    machine_type: str
    has_accelerator: bool
    disk_type: str
    disk_gib: int
    external_ip: bool
    account: Expression
    kms_key: str | None
    packer_version: str
    plugin_version: str
    longest_s: int  # the builder is deleted after that, whatever happens
    # the script that installs
    cuda_repository: str | None
    repositories: tuple[ImageRepository, ...]
    software: tuple[ImagePackages, ...]
    files: tuple[ImageFile, ...]
    packages: tuple[str, ...]
    requirements: str | None
    holds_kernel: bool
    has_container: bool
    has_accelerators: bool
    container: str | None  # pulled while building
    scripts: tuple[tuple[str, str], ...]  # file below image/scripts, text


class ServiceAccount(Resource, frozen=True, kw_only=True):
    """Who the machines are."""

    account_id: str
    display_name: str
    description: str


class Member(Resource, frozen=True, kw_only=True):
    """A role for the machines. ``target``: arguments that say on what."""

    target: tuple[tuple[str, Text], ...]
    role: Text
    member: Expression


class Services(Resource, frozen=True, kw_only=True):
    """The APIs that the stack uses."""

    apis: tuple[str, ...]


class IdentityPart(Struct, frozen=True, kw_only=True):
    """Everything of iam.tf."""

    services: Services
    accounts: tuple[ServiceAccount, ...]
    members: tuple[Member, ...]


class Threshold(Struct, frozen=True, kw_only=True):
    """A condition on one metric that is there from the start."""

    filter: Text
    comparison: Literal["COMPARISON_GT", "COMPARISON_LT"]
    value: float | Expression
    duration_s: int
    aligner: str
    reducer: str | None
    group_by: tuple[str, ...]


class Query(Struct, frozen=True, kw_only=True):
    """A condition in the Prometheus query language; its metrics need not be there yet."""

    text: str
    duration_s: int


class LogMatch(Struct, frozen=True, kw_only=True):
    """Any log entry that a filter finds."""

    filter: str
    told_every_s: int  # at most once


class AlertPolicy(Resource, frozen=True, kw_only=True):
    """A condition that opens an incident."""

    title: str
    condition: Threshold | Query | LogMatch
    text: str

    @property
    def threshold(self) -> Threshold | None:
        return self.condition if isinstance(self.condition, Threshold) else None

    @property
    def match(self) -> LogMatch | None:
        return self.condition if isinstance(self.condition, LogMatch) else None

    @property
    def query(self) -> Query | None:
        return self.condition if isinstance(self.condition, Query) else None


class LogMetric(Named, frozen=True, kw_only=True):
    """A count of log entries. ``labels``: key, extractor, description."""

    description: str
    filter: str
    resource: str  # the kind of resource whose logs they are
    labels: tuple[tuple[str, str, str], ...] = ()


class NotificationChannel(Resource, frozen=True, kw_only=True):
    """An e-mail address that is told of incidents."""

    email: Expression


class Dashboard(Resource, frozen=True, kw_only=True):
    """A dashboard, as the API takes it."""

    content: Mapping[str, Value]


class LogBucket(Resource, frozen=True, kw_only=True):
    """Where logs are kept for a time of their own."""

    bucket_id: str
    description: str
    project: Expression
    location: Expression
    days: int


class LogSink(Named, frozen=True, kw_only=True):
    """What sends logs there too."""

    description: str
    destination: Expression
    filter: str


class Budget(Resource, frozen=True, kw_only=True):
    """An amount of a month that people are told of. ``label``: the workload's."""

    title: str
    billing_account: str
    label: str
    amount: int


class MonitoringPart(Struct, frozen=True, kw_only=True):
    """Everything of monitoring.tf. ``told``: the channels of every alert."""

    channels: NotificationChannel | None
    told: Expression
    log_metrics: tuple[LogMetric, ...]
    policies: tuple[AlertPolicy, ...]
    dashboard: Dashboard
    log_bucket: LogBucket | None
    log_sink: LogSink | None
    budget: Budget | None


# --- what runs on the machine, and what people read --------------------------------------------------------------------


class Mount(Struct, frozen=True, kw_only=True):
    """A store as the boot scripts see it: one line of the instance metadata, fields separated by blanks."""

    kind: Literal["bucket", "nfs", "parallel", "scratch", "disk", "attached", "folder", "local"]
    source: Text
    target: str
    options: str = "-"


class Boot(Struct, frozen=True, kw_only=True):
    """What the boot scripts contain. Values are read from instance metadata at boot; none is written into a script."""

    mounts: tuple[Mount, ...]
    local_ssd: str | None  # where the machine's local disks are mounted, as one volume
    holds_containers: bool  # ... and the container engine keeps its data on it
    has_container: bool
    has_command: bool
    has_env: bool
    has_layout: bool  # the program is told how the model lies on the machine
    restart: Literal["always", "on-failure"]
    has_accelerators: bool
    has_split_replicas: bool  # ranks are told within a replica of several machines
    has_ranks: bool  # the program is told its rank, the size of the group and where its first machine is
    has_secrets: bool
    has_metrics: bool  # the agent reads metrics of the program
    is_prepared: bool = False  # the image holds what would be installed else
    has_rdma: bool = False  # the machine's fabric reads and writes remote memory
    has_python: bool = False  # programs find the environment that the image holds

    @property
    def has_program(self) -> bool:
        """Whether anything is started."""
        return self.has_container or self.has_command

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of store that are mounted."""
        return frozenset(mount.kind for mount in self.mounts)


class Step(Struct, frozen=True, kw_only=True):
    """A step of the README: what it does, why, and the exact commands."""

    title: str
    text: str
    commands: tuple[str, ...] = ()


class Choice(Struct, frozen=True, kw_only=True):
    """A decision as the README tells it."""

    subject: str
    choice: str
    because: tuple[str, ...]
    alternatives: tuple[str, ...]
    would_change: tuple[str, ...]


class Guide(Struct, frozen=True, kw_only=True):
    """What the README says."""

    summary: str
    choices: tuple[Choice, ...]
    prepare: tuple[Step, ...]
    operate: tuple[Step, ...]
    quotas: tuple[tuple[str, str, int, str], ...]
    roles: tuple[str, ...]
    machine_roles: tuple[tuple[str, str], ...]  # of the account of the machines: role, on what
    guards: tuple[str, ...]
    limits: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str, str], ...] = ()  # variable, value, what it means


class Stack(Struct, frozen=True, kw_only=True):
    """Everything there is to write for one workload, one field per file or group of files."""

    name: str
    settings: Settings
    variables: tuple[Variable, ...]
    outputs: tuple[Output, ...]
    compute: ComputePart
    network: NetworkPart
    identity: IdentityPart
    boot: Boot
    guide: Guide
    storage: StoragePart | None = None
    capacity: CapacityPart | None = None
    image: ImagePart
    build: ImageBuild | None = None
    serving: ServingPart | None = None
    monitoring: MonitoringPart | None = None

    @property
    def blocks(self) -> tuple[Resource, ...]:
        """Every resource and data block, sorted by address."""
        found = {one.address: one for one in _resources(self)}
        return tuple(found[address] for address in sorted(found))

    @property
    def resources(self) -> tuple[tuple[str, Provider], ...]:
        """Address and provider of every resource, sorted by address; data blocks are none."""
        return tuple((one.address, one.provider) for one in self.blocks if one.mode == "resource")


def _resources(record: object) -> Iterator[Resource]:
    """Every resource in a record and the records below it, in no order."""
    pending = [record]
    while pending:
        one = pending.pop()
        if isinstance(one, Resource):
            yield one
        elif isinstance(one, tuple):
            pending.extend(one)
        elif isinstance(one, Struct):
            pending.extend(astuple(one))
