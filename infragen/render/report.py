"""What a report says, before it has a form: the same words for a page and for a comment.

Takes a `Compilation`, and what changes on disk and since the last plan. Gives a `Report`: records of finished text and
of shares of a whole, nothing of which has to be computed to print it. All text is plain; the form that prints it quotes it.
"""

import shlex
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from infragen import units
from infragen.decide.model import UNIT_NAMES, Alternative, Charge, Decision, Estimate, Memory, Plan
from infragen.diagnostics import CATALOGUE, Diagnostic, Rule, Severity
from infragen.pipeline import Compilation
from infragen.render import words
from infragen.render.comparison import Comparison
from infragen.verify import dependencies
from infragen.write import Change, Kind

MOST_BARS = 12  # of a chart; the table below it has them all
SUBJECTS = {
    "platform": "Platform",
    "machine": "Machines",
    "capacity": "Capacity",
    "location": "Place",
    "image": "Image",
    "group": "Group",
    "network": "Network",
}


class Figure(Struct, frozen=True):
    """A figure to read first: what it is, its value, and how sure or over what span."""

    label: str
    value: str
    notes: tuple[str, ...] = ()


class Why(Struct, frozen=True):
    """A reason and the rule it comes from."""

    rule: str
    name: str  # of the rule
    text: str


class Row(Struct, frozen=True):
    """A ranked candidate: what and how, its figures, and the setting that takes it."""

    name: str
    how: str
    usd: str
    difference: str
    kg: str
    setting: str
    is_chosen: bool


class Removed(Struct, frozen=True):
    """What one rule removed: each reason with the candidates it holds for."""

    rule: str
    name: str
    summary: str
    count: int
    reasons: tuple[tuple[str, tuple[str, ...]], ...]


class Choice(Struct, frozen=True):
    """A decision."""

    subject: str
    title: str
    choice: str
    because: tuple[Why, ...]
    ranked: tuple[Row, ...]
    removed: tuple[Removed, ...]
    would_change: tuple[str, ...]

    @property
    def removed_count(self) -> int:
        return sum(one.count for one in self.removed)


class Bar(Struct, frozen=True):
    """A bar: its label, its value in words, and its length as a share of the longest. None: not known."""

    label: str
    full_label: str
    value: str
    share: float | None
    is_chosen: bool


class Chart(Struct, frozen=True):
    """Bars of one measure, in the order of the ranking."""

    title: str
    description: str
    measure: str  # cost or emissions
    bars: tuple[Bar, ...]


class Charts(Struct, frozen=True):
    """What was ranked, as charts over the same rows, and as a table of all."""

    key: str
    title: str
    text: str
    charts: tuple[Chart, ...]
    rows: tuple[Row, ...]
    shown: int  # rows that the charts show

    @property
    def left_out(self) -> int:
        return len(self.rows) - self.shown


class Part(Struct, frozen=True):
    """A part of the memory of an accelerator. ``start`` and ``share`` are of what is usable."""

    key: str
    name: str
    gib: str
    start: float
    share: float


class MemoryBar(Struct, frozen=True):
    """The memory of an accelerator as a stacked bar."""

    description: str
    parts: tuple[Part, ...]
    total: str
    usable: str


class Room(Struct, frozen=True):
    """How much a constraint leaves: in words, and the used share of what there is."""

    name: str
    text: str
    left: str
    used: float


class CostLine(Struct, frozen=True):
    """A line of the bill: an hour, and a month of a service or all of a job. None where there is no price."""

    part: str
    name: str
    hour: str | None
    whole: str | None
    note: str = ""  # why it is not counted, where more is known than that


class Option(Struct, frozen=True):
    """Something that would cost or emit less: the share saved, what it is and asks for, and how to get it."""

    text: str
    saving: str
    setting: str = ""
    note: str = ""


class Finding(Struct, frozen=True):
    """A diagnostic."""

    severity: str
    code: str
    place: str
    message: str
    label: str
    why: str
    help: str


class Resource(Struct, frozen=True):
    """A Terraform resource, the file it is in and what it refers to."""

    address: str
    provider: str
    file: str
    needs: tuple[str, ...]


class Report(Struct, frozen=True):
    """One workload. Without a plan the fields behind ``findings`` are empty."""

    name: str
    findings: tuple[Finding, ...]
    is_planned: bool = False
    title: str = ""
    chosen: str = ""
    figures: tuple[Figure, ...] = ()
    reasons: tuple[tuple[str, str, tuple[Why, ...]], ...] = ()  # title, choice, why
    cost: tuple[CostLine, ...] = ()
    cost_total: CostLine | None = None
    cost_span: str = ""  # what `whole` is: a month, or the job
    cost_notes: tuple[str, ...] = ()
    verdict: str = ""  # whether anything that was ranked is cheaper
    advice: tuple[Option, ...] = ()  # changes to the workload, each decided anew
    options: tuple[Option, ...] = ()  # what was ranked behind the choice
    would_change: tuple[str, ...] = ()
    charts: tuple[Charts, ...] = ()
    memory: MemoryBar | None = None
    room: tuple[Room, ...] = ()
    binding: str = ""
    estimates: tuple[tuple[str, str], ...] = ()
    assumptions: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    resources: tuple[Resource, ...] = ()
    quotas: tuple[tuple[str, str, int, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    container: str = ""
    command: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] | None = None  # kind, path; None: nothing was compared
    comparison: Comparison | None = None

    def count(self, severity: str) -> int:
        """How many findings are of that severity."""
        return sum(one.severity == severity for one in self.findings)


def build(run: Compilation, changes: Iterable[Change] | None, comparison: Comparison | None) -> Report:
    """The report of one run. A run with errors has findings only."""
    findings = tuple(_finding(one) for one in sorted(run.diagnostics, key=_by_severity))
    plan = run.plan
    if plan is None or run.diagnostics.has_errors:
        return Report(run.name, findings)
    verdict, options = _less(plan)
    lines, total, notes = _cost(plan)
    decided = tuple(_choice(subject, text, one) for subject, (text, one) in words.decisions(plan).items())
    return Report(
        name=plan.name,
        findings=findings,
        is_planned=True,
        title=words.title(plan),
        chosen=_chosen(plan),
        figures=_figures(plan),
        reasons=tuple(
            (one.title, one.choice, one.because)
            for one in decided
            if one.subject in ("machine", "capacity", "location")
        ),
        cost=lines,
        cost_total=total,
        cost_span="for the job" if plan.estimate.train_hours else "a month",
        cost_notes=notes,
        verdict=verdict,
        options=options,
        advice=_advice(plan),
        would_change=tuple(text for one in decided for text in one.would_change),
        charts=_charts(plan),
        memory=_memory(plan.estimate.memory) if plan.estimate.memory else None,
        room=_room(plan.estimate),
        binding=plan.estimate.binding,
        estimates=_estimates(plan.estimate),
        assumptions=plan.estimate.assumptions,
        choices=decided,
        resources=_resources(run),
        quotas=tuple(
            (one.metric, one.region, one.amount, "; ".join(filter(None, (one.dimension, one.note))))
            for one in plan.quotas
        ),
        labels=plan.labels,
        container=(plan.program.container or "") if plan.program else "",
        command=plan.program.command if plan.program else (),
        changes=None
        if changes is None
        else tuple((one.kind.value, one.path) for one in changes if one.kind is not Kind.UNCHANGED),
        comparison=comparison,
    )


_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def _by_severity(one: Diagnostic) -> int:
    return _ORDER.index(one.severity)


def _finding(one: Diagnostic) -> Finding:
    span = one.span
    place = f"{span.file}:{span.line}:{span.column}" if span else ""
    return Finding(one.severity.value, one.code, place, one.message, one.label, one.why, one.help)


def _chosen(plan: Plan) -> str:
    """Machines, how they are obtained and where, in a sentence."""
    region = plan.location.choice.region
    return f"{words.machines(plan.machine.choice)}, {words.capacity(plan)}, in {region.name} ({region.location})"


def _figures(plan: Plan) -> tuple[Figure, ...]:
    estimate, costs = plan.estimate, plan.estimate.costs
    found = []
    if costs.total is None:
        found.append(Figure("Cost", "not known", ("the tables have no price for the machines",)))
    elif estimate.usd_total:
        notes = (words.spread(estimate.usd_total, "USD"), f"{units.usd(costs.total)} an hour")
        found.append(Figure("Cost of the job", units.usd(estimate.usd_total.expected), notes))
    else:
        month = f"{units.usd(costs.total * units.HOURS_PER_MONTH)} a month"
        said = [month]
        if estimate.usd_per_million_tokens:
            price = words.per_million_tokens(estimate.usd_per_million_tokens)
            said.append(f"{price} a million {estimate.tokens_priced} tokens")
        found.append(Figure("Cost an hour", units.usd(costs.total), tuple(said)))
    if estimate.kg_co2e_total:
        total = estimate.kg_co2e_total
        found.append(Figure("CO2e of the job", f"{units.figure(total.expected)} kg", (words.spread(total, "kg"),)))
    elif estimate.kg_co2e_per_hour:
        hourly = estimate.kg_co2e_per_hour
        notes = (words.spread(hourly, "kg"), f"{units.figure(hourly.expected * units.HOURS_PER_MONTH)} kg a month")
        found.append(Figure("CO2e an hour", f"{units.figure(hourly.expected)} kg", notes))
    if estimate.train_hours:
        found.append(
            Figure(
                "Time", f"{units.figure(estimate.train_hours.expected)} h", (words.spread(estimate.train_hours, "h"),)
            )
        )
    if estimate.tokens_per_second:
        rate = estimate.tokens_per_second
        found.append(Figure("Speed", f"{units.figure(rate.expected)} tokens/s", (words.spread(rate, "tokens/s"),)))
    if estimate.ttft_ms and estimate.tpot_ms:
        then = f"then {units.figure(estimate.tpot_ms.expected)} ms a token"
        found.append(Figure("First token", f"{units.figure(estimate.ttft_ms.expected)} ms", (then,)))
    return tuple(found)


def _estimates(estimate: Estimate) -> tuple[tuple[str, str], ...]:
    """Every modelled figure with its range."""
    ranges = (
        ("cost of the job", estimate.usd_total, "USD"),
        ("time", estimate.train_hours, "h"),
        ("speed", estimate.tokens_per_second, "tokens/s"),
        ("first token", estimate.ttft_ms, "ms"),
        ("each token after it", estimate.tpot_ms, "ms"),
        ("model FLOP utilisation", estimate.mfu.scaled(100) if estimate.mfu else None, "%"),
        ("energy", estimate.energy_kwh_per_hour, "kWh an hour"),
        ("emissions", estimate.kg_co2e_per_hour, "kg CO2e an hour"),
        ("emissions of the job", estimate.kg_co2e_total, "kg CO2e"),
        (
            "emissions, if the hourly carbon-free share counts as free of them",
            estimate.kg_co2e_per_hour_beyond_cfe,
            "kg CO2e an hour",
        ),
    )
    found = [(name, words.estimated(value, unit)) for name, value, unit in ranges if value]
    if estimate.checkpoint:
        found.append(("checkpoint", words.checkpoint(estimate.checkpoint)))
    return tuple(found)


def _cost(plan: Plan) -> tuple[tuple[CostLine, ...], CostLine, tuple[str, ...]]:
    """The bill line by line, its total, and what has to be said about it."""
    costs, hours = plan.estimate.costs, _hours(plan.estimate)
    lines = [_charge(one, hours) for one in costs.charges]
    notes = [f"List prices of {units.day(costs.as_of)}, without taxes and discounts."]
    if not plan.estimate.train_hours:
        notes.append(f"A month has {units.HOURS_PER_MONTH:g} hours.")
    if any(line.hour is None for line in lines):
        notes.append("What has no price in the tables, or no quantity that anybody knows before, is not in the total.")
    notes += [f"{label.capitalize()}: {'; '.join(names)}." for label, names in words.reservations(costs)[1:] if names]
    return tuple(lines), _cost_line("", "total of what has a price", costs.total, hours), tuple(notes)


def _charge(one: Charge, hours: float) -> CostLine:
    """A line of the bill, or what a unit of it costs where nobody knows how many there will be."""
    name = f"{one.quantity:g} × {one.name}" if one.unit == "machine-hour" and one.quantity else one.name
    line = _cost_line(one.part, name, one.usd_per_hour, hours)
    if one.quantity is None and one.usd_per_unit is not None:
        return replace(line, note=f"{one.usd_per_unit:g} USD a {UNIT_NAMES[one.unit]}")
    return line


def _hours(estimate: Estimate) -> float:
    """The span that the bill is for: a job's expected time, a month of a service."""
    return estimate.train_hours.expected if estimate.train_hours else units.HOURS_PER_MONTH


def _cost_line(part: str, name: str, hour: float | None, hours: float) -> CostLine:
    if hour is None:
        return CostLine(part, name, None, None)
    return CostLine(part, name, units.usd(hour), units.usd(hour * hours))


def _usd(one: Alternative) -> float | None:
    return one.usd_per_hour if one.usd_total is None else one.usd_total


def _kg(one: Alternative) -> float | None:
    return one.kg_co2e_per_hour if one.kg_co2e_total is None else one.kg_co2e_total


def _span(one: Alternative) -> str:
    return "for the job" if one.usd_total is not None or one.kg_co2e_total is not None else "an hour"


def _less(plan: Plan) -> tuple[str, tuple[Option, ...]]:
    """Whether a candidate that would do costs less than the choice, and those that cost or emit less."""
    ranked = plan.machine.ranked
    if ranked is None:
        return "", ()
    chosen, kg = _usd(ranked), _kg(ranked)
    machines, places = len(plan.machine.alternatives) + 1, len(_regions(plan)) + 1
    if chosen is None:
        if any(_usd(one) is not None for one in plan.machine.alternatives):
            return "Not known: the tables have no price for the choice, and what has none cannot be compared.", ()
        pool = f"{units.many(machines, 'sufficient machine')} as {plan.capacity.choice.model}"
        return f"Not known: the tables have no price for any of {pool}." + (" Emissions decided." if kg else ""), ()
    options = _unique(_options(plan))
    cheaper = [one for one in options if (_usd(one.candidate) or chosen) < chosen]
    asked = [one for one in cheaper if one.is_as_asked]
    unasked = [one for one in cheaper if not one.is_as_asked]
    pool = f"{units.many(machines, 'sufficient machine')} and {units.many(places, 'region')} for the one chosen"
    verdict = f"Nothing cheaper meets the need as asked: compared were {pool}, at list prices."
    if asked:
        rule = _ranking(plan)
        aim = f": {rule.summary[:1].lower()}{rule.summary[1:].rstrip('.')}" if rule else ""
        verdict = f"Compared were {pool}: {units.many(len(asked), 'choice')} would cost less and ranked behind{aim}."
    if unasked:
        ways = " or ".join(sorted({one.candidate.capacity for one in unasked}))
        verdict += f" {units.many(len(unasked), 'choice')} would cost less as {ways}, which has to be asked for."
    cleaner = [one for one in options if kg and (_kg(one.candidate) or kg) < kg and one not in cheaper]
    found = sorted(cheaper, key=lambda one: _usd(one.candidate) or 0.0)[:3]
    found += sorted(cleaner, key=lambda one: _kg(one.candidate) or 0.0)[:2]
    return verdict, tuple(_option(one, ranked) for one in found)


def _advice(plan: Plan) -> tuple[Option, ...]:
    """The changes that were decided anew, with what each saves of the whole."""
    estimate = plan.estimate
    usd = estimate.usd_total.expected if estimate.usd_total else estimate.costs.total
    emitted = estimate.kg_co2e_total or estimate.kg_co2e_per_hour
    found = []
    for one in plan.advice:
        saved = (
            (one.usd_total or one.usd_per_hour, usd, "cost"),
            (one.kg_co2e_total or one.kg_co2e_per_hour, emitted and emitted.expected, "CO2e"),
        )
        shares = [
            f"{words.percentage(-less / whole)} {noun}" for less, whole, noun in saved if less is not None and whole
        ]
        found.append(Option(words.advice(one), ", ".join(shares), note=one.because))
    return tuple(found)


class _Considered(Struct, frozen=True):
    """Something else that would do, and whether it can be had the way that was asked for."""

    candidate: Alternative
    text: str
    is_as_asked: bool


def _options(plan: Plan) -> Iterable[_Considered]:
    """Other machines, the same in other places, and the same obtained otherwise."""
    chosen = plan.machine.ranked
    for one in plan.machine.alternatives:
        is_as_asked = not one.is_last_resort or (chosen is not None and chosen.is_last_resort)
        yield _Considered(one, f"{one.candidate} in {one.region}", is_as_asked)
    for one in plan.location.alternatives:
        yield _Considered(one, f"the same machines in {one.candidate}", True)
    refused = {one.candidate for one in plan.capacity.rejected}
    for one in plan.capacity.alternatives:
        yield _Considered(one, f"the same machines as {one.candidate}", one.candidate not in refused)


def _unique(found: Iterable[_Considered]) -> list[_Considered]:
    """Without those that only repeat another's figures in the same place."""
    kept: dict[tuple[str, ...], _Considered] = {}
    for one in found:
        other = one.candidate
        kept.setdefault((other.region, other.capacity, words.price(other), words.emissions(other)), one)
    return list(kept.values())


def _option(one: _Considered, chosen: Alternative) -> Option:
    other = one.candidate
    price = words.price(other) if _usd(other) is not None else "price not known"
    text = f"{one.text}: {price}, {words.emissions(other)} CO2e {_span(other)}"
    savings = []
    for value, base, noun in ((_usd(other), _usd(chosen), "cost"), (_kg(other), _kg(chosen), "CO2e")):
        if value is not None and base:
            savings.append(f"{words.percentage(value / base - 1)} {noun}")
    return Option(text + (f"; takes {other.needs}" if other.needs else ""), ", ".join(savings), _argument(other))


def _argument(one: Alternative) -> str:
    """What to add to the command to take it."""
    return f"--set {shlex.quote(one.setting)}" if one.setting else ""


def _regions(plan: Plan) -> list[Alternative]:
    """The best of each other region that has the machines."""
    found: dict[str, Alternative] = {}
    for one in plan.location.alternatives:
        if one.region != plan.location.choice.region.name:
            found.setdefault(one.region, replace(one, candidate=one.region))
    return list(found.values())


def _ranking(plan: Plan) -> Rule | None:
    """The last rule of the ranking that the choice of the machines names."""
    ranks = [one.rule for one in plan.machine.because if one.rule.startswith("K")]
    return CATALOGUE.get(ranks[-1]) if ranks else None


def _choice(subject: str, text: str, decision: Decision[object]) -> Choice:
    title = SUBJECTS.get(subject) or f"Storage of {subject.removeprefix('storage.')}"
    return Choice(
        subject=subject,
        title=title,
        choice=text,
        because=tuple(Why(one.rule, rule_name(one.rule), one.text) for one in decision.because),
        ranked=_rows(decision),
        removed=_removed(decision),
        would_change=decision.would_change,
    )


def rule_name(id: str) -> str:
    """The name of a rule, "" for an id that is none."""
    return CATALOGUE[id].name if id in CATALOGUE else ""


def _rows(decision: Decision[object]) -> tuple[Row, ...]:
    """The choice and what ranked behind it."""
    chosen = decision.ranked
    rows = [_row(chosen, chosen, True)] if chosen else []
    return tuple(rows + [_row(one, chosen, False) for one in decision.alternatives])


def _row(one: Alternative, chosen: Alternative | None, is_chosen: bool) -> Row:
    usd, base = _usd(one), _usd(chosen) if chosen else None
    difference = words.percentage(usd / base - 1) if not is_chosen and usd is not None and base else ""
    how = ", ".join(
        part
        for part in (one.capacity, one.region, one.needs and f"takes {one.needs}")
        if part and part != one.candidate
    )
    if chosen is None:
        return Row(one.candidate, one.because, "", "", "", _argument(one), is_chosen)
    return Row(one.candidate, how, words.price(one), difference, words.emissions(one), _argument(one), is_chosen)


def _removed(decision: Decision[object]) -> tuple[Removed, ...]:
    by_rule: dict[str, dict[str, list[str]]] = {}
    for one in decision.rejected:
        by_rule.setdefault(one.rule, {}).setdefault(one.because, []).append(one.candidate)
    return tuple(
        Removed(
            rule,
            rule_name(rule),
            CATALOGUE[rule].summary if rule in CATALOGUE else "",
            sum(len(names) for names in reasons.values()),
            tuple((because, tuple(names)) for because, names in reasons.items()),
        )
        for rule, reasons in by_rule.items()
    )


def _charts(plan: Plan) -> tuple[Charts, ...]:
    found = []
    for key, title, noun, decision, others in (
        ("machines", "Machines that would do", "machine", plan.machine, plan.machine.alternatives),
        ("regions", "The same machines elsewhere", "region", plan.location, _regions(plan)),
        ("models", "Other ways to obtain them", "capacity model", plan.capacity, plan.capacity.alternatives),
    ):
        chosen = decision.ranked
        if chosen and others:
            rows = (_row(chosen, chosen, True), *(_row(one, chosen, False) for one in others))
            found.append(_charts_of(key, title, noun, [chosen, *others], rows))
    return tuple(found)


def _charts_of(key: str, title: str, noun: str, ranked: Sequence[Alternative], rows: tuple[Row, ...]) -> Charts:
    shown = ranked[:MOST_BARS]
    span = _span(ranked[0])
    measures = (
        ("cost", f"Cost, USD {span}", _usd, words.price),
        ("emissions", f"Emissions, kg CO2e {span}", _kg, words.emissions),
    )
    charts = []
    for measure, name, value_of, text_of in measures:
        longest = max((value_of(one) or 0.0 for one in shown), default=0.0)
        if all(value_of(one) is None for one in shown):
            continue  # nothing to draw; the table says that it is not known
        bars = []
        for index, one in enumerate(shown):
            value, row = value_of(one), rows[index]
            share = value / longest if value is not None and longest else None
            label = row.name + ("" if row.how == rows[0].how or key != "machines" else f", {row.how}")
            bars.append(Bar(row.name, label, text_of(one), share, row.is_chosen))
        description = "; ".join(f"{bar.full_label}: {bar.value}" for bar in bars)
        charts.append(Chart(name, description, measure, tuple(bars)))
    text = f"{units.many(len(ranked), noun)}, in the order of the ranking; the first is the choice."
    return Charts(key, title, text, tuple(charts), rows, len(shown))


def _memory(memory: Memory) -> MemoryBar:
    parts, start = [], 0.0
    for key, name in words.MEMORY_PARTS:
        gib = getattr(memory, key)
        if gib >= 0.05:
            share = gib / memory.usable
            parts.append(Part(key, name, f"{gib:.1f} GiB", start, share))
            start += share
    free = memory.usable - memory.total
    if free >= 0.05:
        parts.append(Part("free", "free", f"{free:.1f} GiB", start, free / memory.usable))
    return MemoryBar(words.memory_sum(memory), tuple(parts), f"{memory.total:.1f} GiB", f"{memory.usable:.1f} GiB")


def _room(estimate: Estimate) -> tuple[Room, ...]:
    return tuple(
        Room(
            words.margin(one),
            f"{one.needed:,.4g} of {one.available:,.4g} {one.unit}",
            f"{one.share:.0%}",
            min(max(1 - one.share, 0.0), 1.0),
        )
        for one in estimate.margins
    )


def _resources(run: Compilation) -> tuple[Resource, ...]:
    """Resources with the file they stand in and the resources they refer to."""
    if run.stack is None or run.files is None:
        return ()
    found = dependencies.resources(run.files)
    return tuple(
        Resource(address, provider, found[address].file, found[address].needs)
        for address, provider in run.stack.resources
        if address in found
    )
