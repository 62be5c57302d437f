"""The boot image: the one that is given, one that is made or built, or a public one with the drivers the machine needs."""

from datetime import date, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from infragen.decide import recipe
from infragen.decide.model import Decision, ImageChoice, ImageOrigin, Reason
from infragen.decide.need import Machine, Need
from infragen.decide.recipe import Clues, Ground, clues
from infragen.decide.rule import Miss, candidates, rule, rule_of
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.model import AcceleratorDriver, ImageFamily

FAMILIES = "https://docs.cloud.google.com/compute/docs/images/image-families-best-practices"
NEAR_END = timedelta(days=180)  # before the end of support, I010


class Boot(Struct, frozen=True):
    """What is to be booted."""

    machine: Machine
    mounts_parallel: bool  # a file system whose client is a kernel module
    driver: AcceleratorDriver | None = None  # which branches know the accelerator
    is_built: bool = False  # what the image lacks is installed into it


KINDS: tuple[Literal["disk", "snapshot", "image", "archive"], ...] = ("disk", "snapshot", "image", "archive")
Rollout = Literal["pinned", "family-at-plan", "family-at-boot"]

GIVEN = declare(
    "I001",
    "image-given",
    """Boot the image that the descriptor names.

    Why: an image of one's own has drivers, frameworks and agents installed and tested; a machine boots in seconds.
    Example: `image: {base: {family: chat-serving}}` boots the newest image of that family in the workload's project.
    """,
    source="descriptor: image.base",
)
UNSEEN = declare(
    "I002",
    "image-unseen",
    """Say what infragen cannot see of an image that is not public.

    Why: architecture, drivers and agents of a private image are not in the tables, and plan makes no network calls.
    Example: an image family of the user's own on a GPU machine is taken as it is, with a note of what it must hold.
    """,
    source="design decision: plan works offline",
)
ROLLOUT = declare(
    "I003",
    "family-rollout",
    """Say when a new image reaches the machines, and which machines it does not reach.

    Why: publishing an image into a family changes nothing by itself: a group that names the family gives it only to
    machines that are created later, and Terraform sees no change.
    Example: with `rollout: family-at-boot` running machines keep their image until they are replaced.
    """,
    source=FAMILIES,
)
UNNAMED = declare(
    "I006",
    "pinned-by-name",
    """Pin an image by its name.

    Why: a family is whatever was published last; what is pinned to a family moves.
    Example: `rollout: pinned` with `base: {family: chat-serving}` is an error; with `base: {name: chat-serving-v3}` it is not.
    """,
    source=FAMILIES,
)
DISAGREES = declare(
    "I009",
    "family-disagrees",
    """Call a family by what its images are.

    Why: people and scripts choose an image by the words in its family's name; an image of another system, processor or driver
    under that name breaks what relied on it.
    Example: `family: chat-u22` built on Ubuntu 24.04, or a family with `arm64` in its name on an amd64 base, is a warning.
    """,
    source=FAMILIES,
)
ENDING = declare(
    "I010",
    "near-end-of-support",
    """Say when the system of an image, or the branch of its driver, is near the end of its support, or past it.

    Why: after that day no security update comes; moving a fleet to another release takes longer than it looks.
    Example: an image on Ubuntu 22.04 is a warning from half a year before April 2027 on.
    """,
    source="docs/facts.md: operating_systems.csv, driver_branches.csv",
)
BUILT = declare(
    "I018",
    "image-built",
    """Build an image with all that the descriptor asks for and the machine needs, and boot it by a name that follows from both.

    Why: installing at the first boot takes minutes on machines that cost by the second, and gives a fleet of machines that were
    installed on different days; the name of an image tells its content, so that the same descriptor boots the same image.
    Example: `image: {family: chat, packages: [jq]}` is `chat-` and eight digits; another package gives another name.
    """,
    source="https://docs.cloud.google.com/compute/docs/images/create-custom",
)
MADE = declare(
    "I019",
    "image-made",
    """Make an image in Terraform from a disk, a snapshot, an image or an archive, under a name that follows from its content.

    Why: an image cannot be changed; a name of its own lets the next one be made before the last one goes.
    Example: `source: {snapshot: golden-v3}` makes an image; `golden-v4` makes another and changes over to it.
    """,
    source="https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/compute_image",
)
CANARY = declare(
    "I020",
    "canary",
    """Try another image on a part of the machines, of the project of the image that the others boot.

    Why: what breaks breaks on a few machines first.
    Example: `canary: {name: chat-serving-v4, percent: 10}` gives the group a second version for a tenth of its machines.
    """,
    source="https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups",
)


@rule("I004", "image-architecture", source="https://docs.cloud.google.com/compute/docs/instances/arm-on-compute")
def image_architecture(boot: Boot, family: ImageFamily) -> Miss | None:
    """Boot an image built for the machine's processor.

    Why: an x86-64 image does not boot on an Arm host, nor the reverse.
    Example: a machine with Arm hosts rejects every amd64 family.
    """
    arch = boot.machine.record.cpu_arch
    return None if family.arch == arch else Miss(f"built for {family.arch}; the machine is {arch}")


@rule("I005", "image-driver", source="https://docs.cloud.google.com/compute/docs/gpus/install-drivers-gpu")
def image_driver(boot: Boot, family: ImageFamily) -> Miss | None:
    """Boot an image that holds the accelerator's driver, or build one that does.

    Why: installing a driver on a clean machine takes many minutes at every boot, and fails when a kernel moves.
    Example: a GPU machine rejects a family without a driver, unless an image is built on it; a TPU machine boots a family
    that is made for its chip.
    """
    chip = boot.machine.accelerator
    if chip is None or chip.name in family.accelerators:
        return None
    if chip.kind == "tpu" or family.accelerators:
        return Miss(f"holds no driver of {chip.name}")
    return Miss("holds no accelerator driver") if not family.has_driver and not boot.is_built else None


@rule("I011", "driver-branch", source="docs/facts.md: accelerator_drivers.csv")
def driver_branch(boot: Boot, family: ImageFamily) -> Miss | None:
    """Boot an image whose driver knows the accelerator.

    Why: a chip that came after a driver is no device to it, and old chips are dropped by new branches.
    Example: driver 535 does not know a B200, which came with 570.
    """
    known = boot.driver
    if known is None or not family.driver:
        return None
    return _branch_miss(known, int(family.driver))


def _branch_miss(known: AcceleratorDriver, branch: int) -> Miss | None:
    if branch < known.first_branch:
        return Miss(f"driver {branch} is too old for {known.accelerator}, which needs {known.first_branch} or later")
    if known.last_branch and branch > known.last_branch:
        return Miss(f"driver {branch} has dropped {known.accelerator}; {known.last_branch} was the last")
    return None


@rule("I007", "image-fabric", source="docs/facts.md: image_families.csv, fabrics")
def image_fabric(boot: Boot, family: ImageFamily) -> Miss | None:
    """Boot an image that has the stack of the machine's fabric.

    Why: a remote-memory network without its drivers and message-passing library is an expensive ordinary network.
    Example: an HPC machine with Cloud RDMA boots an HPC image; a GPU machine does not.
    """
    fabric = boot.machine.fabric
    needs = fabric.is_rdma and boot.machine.accelerator is None
    if needs and fabric.name not in family.fabrics:
        return Miss(f"lacks the stack of {fabric.label}")
    return Miss("made for another fabric") if family.fabrics and fabric.name not in family.fabrics else None


@rule(
    "I008", "image-file-system", source="https://docs.cloud.google.com/managed-lustre/docs/connect-from-compute-engine"
)
def image_file_system(boot: Boot, family: ImageFamily) -> Miss | None:
    """Boot an image for which the client of the parallel file system is packaged.

    Why: the client is a kernel module: without a package for the image's kernel nothing is ever mounted.
    Example: with a managed parallel file system an Ubuntu 22.04 family is taken, for which the client was seen.
    """
    if not boot.mounts_parallel or family.has_parallel_client:
        return None
    return Miss("no package of the file system's client was seen for it")


RULES = (image_architecture, image_driver, driver_branch, image_fabric, image_file_system)
CHANGE_BUILD = (
    "give `image.family` to have an image built, or name one of your own in `image.base`: machines boot in seconds"
)


def decide(need: Need, ground: Ground, mounts_parallel: bool, diags: Diagnostics) -> Decision[ImageChoice]:
    """The image to boot, and why."""
    asked, chip = need.workload.image, ground.machine.accelerator
    driver = need.catalog.accelerator_drivers.get(chip.name) if chip else None
    boot = Boot(ground.machine, mounts_parallel, driver, asked.is_built)
    if asked.rollout == "pinned" and not (asked.is_built or asked.source or (asked.base and asked.base.name)):
        diags.add(
            UNNAMED.error(
                "`rollout: pinned` needs the name of an image",
                need.workload.at("image.rollout"),
                "no image is named",
                "set `image.base.name`, or `rollout: family-at-plan`",
            )
        )
    if asked.source:
        decision = _made(need, boot)
    elif asked.is_built:
        decision = _built(need, ground, boot, diags)
    elif asked.base:
        decision = _given(need, boot, diags)
    else:
        decision = _chosen(need, boot, diags)
    choice = decision.choice
    made = choice.recipe
    start = (made.base_name or made.base_family) if made else (choice.name or choice.family)
    _check_support(need, clues(need, start or "", choice.base), diags)
    if asked.canary is None:
        return decision
    return Decision(
        choice=replace(choice, canary=(asked.canary.name, asked.canary.percent)),
        because=(
            *decision.because,
            Reason(CANARY.id, f"{asked.canary.percent}% of the machines boot `{asked.canary.name}` instead"),
        ),
        rejected=decision.rejected,
        would_change=("remove `image.canary` to go back, or name its image in place of the other to go on",),
    )


def _chosen(need: Need, boot: Boot, diags: Diagnostics) -> Decision[ImageChoice]:
    """A public image: the preferred one of those that fit."""
    machine = boot.machine
    narrowed = candidates(_families(need, boot)).by(RULES, boot)
    if not narrowed.kept:
        last = narrowed.nearest
        message = f"no public image boots `{machine.label}` for this; the nearest is `{last.candidate.family}`"
        help = "build an image that has what is missing, and name it in `image.base`"
        diags.add(last.rule.error(message, need.workload.at("image"), last.miss.because, help))
        diags.raise_if_errors()
    best = _best(narrowed.kept, machine)
    choice = ImageChoice(
        project=best.project, family=best.family, name=None, rollout=need.workload.image.rollout or "family-at-boot",
        os=_os(best), arch=machine.record.cpu_arch, base=best,
    )  # fmt: skip
    driver = f", driver {best.driver}" if best.driver else ""
    return Decision(
        choice,
        (
            Reason("I005", f"{best.os} for {best.arch}{driver}: the rest is installed at the first boot"),
            _rollout_reason(choice),
        ),
        narrowed.rejections(lambda family: f"{family.project}/{family.family}"),
        would_change=(CHANGE_BUILD,),
    )


def _best(families: tuple[ImageFamily, ...], machine: Machine) -> ImageFamily:
    return min(families, key=lambda family: (family.has_driver != (machine.accelerator is not None), family.preference))


def _built(need: Need, ground: Ground, boot: Boot, diags: Diagnostics) -> Decision[ImageChoice]:
    """An image that is built with Packer, and the base that it is built on."""
    asked = need.workload.image
    if asked.base:
        on = _given(need, boot, diags)
        seen = clues(need, asked.base.name or asked.base.family or "", on.choice.base)
    else:
        on = _chosen(need, boot, diags)
        seen = clues(need, "", on.choice.base)
    made = recipe.make(need, ground, on.choice, seen, diags)
    family = asked.family or need.workload.name
    if asked.family:
        _check_words(need, seen, diags)
    start = on.choice.name or on.choice.family
    choice = ImageChoice(
        project=None, family=family, name=recipe.name(family, recipe.content(made), asked.revision),
        rollout=asked.rollout or "pinned", os=on.choice.os, arch=on.choice.arch, base=on.choice.base, recipe=made,
    )  # fmt: skip
    parts = [one.purpose for one in made.software]
    added = len(made.packages) + len(made.scripts) + (made.requirements is not None)
    text = f"`{choice.name}`, built on {start} of {on.choice.project or 'the own project'}"
    why = [Reason(BUILT.id, text)]
    if parts or added:
        asked_for = f"{added} of the descriptor's own" if added else ""
        why.append(Reason(BUILT.id, "holds " + ", ".join(filter(None, (*dict.fromkeys(parts), asked_for)))))
    where = f"builder: {made.builder} in {made.zone}, {'with' if made.external_ip else 'without'} an external address"
    why.append(Reason("I013", where))
    why.append(_rollout_reason(choice))
    return Decision(choice, tuple(why), on.rejected)


def _made(need: Need, boot: Boot) -> Decision[ImageChoice]:
    """An image that Terraform makes."""
    asked = need.workload.image
    assert asked.source is not None
    kind, path = next((kind, path) for kind in KINDS if (path := getattr(asked.source, kind)) is not None)
    features = tuple(asked.source.guest_os_features or (() if kind != "archive" else _features(boot.machine)))
    origin = ImageOrigin(kind, path, asked.source.sha1, features)
    stem = asked.family or need.workload.name
    content = [kind, path, origin.sha1, features, need.workload.security.kms_key]
    choice = ImageChoice(
        project=None, family=asked.family, name=recipe.name(stem, content, asked.revision), rollout="pinned",
        os="", arch=boot.machine.record.cpu_arch, base=None, origin=origin,
    )  # fmt: skip
    why = (Reason(MADE.id, f"`{choice.name}`, made from {_article(kind)} {kind} {path}"), _rollout_reason(choice))
    return Decision(choice, why)


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def _features(machine: Machine) -> tuple[str, ...]:
    """What an archive cannot say of itself, and the machine's interfaces need."""
    return tuple(sorted({"UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC", machine.fabric.host_nic_type}))


def _given(need: Need, boot: Boot, diags: Diagnostics) -> Decision[ImageChoice]:
    machine = boot.machine
    asked = need.workload.image
    assert asked.base is not None
    name = asked.base.name or asked.base.family or ""
    known = _known(need, asked.base.project, asked.base.family, asked.base.name)
    if known:
        for check in RULES:
            miss = check(boot, known)
            if miss:
                is_sure = check is not driver_branch or (
                    boot.driver is not None and boot.driver.confidence == "verified"
                )
                say = rule_of(check).error if is_sure else rule_of(check).warning
                diags.add(
                    say(
                        f"{'image family' if asked.base.family else 'image'} `{name}` does not fit `{machine.type}`",
                        need.workload.at("image.base"),
                        miss.because,
                        _advice(need, boot),
                    )
                )
    else:
        _check_name(need, boot, name, diags)
        if machine.accelerator:
            diags.add(
                UNSEEN.note(
                    f"the image is taken as it is: it must be built for {machine.record.cpu_arch} and hold the driver of {machine.accelerator.name}",
                    need.workload.at("image.base"),
                )
            )
    rollout: Rollout = "pinned" if asked.base.name else asked.rollout or "family-at-boot"
    choice = ImageChoice(
        project=asked.base.project, family=asked.base.family, name=asked.base.name, rollout=rollout,
        os=_os(known) if known else "", arch=machine.record.cpu_arch, base=known,
    )  # fmt: skip
    kind = "image" if asked.base.name else "family"
    why = (Reason(GIVEN.id, f"image.base names the {kind} `{name}`"), _rollout_reason(choice))
    is_mixed = rollout == "family-at-boot"
    change = (
        ("set `image.rollout` to `family-at-plan`, or name an image, to roll out under control",) if is_mixed else ()
    )
    return Decision(choice, why, would_change=change)


def _rollout_reason(choice: ImageChoice) -> Reason:
    """When a new image reaches the machines; how fast, the group's update policy says."""
    if choice.rollout == "family-at-boot":
        text = "machines created from now on boot the family's newest image; running machines keep theirs"
    elif choice.rollout == "family-at-plan":
        text = "each plan looks up the family's newest image: a new one rolls out with the next apply, and not before"
    elif choice.recipe or choice.origin:
        text = "a change of what it is made of is a new image, which rolls out with the next apply; nothing else does"
    else:
        text = "stays until the descriptor names another image; new images of its family do not reach the machines"
    return Reason(ROLLOUT.id, text)


def _known(need: Need, project: str | None, family: str | None, name: str | None) -> ImageFamily | None:
    """The public family that is named, or that the named image is of: its name is the family's and a version."""
    for one in need.catalog.image_families:
        is_of_it = name is not None and name.startswith(f"{one.family}-v")
        if one.project == project and (one.family == family or is_of_it):
            return one
    return None


def _check_name(need: Need, boot: Boot, name: str, diags: Diagnostics) -> None:
    """What the name of an image that is not in the tables says against the machine."""
    seen, arch = clues(need, name), boot.machine.record.cpu_arch
    at = need.workload.at("image.base")
    if seen.arch and seen.arch != arch:
        message = f"`{name}` looks like an image for {seen.arch}; `{boot.machine.type}` is {arch}"
        diags.add(rule_of(image_architecture).warning(message, at, "by its name", "check it before you apply"))
    miss = _branch_miss(boot.driver, seen.driver) if boot.driver and seen.driver else None
    if miss:
        message = f"`{name}` looks like an image that does not know the accelerator of `{boot.machine.type}`"
        diags.add(rule_of(driver_branch).warning(message, at, miss.because, "check it before you apply"))


def _check_words(need: Need, base: Clues, diags: Diagnostics) -> None:
    """Whether the family's name promises something that the base does not keep."""
    family = need.workload.image.family or ""
    said = clues(need, family)
    pairs = (
        (said.os and said.os.name, base.os and base.os.name),
        (said.arch, base.arch),
        (said.driver and f"driver {said.driver}", base.driver and f"driver {base.driver}"),
    )
    for promised, kept in pairs:
        if promised and kept and promised != kept:
            message = f"family `{family}` says {promised}, and its base is {kept}"
            help = "rename the family, or name another base"
            diags.add(DISAGREES.warning(message, need.workload.at("image.family"), f"built on {kept}", help))


def _check_support(need: Need, seen: Clues, diags: Diagnostics) -> None:
    """Warnings for support that ends soon, or has ended: the only use of the day, and nothing of it is kept in the output."""
    branch = need.catalog.driver_branches.get(seen.driver) if seen.driver else None
    ends = [(seen.os.name, seen.os.end_of_support)] if seen.os else []
    ends += [(f"driver branch {branch.branch}", branch.end_of_support)] if branch else []
    for name, end in ends:
        last, today = date.fromisoformat(end), need.today.date()
        if today > last - NEAR_END:
            verb = "ended" if today > last else "ends"
            help = "move to an image with a later one, and try it as a canary first"
            diags.add(ENDING.warning(f"support of {name} {verb} on {end}", need.workload.at("image"), help=help))


def _families(need: Need, boot: Boot) -> list[ImageFamily]:
    """Public families that are not made for other accelerators, the preferred first."""
    chip = boot.machine.accelerator
    found = (
        one for one in need.catalog.image_families if not one.accelerators or (chip and chip.name in one.accelerators)
    )
    return sorted(found, key=lambda one: (one.preference, one.project, one.family))


def _os(family: ImageFamily) -> str:
    return family.os.split()[0].lower()


def _advice(need: Need, boot: Boot) -> str:
    fitting = candidates(_families(need, boot)).by(RULES, boot).kept
    return f"for example family `{fitting[0].family}` of project `{fitting[0].project}`" if fitting else ""
