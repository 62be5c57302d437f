"""`infragen catalog`: questions, and answers that the tables bear out."""

import csv
import io
import json

import click.testing
import pytest

from infragen.cli import SUBJECTS, main
from infragen.render import catalog
from tests import every_module  # noqa: F401  (enters every rule in the catalogue)
from tests.examples import CATALOG

FACTS = catalog.Facts(CATALOG)


def ask(*words: str):
    return click.testing.CliRunner().invoke(main, ["catalog", *words])


def rows(*words: str) -> list[dict]:
    done = ask(*words, "--format", "json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_machines_with_an_accelerator_in_a_region():
    found = rows("machines", "--accelerator", "h100", "--region", "europe-west4")
    chips = {chip.name for chip in CATALOG.accelerators.values() if chip.family == "H100"}
    expected = {
        name
        for name, machine in CATALOG.machines.items()
        if machine.accelerator in chips
        and any(zone.region == "europe-west4" and zone.is_listed is not False for zone in CATALOG.zones(name))
    }
    assert expected and {one["name"] for one in found} == expected
    assert all(zone.startswith("europe-west4-") for one in found for zone in one["zones"].split(";"))


def test_prices_of_a_machine_on_spot_cheapest_first():
    found = rows("prices", "a3-highgpu-8g", "--model", "spot", "--sort", "usd_per_hour")
    table = CATALOG.prices("a3-highgpu-8g")
    assert {one["region"]: one["usd_per_hour"] for one in found} == {
        region: price.usd_per_hour for (_, region, kind), price in table.items() if kind == "spot"
    }
    prices = [one["usd_per_hour"] for one in found]
    assert prices == sorted(prices)
    assert all(one["as_of"] and one["sources"] and one["confidence"] for one in found)
    assert [
        one["usd_per_hour"]
        for one in rows("prices", "a3-highgpu-8g", "--model", "spot", "--sort", "usd_per_hour", "--descending")
    ] == prices[::-1]


def test_clean_regions_of_a_residency():
    found = rows("regions", "--residency", "eu", "--low-carbon")
    expected = {one.name for one in CATALOG.regions.values() if "eu" in one.groups and one.is_low_carbon}
    assert expected and {one["name"] for one in found} == expected
    assert [one["name"] for one in rows("regions", "--residency", "fi")] == ["europe-north1"]


def test_general_purpose_machines_and_prices_are_there_too():
    assert rows("machines", "--series", "n2", "--zone", "europe-west4-a")
    assert {one["scope"] for one in rows("prices", "--region", "europe-west4", "n2", "--kind", "on_demand")} >= {
        "per_vcpu",
        "per_gb",
    }


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_filter_keeps_what_it_says_and_drops_the_rest(subject):
    about = catalog.SUBJECTS[subject]
    every = about.rows(FACTS)
    assert set(about.columns) <= set(every[0]) and about.key in about.columns
    for option, one in about.filters.items():
        values = sorted({value for row in every for value in one.values(FACTS, row)})
        assert len(values) > 1 or one.is_flag, f"--{option} tells nothing apart"
        found = catalog.ask(CATALOG, subject, (), {option: values[0]})
        assert 0 < len(found.rows) < found.total == len(every)
        assert len(found.rows) == sum(values[0] in one.values(FACTS, row) for row in every)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_forms_agree(subject):
    text = ask(subject)
    assert text.exit_code == 0
    data, table = rows(subject), list(csv.DictReader(io.StringIO(ask(subject, "--format", "csv").stdout)))
    assert len(data) == len(table) == len(text.stdout.splitlines()) - 2
    assert [list(one) for one in data] == [list(one) for one in table]
    assert f"{len(data)} of {len(data)} {subject}" in text.stdout


@pytest.mark.parametrize(
    ("question", "message", "help"),
    [
        (
            ("machines", "--region", "europe-west44"),
            "no row of machines has the region `europe-west44`",
            "`europe-west4`",
        ),
        (("machines", "--accelerator", "h1000"), "has the accelerator `h1000`", "`H100`"),
        (("machines", "--model", "spto"), "has the model `spto`", "`spot`"),
        (("regions", "--residency", "europe"), "has the residency `europe`", "known are"),
        (("prices", "a3-highpgu-8g"), "holds `a3-highpgu-8g`", "`a3-highgpu-8g`"),
        (("storage", "--sort", "prize"), "`prize` is not a column of storage", ""),
        (("rules", "--stage", "sizng"), "has the stage `sizng`", "`sizing`"),
        (("models", "zzz"), "no row of models holds `zzz`", "`infragen catalog models` lists all "),
        (("rules", "zzz"), "no row of rules holds `zzz`", "`infragen catalog rules` lists all "),
        (("machines", "--zone", "zzz"), "has the zone `zzz`", "such as "),
    ],
)
def test_what_the_tables_do_not_have_is_an_error_with_what_was_meant(question, message, help):
    done = ask(*question)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error[Q001]" in done.stderr and message in done.stderr and help in done.stderr
    assert "= help: " in done.stderr


def test_no_row_for_all_of_it_is_an_answer():
    done = ask("machines", "--accelerator", "t4", "--region", "africa-south1")
    assert done.exit_code == 0 and done.stdout.splitlines()[-1].startswith("0 of ")
    assert rows("machines", "--accelerator", "t4", "--region", "africa-south1") == []


def test_what_is_not_known_is_null_and_never_zero():
    found = {one["name"]: one for one in rows("accelerators")}
    assert all(type(one["memory_gib"]) in (int, float) and one["offered"] in (True, False) for one in found.values())
    assert None in {one["fp8_tflops"] for one in found.values()} and 0 not in {
        one["fp8_tflops"] for one in found.values()
    }
