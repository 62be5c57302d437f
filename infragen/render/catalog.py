"""The fact tables as rows to read: filtered by words, as text or as data."""

import json
from typing import Any

from infragen.diagnostics import CATALOGUE
from infragen.facts.load import Catalog

TABLES = {
    "machines": ("machine_types", ("name", "accelerator", "accelerators", "vcpus", "memory_gib", "network_gbps", "on_demand", "spot", "flex_start", "confidence")),
    "accelerators": ("accelerators", ("name", "kind", "memory_gib", "usable_gib", "memory_bandwidth_gb_s", "bf16_tflops", "fp8_tflops", "tdp_w", "confidence")),
    "models": ("models", ("name", "hf_id", "parameters", "active_parameters", "layers", "max_context_tokens", "dtype", "confidence")),
    "regions": ("regions", ("name", "location", "country", "cfe_fraction", "grid_g_co2e_per_kwh", "is_low_carbon", "carbon_year", "confidence")),
    "prices": ("prices", ("item", "scope", "region", "kind", "usd_per_hour", "as_of", "is_buyable", "confidence")),
    "storage": ("storage_services", ("id", "product", "tier", "is_new", "posix", "scope", "min_gib", "max_gib", "usd_per_gib_month", "price_confidence")),
    "images": ("image_families", ("project", "family", "os", "arch", "driver", "confidence")),
}  # fmt: skip
RULE_COLUMNS = ("id", "name", "summary")


def rows(catalog: Catalog, subject: str, words: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a table that hold every word, in any column and any case."""
    if subject == "rules":
        found = [
            {column: getattr(CATALOGUE[id], column) for column in (*RULE_COLUMNS, "why", "example", "source")}
            for id in sorted(CATALOGUE)
        ]
    else:
        table = catalog.table(TABLES[subject][0])
        found = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    wanted = [word.casefold() for word in words]
    return [row for row in found if all(any(word in str(cell).casefold() for cell in row.values()) for word in wanted)]


def text(subject: str, rows: list[dict[str, Any]]) -> str:
    """The most useful columns, aligned, with the date of the table below."""
    columns = RULE_COLUMNS if subject == "rules" else TABLES[subject][1]
    cells = [list(columns)] + [[str(row[column]) for column in columns] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([*lines, _footer(subject, len(rows))]) + "\n"


def _footer(subject: str, count: int) -> str:
    if subject == "rules":
        return f"{count} rules"
    table = TABLES[subject][0]
    tables = json.loads((Catalog().folder / "tables.json").read_text(encoding="utf-8"))
    return f"{count} rows, as of {tables[table + '.csv']['as_of']}; the columns left out are in --format json"
