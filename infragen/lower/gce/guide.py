"""What the README of the output says: decisions, steps, quota, roles, guards, limits."""

from typing import TypeVar

from infragen import units
from infragen.decide.model import Decision, ImageChoice, MachineChoice, StorageChoice
from infragen.lower.gce import boot, capacity, commands, iam, operate, prepare, serving
from infragen.lower.gce.context import Context
from infragen.lower.gce.storage import Lowered, is_shared_disk
from infragen.lower.knowledge import know
from infragen.lower.model import Choice, Guide

T = TypeVar("T")
GIB_PER_TIB = 1024
ALTERNATIVES = 3  # that the README names; plan.json and `explain` have them all


def lower(context: Context, stores: tuple[Lowered, ...]) -> Guide:
    """The whole README."""
    guards = _guards(context, stores)
    has_lifted = context.plan.deletion_protection and bool(guards)
    before, after = prepare.steps(context, stores), operate.steps(context, stores, has_lifted)
    uses_ssh = any(commands.TUNNEL in command for step in (*before, *after) for command in step.commands)
    return Guide(
        summary=_summary(context),
        choices=_choices(context),
        prepare=before,
        operate=after,
        quotas=tuple(
            (one.metric, one.region, one.amount, "; ".join(filter(None, (one.dimension, one.note))))
            for one in context.plan.quotas
        ),
        roles=_roles(context, uses_ssh or context.image.recipe is not None),
        machine_roles=_machine_roles(context, stores),
        guards=guards,
        limits=_limits(context),
        figures=_figures(context),
        environment=boot.layout(context) if context.plan.program else (),
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
        alternatives=tuple(
            f"{one.candidate}: {one.because}" + (f"; takes {one.needs}" if one.needs else "")
            for one in decision.alternatives[:ALTERNATIVES]
        ),
        would_change=decision.would_change,
    )


def _store(choice: StorageChoice) -> str:
    if choice.shared_with:
        return f"a folder on the store for {choice.shared_with}, at {choice.mount}"
    size = ""
    if choice.capacity_gib:
        tib = choice.capacity_gib / GIB_PER_TIB
        size = f", {tib:g} TiB" if tib >= 1 else f", {choice.capacity_gib} GiB"
    return f"{choice.service.title}{size} at {choice.mount}"


def _capacity(context: Context) -> str:
    chosen = context.capacity
    return f"{chosen.model} {chosen.reservation}" if chosen.reservation else chosen.model


def _image(image: ImageChoice) -> str:
    return f"{image.boots} of {image.project or 'the own project'}"


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


def _roles(context: Context, uses_ssh: bool) -> tuple[str, ...]:
    """What whoever applies must be allowed to do, in the project."""
    table = know("roles", "applier")
    program = context.plan.program
    needs = {
        "always": True,
        "monitoring": True,
        "secrets": bool(program and program.secrets),
        "registry": iam.registry(context) is not None,
        "queue": context.group.queue is not None,
        "budget": context.plan.observe.billing_account is not None,
        "bucket": bool(iam.bucket_names(context)),
        "kms": context.plan.kms_key is not None,
        "future": capacity.waits_for_window(context),
        "ssh": uses_ssh,
    } | dict.fromkeys(context.kinds, True)
    return tuple(sorted({role for need, is_needed in needs.items() if is_needed for role in table.get(need, ())}))


def _machine_roles(context: Context, stores: tuple[Lowered, ...]) -> tuple[tuple[str, str], ...]:
    """What the machines may do, and on what: all of it, for their account has no other role."""
    found = [(role, "the project") for role in iam.project_roles(context)]
    for member in iam.lower(context, stores).members:
        if member.type != iam.PROJECT_MEMBER:
            found.append(
                (
                    str(member.role),
                    f"{member.type.removeprefix('google_').removesuffix('_iam_member')} {member.name}".replace(
                        "_", " "
                    ),
                )
            )
    return tuple(found)


def _guards(context: Context, stores: tuple[Lowered, ...]) -> tuple[str, ...]:
    held = [part for one in stores for part in (one.bucket, one.share, one.parallel, one.scratch, one.disk) if part]
    booked = capacity.lower(context)
    addresses = [one.address for one in held] if context.plan.deletion_protection else []
    if booked:
        bookings = (*booked.reservations, booked.future_reservation)
        addresses += [one.address for one in bookings if one and one.is_guarded]
    return tuple(addresses)


def _limits(context: Context) -> tuple[str, ...]:
    found = [
        "Checked against the schema of the providers and the rules of this output; never applied to a real project by the tool.",
        "Quota and stock are not known before an apply asks for the machines.",
    ]
    if not context.image.base and not context.image.recipe:
        found.append(
            "The image is taken as it is: it must "
            + ("hold the accelerator's driver and " if context.has_gpus else "")
            + "be built for the machine's processor."
        )
    if capacity.waits_for_window(context):
        found.append(
            "Not every zone that has the machines takes bookings of them: the console's view of future availability shows where"
            " and when; name such a zone in `capacity.zone`."
        )
    if context.works_together:
        found.append(
            "Ranks follow the sorted names of the machines and are told anew at every start of the program; when a machine"
            " is lost, the program has to end on all of them, and starts again by itself."
        )
    found.append(
        "Alerts on what machines write themselves are made before the first value is there: nothing but a test proves that they"
        " fire."
    )
    if not context.plan.observe.log_retention_days:
        found.append(
            "Logs are kept as the project keeps them, 30 days unless it says otherwise; `observe.log_retention` keeps them longer."
        )
    if context.has_gpus:
        found.append(
            "The machines take no updates by themselves, so that kernel and driver stay together: roll out a new image instead."
        )
    recipe, fabric = context.image.recipe, context.machine.fabric
    has_plugin = recipe is not None and any(one.is_plugin for one in recipe.software)
    if fabric.label and not has_plugin:
        found.append(f"{fabric.label}: the communication plug-in that uses it must be in the image or container.")
    elif has_plugin and context.plan.program and context.plan.program.container:
        folder = know("plugin_folder")
        found.append(
            f"{fabric.label}: the image's communication plug-in is mounted at {folder}; the container has to read its settings"
            f" from {folder}/scripts and add {folder}/lib64 to its library path."
        )
    if context.group.signal == "queue":
        found.append(
            "A machine that the autoscaler takes away stops in the middle of its work: the program must acknowledge an item"
            " only when it is done, so that another machine takes it up."
        )
    if context.group.stateful_stores or context.group.keeps_internal_ip:
        kept = "stays, and is paid for, until it is removed by hand" if context.plan.deletion_protection else "goes too"
        found.append(f"State of a machine that is removed for good {kept}.")
    if context.group.fallbacks:
        found.append("Price, quota and speed are those of the first machine type; a fallback may differ in all three.")
    if any(is_shared_disk(one.choice) for one in context.stores):
        found.append(
            "100 machines attach a shared disk in 30 s: a larger scale-out waits. Its rate can be changed every 6 h, its size every 4 h,"
            " and only upwards: lower the rate once the fleet has loaded."
        )
    if serving.lower(context) and context.plan.serving and context.plan.serving.expose == "internal":
        found.append("The internal address speaks HTTP; requests stay inside the VPC.")
    return tuple(found)
