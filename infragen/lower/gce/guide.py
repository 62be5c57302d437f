"""What the README of the output says: decisions, exact commands in order, quota, roles, guards, limits."""

import shlex
from typing import TypeVar

from infragen import units
from infragen.decide.model import Decision, ImageChoice, MachineChoice, StorageChoice
from infragen.lower.gce import capacity, iam, network, serving, storage
from infragen.lower.gce.context import Context
from infragen.lower.gce.storage import Lowered
from infragen.lower.knowledge import know, store_kind
from infragen.lower.model import Choice, Guide, Step

T = TypeVar("T")
GIB_PER_TIB = 1024
APPLY = ("terraform plan -out=tfplan", "terraform apply tfplan")


def lower(context: Context, stores: tuple[Lowered, ...]) -> Guide:
    """The whole README."""
    return Guide(
        summary=_summary(context),
        choices=_choices(context),
        prepare=_prepare(context, stores),
        operate=_operate(context, stores),
        quotas=tuple((one.metric, one.region, one.amount, one.note) for one in context.plan.quotas),
        roles=_roles(context),
        guards=_guards(context, stores),
        limits=_limits(context),
        figures=_figures(context),
    )


def _summary(context: Context) -> str:
    plan, machine = context.plan, context.machine
    what = f"{plan.task} ({plan.model_name})" if plan.model_name else plan.task
    place = ", ".join(context.zones)
    return f"{what}: {_machines(machine)} in {plan.location.choice.region.name} ({place})."


def _machines(machine: MachineChoice) -> str:
    devices = ""
    if machine.accelerator:
        each = f"{machine.accelerators_per_node:g} × {machine.accelerator.name}"
        devices = f" ({each} each)"
    return f"{machine.nodes} × {machine.type}{devices}"


def _choices(context: Context) -> tuple[Choice, ...]:
    plan, group, net = context.plan, context.group, context.network
    sizes = f"{group.min_size} to {group.max_size}" if group.has_autoscaler else str(group.size)
    network = f"created, {net.range}" if net.creates else f"existing: {net.network}"
    found = [
        _choice("platform", plan.platform.choice, plan.platform),
        _choice("machine", _machines(context.machine), plan.machine),
        *(_choice(f"storage: {one.choice.purpose}", _store(one.choice), one) for one in plan.storage),
        _choice("capacity", _capacity(context), plan.capacity),
        _choice("location", f"{plan.location.choice.region.name}: {', '.join(context.zones)}", plan.location),
        _choice("image", f"{_image(context.image)}, {context.image.rollout}", plan.image),
        _choice("group", f"{group.scope}, {sizes} machines, {group.update_type} updates", plan.group),
        _choice("network", network, plan.network),
    ]
    return tuple(found)


def _choice(subject: str, text: str, decision: Decision[T]) -> Choice:
    return Choice(
        subject=subject,
        choice=text,
        because=tuple(f"{reason.rule}: {reason.text}" for reason in decision.because),
        alternatives=tuple(f"{one.candidate}: {one.because}" for one in decision.alternatives),
        would_change=decision.would_change,
    )


def _store(choice: StorageChoice) -> str:
    if choice.shared_with:
        return f"a folder on the store for {choice.shared_with}, at {choice.mount}"
    size = ""
    if choice.capacity_gib:
        tib = choice.capacity_gib / GIB_PER_TIB
        size = f", {tib:g} TiB" if tib >= 1 else f", {choice.capacity_gib} GiB"
    tier = "" if store_kind(choice.service.service) == "bucket" else f" {choice.service.tier}"
    return f"{choice.service.product}{tier}{size} at {choice.mount}"


def _capacity(context: Context) -> str:
    chosen = context.capacity
    return f"{chosen.model} {chosen.reservation}" if chosen.reservation else chosen.model


def _image(image: ImageChoice) -> str:
    return f"{image.project or 'own project'}/{image.name or image.family}"


def _figures(context: Context) -> tuple[tuple[str, str], ...]:
    """What the plan costs and gives, as far as it is known."""
    estimate = context.plan.estimate
    costs = estimate.costs
    price = f"{units.usd(costs.total)} per hour" if costs.total is not None else "not known"
    missing = f" without {', '.join(costs.unknown)}" if costs.unknown else ""
    found = [("List price", f"{price}{missing}, prices as of {costs.as_of}")]
    if estimate.usd_total:
        found.append(("Whole job", f"{units.usd(estimate.usd_total.low)} to {units.usd(estimate.usd_total.high)}"))
    if estimate.tokens_per_second:
        rate = estimate.tokens_per_second
        found.append(("Tokens per second", f"{rate.low:,.0f} to {rate.high:,.0f}"))
    if estimate.train_hours:
        found.append(("Training time", f"{estimate.train_hours.low:,.0f} to {estimate.train_hours.high:,.0f} h"))
    if estimate.memory:
        memory = estimate.memory
        found.append(("Device memory", f"{memory.total:.1f} of {memory.usable:.1f} GiB per accelerator"))
    return tuple(found)


def _prepare(context: Context, stores: tuple[Lowered, ...]) -> tuple[Step, ...]:
    """Steps up to and including the first apply, in order."""
    sign_in = ["gcloud auth application-default login"]
    if context.plan.project is None:
        sign_in.append('export TF_VAR_project_id="MY-PROJECT"')
    else:
        sign_in.append(f'export TF_VAR_project_id="{context.plan.project}"')
    steps = [Step(title="Sign in and name the project", text="", commands=tuple(sign_in))]
    if context.plan.serving and context.plan.serving.expose == "external":
        text = "The certificate is issued for this name, once its A record points at the output `address`."
        steps.append(Step(title="Name the domain", text=text, commands=('export TF_VAR_domain="chat.example.com"',)))
    steps += _state_steps(context)
    steps.append(Step(title="Get the providers", text="", commands=("terraform init",)))
    steps += _network_steps(context)
    steps += _image_steps(context)
    steps += _key_steps(context)
    steps += _content_steps(context, stores)
    steps.append(Step(title="Review and apply", text="", commands=APPLY))
    steps += _file_steps(context, stores)
    return tuple(steps)


def _state_steps(context: Context) -> list[Step]:
    """The bucket that holds the state must be there before Terraform starts."""
    bucket = context.plan.state_bucket
    if not bucket:
        return []
    create = (
        f"gcloud storage buckets create gs://{bucket} --location={context.plan.location.choice.region.name}"
        " --uniform-bucket-level-access --public-access-prevention"
    )
    text = "Once, if it is not there yet: versions bring back a state that was lost, and nobody else can read it."
    commands = (create, f"gcloud storage buckets update gs://{bucket} --versioning")
    return [Step(title="Make the bucket for the state", text=text, commands=commands)]


def _network_steps(context: Context) -> list[Step]:
    net = context.network
    if net.creates:
        return []
    needs = [
        "Private Google Access on the subnet, and a way to the internet where packages or images come from outside",
        "ingress from 35.235.240.0/20 on tcp:22 for SSH through Identity-Aware Proxy",
    ]
    if context.plan.serving and context.plan.serving.expose == "internal":
        needs.append("an active subnet of purpose `REGIONAL_MANAGED_PROXY` in the region, for the load balancer")
    if context.kinds & {"parallel", "scratch"}:
        needs.append("private services access: a connection to servicenetworking.googleapis.com")
    if net.host_project:
        ranges = ", ".join(know("ranges", "health_checks"))
        port = context.plan.serving.port if context.plan.serving else know("ports", "ssh")
        needs.append(f"ingress from {ranges} and from the load balancer's proxies on tcp:{port}")
        needs.append(
            f"`{know('roles', 'shared_network')}` on the subnet for whoever applies, and for the agent of managed instance groups"
        )
    text = "It needs:\n\n" + "\n".join(f"- {one}" for one in needs)
    values = [f"export TF_VAR_{name}='[\"10.0.0.0/23\"]'" for name in network.range_variables(context)]
    if values:
        text += "\n\nName the address ranges that its firewall rules let in:"
    return [Step(title="Check the network that exists", text=text, commands=tuple(values))]


def _image_steps(context: Context) -> list[Step]:
    """How a family is pinned: its newest image has a name that only the cloud knows."""
    image = context.image
    if image.rollout != "pinned" or image.name:
        return []
    project = f'"{image.project}"' if image.project else '"$TF_VAR_project_id"'
    find = f'gcloud compute images describe-from-family {image.family} --project={project} --format="value(name)"'
    text = "Until an image is named here, new machines boot the newest one of the family. Keep the name with your other values."
    command = f'export TF_VAR_image="projects/"{project}"/global/images/$({find})"'
    return [Step(title="Pin the image", text=text, commands=(command,))]


def _key_steps(context: Context) -> list[Step]:
    key = context.plan.kms_key
    if not key:
        return []
    agents = know("kms_agents")
    kinds = ["compute", *sorted(kind for kind in context.kinds if kind in agents)]
    number = '"$(gcloud projects describe "$TF_VAR_project_id" --format="value(projectNumber)")"'
    grants = [
        f"gcloud kms keys add-iam-policy-binding {shlex.quote(key)} --role={know('roles', 'kms')}"
        f' --member="serviceAccount:{agents[kind].replace("PROJECT_NUMBER", "${PROJECT_NUMBER}")}"'
        for kind in kinds
    ]
    text = "Google's service agents encrypt with it; without these grants the first disk or bucket fails."
    return [Step(title="Let the services use the key", text=text, commands=(f"PROJECT_NUMBER={number}", *grants))]


def _content_steps(context: Context, stores: tuple[Lowered, ...]) -> list[Step]:
    """Content that must be there before machines boot."""
    steps = []
    buckets = [one.bucket for one in stores if one.bucket and one.bucket.keeps_versions]
    for bucket in buckets:
        target = _bucket_url(context, bucket.name)
        text = f"The machines read {bucket.name} when they boot, so the bucket comes first."
        commands = (
            f"terraform apply -target={bucket.address} -target=google_project_service.main",
            f"gcloud storage cp --recursive ./{bucket.name}/* {target}/",
        )
        steps.append(Step(title=f"Upload the {bucket.name}", text=text, commands=commands))
    for one in stores:
        if one.disk and one.attached:
            steps.append(_snapshot_step(context, one, storage.FIRST_VERSION))
    return steps


def _bucket_url(context: Context, purpose: str) -> str:
    reserve = know("project_id_max") + 1
    name = context.name(purpose, storage.BUCKET, reserve)
    return f"gs://${{TF_VAR_project_id}}-{name}"


def _snapshot_step(context: Context, one: Lowered, version: str) -> Step:
    assert one.disk is not None
    purpose = one.disk.name
    prefix = context.name(purpose, reserve=17)
    loader = context.name(f"{purpose}-loader")
    zone = context.zones[0]
    size = f"{one.disk.size_gib}GB"
    commands = (
        f"gcloud compute disks create {loader} --zone={zone} --size={size} --type=pd-ssd",
        f"gcloud compute instances create {loader} --zone={zone} --disk=name={loader},device-name=content --scopes=storage-ro",
        f"gcloud compute ssh {loader} --zone={zone} --tunnel-through-iap --command='"
        "sudo mkfs.ext4 -q /dev/disk/by-id/google-content && sudo mount /dev/disk/by-id/google-content /mnt"
        f" && sudo gcloud storage cp --recursive gs://MY-BUCKET/{purpose}/* /mnt/ && sudo umount /mnt'",
        f"gcloud compute instances delete {loader} --zone={zone} --quiet",
        f"gcloud compute snapshots create {prefix}-{version} --source-disk={loader} --source-disk-zone={zone}",
        f"gcloud compute disks delete {loader} --zone={zone} --quiet",
    )
    text = "The shared disk is made from a snapshot: a machine that exists for an hour fills a disk, which becomes the snapshot."
    return Step(title=f"Make the snapshot of the {purpose}", text=text, commands=commands)


def _file_steps(context: Context, stores: tuple[Lowered, ...]) -> list[Step]:
    """Content that is copied once machines are there to copy it."""
    steps = []
    for decision in context.stores:
        choice = decision.choice
        source = choice.source or (context.plan.data_source if choice.purpose == "dataset" else None)
        if store_kind(choice.service.service) not in ("nfs", "parallel", "scratch"):
            continue
        copy = f"gcloud storage rsync --recursive {shlex.quote(source or 'gs://MY-BUCKET/MY-FOLDER')} {choice.mount}"
        group = context.name()
        where = (
            f"--region={context.plan.location.choice.region.name}"
            if context.is_regional
            else f"--zone={context.zones[0]}"
        )
        commands = (
            f"gcloud compute instance-groups managed list-instances {group} {where}",
            f"gcloud compute ssh MACHINE --zone={context.zones[0]} --tunnel-through-iap --command={shlex.quote(copy)}",
        )
        if choice.purpose in ("dataset", "weights"):
            steps.append(
                Step(title=f"Fill the store for {choice.purpose}", text="From one of the machines:", commands=commands)
            )
    return steps


def _operate(context: Context, stores: tuple[Lowered, ...]) -> tuple[Step, ...]:
    group, image = context.group, context.image
    where = (
        f"--region={context.plan.location.choice.region.name}" if context.is_regional else f"--zone={context.zones[0]}"
    )
    name = context.name()
    watch = (f"gcloud compute instance-groups managed describe {name} {where}",)
    logs = (
        f"gcloud compute instance-groups managed list-errors {name} {where}",
        f"gcloud compute instances get-serial-port-output MACHINE --zone={context.zones[0]}",
    )
    steps = [
        Step(
            title="Look what happens",
            text="Errors of the group say when quota or stock is missing; the serial log says how a boot went.",
            commands=(*watch, *logs),
        )
    ]
    steps.append(_rollout_step(context))
    steps.append(
        Step(
            title="Roll back an image",
            text="Name the image that worked. Without the variable, the decided one is used again.",
            commands=('export TF_VAR_image="projects/PROJECT/global/images/LAST-GOOD-IMAGE"', *APPLY),
        )
    )
    if group.update_type == "opportunistic" or image.rollout == "family-at-boot":
        text = "Running machines keep what they booted until they are replaced. To replace them now:"
        command = f"gcloud compute instance-groups managed rolling-action replace {name} {where} --max-surge={group.max_surge} --max-unavailable={group.max_unavailable}"
        steps.append(Step(title="Replace running machines", text=text, commands=(command,)))
    for one in stores:
        if one.disk:
            steps.append(_version_step(context, one.disk.name))
        if one.bucket and one.bucket.keeps_versions:
            purpose = one.bucket.name
            command = f"gcloud storage cp --recursive ./{purpose}/* {_bucket_url(context, purpose)}/"
            text = "Machines read it when they boot. The bucket keeps the version before for 30 days."
            steps.append(Step(title=f"Publish new {purpose}", text=text, commands=(command,)))
    if capacity.uses_resize_request(context):
        text = "A finished request is not run again; a new name asks again."
        steps.append(Step(title="Start another run", text=text, commands=('export TF_VAR_run_id="run-2"', *APPLY)))
    steps.append(_destroy_step(context, stores))
    return tuple(steps)


def _rollout_step(context: Context) -> Step:
    image = context.image
    if image.rollout == "family-at-plan":
        text = "Publish the image into its family; the next apply finds it, makes a new template and rolls it out."
        return Step(title="Roll out an image", text=text, commands=APPLY)
    if image.rollout == "pinned":
        text = "Name the new image. Terraform makes a new template, and the group replaces its machines by its update policy."
    else:
        text = (
            "Publishing an image into the family reaches only machines that are created later; Terraform sees no change."
            " To roll one out to all, name it:"
        )
    return Step(
        title="Roll out an image",
        text=text,
        commands=('export TF_VAR_image="projects/PROJECT/global/images/NEW-IMAGE"', *APPLY),
    )


def _version_step(context: Context, purpose: str) -> Step:
    text = (
        f"Make the snapshot of the new version as above. Then add the version to `{purpose}_versions`, apply, set"
        f" `{purpose}_version` to it, and apply again. To roll back, set it to the version before. Remove a version"
        " when no machine reads it any more; its guard has to be lifted for that."
    )
    commands = (f'export TF_VAR_{purpose}_versions=\'["v1", "v2"]\' TF_VAR_{purpose}_version=v2', *APPLY)
    return Step(title=f"Publish new {purpose}", text=text, commands=commands)


def _destroy_step(context: Context, stores: tuple[Lowered, ...]) -> Step:
    if not context.plan.deletion_protection or not _guards(context, stores):
        return Step(
            title="Destroy", text="A bucket that still holds objects refuses to go.", commands=("terraform destroy",)
        )
    text = (
        "What holds data is guarded: Terraform refuses a destroy while a guard stands, and changes nothing. Set"
        " `security.deletion_protection: false` in the descriptor, write the output again, apply it (that alone lifts the"
        " guards), and then destroy. Empty the buckets first."
    )
    return Step(title="Destroy", text=text, commands=(*APPLY, "terraform destroy"))


def _roles(context: Context) -> tuple[str, ...]:
    """What whoever applies must be allowed to do, in the project."""
    table = know("roles", "applier")
    program = context.plan.program
    needs = {
        "always": True,
        "monitoring": True,
        "secrets": bool(program and program.secrets),
        "registry": iam.registry(context) is not None,
        "bucket": bool(iam.bucket_names(context)),
        "kms": context.plan.kms_key is not None,
        "future": context.capacity.creates and context.capacity.model in ("future-reservation", "calendar"),
    } | dict.fromkeys(context.kinds, True)
    return tuple(sorted({role for need, is_needed in needs.items() if is_needed for role in table.get(need, ())}))


def _guards(context: Context, stores: tuple[Lowered, ...]) -> tuple[str, ...]:
    if not context.plan.deletion_protection:
        return ()
    held = [part for one in stores for part in (one.bucket, one.share, one.parallel, one.scratch, one.disk) if part]
    booked = capacity.lower(context)
    addresses = [one.address for one in held]
    if booked:
        addresses += [one.address for one in booked.reservations]
        if booked.future_reservation and booked.future_reservation.planning_status == "SUBMITTED":
            addresses.append(booked.future_reservation.address)
    return tuple(addresses)


def _limits(context: Context) -> tuple[str, ...]:
    found = [
        "Checked against the schema of the providers and the rules of this output; never applied to a real project by the tool.",
        "Quota and stock are not known before an apply asks for the machines.",
    ]
    if not context.image.base:
        found.append(
            "The image is taken as it is: it must hold the accelerator's driver and be built for the machine's processor."
        )
    if context.is_training and context.machine.nodes > 1:
        found.append(
            "Ranks follow the sorted names of the machines; when one is replaced, the program starts again on all of them."
        )
    if context.machine.fabric.label:
        found.append(
            f"{context.machine.fabric.label}: the communication plug-in that uses it must be in the image or container."
        )
    if serving.lower(context) and context.plan.serving and context.plan.serving.expose == "internal":
        found.append("The internal address speaks HTTP; requests stay inside the VPC.")
    return tuple(found)
