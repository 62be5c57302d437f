"""What a new output would lose of what an older one made: file systems, disks and buckets that go, or are made anew.

Takes the Terraform of a directory before and after. Gives a finding for each resource that holds data and whose address
goes, whose arguments change in a way that the provider answers with a replacement (``force_new`` of its schema), or in one
that the service refuses. Values are compared as far as they are written out, what they refer to is followed, and what is
computed otherwise is compared by its text and by what it refers to.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from infragen.diagnostics import Diagnostic, Span, declare
from infragen.facts import provider_schema
from infragen.verify import hcl
from infragen.verify.model import Body, Expr, Reference, children
from infragen.verify.module import UNKNOWN, Definition, Module, modules
from infragen.verify.reading import JSON

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
    """A resource that would go or be refused, or of which that is not seen, and why."""

    address: str
    holds: str
    because: str
    where: Definition
    fate: Literal["lost", "refused", "unseen"] = "lost"  # refused by the service: nothing is lost, and nothing works


def check(
    before: Mapping[str, str], after: Mapping[str, str], place: str, allowed: Collection[str]
) -> Iterator[Diagnostic]:
    """Errors for what would be lost; warnings for what may be, and for what cannot be compared.

    ``place``: how the directory is called in findings.
    """
    yield from (_not_compared(place, name, "it is written in JSON") for name in sorted(before) if name.endswith(JSON))
    (old, faults), (new, others) = _module(before, place), _module(after, place)
    if faults or others:
        fault = (faults or others)[0]
        yield _not_compared(place, "", fault.message, fault.span)
    if old is None or new is None:
        return
    for one in losses(old, new):
        span = one.where.file.span(one.where.block.start, one.where.block.header_end)
        yield _finding(one, span, allowed)


def _not_compared(place: str, file: str, why: str, span: Span | None = None) -> Diagnostic:
    message = f"what `{place}` holds already is not compared as a whole: {why}"
    help = "see in `terraform plan` that nothing is destroyed or replaced that holds data"
    return LOST.warning(message, span or Span(f"{place.rstrip('/')}/{file}", 1), "not read", help)


def _finding(one: Loss, span: Span, allowed: Collection[str]) -> Diagnostic:
    if one.fate == "unseen":
        help = "see in `terraform plan` that it is neither destroyed nor replaced"
        return LOST.warning(
            f"`{one.address}` may be lost: {one.because}", span, f"{one.holds}; what it comes to is not seen", help
        )
    if one.fate == "refused":
        help = "keep the value that is there, or make a new store and move the content"
        message = f"`{one.address}` cannot be changed like this: {one.because}"
        return LOST.error(message, span, "refused by the service", help)
    message = f"`{one.address}` would be lost: {one.because}"
    if one.address in allowed:
        help = "its guard stops Terraform: set `security.deletion_protection: false`, and apply that first"
        return LOST.warning(message, span, f"{one.holds}; `security.may_lose` allows it", help)
    keep = "stay in the place by naming it in `place`" if "location" in one.because else "keep it as it is"
    help = f"{keep}, move its content first, or write `security: {{may_lose: [{one.address}]}}`"
    return LOST.error(message, span, one.holds, help)


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
        was, now = _pair(_Resource(old, definition, type), _Resource(new, successor, type))
        replaced = next(was.differs(now), None)
        if replaced:
            yield Loss(address, facts["holds"], replaced, definition)
            continue
        for refused, is_lost in _refused(facts, was, now, type):
            yield Loss(address, facts["holds"], refused, definition, "lost" if is_lost else "refused")
        for unseen in was.unseen(now, (*facts.get("one_way", {}), *filter(None, (facts.get("sizes"),)))):
            yield Loss(address, facts["holds"], unseen, definition, "unseen")


@cache
def _facts() -> dict[str, Any]:
    text = (Path(__file__).parent / "data" / "changes.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["resources"]
    return found


def _module(texts: Mapping[str, str], place: str) -> tuple[Module | None, list[Diagnostic]]:
    """The module of one directory, None where there is no Terraform, or none that can be read; and what keeps it from that."""
    prefix = f"{place.rstrip('/')}/" if place else ""
    parsed = [
        hcl.parse(prefix + path, text) for path, text in sorted(texts.items()) if path.endswith((".tf", ".tfvars"))
    ]
    faults = [error for _, errors in parsed for error in errors]
    return (None if faults or not parsed else modules(file for file, _ in parsed)[0]), faults


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
    shared: frozenset[str] = frozenset()  # keys of instances that are there before and after

    def keys(self) -> frozenset[str] | None:
        """The keys of its instances; None where they are not written out, or there is no ``for_each``."""
        attribute = self._meta("for_each")
        value = self.module.resolve(attribute) if attribute else None
        if not isinstance(value, (list, dict)) or UNKNOWN in value:
            return None
        return frozenset(map(str, value))

    def differs(self, other: "_Resource") -> Iterator[str]:
        """What of it would make the provider replace it."""
        yield from self._instances(other)
        entry = provider_schema.entry("resource", self.type)
        arguments = entry["arguments"] if entry else {}
        was, now = self._fixed(arguments), other._fixed(arguments)
        for path in sorted(was.keys() | now.keys()):
            if was.get(path) != now.get(path):
                yield _change(path, was.get(path), now.get(path))

    def unseen(self, other: "_Resource", paths: Iterable[str]) -> Iterator[str]:
        """What changes of it, and cannot be compared: its number, sizes and modes that are computed, blocks that are made."""
        meta = [(one._meta("count"), one) for one in (self, other)]
        numbers = [one.module.resolve(expression) if expression else 1 for expression, one in meta]
        if not all(isinstance(number, (int, float)) for number in numbers):
            was, now = (one._plain(expression) if expression else None for expression, one in meta)
            if was != now:
                yield _change("count", was, now)
        for path in paths:
            was, now = (one._written(path) for one in (self, other))
            if was != now and UNKNOWN in (self.value(path), other.value(path)):
                yield _change(path, was, now)
        was, now = (dict(one._made(one.definition.block.body)) for one in (self, other))
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                yield f"the blocks `{name}` are made by `dynamic`, and that changes"

    def size(self, path: str) -> float | None:
        """The number at a path of blocks and one argument; None where it is not written out."""
        try:
            return float(self.value(path))
        except (TypeError, ValueError):
            return None

    def value(self, path: str) -> Any:
        """The value at such a path, None where there is none; `UNKNOWN` where it is not written out."""
        expression = self._at(path)
        return None if expression is None else self.module.resolve(expression)

    def _written(self, path: str) -> Any:
        """The same as something that can be compared."""
        expression = self._at(path)
        return None if expression is None else self._plain(expression)

    def _at(self, path: str) -> Expr | None:
        body: Body | None = self.definition.block.body
        *blocks, name = path.split(".")
        for block in blocks:
            inner = next(body.named(block), None) if body else None
            body = inner.body if inner else None
        attribute = body.attributes.get(name) if body else None
        return attribute.value if attribute else None

    def _meta(self, name: str) -> Expr | None:
        attribute = self.definition.block.body.attributes.get(name)
        return attribute.value if attribute else None

    def _made(self, body: Body) -> Iterator[tuple[str, Any]]:
        """The type and the content of blocks that are made by ``dynamic``, at any depth."""
        for block in body.blocks:
            if block.type == "dynamic":
                mentioned = [one for attribute in _attributes(block.body) for one in _mentioned(attribute)]
                text = self.definition.file.source[block.start : block.end].decode(errors="replace")
                yield ".".join(block.label), (text, self._around(mentioned, _SETTLED))
            else:
                yield from self._made(block.body)

    def _instances(self, other: "_Resource") -> Iterator[str]:
        """Instances that go."""
        was, now = (one._meta("for_each") for one in (self, other))
        if (was is None) is not (now is None):
            yield "`for_each` comes or goes, and with it every address"
        elif was is not None and now is not None:
            before, after = self.keys(), other.keys()
            if before is not None and after is not None:
                gone = sorted(before - after)
                if gone:
                    yield f"its instances {', '.join(f'`{key}`' for key in gone)} go"
            elif self._plain(was) != other._plain(now):
                yield f"`for_each` changes from {_word(self._plain(was))} to {_word(other._plain(now))}"
        else:  # without `count` there is one, which Terraform takes for the first of several
            numbers = [one.module.resolve(count) if (count := one._meta("count")) else 1 for one in (self, other)]
            if all(isinstance(number, (int, float)) for number in numbers) and numbers[1] < numbers[0]:
                yield f"of its {numbers[0]} instances {numbers[1]} stay"

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
        return (self.definition.file.text(expression), self._around(_mentioned(expression), hops))

    def _around(self, references: Iterable[Reference], hops: int) -> tuple[tuple[str, str], ...]:
        """The names of references, and what stands behind each."""
        return tuple(sorted({(_name(one), repr(self._behind(one, hops))) for one in references}))

    def _behind(self, reference: Reference, hops: int) -> Any:
        """What stands behind a reference: the value of a variable or local, the name of another resource."""
        if reference.root in ("var", "local"):
            value = self.module.resolve(reference)
            local = self.module.locals.get(str(reference.attributes[0])) if reference.root == "local" else None
            if value is UNKNOWN and local and local.attribute and hops:
                return _Resource(self.module, local, "")._plain(local.attribute.value, hops - 1)
            return None if value is UNKNOWN else value
        if reference.root == "each":
            return self._each(reference, hops)
        other = (
            self.module.resources.get(f"{reference.root}.{reference.attributes[0]}") if reference.attributes else None
        )
        name = other.block.body.attributes.get("name") if other else None
        if other is None or name is None or not hops:
            return None
        return _Resource(self.module, other, other.block.label[0])._plain(name.value, hops - 1)

    def _each(self, reference: Reference, hops: int) -> Any:
        """What an instance is given, by its key: of those that are there before and after."""
        expression = self._meta("for_each")
        if expression is None or reference.attributes[:1] != ("value",):
            return None  # the key is the instance's own
        value = self.module.resolve(expression)
        if isinstance(value, dict):
            given = {key: value[key] for key in sorted(self.shared) if key in value}
            for step in reference.attributes[1:]:
                given = {key: one.get(step) if isinstance(one, dict) else UNKNOWN for key, one in given.items()}
            return given
        return None if isinstance(value, list) else self._plain(expression, hops - 1) if hops else None


def _pair(was: _Resource, now: _Resource) -> tuple[_Resource, _Resource]:
    """Both, knowing which instances they share."""
    shared = (was.keys() or frozenset()) & (now.keys() or frozenset())
    return replace(was, shared=shared), replace(now, shared=shared)


def _mentioned(expression: Expr) -> Iterator[Reference]:
    """Every reference within an expression."""
    if isinstance(expression, Reference):
        yield expression
    for inner in children(expression):
        yield from _mentioned(inner)


def _attributes(body: Body) -> Iterator[Expr]:
    """Every value within a body, at any depth."""
    yield from (attribute.value for attribute in body.attributes.values())
    for block in body.blocks:
        yield from _attributes(block.body)


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
