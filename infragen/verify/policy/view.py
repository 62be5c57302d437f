"""A block as a policy reads it: by name, with values followed to where they are written out."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from infragen.diagnostics import Span
from infragen.verify.model import Block, File, ListExpr, Reference
from infragen.verify.module import UNKNOWN, Module, Value
from infragen.verify.structure import addresses


class Scope(Struct, frozen=True, eq=False):
    """What all policies of a run share."""

    module: Module
    is_accelerator_machine: Callable[[str], bool]


class View(Struct, frozen=True):
    """A block of a resource. ``root`` is the resource itself, the view's own block or one around it."""

    scope: Scope
    file: File
    root: Block
    block: Block

    @property
    def type(self) -> str:
        return self.root.label[0]

    @property
    def address(self) -> str:
        return ".".join(self.root.label)

    def value(self, name: str) -> Value:
        """The value of an argument: None where it is missing or null, `UNKNOWN` where it is not written out."""
        attribute = self.block.body.attributes.get(name)
        return None if attribute is None else self.scope.module.resolve(attribute.value)

    def has(self, name: str) -> bool:
        """Whether an argument or a block is set, or may be."""
        return self.value(name) is not None or bool(self.all(name)) or self.may_have(name)

    def number(self, name: str) -> float | None:
        """The value of an argument as a number; None where it is missing, unknown, or no number."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            return float(value)
        except ValueError:
            return None

    def all(self, name: str) -> list["View"]:
        """The blocks of one type directly within this one; of a dynamic block its content, once."""
        found = [inner for inner in self.block.body.blocks if inner.type == name]
        for inner in self.block.body.named("dynamic"):
            if inner.label == (name,):
                found.extend(inner.body.named("content"))
        return [View(self.scope, self.file, self.root, one) for one in found]

    def first(self, *path: str) -> "View | None":
        """The block at the end of a path of block types, the first one where there are several."""
        view: View | None = self
        for name in path:
            view = next(iter(view.all(name)), None) if view else None
        return view

    def may_have(self, name: str) -> bool:
        """Whether blocks of this type come from a dynamic block, so that their number is not known."""
        return any(inner.label == (name,) for inner in self.block.body.named("dynamic"))

    def span(self, name: str | None = None) -> Span:
        """The place of an argument, name and value; of the block's header where there is no such argument."""
        attribute = self.block.body.attributes.get(name) if name else None
        if attribute is None:
            return self.file.span(self.block.start, self.block.header_end)
        return self.file.span(attribute.start, attribute.value.end)

    def target(self, name: str) -> str:
        """The address of the resource that an argument refers to; "" if it refers to none."""
        attribute = self.block.body.attributes.get(name)
        value = attribute.value if attribute else None
        if not isinstance(value, Reference) or not value.steps or value.root in {"var", "local", "data", "module"}:
            return ""
        return f"{value.root}.{value.steps[0].name}"

    def targets(self, name: str) -> list[str]:
        """The addresses of the resources that a list of references names."""
        attribute = self.block.body.attributes.get(name)
        items = attribute.value.items if attribute and isinstance(attribute.value, ListExpr) else ()
        return [
            f"{one.root}.{one.steps[0].name}"
            for one in items
            if isinstance(one, Reference) and one.steps and one.root not in {"var", "local", "data", "module"}
        ]

    def resource(self, address: str) -> "View | None":
        """Another resource of the module."""
        found = self.scope.module.resources.get(address)
        return View(self.scope, found.file, found.block, found.block) if found else None

    def resources(self, *types: str) -> Iterator["View"]:
        """All resources of the module of some types."""
        for definition in self.scope.module.resources.values():
            if definition.block.label[0] in types:
                yield View(self.scope, definition.file, definition.block, definition.block)

    def lifecycle(self, name: str) -> Value:
        """The value of an argument of the resource's ``lifecycle`` block."""
        block = next(self.root.body.named("lifecycle"), None)
        return View(self.scope, self.file, self.root, block).value(name) if block else None

    def ignores(self, name: str) -> bool:
        """Whether changes of an argument are ignored by the resource's ``lifecycle`` block."""
        block = next(self.root.body.named("lifecycle"), None)
        attribute = block.body.attributes.get("ignore_changes") if block else None
        return attribute is not None and any(one.root in {name, "all"} for one in addresses(attribute.value))


def is_known(value: Value) -> bool:
    """Whether a value is set and written out."""
    return value is not None and value is not UNKNOWN


def is_false(value: Value) -> bool:
    """Whether a value is false as Terraform reads it."""
    return value is False or value == "false"


def is_true(value: Value) -> bool:
    """Whether a value is true as Terraform reads it."""
    return value is True or value == "true"
