"""The plan as a screen of text: what was chosen, why, what it costs, and what would change it."""

import textwrap
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import click

from infragen import units
from infragen.decide.capacity import LAST_RESORT
from infragen.decide.model import Decision, Estimate, Plan
from infragen.diagnostics import CATALOGUE
from infragen.render import words
from infragen.write import Change

if TYPE_CHECKING:
    from infragen.render.comparison import Comparison

WIDTH = 110
MARGIN = 14
EXPLAINED = ("machine", "capacity", "location", "storage")  # decisions whose reasons the screen has; `explain` has all


def plan(plan: Plan, colour: bool) -> str:
    """One screen: the answer in a line, each decision with its reasons, the figures, what else there is."""
    lines = [_bold(f"{plan.name}: {words.title(plan)}", colour), *_entry("", _brief(plan.estimate), 2), ""]
    for subject, (text, decision) in words.decisions(plan).items():
        kind, _, purpose = subject.partition(".")
        if kind not in ("platform", "network"):
            reasons = decision.because if kind in EXPLAINED else ()
            label = purpose or LABELS.get(subject, subject)
            lines += [_bold(line, colour) for line in _entry(label, text)]
            lines += [line for one in reasons for line in _dim(_entry("", f"{one.text} [{one.rule}]"), colour)]
    lines += ["", *_figures(plan.estimate), "", *_alternatives(plan)]
    lines += _entries("quota", (f"ask for {words.quota(need)}" for need in plan.quotas))
    return "\n".join(line.rstrip() for line in lines) + "\n"


LABELS = {"location": "place"}


def _brief(estimate: Estimate) -> str:
    """What it costs, emits and does, in a line."""
    costs, found = estimate.costs, []
    if estimate.usd_total:
        found.append(f"{units.usd(estimate.usd_total.expected)} for the job")
    elif costs.total is not None:
        found.append(f"{units.usd(costs.total)} an hour")
    else:
        found.append("price unknown")
    if estimate.kg_co2e_total:
        found.append(f"{units.figure(estimate.kg_co2e_total.expected)} kg CO2e for the job")
    elif estimate.kg_co2e_per_hour:
        found.append(f"{units.figure(estimate.kg_co2e_per_hour.expected)} kg CO2e an hour")
    if estimate.train_hours:
        found.append(f"{units.figure(estimate.train_hours.expected)} h")
    if estimate.tokens_per_second:
        found.append(f"{units.figure(estimate.tokens_per_second.expected)} tokens/s")
    return ", ".join(found)


def explain(plan: Plan, subject: str | None, alternative: str | None, also: Collection[str] = ()) -> str:
    """Why a choice, and why not an alternative. Without a subject: all decisions with everything rejected.

    ``also``: other names of the alternative, such as the machine types that have an accelerator.

    Raises KeyError for a subject or an alternative that the plan does not know; its text says what it knows.
    """
    subjects = words.decisions(plan)
    if subject is None:
        return "\n".join(_explained(name, text, decision) for name, (text, decision) in subjects.items())
    if subject not in subjects:
        raise KeyError(f"`{subject}` is not a decision of this plan; it has {', '.join(subjects)}")
    text, decision = subjects[subject]
    if alternative is None:
        return _explained(subject, text, decision)
    wanted = [_letters(name) for name in (alternative, *also)]
    gone = [one for one in decision.rejected if _names(one.candidate, wanted)]
    behind = [one for one in decision.alternatives if _names(one.candidate, wanted)]
    if _names(text, wanted[:1]):
        return f"{subject}: {text}\n" + "".join(f"  {one.rule} {one.text}\n" for one in decision.because)
    if not gone and not behind:
        raise KeyError(f"`{alternative}` was not a candidate for {subject}")
    lines = [f"{one.candidate} was rejected by {one.rule} {_name(one.rule)}: {one.because}" for one in gone]
    names = {one.candidate for one in gone}
    is_resort = decision.ranked is not None and decision.ranked.is_last_resort
    for one in behind:
        if one.candidate in names:
            lines.append(f"{one.candidate} can be had when it is asked for: {words.other(one)}")
        elif one.is_last_resort and not is_resort:
            only = f"not on demand but as {one.capacity}, and comes last unless that is asked for"
            lines.append(f"{one.candidate} would do, {only} ({LAST_RESORT.id} {LAST_RESORT.name}): {one.because}")
        else:
            lines.append(f"{one.candidate} would do, and ranked behind the choice: {one.because}")
    return "\n".join(lines) + "\n"


def _names(candidate: str, wanted: list[str]) -> bool:
    return any(name and name in _letters(candidate) for name in wanted)


def _letters(name: str) -> str:
    """A name without case and separators, so that the descriptor's spelling finds the product's."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def rule(id: str) -> str:
    """The catalogue's text of a rule. Raises KeyError for an id that does not exist."""
    entry = CATALOGUE[id]
    parts = [
        f"{entry.id} {entry.name}",
        "",
        entry.summary,
        "",
        f"Why: {entry.why}",
        "",
        f"Example: {entry.example}",
        "",
    ]
    wrapped = [textwrap.fill(part, WIDTH) if part else "" for part in parts]
    return "\n".join([*wrapped, f"Source: {entry.source}"]) + "\n"


def changes(found: Iterable[Change]) -> str:
    """What writing would change on disk."""
    marks = {"created": "+", "changed": "~", "deleted": "-"}
    rows = [f"  {marks[one.kind]} {one.path}" for one in found if one.kind in marks]
    return "\n".join(rows or ["  nothing changes"]) + "\n"


def comparison(found: "Comparison") -> str:
    """What changed since the plan that was written last."""
    if found.problem:
        return f"  not compared: {found.problem}\n"
    lines = [
        f"  {row.what}: {row.before} -> {row.now}" + (f" ({row.change})" if row.change else "") for row in found.rows
    ]
    lines += [f"  + {address}" for address in found.added]
    lines += [f"  - {address}" for address in found.removed]
    return "\n".join(lines) + "\n" if lines else ""


def _name(id: str) -> str:
    return CATALOGUE[id].name if id in CATALOGUE else ""


def _explained(name: str, text: str, decision: Decision[object]) -> str:
    lines = [f"{name}: {text}"]
    lines += [f"  because {one.rule} {_name(one.rule)}: {one.text}" for one in decision.because]
    gone = {one.candidate for one in decision.rejected}
    lines += [
        f"  {'asked ' if one.candidate in gone else 'next  '}  {words.other(one)}" for one in decision.alternatives
    ]
    lines += [f"  not     {one.candidate}: {one.because} ({one.rule} {_name(one.rule)})" for one in decision.rejected]
    lines += [f"  change  {one}" for one in decision.would_change]
    return "\n".join(lines) + "\n"


def _bold(text: str, colour: bool) -> str:
    return click.style(text, bold=True) if colour else text


def _dim(lines: list[str], colour: bool) -> list[str]:
    return [click.style(line, dim=True) for line in lines] if colour else lines


def _entry(label: str, text: str, indent: int = MARGIN) -> list[str]:
    start = f"  {label:<{MARGIN - 2}}" if label or indent == MARGIN else " " * indent
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _figures(estimate: Estimate) -> list[str]:
    lines = _costs(estimate)
    if estimate.train_hours:
        lines += _entry("time", words.estimated(estimate.train_hours, "h"))
    if estimate.tokens_per_second:
        lines += _entry("speed", words.estimated(estimate.tokens_per_second, "tokens/s"))
    if estimate.ttft_ms and estimate.tpot_ms:
        first, then = words.estimated(estimate.ttft_ms, "ms"), words.estimated(estimate.tpot_ms, "ms")
        lines += _entry("latency", f"first token {first}; then {then} each")
    if estimate.checkpoint:
        lines += _entry("checkpoint", words.checkpoint(estimate.checkpoint))
    if estimate.memory:
        lines += _entry("memory", words.memory_sum(estimate.memory))
    if estimate.margins:
        left = ", ".join(f"{words.margin(one)} {one.share:.0%}" for one in estimate.margins)
        lines += _entry("room left", left + (f"; what limits is {estimate.binding}" if estimate.binding else ""))
    return lines + _entries("assumed", estimate.assumptions)


def _costs(estimate: Estimate) -> list[str]:
    """Money and emissions."""
    lines = _entries("cost", words.bill(estimate))
    if estimate.energy_kwh_per_hour:
        lines += _entry("energy", words.estimated(estimate.energy_kwh_per_hour, "kWh an hour at the meter"))
    else:
        lines += _entry("energy", "unknown, and so are the emissions: the tables do not say what these machines draw")
    if estimate.kg_co2e_per_hour:
        lines += _entry("emissions", words.estimated(estimate.kg_co2e_per_hour, "kg CO2e an hour, location-based"))
    if estimate.kg_co2e_total:
        lines += _entry("", words.estimated(estimate.kg_co2e_total, "kg CO2e for the job"))
    if estimate.kg_co2e_per_hour_beyond_cfe:
        beyond = units.figure(estimate.kg_co2e_per_hour_beyond_cfe.expected)
        text = "kg CO2e an hour if the region's hourly carbon-free share counts as free of emissions"
        lines += _entry("", f"{beyond} {text}")
    return lines


def _alternatives(plan: Plan) -> list[str]:
    ranked = (plan.machine, plan.location, plan.capacity)
    chosen = plan.capacity.ranked.usd_per_hour if plan.capacity.ranked else None
    cheaper = [one for one in plan.capacity.alternatives if chosen and (one.usd_per_hour or chosen) < chosen]
    others = [
        words.other(one) for one in (*plan.machine.alternatives[:1], *plan.location.alternatives[:1], *cheaper[:1])
    ]
    if plan.location.alternatives:
        others.append(f"for example: --set '{plan.location.alternatives[0].setting}'")
    changing: tuple[Decision[object], ...] = (*ranked, plan.image)
    changes = [text for decided in changing for text in decided.would_change]
    advice = [f"{words.advice(one)}; {one.because}" for one in plan.advice]
    return [*_entries("advice", advice), *_entries("instead", others), *_entries("change", changes)]


def _entries(label: str, texts: Iterable[str]) -> list[str]:
    """Several entries under one label."""
    return [line for index, text in enumerate(texts) for line in _entry("" if index else label, text)]
