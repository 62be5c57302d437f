"""What the expressions of a module refer to.

Takes a module. Gives references to what is not declared, to attributes that do not exist or lack an index, names out
of their place, unknown functions, second declarations and circles.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infragen.diagnostics import Diagnostic, declare
from infragen.facts import provider_schema
from infragen.verify import circles
from infragen.verify.functions import FUNCTIONS
from infragen.verify.model import (
    Attribute,
    Block,
    Call,
    File,
    Literal,
    Reference,
    Step,
)
from infragen.verify.module import Definition, Module
from infragen.verify.structure import TERRAFORM_SOURCE, is_override
from infragen.verify.uses import Use, collect
from infragen.verify.values import PROVIDER_SOURCE

UNDECLARED = declare(
    "V020",
    "undeclared-reference",
    """What an expression refers to is declared in the same module.

    Why: Terraform refuses the module when it validates.
    Example: `var.regoin` where the variable is called `region`.
    """,
    TERRAFORM_SOURCE,
)
UNKNOWN_ATTRIBUTE = declare(
    "V021",
    "unknown-attribute",
    """A resource has the attribute that is read from it.

    Why: Terraform refuses the module when it validates.
    Example: `google_compute_disk.main.size_gb` where the attribute is called `size`.
    """,
    PROVIDER_SOURCE,
)
INDEX = declare(
    "V022",
    "missing-or-surplus-index",
    """A resource with `count` or `for_each`, and a block that may stand several times, is read through an index.

    Why: such a thing is a list or a map, which has no attributes of its own; a single one takes no index.
    Example: `google_compute_instance.main.network_interface.network_ip` lacks `[0]` behind `network_interface`.
    """,
    TERRAFORM_SOURCE,
)
MISPLACED = declare(
    "V023",
    "misplaced-name",
    """`each`, `count` and `self` stand where they mean something.

    Why: `each` needs a `for_each` on its block, `count` a `count`, `self` a provisioner or a postcondition.
    Example: `each.key` in a resource without `for_each`.
    """,
    TERRAFORM_SOURCE,
)
UNKNOWN_FUNCTION = declare(
    "V024",
    "unknown-function",
    """A function is one of Terraform's own or of a provider.

    Why: Terraform refuses the module when it validates.
    Example: `upcase(var.name)` where the function is called `upper`.
    """,
    "https://developer.hashicorp.com/terraform/language/functions",
)
TWICE = declare(
    "V025",
    "declared-twice",
    """A resource, data source, variable, output, local value or module is declared once in a module.

    Why: Terraform refuses the module when it loads it, whichever files the two stand in.
    Example: `variable "region"` in two files.
    """,
    TERRAFORM_SOURCE,
)
CIRCLE = declare(
    "V026",
    "dependency-circle",
    """Nothing depends on itself, not by way of other things either.

    Why: Terraform creates things in the order of their dependencies, and here there is none.
    Example: two local values that refer to each other.
    """,
    TERRAFORM_SOURCE,
)
VALUE_WITHOUT_VARIABLE = declare(
    "V027",
    "value-without-variable",
    """A file of values sets variables that the module declares.

    Why: Terraform ignores the value with a warning; most such names are a slip.
    Example: `regoin = "europe-west4"` in `terraform.tfvars`.
    """,
    TERRAFORM_SOURCE,
)

_PATH = ("module", "root", "cwd")
_TERRAFORM = ("workspace", "applying")


def check(module: Module) -> Iterator[Diagnostic]:
    """What is wrong with the references and declarations of a module."""
    yield from _declared_twice(module)
    dependencies: dict[str, set[str]] = {}
    for file in module.files:
        uses = collect(file)
        for call in uses.calls:
            yield from _call(file, call)
        for use in uses.references:
            target, found = _reference(module, file, use)
            yield from found
            if target and use.owner:
                dependencies.setdefault(use.owner, set()).add(target)
    yield from _circles(module, dependencies)
    yield from _values_without_variable(module)


def _call(file: File, call: Call) -> Iterator[Diagnostic]:
    name = call.name.removeprefix("core::")
    if name in FUNCTIONS or name.startswith("provider::"):
        return
    yield UNKNOWN_FUNCTION.error(
        f"Terraform has no function `{call.name}`",
        file.span(call.start, call.name_end),
        help=_alike(name, FUNCTIONS) or "functions cannot be defined in a module",
    )


def _reference(  # noqa: PLR0911 - one branch for each kind of name
    module: Module, file: File, use: Use
) -> tuple[str, Iterable[Diagnostic]]:
    """The address of what is referred to, "" where it is nothing that can depend, and what is wrong."""
    reference = use.reference
    names = reference.attributes
    first = names[0] if names else ""
    match reference.root:
        case "var":
            return "", _named(file, reference, "variable", module.variables, first)
        case "local":
            return f"local.{first}", _named(file, reference, "local value", module.locals, first)
        case "module":
            return f"module.{first}", _named(file, reference, "module", module.modules, first)
        case "data" | "ephemeral":
            declared = module.data if reference.root == "data" else module.ephemerals
            address = ".".join(names[:2])
            return f"{reference.root}.{address}", _resource(file, use, declared, address, reference.steps[2:])
        case "each" | "count" | "self":
            return "", _contextual(file, use)
        case "path":
            return "", _fixed(file, reference, _PATH)
        case "terraform":
            return "", _fixed(file, reference, _TERRAFORM)
        case root:
            address = f"{root}.{first}"
            return address, _resource(file, use, module.resources, address, reference.steps[1:])


def _named(
    file: File, reference: Reference, what: str, declared: Mapping[str, Definition], name: str
) -> Iterator[Diagnostic]:
    if name in declared:
        return
    yield UNDECLARED.error(
        f"no {what} `{name}` is declared" if name else f"`{reference.root}` needs the name of a {what}",
        file.span(reference.start, reference.end),
        help=_alike(name, declared) or f"declare it: {_declaration(reference.root, name)}",
    )


def _declaration(root: str, name: str) -> str:
    if root == "local":
        return f"`locals {{ {name} = ... }}`"
    return f'`{"variable" if root == "var" else "module"} "{name}" {{ ... }}`'


def _alike(name: str, candidates: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only where something is wrong, and it costs a millisecond

    alike = difflib.get_close_matches(name, list(candidates), 1, 0.7)
    return f"did you mean `{alike[0]}`?" if alike else ""


def _fixed(file: File, reference: Reference, known: tuple[str, ...]) -> Iterator[Diagnostic]:
    names = reference.attributes
    if not names or names[0] not in known:
        yield UNDECLARED.error(
            f"`{reference.root}` has no attribute `{names[0] if names else ''}`",
            file.span(reference.start, reference.end),
            help=f"it has {', '.join(f'`{name}`' for name in known)}",
        )


def _contextual(file: File, use: Use) -> Iterator[Diagnostic]:
    """`each`, `count` and `self`."""
    reference = use.reference
    span = file.span(reference.start, reference.end)
    arguments = use.block.body.attributes
    names = reference.attributes
    if reference.root == "self":
        if not use.has_self:
            yield MISPLACED.error("`self` means nothing here", span, help="write the address of the resource")
        return
    wanted = "for_each" if reference.root == "each" else "count"
    known = ("key", "value") if reference.root == "each" else ("index",)
    if wanted not in arguments:
        yield MISPLACED.error(
            f"`{reference.root}` means nothing in a block without `{wanted}`",
            span,
            help=f"add `{wanted}` to the block; in a `dynamic` block use the name of its iterator",
        )
    elif not names or names[0] not in known:
        yield UNDECLARED.error(
            f"`{reference.root}` has no attribute `{names[0] if names else ''}`",
            span,
            help=f"it has {', '.join(f'`{name}`' for name in known)}",
        )


def _resource(
    file: File, use: Use, declared: Mapping[str, Definition], address: str, rest: tuple[Step, ...]
) -> Iterator[Diagnostic]:
    reference = use.reference
    prefix = "" if reference.root not in {"data", "ephemeral"} else f"{reference.root}."
    definition = declared.get(address)
    if definition is None:
        yield from _undeclared(file, reference, declared, address, prefix)
        return
    if use.is_address and not rest:
        return
    arguments = definition.block.body.attributes
    is_many = "count" in arguments or "for_each" in arguments
    step = rest[0] if rest else None
    if step is None:
        return
    if is_many and step.kind == "attribute":
        index = "[0]" if "count" in arguments else '["key"]'
        yield INDEX.error(
            f"`{prefix}{address}` is one of several and needs an index",
            file.span(reference.start, step.end),
            help=f"write `{prefix}{address}{index}.{step.name}`, or `[*]` for all of them",
        )
        return
    if not is_many and step.kind == "index":
        yield INDEX.error(
            f"`{prefix}{address}` has neither `count` nor `for_each` and takes no index",
            file.span(reference.start, step.end),
            help="remove the index",
        )
        return
    if step.kind != "attribute":
        rest = rest[1:]
    kind: provider_schema.Kind = "resource" if reference.root not in {"data", "ephemeral"} else "data_source"
    entry = provider_schema.entry(kind, address.split(".", maxsplit=1)[0]) if reference.root != "ephemeral" else None
    if entry is not None and address.startswith("google_"):
        yield from _attributes(file, entry, prefix + address, rest)


def _undeclared(
    file: File, reference: Reference, declared: Mapping[str, Definition], address: str, prefix: str
) -> Iterator[Diagnostic]:
    span = file.span(reference.start, reference.end)
    if address.endswith(".") or "." not in address:
        name = address.rstrip(".")
        yield UNDECLARED.error(
            f"`{prefix}{name}` refers to nothing",
            span,
            help="a reference to a resource is its type and its name; text stands in quotes",
        )
        return
    what = "data source" if prefix == "data." else "resource"
    alike = _alike(address, declared)
    yield UNDECLARED.error(f"no {what} `{address}` is declared", span, help=alike or "declare it, or remove this")


def _attributes(  # noqa: PLR0911 - a walk that ends where nothing more can be said
    file: File, entry: dict[str, Any], address: str, steps: tuple[Step, ...]
) -> Iterator[Diagnostic]:
    """Errors of the steps behind the address of one resource."""
    arguments: dict[str, Any] = entry["arguments"]
    owner = address
    is_root = True
    place = 0
    while place < len(steps):
        step = steps[place]
        if step.kind != "attribute":
            return
        name = str(step.name)
        spec = arguments.get(name)
        if spec is None:
            if is_root and (name == "id" or (name == "timeouts" and "timeouts" in entry)):
                return
            yield UNKNOWN_ATTRIBUTE.error(
                f"`{owner}` has no attribute `{name}`",
                file.span(step.start + 1, step.end),
                help=_alike(name, arguments) or f"see the attributes of `{address.split('.')[-2]}`",
            )
            return
        place += 1
        if "block" not in spec:
            yield from _leaf(file, spec, name, steps[place:])
            return
        following = steps[place] if place < len(steps) else None
        if following is None:
            return
        if following.kind == "attribute":
            yield INDEX.error(
                f"`{name}` is a list of blocks and needs an index",
                file.span(step.start + 1, following.end),
                help=f"write `{name}[0].{following.name}`, or `[*]` for all of them",
            )
            return
        if following.kind == "index" and spec["type"] == "set":
            yield INDEX.error(
                f"`{name}` is a set of blocks and has no order to index",
                file.span(step.start + 1, following.end),
                help=f"write `one({name})` or `tolist({name})[0]` with its address",
            )
            return
        arguments, owner, is_root = spec["block"], name, False
        place += 1


def _leaf(file: File, spec: dict[str, Any], name: str, rest: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """An attribute that is not a block: only a map or a list goes on behind it."""
    if not rest or spec["type"] == "map" or rest[0].kind == "splat":
        return
    if spec["type"] in {"list", "set"}:
        if rest[0].kind == "attribute" and "elem" in spec:
            yield INDEX.error(
                f"`{name}` is a list and needs an index",
                file.span(rest[0].start + 1, rest[0].end),
                help=f"write `{name}[0]`",
            )
        return
    yield UNKNOWN_ATTRIBUTE.error(
        f"`{name}` is a single value and has no parts",
        file.span(rest[0].start, rest[-1].end),
        help=f"end the reference at `{name}`",
    )


def _declared_twice(module: Module) -> Iterator[Diagnostic]:
    seen: dict[tuple[str, ...], tuple[File, int]] = {}
    for file in module.files:
        if is_override(file.path):
            continue
        for block in file.body.blocks:
            for key, start, end in _declarations(block):
                if key not in seen:
                    seen[key] = (file, start)
                    continue
                first_file, first_start = seen[key]
                yield TWICE.error(
                    f"{key[0]} `{'.'.join(key[1:])}` is declared twice",
                    file.span(start, end),
                    help=f"remove it, or give it another name than in {first_file.path}:{first_file.line(first_start)}",
                )


def _declarations(block: Block) -> Iterator[tuple[tuple[str, ...], int, int]]:
    if block.type in {"resource", "data", "ephemeral", "variable", "output", "module", "check"}:
        yield (block.type, *block.label), block.start, block.header_end
    elif block.type == "locals":
        for name, attribute in block.body.attributes.items():
            yield ("local value", name), attribute.start, attribute.name_end
    elif block.type == "provider":
        attribute_ = block.body.attributes.get("alias")
        alias = attribute_.value if attribute_ else None
        written = str(alias.value) if isinstance(alias, Literal) else ""
        yield ("provider", *block.label, *([written] if written else [])), block.start, block.header_end


def _circles(module: Module, dependencies: Mapping[str, set[str]]) -> Iterator[Diagnostic]:
    for circle in circles.find(dependencies):
        file, start, end = _place(module, circle[0])
        way = " -> ".join(f"`{name}`" for name in (*circle, circle[0]))
        yield CIRCLE.error(
            f"{way} depend on each other" if len(circle) > 1 else f"`{circle[0]}` depends on itself",
            file.span(start, end),
            help="break the circle: pass one of the values as a variable, or split what both need into a third",
        )


def _place(module: Module, address: str) -> tuple[File, int, int]:
    root, _, rest = address.partition(".")
    declared: Mapping[str, Mapping[str, Definition]] = {
        "local": module.locals,
        "module": module.modules,
        "data": module.data,
        "ephemeral": module.ephemerals,
    }
    definition = declared[root][rest] if root in declared else module.resources[address]
    attribute: Attribute | None = definition.attribute
    if attribute is not None:
        return definition.file, attribute.start, attribute.name_end
    return definition.file, definition.block.start, definition.block.header_end


def _values_without_variable(module: Module) -> Iterator[Diagnostic]:
    for file in module.value_files:
        for name, attribute in file.body.attributes.items():
            if name not in module.variables:
                yield VALUE_WITHOUT_VARIABLE.warning(
                    f"no variable `{name}` is declared",
                    file.span(attribute.start, attribute.name_end),
                    help=_alike(name, module.variables) or f'declare it: `variable "{name}" {{ ... }}`, or remove this',
                )
