"""The boot image: the one that is given, or a public one with the drivers the machine needs."""

from typing import Literal

from msgspec import Struct

from infragen.decide.model import Decision, ImageChoice, Reason
from infragen.decide.need import Machine, Need
from infragen.decide.rule import Miss, candidates, rule, rule_of
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.model import ImageFamily


class Boot(Struct, frozen=True):
    """What is to be booted."""

    machine: Machine
    mounts_parallel: bool  # a file system whose client is a kernel module


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
    """Say when a new image of a family reaches the machines.

    Why: publishing an image into a family changes nothing by itself: a group that names the family gives it only to
    machines that are created later, and Terraform sees no change.
    Example: with `rollout: family-at-boot` running machines keep their image until they are replaced.
    """,
    source="https://docs.cloud.google.com/compute/docs/images/image-families-best-practices",
)
UNNAMED = declare(
    "I006",
    "pinned-by-name",
    """Pin an image by its name.

    Why: a family is whatever was published last; what is pinned to a family moves.
    Example: `rollout: pinned` with `base: {family: chat-serving}` is an error; with `base: {name: chat-serving-v3}` it is not.
    """,
    source="https://docs.cloud.google.com/compute/docs/images/image-families-best-practices",
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
    """Boot an image that holds the accelerator's driver.

    Why: installing a driver on a clean machine takes many minutes at every boot, and fails when a kernel moves.
    Example: a GPU machine rejects a family without a driver.
    """
    chip = boot.machine.accelerator
    needed = chip is not None and chip.kind == "gpu"
    return Miss("holds no accelerator driver") if needed and not family.has_driver else None


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


RULES = (image_architecture, image_driver, image_fabric, image_file_system)


def decide(need: Need, boot: Boot, diags: Diagnostics) -> Decision[ImageChoice]:
    """The image to boot, and why."""
    machine = boot.machine
    asked = need.workload.image
    if asked.rollout == "pinned" and not (asked.base and asked.base.name):
        diags.add(
            UNNAMED.error(
                "`rollout: pinned` needs the name of an image",
                need.workload.at("image.rollout"),
                "no image is named",
                "set `image.base.name`, or `rollout: family-at-plan`",
            )
        )
    if asked.base and (asked.base.family or asked.base.name):
        return _given(need, boot, diags)
    narrowed = candidates(_families(need)).by(RULES, boot)
    if not narrowed.kept:
        last = narrowed.nearest
        message = f"no public image boots `{machine.label}` for this; the nearest is `{last.candidate.family}`"
        help = "build an image that has what is missing, and name it in `image.base`"
        diags.add(last.rule.error(message, need.workload.at("image"), last.miss.because, help))
        diags.raise_if_errors()
    best = min(narrowed.kept, key=lambda family: (family.has_driver and machine.accelerator is None, family.preference))
    choice = ImageChoice(
        project=best.project, family=best.family, name=None, rollout=asked.rollout or "family-at-boot",
        os=_os(best), arch=machine.record.cpu_arch, base=best,
    )  # fmt: skip
    driver = f", driver {best.driver}" if best.driver else ""
    return Decision(
        choice,
        (Reason("I005", f"{best.os} for {best.arch}{driver}: the rest is installed at the first boot"),),
        narrowed.rejections(lambda family: f"{family.project}/{family.family}"),
        would_change=("name an image of your own in `image.base` to boot in seconds with everything installed",),
    )


def _given(need: Need, boot: Boot, diags: Diagnostics) -> Decision[ImageChoice]:
    machine = boot.machine
    asked = need.workload.image
    assert asked.base is not None
    known = next(
        (
            one
            for one in need.catalog.image_families
            if one.family == asked.base.family and one.project == asked.base.project
        ),
        None,
    )
    if known:
        for check in RULES:
            miss = check(boot, known)
            if miss:
                diags.add(
                    rule_of(check).error(
                        f"image family `{known.family}` does not fit `{machine.type}`",
                        need.workload.at("image.base"),
                        miss.because,
                        _advice(need, boot),
                    )
                )
    elif machine.accelerator:
        diags.add(
            UNSEEN.note(
                f"the image is taken as it is: it must be built for {machine.record.cpu_arch} and hold the driver of {machine.accelerator.name}",
                need.workload.at("image.base"),
            )
        )
    rollout: Rollout = "pinned" if asked.base.name else asked.rollout or "family-at-boot"
    why = [
        Reason(
            "I001",
            f"image.base names the {'image' if asked.base.name else 'family'} `{asked.base.name or asked.base.family}`",
        )
    ]
    if rollout == "family-at-boot":
        why.append(
            Reason("I003", "machines created from now on boot the family's newest image; running machines keep theirs")
        )
    choice = ImageChoice(
        project=asked.base.project, family=asked.base.family, name=asked.base.name, rollout=rollout,
        os=_os(known) if known else "", arch=machine.record.cpu_arch, base=known,
    )  # fmt: skip
    return Decision(
        choice,
        tuple(why),
        would_change=("set `image.rollout` to `pinned` or `family-at-plan` to roll out under control",)
        if rollout == "family-at-boot"
        else (),
    )


def _families(need: Need) -> list[ImageFamily]:
    """Public families, the preferred first."""
    return sorted(need.catalog.image_families, key=lambda one: (one.preference, one.project, one.family))


def _os(family: ImageFamily) -> str:
    return family.os.split()[0].lower()


def _advice(need: Need, boot: Boot) -> str:
    fitting = candidates(_families(need)).by(RULES, boot).kept
    return f"for example family `{fitting[0].family}` of project `{fitting[0].project}`" if fitting else ""
