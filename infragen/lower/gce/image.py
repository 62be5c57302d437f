"""The boot image: a path that Terraform resolves without asking, or a look-up where a new image is to roll out by itself."""

from infragen.lower.gce.context import PROJECT, Context, because, comment
from infragen.lower.hcl import Expression, join
from infragen.lower.model import ImageLookup, ImagePart, Local, Text, Variable

IMAGE_PATTERN = "^projects/[^/]+/global/images/(family/)?[a-z]([-a-z0-9]*[a-z0-9])?$"
BOOT_IMAGE = Expression("local.boot_image")


def lower(context: Context) -> ImagePart:
    """Everything of image.tf. Paths are always written in full: a short name may be looked for in another project."""
    image = context.image
    project: Text = image.project or PROJECT
    lookup = None
    if image.name:
        decided = join("projects/", project, f"/global/images/{image.name}")
    elif image.rollout == "family-at-plan":
        lookup = ImageLookup(
            type="google_compute_image",
            name="boot",
            mode="data",
            because=comment("Looked up at every plan: the next apply after a new image is published rolls it out."),
            family=image.family or "",
            project=project,
        )
        decided = join("projects/", project, "/global/images/", lookup.get("name"))
    else:
        decided = join("projects/", project, f"/global/images/family/{image.family}")
    why = because(context.plan.image.because)
    if not image.name and lookup is None:
        why += comment("A family: machines that are created later boot its newest image, unless var.image names one.")
    local = Local(name="boot_image", value=Expression(f"coalesce(var.image, {decided})"), because=why)
    return ImagePart(boot_image=local, lookup=lookup)


def variable(context: Context) -> Variable:
    """The variable that pins an image, or rolls one back."""
    return Variable(
        name="image",
        type="string",
        description="Boot image to use instead of the decided one, projects/PROJECT/global/images/NAME: pins it, or rolls back.",
        is_nullable=True,
        condition=Expression(f'var.image == null || can(regex("{IMAGE_PATTERN}", var.image))'),
        error="image is a full path: projects/PROJECT/global/images/NAME or .../images/family/FAMILY.",
    )
