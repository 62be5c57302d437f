"""The README's steps up to and including the first machines, in order, with exact commands."""

import shlex

from infragen.decide.model import ImageOrigin, StorageChoice
from infragen.lower.gce import capacity, iam, movein, network, storage
from infragen.lower.gce.commands import (
    APPLY,
    BUILD,
    OWN_BUCKET,
    OWN_VALUES,
    PROJECT,
    PROJECT_NUMBER,
    account,
    apply_with,
    bucket_url,
    keep,
    let_read,
    ssh,
)  # fmt: skip
from infragen.lower.gce.context import Context
from infragen.lower.gce.storage import Lowered, existing_bucket
from infragen.lower.knowledge import know
from infragen.lower.model import Step

APIS = "-target=google_project_service.main"
PEERED = frozenset({"parallel", "scratch"})


def steps(context: Context, stores: tuple[Lowered, ...]) -> tuple[Step, ...]:
    """From signing in to machines that have their data."""
    return (
        _sign_in_step(context),
        *_domain_steps(context),
        *_state_steps(context),
        Step(title="Get the providers", text="", commands=("terraform init",)),
        *_network_steps(context),
        *_key_steps(context),
        *_image_steps(context),
        *_content_steps(context, stores),
        *_booking_steps(context),
        Step(title="Review and apply", text="", commands=APPLY),
        *_window_steps(context),
        *movein.steps(context),
    )


def _sign_in_step(context: Context) -> Step:
    commands = [
        "gcloud auth login",
        "gcloud auth application-default login",
        f'export CLOUDSDK_CORE_PROJECT="{context.plan.project or "MY-PROJECT"}"',
    ]
    if context.plan.project is None:
        commands.append('export TF_VAR_project_id="$CLOUDSDK_CORE_PROJECT"')
    text = "The first is for the commands of this file, the second for Terraform."
    if context.plan.observe.billing_account:
        text += " The budget's API asks which project the calls count for: the last two say it."
        text += " Its amount is in the billing account's own currency, whatever that is."
        commands += ["export USER_PROJECT_OVERRIDE=true", 'export GOOGLE_BILLING_PROJECT="$CLOUDSDK_CORE_PROJECT"']
    return Step(title="Sign in and name the project", text=text, commands=tuple(commands))


def _domain_steps(context: Context) -> list[Step]:
    if not context.plan.serving or context.plan.serving.expose != "external" or context.plan.serving.domain:
        return []
    text = (
        "The certificate is issued for this name, once its A record points at the output `address`. Every plan needs it:"
        f' write `domain = "chat.example.com"` into `{OWN_VALUES}` to keep it.'
    )
    return [Step(title="Name the domain", text=text, commands=('export TF_VAR_domain="chat.example.com"',))]


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
    if context.network.creates:
        return []
    text = "It needs:\n\n" + "\n".join(f"- {one}" for one in _network_needs(context))
    values = [f"export TF_VAR_{name}='[\"10.0.0.0/23\"]'" for name in network.range_variables(context)]
    if values:
        text += f"\n\nName the address ranges that its firewall rules let in, and keep them in `{OWN_VALUES}`:"
    return [Step(title="Check the network that exists", text=text, commands=tuple(values))]


def _network_needs(context: Context) -> list[str]:
    """What a network that this stack does not create must bring."""
    is_shared, serving = bool(context.network.host_project), context.plan.serving
    builder = "; the builder of the image too" if context.image.recipe else ""
    needs = [
        "Private Google Access on the subnet, and a way to the internet where packages or images come from outside",
        f"ingress from {', '.join(know('ranges', 'iap'))} on tcp:{know('ports', 'ssh')} for SSH through Identity-Aware Proxy{builder}",
    ]
    wires = context.machine.fabric
    if wires.host_nics > 1 or wires.data_nics:
        needs.append(f"a subnet outside of {context.network.range}, which the networks of the further interfaces take")
    if serving and serving.expose == "internal":
        needs.append("an active subnet of purpose `REGIONAL_MANAGED_PROXY` in the region, for the load balancer")
    if context.kinds & PEERED or (is_shared and "nfs" in context.kinds):
        needs.append("private services access: a connection to servicenetworking.googleapis.com with a free range")
    if "nfs" in context.kinds:
        needs.append("machines outside of 172.17.0.0/16, which the file server uses itself: clients there cannot mount")
    if "parallel" in context.kinds:
        ports = ", ".join(f"tcp:{port}" for port in know("ports", "parallel"))
        needs.append(f"ingress from the range of private services access on {ports}, for the file system")
    if not is_shared:
        return needs
    port = serving.port if serving else know("ports", "ssh")
    if serving or context.group.heals:
        needs.append(f"ingress from {', '.join(know('ranges', 'health_checks'))} on tcp:{port}, for health checks")
    if serving and serving.expose == "internal":
        needs.append(f"ingress from that proxy subnet on tcp:{port}")
    if serving and serving.expose == "none":
        needs.append(f"ingress from the subnet on tcp:{port}, for requests")
    if context.needs_machine_traffic:
        needs.append("ingress from the subnet on all ports and protocols, for the machines among themselves")
    needs.append(
        f"`{know('roles', 'shared_network')}` on the subnet for whoever applies, and for the agent of managed instance groups"
    )
    return needs


def _image_steps(context: Context) -> list[Step]:
    """The image before the first machine: built with Packer, or what Terraform makes it from."""
    image = context.image
    if image.origin:
        return _origin_steps(image.origin)
    if image.recipe is None:
        return []
    targets = [APIS, *(f"-target={address}" for address in _builder_needs(context))]
    export = () if context.plan.project else (f'export PKR_VAR_project_id="{PROJECT}"',)
    text = (
        f"[Packer](https://developer.hashicorp.com/packer) {know('image_build', 'packer')} builds `{image.name}` and publishes it in the"
        f" family `{image.family}`; the machines boot it only once it is there. First comes what the builder lives in. Where an image of"
        " that name exists, the build stops: it is the one. Whoever builds needs "
        + ", ".join(f"`{role}`" for role in know("roles", "image_build"))
        + "; the builder itself writes its log and nothing else."
    )
    commands = ("terraform apply " + " ".join(targets), *export, *BUILD)
    return [Step(title="Build the image", text=text, commands=commands)]


def _builder_needs(context: Context) -> list[str]:
    """Addresses of what must be there before the builder starts."""
    needs = ["google_project_iam_member.builder"]
    if context.image.recipe and context.image.recipe.container and iam.registry(context):
        needs.append("google_artifact_registry_repository_iam_member.builder")
    if not context.network.host_project:
        needs.append("google_compute_firewall.builder_ssh")
    if context.network.creates:
        needs.append("google_compute_subnetwork.main")
        needs += ["google_compute_router_nat.main"] if context.network.nat else []
    return sorted(needs)


def _origin_steps(origin: ImageOrigin) -> list[Step]:
    texts = {
        "disk": "No running machine may have the disk attached while the image is made. Stop the machine that does:",
        "archive": "It holds one file, `disk.raw`, and whoever applies must be allowed to read it:",
        "snapshot": "It must hold a boot disk with the drivers of the accelerators:",
        "image": "It must hold the drivers of the accelerators; whoever applies needs `roles/compute.imageUser` on its project:",
    }
    name = origin.path.rpartition("/")[2]
    project = origin.path.split("/")[1] if origin.path.startswith("projects/") else PROJECT
    place = ""
    if origin.kind == "disk":
        place = f" --{origin.path.split('/')[2].removesuffix('s')}={origin.path.split('/')[3]}"
    show = f'gcloud compute {origin.kind}s describe {name} --project="{project}"{place}'
    if origin.kind == "archive":
        show = f"gcloud storage ls --long {shlex.quote(origin.path)}"
    return [Step(title="Check what the image is made from", text=texts[origin.kind], commands=(show,))]


def _key_steps(context: Context) -> list[Step]:
    key = context.plan.kms_key
    if not key:
        return []
    agents = know("kms_agents")
    kinds = ["compute", *sorted(kind for kind in context.kinds if kind in agents)]
    grants = [
        f"gcloud kms keys add-iam-policy-binding {shlex.quote(key)} --role={know('roles', 'kms')}"
        f' --member="serviceAccount:{agents[kind].replace("PROJECT_NUMBER", "${PROJECT_NUMBER}")}"'
        for kind in kinds
    ]
    text = "Google's service agents encrypt with it; without these grants the first disk or bucket fails."
    return [Step(title="Let the services use the key", text=text, commands=(PROJECT_NUMBER, *grants))]


def _content_steps(context: Context, stores: tuple[Lowered, ...]) -> list[Step]:
    """Content that must be there before machines boot."""
    found = []
    for one in stores:
        if one.bucket and one.bucket.is_read_only:
            purpose = one.bucket.name
            commands = (
                f"terraform apply -target={one.bucket.address} {APIS}",
                f"gcloud storage cp --recursive ./{purpose}/* {bucket_url(context, purpose)}/",
            )
            text = f"The machines read {purpose} when they boot, so the bucket comes first."
            found.append(Step(title=f"Upload the {purpose}", text=text, commands=commands))
    shared = {one.disk.name: one.disk.size_gib for one in stores if one.disk}
    for decision in context.stores:
        if decision.choice.purpose in shared:
            found.append(_snapshot_step(context, decision.choice, storage.FIRST_VERSION))
            if storage.can_fill_in_place(decision.choice):
                found.append(_in_place_step(context, decision.choice, storage.FIRST_VERSION))
    return found


def _snapshot_step(context: Context, choice: StorageChoice, version: str) -> Step:
    """A machine inside the network, without an external address and as the fleet's account, fills what machines will read."""
    purpose, zone = choice.purpose, context.zones[0]
    prefix, loader = context.name(purpose, reserve=17), context.name(f"{purpose}-loader")
    bucket, _ = existing_bucket(choice.source)
    key = context.plan.kms_key
    disk_key, boot_key = (f" --kms-key={key}", f" --boot-disk-kms-key={key}") if key else ("", "")
    commands = (
        "terraform apply " + " ".join(_loader_targets(context, choice)),
        *(() if bucket else (let_read(context, OWN_BUCKET),)),
        f"gcloud compute disks create {loader} --zone={zone} --size={choice.capacity_gib}GB --type=pd-ssd{disk_key}",
        f"gcloud compute instances create {loader} --zone={zone} --subnet={_subnet(context)} --no-address"
        f' --service-account="{account(context)}" --scopes=cloud-platform'
        f" --disk=name={loader},device-name=content{boot_key}",
        ssh(context, loader, _fill(choice)),
        f"gcloud compute instances delete {loader} --zone={zone} --quiet",
        f"gcloud compute snapshots create {prefix}-{version} --source-disk={loader} --source-disk-zone={zone}"
        f" --storage-location={context.plan.location.choice.region.name}",
        f"gcloud compute disks delete {loader} --zone={zone} --quiet",
    )
    text = (
        "The shared disk is made from a snapshot: a machine that exists for an hour fills a disk, which becomes the"
        " snapshot. Network and account come first, for that machine lives in the one and acts as the other."
        f" {movein.how_long(choice, movein.copy_seconds(context, choice))}"
    )
    return Step(title=f"Make the snapshot of the {purpose}", text=text, commands=commands)


def _loader_targets(context: Context, choice: StorageChoice) -> list[str]:
    """What the machine that fills a disk needs before it can be there."""
    targets = [APIS, "-target=google_service_account.main"]
    if context.network.creates:
        targets += ["-target=google_compute_subnetwork.main", "-target=google_compute_firewall.iap_ssh"]
    bucket, _ = existing_bucket(choice.source)
    if bucket:
        targets.append(f"-target=google_storage_bucket_iam_member.{iam.source_name(bucket)}")
    return targets


def _fill(choice: StorageChoice) -> str:
    """On the machine that fills a disk: a file system, the content, and everything written out."""
    source = (choice.source or f"gs://{OWN_BUCKET}/{choice.purpose}").rstrip("/")
    return (
        "sudo mkfs.ext4 -q /dev/disk/by-id/google-content && sudo mount /dev/disk/by-id/google-content /mnt"
        f" && sudo gcloud storage rsync --recursive {shlex.quote(source)} /mnt && sudo umount /mnt"
    )


def _in_place_step(context: Context, choice: StorageChoice, version: str) -> Step:
    """The other way in: the shared disk itself, with one writer in the first apply and many readers from the second on."""
    purpose, zones = choice.purpose, context.zones
    loader = context.name(f"{purpose}-loader")
    disk = f"{context.name(purpose, reserve=17)}-{version}"
    listed = (f"{purpose}_filled_in_place", f'["{version}"]')
    filling = (f"{purpose}_filling", f'["{version}"]')
    targets = " ".join([*_loader_targets(context, choice), f"-target=google_compute_disk.{purpose}"])
    given = " ".join(f"-var='{name}={value}'" for name, value in (listed, filling))
    bucket, _ = existing_bucket(choice.source)
    commands = [f"terraform apply {given} {targets}", *(() if bucket else (let_read(context, OWN_BUCKET),))]
    for zone in zones if context.is_regional else zones[:1]:
        commands += [
            f"gcloud compute instances create {loader} --zone={zone} --subnet={_subnet(context)} --no-address"
            f' --service-account="{account(context)}" --scopes=cloud-platform'
            f" --disk=name={disk},device-name=content",
            ssh(context, loader, _fill(choice), zone),
            f"gcloud compute instances delete {loader} --zone={zone} --quiet",
        ]
    commands.append(f"terraform apply -var='{listed[0]}={listed[1]}' {targets}")
    text = (
        "Instead of the snapshot: nothing to keep and nothing to copy twice, but two applies. The first makes the disk empty with"
        " one writer; a machine fills it and goes; the second opens it to many readers, and no one can ever write to it again."
        f" {keep(f'{listed[0]} = {listed[1]}')}"
    )
    return Step(title=f"Or fill the disk of the {purpose} in place", text=text, commands=tuple(commands))


def _subnet(context: Context) -> str:
    """The subnet of the machines as gcloud takes it."""
    net, region = context.network, context.plan.location.choice.region.name
    project = net.host_project or PROJECT
    name = context.name() if net.creates else net.subnetwork or "default"
    return f"projects/{project}/regions/{region}/subnetworks/{name}"


def _booking_steps(context: Context) -> list[Step]:
    """What is bought, and what becomes of it and of the machines at its start, at its end and after."""
    if not context.capacity.creates:
        return []
    paid = next((one.text for one in context.plan.capacity.because if one.rule == capacity.PAID_ANYWAY), "")
    lines = [f"{paid[:1].upper()}{paid[1:]}."]
    if capacity.waits_for_window(context):
        lines += _window_lines(context)
    else:
        lines += [
            "From the apply on: machines of this group find it by its name; others may not take it."
            if not context.capacity.is_automatic
            else "From the apply on: any machine of the project that matches takes a place in it.",
            "An apply fails where the zone has not enough machines free at that moment: nothing is reserved then.",
            "It ends when it is destroyed, and only then; machines that run go on, as on-demand machines.",
        ]
    if context.capacity.shared_with:
        lines.append(f"Shared with {', '.join(context.capacity.shared_with)}: what they use is missing here.")
    return [Step(title="Know what is booked", text="\n".join(f"- {one}" for one in lines), commands=())]


def _window_lines(context: Context) -> list[str]:
    booked = context.capacity
    gone = "stopped" if booked.at_end == "stop" else "deleted"
    is_calendar = booked.model == "calendar"
    end = (
        f"At the end, {booked.end}: the reservation goes, and every machine on it is {gone}. Checkpoints must be in the store by then."
        if is_calendar or capacity.terms(context) is capacity.BOUND
        else f"At the end, {booked.end}: the reservation goes; machines that run are not stopped, and are billed on demand from then"
        " on. Take them away before: `machines = 0`."
    )
    return [
        f"Approval: Google reviews a submitted request, and may decline it. The reservation `{capacity.reservation_name(context)}` is"
        " made then, and cannot be used before the start.",
        "Once submitted it cannot be changed, cancelled or deleted."
        if is_calendar
        else "Once its lock time has passed it cannot be changed, and not be deleted before its end. Another window takes another name.",
        "The number is the total wanted: machines and reservations of the same properties that exist in the project count against it.",
        f"At the start, {booked.start}: billing begins, whether machines run or not. They come when `machines` is set, see below.",
        end,
        "After the end: `terraform apply` would ask for the window anew, and a start in the past is refused. Destroy the stack, or write"
        " it again with another window.",
    ]


def _window_steps(context: Context) -> list[Step]:
    """From a request for capacity to machines: approval, the window, and only then their number."""
    if not capacity.waits_for_window(context):
        return []
    name, zone = context.name(kind=capacity.FUTURE_RESERVATION), context.zones[0]
    show = f"gcloud beta compute future-reservations describe {name} --zone={zone}"
    submit = (
        "The request is a draft: nothing is asked for or paid. To submit it, set `capacity.submit: true` in the descriptor,"
        " write the output again, and apply it. "
        if not context.capacity.submit
        else ""
    )
    size = capacity.window_size(context)
    start = (
        f"From {context.capacity.start} on, once the request is fulfilled. Until then `machines` is 0, for a machine would"
        f" look for a reservation that is not there. {keep(f'machines = {size}')}"
    )
    return [
        Step(
            title="Watch the approval",
            text=f"{submit}Google reviews a submitted request; it is approved when the status says so.",
            commands=(
                f'{show} --format="value(status.procurementStatus)"',
                "terraform apply -refresh-only",
                "terraform output procurement_status",
            ),
        ),
        Step(title="Start the machines", text=start, commands=apply_with(("machines", str(size)))),
    ]
