"""The boot image: a path that Terraform resolves without asking, a look-up where a new image is to roll out by itself, or an
image that Terraform makes.
"""

from infragen.lower import names
from infragen.lower.gce.context import APIS_READY, PROJECT, REGION, Context, because, comment
from infragen.lower.hcl import Expression, join
from infragen.lower.model import ImageLookup, ImagePart, Local, MadeImage, Text, Variable

IMAGE_PATTERN = "^projects/[^/]+/global/images/(family/)?[a-z]([-a-z0-9]*[a-z0-9])?$"
BOOT_IMAGE = Expression("local.boot_image")
CANARY_IMAGE = Expression("local.canary_image")
PATHS = {"snapshot": "global/snapshots", "image": "global/images"}  # of what a bare name may stand for
STORAGE = "https://storage.googleapis.com"


def lower(context: Context) -> ImagePart:
    """Everything of image.tf. Paths are always written in full: a short name may be looked for in another project."""
    image = context.image
    project: Text = image.project or PROJECT
    lookup, made = None, _made(context) if image.origin else None
    if made:
        decided = made.get()
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
    elif image.name and image.rollout == "pinned":
        decided = join("projects/", project, f"/global/images/{image.name}")
    else:
        decided = join("projects/", project, f"/global/images/family/{image.family}")
    why = because(context.plan.image.because)
    values = [Local(name="boot_image", value=Expression(f"coalesce(var.image, {decided})"), because=why)]
    if image.canary:
        tried = join("projects/", project, f"/global/images/{image.canary[0]}")
        values.append(Local(name="canary_image", value=tried))
    return ImagePart(locals=tuple(values), lookup=lookup, made=made)


def _made(context: Context) -> MadeImage:
    origin = context.image.origin
    assert origin is not None
    is_archive = origin.kind == "archive"
    path: Text = origin.path
    if origin.kind in PATHS and "/" not in origin.path:
        path = join("projects/", PROJECT, f"/{PATHS[origin.kind]}/{origin.path}")
    return MadeImage(
        type="google_compute_image",
        name=names.local(),
        because=comment("Images cannot be changed: another source is another name, made before this one goes."),
        cloud_name=context.image.name or "",
        description=f"Machines of {context.plan.name}",
        family=context.image.family,
        source=None if is_archive else (f"source_{origin.kind}", path),
        archive=f"{STORAGE}/{origin.path.removeprefix('gs://')}" if is_archive else None,
        sha1=origin.sha1,
        location=REGION,
        features=origin.features,
        kms_key=context.plan.kms_key,
        depends_on=APIS_READY,
    )


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
