"""Lower: from the plan to the Terraform blocks.

Takes a `Plan`. Gives a `Stack`, which needs nothing else to be written. Promises: pure; the same plan gives the same
stack; addresses and names depend on meaning alone; no text of the user's becomes an expression.
"""

from collections.abc import Mapping

from infragen.decide.model import Plan
from infragen.diagnostics import Diagnostic
from infragen.lower.gce import (
    addresses,
    boot,
    build,
    capacity,
    checks,
    compute,
    guide,
    iam,
    image,
    monitoring,
    network,
    serving,
    storage,
)
from infragen.lower.gce.context import PROJECT, Context, because
from infragen.lower.hcl import Expression
from infragen.lower.knowledge import know
from infragen.lower.model import Output, Settings, Stack, Variable

PROJECT_PATTERN = "^[a-z][-a-z0-9]{4,28}[a-z0-9]$"
REGION_PATTERN = "^[a-z]+-[a-z]+[0-9]+$"
ZONE_PATTERN = "^[a-z]+-[a-z]+[0-9]+-[a-z]$"
PATHS: Mapping[str, str] = {
    "N101": "network.range",
    "N102": "run",
    "N103": "group",
    "N104": "group.autoscale.signal",
    "N105": "capacity.start",
    "N106": "security.kms_key",
    "N110": "image.canary",
}
"""Code of a finding of `check` -> the dotted path of the descriptor that it is about."""


def check(plan: Plan) -> tuple[Diagnostic, ...]:
    """What of the plan cannot be lowered. `run` may be called only where no error is among them."""
    context = Context(plan)
    return (*addresses.check(context), *boot.check(context), *checks.check(context))


def run(plan: Plan) -> Stack:
    """The blocks that carry the plan out. Raises ValueError for a plan that `check` has an error for."""
    context = Context(plan)
    stores = storage.lower(context)
    boots = boot.lower(context, stores)
    identity = iam.lower(context, stores)
    booked = capacity.lower(context)
    net = network.lower(context)
    first = [one.whole for one in identity.members] + ([net.nat.whole] if net.nat else [])
    first += [one.whole for one in booked.reservations] if booked else []  # machines that come sooner would not use it
    beta = bool(booked and booked.future_reservation)
    return Stack(
        name=plan.name,
        settings=_settings(plan, beta),
        variables=_variables(context, stores),
        outputs=_outputs(context, stores),
        compute=compute.lower(context, stores, boots, tuple(first)),
        network=net,
        identity=identity,
        boot=boots,
        guide=guide.lower(context, stores),
        storage=storage.part(stores),
        capacity=booked,
        image=image.lower(context),
        build=build.lower(context),
        serving=serving.lower(context),
        monitoring=monitoring.lower(context),
    )


def _settings(plan: Plan, has_beta: bool) -> Settings:
    versions = know("terraform")
    labels = {"managed-by": "infragen"} | dict(plan.labels) | {"workload": plan.name}  # the alerts look for `workload`
    return Settings(
        required_version=versions["required_version"],
        provider_version=versions["provider_version"],
        has_beta=has_beta,
        state_bucket=plan.state_bucket,
        state_prefix=plan.state_prefix or plan.name,
        labels=dict(sorted(labels.items())),
    )


def _variables(context: Context, stores: tuple[storage.Lowered, ...]) -> tuple[Variable, ...]:
    found = [
        *_place_variables(context),
        image.variable(context),
        *capacity.variables(context),
        *serving.variables(context),
        *monitoring.variables(),
        *(variable for one in stores for variable in one.variables),
        *_network_variables(context),
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def _place_variables(context: Context) -> list[Variable]:
    plan = context.plan
    region = plan.location.choice.region.name
    why = because(plan.location.because)
    project = Variable(
        name="project_id",
        type="string",
        description="Project that everything is created in.",
        value=plan.project,
        condition=Expression(f'can(regex("{PROJECT_PATTERN}", {PROJECT}))'),
        error="project_id is a project's id, not its name or number.",
    )
    where = Variable(
        name="region",
        type="string",
        description="Region of everything that is regional.",
        value=region,
        condition=Expression(f'can(regex("{REGION_PATTERN}", var.region))'),
        error="region is the name of a region.",
        because=why,
    )
    if context.is_regional:
        zones = Variable(
            name="zones",
            type="list(string)",
            description="Zones of the region that the group spreads over; what is bound to one zone lies in the first.",
            value=list(context.zones),
            condition=Expression(
                f'length(var.zones) > 0 && alltrue([for zone in var.zones : can(regex("{ZONE_PATTERN}", zone))])'
            ),
            error="zones are names of zones, at least one.",
        )
    else:
        zones = Variable(
            name="zone",
            type="string",
            description="Zone of the region that the machines, and what is bound to one zone, lie in.",
            value=context.zones[0],
            condition=Expression(f'can(regex("{ZONE_PATTERN}", var.zone))'),
            error="zone is the name of a zone.",
        )
    return [project, where, zones]


RANGES = {
    "proxy_ranges": "Address ranges of the network's proxy-only subnet in the region.",
    "subnetwork_ranges": "Address ranges of the subnet that the machines are in.",
}


def _network_variables(context: Context) -> list[Variable]:
    return [_ranges(name, RANGES[name]) for name in network.range_variables(context)]


def _ranges(name: str, description: str) -> Variable:
    return Variable(
        name=name,
        type="list(string)",
        description=description,
        condition=Expression(f"length(var.{name}) > 0 && alltrue([for range in var.{name} : can(cidrhost(range, 0))])"),
        error="Write at least one range as ADDRESS/PREFIX.",
    )


def _outputs(context: Context, stores: tuple[storage.Lowered, ...]) -> tuple[Output, ...]:
    found = [
        Output(
            name="instance_group",
            description="The managed instance group.",
            value=capacity.group_reference(context),
        ),
        Output(
            name="service_account",
            description="E-mail of the account that the machines run as.",
            value=Expression("google_service_account.main.email"),
        ),
    ]
    door = serving.lower(context)
    if door:
        text = "Address of the service."
        if door.door.certificate:
            text = "Address of the service; the domain's A record points here."
        found.append(Output(name="address", description=text, value=door.door.address.get("address")))
    for one in stores:
        if one.bucket:
            text = f"Bucket of the {one.bucket.name}."
            found.append(Output(name=f"{one.bucket.name}_bucket", description=text, value=one.bucket.get("url")))
    booked = capacity.lower(context)
    if booked and booked.future_reservation:
        text = "Where the request for capacity stands."
        value = booked.future_reservation.get("status[0].procurement_status")
        found.append(Output(name="procurement_status", description=text, value=value))
    return tuple(sorted(found, key=lambda one: one.name))
