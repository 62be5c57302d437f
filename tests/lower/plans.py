"""Plans by hand, with records of the real fact tables: two realistic workloads, and a variation for every other path."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from infragen.decide.model import (
    CapacityChoice,
    Costs,
    Decision,
    Estimate,
    GroupChoice,
    ImageChoice,
    LocationChoice,
    MachineChoice,
    NetworkChoice,
    Plan,
    Program,
    QuotaNeed,
    Reason,
    ServingChoice,
    StorageChoice,
)  # fmt: skip
from infragen.facts.load import Catalog

CATALOG = Catalog()
KEY = "projects/keys/locations/europe-west4/keyRings/ml/cryptoKeys/data"


def decision(choice: Any, *because: tuple[str, str]) -> Decision[Any]:
    return Decision(choice, tuple(Reason(rule, text) for rule, text in because))


def machine(type: str, nodes: int, record: str | None = None, **changes: Any) -> MachineChoice:
    row = CATALOG.machines[record or type]
    chip = CATALOG.accelerators[row.accelerator] if row.accelerator else None
    found = MachineChoice(
        type=type, record=row, accelerator=chip, accelerators_per_node=row.accelerators,
        attached_accelerators=int(row.accelerators) if row.is_attached else 0, nodes=nodes,
        fabric=CATALOG.fabrics[row.fabric], vcpus=row.vcpus, memory_gib=row.memory_gib,
        boot_disk_type=row.boot_disk_types[0], boot_disk_gib=200,
    )  # fmt: skip
    return replace(found, **changes)


def store(purpose: Any, service: str, mount: str, **changes: Any) -> Decision[StorageChoice]:
    found = StorageChoice(
        purpose=purpose, service=CATALOG.storage_services[service], capacity_gib=0, throughput_mib_s=0, iops=None,
        mount=mount, clients=9, is_read_only=purpose == "weights",
    )  # fmt: skip
    return decision(replace(found, **changes), ("T004", "the cheapest service that can do it"))


def serve() -> Plan:
    """Llama 3.1 8B on one accelerator per machine, several zones, behind an internal load balancer."""
    return Plan(
        name="support-chat",
        task="serve",
        project="ml-prod-123",
        labels=(("team", "support"), ("cost-center", "4711")),
        state_bucket=None,
        state_prefix=None,
        kms_key=None,
        deletion_protection=True,
        platform=decision("gce", ("P001", "machines with GPUs behind a load balancer")),
        machine=decision(machine("g2-standard-12", 3), ("M009", "memory-fit: 19.6 GiB of 20.2 GiB")),
        storage=(store("weights", "cloud-storage", "/mnt/weights"),),
        capacity=decision(CapacityChoice("on-demand"), ("C002", "the service runs for good")),
        location=decision(
            LocationChoice(CATALOG.regions["europe-west4"], ("europe-west4-a", "europe-west4-b", "europe-west4-c")),
            ("R002", "residency: eu; cheapest of 6 regions"),
        ),
        image=decision(
            ImageChoice(None, "chat-serving", None, "family-at-boot", "", "x86_64", None), ("I001", "image.base names it")
        ),
        group=decision(
            GroupChoice(
                scope="regional", size=3, min_size=2, max_size=8, has_autoscaler=True, signal="requests", target=1.5,
                scales_in=True, update_type="proactive", max_surge=3, max_unavailable=0, replacement="substitute",
                heals=True, initial_delay_s=480, placement="none",
            ),
            ("G001", "replicas answer from any zone of the region"),
            ("G003", "spare machines can be had: none goes before its successor serves"),
            ("G004", "a machine answers 1.5 requests/s within the latency asked for"),
            ("G005", "first verdict after 8 min"),
            ("G006", "3 VMs at peak; between 2 and 8 as asked"),
        ),
        network=decision(NetworkChoice(True, "10.20.0.0/16", True), ("N010", "no network is named")),
        serving=ServingChoice("internal", 8000, "/health", 600, 300),
        program=Program(
            "europe-docker.pkg.dev/ml-prod-123/serving/vllm:v0.11",
            ("--model", "/mnt/weights", "--max-model-len", "8192"),
            (("VLLM_LOGGING_LEVEL", "INFO"),),
            (("HF_TOKEN", "hf-token"),),
        ),
        estimate=Estimate(Costs((), "europe-west4")),
        advice=(),
        quotas=(QuotaNeed("NVIDIA_L4_GPUS", "europe-west4", 11, "surge included"),),
        model_name="meta-llama/Llama-3.1-8B-Instruct",
    )  # fmt: skip


def train() -> Plan:
    """A full fine-tune of a 70B model on eight reserved machines in one zone, with their own data networks."""
    zone = "europe-west4-b"
    return replace(
        serve(),
        name="tune-70b",
        task="finetune",
        machine=decision(machine("a3-highgpu-8g", 8, boot_disk_gib=500), ("M009", "70 B parameters over 64 accelerators")),
        storage=(
            store("dataset", "filestore-zonal-high", "/mnt/dataset", capacity_gib=20480, throughput_mib_s=5200),
            store("checkpoints", "filestore-zonal-high", "/mnt/checkpoints", shared_with="dataset"),
        ),
        capacity=decision(
            CapacityChoice("reservation", reservation="q1-block", project="capacity-host"), ("C001", "it is booked")
        ),
        location=decision(LocationChoice(CATALOG.regions["europe-west4"], (zone,)), ("R001", "the reservation's zone")),
        image=decision(
            ImageChoice("ubuntu-os-accelerator-images", "ubuntu-accelerator-2404-amd64-with-nvidia-580", None,
                        "family-at-boot", "ubuntu", "x86_64", CATALOG.image_families[0]),
            ("I005", "holds the driver"),
        ),
        group=decision(
            GroupChoice(
                scope="zonal", size=8, min_size=8, max_size=8, has_autoscaler=False, signal=None, target=None,
                scales_in=False, update_type="opportunistic", max_surge=0, max_unavailable=1,
                replacement="substitute", heals=False, initial_delay_s=600, placement="compact",
            ),
            ("G001", "the machines work together: one zone"),
            ("G002", "a new version waits until a machine is replaced anyway"),
            ("G007", "the machines exchange gradients at every step"),
        ),
        network=decision(NetworkChoice(True, "10.30.0.0/16", True, mtu=8244), ("N010", "no network is named")),
        serving=None,
        program=Program(
            "europe-docker.pkg.dev/ml-prod-123/training/tune:1", ("torchrun", "train.py", "--out", "/mnt/checkpoints"),
            (("NCCL_DEBUG", "WARN"),), (),
        ),
        quotas=(),
        data_source="gs://corpus/tune/v2",
        model_name="meta-llama/Llama-3.1-70B",
    )  # fmt: skip


def _with(plan: Plan, **choices: Any) -> Plan:
    """The plan with other choices: the reasons of a decision stay, its choice is the one given."""
    return replace(plan, **{name: replace(getattr(plan, name), choice=choice) for name, choice in choices.items()})


def _changed(plan: Plan, part: str, **changes: Any) -> Plan:
    return _with(plan, **{part: replace(getattr(plan, part).choice, **changes)})


def spot() -> Plan:
    return _with(serve(), capacity=CapacityChoice("spot"))


def created_reservation() -> Plan:
    plan = _with(
        train(), capacity=CapacityChoice("reservation", reservation="tune", creates=True, shared_with=("other",))
    )
    return replace(plan, state_bucket="ml-state")


def regional_reservation() -> Plan:
    return _with(serve(), capacity=CapacityChoice("reservation", reservation="chat", creates=True))


def future_reservation(submit: bool = False) -> Plan:
    choice = CapacityChoice(
        "future-reservation", reservation="q1-block", creates=True, start="2027-01-11T08:00:00Z",
        end="2027-02-10T08:00:00Z", submit=submit,
    )  # fmt: skip
    return _with(train(), capacity=choice)


def submitted() -> Plan:
    return future_reservation(submit=True)


def calendar() -> Plan:
    choice = CapacityChoice(
        "calendar", reservation="q1", creates=True, start="2027-01-11T08:00:00Z", end="2027-01-25T08:00:00Z"
    )
    return _with(rdma(), capacity=choice)


def flex_start() -> Plan:
    return _with(train(), capacity=CapacityChoice("flex-start", run_for_s=172_800, mode="resize-request"))


def flex_start_bulk() -> Plan:
    return _with(train(), capacity=CapacityChoice("flex-start", run_for_s=172_800, mode="bulk"))


def flex_start_regional() -> Plan:
    plan = _changed(flex_start(), "location", zones=("europe-west4-a", "europe-west4-b"))
    return _changed(plan, "group", scope="regional", max_unavailable=2)


def rdma() -> Plan:
    """A machine with two ordinary interfaces and eight for RDMA, and a parallel file system."""
    plan = _with(train(), machine=machine("a3-ultragpu-8g", 8))
    stores = (
        store("dataset", "lustre-500", "/mnt/dataset", capacity_gib=36000),
        store("checkpoints", "lustre-500", "/mnt/checkpoints", shared_with="dataset"),
    )
    return replace(plan, storage=stores, network=decision(NetworkChoice(True, "10.40.0.0/16", True, mtu=8896)))


def bare_metal() -> Plan:
    return _with(rdma(), machine=machine("a4x-maxgpu-4g-metal", 4), image=replace(rdma().image.choice, arch="arm64"))


def attached() -> Plan:
    host = machine("n1-standard-16", 3, "n1+T4x1", local_ssd_count=2, vcpus=16, memory_gib=60)
    plan = _changed(_with(serve(), machine=host), "group", signal="gpu-utilization", target=0.7)
    scratch = store("scratch", "local-ssd", "/mnt/scratch", is_read_only=False)
    home = store("home", "pd-ssd", "/mnt/home", capacity_gib=100, is_read_only=False)
    return replace(plan, storage=(*plan.storage, scratch, home))


def shared_vpc() -> Plan:
    choice = NetworkChoice(False, "10.20.0.0/16", False, "prod", "prod-eu", "net-host")
    return _with(serve(), network=choice)


def existing_network() -> Plan:
    return _with(serve(), network=NetworkChoice(False, "10.20.0.0/16", False, "prod", "prod-eu"))


def encrypted() -> Plan:
    return replace(train(), kms_key=KEY)


def encrypted_bucket() -> Plan:
    return replace(serve(), kms_key=KEY)


def encrypted_parallel() -> Plan:
    return replace(rdma(), kms_key=KEY)


def shared_disk() -> Plan:
    plan = _changed(_changed(serve(), "location", zones=("europe-west4-b",)), "group", scope="zonal", max_surge=1)
    weights = store("weights", "hyperdisk-ml", "/mnt/weights", capacity_gib=256, throughput_mib_s=2400)
    return replace(plan, storage=(weights,))


def shared_disk_regional() -> Plan:
    return replace(serve(), storage=shared_disk().storage, kms_key=KEY)


def external() -> Plan:
    return replace(serve(), serving=ServingChoice("external", 8000, "/health", 600, 300))


def unexposed() -> Plan:
    plan = replace(serve(), serving=ServingChoice("none", 8000, "/health", 600, 300))
    return _changed(plan, "group", signal="cpu-utilization", target=0.6, scales_in=False)


def unguarded() -> Plan:
    return replace(train(), deletion_protection=False)


def deprecated_file_system() -> Plan:
    stores = (store("scratch", "parallelstore", "/mnt/scratch", capacity_gib=12000),)
    return replace(rdma(), storage=stores)


def dynamic_file_system() -> Plan:
    return replace(rdma(), storage=(store("dataset", "lustre-dynamic", "/mnt/dataset", capacity_gib=472000),))


def regional_share() -> Plan:
    stores = (
        store("home", "filestore-regional-low", "/home/shared", capacity_gib=1024, protocol="nfs-v4.1", iops=9000,
              is_read_only=False),
        store("dataset", "cloud-storage", "/mnt/dataset", source="gs://corpus/a b,c/v2"),
        store("checkpoints", "cloud-storage", "/mnt/checkpoints", is_read_only=False),
    )  # fmt: skip
    return replace(train(), storage=stores, project=None)


def image_at_plan() -> Plan:
    return _changed(serve(), "image", rollout="family-at-plan", project="images-prod")


def image_by_name() -> Plan:
    return _changed(serve(), "image", name="chat-20261120", family=None, rollout="pinned")


def plain_program() -> Plan:
    """No container, no accelerator: a pool of ordinary machines that can migrate live."""
    pool = machine("n1-standard-8", 4)
    plan = _changed(_with(unexposed(), machine=pool), "group", has_autoscaler=False, heals=False, stopped=2, size=4)
    program = Program(None, ("/opt/run", "--all"), (("MODE", "full"),), ())
    return replace(plan, task="compute", serving=None, program=program, storage=())


def plain_scratch() -> Plan:
    """Ordinary machines with local disks for scratch, and nothing else."""
    plan = _with(plain_program(), machine=machine("n2-standard-8", 4, local_ssd_count=2))
    return replace(plan, storage=(store("scratch", "local-ssd", "/mnt/scratch", capacity_gib=750, is_read_only=False),))


def containers_on_local_disks() -> Plan:
    stores = (store("scratch", "local-ssd", "/mnt/scratch", is_read_only=False, holds_containers=True),)
    return replace(attached(), storage=stores)


def cached_bucket() -> Plan:
    """Objects read through a cache in every zone."""
    return replace(serve(), storage=(store("weights", "cloud-storage-cached", "/mnt/weights"),))


def cached_source() -> Plan:
    stores = (store("dataset", "cloud-storage-cached", "/mnt/dataset", source="gs://corpus/v2"),)
    return replace(train(), storage=stores)


def zonal_bucket() -> Plan:
    return replace(train(), storage=(store("dataset", "cloud-storage-rapid", "/mnt/dataset", content_gib=2048),))


def imported_weights() -> Plan:
    """Weights on a parallel file system: mounted for reading, filled by the service."""
    plan = _changed(_changed(serve(), "location", zones=("europe-west4-b",)), "group", scope="zonal", max_surge=1)
    return replace(plan, storage=(store("weights", "lustre-1000", "/mnt/weights", capacity_gib=9000, content_gib=700),))


def split_replicas() -> Plan:
    """Two replicas of a model that is too large for one machine: two machines each, in one zone."""
    plan = serve()
    box = machine("a3-highgpu-8g", 4, tensor_parallel=8, pipeline_parallel=2, replicas_per_node=0.5)
    plan = _changed(
        _with(plan, machine=box), "group", has_autoscaler=False, heals=False, signal=None, target=None, scope="zonal",
        size=4, min_size=4, max_size=4, max_surge=0, max_unavailable=1, placement="compact", replacement="recreate",
    )  # fmt: skip
    zones = plan.location.choice.zones[:1]
    return _changed(plan, "location", zones=zones)


def long_name() -> Plan:
    return replace(serve(), name="a-workload-whose-name-is-as-long-as-be40")


PLANS: dict[str, Callable[[], Plan]] = {
    make.__name__: make
    for make in (
        serve, train, spot, created_reservation, regional_reservation, future_reservation, submitted, calendar,
        flex_start, flex_start_bulk, flex_start_regional, rdma, bare_metal, attached, shared_vpc, existing_network,
        encrypted, encrypted_bucket, encrypted_parallel, shared_disk, shared_disk_regional, external, unexposed,
        unguarded, deprecated_file_system, dynamic_file_system, regional_share, image_at_plan, image_by_name,
        plain_program, long_name, plain_scratch, containers_on_local_disks, cached_bucket, cached_source, zonal_bucket,
        imported_weights, split_replicas,
    )
}  # fmt: skip
