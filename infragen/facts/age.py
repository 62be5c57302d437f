"""How old the tables are: what the world changes often is told to be old when it is."""

from datetime import datetime

from infragen.diagnostics import Diagnostic, declare
from infragen.facts.load import Catalog
from infragen.units import earliest

OLD_DAYS = 90  # unless the table says otherwise: some sources are published once a year
OLD = declare(
    "X004",
    "facts-old",
    """Say which tables of the world are older than three months.

    Why: prices move monthly and machines come to new zones; a plan that rests on old tables may miss both.
    Example: prices of 2026-07-30 are 114 days old on 2026-11-21. Carbon figures are published once a year, and are old later.
    The finding belongs to the day of the run and is in no file that is written.
    """,
    source="docs/facts.md",
)


def old(catalog: Catalog, today: datetime) -> tuple[Diagnostic, ...]:
    """One warning that names the tables, oldest first; none where all are fresh. A date without a day counts from its first."""
    found = []
    for name, table in catalog.tables.items():
        days = (today.date() - earliest(table["as_of"])).days
        if "renewed_by" in table and days > table.get("fresh_days", OLD_DAYS):
            found.append((-days, name.removesuffix(".csv"), table["renewed_by"]))
    if not found:
        return ()
    names = ", ".join(f"{name} ({-days} days)" for days, name, _ in sorted(found))
    tools = " and ".join(f"`{tool}`" for tool in sorted({tool for *_, tool in found}))
    message = f"some tables are old: {names}"
    return (OLD.warning(message, help=f"take a newer infragen; in its source, {tools} renew them"),)
