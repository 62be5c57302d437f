"""What a new output would lose of what an older one made: file systems, disks and buckets that go, or are made anew.

Takes the Terraform of a directory before and after. Gives a finding for each resource that holds data and whose address
goes, whose arguments change in a way that the provider answers with a replacement (``force_new`` of its schema), or in one
that the service refuses. Values are compared as far as they are written out; what they refer to is followed.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

from infragen.diagnostics import Diagnostic, declare
from infragen.facts import provider_schema
from infragen.verify import hcl
from infragen.verify.model import Body, Expr, Reference
from infragen.verify.module import UNKNOWN, Definition, Module, modules
from infragen.verify.structure import addresses

LOST = declare(
    "W007",
    "data-would-be-lost",
    """Write nothing that would destroy or replace a file system, a disk or a bucket, until somebody says that it may go.

    Why: in a plan of a hundred lines a replacement looks like any other change, and what it held is gone.
    Example: another tier for a file server that exists is refused with its name; `security.may_lose` lists what may go.
    """,
    source="https://developer.hashicorp.com/terraform/language/resources/behavior",
)
_SETTLED = 8  # references followed from resource to resource


class Loss(Struct, frozen=True):
    """A resource that would go or be refused, and why."""

    address: str
    holds: str
    because: str
    where: Definition
    is_refused: bool = False  # the service refuses it: nothing is lost, and nothing works


def check(
    before: Mapping[str, str], after: Mapping[str, str], place: str, allowed: Collection[str]
) -> Iterator[Diagnostic]:
    """Errors for what would be lost; warnings for what may be. ``place``: how the directory is called in findings."""
    old, new = _module(before, place), _module(after, "")
    if old is None or new is None:
        return
    for one in losses(old, new):
        span = one.where.file.span(one.where.block.start, one.where.block.header_end)
        if one.is_refused:
            help = "keep the value that is there, or make a new store and move the content"
            yield LOST.error(
                f"`{one.address}` cannot be changed like this: {one.because}", span, "refused by the service", help
            )
            continue
        message = f"`{one.address}` would be lost: {one.because}"
        if one.address in allowed:
            help = "its guard stops Terraform: set `security.deletion_protection: false`, and apply that first"
            yield LOST.warning(message, span, f"{one.holds}; `security.may_lose` allows it", help)
        else:
            keep = "stay in the place by naming it in `place`" if "location" in one.because else "keep it as it is"
            help = f"{keep}, move its content first, or write `security: {{may_lose: [{one.address}]}}`"
            yield LOST.error(message, span, one.holds, help)


def losses(old: Module, new: Module) -> Iterator[Loss]:
    """Everything that holds data in ``old`` and does not stay what it is in ``new``."""
    moved = _moved(new)
    for address, definition in old.resources.items():
        type = definition.block.label[0]
        facts = _facts().get(type)
        if facts is None:
            continue
        successor = new.resources.get(moved.get(address, address))
        if successor is None:
            yield Loss(address, facts["holds"], "it is not in the new output", definition)
            continue
        was, now = _Resource(old, definition, type), _Resource(new, successor, type)
        replaced = next(was.differs(now), None)
        if replaced:
            yield Loss(address, facts["holds"], replaced, definition)
            continue
        for refused, is_lost in _refused(facts, was, now, type):
            yield Loss(address, facts["holds"], refused, definition, not is_lost)


@cache
def _facts() -> dict[str, Any]:
    text = (files("infragen.verify") / "data" / "changes.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["resources"]
    return found


def _module(texts: Mapping[str, str], place: str) -> Module | None:
    """The module of one directory; None where there is no Terraform, or none that can be read."""
    prefix = f"{place.rstrip('/')}/" if place else ""
    parsed = [
        hcl.parse(prefix + path, text) for path, text in sorted(texts.items()) if path.endswith((".tf", ".tfvars"))
    ]
    if not parsed or any(errors for _, errors in parsed):
        return None
    return modules(file for file, _ in parsed)[0]


def _moved(module: Module) -> dict[str, str]:
    """Old address -> new address, as ``moved`` blocks say."""
    found = {}
    for file, block in module.blocks("moved"):
        ends = [block.body.attributes.get(name) for name in ("from", "to")]
        if all(ends):
            found[file.text(ends[0].value)] = file.text(ends[1].value)  # type: ignore[union-attr]
    return found


class _Resource(Struct, frozen=True):
    """A resource of a module, as it is compared."""

    module: Module
    definition: Definition
    type: str

    def differs(self, other: "_Resource") -> Iterator[str]:
        """What of it would make the provider replace it."""
        yield from self._instances(other)
        entry = provider_schema.entry("resource", self.type)
        arguments = entry["arguments"] if entry else {}
        was, now = self._fixed(arguments), other._fixed(arguments)
        for path in sorted(was.keys() | now.keys()):
            if was.get(path) != now.get(path):
                yield _change(path, was.get(path), now.get(path))

    def size(self, path: str) -> float | None:
        """The number at a path of blocks and one argument; None where it is not written out."""
        value = self.value(path)
        try:
            return float(value)
        except (TypeError, ValueError):
            return None

    def value(self, path: str) -> Any:
        """The value at such a path; `UNKNOWN` where it is not written out."""
        body: Body | None = self.definition.block.body
        *blocks, name = path.split(".")
        for block in blocks:
            inner = next(body.named(block), None) if body else None
            body = inner.body if inner else None
        attribute = body.attributes.get(name) if body else None
        return None if attribute is None else self.module.resolve(attribute.value)

    def _instances(self, other: "_Resource") -> Iterator[str]:
        """Instances of a ``for_each`` that go."""
        was, now = (one.definition.block.body.attributes.get("for_each") for one in (self, other))
        if was is None or now is None:
            if was is not now:
                yield "`for_each` comes or goes, and with it every address"
            return
        before, after = self._plain(was.value), other._plain(now.value)
        if before == after:
            return
        values = [one.module.resolve(attribute.value) for one, attribute in ((self, was), (other, now))]
        if all(isinstance(value, list) for value in values):
            gone = [str(key) for key in values[0] if key not in values[1]]
            if gone:
                yield f"its instances {', '.join(f'`{key}`' for key in gone)} go"
        else:
            yield f"`for_each` changes from {_word(before)} to {_word(after)}"

    def _fixed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Path -> value of every argument that cannot be changed in place."""
        return dict(self._fixed_of(self.definition.block.body, arguments, ""))

    def _fixed_of(self, body: Body, arguments: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
        for name, attribute in body.attributes.items():
            if arguments.get(name, {}).get("force_new"):
                yield above + name, self._plain(attribute.value)
        for index, block in enumerate(body.blocks):
            entry = arguments.get(block.type, {})
            inner = entry.get("block")
            if not isinstance(inner, dict):
                continue
            number = sum(one.type == block.type for one in body.blocks[:index])
            path = f"{above}{block.type}{f'[{number}]' if number else ''}."
            fixed = (
                {name: one | {"force_new": True} for name, one in inner.items()} if entry.get("force_new") else inner
            )
            yield from self._fixed_of(block.body, fixed, path)

    def _plain(self, expression: Expr, hops: int = _SETTLED) -> Any:
        """An expression as something that can be compared: its value, else its text and the values of what it refers to."""
        value = self.module.resolve(expression)
        if value is not UNKNOWN and UNKNOWN not in (value if isinstance(value, list) else ()):
            return value
        text = self.definition.file.text(expression)
        behind = {}
        for one in addresses(expression):
            behind[_name(one)] = self._behind(one, hops)
        return (text, tuple(sorted((name, repr(value)) for name, value in behind.items())))

    def _behind(self, reference: Reference, hops: int) -> Any:
        """What stands behind a reference: the value of a variable or local, the name of another resource."""
        if reference.root in ("var", "local"):
            value = self.module.resolve(reference)
            local = self.module.locals.get(str(reference.attributes[0])) if reference.root == "local" else None
            if value is UNKNOWN and local and local.attribute and hops:
                return _Resource(self.module, local, "")._plain(local.attribute.value, hops - 1)
            return None if value is UNKNOWN else value
        other = (
            self.module.resources.get(f"{reference.root}.{reference.attributes[0]}") if reference.attributes else None
        )
        name = other.block.body.attributes.get("name") if other else None
        if other is None or name is None or not hops:
            return None
        return _Resource(self.module, other, other.block.label[0])._plain(name.value, hops - 1)


def _name(reference: Reference) -> str:
    return ".".join((reference.root, *reference.attributes))


def _change(path: str, was: Any, now: Any) -> str:
    """What changes, in a sentence; of one expression that means something else now, what it means."""
    if isinstance(was, tuple) and isinstance(now, tuple) and was[0] == now[0]:
        other = [(name, old, dict(now[1])[name]) for name, old in was[1] if dict(now[1]).get(name) != old]
        name, old, new = other[0] if other else (was[0], "one", "another")
        return f"`{path}` depends on `{name}`, which changes from {old} to {new}"
    return f"`{path}` changes from {_word(was)} to {_word(now)}"


def _word(value: Any) -> str:
    """A value in a sentence."""
    if value is None:
        return "nothing"
    return f"`{value[0] if isinstance(value, tuple) else str(value)}`"


def _refused(facts: Mapping[str, Any], was: _Resource, now: _Resource, type: str) -> Iterator[tuple[str, bool]]:
    """Changes of size and mode that end badly, and whether data is lost by them."""
    for name, last in facts.get("one_way", {}).items():
        if was.value(name) == last and now.value(name) not in (last, UNKNOWN):
            yield f"`{name}` goes from {last} to {now.value(name) or 'nothing'}, and there is no way back", False
    path = facts.get("sizes")
    before, after = (was.size(path), now.size(path)) if path else (None, None)
    if before is None or after is None or before == after:
        return
    grows_only = facts.get("grows_only", False)
    tier = was.value(facts["band_by"]) if "band_by" in facts else None
    if after < before and (grows_only is True or (isinstance(grows_only, list) and was.value("tier") in grows_only)):
        is_disk = type.endswith(
            "_disk"
        )  # the provider makes a smaller disk anew; file systems are refused by their service
        yield f"`{path}` shrinks from {before:,.0f} to {after:,.0f} GiB", is_disk
    for edge in facts.get("bands", {}).get(str(tier), ()):
        if (before <= edge) != (after <= edge):
            yield f"`{path}` crosses {edge:,} GiB, from {before:,.0f} to {after:,.0f}: another kind of instance", False
