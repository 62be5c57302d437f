"""The README's steps once machines are there: watching, rolling out and back, new content, the end of a job, destroying."""

import shlex

from infragen.lower.gce import capacity, movein
from infragen.lower.gce.commands import APPLY, BUILD, OWN_VALUES, PROJECT, apply_with, bucket_url, group, keep, ssh
from infragen.lower.gce.compute import update_policy
from infragen.lower.gce.context import Context
from infragen.lower.gce.storage import Lowered
from infragen.lower.knowledge import know
from infragen.lower.model import Step

SCARCE = {
    "spot": "spot capacity may be gone when the successor asks for it",
    "reservation": "others who use the reservation may take the place first",
    "future-reservation": "others who use the reservation may take the place first",
    "calendar": "others who use the reservation may take the place first",
    "on-demand": "the zone may have none left when the successor asks for it",
}  # why a machine that goes may not come back, per capacity model; flex-start machines are not replaced at all


def steps(context: Context, stores: tuple[Lowered, ...], is_guarded: bool) -> tuple[Step, ...]:
    """Everything after the first apply."""
    return (
        _watch_step(context),
        *_alert_steps(context),
        *_rollout_steps(context),
        *_canary_steps(context),
        *_replace_steps(context),
        *_promotion_steps(context),
        *_content_steps(context, stores),
        *movein.copies(context),
        *_run_steps(context),
        *_end_steps(context),
        _destroy_step(context, stores, is_guarded),
    )


def _watch_step(context: Context) -> Step:
    return Step(
        title="Look what happens",
        text="Errors of the group say when quota or stock is missing; the serial log says how a boot went.",
        commands=(
            group(context, "describe"),
            group(context, "list-errors"),
            f"gcloud compute instances get-serial-port-output MACHINE --zone={context.zones[0]}",
        ),
    )


def _alert_steps(context: Context) -> list[Step]:
    """A test of the whole way of an alert: the agent, the log, the policy, whoever is told."""
    if not context.has_gpus:
        return []
    text = (
        "Nothing checks the names of metrics and log fields before something happens. Pretend an error of the driver once: its"
        " alert comes within minutes, to whoever is told of incidents."
    )
    line = f"sudo logger --tag kernel '{know('logs', 'xid')} (test): 0'"
    return [Step(title="Prove that an alert reaches you", text=text, commands=(ssh(context, "MACHINE", line),))]


def _is_opportunistic(context: Context) -> bool:
    return update_policy(context).type == "OPPORTUNISTIC"


PATH = "projects/PROJECT/global/images/{}"


def _rollout_steps(context: Context) -> list[Step]:
    """A new image for all machines, and the way back."""
    if context.capacity.model in capacity.WAITING:
        effect = "No running machine changes: the machines of the next run boot it."
    elif _is_opportunistic(context):
        effect = "No running machine changes: one boots it when it is replaced, see below."
    else:
        effect = "The group replaces its machines by its update policy."
    good = PATH.format("LAST-GOOD-IMAGE")
    text = f"Name the image that worked. {effect} {_kept_image(good)}"
    if context.image.rollout == "family-at-plan":
        text += " Or mark the bad one as deprecated, as below: the family then names the one before, and the next apply takes it."
    back = Step(title="Roll back an image", text=text, commands=apply_with(("image", good)))
    if context.image.origin:
        text = (
            "Terraform keeps one image: the one before went when this one took over. Name the source before in the descriptor, and"
            f" write the output again: its image is made anew. {effect}"
        )
        back = Step(title="Roll back an image", text=text, commands=APPLY)
    return [_rollout_step(context, effect), back]


def _rollout_step(context: Context, effect: str) -> Step:
    image, title = context.image, "Roll out an image"
    if image.rollout == "family-at-plan":
        text = f"Publish the image into its family; the next apply finds it and makes a new template. {effect}"
        return Step(title=title, text=text, commands=(*(BUILD if image.recipe else ()), *APPLY))
    if image.recipe and image.rollout == "pinned":
        text = (
            "Change the recipe in the descriptor, or raise `image.revision` to build the same one again on what its base and its"
            f" packages are by then, and write the output again: the image has a new name. Build it before the apply. {effect}"
        )
        return Step(title=title, text=text, commands=(*BUILD, *APPLY))
    if image.origin:
        text = (
            "Name another source in the descriptor, or raise `image.revision` where its content changed, and write the output"
            f" again: the image has a new name, and Terraform a new template. {effect}"
        )
        return Step(title=title, text=text, commands=APPLY)
    intro = "Name the new image, in the descriptor or here, and Terraform makes a new template."
    if image.rollout == "family-at-boot":
        intro = (
            "Publishing an image into the family reaches only machines that are created later; Terraform sees no"
            " change. To make it the image of all, name it."
        )
    new = PATH.format("NEW-IMAGE")
    return Step(title=title, text=f"{intro} {effect} {_kept_image(new)}", commands=apply_with(("image", new)))


def _canary_steps(context: Context) -> list[Step]:
    """Looking at the machines that try another image, and deciding."""
    image = context.image
    if image.canary is None:
        return []
    name, percent = image.canary
    show = group(
        context, "list-instances", '--format="table(name,version.name,instanceStatus,currentAction,lastAttempt.errors)"'
    )
    waits = "" if not _is_opportunistic(context) else " A machine becomes a canary when it is replaced, see below."
    watch = (
        f"{percent}% of the machines boot `{name}`, counted in whole machines and rounded up.{waits} Compare errors and latency by"
        " machine name in the dashboards before going on."
    )
    if image.rollout == "family-at-plan":
        watch += f" Its image must be in another family: the newest of `{image.family}` is what all the others boot."
    onward = f"Write `{name}` where the descriptor names the image of all"
    move: tuple[str, ...] = ()
    if image.rollout == "family-at-plan":
        onward = "Move it into the family, which names its newest image"
        project = shlex.quote(image.project) if image.project else f'"{PROJECT}"'
        move = (f"gcloud compute images update {name} --project={project} --family={image.family}",)
    onward += (
        ", remove `image.canary`, and write the output again. To go back, only remove `image.canary`: the machines that tried it"
        " return to the image of the others."
    )
    return [
        Step(title="Watch the canary", text=watch, commands=(show,)),
        Step(title="Go on with the canary, or go back", text=onward, commands=(*move, *APPLY)),
    ]


def _promotion_steps(context: Context) -> list[Step]:
    """From a candidate to what the family names, and from there to its end."""
    image = context.image
    if image.family is None or image.project or image.origin:
        return []
    images, found = "gcloud compute images", []
    if image.recipe:
        text = (
            "An image in the family is what every reader of the family gets. To try one first: keep the machines on the image they have"
            f" by naming it in `{OWN_VALUES}`, change the recipe, build it into another family, and name it in `image.canary`. When it has"
            " proved itself, move it into the family, and take the line and the canary out again; nothing is built anew."
        )
        moves = (
            f"packer build -var family={image.family}-candidate image",
            f"{images} update NEW-IMAGE --family={image.family}",
        )
        found.append(Step(title="Promote an image", text=text, commands=moves))
    text = (
        "A deprecated image still boots, and its family names the newest that is not; an obsolete one boots no new machine; a deleted one"
        " is gone, and so is the way back to it. Keep two good ones. Terraform has no word for this. The last command takes a mark off again."
    )
    commands = (
        f'{images} list --filter="family={image.family}" --show-deprecated --sort-by=~creationTimestamp',
        f"{images} deprecate OLD-IMAGE --state=DEPRECATED --replacement=NEW-IMAGE",
        f"{images} deprecate OLD-IMAGE --state=OBSOLETE --replacement=NEW-IMAGE",
        f"{images} delete OLD-IMAGE",
        f"{images} deprecate OLD-IMAGE --state=ACTIVE",
    )
    found.append(Step(title="Retire old images", text=text, commands=commands))
    return found


def _kept_image(path: str) -> str:
    return keep(f'image = "{path}"')


def _replace_steps(context: Context) -> list[Step]:
    """Replacing machines by hand; by a command that leaves the group's own update policy as Terraform wrote it."""
    if context.capacity.model in capacity.WAITING:
        return []
    replace = "--minimal-action=replace"
    if _is_opportunistic(context):
        text = (
            "Running machines keep what they booted until they are replaced. To replace all of them now, at once; be sure"
            f" that the work can be taken up again, and know that {SCARCE[context.capacity.model]}:"
        )
        return [
            Step(
                title="Replace running machines",
                text=text,
                commands=(group(context, "update-instances", "--all-instances", replace),),
            )
        ]
    if context.image.rollout != "family-at-boot":
        return []
    text = (
        "Running machines keep what they booted. Naming an image, as above, replaces them a few at a time; to replace single"
        f" ones, at once, name them, and know that {SCARCE[context.capacity.model]}:"
    )
    command = group(context, "update-instances", "--instances=MACHINE", replace)
    return [Step(title="Replace single machines", text=text, commands=(command,))]


def _content_steps(context: Context, stores: tuple[Lowered, ...]) -> list[Step]:
    found = []
    for one in stores:
        if one.disk:
            found += _version_steps(context, one.disk.name, one.disk.access_mode is not None)
        if one.bucket and one.bucket.is_read_only:
            purpose = one.bucket.name
            command = f"gcloud storage cp --recursive ./{purpose}/* {bucket_url(context, purpose)}/"
            kept = " The bucket keeps the version before for 30 days." if one.bucket.keeps_versions else ""
            text = f"Machines read it when they boot.{kept}"
            found.append(Step(title=f"Publish new {purpose}", text=text, commands=(command,)))
    return found


def _version_steps(context: Context, purpose: str, fills: bool) -> list[Step]:
    """Two applies: first the disk of the new version is there, then machines change over to it."""
    versions, version = (f"{purpose}_versions", '["v1", "v2"]'), (f"{purpose}_version", "v2")
    in_place = " Or fill it in place as above, with v2 in both lists." if fills else ""
    listed, mounted = f"{versions[0]} = {versions[1]}", f'{version[0]} = "{version[1]}"'
    effect = "The group replaces its machines by its update policy, and the new ones mount it."
    if _is_opportunistic(context):
        effect = "Machines that are created from now on mount it."
    return [
        Step(
            title=f"Make a disk of new {purpose}",
            text=f"Make the snapshot of the new version as above, named v2 instead of v1; then its disk.{in_place} {keep(listed)}",
            commands=apply_with(versions),
        ),
        Step(
            title=f"Change over to new {purpose}",
            text=(
                f"{effect} To go back, name the version before. {keep(listed, mounted)}"
                " Remove a version when no machine reads it any more; its guard has to be lifted for that."
            ),
            commands=apply_with(versions, version),
        ),
    ]


def _run_steps(context: Context) -> list[Step]:
    """Asking again for machines that had to be waited for."""
    if context.capacity.model not in capacity.WAITING:
        return []
    clear = group(context, "resize", "--size=0")
    stable = group(context, "wait-until", "--stable")
    gone = "The machines of the run before go first: the ranks of the new one count every machine of the group."
    if capacity.uses_resize_request(context):
        text = f"A finished request is not run again; a new name asks again. {gone} " + keep('run_id = "run-2"')
        commands = (clear, stable, *apply_with(("run_id", "run-2")))
    else:
        again = group(context, "resize", f"--size={context.group.size}")
        text, commands = gone, (clear, stable, again)
    return [Step(title="Start another run", text=text, commands=commands)]


def _end_steps(context: Context) -> list[Step]:
    """A job that ends leaves its machines behind."""
    if not context.is_job:
        return []
    commands: tuple[str, ...] = (group(context, "resize", "--size=0"),)
    text = "The machines stay, and are paid for, until they are taken away, whatever the program does. "
    if context.group.has_autoscaler:
        commands = (group(context, "update-autoscaling", "--mode=off"), *commands)
    if context.capacity.run_for_s:
        text = "The machines are paid for until their run time is over, or they are taken away. "
    if capacity.uses_resize_request(context):
        text += "Terraform does not bring them back. Then destroy what is not needed any more."
    elif capacity.waits_for_window(context):
        commands = apply_with(("machines", "0"))
        text += f"The booking is paid to its end all the same. Set `machines = 0` in `{OWN_VALUES}` too; then destroy."
    else:
        text += "The next apply of this stack would bring them back: destroy what is not needed any more."
    return [Step(title="When the job is done", text=text, commands=commands)]


def _destroy_step(context: Context, stores: tuple[Lowered, ...], is_guarded: bool) -> Step:
    """What must go or be let go of by hand, then the rest; guards are lifted first."""
    text, commands = "", list[str]()
    if is_guarded:
        text = (
            "What is guarded stops a destroy, and nothing changes. Set `security.deletion_protection: false` in the"
            " descriptor, write the output again, and apply it: that alone lifts the guards."
        )
        commands += APPLY
    buckets = [one.bucket.name for one in stores if one.bucket]
    if buckets:
        text += " A bucket that still holds objects refuses to go: these commands delete each with all that is in it, for good."
        commands += [f"gcloud storage rm --recursive --all-versions {bucket_url(context, one)}" for one in buckets]
    booked = capacity.lower(context)
    if booked and booked.future_reservation and context.capacity.submit:
        text += " The submitted booking stays, and is paid for: Terraform only forgets it."
        commands.append(f"terraform state rm {booked.future_reservation.address}")
    return Step(title="Destroy", text=text.strip(), commands=(*commands, "terraform destroy"))
