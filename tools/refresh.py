"""Renews the tables of the world from their live sources, and says what changed. The only code that asks Google anything.

    python tools/refresh.py prices [--today 2026-11-21]           Cloud Billing catalogue
    python tools/refresh.py machines --project PROJECT            machine types and accelerators of each zone
    python tools/refresh.py carbon --year 2024 [--file FILE]      the published table of regions

The client libraries come with `pip install --group refresh`; they find the caller's own credentials. What a source does not
have stays as it is: rows that people entered, their notes, and how sure they are. `git diff` is the review.
"""

import argparse
import csv
import io
import re
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from json import dumps, loads
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "infragen" / "facts" / "data"
SKUS = Path(__file__).with_name("skus.csv")
COMPUTE = "services/6F81-5844-456A"  # Compute Engine in the billing catalogue
CARBON = "https://raw.githubusercontent.com/GoogleCloudPlatform/region-carbon-info/main/data/yearly/{year}.csv"
HOURS_PER_MONTH = 730.0
MARK_CFE, MARK_GRID_G = 0.75, 200.0  # Google's low-carbon mark
LISTED_MOST = 20  # changes of a table that are printed one by one
BILLING, LISTS, REGIONS = "L01", "L02", "S12;S13"  # sources, docs/facts.md
Row = dict[str, str]
Rate = tuple[str, str, str, str, str]  # part, name, unit, kind, region


@dataclass
class Table:
    """A CSV file: its rows as they were and as they are now."""

    folder: Path
    name: str
    key: tuple[str, ...]
    header: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    before: dict[tuple[str, ...], Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with (self.folder / f"{self.name}.csv").open(newline="", encoding="utf-8") as stream:
            lines = csv.DictReader(stream)
            self.header, self.rows = list(lines.fieldnames or ()), list(lines)
        self.before = {self.key_of(row): dict(row) for row in self.rows}

    def key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(row[part] for part in self.key)

    def add(self, row: Row) -> None:
        """A row after the last one of its first key, with empty cells for what is not given."""
        whole = dict.fromkeys(self.header, "") | row
        same = [index for index, one in enumerate(self.rows) if one[self.key[0]] == row[self.key[0]]]
        self.rows.insert(same[-1] + 1 if same else len(self.rows), whole)

    def write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        (self.folder / f"{self.name}.csv").write_text(text.getvalue(), encoding="utf-8")

    def changes(self) -> list[str]:
        """What is new, gone or different, cell by cell; dates, sources and confidence come with the rest."""
        now = {self.key_of(row): row for row in self.rows}
        found = [f"+ {' '.join(key)}" for key in now.keys() - self.before.keys()]
        found += [f"- {' '.join(key)}" for key in self.before.keys() - now.keys()]
        for key in now.keys() & self.before.keys():
            cells = [column for column in self.header if now[key][column] != self.before[key][column]]
            told = [one for one in cells if one not in ("as_of", "sources", "confidence")]
            found += [f"~ {' '.join(key)}: {one} {_moved(self.before[key][one], now[key][one])}" for one in told]
        return sorted(found)


def _moved(before: str, now: str) -> str:
    try:
        return f"{before} -> {now} ({float(now) / float(before) - 1:+.1%})"
    except (ValueError, ZeroDivisionError):
        return f"{before or 'nothing'} -> {now or 'nothing'}"


# Cloud Billing catalogue


def listed_skus() -> Iterable[Mapping[str, Any]]:
    """Every SKU of Compute Engine, as plain data."""
    from google.cloud import billing_v1  # noqa: PLC0415  (not installed where nothing is renewed)

    client = billing_v1.CloudCatalogClient()
    return (billing_v1.Sku.to_dict(sku) for sku in client.list_skus(parent=COMPUTE))


def usd_of(sku: Mapping[str, Any], unit: str) -> float | None:
    """USD of a unit, at the first rate that is not free; None for a SKU without one.

    A unit of the tables is an hour, or a month of 730 hours.
    """
    if not sku["pricing_info"]:
        return None
    expression = sku["pricing_info"][-1]["pricing_expression"]
    rates = [
        int(tier["unit_price"]["units"] or 0) + tier["unit_price"]["nanos"] / 1e9 for tier in expression["tiered_rates"]
    ]
    usd = next((rate for rate in rates if rate > 0), None)
    if usd is None:
        return None
    is_hourly = bool(re.search(r"(^|\.)h$", expression["usage_unit"]))
    if unit == "hour":
        return usd if is_hourly else usd / HOURS_PER_MONTH
    return usd * HOURS_PER_MONTH if is_hourly else usd


def rates_of(skus: Iterable[Mapping[str, Any]], patterns: Iterable[Row]) -> tuple[dict[Rate, float], list[str]]:
    """What each part costs in each region; and parts that several SKUs price differently, which are left alone."""
    known = [(re.compile(one["pattern"]), one) for one in patterns]
    found: dict[Rate, float] = {}
    disputed: dict[Rate, str] = {}
    for sku in skus:
        for pattern, one in known:
            usd = usd_of(sku, one["unit"]) if pattern.search(sku["description"]) else None
            for region in sku["service_regions"] if usd is not None else ():
                rate = (one["part"], one["name"], one["unit"], one["kind"], region)
                if found.setdefault(rate, usd or 0.0) != usd:
                    disputed[rate] = f"? {' '.join(rate)}: several prices in the catalogue, left as it was"
    return {rate: usd for rate, usd in found.items() if rate not in disputed}, sorted(disputed.values())


def refresh_prices(folder: Path, skus: Iterable[Mapping[str, Any]], today: date) -> list[str]:
    """Prices of machines, accelerators, general-purpose series and disks. A price that the catalogue lacks stays."""
    with SKUS.open(newline="", encoding="utf-8") as stream:
        rates, notes = rates_of(skus, csv.DictReader(stream))
    stamp = {"as_of": today.isoformat(), "confidence": "single-source", "sources": BILLING}
    tables = (
        _machine_prices(folder, rates, stamp),
        _host_prices(folder, rates, stamp),
        _service_prices(folder, rates, stamp),
    )
    return finish(folder, tables, today) + notes


def _machine_prices(folder: Path, rates: Mapping[Rate, float], stamp: Row) -> Table:
    table = Table(folder, "prices", ("item", "scope", "region", "kind"))
    machines = {row["name"]: row for row in Table(folder, "machine_types", ("name",)).rows}
    chips = {row["name"]: row for row in Table(folder, "accelerators", ("name",)).rows}
    for row in table.rows:
        machine = machines.get(row["item"])
        item = chips[machine["accelerator"]]["terraform_type"] if machine and machine["accelerator"] else ""
        usd = None
        if row["scope"] == "per_gpu":
            usd = rates.get(("gpu", row["item"], "hour", row["kind"], row["region"]))
        elif row["scope"] == "machine" and machine:
            usd = _sum(machine, item, row, rates)
        if usd is not None:
            row.update({"usd_per_hour": f"{usd:.6g}"} | stamp)
    return table


def _sum(machine: Row, item: str, row: Row, rates: Mapping[Rate, float]) -> float | None:
    """A machine from its parts: processors, memory, accelerators, and local disks where the price holds them."""
    kind, region = row["kind"], row["region"]
    parts = [
        (float(machine["vcpus"]), ("core", machine["series"], "hour", kind, region), 1.0),
        (float(machine["memory_gib"]), ("ram", machine["series"], "hour", kind, region), 1.0),
    ]
    if item:
        parts.append((float(machine["accelerators"]), ("gpu", item, "hour", kind, region), 1.0))
    if "local_ssd" in row["includes"]:
        parts.append(
            (float(machine["local_ssd_gib"]), ("service", "local-ssd", "gib-month", kind, region), HOURS_PER_MONTH)
        )
    if any(rate not in rates for _, rate, _ in parts):
        return None
    return sum(amount * rates[rate] / hours for amount, rate, hours in parts)


def _host_prices(folder: Path, rates: Mapping[Rate, float], stamp: Row) -> Table:
    table = Table(folder, "host_prices", ("series", "region", "kind"))
    series = {row["series"] for row in table.rows}
    regions = {row["name"] for row in Table(folder, "regions", ("name",)).rows}
    for part, name, unit, kind, region in sorted(rates):
        ram = rates.get(("ram", name, unit, kind, region))
        if (
            part != "core"
            or ram is None
            or name not in series
            or region not in regions
            or kind not in ("on_demand", "spot")
        ):
            continue
        core = rates[(part, name, unit, kind, region)]
        new = {
            "series": name,
            "region": region,
            "kind": kind,
            "usd_per_vcpu_hour": f"{core:.8f}",
            "usd_per_gb_hour": f"{ram:.8f}",
        }
        _put(table, new, stamp)
    return table


def _service_prices(folder: Path, rates: Mapping[Rate, float], stamp: Row) -> Table:
    table = Table(folder, "service_prices", ("item", "unit", "region", "kind"))
    regions = {row["name"] for row in Table(folder, "regions", ("name",)).rows}
    included = {(row["item"], row["unit"]): row["included"] for row in table.rows}
    for (part, name, unit, kind, region), usd in sorted(rates.items()):
        if part == "service" and region in regions:
            new = {"item": name, "unit": unit, "region": region, "kind": kind, "usd": f"{usd:.6g}"}
            _put(table, new | {"included": included.get((name, unit), "")}, stamp)
    return table


def _put(table: Table, new: Row, stamp: Row) -> None:
    """The row in the place of the one with its key, whose notes stay; else a row more."""
    for row in table.rows:
        if table.key_of(row) == table.key_of(new):
            row.update(new | stamp)
            return
    table.add(new | stamp)


# Compute Engine


def listed_machines(project: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Machine types and accelerator types of every zone that the project sees, as plain data."""
    from google.cloud import compute_v1  # noqa: PLC0415  (as above)

    types = compute_v1.MachineTypesClient().aggregated_list(project=project)
    chips = compute_v1.AcceleratorTypesClient().aggregated_list(project=project)
    return (
        [compute_v1.MachineType.to_dict(one) for _, scope in types for one in scope.machine_types],
        [
            compute_v1.AcceleratorType.to_dict(one) | {"zone": where.removeprefix("zones/")}
            for where, scope in chips
            for one in scope.accelerator_types
        ],
    )


def refresh_machines(
    folder: Path, types: Iterable[Mapping[str, Any]], chips: Iterable[Mapping[str, Any]], today: date
) -> list[str]:
    """Where machine types exist, and their size; general-purpose types that are new. Types with accelerators need a person."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in types:
        if not one.get("deprecated") or one["deprecated"].get("state", "") in ("", "ACTIVE"):
            by_name.setdefault(one["name"], []).append(one)
    zones = {name: {one["zone"].rpartition("/")[2] for one in found} for name, found in by_name.items()}
    machines = Table(folder, "machine_types", ("name",))
    for name, at in _attached_zones(machines, folder, chips).items():
        zones[name] = at
    for row in machines.rows:
        if row["name"] in by_name:
            row.update(_size(by_name[row["name"]][0]))
    hosts = _hosts(folder, by_name, zones)
    known = {row["name"] for row in (*machines.rows, *hosts.rows)}
    notes = [
        f"! {name}: new, with accelerators: enter it by hand (CONTRIBUTING.md)"
        for name in sorted(by_name.keys() - known)
        if by_name[name][0].get("accelerators")
    ]
    return finish(folder, (machines, hosts, _zones(folder, machines, zones)), today) + notes


def _size(one: Mapping[str, Any]) -> Row:
    return {"vcpus": str(one["guest_cpus"]), "memory_gib": f"{one['memory_mb'] / 1024:g}"}


def _attached_zones(machines: Table, folder: Path, chips: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Zones of the rules for attaching accelerators: those of the accelerator."""
    names = {row["name"]: row["terraform_type"] for row in Table(folder, "accelerators", ("name",)).rows}
    at: dict[str, set[str]] = {}
    for one in chips:
        at.setdefault(one["name"], set()).add(one["zone"].rpartition("/")[2])
    attached = (row for row in machines.rows if "+" in row["name"])
    return {row["name"]: at[names[row["accelerator"]]] for row in attached if names.get(row["accelerator"]) in at}


def _hosts(folder: Path, by_name: Mapping[str, list[Mapping[str, Any]]], zones: Mapping[str, set[str]]) -> Table:
    table = Table(folder, "host_machines", ("name",))
    series = {row["series"] for row in table.rows}
    for row in table.rows:
        if row["name"] in by_name:
            row.update(_size(by_name[row["name"]][0]) | {"zones": ";".join(sorted(zones[row["name"]]))})
    known = {row["name"] for row in table.rows}
    for name, found in sorted(by_name.items()):
        own, arch = name.partition("-")[0], found[0].get("architecture", "")
        if name in known or own not in series or found[0].get("accelerators") or "custom" in name:
            continue
        size = _size(found[0]) | {"zones": ";".join(sorted(zones[name]))}
        table.add(
            {"name": name, "series": own, "cpu_arch": _arch(arch), "confidence": "single-source", "sources": LISTS}
            | size
        )
    return table


def _arch(text: str) -> str:
    return "arm64" if text.upper() == "ARM64" else "x86_64"


def _zones(folder: Path, machines: Table, zones: Mapping[str, set[str]]) -> Table:
    """A zone that the list lacks is marked and stays: another project may see it."""
    table = Table(folder, "zones", ("machine_type", "region", "zone"))
    regions = {row["name"] for row in Table(folder, "regions", ("name",)).rows}
    listed = {name: at for name, at in zones.items() if name in {row["name"] for row in machines.rows}}
    for row in table.rows:
        at = listed.get(row["machine_type"])
        if at is not None and row["zone"]:
            row.update(
                {"is_listed": "yes" if row["zone"] in at else "no", "sources": LISTS, "confidence": "single-source"}
            )
    known = {(row["machine_type"], row["zone"]) for row in table.rows}
    for name, at in sorted(listed.items()):
        for zone in sorted(at):
            region = zone.rpartition("-")[0]
            if (name, zone) not in known and region in regions:
                new = {"machine_type": name, "region": region, "zone": zone, "is_listed": "yes"}
                table.add(new | {"confidence": "single-source", "sources": LISTS})
    return table


# Electricity of the regions


def published_carbon(year: int) -> str:
    """The table of that year, as text."""
    with urllib.request.urlopen(CARBON.format(year=year), timeout=30) as answer:
        return str(answer.read().decode("utf-8-sig"))


def refresh_carbon(folder: Path, text: str, year: int, today: date) -> list[str]:
    """Carbon-free share, grid factor and mark of each region. Country and residency groups stay; a region without them needs a person."""
    table, notes = Table(folder, "regions", ("name",)), []
    lines = csv.DictReader(text.splitlines())
    columns = {
        word: next((one for one in lines.fieldnames or () if word in one), "")
        for word in ("Region", "CFE", "intensity")
    }
    if not all(columns.values()):
        raise SystemExit(f"the published table has other columns now: {', '.join(lines.fieldnames or ())}")
    published = {row[columns["Region"]].strip(): row for row in lines}
    for row in table.rows:
        found = published.pop(row["name"], None)
        if found is None:
            notes.append(f"! {row['name']}: not in the published table, left as it was")
            continue
        share, grid = _share(found[columns["CFE"]]), _number(found[columns["intensity"]])
        row.update(
            {
                "cfe_fraction": "" if share is None else f"{share:g}",
                "grid_g_co2e_per_kwh": "" if grid is None else f"{grid:g}",
                "is_low_carbon": mark(share, grid),
                "carbon_year": str(year),
                "confidence": "verified",
                "sources": REGIONS,
            }
        )
    notes += [f"! {name}: new, enter its country and residency groups by hand" for name in sorted(published)]
    return finish(folder, (table,), today) + notes


def _number(cell: str) -> float | None:
    try:
        return float(cell.strip())
    except ValueError:
        return None


def _share(cell: str) -> float | None:
    """A share as the table writes it: 0.83 or 83%."""
    number = _number(cell.strip().removesuffix("%"))
    return number / 100 if number is not None and cell.strip().endswith("%") else number


def mark(share: float | None, grid: float | None) -> str:
    """Google's low-carbon mark: by the hourly share, and by the grid only where no share is published."""
    if share is not None:
        return "yes" if share >= MARK_CFE else "no"
    return "unknown" if grid is None else ("yes" if grid <= MARK_GRID_G else "no")


def finish(folder: Path, tables: Iterable[Table], today: date) -> list[str]:
    """Writes the tables and their date; a summary of what changed."""
    path = folder / "tables.json"
    dates, said = loads(path.read_text(encoding="utf-8")), []
    for table in tables:
        changes = table.changes()
        counts = {sign: sum(one.startswith(sign) for one in changes) for sign in "+-~"}
        said.append(f"{table.name}.csv: {counts['+']} added, {counts['-']} removed, {counts['~']} changed")
        said += [f"  {one}" for one in changes[:LISTED_MOST]]
        said += [f"  … and {len(changes) - LISTED_MOST} more"] if len(changes) > LISTED_MOST else []
        table.write()
        dates[f"{table.name}.csv"]["as_of"] = today.isoformat()
    path.write_text(dumps(dates, indent=1) + "\n", encoding="utf-8")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=("prices", "machines", "carbon"))
    parser.add_argument("--project", help="project whose view of machine types is taken")
    parser.add_argument("--year", type=int, default=datetime.now(UTC).year - 2, help="year of the carbon figures")
    parser.add_argument("--file", type=Path, help="carbon figures from a file")
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date())
    given = parser.parse_args()
    if given.table == "machines" and not given.project:
        parser.error("machines needs --project")
    renew: dict[str, Callable[[], list[str]]] = {
        "prices": lambda: refresh_prices(DATA, listed_skus(), given.today),
        "machines": lambda: refresh_machines(DATA, *listed_machines(given.project), given.today),
        "carbon": lambda: refresh_carbon(
            DATA,
            given.file.read_text(encoding="utf-8-sig") if given.file else published_carbon(given.year),
            given.year,
            given.today,
        ),
    }
    print("\n".join(renew[given.table]()))


if __name__ == "__main__":
    main()
