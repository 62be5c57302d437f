"""Arguments that exclude, replace or need each other."""

from collections.abc import Iterator
from typing import NamedTuple

from infragen.diagnostics import Diagnostic, declare
from infragen.verify import values
from infragen.verify.levels import Level, Subject, listed
from infragen.verify.model import Attribute, Block, Call, Conditional, Reference
from infragen.verify.values import PROVIDER_SOURCE

CONFLICT = declare(
    "V012",
    "conflicting-arguments",
    """Arguments that exclude each other are not set together.

    Why: the provider refuses the resource when it plans.
    Example: `name` beside `name_prefix`.
    """,
    PROVIDER_SOURCE,
)
NONE_OF = declare(
    "V013",
    "none-of-the-alternatives",
    """Of arguments that stand for each other, at least one is set.

    Why: the provider refuses the resource when it plans.
    Example: a health check without any protocol block.
    """,
    PROVIDER_SOURCE,
)
COMPANION = declare(
    "V014",
    "missing-companion",
    """An argument that needs another one has it.

    Why: the provider refuses the resource when it plans.
    Example: a write-only secret without its version.
    """,
    PROVIDER_SOURCE,
)


def check(subject: Subject, level: Level, block: Block) -> Iterator[Diagnostic]:
    """Arguments that exclude or need each other. One mistake gives one error."""
    told: set[frozenset[str]] = set()
    where = f"`{level.path[-1]}`" if level.path else f"`{subject.name}`"

    def presence(path: str) -> "Presence":
        return _presence(subject.root, block, level.path, path.split("."))

    for group in level.exactly_one:
        found = {path: presence(path) for path in group.paths}
        certain = [path for path, one in found.items() if one.is_set is True]
        if len(certain) > 1:
            told.add(frozenset(certain))
            yield _conflict(subject, certain[0], certain[1], found[certain[1]])
    for group in level.conflicts:
        own = presence(".".join((*level.path, group.name)))
        for path in group.paths if own.is_set is True else ():
            if level.path and "." not in path:
                continue  # the outer argument says the same, where it stands
            other = presence(path)
            pair = frozenset({".".join((*level.path, group.name)), path})
            if other.is_set is True and not any(pair <= one for one in told):
                told.add(pair)
                yield _conflict(subject, ".".join((*level.path, group.name)), path, other)
    for group in level.required_with:
        own = presence(".".join((*level.path, group.name)))
        lacking = [path for path in group.paths if presence(path).is_set is False]
        if own.is_set is True and lacking:
            yield COMPANION.error(
                f"`{group.name}` needs `{lacking[0]}` beside it",
                subject.file.span(own.start, own.end),
                help=f"add `{lacking[0].split('.')[-1]}`",
            )
    if subject.is_partial:
        return
    lonely: set[frozenset[str]] = set()
    for group in (*level.exactly_one, *level.at_least_one):
        key = frozenset(group.paths)
        if key not in lonely and all(presence(path).is_set is False for path in group.paths):
            lonely.add(key)
            names = [path.removeprefix(".".join(level.path) + ".") for path in group.paths]
            yield NONE_OF.error(
                f"{where} needs {'one' if group in level.exactly_one else 'at least one'} of {listed(names)}",
                subject.file.span(block.start, block.header_end),
                help=f"add `{names[0]}`" if len(names) == 1 else "add one of them",
            )


def _conflict(subject: Subject, first: str, second: str, place: "Presence") -> Diagnostic:
    return CONFLICT.error(
        f"`{first}` and `{second}` exclude each other",
        subject.file.span(place.start, place.end),
        help="keep one of the two",
    )


class Presence(NamedTuple):
    """Whether something is set: None if that depends on values not known here. Where, if it is."""

    is_set: bool | None
    start: int = 0
    end: int = 1


def _presence(root: Block, block: Block, here: tuple[str, ...], path: list[str]) -> Presence:
    place: Block | None = block if tuple(path[:-1]) == here else root
    if place is root and tuple(path[:-1]) != here:
        for step in path[:-1]:
            inner = next(place.body.named(step), None) if place else None
            if inner is None:
                return Presence(None if place and _has_dynamic(place, step) else False)
            place = inner
    name = path[-1]
    assert place is not None  # the loop above returned otherwise
    attribute = place.body.attributes.get(name)
    if attribute is not None:
        if values.is_null(attribute.value):
            return Presence(False)
        return Presence(None if _may_be_null(attribute) else True, attribute.start, attribute.name_end)
    inner = next(place.body.named(name), None)
    if inner is not None:
        return Presence(True, inner.start, inner.header_end)
    return Presence(None if _has_dynamic(place, name) else False)


def _may_be_null(attribute: Attribute) -> bool:
    """Whether the value could turn out to be null: what people write to leave an argument out at times."""
    value = attribute.value
    if isinstance(value, Reference):
        return not value.root.startswith("google_")
    return isinstance(value, (Conditional, Call))


def _has_dynamic(block: Block, name: str) -> bool:
    return any(inner.label == (name,) for inner in block.body.named("dynamic"))
