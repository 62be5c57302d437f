"""The references and calls of a file, each with what its place gives it: loops that bind names, `self`, an owner."""

from functools import lru_cache
from typing import NamedTuple

from infragen.verify.model import Block, Call, Directive, Expr, File, ForExpr, Literal, Reference, children

# Arguments that hold addresses, types or names of providers instead of values, by the block that they stand in.
_NOT_VALUES = {
    ("resource", "provider"),
    ("data", "provider"),
    ("ephemeral", "provider"),
    ("module", "providers"),
    ("variable", "type"),
    ("output", "type"),
    ("lifecycle", "ignore_changes"),
    ("moved", "from"),
    ("moved", "to"),
    ("removed", "from"),
    ("import", "to"),
    ("import", "provider"),
}
_SELF = frozenset({"provisioner", "connection", "postcondition"})


class Use(NamedTuple):
    """A reference in its place: the outermost block, the names that loops around it bind, whether `self` is one."""

    reference: Reference
    block: Block
    has_self: bool
    is_address: bool  # in `depends_on` and the like, where a whole resource is meant
    owner: str  # what the reference makes dependent: `type.name`, `local.x`, `module.x`, or ""


class Uses(NamedTuple):
    """All references and calls of a file."""

    references: tuple[Use, ...]
    calls: tuple[Call, ...]


@lru_cache(maxsize=512)
def collect(file: File) -> Uses:
    """All references and calls of a file; remembered for each file."""
    references: list[Use] = []
    calls: list[Call] = []
    for block in file.body.blocks:
        if block.type in {"locals"}:
            for name, attribute in block.body.attributes.items():
                _walk(attribute.value, (), _Place(block, False, False, f"local.{name}"), references, calls)
            continue
        owner = ""
        if block.type == "resource":
            owner = ".".join(block.label)
        elif block.type in {"data", "module", "ephemeral"}:
            owner = ".".join((block.type, *block.label))
        _block(block, (), _Place(block, False, False, owner), references, calls)
    return Uses(tuple(references), tuple(calls))


class _Place(NamedTuple):
    block: Block
    has_self: bool
    is_address: bool
    owner: str


def _block(block: Block, names: tuple[str, ...], place: _Place, references: list[Use], calls: list[Call]) -> None:
    """The references of a block and those within it."""
    for name, attribute in block.body.attributes.items():
        value = attribute.value
        if type(value) is Literal or (block.type, name) in _NOT_VALUES:
            continue
        if block.type == "required_providers" or (block.type == "variable" and name != "default"):
            continue  # types and names of providers
        is_address = name in {"depends_on", "replace_triggered_by"}
        _walk(value, names, place._replace(is_address=True) if is_address else place, references, calls)
    for inner in block.body.blocks:
        bound = names
        within = place._replace(has_self=True) if inner.type in _SELF else place
        if inner.type == "dynamic" and inner.labels:
            bound = (*names, _iterator(inner))
            # The iterator means nothing yet where the block says what to loop over.
            _dynamic(inner, names, bound, within, references, calls)
            continue
        _block(inner, bound, within, references, calls)


def _iterator(block: Block) -> str:
    attribute = block.body.attributes.get("iterator")
    value = attribute.value if attribute else None
    return value.root if isinstance(value, Reference) else block.label[0]


def _dynamic(
    block: Block,
    names: tuple[str, ...],
    bound: tuple[str, ...],
    place: _Place,
    references: list[Use],
    calls: list[Call],
) -> None:
    for name, attribute in block.body.attributes.items():
        if name != "iterator":
            _walk(attribute.value, bound if name == "labels" else names, place, references, calls)
    for inner in block.body.blocks:
        _block(inner, bound, place, references, calls)


def _walk(expression: Expr, names: tuple[str, ...], place: _Place, references: list[Use], calls: list[Call]) -> None:
    """The references within an expression; ``names`` are bound by loops around it."""
    kind = type(expression)
    if kind is Literal:
        return
    if isinstance(expression, Reference):
        if expression.root not in names:
            references.append(Use(expression, *place))
    elif isinstance(expression, Call):
        calls.append(expression)
    if isinstance(expression, (ForExpr, Directive)):
        subject = expression.collection if isinstance(expression, ForExpr) else expression.subject
        _walk(subject, names, place, references, calls)
        names = (*names, *expression.names)
        for child in children(expression):
            if child is not subject:
                _walk(child, names, place, references, calls)
        return
    for child in children(expression):
        _walk(child, names, place, references, calls)
