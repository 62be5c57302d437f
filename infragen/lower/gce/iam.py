"""Who the machines are and what they may do; and the APIs that all of it needs."""

import re

from infragen.lower import names
from infragen.lower.gce import build
from infragen.lower.gce.context import ACCOUNT_MEMBER, APIS_READY, PROJECT, Context, comment
from infragen.lower.gce.storage import Lowered, existing_bucket, mounts_existing
from infragen.lower.hcl import Expression
from infragen.lower.knowledge import know
from infragen.lower.model import IdentityPart, Member, ServiceAccount, Services, Text

PROJECT_MEMBER = "google_project_iam_member"


def apis(context: Context) -> tuple[str, ...]:
    """The APIs that the stack uses, sorted."""
    table = know("apis")
    wanted = {*table["always"], *table["ssh"]}
    for kind in context.kinds & set(table):
        wanted |= set(table[kind])
    if context.plan.program and context.plan.program.secrets:
        wanted |= set(table["secrets"])
    if registry(context):
        wanted |= set(table["registry"])
    if context.group.queue:
        wanted |= set(table["queue"])
    if context.plan.observe.billing_account:
        wanted |= set(table["budget"])
    if context.plan.kms_key:
        wanted |= set(table["kms"])
    if bucket_names(context):
        wanted |= set(table["bucket"])
    return tuple(sorted(wanted))


def registry(context: Context) -> tuple[str, str, str] | None:
    """Location, project and repository of the container, where it lies in Google's registry."""
    container = context.plan.program.container if context.plan.program else None
    match = re.fullmatch(know("registry_host"), container or "")
    return (match[1], match[2], match[3]) if match else None


def lower(context: Context, stores: tuple[Lowered, ...]) -> IdentityPart:
    """Everything of iam.tf: one account for the fleet, with the roles that this workload needs and no more."""
    account = ServiceAccount(
        type="google_service_account",
        name=names.local(),
        account_id=context.name(kind="google_service_account"),
        display_name=context.plan.name,
        description=f"Machines of {context.plan.name}",
        depends_on=APIS_READY,
    )
    services = Services(
        type="google_project_service",
        name=names.local(),
        because=comment("Other workloads of the project may use these too: they stay on when this stack goes."),
        apis=apis(context),
    )
    accounts = (account, *_builder(context))
    members = (
        _project_roles(context),
        *_builder_roles(context),
        *_bucket_roles(context, stores),
        *_registry_role(context),
        *_secret_roles(context),
        *_queue_role(context),
    )
    return IdentityPart(services=services, accounts=accounts, members=members)


def _builder(context: Context) -> tuple[ServiceAccount, ...]:
    """Who builds the image: not the fleet, which reads data that no image needs."""
    if context.image.recipe is None:
        return ()
    return (
        ServiceAccount(
            type="google_service_account",
            name=names.local(build.ACCOUNT),
            account_id=build.account_id(context),
            display_name=f"{context.plan.name} builder",
            description=f"Builder of the image of {context.plan.name}",
            depends_on=APIS_READY,
        ),
    )


def _builder_roles(context: Context) -> list[Member]:
    if context.image.recipe is None:
        return []
    return [
        Member(
            type="google_project_iam_member",
            name=names.local(build.ACCOUNT),
            because=comment("The builder writes its log, and needs nothing else of the project."),
            target=(("project", PROJECT),),
            role=know("roles", "builder"),
            member=Expression(f"{build.address()}.member"),
        ),
        *_builder_registry(context),
    ]


def _builder_registry(context: Context) -> list[Member]:
    """What the builder pulls while it builds."""
    found = registry(context)
    if found is None or context.image.recipe is None or context.image.recipe.container is None:
        return []
    return [_registry_reader(build.ACCOUNT, found, Expression(f"{build.address()}.member"))]


def project_roles(context: Context) -> tuple[str, ...]:
    """What the machines may do in the whole project, sorted."""
    return tuple(sorted([*know("roles", "machine"), *([know("roles", "ranks")] if context.works_together else [])]))


def _project_roles(context: Context) -> Member:
    why = ["Write logs and metrics."]
    if context.works_together:
        why.append("Read the group's members, from which the machines tell their ranks.")
    listed = ", ".join(f'"{role}"' for role in project_roles(context))
    return Member(
        type=PROJECT_MEMBER,
        name="machine",
        because=comment(" ".join(why)),
        for_each=Expression(f"toset([{listed}])"),
        target=(("project", PROJECT),),
        role=Expression("each.key"),
        member=ACCOUNT_MEMBER,
    )


def bucket_names(context: Context) -> tuple[str, ...]:
    """Existing buckets that the machines are let into."""
    mounted = {existing_bucket(one.choice.source)[0] for one in context.stores if mounts_existing(one.choice)}
    return tuple(sorted(mounted | set(_buckets_to_read(context))))


def _buckets_to_read(context: Context) -> list[str]:
    """Existing buckets that content is copied from by the machines."""
    sources = {
        existing_bucket(one.choice.source)[0]
        for one in context.plan.storage
        if one.choice.source and not mounts_existing(one.choice)
    }
    if context.plan.data_source:
        sources.add(existing_bucket(context.plan.data_source)[0])
    return sorted(sources)


def source_name(bucket: str) -> str:
    """The second word of the address of the grant on a bucket that content is copied from."""
    return names.distinct("source", bucket)


def _bucket_roles(context: Context, stores: tuple[Lowered, ...]) -> list[Member]:
    read, write = know("roles", "read_objects"), know("roles", "write_objects")
    granted: dict[str, tuple[Text, str]] = {}
    mounted: set[str] = set()
    for decision in context.stores:
        choice = decision.choice
        role = read if choice.is_read_only else write
        if mounts_existing(choice):
            bucket = existing_bucket(choice.source)[0]
            granted[choice.purpose] = (bucket, role)
            mounted.add(bucket)
    for one in stores:
        if one.bucket:
            granted[one.bucket.name] = (one.bucket.get("name"), read if one.bucket.is_read_only else write)
    for bucket in _buckets_to_read(context):
        if bucket not in mounted:
            granted[source_name(bucket)] = (bucket, read)
    return [
        Member(
            type="google_storage_bucket_iam_member",
            name=name,
            target=(("bucket", bucket),),
            role=role,
            member=ACCOUNT_MEMBER,
        )
        for name, (bucket, role) in sorted(granted.items())
    ]


def _registry_role(context: Context) -> list[Member]:
    found = registry(context)
    if found is None:
        return []
    return [_registry_reader("container", found, ACCOUNT_MEMBER)]


def _registry_reader(name: str, found: tuple[str, str, str], member: Expression) -> Member:
    location, project, repository = found
    return Member(
        type="google_artifact_registry_repository_iam_member",
        name=names.local(name),
        target=(("location", location), ("project", project), ("repository", repository)),
        role=know("roles", "registry"),
        member=member,
        depends_on=APIS_READY,
    )


def _secret_roles(context: Context) -> list[Member]:
    program = context.plan.program
    found = []
    for secret in sorted({secret for _, secret in program.secrets} if program else ()):
        parts = secret.split("/")
        owner: Text = parts[1] if secret.startswith("projects/") and len(parts) > 3 else PROJECT
        name = parts[3] if isinstance(owner, str) else secret
        found.append(
            Member(
                type="google_secret_manager_secret_iam_member",
                name=names.distinct("secret", secret),
                target=(("project", owner), ("secret_id", name)),
                role=know("roles", "secret"),
                member=ACCOUNT_MEMBER,
                depends_on=APIS_READY,
            )
        )
    return found


def _queue_role(context: Context) -> list[Member]:
    """The right to take from the queue that the group is scaled on."""
    queue = context.group.queue
    if queue is None:
        return []
    return [
        Member(
            type="google_pubsub_subscription_iam_member",
            name="queue",
            target=(("project", PROJECT), ("subscription", queue)),
            role=know("roles", "queue"),
            member=ACCOUNT_MEMBER,
            depends_on=APIS_READY,
        )
    ]
