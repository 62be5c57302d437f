"""What the provider's SDK makes of a configuration before it is applied.

Takes arguments, configuration and prior state of one resource. Gives the planned value and what forces a replacement.
"""

from collections.abc import Iterator, Mapping

from tests.terraform.table import Argument, Arguments
from tests.terraform.values import UNKNOWN, Block, Value, canonical, is_absent, is_unknown

Path = tuple[str | int, ...]

# Set by the provider on what it creates, unless `add_terraform_attribution_label = false`.
_ATTRIBUTION = {"goog-terraform-provisioned": "true"}


def planned(arguments: Arguments, config: Block, prior: Block | None, settings: Mapping[str, Value]) -> Block:
    """The planned value of a resource: ``prior`` is None for a new one, ``settings`` the provider block.

    Arguments keep what was written, then their default; what the provider computes is unknown when new, else as before.
    """
    result = _block(arguments, config, prior)
    for name in ("project", "region", "zone"):
        argument = arguments.get(name)
        is_decided = argument is not None and argument.optional and argument.computed
        if is_decided and config[name] is None and settings.get(name) is not None:
            result[name] = settings[name]
    return result | _merged(arguments, config, prior, settings)


def replacements(arguments: Arguments, prior: Block, after: Block) -> list[Path]:
    """Paths of the changes that only a new resource can make. A path ends at a set: its elements have no address."""
    return list(_forced(arguments, prior, after, ()))


def _block(arguments: Arguments, config: Block, prior: Block | None) -> Block:
    return {name: _value(one, config.get(name), prior, name) for name, one in arguments.items()}


def _value(argument: Argument, config: Value, prior: Block | None, name: str) -> Value:
    computed = UNKNOWN if prior is None else prior.get(name)
    if argument.write_only:
        return None
    if not argument.is_attribute:
        if is_absent(config) and argument.computed:
            return computed
        return _blocks(argument, config, None if prior is None else prior.get(name))
    if config is not None:
        return config
    if argument.default is not None:
        return argument.default
    return computed if argument.computed else None


def _blocks(argument: Argument, config: Value, prior: Value) -> Value:
    inner = argument.block or {}
    if config is None or is_unknown(config):
        return config
    if argument.shape == "single":
        return _block(inner, config, prior)
    before = [] if prior is None or is_unknown(prior) else list(prior)
    if argument.shape == "set":
        return [_element(argument, one, before) for one in config]
    paired = [*before, *[None] * len(config)]
    return [_block(inner, one, old) for one, old in zip(config, paired, strict=False)]


def _element(argument: Argument, config: Block, before: list[Block]) -> Block:
    """An element of a set, matched to the earlier element that it leaves unchanged, if there is one."""
    inner = argument.block or {}
    whole = Argument(argument.name, "single", block=inner)
    for old in before:
        kept = _block(inner, config, old)
        if canonical(whole, kept) == canonical(whole, old):
            return kept
    return _block(inner, config, None)


def _merged(arguments: Arguments, config: Block, prior: Block | None, settings: Mapping[str, Value]) -> Block:
    """The computed labels and annotations: what was written, below it the defaults of the provider block."""
    defaults = dict(settings.get("default_labels") or {}) if not is_unknown(settings.get("default_labels")) else None
    if prior is None and settings.get("add_terraform_attribution_label") is not False:
        is_marked = True
    else:
        is_marked = bool(prior and _ATTRIBUTION.items() <= (prior.get("terraform_labels") or {}).items())
    merged: Block = {}
    for written, computed in (
        ("labels", ("terraform_labels", "effective_labels")),
        ("annotations", ("effective_annotations",)),
    ):
        below = {} if written == "annotations" else defaults
        own = config.get(written)
        marks = _ATTRIBUTION if is_marked and written == "labels" else {}
        whole = UNKNOWN if below is None or is_unknown(own) else {**marks, **below, **(own or {})}
        merged |= {name: whole for name in computed if written in arguments and name in arguments}
    return merged


def _forced(arguments: Arguments, prior: Block, after: Block, path: Path) -> Iterator[Path]:
    for name, argument in arguments.items():
        old, new = prior.get(name), after.get(name)
        if canonical(argument, old) == canonical(argument, new) or (is_absent(old) and is_absent(new)):
            continue
        here = (*path, name)
        if argument.block is None or argument.shape != "list" or is_unknown(old) or is_unknown(new):
            if argument.force_new or (argument.shape == "set" and _any_forces(argument)):
                yield here
            continue
        before, following = old or [], new or []
        if argument.force_new and len(before) != len(following):
            yield here
            continue
        for index in range(max(len(before), len(following))):
            pair = [side[index] if index < len(side) else {} for side in (before, following)]
            yield from _forced(argument.block, pair[0], pair[1], (*here, index))


def _any_forces(argument: Argument) -> bool:
    return argument.force_new or any(_any_forces(inner) for inner in (argument.block or {}).values())
