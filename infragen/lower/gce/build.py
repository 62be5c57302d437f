"""The image that is built: the Packer file, and the scripts that it runs on the builder."""

from infragen.decide.model import Recipe
from infragen.facts.model import ImageRepository
from infragen.lower import names
from infragen.lower.gce.context import PROJECT, Context, because
from infragen.lower.hcl import Expression, join
from infragen.lower.knowledge import know
from infragen.lower.model import ImageBuild, ImageFile, ImagePackages
from infragen.lower.model import ImageRepository as AddedRepository

ACCOUNT = "builder"  # the second word of the address of the builder's account, and what its name ends in
FUNCTIONS = {"apt": "add_apt", "deb": "add_deb", "repo": "add_repo_file", "yum": "add_yum"}  # of the script


def lower(context: Context) -> ImageBuild | None:
    """Everything of image/, where an image is built."""
    image = context.image
    recipe = image.recipe
    if recipe is None:
        return None
    settings, region = know("image_build"), context.plan.location.choice.region.name
    base = ("source_image", recipe.base_name) if recipe.base_name else ("source_image_family", recipe.base_family or "")
    labels = {"managed-by": "infragen"} | dict(context.plan.labels) | {"workload": context.plan.name}
    return ImageBuild(
        name=image.name or "",
        family=image.family or "",
        description=f"Machines of {context.plan.name}: {base[1]} and what the workload needs",
        because=because(context.plan.image.because),
        project=context.plan.project,
        base=base,
        base_project=recipe.base_project or PROJECT,
        labels=dict(sorted(labels.items())),
        location=region,
        zone=recipe.zone,
        region=region,
        subnet=_subnet(context, region),
        machine_type=recipe.builder,
        has_accelerator=recipe.builder_has_accelerator,
        disk_type=recipe.disk_type,
        disk_gib=recipe.disk_gib,
        external_ip=recipe.external_ip,
        account=join(f"{account_id(context)}@", PROJECT, ".iam.gserviceaccount.com"),
        kms_key=context.plan.kms_key,
        packer_version=settings["packer"],
        plugin_version=settings["plugin"],
        longest_s=settings["longest_s"],
        cuda_repository=_cuda_repository(recipe),
        repositories=tuple(_added(one) for one in recipe.repositories),
        software=tuple(
            ImagePackages(purpose=one.purpose, packages=one.packages, is_held=one.is_held, source_edit=one.source_edit)
            for one in recipe.software
        ),
        files=tuple(
            ImageFile(purpose=one.purpose, path=one.path, content=one.content, unit=one.unit) for one in recipe.files
        ),
        packages=recipe.packages,
        requirements=recipe.requirements,
        holds_kernel=context.has_gpus or context.machine.fabric.is_rdma or any(one.is_held for one in recipe.software),
        has_container="container" in recipe.traits,
        has_accelerators=context.has_gpus,
        container=recipe.container,
        scripts=tuple((f"{number:02}-{name}", text) for number, (name, text) in enumerate(recipe.scripts, start=1)),
    )


def account_id(context: Context) -> str:
    """The name of the account that the builder runs as."""
    return context.name(ACCOUNT, kind="google_service_account")


def _subnet(context: Context, region: str) -> Expression:
    net = context.network
    name = context.name() if net.creates else net.subnetwork or "default"
    return join("projects/", net.host_project or PROJECT, f"/regions/{region}/subnetworks/{name}")


def _cuda_repository(recipe: Recipe) -> str | None:
    """The folder of the vendor's packages: system and processor."""
    if recipe.os is None or recipe.os.cuda_repository is None:
        return None
    kinds = {one.kind for one in recipe.repositories if "$CUDA_REPOSITORY" in one.line}
    if not kinds:
        return None
    return f"{recipe.os.cuda_repository}/{know('image_build', 'cuda_architectures')[recipe.arch]}"


def _added(repository: ImageRepository) -> AddedRepository:
    arguments = [repository.id, repository.line]
    if repository.kind in ("apt", "yum"):
        arguments.append(repository.key or "")
    return AddedRepository(
        function=FUNCTIONS[repository.kind], arguments=tuple(arguments), packages=repository.packages
    )


def address() -> str:
    """The Terraform address of the builder's account."""
    return f"google_service_account.{names.local(ACCOUNT)}"
