"""How an image is built: what goes into it, by what the machine has, and the machine that it is built on."""

import hashlib
import json
import math
import re

from msgspec import Struct

from infragen.decide.model import ImageChoice, Recipe
from infragen.decide.need import Machine, Need
from infragen.decide.rule import Miss, candidates, rule, rule_of
from infragen.descriptor.rules import nearest
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.model import ImageBuilder, ImageFamily, ImageRepository, ImageSoftware, OperatingSystem
from infragen.units import GIB

RECIPE_FORMAT = 1  # raised with every change of templates/image, which makes images of the same recipe different ones
DIGEST_LETTERS = 8  # of an image's name: enough that recipes of one project do not meet
NAME_MAX = 63  # characters of an image's name
DISK_GIB = 100  # of the builder: system, toolkit and frameworks; cluster-toolkit takes as much
ARCHITECTURES = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
DRIVER_PACKAGE = re.compile(r"-driver-(\d{3})-")  # what the name of a driver's package tells of its branch

NOT_BUILDABLE = declare(
    "I012",
    "base-not-buildable",
    """Build on a base that software can be installed into.

    Why: a system whose root is read-only takes no packages; a build would fail after minutes.
    Example: `base: {project: cos-cloud, family: cos-121-lts}` with `packages` is an error.
    """,
    source="docs/facts.md: operating_systems.csv",
)
UNKNOWN_BUILDER = declare(
    "I015",
    "unknown-builder",
    """Build on a machine type that is known, and has the processor of the fleet.

    Why: an image holds programs for one processor; a build on another makes an image that boots nowhere.
    Example: `builder: n2-standard-16` for a fleet with Arm hosts is an error.
    """,
    source="https://docs.cloud.google.com/compute/docs/instances/arm-on-compute",
)
NO_WAY_OUT = declare(
    "I016",
    "builder-without-way-out",
    """Give the builder a way to the packages that it installs.

    Why: without an external address and without NAT a machine reaches Google's own services only; package mirrors are none.
    Example: `network: {nat: false}` with `image: {packages: [jq]}` needs `image.external_ip: true`.
    """,
    source="https://docs.cloud.google.com/vpc/docs/private-google-access",
)
CREDENTIALS = declare(
    "I017",
    "fabric-kernel-not-public",
    """Say when the fastest networking needs what infragen cannot install.

    Why: its kernel comes from a repository with credentials that Google's support gives out; without it the same cables carry
    ordinary traffic.
    Example: an image for a machine with GPUDirect-TCPX is built without the patched kernel, with a warning.
    """,
    source="docs/facts.md: T1, the blueprint of the machines with this fabric",
)
RESTRICTED = frozenset({"tcpx"})  # fabrics whose kernel is given out by support


class Ground(Struct, frozen=True):
    """What an image is built for, and where."""

    machine: Machine
    region: str
    zones: tuple[str, ...]
    stores: frozenset[str]  # services that the machine mounts
    has_local_ssd: bool


class Clues(Struct, frozen=True):
    """What is known of an image: from the tables where it is public, else from its name."""

    os: OperatingSystem | None
    arch: str | None
    driver: int | None
    holds: frozenset[str] = frozenset()  # see `ImageFamily.holds`


def clues(need: Need, name: str, known: ImageFamily | None = None) -> Clues:
    """System, processor and driver branch of an image or a family."""
    if known:
        system = need.catalog.operating_systems.get(known.os)
        return Clues(system, known.arch, int(known.driver) if known.driver else None, known.holds)
    systems = need.catalog.operating_systems.values()
    system = next((one for one in systems if any(_stands(word, name) for word in one.words)), None)
    arch = next((arch for word, arch in ARCHITECTURES.items() if _stands(word, name)), None)
    driver = next((branch for branch in need.catalog.driver_branches if _stands(str(branch), name)), None)
    return Clues(system, arch, driver)


def _stands(word: str, name: str) -> bool:
    """Whether a word stands in a name by itself.

    >>> _stands("2204", "ubuntu-2204-lts"), _stands("2204", "build-12204")
    (True, False)
    """
    return word in name and re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", name) is not None


class Bench(Struct, frozen=True):
    """A machine type to build on, and where it is known to be: zones, and regions where no zone is known."""

    builder: ImageBuilder
    places: frozenset[str]


@rule("I013", "builder-architecture", source="https://docs.cloud.google.com/compute/docs/instances/arm-on-compute")
def builder_architecture(ground: Ground, bench: Bench) -> Miss | None:
    """Build on a machine with the processor of the fleet; an accelerator is not needed.

    Why: packages are installed for the processor they are installed on; drivers install without the device.
    Example: an image for Arm hosts is built on an Arm machine, and none is built on a machine with an accelerator.
    """
    arch = ground.machine.record.cpu_arch
    return None if bench.builder.arch == arch else Miss(f"is {bench.builder.arch}; the fleet is {arch}")


@rule("I014", "builder-place", source="docs/facts.md: host_machines.csv, zones.csv")
def builder_place(ground: Ground, bench: Bench) -> Miss | None:
    """Build where the fleet's network is.

    Why: the builder lives in the subnet of the fleet, which is in one region; a machine type that is not there builds nothing.
    Example: an Arm machine type that is sold in three regions is rejected in all others.
    """
    is_there = any(place == ground.region or place.rpartition("-")[0] == ground.region for place in bench.places)
    return None if is_there else Miss(f"is not known to be in {ground.region}")


RULES = (builder_architecture, builder_place)


def bench(need: Need, builder: ImageBuilder) -> Bench:
    """A machine type with the places where it is known to be."""
    return Bench(builder, _places(need, builder.machine_type))


def _places(need: Need, machine_type: str) -> frozenset[str]:
    host = need.catalog.host_machines.get(machine_type)
    listed = {one.zone or one.region for one in need.catalog.zones(machine_type)}
    return frozenset(listed | set(host.zones if host else ()))


def _zone(ground: Ground, places: frozenset[str]) -> str:
    """A zone for the builder: one of the fleet's where the type is there, else another of the region, else a guess.

    Empty where the tables know no zone of the region at all.
    """
    shared = [zone for zone in ground.zones if zone in places]
    near = sorted(zone for zone in places if zone.startswith(ground.region + "-"))
    return next(iter(shared or near or ground.zones), "")


def _builder(need: Need, ground: Ground, diags: Diagnostics) -> tuple[str, str, str]:
    """Machine type, disk type and zone of the builder."""
    asked = need.workload.image.builder
    if asked:
        zone = _zone(ground, _places(need, asked))
        if not zone:
            message, help = f"no zone of {ground.region} is known to build in", "name one in `place.zones`"
            at = need.workload.at("image.builder")
            diags.add(rule_of(builder_place).error(message, at, f"`{asked}` is in none that the tables know", help))
            diags.raise_if_errors()
        return asked, _disk_type(need, asked), zone
    narrowed = candidates(bench(need, one) for one in need.catalog.image_builders).by(RULES, ground)
    if not narrowed.kept:
        last = narrowed.nearest
        message = f"no machine to build on is known in {ground.region}"
        help = "name one in `image.builder`, or another region in `place.regions`"
        label = f"`{last.candidate.builder.machine_type}` {last.miss.because}"
        diags.add(last.rule.error(message, need.workload.at("image"), label, help))
        diags.raise_if_errors()
    best = min(narrowed.kept, key=lambda one: one.builder.preference)
    return best.builder.machine_type, best.builder.disk_type, _zone(ground, best.places)


def _disk_type(need: Need, machine_type: str) -> str:
    """A boot disk type that the machine takes."""
    catalog = need.catalog
    known = catalog.machines.get(machine_type)
    if known:
        return known.boot_disk_types[0]
    host = catalog.host_machines[machine_type]
    same = [one.disk_type for one in catalog.image_builders if one.machine_type.startswith(f"{host.series}-")]
    takes = catalog.hyperdisk_support.get((host.series, "hyperdisk-balanced")) == "yes"
    return same[0] if same else ("hyperdisk-balanced" if takes else "pd-balanced")


def check(need: Need, ground: Ground, base: Clues, diags: Diagnostics) -> None:
    """Errors for a build that cannot work."""
    asked, network, catalog = need.workload.image, need.workload.network, need.catalog
    at = need.workload.at
    if base.os and not base.os.is_buildable:
        label = "its root is read-only"
        help = "name another base, or use it as it is: leave out what builds"
        diags.add(NOT_BUILDABLE.error(f"nothing can be installed into {base.os.name}", at("image.base"), label, help))
    if asked.builder:
        record = catalog.machines.get(asked.builder) or catalog.host_machines.get(asked.builder)
        if record is None:
            near = nearest(asked.builder, {**catalog.machines, **catalog.host_machines})
            help = f"did you mean `{near}`?" if near else "leave it out to have one chosen"
            diags.add(
                UNKNOWN_BUILDER.error(f"`{asked.builder}` is not a known machine type", at("image.builder"), help=help)
            )
        elif record.cpu_arch != ground.machine.record.cpu_arch:
            message = f"`{asked.builder}` is {record.cpu_arch}; the fleet is {ground.machine.record.cpu_arch}"
            label, help = "another processor", "leave it out to have one chosen"
            diags.add(UNKNOWN_BUILDER.error(message, at("image.builder"), label, help))
    is_closed = not network.nat and network.network is None and not asked.external_ip
    if is_closed:
        label = "no NAT, no external address"
        help = "set `image.external_ip: true`, or `network.nat: true`"
        diags.add(NO_WAY_OUT.error("the builder cannot reach any package", at("network.nat"), label, help))
    fabric = ground.machine.fabric
    if fabric.name in RESTRICTED:
        message = f"the image is built without the kernel of {fabric.label}: machines exchange data over plain TCP"
        label = "the kernel comes with credentials only"
        help = "install it in a script of `image.scripts`, or boot a Container-Optimized OS, which holds it"
        diags.add(CREDENTIALS.warning(message, at("image"), label, help))
    diags.raise_if_errors()


def traits(need: Need, ground: Ground, base: Clues) -> frozenset[str]:
    """What the machine has, in the words of image_software.csv."""
    machine, run = ground.machine, need.workload.run
    has_container = bool(run and run.container)
    has_gpu = machine.accelerator is not None
    has = {
        "container": has_container,
        "native": not has_container,
        "gpu": has_gpu,
        "no-driver": has_gpu and base.driver is None,
        "rdma": machine.fabric.is_rdma,
        "local-ssd": ground.has_local_ssd,
        "python": need.workload.image.python is not None,
        "no-cuda": "cuda" not in base.holds,
        "no-python": "python" not in base.holds,
    }
    packager = {base.os.packager} if base.os else set()
    return frozenset({name for name, there in has.items() if there} | {machine.fabric.name} | ground.stores | packager)


def software(
    need: Need, system: OperatingSystem | None, arch: str, driver: int | None, has: frozenset[str]
) -> tuple[ImageSoftware, ...]:
    """What goes into an image of that system, in the order of installation; nothing where the system is not known."""
    if system is None:
        return ()

    def fits(one: ImageSoftware, branch: int | None) -> bool:
        return (
            one.needs <= has
            and system.name in one.os
            and (not one.arch or arch in one.arch)
            and (one.driver is None or one.driver == branch)
        )

    rows = need.catalog.image_software
    if driver is None:  # the branch that the driver's own row installs
        fresh = [one for one in rows if "no-driver" in one.needs and fits(one, None)]
        found = [DRIVER_PACKAGE.search(package) for one in fresh for package in one.packages]
        driver = next((int(match[1]) for match in found if match), None)
    return tuple(one for one in rows if fits(one, driver))


def repositories(need: Need, chosen: tuple[ImageSoftware, ...]) -> tuple[ImageRepository, ...]:
    """Where that software comes from; a transport comes before what needs it."""
    known = need.catalog.image_repositories
    found: dict[str, ImageRepository] = {}
    for one in chosen:
        if one.repository:
            repository = known[one.repository]
            if repository.transport:
                found.setdefault(repository.transport, known[repository.transport])
            found.setdefault(repository.id, repository)
    return tuple(found.values())


def make(need: Need, ground: Ground, start: ImageChoice, base: Clues, diags: Diagnostics) -> Recipe:
    """The recipe of an image. ``start``: the base it is built on. Raises CompileError for one that cannot work."""
    check(need, ground, base, diags)
    asked = need.workload.image
    has = traits(need, ground, base)
    chosen = software(need, base.os, ground.machine.record.cpu_arch, base.driver, has)
    machine_type, disk_type, zone = _builder(need, ground, diags)
    disk = need.workload.machine.boot_disk_size  # an image is as large as its builder's disk, and no boot disk smaller
    with_accelerator = need.catalog.machines.get(machine_type)
    return Recipe(
        base_project=start.project,
        base_family=start.family,
        base_name=start.name,
        os=base.os,
        arch=ground.machine.record.cpu_arch,
        software=chosen,
        repositories=repositories(need, chosen),
        files=tuple(one for one in need.catalog.image_files if base.os and one.needs <= has),
        traits=has,
        packages=tuple(asked.packages or ()),
        scripts=tuple((name.rpartition("/")[2], need.workload.files[name]) for name in asked.scripts or ()),
        requirements=need.workload.files[asked.python] if asked.python else None,
        builder=machine_type,
        builder_has_accelerator=bool(with_accelerator and with_accelerator.has_accelerator),
        disk_type=disk_type,
        disk_gib=math.ceil(disk / GIB) if disk else DISK_GIB,
        zone=zone,
        external_ip=asked.external_ip,
        container=need.workload.run.container if asked.preload and need.workload.run else None,
    )


def name(stem: str, *content: object) -> str:
    """The name of an image: its family, or its workload, and a digest of everything that makes it what it is.

    >>> name("chat", "a") != name("chat", "b"), len(name("x" * 63, "a"))
    (True, 63)
    """
    text = json.dumps([RECIPE_FORMAT, *content], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LETTERS]
    return f"{stem[: NAME_MAX - DIGEST_LETTERS - 1].rstrip('-')}-{digest}"


def content(recipe: Recipe) -> list[object]:
    """What makes an image what it is: all of the recipe but the machine that builds it."""
    return [
        recipe.base_project,
        recipe.base_family,
        recipe.base_name,
        [[one.packages, one.is_held, one.source_edit] for one in recipe.software],
        [[one.line, one.key] for one in recipe.repositories],
        [[one.path, one.content] for one in recipe.files],
        sorted(recipe.traits),
        recipe.packages,
        recipe.scripts,
        recipe.requirements,
        recipe.container,
        recipe.disk_gib,
    ]
