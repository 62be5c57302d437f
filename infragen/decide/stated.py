"""What the descriptor says of its model, held against what is known of it: contradictions are told, not averaged."""

from collections.abc import Iterator

from infragen.decide.need import SERVING_TASKS, TRAINING_TASKS, Need
from infragen.decide.sizing.node import CONTEXT_EXTENSION
from infragen.decide.sizing.serving import ServeNeed
from infragen.decide.sizing.shape import ModelShape, from_numbers
from infragen.decide.sizing.traffic import traffic_of
from infragen.decide.sizing_of import is_known, named_shape, sizing_facts
from infragen.descriptor.model import Model
from infragen.diagnostics import Diagnostic, Diagnostics, declare
from infragen.units import count as spelled

SAID_TWICE = declare(
    "S023",
    "model-said-once",
    """Take the widths of a published model from the catalogue, and let nothing beside its name contradict them.

    Why: `layers: 99` beside the name of a model with 32 layers is either a slip or another model; sizing one of the two in
    silence would be a guess. The number of parameters and the context may be given: pruned and extended variants keep names.
    Example: `model: {name: Llama-3.1-8B, layers: 99}` is an error that names the 32 layers of the catalogue.
    """,
    source="infragen catalog models",
)
CONTRADICTED = declare(
    "S024",
    "model-contradicted",
    """Say when the size of a model does not follow from the rest that is said of it.

    Why: memory and time follow from the size; where the name, the config and the numbers disagree, one of them is a slip, and
    the plan is for another model than somebody thinks.
    Example: `parameters: 70e9` beside the name of a model with 8 billion is obeyed with a warning; 1 parameter in 80 layers
    is an error.
    """,
    source="docs/calibration.md",
)
EXTENDED = declare(
    "S025",
    "context-extended",
    """Say when sequences are longer than those that the model was trained on.

    Why: beyond the trained length positions have to be rescaled, an engine refuses to start without being told so, and answers
    get worse before anything fails.
    Example: 262,144 tokens for a model trained on 131,072 are a warning; more than four times as many are an error (S022).
    """,
    source="https://arxiv.org/abs/2309.00071",
)
AS_NAMED = 0.1  # share that a size may differ from that of the name: variants drop or add a head
AS_COUNTED = 5 / 3  # times that stated and counted parameters may differ: layers have parts that are not stated
IMPOSSIBLE = 50  # times that no model differs: of experts that are not stated, a token visits more than a fiftieth
WIDTHS = {
    # field of the descriptor -> of the shape
    "layers": "layers",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "attention_heads": "attention_heads",
    "kv_heads": "kv_heads",
    "head_dim": "head_dim",
    "vocabulary": "vocabulary",
    "experts": "experts",
    "experts_per_token": "experts_per_token",
    "expert_intermediate_size": "expert_width",
    "tied_embeddings": "tied_embeddings",
}


def check(need: Need, diags: Diagnostics) -> None:
    """Report what contradicts itself. Raises CompileError where the model cannot be what is said."""
    given, shape = need.workload.model, need.shape
    if given is None or shape is None:
        return
    diags.extend(_said_twice(need, given))
    diags.extend(_contradicted(need, given, shape))
    diags.extend(_extended(need, shape))
    diags.raise_if_errors()


def _named(need: Need, given: Model) -> ModelShape | None:
    """The published model of that name."""
    found = named_shape(given.name, need.catalog) if given.name else None
    return found if isinstance(found, ModelShape) else None


def _said_twice(need: Need, given: Model) -> Iterator[Diagnostic]:
    named = _named(need, given)
    if named is None or given.config is not None:
        return
    for field, of in WIDTHS.items():
        stated, known = getattr(given, field), getattr(named, of)
        if stated is not None and stated != known:
            message = f"`{field}` contradicts `name`: {named.name} has {known:,}, not {stated:,}"
            help = f"remove `{field}`, or leave out `name` and give all numbers of the model"
            yield SAID_TWICE.error(message, need.workload.at(f"model.{field}"), "the catalogue says it too", help)


def _contradicted(need: Need, given: Model, shape: ModelShape) -> Iterator[Diagnostic]:
    named, at = _named(need, given), need.workload.at
    if named is not None and abs(shape.parameters / named.parameters - 1) > AS_NAMED:
        path = "model.config" if given.config else "model.parameters"
        said = "the config describes" if given.config else "the descriptor gives"
        message = f"{named.name} has {spelled(named.parameters)} parameters; {said} {spelled(shape.parameters)}"
        help = f"correct `{path.partition('.')[2]}`, or give the model another name; what is sized is the given size"
        yield CONTRADICTED.warning(message, at(path), f"{shape.parameters / named.parameters:.3g} times", help)
    is_numbers = given.config is None and not (given.name and is_known(given.name, need.catalog))
    if not (is_numbers and given.parameters and given.layers and given.hidden_size):
        return
    bare = given.model_copy(update={"parameters": None, "active_parameters": None})
    counted = from_numbers(bare, sizing_facts(need.catalog)).parameters
    stated = given.parameters if given.experts else given.active_parameters or given.parameters
    times = max(stated / counted, counted / stated)
    if times <= AS_COUNTED:
        return
    message = f"layers and widths make {spelled(counted)} parameters; stated are {spelled(stated)}"
    help = f"correct `parameters`, `layers` or `hidden_size`; of experts give `experts` and their width; {spelled(counted)} would agree"
    make = CONTRADICTED.error if times > IMPOSSIBLE else CONTRADICTED.warning
    yield make(message, at("model.parameters"), f"{times:.3g} times apart", help)


def _extended(need: Need, shape: ModelShape) -> Iterator[Diagnostic]:
    workload, trained = need.workload, shape.max_context_tokens
    if trained is None or shape.is_context_fixed:
        return  # longer ones are impossible, S022
    tokens, path, most = 0, "", trained * CONTEXT_EXTENSION
    if workload.task in SERVING_TASKS and shape.is_generative:
        tokens = traffic_of(shape, ServeNeed.of(workload.serve, workload.model)).context_tokens
        path = (
            "serve.max_context_tokens" if workload.serve and workload.serve.max_context_tokens else "serve.input_tokens"
        )
    elif workload.task in TRAINING_TASKS and workload.train and workload.train.sequence_length:
        tokens, path = workload.train.sequence_length, "train.sequence_length"
    if trained < tokens and (tokens <= most or workload.task == "pretrain"):  # else it is an error, S022
        message = f"{tokens:,} tokens are more than the {trained:,} that {shape.name} was trained on"
        help = f"ask for at most {trained:,}, or rescale the positions (YaRN, `rope_scaling`) and measure the answers"
        yield EXTENDED.warning(message, workload.at(path), f"{tokens / trained:.3g} times", help)
