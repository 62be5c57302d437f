"""Blocks against the schema of the google providers.

Takes a parsed file and the providers that its module names. Gives what Terraform and the provider would refuse, and
what only Google's API would. Promises to leave the resources of other providers alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from infragen.diagnostics import Diagnostic, declare
from infragen.facts import provider_schema
from infragen.verify import alternatives, structure, values
from infragen.verify.levels import Level, Spec, Subject, listed
from infragen.verify.levels import level as level_at
from infragen.verify.model import (
    Attribute,
    Block,
    File,
    Reference,
)
from infragen.verify.values import PROVIDER_SOURCE

BETA, GA = "google-beta", "google"

UNKNOWN_TYPE = declare(
    "V003",
    "unknown-resource-type",
    """A resource or data source is of a type that the provider has.

    Why: Terraform refuses the module when it validates.
    Example: `resource "google_compute_disks" "main"`.
    """,
    PROVIDER_SOURCE,
)
UNKNOWN_ARGUMENT = declare(
    "V004",
    "unknown-argument",
    """An argument or block is one that the schema knows at this place.

    Why: Terraform refuses the module when it validates; most such names are a slip or belong one level up or down.
    Example: `disk_size = 100` where the argument is `disk_size_gb`.
    """,
    PROVIDER_SOURCE,
)
BLOCK_MIXED_UP = declare(
    "V005",
    "block-and-argument-mixed-up",
    """What the schema calls a block is written as a block, and what it calls an argument with `=`.

    Why: Terraform tells the two apart strictly.
    Example: `labels { team = "a" }` instead of `labels = { team = "a" }`.
    """,
    PROVIDER_SOURCE,
)
MISSING = declare(
    "V006",
    "missing-argument",
    """What the schema requires is there.

    Why: Terraform refuses the module when it validates.
    Example: a disk image without `name`.
    """,
    PROVIDER_SOURCE,
)
TOO_MANY = declare(
    "V008",
    "wrong-number-of-blocks",
    """A block stands as often as the schema allows.

    Why: Terraform refuses the module when it validates.
    Example: two `scheduling` blocks in one template.
    """,
    PROVIDER_SOURCE,
)
NEEDS_BETA = declare(
    "V015",
    "beta-without-beta-provider",
    """What only google-beta knows says `provider = google-beta`.

    Why: the google provider refuses the resource or argument as unknown.
    Example: `google_compute_future_reservation` without `provider = google-beta`.
    """,
    PROVIDER_SOURCE,
)
DEPRECATED = declare(
    "V016",
    "deprecated",
    """Nothing is used that the provider has marked as deprecated.

    Why: it goes away in a later major version.
    Example: a resource of a service that is being shut down.
    """,
    PROVIDER_SOURCE,
)
READ_ONLY = declare(
    "V018",
    "read-only-argument",
    """What the provider computes is not set.

    Why: Terraform refuses a value for an output.
    Example: `self_link = "..."`.
    """,
    PROVIDER_SOURCE,
)

_META_ARGUMENTS = frozenset({"count", "for_each", "provider", "depends_on"})
_LIFECYCLE = frozenset({"create_before_destroy", "prevent_destroy", "ignore_changes", "replace_triggered_by"})


def providers(files: Iterable[File]) -> dict[str, str]:
    """Local name -> google or google-beta, or "" for another provider, as `required_providers` has it."""
    found = {GA: GA, BETA: BETA}
    for file in files:
        for terraform in file.body.named("terraform"):
            for required in terraform.body.named("required_providers"):
                for name, attribute in required.body.attributes.items():
                    source = structure.item(attribute.value, "source")
                    if isinstance(source, str):
                        kind = source.rsplit("/", 1)[-1]
                        found[name] = kind if kind in {GA, BETA} else ""
    return found


def check(file: File, known: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """What is wrong with the blocks of one file; ``known`` comes from `providers`. Remembered for each file."""
    return _check(file, tuple(sorted(known.items())))


@lru_cache(maxsize=512)
def _check(file: File, known: tuple[tuple[str, str], ...]) -> tuple[Diagnostic, ...]:
    return tuple(_blocks(file, dict(known)))


def _blocks(file: File, known: Mapping[str, str]) -> Iterator[Diagnostic]:
    yield from structure.check(file)
    is_override = structure.is_override(file.path)
    for block in file.body.blocks:
        if block.type == "provider" and len(block.labels) == 1:
            kind = known.get(block.label[0])
            entry = provider_schema.entry("provider", GA)
            if kind and entry:
                subject = Subject(file, block, "provider", GA, entry, kind == BETA, True)
                yield from _subject(subject)
        elif block.type in {"resource", "data"} and len(block.labels) == 2:
            yield from _resource(file, block, known, is_partial=is_override)


def provider_of(block: Block, known: Mapping[str, str]) -> str:
    """Which provider a resource block is for: google, google-beta, or "" for any other."""
    attribute = block.body.attributes.get("provider")
    local = block.label[0].split("_", 1)[0]
    if attribute is not None:
        value = attribute.value
        local = value.root if isinstance(value, Reference) else str(structure.constant(value) or "").split(".")[0]
    return known.get(local, "")


def _resource(file: File, block: Block, known: Mapping[str, str], *, is_partial: bool) -> Iterator[Diagnostic]:
    provider = provider_of(block, known)
    name = block.label[0]
    if not provider or not name.startswith("google_"):
        return
    kind: provider_schema.Kind = "resource" if block.type == "resource" else "data_source"
    entry = provider_schema.entry(kind, name)
    label = block.labels[0]
    word = kind.replace("_", " ")
    if entry is None:
        other: provider_schema.Kind = "data_source" if kind == "resource" else "resource"
        if provider_schema.entry(other, name) is not None:
            article = "data source, not a resource" if kind == "resource" else "resource, not a data source"
            help = f'write `{"data" if kind == "resource" else "resource"} "{name}" "{block.label[1]}"`'
            yield UNKNOWN_TYPE.error(f"`{name}` is a {article}", file.span(label.start, label.end), help=help)
            return
        help = _did_you_mean(name, provider_schema.names(kind), f"see the {word}s of the provider")
        yield UNKNOWN_TYPE.error(f"no {word} is called `{name}`", file.span(label.start, label.end), help=help)
        return
    is_beta = provider == BETA
    if entry.get("provider") == BETA and not is_beta:
        yield NEEDS_BETA.error(
            f"`{name}` exists in google-beta only",
            file.span(label.start, label.end),
            help="add `provider = google-beta`",
        )
        is_beta = True  # said once is enough: its arguments are beta too
    if entry.get("deprecated"):
        yield DEPRECATED.warning(
            f"`{name}` is deprecated",
            file.span(label.start, label.end),
            help="use what its documentation names instead",
        )
    yield from _subject(Subject(file, block, kind, name, entry, is_beta, is_partial))


def _subject(subject: Subject) -> Iterator[Diagnostic]:
    yield from _level(subject, level_at(subject.kind, subject.name, ()), subject.root)


def _level(subject: Subject, level: Level, block: Block) -> Iterator[Diagnostic]:
    """What is wrong in one block and those within it."""
    is_root = not level.path
    for name, attribute in block.body.attributes.items():
        yield from _argument(subject, level, name, attribute, is_root=is_root)
    present: Counter[str] = Counter()
    dynamic: set[str] = set()
    for inner in block.body.blocks:
        if inner.type == "dynamic" and len(inner.labels) == 1:
            name = inner.label[0]
            dynamic.add(name)
            place = (inner.labels[0].start, inner.labels[0].end)
            content = next(inner.body.named("content"), None)
        else:
            name = inner.type
            place = (inner.start, inner.start + len(name))
            content = inner
            if is_root and subject.kind != "provider" and name in structure.META_BLOCKS:
                yield from _meta_block(subject, inner)
                continue
            present[name] += 1
        yield from _block(subject, level, name, place, content)
    yield from _missing(subject, level, block, present, dynamic)
    yield from _counts(subject, level, block, present, dynamic)
    yield from alternatives.check(subject, level, block)


def _argument(
    subject: Subject, level: Level, name: str, attribute: Attribute, *, is_root: bool
) -> Iterator[Diagnostic]:
    spec = level.arguments.get(name)
    file = subject.file
    if is_root and (
        (name in _META_ARGUMENTS and subject.kind != "provider")
        or (name in {"alias", "version"} and subject.kind == "provider")
    ):
        return
    if spec is None:
        yield _unknown(subject, level, name, file, attribute.start, attribute.name_end)
        return
    if values.is_null(attribute.value):
        return
    if not (spec.get("optional") or spec.get("required")):
        span = file.span(attribute.start, attribute.name_end)
        yield READ_ONLY.error(f"`{name}` is computed by the provider", span, help="remove it, or read it in an output")
        return
    if "block" in spec and spec.get("as") != "attribute":
        span = file.span(attribute.start, attribute.name_end)
        yield BLOCK_MIXED_UP.error(f"`{name}` is a block", span, help=f"write `{name} {{ ... }}`, without `=`")
        return
    yield from _status(subject, name, spec, attribute.start, attribute.name_end)
    api = subject.entry.get("api_enums")
    row = api.get(".".join((*level.path, name))) if api else None
    yield from values.check(values.Context(file, name, spec, row, subject.is_beta), attribute.value)


def _status(subject: Subject, name: str, spec: Spec, start: int, end: int) -> Iterator[Diagnostic]:
    """Beta and deprecated things."""
    if spec.get("provider") == BETA and not subject.is_beta:
        if subject.kind == "provider":
            help = 'move it to `provider "google-beta"`'
        else:
            help = "add `provider = google-beta` to the resource"
        yield NEEDS_BETA.error(f"`{name}` exists in google-beta only", subject.file.span(start, end), help=help)
    if spec.get("deprecated"):
        yield DEPRECATED.warning(
            f"`{name}` is deprecated", subject.file.span(start, end), help="use what its documentation names instead"
        )


def _unknown(subject: Subject, level: Level, name: str, file: File, start: int, end: int) -> Diagnostic:
    where = f"`{level.path[-1]}`" if level.path else f"`{subject.name}`"
    candidates = [one for one, spec in level.arguments.items() if spec.get("optional") or spec.get("required")]
    nested = _nested_names(subject.entry["arguments"], ())
    help = f"it belongs in `{nested[name]}`" if name in nested else _did_you_mean(name, candidates, "")
    if not help:
        alike = _alike(name, nested)
        help = f"did you mean `{alike}` in `{nested[alike]}`?" if alike else f"{where} has {listed(candidates)}"
    return UNKNOWN_ARGUMENT.error(f"{where} has no argument or block `{name}`", file.span(start, end), help=help)


def _nested_names(arguments: Mapping[str, Spec], path: tuple[str, ...]) -> dict[str, str]:
    """Arguments of the blocks at any depth -> the block that has them, the outermost where several do."""
    found: dict[str, str] = {}
    blocks = [(name, spec["block"]) for name, spec in arguments.items() if "block" in spec and "as" not in spec]
    for name, block in blocks:
        for inner in block:
            found.setdefault(inner, ".".join((*path, name)))
    for name, block in blocks:
        found = _nested_names(block, (*path, name)) | found
    return found


def _did_you_mean(name: str, candidates: Iterable[str], otherwise: str) -> str:
    alike = _alike(name, candidates)
    return f"did you mean `{alike}`?" if alike else otherwise


def _alike(name: str, candidates: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only where something is wrong, and it costs a millisecond

    return next(iter(difflib.get_close_matches(name, list(candidates), 1, 0.75)), "")


def _block(
    subject: Subject, level: Level, name: str, place: tuple[int, int], content: Block | None
) -> Iterator[Diagnostic]:
    spec = level.arguments.get(name)
    file = subject.file
    if spec is None:
        yield _unknown(subject, level, name, file, *place)
        return
    if not (spec.get("optional") or spec.get("required")):
        yield READ_ONLY.error(
            f"`{name}` is computed by the provider", file.span(*place), help="remove it, or read it in an output"
        )
        return
    if "block" not in spec or spec.get("as") == "attribute":
        written = "{ ... }" if spec["type"] == "map" else "[...]" if spec["type"] in {"list", "set"} else "..."
        yield BLOCK_MIXED_UP.error(f"`{name}` is an argument", file.span(*place), help=f"write `{name} = {written}`")
        return
    yield from _status(subject, name, spec, *place)
    if content is not None:
        yield from _level(subject, level_at(subject.kind, subject.name, (*level.path, name)), content)


def _missing(
    subject: Subject, level: Level, block: Block, present: Counter[str], dynamic: set[str]
) -> Iterator[Diagnostic]:
    if subject.is_partial:
        return
    for name in level.required:
        attribute = block.body.attributes.get(name)
        if (attribute is None or values.is_null(attribute.value)) and not present[name] and name not in dynamic:
            spec = level.arguments[name]
            if spec.get("provider") == BETA and not subject.is_beta:
                continue
            if attribute is not None and "block" in spec:
                continue
            what = f"block `{name}`" if "block" in spec else f"argument `{name}`"
            where = f"`{level.path[-1]}`" if level.path else f"`{subject.name}`"
            yield MISSING.error(
                f"{where} needs the {what}",
                subject.file.span(block.start, block.header_end),
                help=f"add `{name} {{ ... }}`" if "block" in spec else f"add `{name} = ...`",
            )


def _counts(
    subject: Subject, level: Level, block: Block, present: Counter[str], dynamic: set[str]
) -> Iterator[Diagnostic]:
    for name in level.counted:
        count = present[name]
        if not count:
            continue
        spec = level.arguments[name]
        most, least = spec.get("max_items", count), spec.get("min_items", 0)
        if count > most:
            surplus = list(block.body.named(name))[most]
            yield TOO_MANY.error(
                f"`{name}` stands {count} times, it may stand {_times(most)}",
                subject.file.span(surplus.start, surplus.header_end),
                help="merge the blocks" if most == 1 else f"remove {count - most} of them",
            )
        elif count < least and name not in dynamic:
            first = next(block.body.named(name))
            yield TOO_MANY.error(
                f"`{name}` stands {_times(count)}, it must stand at least {_times(least)}",
                subject.file.span(first.start, first.header_end),
                help=f"add {least - count} more",
            )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _meta_block(subject: Subject, block: Block) -> Iterator[Diagnostic]:
    """`lifecycle` and `timeouts`; provisioners and connections are Terraform's business."""
    file = subject.file
    if block.type == "timeouts":
        known = subject.entry.get("timeouts", {})
        for name, attribute in block.body.attributes.items():
            if name not in known:
                help = _did_you_mean(name, known, f"it has {listed(list(known))}" if known else "remove the block")
                yield UNKNOWN_ARGUMENT.error(
                    f"`{subject.name}` has no timeout `{name}`",
                    file.span(attribute.start, attribute.name_end),
                    help=help,
                )
            else:
                spec = {"type": "string", "format": "duration"}
                yield from values.check(values.Context(file, name, spec, None, False), attribute.value)
    elif block.type == "lifecycle":
        yield from _lifecycle(subject, block)


def _lifecycle(subject: Subject, block: Block) -> Iterator[Diagnostic]:
    file = subject.file
    for name, attribute in block.body.attributes.items():
        if name not in _LIFECYCLE or subject.kind == "data_source":
            yield UNKNOWN_ARGUMENT.error(
                f"`lifecycle` has no argument `{name}` here",
                file.span(attribute.start, attribute.name_end),
                help=_did_you_mean(name, _LIFECYCLE, f"it has {listed(sorted(_LIFECYCLE))}"),
            )
        elif name in {"create_before_destroy", "prevent_destroy"}:
            if not isinstance(structure.constant(attribute.value), bool):
                yield values.WRONG_TYPE.error(
                    f"`{name}` is `true` or `false`, written out",
                    file.span(attribute.value.start, attribute.value.end),
                    help="Terraform reads it before any variable has a value",
                )
        elif name == "ignore_changes":
            level = level_at(subject.kind, subject.name, ())
            for path in structure.addresses(attribute.value):
                if path.root not in level.arguments and path.root != "all":
                    yield UNKNOWN_ARGUMENT.error(
                        f"`{subject.name}` has no argument `{path.root}` to ignore changes of",
                        file.span(path.start, path.end),
                        help=_did_you_mean(path.root, level.arguments, "remove it"),
                    )
