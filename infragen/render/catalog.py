"""Questions to the fact tables: rows that hold all words and pass all filters, sorted, as text, JSON or CSV.

A subject is a table, or tables of one kind joined, whose rows carry date, sources and confidence. A filter gives the values that
a row has; a row passes where the value asked for is among them, and a value that no row has is an error with what was
probably meant.
"""

import csv
import difflib
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, get_args

from msgspec import Struct

from infragen.decide import capacity
from infragen.decide.model import MONTHLY
from infragen.decide.pricing import PRICE_KINDS
from infragen.descriptor.model import CapacityModel
from infragen.diagnostics import CATALOGUE, CompileError, Diagnostics, declare
from infragen.facts.load import Catalog, Table
from infragen.units import HOURS_PER_MONTH

UNKNOWN_VALUE = declare(
    "Q001",
    "catalogue-value-unknown",
    """Ask the catalogue for values that it has.

    Why: a misspelt region gives an empty table, which reads like the answer that there is none.
    Example: `infragen catalog machines --region europe-west44` suggests europe-west4.
    """,
    source="docs/facts.md",
)

Row = dict[str, str]
FLAGS = {"yes": True, "no": False}
STAGES = {
    "D": "descriptor", "S": "sizing", "M": "machine", "C": "capacity", "R": "place", "K": "ranking", "T": "storage",
    "I": "image", "G": "group", "N": "plan", "X": "cost", "V": "terraform", "P": "policy", "E": "templates",
    "W": "writing", "Q": "catalogue",
}  # fmt: skip
"""Letter of a rule -> the stage it belongs to."""


class Facts:
    """The catalogue, with what several filters look up."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @cached_property
    def dates(self) -> dict[str, str]:
        """Table -> the date it was made."""
        tables = json.loads((self.catalog.folder / "tables.json").read_text(encoding="utf-8"))
        return {name.removesuffix(".csv"): table["as_of"] for name, table in tables.items()}

    def rows(self, name: str) -> list[Row]:
        """The rows of a table, each with a date."""
        table: Table = self.catalog.table(name)
        date = {"as_of": self.dates[name]}
        return [date | dict(zip(table.header, row, strict=True)) for row in table.rows]

    @cached_property
    def zones(self) -> dict[str, list[str]]:
        """Machine type -> its zones; a region where only that is known."""
        found: dict[str, list[str]] = {}
        for row in self.rows("zones"):
            if row["is_listed"] != "no":
                found.setdefault(row["machine_type"], []).append(row["zone"] or row["region"])
        return found

    @cached_property
    def accelerators_in(self) -> dict[str, set[str]]:
        """Region -> names and families of the accelerators that a machine there has."""
        found: dict[str, set[str]] = {}
        for machine, zones in self.zones.items():
            record = self.catalog.machines.get(machine)
            for zone in zones:
                found.setdefault(region_of(zone), set()).update(self.names_of(record.accelerator if record else None))
        return found

    def names_of(self, accelerator: str | None) -> set[str]:
        """An accelerator's name and its family's."""
        chip = self.catalog.accelerators.get(accelerator or "")
        return {chip.name, chip.family} if chip else set()


class Filter(Struct, frozen=True):
    """An option. ``values`` gives what a row has; ``shows`` is a column of lists that the text adds, cut to what was asked for."""

    help: str
    values: Callable[[Facts, Row], Collection[str]]
    shows: str = ""
    is_flag: bool = False  # asks for rows that have any value


class Subject(Struct, frozen=True):
    """What can be asked about: where the rows come from, the columns that people want first, and the options."""

    help: str
    rows: Callable[[Facts], list[Row]]
    columns: tuple[str, ...]
    key: str  # the column that names a row
    filters: Mapping[str, Filter]


class Answer(Struct, frozen=True):
    """The rows that were asked for, the columns for people, and how many rows there are in all."""

    subject: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    total: int


_LISTED, _EXAMPLES = 40, 3  # names that an error lists, or gives as examples of more


def region_of(zone: str) -> str:
    """The region of a zone, or the region itself.

    >>> region_of("europe-west4-a"), region_of("europe-west4")
    ('europe-west4', 'europe-west4')
    """
    head, _, letter = zone.rpartition("-")
    return head if len(letter) == 1 else zone


def parts(column: str) -> Callable[[Facts, Row], Collection[str]]:
    """The values of a column, which may be a list."""
    return lambda _, row: [part for part in row[column].split(";") if part]


def _machines(facts: Facts) -> list[Row]:
    """Types with accelerators and without, with the zones that they are in."""
    rows = [row | {"zones": ";".join(facts.zones.get(row["name"], ()))} for row in facts.rows("machine_types")]
    known = {row["name"] for row in rows}
    empty = dict.fromkeys(rows[0], "")
    return rows + [empty | host for host in facts.rows("host_machines") if host["name"] not in known]


def _models_of(facts: Facts, row: Row) -> Collection[str]:
    """Capacity models that a machine type can be had under."""
    record = facts.catalog.machines.get(row["name"])
    return [model for model in get_args(CapacityModel) if record and capacity.offered(facts.catalog, record, model)]


def _prices(facts: Facts) -> list[Row]:
    """Whole machines and accelerators, general-purpose series by vCPU and by GB of memory, and units of what else is billed."""
    rows = facts.rows("prices")
    empty = dict.fromkeys(rows[0], "")
    for row in facts.rows("host_prices"):
        for scope, column in (("per_vcpu", "usd_per_vcpu_hour"), ("per_gb", "usd_per_gb_hour")):
            found = {"item": row["series"], "scope": scope, "usd_per_hour": row[column], "is_buyable": "yes"}
            rows.append(empty | {key: row[key] for key in row.keys() & empty.keys()} | found)
    for row in facts.rows("service_prices"):
        usd = float(row["usd"])
        hourly = (
            f"{usd / HOURS_PER_MONTH:.8g}" if row["unit"] in MONTHLY else (row["usd"] if row["unit"] == "hour" else "")
        )
        found = {"scope": f"per_{row['unit'].replace('-', '_')}", "usd_per_hour": hourly, "is_buyable": "yes"}
        rows.append(empty | {key: row[key] for key in row.keys() & empty.keys()} | found)
    return rows


def _price_accelerator(facts: Facts, row: Row) -> Collection[str]:
    record = facts.catalog.machines.get(row["item"])
    if record:
        return facts.names_of(record.accelerator)
    return {
        name
        for chip in facts.catalog.accelerators.values()
        if chip.price_item == row["item"]
        for name in (chip.name, chip.family)
    }


def _rules(_: Facts) -> list[Row]:
    columns = ("id", "name", "summary", "why", "example", "source")
    return [{column: getattr(CATALOGUE[id], column) for column in columns} for id in sorted(CATALOGUE)]


SUBJECTS: Mapping[str, Subject] = {
    "machines": Subject(
        "Machine types: accelerators, size, and how they can be had.",
        _machines,
        ("name", "accelerator", "accelerators", "vcpus", "memory_gib", "network_gbps", "on_demand", "spot", "flex_start", "confidence", "sources"),
        "name",
        {
            "accelerator": Filter("With this accelerator, or one of its family.", lambda facts, row: facts.names_of(row["accelerator"])),
            "series": Filter("Of this series.", parts("series")),
            "region": Filter("That exist in this region.", lambda _, row: {region_of(zone) for zone in row["zones"].split(";") if zone}, shows="zones"),
            "zone": Filter("That exist in this zone.", parts("zones"), shows="zones"),
            "model": Filter("That can be had under this capacity model.", _models_of),
        },
    ),
    "accelerators": Subject(
        "Accelerators: memory, bandwidth, dense peaks, power.",
        lambda facts: facts.rows("accelerators"),
        ("name", "kind", "memory_gib", "usable_gib", "memory_bandwidth_gb_s", "bf16_tflops", "fp8_tflops", "tdp_w", "confidence", "sources"),
        "name",
        {
            "kind": Filter("GPUs or TPUs.", parts("kind")),
            "family": Filter("Of this family.", parts("family")),
            "precision": Filter("With units for this number format.", parts("native_formats")),
        },
    ),
    "models": Subject(
        "Published models: size and architecture.",
        lambda facts: facts.rows("models"),
        ("name", "hf_id", "parameters", "active_parameters", "layers", "max_context_tokens", "dtype", "confidence", "sources"),
        "name",
        {
            "family": Filter("Of this family.", parts("family")),
            "modality": Filter("Of this modality.", lambda _, row: {row["modality"]}),
            "license": Filter("Under this license.", lambda _, row: {row["license"]} - {""}),
        },
    ),
    "regions": Subject(
        "Regions: where they lie and how clean their electricity is.",
        lambda facts: facts.rows("regions"),
        ("name", "location", "country", "groups", "cfe_fraction", "grid_g_co2e_per_kwh", "is_low_carbon", "carbon_year", "confidence", "sources"),
        "name",
        {
            "residency": Filter("In this group of countries or this country.", lambda _, row: {*row["groups"].split(";"), row["country"]} - {""}),
            "low-carbon": Filter("With Google's low-carbon mark.", lambda _, row: {"yes"} & {row["is_low_carbon"]}, is_flag=True),
            "accelerator": Filter("Where a machine has this accelerator, or one of its family.", lambda facts, row: facts.accelerators_in.get(row["name"], ())),
        },
    ),
    "prices": Subject(
        "List prices in USD an hour.",
        _prices,
        ("item", "scope", "region", "kind", "usd_per_hour", "as_of", "is_buyable", "confidence", "sources"),
        "item",
        {
            "model": Filter("Billed under this capacity model.", lambda _, row: [model for model, kinds in PRICE_KINDS.items() if row["kind"] in kinds]),
            "kind": Filter("Of this kind.", parts("kind")),
            "region": Filter("In this region.", parts("region")),
            "accelerator": Filter("Of this accelerator and of machines that have it.", _price_accelerator),
            "scope": Filter("Of this: a machine, an accelerator, a vCPU.", parts("scope")),
        },
    ),
    "storage": Subject(
        "Storage services: limits and prices.",
        lambda facts: facts.rows("storage_services"),
        ("id", "product", "tier", "is_new", "posix", "scope", "min_gib", "max_gib", "confidence", "sources"),
        "id",
        {
            "service": Filter("The descriptor's word for it.", parts("service")),
            "posix": Filter("With this much of POSIX.", parts("posix")),
            "scope": Filter("Reachable from a zone, a region or one host.", parts("scope")),
            "protocol": Filter("That speaks this protocol.", parts("protocols")),
            "shared": Filter("That many machines can write at once.", lambda _, row: {"yes"} & {row["is_writable_shared"]}, is_flag=True),
        },
    ),
    "images": Subject(
        "Public images to start from.",
        lambda facts: facts.rows("image_families"),
        ("project", "family", "os", "arch", "driver", "fabrics", "confidence", "sources"),
        "family",
        {
            "project": Filter("Of this project.", parts("project")),
            "os": Filter("With this operating system.", lambda _, row: {row["os"], row["os"].rpartition(" ")[0]} - {""}),
            "arch": Filter("For this processor.", parts("arch")),
            "driver": Filter("With this driver.", parts("driver")),
        },
    ),
    "rules": Subject(
        "Everything that infragen chooses by and objects to.",
        _rules,
        ("id", "name", "summary"),
        "id",
        {"stage": Filter("Of this stage.", lambda _, row: {STAGES.get(row["id"][0], ""), row["id"][0]})},
    ),
}  # fmt: skip


def ask(
    catalog: Catalog,
    subject: str,
    words: Sequence[str],
    filters: Mapping[str, str],
    sort: str = "",
    descending: bool = False,
) -> Answer:
    """The rows of a subject. ``filters``: option -> value; of a flag any. Raises CompileError, whose diagnostics say what is unknown."""
    facts, about, diags = Facts(catalog), SUBJECTS[subject], Diagnostics()
    rows = kept = about.rows(facts)
    for word in words:
        holding = [row for row in rows if _holds(row, word)]
        if not holding:
            names = {row[about.key] for row in rows}
            diags.add(
                UNKNOWN_VALUE.error(f"no row of {subject} holds `{word}`", help=_suggestion(word, names, subject))
            )
        kept = [row for row in kept if _holds(row, word)]
    for option, value in filters.items():
        one = about.filters[option]
        of = [{name.casefold(): name for name in one.values(facts, row)} for row in rows]
        known = {name for names in of for name in names.values()}
        if not one.is_flag and value.casefold() not in {name.casefold() for name in known}:
            diags.add(
                UNKNOWN_VALUE.error(
                    f"no row of {subject} has the {option} `{value}`", help=_suggestion(value, known, subject)
                )
            )
        passing = {
            id(row)
            for row, names in zip(rows, of, strict=True)
            if (names if one.is_flag else value.casefold() in names)
        }
        kept = [row for row in kept if id(row) in passing]
    columns = tuple(rows[0])
    if sort and sort not in columns:
        diags.add(
            UNKNOWN_VALUE.error(f"`{sort}` is not a column of {subject}", help=_suggestion(sort, columns, subject))
        )
    if diags.has_errors:
        raise UnknownValueError(diags)
    if sort:
        kept = _sorted(kept, sort, descending)
    shown = [about.filters[option].shows for option in filters if about.filters[option].shows]
    cut = [
        _cut(
            row,
            {about.filters[option].shows: value for option, value in filters.items() if about.filters[option].shows},
        )
        for row in kept
    ]
    return Answer(subject, tuple(cut), tuple(dict.fromkeys((*about.columns, *shown))), len(rows))


class UnknownValueError(CompileError):
    """A question that holds a value which the tables do not have."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__()
        self.diagnostics = diagnostics


def _holds(row: Row, word: str) -> bool:
    return any(word.casefold() in cell.casefold() for cell in row.values())


def _cut(row: Row, lists: Mapping[str, str]) -> Row:
    """The row with only those parts of its lists that were asked for."""
    return row | {
        column: ";".join(part for part in row[column].split(";") if value.casefold() in (part, region_of(part)))
        for column, value in lists.items()
    }


def _suggestion(value: str, known: Iterable[str], subject: str) -> str:
    """What was probably meant, else what there is: all of it, or how to list it."""
    names = sorted(known)
    close = difflib.get_close_matches(value.casefold(), [name.casefold() for name in names], 3, 0.6)
    meant = [name for name in names if name.casefold() in close]
    if meant:
        return f"did you mean {' or '.join(f'`{name}`' for name in meant[:3])}?"
    if len(names) <= _LISTED:
        return f"known are {', '.join(names)}"
    some = ", ".join(names[:: len(names) // _EXAMPLES][:_EXAMPLES])
    return f"`infragen catalog {subject}` lists all {len(names):,}, such as {some}"


def _sorted(rows: list[Row], column: str, descending: bool) -> list[Row]:
    """By number where the column holds numbers, else by text; rows without a value come last."""
    known, unknown = [row for row in rows if row[column]], [row for row in rows if not row[column]]
    is_number = all(_number(row[column]) is not None for row in known)
    key: Callable[[Row], Any] = (
        (lambda row: _number(row[column])) if is_number else (lambda row: row[column].casefold())
    )
    return sorted(known, key=key, reverse=descending) + unknown


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def text(answer: Answer) -> str:
    """The most useful columns, aligned, numbers to the right; below them how many rows, and from when."""
    columns = answer.columns
    numeric = {
        column
        for column in columns
        if answer.rows and all(_number(row[column] or "0") is not None for row in answer.rows)
    }
    cells = [list(columns)] + [[row[column] for column in columns] for row in answer.rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([*lines, _footer(answer)]) + "\n"


def _footer(answer: Answer) -> str:
    counted = f"{len(answer.rows)} of {answer.total} {answer.subject}"
    dates = sorted({row["as_of"] for row in answer.rows if row.get("as_of")})
    dated = f", as of {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "") if dates else ""
    left = "; sources are listed in docs/facts.md, the other columns are in --format json and csv" if dates else ""
    return counted + dated + left


def as_json(answer: Answer) -> str:
    """All columns: numbers and truth values as such, what is not known as null."""
    if not answer.rows:
        return "[]"
    numeric = {
        column for column in answer.rows[0] if all(_number(row[column] or "0") is not None for row in answer.rows)
    }
    truth = {
        column for column in answer.rows[0] if all(row[column] in ("yes", "no", "unknown", "") for row in answer.rows)
    }

    def value(column: str, cell: str) -> object:
        if cell in ("", "unknown"):
            return None
        if column in truth:
            return FLAGS[cell]
        return json.loads(cell) if column in numeric and _is_json(cell) else cell

    found = [{column: value(column, cell) for column, cell in row.items()} for row in answer.rows]
    return json.dumps(found, ensure_ascii=False)


def _is_json(cell: str) -> bool:
    try:
        json.loads(cell)
    except ValueError:
        return False
    return True


def as_csv(answer: Answer) -> str:
    """All columns, as they stand in the tables."""
    stream = io.StringIO()
    columns = list(answer.rows[0]) if answer.rows else list(answer.columns)
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(answer.rows)
    return stream.getvalue()
