"""Fields against each other, as far as the descriptor alone can tell. What needs the fact tables stands in ``decide``.

One function per rule; its docstring documents it. A check objects only to what is wrong in every world: what may be
meant is left to the stages that know the catalogue.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from posixpath import normpath

from msgspec import Struct

from infragen.descriptor.model import Workload
from infragen.descriptor.rules import FORMAT
from infragen.diagnostics import CATALOGUE, Diagnostic, Severity, declare
from infragen.units import GIB, duration, size

MIG_DOCS = "https://cloud.google.com/compute/docs/instance-groups/updating-migs"


class Finding(Struct, frozen=True):
    """What a check objects to: the dotted path to point at, and the words."""

    path: str
    message: str
    label: str = ""
    help: str = ""
    severity: Severity = Severity.ERROR


Check = Callable[[Workload], Iterator[Finding]]
CHECKS: dict[str, Check] = {}
"""Rule id -> check, in the order they are declared."""


def check(id: str, name: str, source: str = FORMAT) -> Callable[[Check], Check]:
    """Enter a rule whose text is the docstring of the function that checks it."""

    def enter(function: Check) -> Check:
        declare(id, name, function.__doc__ or "", source)
        CHECKS[id] = function
        return function

    return enter


def run(workload: Workload) -> Iterator[Diagnostic]:
    """The findings of every check, at the places that the user wrote."""
    for id, function in CHECKS.items():
        why = CATALOGUE[id].short_why
        for one in function(workload):
            yield Diagnostic(id, one.severity, one.message, workload.at(one.path), one.label, why, one.help)


@check("D040", "misplaced-section")
def misplaced_section(w: Workload) -> Iterator[Finding]:
    """Sections belong to the task: `serve` to serving and batch inference, `train` to pre-training and fine-tuning.

    Why: a section that no stage reads would be obeyed by nobody, and its author would not learn of it.
    Example: `task: serve` with a `train` section.
    """
    for section, tasks in (("serve", ("serve", "batch-inference")), ("train", ("pretrain", "finetune"))):
        if getattr(w, section) is not None and w.task not in tasks:
            choices = " or ".join(f"`task: {task}`" for task in tasks)
            help = f"remove `{section}`, or write {choices}"
            yield Finding(section, f"`{section}` does not belong to the task `{w.task}`", f"for {choices}", help)
    if w.model is not None and w.task == "compute":
        help = "remove `model`, or choose the task that uses it"
        yield Finding("model", "`model` does not belong to the task `compute`", "runs no model", help)
    for key in ("requests", "deadline"):
        if w.task == "serve" and w.serve is not None and getattr(w.serve, key) is not None:
            help = f"remove `{key}`, or write `task: batch-inference`"
            yield Finding(f"serve.{key}", f"`{key}` does not belong to the task `serve`", "serving has no end", help)
    if w.task == "serve" and w.limits.usd_total is not None:
        help = "write `usd_per_hour`: a month has 730 hours"
        yield Finding("limits.usd_total", "`usd_total` does not belong to the task `serve`", "serving has no end", help)
    if w.task in ("pretrain", "finetune") and w.group.autoscale is not None:
        message, label = f"`autoscale` has no effect on the task `{w.task}`", "all machines of a run work together"
        yield Finding("group.autoscale", message, label, "remove `autoscale`", Severity.WARNING)
    if w.task != "serve" and w.group.heal is not None:
        message = f"`heal` has no effect on the task `{w.task}`"
        yield Finding("group.heal", message, "only a service is probed", "remove `heal`", Severity.WARNING)


@check("D041", "missing-model")
def missing_model(w: Workload) -> Iterator[Finding]:
    """Training and inference name their model: by catalogue name, config file, or numbers.

    Why: memory, accelerators, storage and cost all follow from the model; without one there is nothing to size.
    Example: `task: serve` without `model`; a `model` with `precision` only.
    """
    if w.task in ("data-prep", "compute"):
        return
    help = "add `model: {name: ...}` (see `infragen catalog models`), or its `config` or `parameters`"
    if w.model is None:
        yield Finding("task", f"the task `{w.task}` needs a model", "no `model` is given", help)
    elif not (w.model.name or w.model.config or w.model.parameters or (w.model.layers and w.model.hidden_size)):
        yield Finding("model", "the model is not said", "neither `name`, `config` nor `parameters`", help)


@check("D042", "two-models")
def two_models(w: Workload) -> Iterator[Finding]:
    """The numbers of a model come from one place: a config file, or the descriptor.

    Why: where the two differ, nobody can say which one is meant.
    Example: `config: ./config.json` beside `layers: 80`.
    """
    if w.model is None or w.model.config is None:
        return
    told = ("precision", "kv_precision", "name", "config", "max_context_tokens")
    for key in sorted(w.model.model_fields_set.difference(told)):
        help = f"remove `{key}`, or remove `config` and give all numbers"
        yield Finding(f"model.{key}", f"`{key}` is given twice", "`config` says it too", help)


@check("D043", "active-above-total")
def active_above_total(w: Workload) -> Iterator[Finding]:
    """A token uses at most all parameters of a model.

    Why: active parameters are a part of the total; the reverse means that the two were swapped.
    Example: `parameters: 37e9` with `active_parameters: 671e9`.
    """
    m = w.model
    if m and m.parameters and m.active_parameters and m.active_parameters > m.parameters:
        message = "`active_parameters` is above `parameters`"
        label = f"{m.active_parameters:g} of {m.parameters:g}"
        yield Finding("model.active_parameters", message, label, "swap the two, or leave out `active_parameters`")


@check("D044", "indivisible-heads", "https://arxiv.org/abs/2305.13245")
def indivisible_heads(w: Workload) -> Iterator[Finding]:
    """Query heads divide evenly among key and value heads, and the width evenly among heads.

    Why: in grouped-query attention every key and value head serves the same number of query heads.
    Example: `attention_heads: 64` with `kv_heads: 12`; `hidden_size: 2880` with 64 heads and no `head_dim`.
    """
    m = w.model
    if m is None or m.attention_heads is None:
        return
    heads = m.attention_heads
    if m.kv_heads is not None and heads % m.kv_heads:
        nearest = min((n for n in range(1, heads + 1) if heads % n == 0), key=lambda n: abs(n - (m.kv_heads or 1)))
        message = f"{heads} query heads do not divide among {m.kv_heads} key and value heads"
        yield Finding("model.kv_heads", message, f"no divisor of {heads}", f"`kv_heads: {nearest}` would divide")
    if m.hidden_size is not None and m.head_dim is None and m.hidden_size % heads:
        message = f"a width of {m.hidden_size} does not divide among {heads} heads"
        label = f"{m.hidden_size} / {heads} is not whole"
        yield Finding("model.hidden_size", message, label, "give `head_dim`, or correct the two")


@check("D045", "too-many-experts", "https://arxiv.org/abs/2101.03961")
def too_many_experts(w: Workload) -> Iterator[Finding]:
    """A token visits at most all experts of a layer.

    Why: the reverse means that the two were swapped.
    Example: `experts: 8` with `experts_per_token: 128`.
    """
    m = w.model
    if m and m.experts and m.experts_per_token and m.experts_per_token > m.experts:
        message = "`experts_per_token` is above `experts`"
        yield Finding("model.experts_per_token", message, f"{m.experts_per_token} of {m.experts}", "swap the two")


@check("D046", "context-overflow")
def context_overflow(w: Workload) -> Iterator[Finding]:
    """A prompt and its answer fit into the context, and the context into the model's.

    Why: memory is sized for `max_context_tokens`; a longer request would be refused or cut by the serving engine.
    Example: `input_tokens: 8000` and `output_tokens: 500` with `max_context_tokens: 8192`.
    """
    if w.serve is None:
        return
    limit = w.serve.max_context_tokens
    typical = (w.serve.input_tokens or 0) + (w.serve.output_tokens or 0)
    if limit is not None and typical > limit:
        message = f"a typical request has {typical} tokens, the context holds {limit}"
        yield Finding("serve.max_context_tokens", message, f"{typical - limit} too few", f"raise it to {typical}")
    model_limit = w.model.max_context_tokens if w.model else None
    if model_limit is not None and (limit or typical) > model_limit:
        path = "serve.max_context_tokens" if limit else "serve.input_tokens"
        message = f"the requests need {limit or typical} tokens, the model holds {model_limit}"
        help = f"lower it to {model_limit}" if limit else f"ask for at most {model_limit} tokens, answer included"
        yield Finding(path, message, f"{(limit or typical) - model_limit} too many", help)


@check("D047", "reversed-bounds")
def reversed_bounds(w: Workload) -> Iterator[Finding]:
    """A lower bound is not above its upper bound.

    Why: no number lies between them.
    Example: `replicas: {min: 8, max: 2}`.
    """
    pairs = (("serve.replicas", w.serve.replicas if w.serve else None), ("group.autoscale", w.group.autoscale))
    for path, bounds in pairs:
        if bounds and bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            help = f"write `min: {bounds.max}` and `max: {bounds.min}`"
            yield Finding(f"{path}.min", f"`min` is above `max` in `{path}`", f"above {bounds.max}", help)


@check("D048", "two-rates")
def two_rates(w: Workload) -> Iterator[Finding]:
    """Traffic is given as a rate or as requests in flight, not as both.

    Why: each follows from the other through the latency; given both, they agree only by chance.
    Example: `requests_per_second: 4` beside `concurrent_requests: 64`.
    """
    s = w.serve
    if s and s.requests_per_second is not None and s.concurrent_requests is not None:
        message = "`requests_per_second` and `concurrent_requests` are both given"
        yield Finding("serve.concurrent_requests", message, "the other is given too", "remove one of the two")


@check("D049", "deadline-without-work")
def deadline_without_work(w: Workload) -> Iterator[Finding]:
    """A deadline comes with the amount of work that is due.

    Why: how many accelerators meet a deadline depends on how much there is to do.
    Example: `train: {deadline: 21d}` without `tokens`.
    """
    if w.train and w.train.deadline is not None and w.train.tokens is None:
        help = "add `tokens: ...`, the tokens to train on, or remove `deadline`"
        yield Finding("train.deadline", "the deadline has no amount of work", "`tokens` is not given", help)
    if w.serve and w.task == "batch-inference" and w.serve.deadline is not None and w.serve.requests is None:
        help = "add `requests: ...`, the requests in all, or remove `deadline`"
        yield Finding("serve.deadline", "the deadline has no amount of work", "`requests` is not given", help)


_BOOKED = ("reservation", "future-reservation", "calendar")
_WINDOW = ("future-reservation", "calendar")
_CAPACITY_FIELDS: dict[str, tuple[str, ...]] = {
    "name": _BOOKED,
    "project": _BOOKED,
    "block": _BOOKED,
    "sub_block": _BOOKED,
    "consume": ("reservation", "future-reservation"),
    "existing": _BOOKED,
    "zone": _BOOKED,
    "shared_with": _BOOKED,
    "start": _WINDOW,
    "duration": _WINDOW,
    "submit": _WINDOW,
    "run_for": ("on-demand", "spot", "reservation", "flex-start"),
    "wait_for": ("flex-start",),
    "mode": ("flex-start",),
}
_WITHOUT_MODEL = {"run_for": "", "duration": "start", "submit": "start", "name": "start", "shared_with": "start"}
_WITHOUT_MODEL |= {"start": "", "zone": "start"}  # what may be said without a model, and what has to be said beside it


@check("D050", "misplaced-capacity-field", "https://cloud.google.com/compute/docs/instances/provisioning-models")
def misplaced_capacity_field(w: Workload) -> Iterator[Finding]:
    """Fields of `capacity` belong to its model: windows to what is booked ahead, waiting to a flexible start.

    Why: a field that the model has no use for would be obeyed by nobody; a booked window has its own length.
    Example: `model: spot` with `start`; `model: calendar` with `run_for`.
    """
    capacity = w.capacity
    for field, models in _CAPACITY_FIELDS.items():
        # `false` says what holds anyway
        if capacity.model in models or not getattr(capacity, field):
            continue
        choices = ", ".join(f"`{model}`" for model in models)
        if capacity.model is None:
            beside = _WITHOUT_MODEL.get(field)
            if beside is None or (beside and not getattr(capacity, beside)):
                message = f"`{field}` needs a capacity model"
                help = f"add `model:` with one of {choices}" + (f", or `{beside}`" if beside else "")
                yield Finding(f"capacity.{field}", message, f"for {choices}", help)
            continue
        help = f"remove `{field}`, or choose a model that has it: {choices}"
        message = f"`{field}` does not belong to the capacity model `{capacity.model}`"
        yield Finding(f"capacity.{field}", message, f"for {choices}", help)
    yield from _ends(w)


def _ends(w: Workload) -> Iterator[Finding]:
    """How machines end, against how they are obtained."""
    capacity = w.capacity
    if capacity.model in ("spot", "flex-start") and capacity.automatic_restart:
        message = f"a {capacity.model} machine cannot be restarted by its host"
        help = "remove `automatic_restart`" + (
            "; the group replaces machines that are taken away" if capacity.model == "spot" else ""
        )
        yield Finding("capacity.automatic_restart", message, f"never for `{capacity.model}`", help)
    if capacity.model == "spot" and capacity.interruptible is False:
        message = "spot machines are taken away at any time, and the work does not survive that"
        help = "remove `interruptible`, or choose another model"
        yield Finding("capacity.interruptible", message, "with `model: spot`", help)
    if capacity.at_end == "stop" and capacity.model == "flex-start":
        message = "flex-start machines of a group are deleted at their end"
        yield Finding("capacity.at_end", message, "only `delete`", "write `at_end: delete`, or leave it out")
    if capacity.at_end and capacity.model in (None, "on-demand", "future-reservation") and not capacity.run_for:
        message = "`at_end` has nothing to end"
        help = "add `run_for`, or remove `at_end`"
        yield Finding("capacity.at_end", message, "these machines run until they are removed", help)


@check("D051", "unnamed-booking", "https://cloud.google.com/compute/docs/instances/reservations-consume")
def unnamed_booking(w: Workload) -> Iterator[Finding]:
    """What is booked already is consumed under its name, and not booked or shared anew.

    Why: machines find a specific reservation by its name, and only its owner can change whom it is shared with.
    Example: `model: reservation` with `existing: true` and no `name`; `existing: true` with `submit: true`.
    """
    capacity = w.capacity
    of_existing = [key for key in ("project", "block", "sub_block") if getattr(capacity, key)]
    is_path = "/" in (capacity.name or "")
    if capacity.consume == "automatic":
        named = [*of_existing, *(["name"] if capacity.name and capacity.existing is not False else [])]
        for key in named:
            message = f"`{key}` says which reservation, and `consume: automatic` takes any that matches"
            help = f"remove `{key}`, or `consume`" + ("; to make one write `existing: false`" if key == "name" else "")
            yield Finding(f"capacity.{key}", message, "with `consume: automatic`", help)
    elif capacity.name is None:
        missing = [*(["existing"] if capacity.existing else []), *of_existing]
        for key in missing[:1]:
            yield Finding(f"capacity.{key}", "an existing booking has no name", "which one?", "add `name: ...`")
    if capacity.sub_block and not capacity.block:
        yield Finding("capacity.sub_block", "a sub-block without its block", "of which block?", "add `block: ...`")
    for key in of_existing if is_path else ():
        help = f"remove `{key}`, or write the name alone"
        yield Finding(f"capacity.{key}", f"`{key}` is given twice", "`name` is a path, which says it too", help)
    if capacity.existing is False and (of_existing or is_path):
        key = of_existing[0] if of_existing else "name"
        message = "a booking that is made here lies in the workload's own project, and has no blocks yet"
        help = "remove `existing: false` to use what is booked, or give a plain `name`"
        yield Finding(f"capacity.{key}", message, "with `existing: false`", help)
    if not (capacity.existing or of_existing or is_path):
        return
    if capacity.project and not _PROJECT.fullmatch(capacity.project):
        message = f"`{capacity.project}` is not the id of a project"
        yield Finding("capacity.project", message, "no such id", "for example `team-research`")
    for key in ("submit", "shared_with"):
        if getattr(capacity, key):
            help = f"remove `{key}`, or write `existing: false` to book anew"
            message = f"`{key}` cannot be asked of an existing booking"
            yield Finding(f"capacity.{key}", message, "nothing is created", help)


_MAX_CONSUMERS = 100
_PROJECT = re.compile(
    r"([a-z0-9.-]+:)?[a-z0-9]([-a-z0-9]*[a-z0-9])?"
)  # an id, with its domain where it has one; or a number


@check("D080", "unusable-sharing", "https://docs.cloud.google.com/compute/docs/instances/reservations-shared")
def unusable_sharing(w: Workload) -> Iterator[Finding]:
    """A booking is shared with at most 100 other projects, each named once by its id.

    Why: the service takes no more, and refuses the request only when it applies; the owner has it anyway.
    Example: 101 entries in `shared_with`; the workload's own project among them; `My Team` is the name of a project, not its id.
    """
    shared = w.capacity.shared_with or []
    others = [one for one in dict.fromkeys(shared) if one != w.project]
    if len(others) > _MAX_CONSUMERS:
        message = f"a booking is shared with at most {_MAX_CONSUMERS} projects"
        help = f"remove {len(others) - _MAX_CONSUMERS}: the nearest valid number is {_MAX_CONSUMERS}"
        yield Finding("capacity.shared_with", message, f"{len(others)} projects", help)
    for index, project in enumerate(shared):
        path = f"capacity.shared_with.{index}"
        if project == w.project:
            yield Finding(path, f"`{project}` owns the booking", "the workload's own project", "remove it")
        elif project in shared[:index]:
            yield Finding(path, f"`{project}` is named twice", "named before", "remove it")
        elif not _PROJECT.fullmatch(project):
            yield Finding(path, f"`{project}` is not the id of a project", "no such id", "for example `team-research`")


@check("D052", "two-networks")
def two_networks(w: Workload) -> Iterator[Finding]:
    """The network is created, or it is one that exists.

    Why: the two need different rights and different resources; a created network has no name to be found by.
    Example: `create: true` with `network: main-vpc`; `create: false` without `network`.
    """
    n = w.network
    is_existing = n.network is not None
    if n.create and is_existing:
        help = "remove `create` to use the existing network, or remove `network`"
        yield Finding("network.create", "the network is both created and named", f"`{n.network}` exists", help)
    if n.create is False and not is_existing:
        help = "add `network: ...`, or remove `create` to have one made"
        yield Finding("network.create", "there is no network", "neither created nor named", help)
    for key in ("subnetwork", "host_project"):
        if getattr(n, key) is not None and not is_existing and n.create is not False:
            message = f"`{key}` is given without `network`"
            yield Finding(f"network.{key}", message, "of which network?", f"add `network: ...`, or remove `{key}`")


@check("D053", "unusable-range", "https://www.rfc-editor.org/rfc/rfc1918")
def unusable_range(w: Workload) -> Iterator[Finding]:
    """The range of a created network is private, of a sane size, and begins at its first address.

    Why: public addresses would hide a part of the internet; a range with host bits set is refused while applying.
    Example: `range: 8.8.0.0/16`, `range: 10.20.0.1/16`, `range: 10.20.0.0/30`.
    """
    text = w.network.range
    if text is None:
        return
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        help = "numbers go to 255, and the length to 32, as in `10.20.0.0/16`"
        yield Finding("network.range", f"`{text}` is not an IPv4 range", "no such address", help)
        return
    private = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    if not any(network.subnet_of(block) for block in private):
        help = "choose a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        yield Finding("network.range", f"`{text}` is not private", "belongs to somebody else", help)
    elif network.overlaps(ipaddress.IPv4Network("172.17.0.0/16")):
        help = "choose another part of 172.16.0.0/12, or one of 10.0.0.0/8"
        yield Finding(
            "network.range", f"`{text}` overlaps 172.17.0.0/16", "taken by container engines and file servers", help
        )
    elif network.prefixlen > 24:
        help = f"choose a length from /8 to /24, for example `{network.supernet(new_prefix=24)}`"
        yield Finding("network.range", f"`{text}` is too small", f"{network.num_addresses} addresses", help)
    elif str(network) != text:
        message = f"`{text}` does not begin at the first address of its range"
        yield Finding("network.range", message, "host bits are set", f"write `{network}`")


def _region(zone: str) -> str:
    return zone.rpartition("-")[0]


@check("D054", "zone-outside-regions", "https://cloud.google.com/compute/docs/regions-zones")
def zone_outside_regions(w: Workload) -> Iterator[Finding]:
    """Given zones lie in the given regions, and a booking in the given zones.

    Why: a zone's name is its region's name and a letter; a zone elsewhere leaves no place that satisfies both.
    Example: `regions: [europe-west4]` with `zones: [us-central1-a]`.
    """
    regions, zones = w.place.regions, w.place.zones
    given = [(f"place.zones.{index}", zone) for index, zone in enumerate(zones or ())]
    if w.capacity.zone is not None:
        given.append(("capacity.zone", w.capacity.zone))
    for index, store in enumerate(w.storage):
        given += [(f"storage.{index}.zones.{position}", zone) for position, zone in enumerate(store.zones or ())]
    for path, zone in given:
        if regions and _region(zone) not in regions:
            help = f"remove the zone, or add `{_region(zone) or zone}` to `regions`"
            yield Finding(path, f"`{zone}` lies in none of the given regions", f"given: {', '.join(regions)}", help)
        elif zones and path == "capacity.zone" and zone not in zones:
            message = f"the booking is in `{zone}`, which is none of the given zones"
            yield Finding(path, message, f"given: {', '.join(zones)}", f"add `{zone}` to `place.zones`")


@check("D055", "ambiguous-image", "https://cloud.google.com/compute/docs/images/image-families-best-practices")
def ambiguous_image(w: Workload) -> Iterator[Finding]:
    """A base image is one image or one family, a single image has no family to follow, and a canary is tried against a
    fleet that holds still.

    Why: a family names its newest image, which need not be the one that is named beside it; machines that take the
    newest image at every boot are a mixture that nothing can be compared with.
    Example: `base: {family: x, name: x-1}`; `base: {name: x-1}` with `rollout: family-at-plan`; `canary` with
    `rollout: family-at-boot`.
    """
    image, base = w.image, w.image.base
    if base and base.family is not None and base.name is not None:
        help = "remove `name` to follow the family, or `family` to stay with the image"
        yield Finding("image.base.name", "the base is both a family and an image", "`family` is given too", help)
    if base and base.family is None and base.name is None:
        yield Finding("image.base", "the base image is not said", "no `family`, no `name`", "add one of them")
    is_single = image.source is not None or (
        base is not None and base.name is not None and base.family is None and not image.is_built
    )
    if is_single and image.rollout in ("family-at-plan", "family-at-boot"):
        help = "write `rollout: pinned`, or name a family in `image.base`"
        yield Finding("image.rollout", f"`rollout: {image.rollout}` without a family", "one image is booted", help)
    if image.canary and image.rollout == "family-at-boot":
        help = "write `rollout: pinned` or `rollout: family-at-plan`, or remove `canary`"
        yield Finding("image.canary", "a canary needs a fleet of one image", "with `rollout: family-at-boot`", help)
    if image.canary and base and base.name == image.canary.name and not image.is_built:
        help = "name the image to try in `image.canary.name`, and the one that serves in `image.base.name`"
        yield Finding("image.canary.name", "the canary is the image that all machines boot", "the base's name", help)


_SOURCES = ("disk", "snapshot", "image", "archive")


@check("D090", "ambiguous-image-source", "https://cloud.google.com/compute/docs/images/create-custom")
def ambiguous_image_source(w: Workload) -> Iterator[Finding]:
    """An image is made from one thing: a base it is built on, or one disk, snapshot, image or archive.

    Why: the provider takes several sources, and the API refuses them at apply; what only a build uses would be left aside.
    Example: `source: {disk: ..., snapshot: ...}`; `source` with `packages`; `sha1` without `archive`.
    """
    image, source = w.image, w.image.source
    if source is None:
        return
    given = [name for name in _SOURCES if getattr(source, name) is not None]
    if len(given) != 1:
        label = f"{' and '.join(given)} are given" if given else "no source is given"
        help = f"give one of {', '.join(f'`{name}`' for name in _SOURCES)}"
        yield Finding("image.source", "an image is made from one source", label, help)
    if source.sha1 is not None and source.archive is None:
        yield Finding("image.source.sha1", "a digest of no archive", "`archive` is not given", "remove `sha1`")
    for name in ("base", "packages", "scripts", "python"):
        if getattr(image, name) is not None:
            help = f"remove `{name}`, or remove `source` to have an image built on a base"
            yield Finding(f"image.{name}", f"`{name}` has no effect beside `source`", "the image is copied", help)


@check("D091", "nothing-to-build")
def nothing_to_build(w: Workload) -> Iterator[Finding]:
    """What a builder is told belongs to an image that is built.

    Why: without a family, packages, scripts or Python requirements no image is built, and nobody reads it.
    Example: `image: {builder: n2-standard-16}` alone; `external_ip: true` beside `base` only; `preload` without a container.
    """
    image = w.image
    if image.is_built:
        if image.preload and not (w.run and w.run.container):
            help = "remove `preload`, or give `run.container`"
            yield Finding("image.preload", "there is no container to pull", "nothing is run in one", help)
        if image.preload and any(store.docker_data for store in w.storage):
            help = "remove `preload`, or `docker_data`"
            yield Finding("image.preload", "what the image holds is hidden by `docker_data`", "pulled in vain", help)
        return
    told = (("builder", image.builder is not None), ("external_ip", image.external_ip), ("preload", image.preload))
    for name, is_given in (*told, ("revision", image.revision != 1 and image.source is None)):
        if is_given:
            help = f"remove `{name}`, or say what is built: `family`, `packages`, `scripts` or `python`"
            yield Finding(f"image.{name}", f"`{name}` has no effect", "no image is built", help)


@check("D092", "same-script-twice")
def same_script_twice(w: Workload) -> Iterator[Finding]:
    """Scripts of an image have names of their own, which every file system and shell takes as they are.

    Why: they are copied into one folder under their last part; one would take the other's place.
    Example: `scripts: [a/setup.sh, b/setup.sh]`; `scripts: ["my setup.sh"]`.
    """
    seen: dict[str, int] = {}
    for index, script in enumerate(w.image.scripts or ()):
        name = script.rpartition("/")[2]
        path = f"image.scripts.{index}"
        if not _SCRIPT_NAME.fullmatch(name):
            help = "use letters, digits, dots, dashes and underscores, for example `setup.sh`"
            yield Finding(path, f"`{name}` is no name for a script", "cannot be copied as it is", help)
        elif name in seen:
            label = f"entry {seen[name] + 1} has the same name"
            yield Finding(path, f"two scripts are called `{name}`", label, "rename one of them")
        seen.setdefault(name, index)


_SCRIPT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@check("D056", "blocked-update", MIG_DOCS)
def blocked_update(w: Workload) -> Iterator[Finding]:
    """A rolling update may go above the size or below it, and recreated machines only below.

    Why: a group that may do neither cannot replace a machine; one that keeps its names cannot have an old and a new
    machine of the same name. The service refuses both while applying.
    Example: `max_surge: 0` with `max_unavailable: 0`; `replacement: recreate` with `max_surge: 1`.
    """
    update = w.group.update
    if update is None:
        return
    path = "group.update.max_unavailable"
    if update.max_surge == 0 and update.max_unavailable == 0:
        yield Finding(path, "no machine can ever be replaced", "and `max_surge` is 0", "raise one of them to 1")
    elif update.replacement == "recreate" and update.max_unavailable == 0:
        yield Finding(path, "no machine can be recreated", "with `replacement: recreate`", "raise it to 1")
    if update.replacement == "recreate" and update.max_surge:
        message = "machines that keep their names leave no room above the size"
        help = "write `max_surge: 0`, or `replacement: substitute`"
        yield Finding("group.update.max_surge", message, "with `replacement: recreate`", help)


@check("D057", "duplicate-store")
def duplicate_store(w: Workload) -> Iterator[Finding]:
    """Every purpose has one store.

    Why: programs find a store by its purpose, and so do the resources that are made for it.
    Example: two entries with `purpose: scratch`.
    """
    first: dict[str, int] = {}
    for index, store in enumerate(w.storage):
        if store.purpose in first:
            help = "join the two entries, or give one of them another purpose"
            message = f"there are two stores for `{store.purpose}`"
            label = f"entry {first[store.purpose] + 1} has it too"
            yield Finding(f"storage.{index}.purpose", message, label, help)
        first.setdefault(store.purpose, index)


_SYSTEM_DIRECTORIES = frozenset(
    ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
     "/usr/bin", "/usr/lib", "/usr/sbin", "/var", "/var/lib")
)  # fmt: skip


@check("D058", "unusable-mount", "https://refspecs.linuxfoundation.org/FHS_3.0/fhs/index.html")
def unusable_mount(w: Workload) -> Iterator[Finding]:
    """Every store is mounted at a place of its own, beside the operating system.

    Why: of two stores at one place the later hides the earlier; one over a system directory hides the system, and
    the machine does not boot again.
    Example: two stores with `mount: /data`; `mount: /usr`; `mount: /mnt/../etc`.
    """
    taken: dict[str, int] = {}
    for index, store in enumerate(w.storage):
        mount = store.mount or f"/mnt/{store.purpose}"
        place = "/" + normpath(mount).lstrip("/")
        path = f"storage.{index}.mount"
        if place in _SYSTEM_DIRECTORIES or ".." in mount.split("/"):
            message = f"nothing can be mounted at `{mount}`"
            label = "leads elsewhere" if ".." in mount.split("/") else "holds the operating system"
            yield Finding(path, message, label, f"for example `/mnt/{store.purpose}`")
        elif place in taken and w.storage[taken[place]].purpose != store.purpose:
            message = f"two stores are mounted at `{place}`"
            label = f"entry {taken[place] + 1} is mounted there too"
            yield Finding(path, message, label, f"for example `/mnt/{store.purpose}-{index + 1}`")
        taken.setdefault(place, index)


@check("D059", "rank-without-adapters", "https://arxiv.org/abs/2106.09685")
def rank_without_adapters(w: Workload) -> Iterator[Finding]:
    """A rank comes with adapters.

    Why: full training has no adapters whose rank could be set; the key says that another method was meant.
    Example: `method: full` with `lora_rank: 16`.
    """
    if w.train is None or w.train.lora_rank is None:
        return
    if w.train.method == "full" or (w.train.method is None and w.task == "pretrain"):
        help = "write `method: lora`, or remove `lora_rank`"
        yield Finding("train.lora_rank", "full training has no adapters", "with `method: full`", help)


@check("D060", "checkpoint-after-end")
def checkpoint_after_end(w: Workload) -> Iterator[Finding]:
    """The first checkpoint is due before the run ends.

    Why: a run that ends before its first checkpoint can lose everything to one failure.
    Example: `deadline: 12h` with `checkpoint: {every: 1d}`.
    """
    train = w.train
    every = train.checkpoint.every if train and train.checkpoint else None
    if train and every is not None and train.deadline is not None and every >= train.deadline:
        message = "the first checkpoint is due after the end"
        label = f"the run ends after {duration(train.deadline)}"
        yield Finding("train.checkpoint.every", message, label, "leave `every` out to have it computed, or lower it")


@check("D061", "impossible-batch")
def impossible_batch(w: Workload) -> Iterator[Finding]:
    """A batch holds at least one sequence, and the run at least one batch.

    Why: a step works on whole sequences; fewer tokens in all than in one step are less than one step.
    Example: `sequence_length: 8192` with `global_batch_tokens: 4096`.
    """
    train = w.train
    if train is None:
        return
    if train.tokens is not None and train.sequence_length is not None and train.tokens < train.sequence_length:
        message, label = "the run is shorter than one sequence", f"a sequence has {train.sequence_length:,} tokens"
        yield Finding("train.tokens", message, label, f"raise it to {train.sequence_length} or more")
        return
    batch = train.global_batch_tokens
    if batch is None:
        return
    if train.sequence_length is not None and batch < train.sequence_length:
        message = "a batch is shorter than one sequence"
        label = f"a sequence has {train.sequence_length} tokens"
        yield Finding("train.global_batch_tokens", message, label, f"raise it to {train.sequence_length} or more")
    if train.tokens is not None and batch > train.tokens:
        message = "a batch is larger than the whole run"
        yield Finding("train.global_batch_tokens", message, f"the run has {train.tokens:,.0f} tokens", "lower it")


_MAX_LABELS = 64


@check("D062", "unusable-labels", "https://cloud.google.com/compute/docs/labeling-resources")
def unusable_labels(w: Workload) -> Iterator[Finding]:
    """There are at most 64 labels, none of which begins with `goog-`.

    Why: a resource holds 64 labels, and the prefix is kept for the cloud's own.
    Example: `labels: {goog-team: support}`.
    """
    if len(w.labels) > _MAX_LABELS:
        label = f"{len(w.labels)} labels"
        message = f"a resource holds at most {_MAX_LABELS} labels"
        yield Finding("labels", message, label, f"remove {len(w.labels) - _MAX_LABELS} of them")
    for key in w.labels:
        if key.startswith("goog-"):
            help = f"for example `{key.removeprefix('goog-') or 'team'}`"
            yield Finding(f"labels.{key}", f"the label `{key}` is reserved", "begins with `goog-`", help)


@check("D063", "nothing-to-run")
def nothing_to_run(w: Workload) -> Iterator[Finding]:
    """Variables of a program come with the program: a container or a command.

    Why: an environment that no process has would be obeyed by nobody.
    Example: `run: {env: {LEVEL: debug}}` without `container` and `command`.
    """
    if w.run and w.run.env and not (w.run.container or w.run.command):
        yield Finding("run.env", "`env` belongs to no program", "nothing is run", "add `container` or `command`")


_PERCENT = 100
_HEAL_S = (60, 3600)
_BOOT_GIB = (10, 65_536)


@check("D064", "out-of-reach", "https://cloud.google.com/compute/docs/reference/rest/v1")
def out_of_reach(w: Workload) -> Iterator[Finding]:
    """Values stay within what the cloud accepts: utilisation up to 100 percent, delays of 1 minute to 1 hour, boot disks of
    10 GiB to 64 TiB.

    Why: a plan accepts more, and the apply then refuses it.
    Example: `autoscale: {signal: gpu-utilization, target: 500}`; `heal: {initial_delay: 10d}`.
    """
    scale, heal, disk = w.group.autoscale, w.group.heal, w.machine.boot_disk_size
    is_share = scale is not None and scale.signal not in ("requests", "queue", "metric")
    if scale and is_share and scale.target is not None and scale.target > _PERCENT:
        help = "write a percentage of one machine, for example 70"
        yield Finding(
            "group.autoscale.target", f"a utilisation of {scale.target:g} is never reached", "above 100 %", help
        )
    if heal and heal.initial_delay is not None and not _HEAL_S[0] <= heal.initial_delay <= _HEAL_S[1]:
        nearest = "1m" if heal.initial_delay < _HEAL_S[0] else "1h"
        message = f"a delay of {duration(heal.initial_delay)} cannot be set"
        yield Finding(
            "group.heal.initial_delay", message, "from 1 min to 1 h", f"the nearest valid value is `{nearest}`"
        )
    if disk is not None and not _BOOT_GIB[0] <= disk / GIB <= _BOOT_GIB[1]:
        nearest = f"{_BOOT_GIB[0] if disk / GIB < _BOOT_GIB[0] else _BOOT_GIB[1]}GiB"
        message = f"a boot disk of {size(disk)} cannot be made"
        yield Finding(
            "machine.boot_disk_size", message, "from 10 GiB to 64 TiB", f"the nearest valid value is `{nearest}`"
        )
