"""Circles in a graph of dependencies."""

from collections.abc import Iterator, Mapping


def find(graph: Mapping[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """One shortest way around for each knot of nodes that all lead to each other, starting at its first name.

    >>> list(find({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}))
    [('b', 'c'), ('d',)]
    """
    told: set[str] = set()
    for start in sorted(graph):
        if start in told:
            continue
        way = _way_back(graph, start)
        if way:
            told.update(_knot(graph, start))
            yield way


def _way_back(graph: Mapping[str, set[str]], start: str) -> tuple[str, ...]:
    """The shortest way from a node to itself; empty if there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for way in ways:
        for following in sorted(graph.get(way[-1], ())):
            if following == start:
                return way
            if following not in seen and following in graph:
                seen.add(following)
                ways.append((*way, following))
    return ()


def _knot(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """The nodes that ``start`` leads to and that lead back to it."""
    return {node for node in _reached(graph, start) if start in _reached(graph, node)} | {start}


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    pending = [start]
    while pending:
        for following in graph.get(pending.pop(), ()):
            if following not in reached:
                reached.add(following)
                pending.append(following)
    return reached
