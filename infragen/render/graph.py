"""The resource graph as a drawing: one line of text per resource in the order of creation, with arcs to what refers to it.

Takes resources and what each refers to. Gives rows and arcs in pixels. It grows downwards only, so that sixty resources
are as readable as six, on a phone too. A reference that longer ways imply is not drawn.
"""

from collections.abc import Mapping, Sequence
from math import sqrt

from msgspec import Struct

from infragen.render.report import Resource

ROW, GUTTER, NEAR, FAR = 26, 104, 26, 130  # pixels: a row, the room for arcs, the least and the greatest pull of an arc
PREFIXES = ("google_compute_", "google_")


class Node(Struct, frozen=True):
    """A resource. ``near`` are the indexes of those that an arc joins it to, ``tone`` counts the files."""

    index: int
    type: str
    name: str
    file: str
    tone: int
    y: int
    near: tuple[int, ...]
    above: str  # those it refers to, in words


class Arc(Struct, frozen=True):
    """A line from a resource down to one that refers to it."""

    source: int
    target: int
    path: str


class Graph(Struct, frozen=True):
    """The drawing and its height; ``files`` in the order of their tones."""

    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]
    height: int
    files: tuple[str, ...]
    gutter: int = GUTTER


def draw(resources: Sequence[Resource]) -> Graph:
    """Lay the resources out."""
    known = {one.address for one in resources}
    needs = {one.address: tuple(need for need in one.needs if need in known) for one in resources}
    drawn = _reduced(needs)
    order = {address: row for row, address in enumerate(_order(needs))}
    joined: dict[str, set[int]] = {address: set() for address in needs}
    for address, direct in drawn.items():
        for one in direct:
            joined[address].add(order[one])
            joined[one].add(order[address])
    files = tuple(sorted({one.file for one in resources}))
    nodes = []
    for resource in sorted(resources, key=lambda each: order[each.address]):
        type, _, name = resource.address.partition(".")
        index = order[resource.address]
        near = tuple(sorted(joined[resource.address]))
        above = ", ".join(sorted(_short(need) for need in drawn[resource.address]))
        nodes.append(
            Node(index, _short(type), name, resource.file, files.index(resource.file), _middle(index), near, above)
        )
    arcs = [_arc(order[one], order[address]) for address, direct in drawn.items() for one in direct]
    arcs.sort(key=lambda one: (one.source, one.target))
    return Graph(tuple(nodes), tuple(arcs), len(nodes) * ROW, files)


def _short(type: str) -> str:
    """A type without the provider's name."""
    return next((type.removeprefix(prefix) for prefix in PREFIXES if type.startswith(prefix)), type)


def _middle(index: int) -> int:
    return index * ROW + ROW // 2


def _arc(source: int, target: int) -> Arc:
    x, y1, y2 = GUTTER, _middle(source), _middle(target)
    pull = x - round(min(FAR, NEAR * sqrt(abs(target - source))))
    return Arc(source, target, f"M{x} {y1}C{pull} {y1} {pull} {y2} {x} {y2}")


def _order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Each resource behind all that it refers to, and as near to the last of them as can be. A circle, which `verify` refuses, is cut."""
    placed: dict[str, int] = {}
    waiting = set(needs)
    while waiting:
        ready = [one for one in waiting if all(need in placed for need in needs[one])] or [min(waiting)]
        chosen = min(ready, key=lambda one: (-max((placed.get(need, -1) for need in needs[one]), default=-1), one))
        placed[chosen] = len(placed)
        waiting.remove(chosen)
    return list(placed)


def _reduced(needs: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """The references that no longer way implies."""
    reached: dict[str, set[str]] = {}

    def reach(address: str) -> set[str]:
        if address not in reached:
            reached[address] = set()  # met again in a circle
            for one in needs[address]:
                reached[address] |= {one} | reach(one)
        return reached[address]

    return {
        address: {one for one in direct if not any(one in reach(other) for other in direct if other != one)}
        for address, direct in needs.items()
    }
