"""Policies on templates and managed instance groups."""

from collections.abc import Iterator

from infragen.diagnostics import Diagnostic, Rule
from infragen.verify.module import UNKNOWN
from infragen.verify.policy.capacity import has_accelerators, provisioning_model
from infragen.verify.policy.rules import Rules
from infragen.verify.policy.view import View, is_known, is_true

RULES = Rules()

TEMPLATES = ("google_compute_instance_template", "google_compute_region_instance_template")
ZONAL, REGIONAL = "google_compute_instance_group_manager", "google_compute_region_instance_group_manager"
GROUPS = (ZONAL, REGIONAL)
_AUTOSCALERS = ("google_compute_autoscaler", "google_compute_region_autoscaler")
_REQUESTS = ("google_compute_resize_request", "google_compute_region_resize_request")

_UPDATES = "https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups"
_REGIONAL_GROUPS = "https://docs.cloud.google.com/compute/docs/instance-groups/regional-migs"
_TEMPLATE = "https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/compute_instance_template"
_GROUP = "https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/compute_instance_group_manager"

_FEWEST_ZONES = 3  # in any region
_FEWEST_FOR_PERCENT = 10  # machines in a regional group
_LONGEST_PREFIX = 54  # characters, so that the provider's suffix fits
_ORDER = ("NONE", "REFRESH", "RESTART", "REPLACE")  # of disruptive actions
_FIXED_SHAPES = frozenset({"BALANCED", "ANY_SINGLE_ZONE"})


@RULES.add("P040", "template-replaced-in-place", _TEMPLATE, TEMPLATES)
def template_replaced_in_place(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A template is replaced by a new one under a new name before the old one goes.

    Why: a template cannot be changed, and one that a group uses cannot be deleted; under a fixed name the new one
    cannot be created either.
    Example: a template without `create_before_destroy = true`, or with `name` instead of `name_prefix`.
    """
    if not is_true(resource.lifecycle("create_before_destroy")):
        yield rule.error(
            f"`{resource.address}` would be destroyed before its successor exists",
            resource.span(),
            help="add `lifecycle { create_before_destroy = true }`",
        )
    if is_known(resource.value("name")):
        yield rule.error(
            f"`{resource.address}` has a fixed name, which its successor cannot take",
            resource.span("name"),
            help=f"use `name_prefix`, of at most {_LONGEST_PREFIX} characters",
        )


@RULES.add("P041", "group-replaced-under-its-name", _GROUP, GROUPS)
def group_replaced_under_its_name(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group is not created before its predecessor is destroyed.

    Why: groups have no `name_prefix`; with a fixed name the second one fails with a conflict.
    Example: `create_before_destroy = true` on a group with `name = "chat"`.
    """
    if is_true(resource.lifecycle("create_before_destroy")) and isinstance(resource.value("name"), str):
        yield rule.error(
            f"`{resource.address}` would need its own name twice when it is replaced",
            resource.span("name"),
            help="remove `create_before_destroy`",
        )


def _drivers(group: View, *types: str) -> list[View]:
    """The autoscalers or requests that act on a group."""
    argument = {**dict.fromkeys(_AUTOSCALERS, "target"), **dict.fromkeys(_REQUESTS, "instance_group_manager")}
    found = []
    for other in group.resources(*types):
        name = argument[other.type]
        is_same = other.target(name) == group.address
        is_named = is_known(group.value("name")) and other.value(name) == group.value("name")
        if is_same or is_named:
            found.append(other)
    return found


@RULES.add("P042", "size-set-twice", _GROUP, GROUPS)
def size_set_twice(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group whose size something else drives has no `target_size`.

    Why: the next plan sets the size back and deletes the machines that the autoscaler or the request has brought.
    Example: `target_size = 0` on a group with a resize request.
    """
    if resource.value("target_size") is None or resource.ignores("target_size"):
        return
    for driver in _drivers(resource, *_AUTOSCALERS, *_REQUESTS):
        yield rule.error(
            f"`{resource.address}` has a size of its own beside `{driver.address}`",
            resource.span("target_size"),
            help="remove `target_size`",
        )
        return


def _zones(group: View) -> int:
    """How many zones a regional group surely has at least."""
    zones = group.value("distribution_policy_zones")
    return len(zones) if isinstance(zones, list) and zones else _FEWEST_ZONES


@RULES.add("P043", "step-smaller-than-the-zones", _REGIONAL_GROUPS, (REGIONAL,))
def step_smaller_than_the_zones(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A regional group is updated by no machines at a time, or by at least one for each zone.

    Why: the API takes a fixed surge or unavailability of 0 or of at least the number of zones.
    Example: `max_surge_fixed = 1` in a group over three zones.
    """
    policy = resource.first("update_policy")
    if policy is None or resource.value("distribution_policy_zones") is UNKNOWN:
        return
    zones = _zones(resource)
    for name in ("max_surge_fixed", "max_unavailable_fixed"):
        number = policy.number(name)
        if number is not None and 0 < number < zones:
            yield rule.error(
                f"`{name}` is {number:g} in a group over {zones} zones",
                policy.span(name),
                help=f"set it to 0 or to at least {zones}",
            )


def _step(policy: View, name: str) -> float | None:
    """A surge or unavailability, fixed or in percent; None where it is left to the API or not known."""
    for suffix in ("_fixed", "_percent"):
        if policy.value(name + suffix) is not None:
            return policy.number(name + suffix)
    return None


@RULES.add("P044", "no-room-to-update", _UPDATES, GROUPS)
def no_room_to_update(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group may have a machine more or a machine less while it is updated.

    Why: with neither nothing can be replaced; the API refuses the policy.
    Example: `max_surge_fixed = 0` beside `max_unavailable_fixed = 0`.
    """
    policy = resource.first("update_policy")
    if policy is None or policy.value("type") is UNKNOWN:
        return
    if _step(policy, "max_surge") == 0 and _step(policy, "max_unavailable") == 0:
        name = (
            "max_unavailable_fixed" if policy.value("max_unavailable_fixed") is not None else "max_unavailable_percent"
        )
        number = _zones(resource) if resource.type == REGIONAL else 1
        yield rule.error(
            f"`{resource.address}` may neither add nor miss a machine while it is updated",
            policy.span(name),
            help=f"set `max_unavailable_fixed = {number}`, or allow a surge",
        )


@RULES.add("P045", "recreate-with-surge", _UPDATES, GROUPS)
def recreate_with_surge(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group that recreates its machines under their names has no surge.

    Why: two machines cannot have one name; the API refuses any surge but 0, and leaving it out means at least 1.
    Example: `replacement_method = "RECREATE"` without `max_surge_fixed = 0`.
    """
    policy = resource.first("update_policy")
    if policy is None or policy.value("replacement_method") != "RECREATE":
        return
    names = [name for name in ("max_surge_fixed", "max_surge_percent") if policy.value(name) is not None]
    surge = policy.number(names[0]) if names else None
    if not names or (surge is not None and surge > 0):
        yield rule.error(
            f"`{resource.address}` recreates its machines and has a surge",
            policy.span(names[0] if names else "replacement_method"),
            help="set `max_surge_fixed = 0`",
        )
    if _step(policy, "max_unavailable") == 0 and surge != 0:
        yield rule.error(
            f"`{resource.address}` recreates its machines and may miss none",
            policy.span("max_unavailable_fixed"),
            help="set `max_unavailable_fixed` above 0",
        )


@RULES.add("P046", "percent-of-few", _REGIONAL_GROUPS, (REGIONAL,))
def percent_of_few(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A small regional group counts machines, not percent.

    Why: the API takes a percentage only from ten machines on.
    Example: `max_surge_percent = 20` in a group of four.
    """
    policy = resource.first("update_policy")
    size = resource.number("target_size")
    if policy is None or size is None or size >= _FEWEST_FOR_PERCENT:
        return
    for name in ("max_surge_percent", "max_unavailable_percent"):
        if (policy.number(name) or 0) > 0:
            yield rule.error(
                f"`{name}` in a group of {size:g} machines",
                policy.span(name),
                help=f"use `{name.replace('percent', 'fixed')}`, below {_FEWEST_FOR_PERCENT} machines",
            )


@RULES.add("P047", "least-above-most", _UPDATES, GROUPS)
def least_above_most(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """The most disruptive action that is allowed is no milder than the least that is asked for.

    Why: the API refuses an update policy that contradicts itself.
    Example: `minimal_action = "REPLACE"` beside `most_disruptive_allowed_action = "RESTART"`.
    """
    policy = resource.first("update_policy")
    if policy is None:
        return
    least, most = policy.value("minimal_action"), policy.value("most_disruptive_allowed_action")
    if least in _ORDER and most in _ORDER and _ORDER.index(least) > _ORDER.index(most):
        yield rule.error(
            f"`{resource.address}` asks for at least {least} and allows at most {most}",
            policy.span("most_disruptive_allowed_action"),
            help=f'set `most_disruptive_allowed_action = "{least}"`',
        )


@RULES.add("P048", "shape-that-is-redistributed", _REGIONAL_GROUPS, (REGIONAL,))
def shape_that_is_redistributed(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group that is not spread evenly is not redistributed, and one in a single zone is not autoscaled.

    Why: the API refuses a shape of BALANCED or ANY_SINGLE_ZONE with redistribution, and an autoscaler on any shape
    but EVEN and BALANCED.
    Example: `distribution_policy_target_shape = "ANY_SINGLE_ZONE"` without `instance_redistribution_type = "NONE"`.
    """
    shape = resource.value("distribution_policy_target_shape")
    if shape in _FIXED_SHAPES and not resource.may_have("update_policy"):
        policy = resource.first("update_policy")
        value = policy.value("instance_redistribution_type") if policy else None
        if value is None or (is_known(value) and value != "NONE"):
            yield rule.error(
                f"`{resource.address}` has the shape {shape} and would be redistributed",
                (policy or resource).span("instance_redistribution_type"),
                help='set `instance_redistribution_type = "NONE"` in its `update_policy`',
            )
    if shape in {"ANY", "ANY_SINGLE_ZONE"} and _drivers(resource, *_AUTOSCALERS):
        yield rule.error(
            f"`{resource.address}` has the shape {shape} and an autoscaler",
            resource.span("distribution_policy_target_shape"),
            help='use `"EVEN"` or `"BALANCED"`',
        )


@RULES.add("P049", "versions-that-do-not-add-up", _UPDATES, GROUPS)
def versions_that_do_not_add_up(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """Exactly one version of a group has no target size.

    Why: it takes what the others leave; the API refuses a group where none or two do.
    Example: two `version` blocks without `target_size`.
    """
    versions = resource.all("version")
    if not versions or resource.may_have("version"):
        return
    rest = [one for one in versions if not one.has("target_size")]
    certain = [one for one in versions if not one.may_have("target_size")]
    if len(rest) > 1 or (not rest and len(certain) == len(versions)):
        yield rule.error(
            f"`{resource.address}` has {len(rest) or 'no'} version{'s' if len(rest) > 1 else ''} without a target size",
            (rest[1] if len(rest) > 1 else versions[0]).span(),
            help="give each version but one a `target_size`",
        )
    for version in versions:
        size = version.first("target_size")
        if size is not None and is_known(size.value("fixed")) and is_known(size.value("percent")):
            yield rule.error(
                f"a version of `{resource.address}` has a fixed size and a percentage",
                size.span("percent"),
                help="keep one of the two",
            )


def _template(group: View) -> View | None:
    """The template of a group's first version, if the module has it."""
    version = group.first("version")
    return group.resource(version.target("instance_template")) if version else None


@RULES.add(
    "P050",
    "bulk-of-ordinary-machines",
    "https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms",
    GROUPS,
)
def bulk_of_ordinary_machines(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group that is created all at once consists of flex-start or reservation-bound machines.

    Why: the API takes the mode BULK for these only, in a regional group only with the shape ANY_SINGLE_ZONE, and never
    beside an autoscaler.
    Example: `target_size_policy { mode = "BULK" }` with a template of Spot machines.
    """
    size = resource.first("target_size_policy")
    if size is None or size.value("mode") != "BULK":
        return
    template = _template(resource)
    model = provisioning_model(template) if template else UNKNOWN
    if model in {None, "STANDARD", "SPOT"}:
        yield rule.error(
            f"`{resource.address}` is created in bulk from {model or 'STANDARD'} machines",
            size.span("mode"),
            help='use `"INDIVIDUAL"`, or a template with `provisioning_model = "FLEX_START"`',
        )
    shape = resource.value("distribution_policy_target_shape")
    if resource.type == REGIONAL and (shape is None or (is_known(shape) and shape != "ANY_SINGLE_ZONE")):
        yield rule.error(
            f"`{resource.address}` is created in bulk over several zones",
            resource.span("distribution_policy_target_shape"),
            help='set `distribution_policy_target_shape = "ANY_SINGLE_ZONE"`',
        )
    for autoscaler in _drivers(resource, *_AUTOSCALERS):
        yield rule.error(
            f"`{resource.address}` is created in bulk and has an autoscaler",
            autoscaler.span("target"),
            help=f"remove `{autoscaler.address}`",
        )


@RULES.add(
    "P051",
    "suspended-accelerators",
    "https://docs.cloud.google.com/compute/docs/instances/suspend-resume-instance",
    GROUPS,
)
def suspended_accelerators(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group of machines with accelerators suspends none.

    Why: a machine with accelerators cannot be suspended; it can be stopped, and then its accelerators are free for others.
    Example: `target_suspended_size = 2` with a template that has GPUs.
    """
    template = _template(resource)
    if template is not None and has_accelerators(template) and (resource.number("target_suspended_size") or 0) > 0:
        yield rule.error(
            f"`{resource.address}` would suspend machines with accelerators",
            resource.span("target_suspended_size"),
            help="remove it, or use `target_stopped_size`",
        )


@RULES.add(
    "P070",
    "canary-in-an-uneven-group",
    "https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-distribution-shape",
    (REGIONAL,),
)
def canary_in_an_uneven_group(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group with two versions is spread evenly.

    Why: the API takes a second version in a regional group of the shape EVEN only.
    Example: two `version` blocks beside `distribution_policy_target_shape = "BALANCED"`.
    """
    shape = resource.value("distribution_policy_target_shape")
    if len(resource.all("version")) > 1 and is_known(shape) and shape != "EVEN":
        yield rule.error(
            f"`{resource.address}` has the shape {shape} and more than one version",
            resource.span("distribution_policy_target_shape"),
            help='use `"EVEN"`, or try the second version in a group of its own',
        )


_STATE = ("stateful_disk", "stateful_internal_ip", "stateful_external_ip")


@RULES.add(
    "P071",
    "state-that-is-deleted",
    "https://docs.cloud.google.com/compute/docs/instance-groups/configuring-stateful-migs",
    GROUPS,
)
def state_that_is_deleted(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A stateful group is not scaled or redistributed, and its machines are recreated under their names.

    Why: an autoscaler and a redistribution delete machines with their state, and a substitute starts without it; the API
    refuses all three beside a stateful policy.
    Example: `stateful_disk` in a regional group without `instance_redistribution_type = "NONE"`.
    """
    blocks = [block for name in _STATE for block in resource.all(name)]
    if not blocks:
        return
    for autoscaler in _drivers(resource, *_AUTOSCALERS):
        yield rule.error(
            f"`{resource.address}` keeps state and has an autoscaler",
            autoscaler.span("target"),
            help=f"remove `{autoscaler.address}`, or the stateful blocks",
        )
    policy = resource.first("update_policy")
    if policy is None or resource.may_have("update_policy"):
        return
    redistribution = policy.value("instance_redistribution_type")
    if resource.type == REGIONAL and (
        redistribution is None or (is_known(redistribution) and redistribution != "NONE")
    ):
        yield rule.error(
            f"`{resource.address}` keeps state and would be redistributed",
            policy.span("instance_redistribution_type"),
            help='set `instance_redistribution_type = "NONE"`',
        )
    method = policy.value("replacement_method")
    if policy.value("type") == "PROACTIVE" and (method is None or (is_known(method) and method != "RECREATE")):
        yield rule.error(
            f"`{resource.address}` keeps state and is updated by substitutes",
            policy.span("replacement_method"),
            help='set `replacement_method = "RECREATE"` with `max_surge_fixed = 0`',
        )


@RULES.add(
    "P072",
    "ambiguous-machine-types",
    "https://docs.cloud.google.com/compute/docs/instance-groups/about-instance-flexibility",
    (REGIONAL,),
)
def ambiguous_machine_types(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """The selections of a group of several machine types have names and ranks of their own, and it may spread as it can.

    Why: of two selections with one name one is lost, two of one rank have no order, and a group that must be spread evenly
    cannot go where the machines are.
    Example: two `instance_selections` with `rank = 1`; an `instance_flexibility_policy` with the shape EVEN.
    """
    policy = resource.first("instance_flexibility_policy")
    if policy is None:
        return
    for name in ("name", "rank"):
        seen: set[str] = set()
        for selection in policy.all("instance_selections"):
            value = selection.value(name)
            if is_known(value) and str(value) in seen:
                yield rule.error(
                    f"two selections of `{resource.address}` have the {name} {value}",
                    selection.span(name),
                    help=f"give each a {name} of its own",
                )
            seen.add(str(value))
    shape = resource.value("distribution_policy_target_shape")
    if shape is None or shape == "EVEN":
        yield rule.error(
            f"`{resource.address}` takes several machine types and must be spread evenly",
            resource.span("distribution_policy_target_shape"),
            help='set `distribution_policy_target_shape = "BALANCED"` and `instance_redistribution_type = "NONE"`',
        )


@RULES.add("P073", "template-of-another-region", _TEMPLATE, GROUPS)
def template_of_another_region(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A regional template is used by groups of its region.

    Why: a group boots templates that are global or of its own region; the API refuses any other.
    Example: a group in `europe-west4-a` with a `google_compute_region_instance_template` in `us-central1`.
    """
    place = resource.value("region" if resource.type == REGIONAL else "zone")
    region = place.rpartition("-")[0] if resource.type == ZONAL and isinstance(place, str) else place
    for version in resource.all("version"):
        template = resource.resource(version.target("instance_template"))
        if template is None or template.type != "google_compute_region_instance_template":
            continue
        other = template.value("region")
        if is_known(region) and is_known(other) and region != other:
            yield rule.error(
                f"`{resource.address}` in {region} boots a template of {other}",
                version.span("instance_template"),
                help=f"use a template of {region}, or a global one",
            )


@RULES.add(
    "P074",
    "request-beside-autoscaler",
    "https://docs.cloud.google.com/compute/docs/instance-groups/about-resize-requests-mig",
    GROUPS,
)
def request_beside_autoscaler(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group whose machines come by request has no autoscaler.

    Why: a request adds machines all at once, and an autoscaler would take them away again one by one; the API refuses
    requests in a group that is scaled.
    Example: a `google_compute_resize_request` and a `google_compute_autoscaler` for one group.
    """
    requests = _drivers(resource, *_REQUESTS)
    for autoscaler in _drivers(resource, *_AUTOSCALERS) if requests else ():
        yield rule.error(
            f"`{resource.address}` has an autoscaler beside `{requests[0].address}`",
            autoscaler.span("target"),
            help="remove one of the two",
        )


@RULES.add(
    "P075",
    "scaled-to-nothing",
    "https://docs.cloud.google.com/compute/docs/autoscaler/scaling-cloud-monitoring-metrics",
    _AUTOSCALERS,
)
def scaled_to_nothing(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """An autoscaler that may take the last machine away has a signal that outlives it.

    Why: without machines there is no utilisation to be measured: the group never grows again. A schedule, or a metric of the
    whole group (`single_instance_assignment`), is there without machines.
    Example: `min_replicas = 0` with `cpu_utilization` alone.
    """
    policy = resource.first("autoscaling_policy")
    is_restrained = policy is not None and policy.has("mode") and policy.value("mode") != "ON"  # off, or out only
    if policy is None or is_restrained or policy.number("min_replicas") != 0:
        return
    outlives = bool(policy.all("scaling_schedules")) or policy.may_have("scaling_schedules")
    for metric in policy.all("metric"):
        outlives = outlives or metric.has("single_instance_assignment")
    if not outlives and not policy.may_have("metric"):
        yield rule.error(
            f"`{resource.address}` may take the last machine away, and nothing brings one back",
            policy.span("min_replicas"),
            help="set `min_replicas = 1`, or scale on a metric with `single_instance_assignment`",
        )


@RULES.add(
    "P052",
    "queued-machines-that-are-waited-for",
    "https://docs.cloud.google.com/compute/docs/instance-groups/about-resize-requests-mig",
    GROUPS,
)
def queued_machines_that_are_waited_for(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A group whose machines come by request, or all at once, is not waited for and repairs none.

    Why: the machines may come in hours: waiting for them hits the timeout of 15 minutes. A machine that ends is not to be
    made anew without a request.
    Example: a group with a resize request and `wait_for_instances = true`, or without
    `default_action_on_failure = "DO_NOTHING"`.
    """
    size = resource.first("target_size_policy")
    is_bulk = size is not None and size.value("mode") == "BULK"
    if not is_bulk and not _drivers(resource, *_REQUESTS):
        return
    if is_true(resource.value("wait_for_instances")):
        yield rule.error(
            f"`{resource.address}` waits for machines that are queued for",
            resource.span("wait_for_instances"),
            help="set `wait_for_instances = false`",
        )
    life = resource.first("instance_lifecycle_policy")
    action = life.value("default_action_on_failure") if life else None
    if not resource.may_have("instance_lifecycle_policy") and (
        action is None or (is_known(action) and action != "DO_NOTHING")
    ):
        yield rule.warning(
            f"`{resource.address}` repairs machines that are queued for",
            (life or resource).span("default_action_on_failure"),
            help='set `default_action_on_failure = "DO_NOTHING"` in its `instance_lifecycle_policy`',
        )
