"""Between the plan and the sizing engine: the model's shape, every machine sized, and the words for it.

The engine (``decide/sizing``) knows formulas and nothing of descriptors' errors or rules; this module asks it and turns
its answers into fits, removals and reasons.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import takewhile

from msgspec.structs import replace

from infragen import units
from infragen.decide.fit import Fit
from infragen.decide.model import Reason
from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Machine, Need
from infragen.decide.rule import Miss, Narrowed, Removal
from infragen.decide.sizing.config import from_config
from infragen.decide.sizing.energy import power_kw
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.names import find, find_base
from infragen.decide.sizing.node import Constraint, Node, Shortfall, node_of
from infragen.decide.sizing.serving import ServeNeed, ServingFit, size_serving
from infragen.decide.sizing.shape import ModelShape, ShapeError, from_card, from_numbers, overridden
from infragen.decide.sizing.traffic import traffic_of
from infragen.decide.sizing.training import TrainingFit, TrainNeed, ladder, size_training
from infragen.descriptor.model import Machine as MachineSection
from infragen.descriptor.model import Model, Serve, Train, Workload
from infragen.diagnostics import Diagnostics, Rule, declare
from infragen.facts.load import Catalog
from infragen.facts.model import ModelCard, Topology

GROUP_VMS = 4000  # that one regional managed instance group may hold (from memory), S026
HOST_RESERVE_GIB = 4.0  # operating system and program beside the weights that pass through host memory, S012
LOAD_BUDGET_S = 300.0  # a machine that joins should have read the model by then
READ_SHARE = 0.5  # of the machine's network that one stream of reading gets
OBJECT_READ_MIB_S = 1000.0  # per machine from object storage with parallel ranges, when nothing else limits
SIXTEEN_OR_MORE_BITS = frozenset({"bf16", "fp16", "fp32"})
LIGHTER_METHOD = {"full": "lora", "lora": "qlora"}
SIZING = "docs/calibration.md"

MODEL_UNKNOWN = declare(
    "S001",
    "model-known",
    """Size a model that is named in the catalogue, or described by its numbers.

    Why: memory and time follow from the shape; a guessed size would be a guessed machine.
    Example: `model: {name: llama-3.1-80b}` is an error that suggests Llama-3.1-70B; one with `parameters: 80e9` is sized.
    """,
    source="infragen catalog models",
)
_SHORTFALLS: tuple[tuple[Constraint, str, str, str, str], ...] = (
    (
        "precision",
        "S010",
        "native-precision",
        """Compute in formats that the chip has units for.

        Why: an emulated format is many times slower than the next native one, and training in it does not converge.
        Example: bf16 training rejects chips without bf16 units; int4 weights are stored as they are and computed in 16 bits.
        """,
        SIZING,
    ),
    (
        "memory",
        "S011",
        "memory-fit",
        """Hold weights, cache, activations and state in the memory that a process can get hold of.

        Why: a job planned to the last byte of the marketed size fails at start, or hours in.
        Example: 15 GiB of weights and 16 GiB of cache reject a chip with 22 GiB usable.
        """,
        SIZING,
    ),
    (
        "host-memory",
        "S012",
        "host-memory-fit",
        """Have the host memory that loading, offloading and data workers need.

        Why: weights pass through host memory, and an offloaded optimizer lives there.
        Example: an offloaded state of 500 GiB rejects a host with 340 GiB.
        """,
        SIZING,
    ),
    (
        "parallelism",
        "S013",
        "legal-parallelism",
        """Split a model only where its shape and the machine's wiring allow it.

        Why: attention heads, layers and experts divide into whole parts, and tensor parallelism needs the fast interconnect.
        Example: 40 heads are not split over 16 chips.
        """,
        SIZING,
    ),
    (
        "ttft",
        "S014",
        "first-token-time",
        """Give the first token in time.

        Why: prefill is arithmetic: a chip that is too slow for the prompt misses the limit at any load.
        Example: a prompt of 8,000 tokens in 500 ms rejects chips that need 900 ms for it.
        """,
        SIZING,
    ),
    (
        "tpot",
        "S015",
        "output-token-time",
        """Give every further token in time.

        Why: each token reads the weights once: memory bandwidth sets the floor.
        Example: 16 GB of weights at 300 GB/s take 53 ms a token and miss a limit of 50 ms.
        """,
        SIZING,
    ),
    (
        "concurrency",
        "S016",
        "concurrency-fit",
        """Hold as many requests at once as are asked for.

        Why: each needs its cache; those beyond wait, and the wait is latency.
        Example: 64 concurrent requests of 8,192 tokens reject a machine whose cache holds 20.
        """,
        SIZING,
    ),
    (
        "rate",
        "S017",
        "rate-fit",
        """Answer the requests at the rate they come.

        Why: a queue that grows faster than it is served never ends.
        Example: 40 requests/s reject a fixed number of machines that answer 25.
        """,
        SIZING,
    ),
    (
        "replicas",
        "S018",
        "replicas-bound",
        """Meet the peak within the replicas that the descriptor allows.

        Why: `replicas.max` is a budget; a larger machine may do with fewer.
        Example: a peak that takes 12 replicas of a machine rejects it under `replicas: {max: 8}`.
        """,
        SIZING,
    ),
    (
        "deadline",
        "S019",
        "deadline-met",
        """Finish before the deadline, restarts included.

        Why: more machines help only until the batch is spread too thin and the network shows.
        Example: 10 days of work on the most machines that the global batch allows reject a deadline of 7 days.
        """,
        SIZING,
    ),
    (
        "batch",
        "S020",
        "global-batch",
        """Use no more accelerators than the global batch can feed.

        Why: each data-parallel rank needs at least one sequence per step; more ranks would idle.
        Example: 2 million tokens of 8,192 make 244 sequences: at most 244 ranks.
        """,
        SIZING,
    ),
    (
        "interconnect",
        "S021",
        "interconnect-hides",
        """Train over several machines only where the network hides the exchange.

        Why: gradients and weights cross the network at every step; a slow one leaves the accelerators idle.
        Example: a full fine-tune over ordinary Ethernet rejects machines whose exchange takes longer than the step.
        """,
        SIZING,
    ),
    (
        "model",
        "S022",
        "model-suits-task",
        """Do with a model what it can do.

        Why: an encoder generates nothing, and a context beyond the trained one gives noise.
        Example: a context of 32,768 tokens for a model with 512 learned positions is an error.
        """,
        SIZING,
    ),
    (
        "group",
        "S026",
        "group-size",
        """Keep to the machines that one group holds.

        Why: a managed instance group has a limit, and the API refuses the machine beyond it; several groups are several
        workloads, each with its own traffic or its own part of the work.
        Example: a million requests a second take more machines than a group of 4,000; the error says what a group carries.
        """,
        "https://docs.cloud.google.com/compute/docs/instance-groups",
    ),
)
SHORTFALLS: dict[Constraint, Rule] = {
    constraint: declare(id, name, text, source) for constraint, id, name, text, source in _SHORTFALLS
}


_ORDER: tuple[Constraint, ...] = (
    "model", "precision", "parallelism", "memory", "host-memory", "interconnect", "batch", "ttft", "tpot", "concurrency",
    "rate", "replicas", "deadline", "group",
)  # fmt: skip
REACHED = {SHORTFALLS[constraint].id: order for order, constraint in enumerate(_ORDER)}
"""Rule -> how far a machine came that misses it: the ones before are met, or not asked."""
ABOUT: Mapping[Constraint, tuple[str, ...]] = {
    "precision": ("model.precision",),
    "memory": ("model.name", "model.config", "model.parameters"),
    "ttft": ("serve.ttft_ms",),
    "tpot": ("serve.tpot_ms",),
    "concurrency": ("serve.concurrent_requests",),
    "rate": ("serve.requests_per_second", "serve.requests"),
    "replicas": ("serve.replicas",),
    "group": ("serve.requests_per_second", "serve.concurrent_requests", "serve.replicas", "machine.count"),
    "deadline": ("train.deadline", "serve.deadline"),
    "batch": ("train.global_batch_tokens", "train.micro_batch"),
    "model": ("serve.max_context_tokens", "serve.input_tokens", "train.sequence_length", "model.name"),
}
"""The fields of the descriptor that ask for what a constraint is about."""


@lru_cache(maxsize=4)
def sizing_facts(catalog: Catalog) -> SizingFacts:
    """The constants of sizing from this catalogue."""
    return SizingFacts(catalog)


def shape(workload: Workload, catalog: Catalog, diags: Diagnostics) -> ModelShape | None:
    """The model's shape; None where there is no model. What is wrong with it is reported."""
    given = workload.model
    if given is None:
        return None
    facts = sizing_facts(catalog)
    try:
        if workload.published_shape is not None:
            return overridden(from_config(workload.published_shape, facts, given.name or "model"), given)
        has_numbers = given.parameters is not None or (given.layers is not None and given.hidden_size is not None)
        if given.name is None or (has_numbers and not is_known(given.name, catalog)):
            return from_numbers(given, facts)
        named = named_shape(given.name, catalog)
        if isinstance(named, ModelShape):
            return overridden(named, given)
        near = " or ".join(f"`{name}`" for name in named)
        help = (
            f"did you mean {near}?" if named else "give the model's `parameters`, or look in `infragen catalog models`"
        )
        at = workload.at("model.name")
        diags.add(MODEL_UNKNOWN.error(f"unknown model `{given.name}`", at, "not in the catalogue", help))
    except ShapeError as error:
        at = workload.at("model.config" if given.config else "model")
        diags.add(MODEL_UNKNOWN.error(error.message, at, "", error.help))
    return None


@lru_cache(maxsize=256)
def named_shape(name: str, catalog: Catalog) -> ModelShape | tuple[str, ...]:
    """The shape of the card that a name means, or of the variant of one; else the names that come near."""
    facts = sizing_facts(catalog)
    found = find(name, catalog.models)
    if not isinstance(found, tuple):
        return from_card(found, facts)
    based = find_base(name, catalog.models)
    return found if based is None else _quantised(*based, facts)


def _quantised(card: ModelCard, precision: str, facts: SizingFacts) -> ModelShape:
    """The shape of a variant of a card that others have quantised, as its name says."""
    known = from_card(card, facts)
    note = f"the name says {precision}: {card.name} with weights in {precision}"
    return replace(known, checkpoint_format=precision, assumptions=(*known.assumptions, note))


def is_known(name: str, catalog: Catalog) -> bool:
    """Whether the catalogue has a model of that name."""
    return not isinstance(find(name, catalog.models), tuple)


def _slices(catalog: Catalog, box: Machine) -> list[Topology]:
    """Slices that machines of a type make."""
    return [one for one in catalog.topologies if one.machine_type == box.record.name]


@lru_cache(maxsize=2048)
def _node(catalog: Catalog, box: Machine, topology: str | None) -> Node:
    assert box.accelerator is not None
    slices = {one.vms for one in _slices(catalog, box) if topology in (None, one.topology)}
    return node_of(box.record, box.accelerator, box.fabric, box.vcpus, box.memory_gib, tuple(sorted(slices)))


@lru_cache(maxsize=2048)
def _hostless(catalog: Catalog, box: Machine, topology: str | None) -> Node:
    """The node as sizing sees it unless the host holds state: machines that differ in their host alone are one."""
    return replace(_node(catalog, box, topology), vcpus=0, memory_gib=0.0)


_size_serving = lru_cache(maxsize=512)(size_serving)
_size_training = lru_cache(maxsize=512)(size_training)


def _vms(need: Need, box: Machine) -> int | None:
    """Number of VMs that the descriptor asks for: with a topology, `count` is the number of slices."""
    asked = need.workload.machine
    if asked.topology is None:
        return asked.count
    vms = [one.vms for one in _slices(need.catalog, box) if one.topology == asked.topology]
    return (asked.count or 1) * vms[0] if vms else asked.count


def _about(workload: Workload, constraint: Constraint) -> str:
    """The field that a shortfall is about: the machine if it is given, else the first of those that ask for it."""
    for path in ("machine.type", *ABOUT.get(constraint, ())):
        section, _, field = path.partition(".")
        written: object = getattr(getattr(workload, section), field, None)
        if written is not None:
            return path
    return "task"


def narrow(need: Need, allowed: Narrowed[Machine]) -> Narrowed[Fit]:
    """The machines that can do the work, with how they do it; those that cannot, with the constraint they miss."""
    removed = [Removal(Fit(one.candidate, 0), one.rule, one.miss) for one in allowed.removed]
    kept: list[Fit] = []
    asked = asked_of(need)
    for box in allowed.kept:
        found = fit(need, asked, box)
        if isinstance(found, Shortfall):
            miss = Miss(found.message, found.distance, found.help, _about(need.workload, found.constraint))
            removed.append(Removal(Fit(box, 0), SHORTFALLS[found.constraint], miss))
        else:
            kept.append(found)
    return Narrowed(tuple(kept), tuple(removed))


def slices(need: Need, fit: Fit) -> tuple[str | None, int]:
    """Topology and number of the slices that the machines make: those that are asked for, or the largest that a replica or
    a training run is made of. None and 0 where they make none."""
    asked = need.workload.machine.topology
    vms = fit.nodes if need.workload.task in TRAINING_TASKS else round(1 / min(1.0, fit.replicas_per_node))
    for one in sorted(_slices(need.catalog, fit.machine), key=lambda one: -one.vms):
        if one.topology == asked or (asked is None and vms % one.vms == 0):
            return one.topology, fit.nodes // one.vms
    return asked, 0


def asked_of(need: Need) -> ServeNeed | TrainNeed | None:
    """What sizing is asked for; None where there is nothing to size."""
    workload = need.workload
    if need.shape is None:
        return None
    if workload.task in SERVING_TASKS:
        is_batch, is_pinned = workload.task == "batch-inference", workload.machine.type is not None
        return ServeNeed.of(workload.serve, workload.model, is_batch=is_batch, is_pinned=is_pinned)
    if workload.task in TRAINING_TASKS:
        is_spot = workload.capacity.model == "spot"
        return TrainNeed.of(workload.train, workload.model, workload.task, workload.data, is_spot=is_spot)
    return None


def fit(need: Need, asked: ServeNeed | TrainNeed | None, box: Machine, vms: int | None = None) -> Fit | Shortfall:
    """How this machine does what is asked (on ``vms`` of them, where given), or the constraint that it misses."""
    facts, topology, count = sizing_facts(need.catalog), need.workload.machine.topology, vms or _vms(need, box)
    if need.shape is None or asked is None or box.accelerator is None:
        return _in_group(Fit(box, count or box.record.topology_unit_vms or 1))
    if isinstance(asked, ServeNeed):
        served = _size_serving(need.shape, asked, _hostless(need.catalog, box, topology), facts, count)
        if isinstance(served, Shortfall):
            return served
        if box.record.topology_unit_vms:
            served = replace(served, nodes=_in_units(box, served.nodes))
        return _with_room(_served(box, served, facts), min(1.0, served.replicas_per_node))
    node = (_node if asked.is_offloaded else _hostless)(need.catalog, box, topology)
    trained = _size_training(need.shape, asked, node, facts, count)
    return trained if isinstance(trained, Shortfall) else _with_room(_trained(box, trained, facts), 1 / trained.nodes)


def _in_units(box: Machine, vms: int) -> int:
    """The VMs that hold so many, of machines that come in units."""
    unit = box.record.topology_unit_vms or 1
    return -(-vms // unit) * unit


def _in_group(found: Fit) -> Fit | Shortfall:
    """The fit, if a group holds the machines."""
    if found.nodes > GROUP_VMS:
        rate = (found.requests_per_second_per_node or 0.0) * GROUP_VMS
        most = (
            f"a group of them carries {units.figure(rate)} requests/s"
            if rate
            else f"it takes at most {GROUP_VMS:,} VMs"
        )
        message = f"{found.nodes:,} VMs; a group holds {GROUP_VMS:,}"
        return Shortfall("group", found.nodes, GROUP_VMS, "VMs", message, f"{most}: split the workload over several")
    return found


def _with_room(found: Fit, share: float) -> Fit | Shortfall:
    """The fit, if a group holds the machines, and the host its share of the weights while they are loaded."""
    if isinstance(too_many := _in_group(found), Shortfall):
        return too_many
    loaded = found.weights_gib * share
    if found.memory:  # weights that are quantised while they are read pass through in parts
        loaded = min(loaded, found.memory.weights * max(1.0, found.machine.record.accelerators))
    needed, available = loaded + HOST_RESERVE_GIB, found.machine.memory_gib
    if needed <= available:
        return found
    message = (
        f"{loaded:.1f} GiB of weights pass through host memory beside {HOST_RESERVE_GIB:g} GiB of system; "
        f"there are {available:g} GiB"
    )
    return Shortfall("host-memory", needed, available, "GiB", message, f"use a machine with {needed:.0f} GiB or more")


def _served(box: Machine, found: ServingFit, facts: SizingFacts) -> Fit:
    assert box.accelerator is not None
    return Fit(
        machine=box,
        nodes=found.nodes,
        tensor_parallel=found.tensor_parallel,
        pipeline_parallel=found.pipeline_parallel,
        replicas_per_node=found.replicas_per_node,
        memory=found.memory,
        tokens_per_second=found.tokens_per_second,
        ttft_ms=found.ttft_ms,
        tpot_ms=found.tpot_ms,
        train_hours=found.batch_hours,
        max_batch=found.max_batch,
        requests_per_second_per_node=found.requests_per_second_per_node,
        weights_gib=found.weights_gib,
        energy_kwh_per_hour=power_kw(
            box.accelerator, box.record.accelerators * found.nodes, "serving", facts, found.utilisation
        ),
        margins=found.margins,
        binding=found.binding,
        assumptions=found.assumptions,
    )


def _trained(box: Machine, found: TrainingFit, facts: SizingFacts) -> Fit:
    assert box.accelerator is not None
    return Fit(
        machine=box,
        nodes=found.nodes,
        tensor_parallel=found.tensor_parallel,
        pipeline_parallel=found.pipeline_parallel,
        data_parallel=found.data_parallel,
        context_parallel=found.context_parallel,
        expert_parallel=found.expert_parallel,
        memory=found.memory,
        tokens_per_second=found.tokens_per_second,
        train_hours=found.train_hours,
        mfu=found.mfu,
        weights_gib=found.weights_gib,
        dataset_mib_s=found.dataset_mib_s,
        checkpoint=found.checkpoint,
        energy_kwh_per_hour=power_kw(box.accelerator, box.record.accelerators * found.nodes, "training", facts),
        margins=found.margins,
        binding=found.binding,
        assumptions=found.assumptions,
    )


def reasons(need: Need, chosen: Fit) -> tuple[Reason, ...]:
    """Why this machine is enough: the constraint with the least room, in words."""
    found: list[Reason] = []
    if chosen.memory:
        memory = chosen.memory
        rule = SHORTFALLS["memory"].id
        found.append(Reason(rule, f"{memory.total:.1f} of {memory.usable:.1f} GiB usable per accelerator"))
    if chosen.train_hours and need.workload.train and need.workload.train.deadline:
        hours = chosen.train_hours
        deadline = need.workload.train.deadline / 3600
        found.append(
            Reason(
                SHORTFALLS["deadline"].id, f"{hours.expected:,.0f} h expected of the {deadline:,.0f} h to the deadline"
            )
        )
    if chosen.tpot_ms and need.workload.serve and need.workload.serve.tpot_ms:
        found.append(
            Reason(
                SHORTFALLS["tpot"].id,
                f"{chosen.tpot_ms.expected:.0f} ms a token of the {need.workload.serve.tpot_ms:g} ms allowed",
            )
        )
    if need.workload.machine.type:
        found.append(Reason("M010", f"machine.type is `{need.workload.machine.type}`"))
    return tuple(found)


def unpinned(need: Need) -> Need:
    """The same need without bounds on the machine."""
    return replace(need, workload=need.workload.model_copy(update={"machine": MachineSection.model_construct()}))


def fewer(need: Need, chosen: Fit) -> Reason | None:
    """Why one step fewer of the same machines will not do; None where one is enough, or their number is given."""
    if chosen.nodes < 2 or need.workload.machine.count is not None or chosen.machine.accelerator is None:
        return None
    node = _hostless(need.catalog, chosen.machine, need.workload.machine.topology)
    if need.workload.task in TRAINING_TASKS:
        below = max(takewhile(lambda vms: vms < chosen.nodes, ladder(node.slice_vms, node.unit_vms)), default=0)
    else:
        below = chosen.nodes - max(node.unit_vms, round(1 / min(1.0, chosen.replicas_per_node)))
    if below < 1:
        return None
    return will_not_do(need, chosen.machine, below, f"{below} instead of {chosen.nodes} × {chosen.machine.label}")


def will_not_do(need: Need, box: Machine, vms: int, what: str) -> Reason | None:
    """Why so many VMs of a type will not do, said of ``what``; None where they would."""
    asked = asked_of(need)
    if isinstance(asked, ServeNeed):
        asked = replace(asked, replicas_max=None)  # the number of VMs is the bound that is looked at
    found = fit(need, asked, box, vms)
    if isinstance(found, Fit):
        return None
    return Reason(SHORTFALLS[found.constraint].id, f"{what} will not do: {found.message}")


Change = Callable[[Workload], Workload | None]


def _model(**changes: object) -> Change:
    return lambda one: one.model_copy(
        update={"model": (one.model or Model.model_construct()).model_copy(update=changes)}
    )


def _serve(**changes: object) -> Change:
    return lambda one: one.model_copy(
        update={"serve": (one.serve or Serve.model_construct()).model_copy(update=changes)}
    )


def _train(**changes: object) -> Change:
    return lambda one: one.model_copy(
        update={"train": (one.train or Train.model_construct()).model_copy(update=changes)}
    )


def variations(need: Need, chosen: Fit) -> Iterator[tuple[str, Change, bool]]:
    """One thing different at a time, with how it is written, and whether it asks for less: then less may do."""
    workload, chip = need.workload, chosen.machine.accelerator
    model, serve, train = (
        workload.model or Model.model_construct(),
        workload.serve or Serve.model_construct(),
        workload.train or Train.model_construct(),
    )
    if workload.task in SERVING_TASKS and need.shape is not None and chip is not None:
        if (model.precision or need.shape.checkpoint_format) in SIXTEEN_OR_MORE_BITS:
            smaller = "fp8" if "fp8" in chip.native_formats else "int8"
            yield f"`model.precision: {smaller}`", _model(precision=smaller), True
        if need.shape.is_generative:
            context = 2 * traffic_of(need.shape, ServeNeed.of(serve, model)).context_tokens
            yield f"`serve.max_context_tokens: {context}`", _serve(max_context_tokens=context), False
        if serve.concurrent_requests:
            twice = 2 * serve.concurrent_requests
            yield f"`serve.concurrent_requests: {twice}`", _serve(concurrent_requests=twice), False
        if serve.requests_per_second:
            rate = 2 * serve.requests_per_second
            yield f"`serve.requests_per_second: {rate:g}`", _serve(requests_per_second=rate), False
    if workload.task in TRAINING_TASKS and need.shape is not None:
        method = TrainNeed.of(train, model, workload.task).method
        lighter = LIGHTER_METHOD.get(method) if workload.task == "finetune" else None
        if lighter:
            yield f"`train.method: {lighter}`", _train(method=lighter), True
        if train.sequence_length:
            twice = 2 * train.sequence_length
            yield f"`train.sequence_length: {twice}`", _train(sequence_length=twice), False
        if train.deadline:
            yield (
                f"half the deadline ({units.duration(train.deadline / 2)})",
                _train(deadline=train.deadline / 2),
                False,
            )


def would_change(need: Need, chosen: Fit, fits: Narrowed[Fit]) -> tuple[str, ...]:
    """What would alter the number of these machines: the same series sized with one thing different, where the answer differs."""
    if chosen.machine.accelerator is None:
        return ()
    family = _family(chosen, fits)
    texts = (
        _changed(need, vary, name, chosen, family, is_less=is_less) for name, vary, is_less in variations(need, chosen)
    )
    return tuple(filter(None, texts))


def _family(chosen: Fit, fits: Narrowed[Fit]) -> list[Machine]:
    """Machines of the same series and accelerator that the descriptor allows, fewest accelerators first."""
    allowed = [one.machine for one in fits.kept] + [
        one.candidate.machine for one in fits.removed if one.rule.id.startswith("S")
    ]
    record = chosen.machine.record
    same = [
        one for one in allowed if (one.record.series, one.record.accelerator) == (record.series, record.accelerator)
    ]
    return sorted(same, key=lambda one: (one.record.accelerators, one.memory_gib, one.label))


def _changed(need: Need, vary: Change, name: str, chosen: Fit, family: list[Machine], *, is_less: bool) -> str:
    """What the choice becomes under a variation; empty where it stays."""
    varied = replace(need, workload=vary(need.workload))
    asked, before = asked_of(varied), f"{chosen.nodes} × {chosen.machine.label}"
    found = fit(varied, asked, chosen.machine)
    if isinstance(found, Fit) and found.nodes == chosen.nodes and not is_less:
        return ""
    least, least_now = _least(varied, family), _least(need, family)
    if isinstance(found, Shortfall):
        instead = f": {least.nodes} × {least.machine.label} would" if least else f": {found.message}"
        return f"with {name} {chosen.machine.label} no longer does{instead}"
    if is_less and least and least_now and _size(least) < min(_size(chosen), _size(found), _size(least_now)):
        return f"with {name}, fewer accelerators of this series would do: {least.nodes} × {least.machine.label} instead of {before}"
    return f"with {name}, {found.nodes} instead of {before} do" if found.nodes != chosen.nodes else ""


def _least(need: Need, family: list[Machine]) -> Fit | None:
    """The fewest accelerators of the family that do."""
    asked = asked_of(need)
    fitting = (fit(need, asked, box) for box in family)
    return min((one for one in fitting if isinstance(one, Fit)), key=_size, default=None)


def _size(one: Fit) -> tuple[float, int]:
    """Accelerators in all, then VMs."""
    return one.nodes * one.machine.record.accelerators, one.nodes
