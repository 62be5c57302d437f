"""Negotiated prices: what they change, and every way in which a table of them can be wrong; and how old the facts are."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from infragen import cli
from infragen.diagnostics import Diagnostics
from infragen.facts import age, agreed
from infragen.facts.load import Catalog
from infragen.pipeline import PLAN_FILE
from tests.examples import CATALOG, EXAMPLES, ROOT, TODAY, compiled

HEADER = "item,region,kind,unit,usd,as_of\n"
EXAMPLE = ROOT / "examples" / "01-serve-llama-8b" / "workload.yaml"


def read(text: str) -> tuple[object, list[object]]:
    diags = Diagnostics()
    found = agreed.read("prices.csv", text, CATALOG, diags)
    return found, list(diags)


def plan(tmp_path, *rows: str, format: str = "text") -> str:
    table = tmp_path / "prices.csv"
    table.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    done = CliRunner().invoke(
        cli.main, ["plan", str(EXAMPLE), "--prices", str(table), "--today", "2026-11-21", "--format", format]
    )
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_agreed_price_takes_the_place_of_the_list_price(tmp_path):
    text = plan(tmp_path, "g2-standard-24,europe-west4,on_demand,,1.00,2026-11-01", "nat-vm,everywhere,,hour,0.001,")
    assert "3.00 machines" in text and "negotiated prices: g2-standard-24 (on-demand); NAT gateway for 3 VMs" in text
    assert compiled("01-serve-llama-8b").plan.estimate.costs.marked("negotiated") == ()


def test_an_agreed_price_may_change_the_choice(tmp_path):
    """A machine that is bought cheaply somewhere is taken there: the ranking sees the price, not the bill alone."""
    text = plan(tmp_path, "a2-highgpu-2g,europe-west4,on_demand,,2.00,")
    assert "1 × a2-highgpu-2g" in text.partition("\n\n")[2]


def test_everywhere_holds_for_every_region_and_for_a_price_that_nobody_publishes():
    prices, found = read(HEADER + "a3-edgegpu-8g,,,,20,\nnvidia-l4,europe-west4,,,0.4,\n")
    assert not [one for one in found if "a3" in one.message]
    assert {one.region for one in prices.of_machines if one.item == "a3-edgegpu-8g"} == set(CATALOG.regions)


WRONG = [
    ("a3-highgpu-8,europe-west4,on_demand,,60,", "unknown item `a3-highgpu-8`", "a3-highgpu-8g"),
    ("a3-highgpu-8g,europe-west44,on_demand,,60,", "unknown region `europe-west44`", "europe-west4"),
    ("a3-highgpu-8g,europe-west4,on-demand,,60,", "unknown kind `on-demand`", "on_demand"),
    ("a3-highgpu-8g,europe-west4,on_demand,,-60,", "a price of -60 USD", "remove the row"),
    ("a3-highgpu-8g,europe-west4,on_demand,,0,", "a price of 0 USD", "remove the row"),
    ("a3-highgpu-8g,europe-west4,on_demand,,1e-300,", "a price of 1e-300 USD", "one unit"),
    ("a3-highgpu-8g,europe-west4,on_demand,,6e9,", "a price of 6e9 USD", "one unit"),
    ("a3-highgpu-8g,europe-west4,on_demand,,nan,", "`nan` is not a price", "2.45"),
    ("a3-highgpu-8g,europe-west4,on_demand,,1_0,", "`1_0` is not a price", "2.45"),
    ("a3-highgpu-8g,europe-west4,on_demand,,1e999,", "`1e999` is not a price", "2.45"),
    ("a3-highgpu-8g,europe-west4,on_demand,,cheap,", "`cheap` is not a price", "2.45"),
    ("a3-highgpu-8g,europe-west4,on_demand,gib,60,", "unknown unit `gib`", "by the hour"),
    ("a3-highgpu-8g,europe-west4,on_demand,,60,yesterday", "`yesterday` is not a date", "2026-11-21"),
    ("a3-highgpu-8g,europe-west4,on_demand,,60,2026-W47-6", "`2026-W47-6` is not a date", "2026-11-21"),
    ("a3-highgpu-8g,europe-west4,on_demand,,60,2026-13", "`2026-13` is not a date", "2026-11-21"),
    ("hyperdisk-ml,europe-west4,,,0.1,", "`hyperdisk-ml` is billed in several units", "mib-s-month"),
    ("hyperdisk-ml,europe-west4,,hour,0.1,", "unknown unit `hour` of `hyperdisk-ml`", "gib-month"),
    ("pd-ssd,europe-west4,spot,,0.1,", "unknown kind `spot` of `pd-ssd`", "catalog prices"),
    ("a3-highgpu-8g,europe-west4", "a row does not fit the header", "a cell"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message", "help"), WRONG, ids=[row for row, *_ in WRONG])
def test_a_row_that_cannot_be_used_is_an_error_at_its_cell(row, message, help):
    prices, found = read(HEADER + "pd-ssd,europe-west4,,,0.1,\n" + row)
    (one,) = found
    assert (one.code, one.severity.value, one.message) == ("X003", "error", message)
    assert help in one.help
    assert one.span.line == 3 and one.span.text == row
    named = message.split("`")[1] if "`" in message and "row" not in message else ""
    assert not named or row[one.span.column - 1 :].startswith(named) or "several" in message
    assert len(prices.of_services) == 1 and prices.of_machines == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the price table has no column `item`"),
        ("item,usd\n", "the price table has no column `region`"),
        ("item,region,usd,discount\n", "unknown column `discount`"),
        ("item,region,usd,usd\n", "a column stands twice"),
    ],
)
def test_a_header_that_is_none_is_one_error(text, message):
    _, found = read(text)
    assert [(one.code, one.message) for one in found] == [("X003", message)]


@pytest.mark.parametrize("rows", ["", "\n", ",,,,,\n"])
def test_a_table_without_prices_is_told_of(rows):
    prices, found = read(HEADER + rows)
    assert [(one.code, one.severity.value, one.message) for one in found] == [
        ("X003", "warning", "the price table holds no prices")
    ]
    assert prices.of_machines == prices.of_services == ()


def test_a_table_without_prices_is_told_of_in_text_and_record(tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text(HEADER, encoding="utf-8")
    for command in (["plan"], ["plan", "--format", "json"], ["explain"]):
        done = CliRunner().invoke(cli.main, [*command, str(EXAMPLE), "--prices", str(table)])
        assert done.exit_code == 0 and "the price table holds no prices" in done.stdout + done.stderr


def test_a_price_that_is_given_twice_is_an_error():
    _, found = read(HEADER + "pd-ssd,europe-west4,,,0.1,\npd-ssd,europe-west4,,,0.2,\n")
    assert [one.message for one in found] == ["`pd-ssd` in europe-west4 has a price already"]


@pytest.mark.parametrize("format", ["text", "json"])
def test_nothing_is_planned_with_a_table_that_is_wrong(tmp_path, format):
    table = tmp_path / "prices.csv"
    table.write_bytes(b"\xff\xfe")
    for prices in (table, tmp_path / "missing.csv"):
        done = CliRunner().invoke(
            cli.main,
            ["plan", str(EXAMPLE), "--prices", str(prices), "--format", format, "--out", str(tmp_path / "out")],
        )
        assert done.exit_code == 1 and "X003" in done.output and "Traceback" not in done.output
        assert not (tmp_path / "out").exists()


def test_old_tables_are_told_of_on_the_day_of_the_run_alone():
    """A day at which one table is too old, and the day before; neither changes what is written."""
    first = min(
        datetime.fromisoformat(table["as_of"]).replace(tzinfo=UTC)
        + timedelta(days=table.get("fresh_days", age.OLD_DAYS))
        for table in CATALOG.tables.values()
        if "renewed_by" in table
    )
    assert age.old(CATALOG, first) == ()
    (one,) = age.old(CATALOG, first + timedelta(days=1))
    assert one.code == "X004" and one.severity.value == "warning" and "tools/refresh.py" in one.help
    for example in EXAMPLES:
        run = compiled(example)
        assert any(found.code == "X004" for found in run.diagnostics) == bool(age.old(CATALOG, TODAY))
        assert "X004" not in run.files[PLAN_FILE]


def test_the_catalogue_without_agreed_prices_is_the_list():
    assert Catalog().prices("g2-standard-24").keys() == CATALOG.prices("g2-standard-24").keys()
