"""Terraform's own blocks: which there are, how many labels they take, which arguments they know.

Source: https://developer.hashicorp.com/terraform/language, Terraform 1.5 to 1.14, read 2026-11-21.
"""

from collections.abc import Iterator
from typing import NamedTuple

from infragen.diagnostics import Diagnostic, declare
from infragen.verify.model import Block, Expr, File, ListExpr, Literal, ObjectExpr, Reference, Scalar

TERRAFORM_SOURCE = "https://developer.hashicorp.com/terraform/language"

UNKNOWN_BLOCK = declare(
    "V019",
    "unknown-terraform-block",
    """A file holds the blocks of the Terraform language, with their labels and arguments.

    Why: Terraform refuses the module when it loads it.
    Example: `resource "google_compute_disk" {` lacks the name; `variables "zone" {` is called `variable`.
    """,
    TERRAFORM_SOURCE,
)

META_BLOCKS = frozenset({"lifecycle", "timeouts", "provisioner", "connection"})


class _Shape(NamedTuple):
    labels: tuple[str, ...]
    arguments: frozenset[str] | None = None  # None: any
    blocks: frozenset[str] | None = None
    required: tuple[str, ...] = ()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHAPES = {
    "resource": _Shape(("type", "name")),
    "data": _Shape(("type", "name")),
    "ephemeral": _Shape(("type", "name")),
    "provider": _Shape(("name",)),
    "module": _Shape(("name",), required=("source",)),
    "locals": _Shape((), blocks=frozenset()),
    "variable": _Shape(
        ("name",),
        _words("type default description sensitive nullable ephemeral deprecated const"),
        _words("validation"),
    ),
    "output": _Shape(
        ("name",),
        _words("value description sensitive ephemeral depends_on type deprecated"),
        _words("precondition postcondition"),
        ("value",),
    ),
    "terraform": _Shape(
        (), _words("required_version experiments language"), _words("required_providers backend cloud provider_meta")
    ),
    "moved": _Shape((), _words("from to"), frozenset(), ("from", "to")),
    "removed": _Shape((), _words("from"), _words("lifecycle provisioner connection"), ("from",)),
    "import": _Shape((), _words("id identity to provider for_each"), frozenset(), ("to",)),
    "check": _Shape(("name",), frozenset(), _words("data assert")),
    "action": _Shape(("type", "name")),
}


def is_override(path: str) -> bool:
    """Whether Terraform merges a file over the others instead of adding it."""
    name = path.rsplit("/", 1)[-1]
    return name == "override.tf" or name.endswith("_override.tf")


def constant(value: Expr) -> Scalar:
    """The value of a literal; None for anything else."""
    return value.value if isinstance(value, Literal) else None


def item(value: Expr, key: str) -> Scalar:
    """A literal item of an object; None where there is none."""
    if not isinstance(value, ObjectExpr):
        return None
    return next((constant(one) for name, one in value.items if constant(name) == key), None)


def addresses(value: Expr) -> Iterator[Reference]:
    """The addresses in a list such as `ignore_changes`, or the one that stands alone."""
    for one in value.items if isinstance(value, ListExpr) else (value,):
        if isinstance(one, Reference):
            yield one


def check(file: File) -> Iterator[Diagnostic]:
    """What is wrong with the outermost level of a file. A `.tfvars` file holds arguments only."""
    is_values = file.path.endswith(".tfvars")
    for attribute in file.body.attributes.values() if not is_values else ():
        yield UNKNOWN_BLOCK.error(
            f"`{attribute.name}` stands outside any block",
            file.span(attribute.start, attribute.name_end),
            help="move it into a block; values of variables belong in `terraform.tfvars`",
        )
    for block in file.body.blocks:
        if is_values:
            yield UNKNOWN_BLOCK.error(
                f"a file of values holds no block `{block.type}`",
                file.span(block.start, block.header_end),
                help="move it into a `.tf` file",
            )
        else:
            yield from _block(file, block)


def _block(file: File, block: Block) -> Iterator[Diagnostic]:
    shape = _SHAPES.get(block.type)
    name_end = block.start + len(block.type.encode())
    if shape is None:
        import difflib  # noqa: PLC0415 - only where something is wrong, and it costs a millisecond

        alike = difflib.get_close_matches(block.type, _SHAPES, 1, 0.6)
        yield UNKNOWN_BLOCK.error(
            f"Terraform has no block `{block.type}`",
            file.span(block.start, name_end),
            help=f"did you mean `{alike[0]}`?" if alike else "it may belong inside a resource",
        )
        return
    if len(block.labels) != len(shape.labels):
        wanted = " and ".join(f"its {label}" for label in shape.labels) if shape.labels else "no label"
        labels = "".join(f' "{label}"' for label in shape.labels)
        yield UNKNOWN_BLOCK.error(
            f"`{block.type}` takes {wanted} before the brace, this has {len(block.labels)} labels",
            file.span(block.start, block.header_end),
            help=f"write `{block.type}{labels} {{`",
        )
    yield from _contents(file, block, shape)


def _contents(file: File, block: Block, shape: _Shape) -> Iterator[Diagnostic]:
    for attribute in block.body.attributes.values():
        if shape.arguments is not None and attribute.name not in shape.arguments:
            yield UNKNOWN_BLOCK.error(
                f"`{block.type}` has no argument `{attribute.name}`",
                file.span(attribute.start, attribute.name_end),
                help=f"it has {', '.join(f'`{name}`' for name in sorted(shape.arguments)) or 'none'}",
            )
    for inner in block.body.blocks:
        if shape.blocks is not None and inner.type not in shape.blocks:
            yield UNKNOWN_BLOCK.error(
                f"`{block.type}` has no block `{inner.type}`",
                file.span(inner.start, inner.header_end),
                help=f"it has {', '.join(f'`{name}`' for name in sorted(shape.blocks)) or 'none'}",
            )
    for name in shape.required if not is_override(file.path) else ():
        if name not in block.body.attributes:
            yield UNKNOWN_BLOCK.error(
                f"`{block.type}` needs `{name}`", file.span(block.start, block.header_end), help=f"add `{name} = ...`"
            )
