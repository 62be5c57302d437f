"""Packer files against the fields that the plug-ins know, and against what the builder for Compute Engine refuses.

Takes a parsed file. Gives what `packer validate` would refuse, as far as the file alone tells. Promises to leave the plug-ins
that are not in the tables alone.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec import Struct

from infragen.diagnostics import Diagnostic, declare
from infragen.facts import DATA
from infragen.facts.load import Table
from infragen.verify.model import Block, Expr, File, ListExpr, Literal, ObjectExpr, Template

SUFFIX = ".pkr.hcl"
SOURCE = "docs/facts.md: packer_fields.csv (IM1)"
NAME_MAX = 63  # characters of an image's name and family

UNKNOWN_FIELD = declare(
    "V040",
    "packer-unknown-field",
    """A block of a Packer file holds the fields that Packer or the plug-in knows, each as what it is.

    Why: Packer refuses the file when it reads it; in a pipeline that is after the commit.
    Example: `disk_size_gb = 100` in a `googlecompute` source, which calls it `disk_size`; `use_iap = "yes"`.
    """,
    SOURCE,
)
CONTRADICTION = declare(
    "V041",
    "packer-contradiction",
    """A builder's fields agree with each other.

    Why: the plug-in refuses them before the build, or the API during it.
    Example: `omit_external_ip = true` without `use_internal_ip = true`; a name of more than 63 characters; `use_iap` without SSH.
    """,
    SOURCE,
)

_LABELS = {"source": 2, "data": 2, "variable": 1, "local": 1, "provisioner": 1, "post-processor": 1}
_TOP = frozenset({"packer", "variable", "variables", "locals", "local", "source", "data", "build"})
_EXAMPLES = {
    "string": '`"text"`', "number": "`100`", "bool": "`true`", "list of string": '`["one", "two"]`',
    "list of number": "`[0, 1]`", "map of string": '`{ name = "value" }`',
}  # fmt: skip
_KINDS: Mapping[str, type | tuple[type, ...]] = {"string": (str, int, float), "number": (int, float), "bool": bool}


class Field(Struct, frozen=True):
    """What a block may hold under a name."""

    block: str
    name: str
    kind: str  # attribute, block (at most one), blocks
    type: str
    is_required: bool


@cache
def _fields() -> Mapping[str, Mapping[str, Field]]:
    found: dict[str, dict[str, Field]] = {}
    for one in Table(DATA / "packer_fields.csv").records(Field):
        found.setdefault(one.block, {})[one.name] = one
    return found


def check(file: File) -> Iterator[Diagnostic]:
    """What is wrong with a Packer file."""
    for block in file.body.blocks:
        if block.type not in _TOP:
            yield _unknown(file, block.type, _TOP, (block.start, block.start + len(block.type)), "a Packer file")
            continue
        missing = _LABELS.get(block.type, 0) - len(block.labels)
        if missing:
            wanted = _LABELS.get(block.type, 0)
            message = f"`{block.type}` takes {wanted} labels, and has {len(block.labels)}"
            form = " ".join([block.type, *('"..."' for _ in range(wanted)), "{"])
            yield UNKNOWN_FIELD.error(message, file.span(block.start, block.header_end), help=f"write `{form}`")
            continue
        path = f"source.{block.label[0]}" if block.type == "source" else block.type
        yield from _block(file, block, path)
        if path == "source.googlecompute":
            yield from _builder(file, block)


def _block(file: File, block: Block, path: str) -> Iterator[Diagnostic]:
    known = _fields().get(path)
    if known is None:  # a plug-in that is not in the tables, or a block that holds names of its own
        return
    yield from _arguments(file, block, known, path)
    yield from _inner_blocks(file, block, known, path)
    for field in known.values():
        if field.is_required and field.name not in block.body.attributes:
            span = file.span(block.start, block.header_end)
            yield UNKNOWN_FIELD.error(f"{_named(path)} needs `{field.name}`", span, help=f"add `{field.name} = ...`")


def _named(path: str) -> str:
    return f"`{path.rpartition('.')[2]}`"


def _arguments(file: File, block: Block, known: Mapping[str, Field], path: str) -> Iterator[Diagnostic]:
    for name, attribute in block.body.attributes.items():
        field = known.get(name)
        place = (attribute.start, attribute.name_end)
        if field is None:
            yield _unknown(file, name, known, place, _named(path))
        elif field.kind != "attribute":
            yield UNKNOWN_FIELD.error(f"`{name}` is a block", file.span(*place), help=f"write `{name} {{ ... }}`")
        elif not _fits(attribute.value, field.type):
            span = file.span(attribute.value.start, attribute.value.end)
            yield UNKNOWN_FIELD.error(f"`{name}` is a {field.type}", span, help=f"for example {_EXAMPLES[field.type]}")


def _inner_blocks(file: File, block: Block, known: Mapping[str, Field], path: str) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for inner in block.body.blocks:
        if inner.type == "dynamic":  # what it makes is not written out
            continue
        field = known.get(inner.type)
        place = (inner.start, inner.start + len(inner.type))
        if field is None:
            yield _unknown(file, inner.type, known, place, _named(path))
        elif field.kind == "attribute":
            help = f"write `{inner.type} = ...`"
            yield UNKNOWN_FIELD.error(f"`{inner.type}` is an argument", file.span(*place), help=help)
        elif field.kind == "block" and inner.type in seen:
            message = f"{_named(path)} takes one `{inner.type}`"
            yield UNKNOWN_FIELD.error(message, file.span(*place), help="remove the second one")
        else:
            below = f"{path}.{inner.type}"
            yield from _block(file, inner, f"{below}.{inner.label[0]}" if inner.labels else below)
        seen.add(inner.type)


def _unknown(file: File, name: str, known: Iterable[str], place: tuple[int, int], where: str) -> Diagnostic:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    help = f"did you mean `{near[0]}`?" if near else ""
    return UNKNOWN_FIELD.error(f"{where} has no field `{name}`", file.span(*place), help=help)


def _fits(value: Expr, kind: str) -> bool:
    """Whether a value that is written out is of that kind; one that must be computed is."""
    if isinstance(value, Literal) and value.value is not None:
        wanted = _KINDS.get(kind)
        if wanted is None:
            return kind == "any"
        return isinstance(value.value, wanted) and (kind == "bool" or not isinstance(value.value, bool))
    if isinstance(value, Template):
        return kind in ("string", "any")
    if isinstance(value, ListExpr):
        return kind == "any" or (
            kind.startswith("list of ") and all(_fits(one, kind.removeprefix("list of ")) for one in value.items)
        )
    if isinstance(value, ObjectExpr):
        return kind == "any" or kind.startswith("map of ")
    return True


def _builder(file: File, block: Block) -> Iterator[Diagnostic]:
    """What the builder refuses in fields that are each by themselves well."""
    fields = block.body.attributes

    def is_set(name: str, *values: object) -> bool:
        found = fields[name].value if name in fields else None
        return isinstance(found, Literal) and (found.value in values if values else found.value is not None)

    def fault(name: str, message: str, help: str) -> Diagnostic:
        at = fields.get(name)
        start, end = (at.start, at.name_end) if at else (block.start, block.header_end)
        return CONTRADICTION.error(message, file.span(start, end), help=help)

    if (
        "ssh_username" not in fields
        and not is_set("communicator", "none", "winrm")
        and _is_written(fields.get("communicator"))
    ):
        yield fault("", "nobody is named to log in as", "add `ssh_username`")
    if "source_image" not in fields and "source_image_family" not in fields:
        yield fault("", "the builder starts from no image", "add `source_image` or `source_image_family`")
    if (
        is_set("omit_external_ip", True)
        and not is_set("use_internal_ip", True)
        and _is_written(fields.get("use_internal_ip"))
    ):
        yield fault(
            "omit_external_ip", "no external address, and the internal one is not used", "set `use_internal_ip = true`"
        )
    if is_set("omit_external_ip", True) and is_set("address"):
        yield fault("address", "an external address for a builder that has none", "remove `address`")
    if is_set("use_iap", True) and is_set("communicator", "none"):
        yield fault("use_iap", "a tunnel for a communicator that does not connect", 'set `communicator = "ssh"`')
    if (
        is_set("enable_integrity_monitoring", True)
        and not is_set("enable_vtpm", True)
        and _is_written(fields.get("enable_vtpm"))
    ):
        yield fault(
            "enable_integrity_monitoring", "integrity is measured by the virtual TPM", "set `enable_vtpm = true`"
        )
    stays = is_set("on_host_maintenance", "TERMINATE") or not _is_written(fields.get("on_host_maintenance"))
    if is_set("accelerator_count") and not is_set("accelerator_count", 0) and not stays:
        yield fault(
            "accelerator_count",
            "a machine with accelerators does not migrate",
            'set `on_host_maintenance = "TERMINATE"`',
        )
    for name in ("image_name", "image_family"):
        value = fields[name].value if name in fields else None
        if isinstance(value, Literal) and isinstance(value.value, str) and len(value.value) > NAME_MAX:
            yield fault(name, f"`{name}` has {len(value.value)} characters", f"at most {NAME_MAX} are taken")
    locations = fields["image_storage_locations"].value if "image_storage_locations" in fields else None
    if isinstance(locations, ListExpr) and len(locations.items) > 1:
        yield fault("image_storage_locations", "an image is stored in one place", "name one region or multi-region")


def _is_written(attribute: object) -> bool:
    """Whether a field is left out or written out: what must be computed may be anything."""
    value = getattr(attribute, "value", None)
    return value is None or isinstance(value, Literal)
