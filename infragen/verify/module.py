"""A root module: all files of one directory, with what they declare and the values that are written out.

Values follow `var.x` to its default or its line in an automatically loaded `.tfvars`, and `local.x` to its
definition, as long as everything on the way is literal. What is not is `UNKNOWN`, and whoever asks gives it the
benefit of the doubt.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Final, TypeAlias

from msgspec import Struct

from infragen.verify.model import (
    Attribute,
    Block,
    Call,
    Conditional,
    Expr,
    File,
    ListExpr,
    Literal,
    ObjectExpr,
    Reference,
    Template,
)
from infragen.verify.structure import is_override


class _Unknown(Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""The value of an expression that depends on something not written out."""

Value: TypeAlias = Any  # str, number, bool, None, list, dict with str keys, or UNKNOWN

_MOST_HOPS = 32  # references followed for one value; a cycle ends here


class Definition(Struct, frozen=True):
    """A named thing of a module, and where it is written."""

    file: File
    block: Block
    attribute: Attribute | None = None  # of a local value


@dataclass(frozen=True, eq=False)
class Module:
    """The files of one directory, in the order of their names."""

    files: tuple[File, ...]
    value_files: tuple[File, ...] = ()
    _values: dict[str, Value] = field(default_factory=dict, repr=False)  # of variables and locals, as asked for

    @property
    def directory(self) -> str:
        """Where its files stand; "" for the top."""
        return directory((*self.files, *self.value_files)[0].path)

    def blocks(self, type: str) -> Iterator[tuple[File, Block]]:
        """All outermost blocks of one type."""
        for file in self.files:
            for block in file.body.named(type):
                yield file, block

    @cached_property
    def resources(self) -> Mapping[str, Definition]:
        """``type.name`` -> resource."""
        return self._addressed("resource")

    @cached_property
    def data(self) -> Mapping[str, Definition]:
        """``type.name`` -> data source."""
        nested = ((file, inner) for file, check in self.blocks("check") for inner in check.body.named("data"))
        found = dict(self._addressed("data"))
        for file, block in nested:
            if len(block.labels) == 2:
                found.setdefault(".".join(block.label), Definition(file, block))
        return found

    @cached_property
    def ephemerals(self) -> Mapping[str, Definition]:
        return self._addressed("ephemeral")

    @cached_property
    def modules(self) -> Mapping[str, Definition]:
        return self._addressed("module")

    @cached_property
    def variables(self) -> Mapping[str, Definition]:
        return self._addressed("variable")

    @cached_property
    def locals(self) -> Mapping[str, Definition]:
        found: dict[str, Definition] = {}
        for file, block in self.blocks("locals"):
            for name, attribute in block.body.attributes.items():
                if name not in found or is_override(file.path):
                    found[name] = Definition(file, block, attribute)
        return found

    def _addressed(self, type: str) -> dict[str, Definition]:
        found: dict[str, Definition] = {}
        for file, block in self.blocks(type):
            found.setdefault(".".join(block.label), Definition(file, block))
        return found

    def resolve(self, expression: Expr, hops: int = _MOST_HOPS) -> Value:  # noqa: PLR0911 - one branch for each record
        """The value of an expression, or `UNKNOWN`. Parts of a list or an object may be unknown by themselves."""
        match expression:
            case Literal(value=value):
                return value
            case ListExpr(items=items):
                return [self.resolve(item, hops) for item in items]
            case ObjectExpr(items=pairs):
                resolved = {}
                for key, item in pairs:
                    name = self.resolve(key, hops)
                    if name is UNKNOWN:
                        return UNKNOWN
                    resolved[str(name)] = self.resolve(item, hops)
                return resolved
            case Template(parts=parts):
                return self._template(parts, hops)
            case Reference(root="var" | "local") if hops:
                return self._named(expression, hops)
            case Call(name=name, arguments=arguments) if name in _FUNCTIONS:
                return _called(name, [self.resolve(argument, hops) for argument in arguments])
            case Conditional(condition=condition, yes=yes, no=no):
                test = self.resolve(condition, hops)
                return self.resolve(yes if test else no, hops) if isinstance(test, bool) else UNKNOWN
            case _:
                return UNKNOWN

    def _template(self, parts: tuple[str | Expr, ...], hops: int) -> Value:
        values = [part if isinstance(part, str) else self.resolve(part, hops) for part in parts]
        if len(values) == 1:
            return values[0]
        if any(not isinstance(value, (str, int, float)) for value in values):
            return UNKNOWN
        return "".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)

    def _named(self, reference: Reference, hops: int) -> Value:
        name, *rest = reference.steps or (None,)
        if name is None or name.kind != "attribute":
            return UNKNOWN
        key = f"{reference.root}.{name.name}"
        if key not in self._values:
            expression = self._definition(reference.root, str(name.name))
            self._values[key] = UNKNOWN  # a cycle must end
            self._values[key] = self.resolve(expression, hops - 1) if expression is not None else UNKNOWN
        value = self._values[key]
        for step in rest:
            if isinstance(value, dict) and step.name in value:
                value = value[str(step.name)]
            elif isinstance(value, list) and isinstance(step.name, int) and 0 <= step.name < len(value):
                value = value[step.name]
            else:
                return UNKNOWN
        return value

    def _definition(self, root: str, name: str) -> Expr | None:
        if root == "local":
            local = self.locals.get(name)
            return local.attribute.value if local and local.attribute else None
        for file in reversed(self.value_files):
            if name in file.body.attributes:
                return file.body.attributes[name].value
        variable = self.variables.get(name)
        default = variable.block.body.attributes.get("default") if variable else None
        if default is None or (isinstance(default.value, Literal) and default.value.value is None):
            return None  # a null default is a place to fill in, not a value to judge
        return default.value


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "concat": lambda *lists: [item for one in lists for item in one],
    "lower": str.lower,
    "max": max,
    "merge": lambda *maps: {key: item for one in maps for key, item in one.items()},
    "min": min,
    "tolist": list,
    "tomap": dict,
    "toset": lambda items: sorted(set(items)),
    "upper": str.upper,
}
"""Functions whose results are simple, and that stand where resources are counted, named and measured."""
_OF_SEVERAL = frozenset(
    {"concat", "max", "merge", "min"}
)  # of one argument they are given a list to spread, `f(list...)`


def _called(name: str, arguments: list[Value]) -> Value:
    """The result of one of those functions; `UNKNOWN` where an argument is, or is none that it takes."""
    if UNKNOWN in arguments or (name in _OF_SEVERAL and len(arguments) < 2):
        return UNKNOWN
    if any(isinstance(one, list) and UNKNOWN in one for one in arguments):
        return UNKNOWN
    try:
        return _FUNCTIONS[name](*arguments)
    except (TypeError, ValueError, AttributeError):
        return UNKNOWN


def directory(path: str) -> str:
    """The directory of a file, without a slash at its end."""
    return path.rpartition("/")[0]


def is_loaded(path: str) -> bool:
    """Whether Terraform reads a file of values without being told to."""
    name = path.rsplit("/", 1)[-1]
    return name == "terraform.tfvars" or name.endswith(".auto.tfvars")


def modules(files: Iterable[File]) -> list[Module]:
    """The files by directory; each directory is a module of its own."""
    by_directory: dict[str, list[File]] = {}
    for file in files:
        by_directory.setdefault(directory(file.path), []).append(file)
    found = []
    for _, members in sorted(by_directory.items()):
        values = [file for file in members if file.path.endswith(".tfvars")]
        # terraform.tfvars is read first, then *.auto.tfvars by name; the last value counts.
        loaded = sorted(
            (file for file in values if is_loaded(file.path)), key=lambda file: (".auto." in file.path, file.path)
        )
        found.append(Module(tuple(file for file in members if file.path.endswith(".tf")), tuple(loaded)))
    return found
