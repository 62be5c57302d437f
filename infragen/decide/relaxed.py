"""When no machine would do, or none can be had: which part of the descriptor is in the way, and what would be left without it."""

from collections.abc import Iterator
from itertools import combinations

from msgspec.structs import replace

from infragen.decide import candidates, capacity, place
from infragen.decide.candidates import Joined
from infragen.decide.capacity import Offer
from infragen.decide.fit import Fit
from infragen.decide.need import Need
from infragen.decide.rank import Candidate
from infragen.decide.rule import Narrowed, Removal, rule_of
from infragen.decide.sizing_of import REACHED
from infragen.descriptor.model import Machine as MachineSection
from infragen.descriptor.model import Workload
from infragen.diagnostics import Diagnostics

BOUNDS = (
    "place.regions",
    "place.zones",
    "place.residency",
    "capacity.zone",
    "capacity.model",
    "machine",
    "security.kms_key",
)

MACHINE_BOUNDS = (
    "type",
    "count",
    "topology",
    "accelerators",
    "accelerators_per_node",
    "min_accelerator_memory",
    "series",
    "min_vcpus",
    "min_memory",
)
_SHOWN = 3  # machines that would do
_MANY = 3  # bounds that are not named one by one


def explain_fits(need: Need, fits: Narrowed[Fit], diags: Diagnostics) -> None:
    """One error, from the last rule that fired, when no machine does the work."""
    last = _furthest(fits)
    help = "; ".join(filter(None, (last.miss.help, _what_would_fit(need, is_told=not last.miss.help))))
    span = need.workload.at(last.miss.path or "machine")
    name = last.candidate.machine.label
    pinned = need.workload.machine.type
    message = f"`{pinned}` cannot do this" if pinned else f"no machine can do this; the nearest is `{name}`"
    diags.add(last.rule.error(message, span, last.miss.because, help))
    diags.raise_if_errors()


def _furthest(fits: Narrowed[Fit]) -> Removal[Fit]:
    """The machine that came furthest: by the constraint that it misses, and by how little."""
    sized = [one for one in fits.removed if one.rule.id in REACHED]
    if not sized:
        return fits.nearest
    return max(sized, key=lambda one: (REACHED[one.rule.id], -one.miss.distance))


def _what_would_fit(need: Need, *, is_told: bool) -> str:
    """One or two bounds on the machine to leave out, else all of them, and the smallest machines that then do; else, if that
    is to be told, what is still in the way.
    """
    asked = need.workload.machine
    given = [field for field in MACHINE_BOUNDS if getattr(asked, field)]
    found = Narrowed[Fit](())
    for count in sorted({1, 2, len(given)} & set(range(1, len(given) + 1))):  # one or two bounds, else all of them
        for fields in combinations(given, count):
            section = asked.model_copy(update=dict.fromkeys(fields))
            free = replace(need, workload=need.workload.model_copy(update={"machine": section}))
            found = candidates.sized(free)
            if found.kept:
                left = (
                    " and ".join(f"`machine.{field}`" for field in fields) if count < _MANY else "bounds in `machine`"
                )
                return f"without {left} these can: {', '.join(_smallest(found.kept))}"
    if not found.removed or not is_told:
        return ""
    last = _furthest(found)
    return "; ".join(filter(None, (f"nor can any other machine: {last.miss.because}", last.miss.help)))


def _smallest(fits: tuple[Fit, ...]) -> list[str]:
    ordered = sorted(fits, key=lambda one: (one.nodes * one.machine.record.accelerators, one.nodes, one.machine.label))
    return list(dict.fromkeys(f"{one.nodes} × `{one.machine.label}`" for one in ordered))[:_SHOWN]


def explain(need: Need, joined: Joined, diags: Diagnostics) -> None:
    """One error: the rule that took the last place, or the last way to have the machines, and the nearest way out."""
    removal: Removal[Offer] | Removal[place.Site]
    obtainable = [fit.machine for fit in joined.fits.kept if joined.options[fit.machine.label].kept]
    if obtainable:
        removals = [joined.sites[box.label].nearest for box in obtainable if joined.sites[box.label].removed]
        box = obtainable[0]
        if not removals:
            at = need.workload.at("machine.type")
            because, help = (
                "no region of the tables has it",
                "`infragen catalog machines` lists types and their regions",
            )
            diags.add(rule_of(place.zone_known).error(f"no place is known for `{box.label}`", at, because, help))
            diags.raise_if_errors()
        removal = min(removals, key=lambda one: (one.miss.distance, one.rule.id))
        pinned = len(obtainable) == 1 or need.workload.machine.type
        text = (
            f"no place is left for `{box.label}`"
            if pinned
            else f"no place is left for any of the {len(obtainable)} machines that would do"
        )
        path = removal.miss.path or "place"
        exists = ", ".join(site.region.name for site in place.sites(need.catalog, box)) or "no region"
        found = "; ".join(filter(None, (f"`{box.label}` exists in {exists}" if pinned else "", removal.miss.help)))
    else:
        order = [rule_of(check) for check in (*capacity.RULES, *capacity.PREFERENCES)]
        labels = (fit.machine.label for fit in joined.fits.kept)
        label = max(labels, key=lambda one: order.index(joined.options[one].offers.nearest.rule))
        removal = joined.options[label].offers.nearest
        text, path = f"`{label}` cannot be had this way", removal.miss.path or "capacity.model"
        found = removal.miss.help
    help = "; ".join(filter(None, (found, _way_out(need))))
    diags.add(removal.rule.error(text, need.workload.at(path), _because(need, removal), help))
    diags.raise_if_errors()


def _because(need: Need, removal: Removal[Offer] | Removal[place.Site]) -> str:
    """What the rule saw; where regions and residency exclude each other, that they do."""
    asked, regions = need.workload.place, need.catalog.regions
    if asked.regions and asked.residency:
        group = asked.residency
        inside = [name for name in asked.regions if place.is_resident(regions[name], group)]
        if not inside:
            return f"none of {', '.join(asked.regions)} lies in `{group}`"
    return removal.miss.because


def _way_out(need: Need) -> str:
    """The fewest parts of the descriptor to leave out, and the best plan that is then left."""
    # without a model nothing but the descriptor says what machine would do
    given = [path for path in BOUNDS if _is_given(need.workload, path) and (path != "machine" or need.shape)]
    for count in range(1, len(given) + 1):
        found = [
            (best.is_last_resort, best.usd is None, best.usd or 0.0, paths, best)
            for paths in combinations(given, count)
            if (best := _without(need, paths)) is not None
        ]
        if found:
            *_, paths, best = min(found, key=lambda entry: entry[:4])
            left = " and ".join(f"`{path}`" for path in paths)
            taken = f"{best.fit.nodes} × {best.fit.machine.label} as {best.model} in {best.site.region.name}"
            return f"without {left}: {taken}, {best.figures()}"
    return ""


def _is_given(workload: Workload, path: str) -> bool:
    section, _, field = path.partition(".")
    found = getattr(workload, section)
    return bool(getattr(found, field)) if field else found != MachineSection.model_construct()


def _without(need: Need, paths: tuple[str, ...]) -> Candidate | None:
    """What would be chosen if those parts of the descriptor were left out."""
    workload = need.workload
    for section, field in _parts(paths):
        empty = (
            getattr(workload, section).model_copy(update={field: None}) if field else MachineSection.model_construct()
        )
        workload = workload.model_copy(update={section: empty})
    return candidates.decided(replace(need, workload=workload))


def _parts(paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for path in paths:
        section, _, field = path.partition(".")
        yield section, field
