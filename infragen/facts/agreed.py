"""Negotiated prices: a table that takes the place of list prices.

Takes the text of a CSV file with the columns ``item``, ``region`` and ``usd``, and ``kind``, ``unit`` and ``as_of`` where they
are needed; items, regions and kinds are those that ``infragen catalog prices`` prints. Gives `AgreedPrices`. Promises: a row
that cannot be used is an error at its cell; nothing is guessed.
"""

import csv
import difflib
import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from msgspec import Struct

from infragen.diagnostics import Diagnostics, Span, declare
from infragen.facts.load import EVERYWHERE, Catalog
from infragen.facts.model import AgreedPrices, Price, ServicePrice
from infragen.units import earliest

AGREED = declare(
    "X003",
    "price-table",
    """Take negotiated prices only for what is billed, and only prices that can be.

    Why: a misspelt item would silently leave the list price in place, and a wrong sign would make the dearest plan the cheapest.
    Example: a row for `a3-highgpu-8` is an error that suggests a3-highgpu-8g; so is a price of -3.
    """,
    source="docs/facts.md",
)
NEGOTIATED = "negotiated"  # a confidence
NEEDED, OTHERS = ("item", "region", "usd"), ("kind", "unit", "as_of")
KINDS = ("on_demand", "spot", "cud_1y", "cud_3y", "flex_start_inferred", "dws_unspecified")
Scope = Literal["machine", "per_gpu", "per_chip"]


LEAST_USD, MOST_USD = 1e-9, 1e6  # of a unit: a slip of the keyboard lies beyond, and would decide every plan
MAX_BYTES = 16 * 2**20  # of the file: a price of everything in every region is a tenth of it
MAX_LINE = 10_000  # characters
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Row(Struct, frozen=True):
    """A line of the file: its cells by column, and where each stands."""

    cells: dict[str, str]
    spans: dict[str, Span]


def read(name: str, text: str, catalog: Catalog, diags: Diagnostics) -> AgreedPrices:
    """The prices of the file; what is wrong with it is reported."""
    lines = text.splitlines()
    header = next(csv.reader([lines[0][:MAX_LINE]] if lines else []), [])
    if not _is_header(name, lines, header, diags):
        return AgreedPrices()
    machines: dict[tuple[str, str, str], Price] = {}
    services: dict[tuple[str, str, str, str], ServicePrice] = {}
    for row in _rows(name, lines, header, diags):
        usd, region = _usd(row, diags), _region(row, catalog, diags)
        scope, is_known = _scope(row.cells["item"], catalog), _is_known(row, catalog, diags)
        if usd is None or region is None or not is_known or not _is_dated(row, diags):
            continue
        found = (
            _machine(row, scope, region, usd, catalog, diags) if scope else _service(row, region, usd, catalog, diags)
        )
        for one in found:
            taken: Price | ServicePrice
            if isinstance(one, Price):
                taken = machines.setdefault((one.item, one.region, one.kind), one)
            else:
                taken = services.setdefault((one.item, one.unit, one.region, one.kind), one)
            if taken is not one:
                message = f"`{one.item}` in {one.region} has a price already"
                diags.add(AGREED.error(message, row.spans["item"], "given twice", "remove one of the two rows"))
                break
    if not machines and not services and not diags.has_errors:
        help = f"give each price a row below `{lines[0][:MAX_LINE]}`, or leave out `--prices`"
        diags.add(
            AGREED.warning("the price table holds no prices", Span(name, 1, 1, len(lines[0]), lines[0]), help=help)
        )
    return AgreedPrices(tuple(machines.values()), tuple(services.values()))


def _is_header(name: str, lines: list[str], header: list[str], diags: Diagnostics) -> bool:
    span = Span(name, 1, 1, max(len(lines[0]), 1) if lines else 1, lines[0] if lines else "")
    missing = [column for column in NEEDED if column not in header]
    unknown = [column for column in header if column not in (*NEEDED, *OTHERS)]
    form = (
        f"the first line is `{','.join(NEEDED)}`, and {', '.join(f'`{one}`' for one in OTHERS)} where they are needed"
    )
    if missing:
        diags.add(AGREED.error(f"the price table has no column `{missing[0]}`", span, "the header", form))
    elif unknown:
        diags.add(
            AGREED.error(f"unknown column `{unknown[0]}`", span, "the header", _meant(unknown[0], (*NEEDED, *OTHERS)))
        )
    elif len(set(header)) < len(header):
        diags.add(AGREED.error("a column stands twice", span, "the header", form))
    else:
        return True
    return False


def _rows(name: str, lines: list[str], header: list[str], diags: Diagnostics) -> Iterator[Row]:
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > MAX_LINE:
            span = Span(name, number, 1, 1, line[:100])
            diags.add(AGREED.error("a row is too long", span, f"{len(line):,} characters", "give each price a row"))
            continue
        cells = next(csv.reader([line]), [])
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            span = Span(name, number, 1, max(len(line), 1), line)
            label = f"{len(cells)} cells; the header has {len(header)}"
            diags.add(
                AGREED.error("a row does not fit the header", span, label, "give every column a cell, if an empty one")
            )
            continue
        spans, start = {}, 0
        for column, cell in zip(header, cells, strict=True):
            at = max(line.find(cell, start), start)
            spans[column] = Span(name, number, at + 1, max(len(cell), 1), line)
            start = at + len(cell)
        yield Row({column: cell.strip() for column, cell in zip(header, cells, strict=True)}, spans)


def _usd(row: Row, diags: Diagnostics) -> float | None:
    text, span = row.cells["usd"], row.spans["usd"]
    usd = float(text) if _NUMBER.fullmatch(text) else math.nan
    if LEAST_USD <= usd <= MOST_USD:
        return usd
    if math.isfinite(usd) and usd > 0:
        help = "give USD of one unit, as `infragen catalog prices` does"
        label = f"between {LEAST_USD:g} and {MOST_USD:,.0f} USD is what a unit can cost"
        diags.add(AGREED.error(f"a price of {text} USD", span, label, help))
        return None
    if math.isfinite(usd):
        message, label = f"a price of {text} USD", "negative" if usd < 0 else "zero would make it free"
        diags.add(
            AGREED.error(message, span, label, "give what a unit costs, or remove the row: the list price then holds")
        )
    else:
        diags.add(AGREED.error(f"`{text}` is not a price", span, "not a number", "give USD of a unit, like `2.45`"))
    return None


def _region(row: Row, catalog: Catalog, diags: Diagnostics) -> str | None:
    region = row.cells["region"] or EVERYWHERE
    if region == EVERYWHERE or region in catalog.regions:
        return region
    help = f"{_meant(region, catalog.regions)}; `{EVERYWHERE}` holds for all"
    diags.add(AGREED.error(f"unknown region `{region}`", row.spans["region"], "not in the catalogue", help))
    return None


def _is_dated(row: Row, diags: Diagnostics) -> bool:
    text = row.cells.get("as_of", "")
    try:
        return not text or bool(earliest(text))
    except ValueError:
        diags.add(
            AGREED.error(
                f"`{text}` is not a date",
                row.spans["as_of"],
                "",
                "write it like `2026-11-21`, or `2026` where that is all that is known",
            )
        )
        return False


def _scope(item: str, catalog: Catalog) -> Scope | None:
    """What a price of the item is of; None where it is no machine and no accelerator."""
    if item in catalog.machines or item in catalog.host_machines:
        return "machine"
    kinds = {chip.kind for chip in catalog.accelerators.values() if chip.price_item == item}
    return {"gpu": "per_gpu", "tpu": "per_chip"}[kinds.pop()] if kinds else None  # type: ignore[return-value]


def _is_known(row: Row, catalog: Catalog, diags: Diagnostics) -> bool:
    item = row.cells["item"]
    if _scope(item, catalog) or catalog.service_prices(item) or item in catalog.storage_services:
        return True
    chips = {chip.price_item for chip in catalog.accelerators.values() if chip.price_item}
    known = {*catalog.machines, *catalog.host_machines, *chips, *catalog.service_items, *catalog.storage_services}
    diags.add(
        AGREED.error(f"unknown item `{item}`", row.spans["item"], "nothing of that name is billed", _meant(item, known))
    )
    return False


def _machine(
    row: Row, scope: Scope, region: str, usd: float, catalog: Catalog, diags: Diagnostics
) -> tuple[Price, ...]:
    """The price in the region, or in each."""
    kind, unit = row.cells.get("kind") or "on_demand", row.cells.get("unit", "")
    if kind not in KINDS:
        diags.add(AGREED.error(f"unknown kind `{kind}`", row.spans["kind"], "", _meant(kind, KINDS)))
        return ()
    if unit not in ("", "hour"):
        help = "leave `unit` empty: machines and accelerators are billed by the hour"
        diags.add(AGREED.error(f"unknown unit `{unit}`", row.spans["unit"], "", help))
        return ()
    return tuple(
        Price(
            row.cells["item"],
            scope,
            one,
            kind,
            usd,
            _includes(row, scope, catalog),
            row.cells.get("as_of", ""),
            True,
            NEGOTIATED,
        )
        for one in (sorted(catalog.regions) if region == EVERYWHERE else (region,))
    )


def _includes(row: Row, scope: Scope, catalog: Catalog) -> str:
    """What the list price covers: the agreed one is taken to cover the same."""
    listed = next((one for one in catalog.prices(row.cells["item"]).values() if one.scope == scope), None)
    return listed.includes if listed else "vcpu+ram+gpu+local_ssd"


def _service(row: Row, region: str, usd: float, catalog: Catalog, diags: Diagnostics) -> tuple[ServicePrice, ...]:
    item, unit, kind = row.cells["item"], row.cells.get("unit", ""), row.cells.get("kind") or "on_demand"
    listed = catalog.service_prices(item)
    units = sorted({one.unit for one in listed}) or ["gib-month"]
    if unit not in units and (unit or len(units) > 1):
        message = f"unknown unit `{unit}` of `{item}`" if unit else f"`{item}` is billed in several units"
        span = row.spans.get("unit", row.spans["item"])
        diags.add(AGREED.error(message, span, "", f"set `unit` to {' or '.join(f'`{one}`' for one in units)}"))
        return ()
    kinds = sorted({one.kind for one in listed} | {"on_demand"})
    if kind not in kinds:
        diags.add(AGREED.error(f"unknown kind `{kind}` of `{item}`", row.spans["kind"], "", _meant(kind, kinds)))
        return ()
    included = next((one.included for one in listed if one.unit == (unit or units[0])), None)
    return (ServicePrice(item, unit or units[0], region, kind, usd, included, row.cells.get("as_of", ""), NEGOTIATED),)


def _meant(text: str, known: Collection[str] | Iterable[str]) -> str:
    close = difflib.get_close_matches(text, list(known), n=3, cutoff=0.6)
    return (
        f"did you mean {' or '.join(f'`{one}`' for one in close)}?" if close else "`infragen catalog prices` lists them"
    )
