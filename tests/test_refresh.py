"""Renewing the tables from recorded answers, in the shape in which Google's client libraries give them as dictionaries."""

import csv
import importlib.util
import json
import shutil
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from infragen.facts.load import Catalog

ROOT = Path(__file__).parents[1]
ANSWERS = Path(__file__).parent / "refresh"
TODAY = date(2026, 12, 24)


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "tools" / "refresh.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["refresh"] = module
    spec.loader.exec_module(module)
    return module


REFRESH = _tool()


def answer(name: str) -> list[dict[str, object]]:
    return json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "infragen" / "facts" / "data", tmp_path / "data")
    return tmp_path / "data"


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def one(folder: Path, name: str, /, **cells: str) -> dict[str, str]:
    (found,) = (row for row in rows(folder, name) if cells.items() <= row.items())
    return found


def test_a_machine_costs_the_sum_of_its_parts(folder):
    """12 processors, 85 GiB, one accelerator; with 375 GiB of local disk by the month where the price holds them."""
    said = REFRESH.refresh_prices(folder, answer("skus"), TODAY)
    row = one(folder, "prices", item="a2-highgpu-1g", region="us-central1", kind="on_demand")
    assert float(row["usd_per_hour"]) == pytest.approx(12 * 0.031611 + 85 * 0.004237 + 3.1, rel=1e-5)
    assert (row["as_of"], row["sources"], row["confidence"]) == ("2026-12-24", "L01", "single-source")
    ultra = one(folder, "prices", item="a2-ultragpu-1g", region="us-central1", kind="on_demand")
    assert float(ultra["usd_per_hour"]) == pytest.approx(
        12 * 0.031611 + 170 * 0.004237 + 4.0 + 375 * 0.08 / 730, rel=1e-5
    )
    assert any(line.startswith("  ~ a2-highgpu-1g machine us-central1 on_demand: usd_per_hour") for line in said)
    assert Catalog(folder).prices("a2-highgpu-1g")["machine", "us-central1", "on_demand"].usd_per_hour == float(
        row["usd_per_hour"]
    )


def test_what_the_catalogue_lacks_stays(folder):
    """No memory on Spot, no rate of a T4, no such region: nothing of that is touched."""
    before = rows(folder, "prices")
    REFRESH.refresh_prices(folder, answer("skus"), TODAY)
    after = rows(folder, "prices")
    changed = {(row["item"], row["region"], row["kind"]) for row, was in zip(after, before, strict=True) if row != was}
    assert {kind for _, _, kind in changed} == {"on_demand"}
    assert {region for _, region, _ in changed} <= {"us-central1", "us-east1"}
    assert not any(item.startswith(("nvidia-tesla-t4", "g2", "a3")) for item, _, _ in changed)
    assert not any(row["region"] == "nowhere-west1" for row in rows(folder, "service_prices"))


def test_units_and_free_shares(folder):
    REFRESH.refresh_prices(folder, answer("skus"), TODAY)
    new = one(folder, "service_prices", item="hyperdisk-balanced", unit="mib-s-month", region="europe-west4")
    assert (new["usd"], new["included"]) == ("0.045", "140")
    assert one(folder, "service_prices", item="pd-balanced", region="us-central1")["usd"] == "0.2"
    assert one(folder, "service_prices", item="local-ssd", region="us-central1", kind="spot")["usd"] == "0.03"
    assert one(folder, "service_prices", item="local-ssd", region="us-central1", kind="on_demand")["usd"] == "0.08"
    host = one(folder, "host_prices", series="n2", region="us-central1", kind="on_demand")
    assert (host["usd_per_vcpu_hour"], host["usd_per_gb_hour"]) == ("0.03000000", "0.00400000")


def test_two_prices_for_one_thing_are_left_to_a_person(folder):
    before = one(folder, "service_prices", item="pd-ssd", region="us-central1")
    said = REFRESH.refresh_prices(folder, answer("skus"), TODAY)
    assert one(folder, "service_prices", item="pd-ssd", region="us-central1") == before
    assert any(line.startswith("? service pd-ssd gib-month on_demand us-central1") for line in said)


def test_entered_notes_stay_and_the_date_moves(folder):
    notes = {
        (row["item"], row["unit"], row["region"], row["kind"]): row["notes"] for row in rows(folder, "service_prices")
    }
    REFRESH.refresh_prices(folder, answer("skus"), TODAY)
    now = {
        (row["item"], row["unit"], row["region"], row["kind"]): row["notes"] for row in rows(folder, "service_prices")
    }
    assert notes.items() <= now.items()
    dates = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
    assert dates["prices.csv"]["as_of"] == "2026-12-24" != dates["zones.csv"]["as_of"]


def renew_machines(folder: Path) -> list[str]:
    return REFRESH.refresh_machines(folder, answer("machine_types"), answer("accelerator_types"), TODAY)


def test_zones_are_added_and_those_that_are_not_listed_are_marked(folder):
    gone = one(folder, "zones", machine_type="a2-highgpu-1g", zone="asia-northeast1-a")
    said = renew_machines(folder)
    assert (
        one(folder, "zones", machine_type="a2-highgpu-1g", zone="asia-northeast1-a")["is_listed"]
        == "no"
        != gone["is_listed"]
    )
    new = one(folder, "zones", machine_type="n1+T4x2", zone="us-central1-a")
    assert new["is_listed"] == "yes" and new["sources"] == "L02"
    assert any("+ n1+T4x2 europe-west4 europe-west4-z" in line for line in said)
    untouched = one(folder, "zones", machine_type="g2-standard-4", zone="europe-west4-a")
    assert untouched in rows(ROOT / "infragen" / "facts" / "data", "zones")


def test_new_general_types_are_added_and_new_accelerators_are_named(folder):
    said = renew_machines(folder)
    host = one(folder, "host_machines", name="n2-standard-99")
    assert (host["series"], host["vcpus"], host["memory_gib"], host["zones"]) == ("n2", "99", "396", "us-central1-a")
    assert one(folder, "host_machines", name="t2a-standard-77")["cpu_arch"] == "arm64"
    assert not [row for row in rows(folder, "host_machines") if "custom" in row["name"]]
    assert "! a9-newgpu-8g: new, with accelerators: enter it by hand (CONTRIBUTING.md)" in said
    assert one(folder, "host_machines", name="n2-standard-8")["zones"] == "europe-west4-a;us-central1-a"
    kept = one(folder, "host_machines", name="n2-standard-4")  # deprecated in the answer: not renewed
    assert kept in rows(ROOT / "infragen" / "facts" / "data", "host_machines")
    assert Catalog(folder).host_machines["n2-standard-99"].memory_gib == 396


def test_carbon_figures_move_the_mark_and_leave_the_country(folder):
    said = REFRESH.refresh_carbon(folder, (ANSWERS / "carbon.csv").read_text(encoding="utf-8"), 2025, TODAY)
    dutch = one(folder, "regions", name="europe-west4")
    assert (dutch["cfe_fraction"], dutch["grid_g_co2e_per_kwh"], dutch["is_low_carbon"]) == ("0.7", "180.5", "no")
    assert (dutch["country"], dutch["groups"], dutch["carbon_year"]) == ("NL", "eu", "2025")
    assert one(folder, "regions", name="us-central1")["cfe_fraction"] == "0.91"
    assert one(folder, "regions", name="us-west2")["is_low_carbon"] == "yes"  # no share published: the grid counts
    assert "! moon-north1: new, enter its country and residency groups by hand" in said
    assert any(line.startswith("! europe-west1: not in the published table") for line in said)
    assert len(rows(folder, "regions")) == len(rows(ROOT / "infragen" / "facts" / "data", "regions"))


def test_other_columns_than_expected_stop_the_renewal(folder):
    before = (folder / "regions.csv").read_bytes()
    with pytest.raises(SystemExit, match="other columns"):
        REFRESH.refresh_carbon(folder, "Region,Share\neurope-west4,1\n", 2025, TODAY)
    assert (folder / "regions.csv").read_bytes() == before


@pytest.mark.parametrize("renew", ["prices", "machines", "carbon"])
def test_the_same_answers_again_change_nothing(folder, renew):
    def run() -> list[str]:
        if renew == "prices":
            return REFRESH.refresh_prices(folder, answer("skus"), TODAY)
        if renew == "machines":
            return renew_machines(folder)
        return REFRESH.refresh_carbon(folder, (ANSWERS / "carbon.csv").read_text(encoding="utf-8"), 2025, TODAY)

    run()
    first = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert all("0 added, 0 removed, 0 changed" in line for line in run() if ".csv:" in line)
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == first


def test_every_pattern_is_about_something_in_the_tables():
    data = ROOT / "infragen" / "facts" / "data"
    series = {row["series"] for name in ("machine_types", "host_machines") for row in rows(data, name)}
    items = {
        "core": series,
        "ram": series,
        "gpu": {row["terraform_type"] for row in rows(data, "accelerators")},
        "service": {row["item"] for row in rows(data, "service_prices")},
    }
    with (ROOT / "tools" / "skus.csv").open(newline="", encoding="utf-8") as stream:
        assert [row for row in csv.DictReader(stream) if row["name"] not in items[row["part"]]] == []
