"""Where: every region against the tables, the mark, the ties, and what the aims cost each other."""

import csv

import pytest
import yaml

from infragen.decide import candidates, emissions, machine, place, rank, sizing_of
from infragen.decide.need import Need
from infragen.descriptor.model import Workload
from infragen.descriptor.source import File, Source
from infragen.diagnostics import Diagnostics
from infragen.pipeline import Compilation, compile_workload
from tests.examples import CATALOG, ROOT, TEMPLATES, TODAY

DATA = ROOT / "infragen" / "facts" / "data"
BASE = {
    "version": 1,
    "name": "chat",
    "task": "serve",
    "model": {"name": "Llama-3.1-8B", "precision": "bf16"},
    "serve": {"input_tokens": 500, "output_tokens": 200, "requests_per_second": 1, "expose": "none"},
    "machine": {"type": "g2-standard-24"},
}


def run(**changes: object) -> Compilation:
    text = yaml.safe_dump(BASE | changes)
    return compile_workload(Source(File("workload.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def ranked(optimise: str) -> list[str]:
    """Regions in the order in which the same machines rank there."""
    workload = Workload.model_validate(BASE)
    need = Need(workload, CATALOG, sizing_of.shape(workload, CATALOG, Diagnostics()), TODAY)
    joined = candidates.join(need, candidates.sized(need), candidates.Market(need))
    return [one.site.region.name for one in rank.rank(joined.candidates, optimise) if one.model == "on-demand"]


def by_table(optimise: str) -> list[str]:
    """The same order, from the tables alone."""
    price = {
        row["region"]: float(row["usd_per_hour"])
        for row in rows("prices")
        if (row["item"], row["scope"], row["kind"]) == ("g2-standard-24", "machine", "on_demand")
    }
    grid = {row["name"]: float(row["grid_g_co2e_per_kwh"]) for row in rows("regions") if row["grid_g_co2e_per_kwh"]}
    there = {
        row["region"]
        for row in rows("zones")
        if row["machine_type"] == "g2-standard-24" and row["zone"] and row["is_listed"] != "no"
    }
    usd = {region: price.get(region, float("inf")) for region in there}
    kg = {region: grid.get(region, float("inf")) for region in there}
    least_usd, least_kg = min(usd.values()), min(kg.values())
    key = {
        "cost": lambda region: (usd[region], kg[region], region),
        "carbon": lambda region: (kg[region], usd[region], region),
        "balanced": lambda region: (
            round(usd[region] / least_usd + kg[region] / least_kg, 7),
            usd[region],
            kg[region],
            region,
        ),
    }[optimise]
    return sorted(there, key=key)


@pytest.mark.parametrize("optimise", ["cost", "carbon", "balanced"])
def test_the_same_workload_ranks_in_all_regions_as_the_tables_imply(optimise):
    found = ranked(optimise)
    assert len(found) > 15
    assert found == by_table(optimise)


def test_the_mark_in_the_table_is_googles_rule():
    """A carbon-free share of 0.75; the grid counts only where no share is published. A plain OR would mark one region more."""
    for row in rows("regions"):
        share = float(row["cfe_fraction"]) if row["cfe_fraction"] else None
        grid = float(row["grid_g_co2e_per_kwh"]) if row["grid_g_co2e_per_kwh"] else None
        marked = emissions.is_marked(share, grid)
        assert {True: "yes", False: "no", None: ""}[marked] == row["is_low_carbon"].replace("unknown", ""), row["name"]
    plain_or = {
        row["name"]
        for row in rows("regions")
        if row["cfe_fraction"] and float(row["cfe_fraction"]) < 0.75 and float(row["grid_g_co2e_per_kwh"]) <= 200
    }
    assert plain_or == {"us-west2"}


def test_a_tie_is_broken_in_the_open():
    """The same price in several regions of the US: the cleanest is taken, and the plan says that it was a tie."""
    plan = run(machine={"type": "a2-highgpu-1g"}, place={"residency": "us"}).plan
    listed = {
        row["region"]: float(row["usd_per_hour"])
        for row in rows("prices")
        if (row["item"], row["kind"]) == ("a2-highgpu-1g", "on_demand") and row["region"].startswith("us-")
    }
    equal = {region for region, usd in listed.items() if usd == min(listed.values())}
    grid = {row["name"]: float(row["grid_g_co2e_per_kwh"]) for row in rows("regions") if row["name"] in equal}
    chosen = plan.location.choice.region.name
    assert len(equal) > 1 and chosen == min(equal, key=lambda region: (grid[region], region))
    text = " ".join(one.text for one in plan.location.because if one.rule == "K005")
    assert all(name in text for name in equal) and "first by emissions" in text


@pytest.mark.parametrize(
    ("residency", "countries"),
    [("eu", {"NL", "BE", "DE", "FI", "FR", "ES", "IT", "PL", "SE"}), ("us", {"US"}), ("nl", {"NL"}), ("JP", {"JP"})],
)
def test_residency_holds_for_the_choice_and_for_every_alternative(residency, countries):
    plan = run(place={"residency": residency}).plan
    named = [plan.location.choice.region.name, *(one.region for one in plan.location.alternatives)]
    assert {CATALOG.regions[name].country for name in named} <= countries


def test_each_aim_tells_what_it_costs():
    """Carbon-first in dollars, cost-first in CO2e: the difference of the two plans."""
    cheap, clean = run(place={"optimise": "cost"}).plan, run(place={"optimise": "carbon"}).plan
    dollars = clean.estimate.costs.of("compute") - cheap.estimate.costs.of("compute")
    kg = cheap.estimate.kg_co2e_per_hour.expected - clean.estimate.kg_co2e_per_hour.expected
    assert dollars > 0 and kg > 0
    (advised,) = [one for one in cheap.advice if one.change == "place.optimise: carbon"]
    bill = clean.estimate.costs.total - cheap.estimate.costs.total
    assert advised.usd_per_hour == pytest.approx(-bill) and advised.kg_co2e_per_hour == pytest.approx(kg)
    assert not [text for text in cheap.location.would_change if "optimise: carbon" in text], "told once, as advice"
    said = next(text for text in clean.location.would_change if "optimise: cost" in text)
    assert f"{dollars:.2f} USD an hour less" in said and "more" in said


def test_a_job_lists_cleaner_regions_with_the_saving():
    job = {"task": "batch-inference", "serve": {"input_tokens": 500, "output_tokens": 200, "requests": 1e6}}
    plan = run(**job).plan
    cleaner = [text for text in plan.location.would_change if text.startswith("cleaner in")]
    assert cleaner
    for text in cleaner:
        region = text.removeprefix("cleaner in ").partition(":")[0]
        moved = run(**job, place={"regions": [region]}).plan.estimate
        saved = plan.estimate.kg_co2e_total.expected - moved.kg_co2e_total.expected
        assert saved > 0 and f"{saved:,.3g} kg" in text


EMPTY = [
    ({"place": {"regions": ["us-central1"], "residency": "eu"}}, "R002", "none of us-central1 lies in `eu`"),
    ({"place": {"regions": ["me-central1"]}}, "R001", "place.regions"),
    ({"place": {"zones": ["europe-west4-a"]}, "security": {"kms_key": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}}, "R003", "europe-west4-a"),
]  # fmt: skip


@pytest.mark.parametrize(("bounds", "code", "words"), EMPTY)
def test_an_empty_set_of_places_names_the_bound_and_a_way_out_that_works(bounds, code, words):
    refused = run(**bounds)
    error = next(one for one in refused.diagnostics if one.severity.value == "error")
    assert code in (None, error.code)
    assert words in error.label or words in error.help
    assert "without `" in error.help
    freed = {
        path
        for path in ("place.regions", "place.residency", "place.zones", "security.kms_key", "machine")
        if f"`{path}`" in error.help.split("without")[1].split(":")[0]
    }
    relaxed = {
        section: {field: value for field, value in fields.items() if f"{section}.{field}" not in freed}
        for section, fields in bounds.items()
    }
    again = run(**relaxed)
    assert again.plan is not None
    assert again.plan.location.choice.region.name in error.help


def test_every_general_purpose_type_that_can_be_named_is_somewhere():
    """Where no table places a type, where its series has a price; its zones are then to be named."""
    boxes = [box for name in CATALOG.host_machines for box in machine.machines(CATALOG, name) if box.type == name]
    assert len(boxes) > 100 and not [box.label for box in boxes if not place.sites(CATALOG, box)]
    pool = {"task": "compute", "machine": {"type": "c4-standard-8", "count": 2}}
    found = compiled(pool)
    assert [one.code for one in found.diagnostics if one.severity.value == "error"] == ["R004"]
    assert compiled(pool | {"place": {"zones": ["us-central1-a"]}}).plan.location.choice.zones == ("us-central1-a",)


def test_machines_of_unknown_power_still_go_where_the_grid_is_cleanest():
    pool = {"task": "compute", "machine": {"type": "n2-standard-8", "count": 2}}
    plan = compiled(pool | {"place": {"optimise": "carbon"}}).plan
    assert plan.estimate.energy_kwh_per_hour is None
    box = next(one for one in machine.machines(CATALOG, "n2-standard-8") if one.type == "n2-standard-8")
    known = [one.region.grid_g_co2e_per_kwh for one in place.sites(CATALOG, box) if one.region.grid_g_co2e_per_kwh]
    assert plan.location.choice.region.grid_g_co2e_per_kwh == min(known)
    assert any("first by emissions of the grid" in one.text for one in plan.location.because)


def compiled(more: dict[str, object]) -> Compilation:
    text = yaml.safe_dump({"version": 1, "name": "pool", "project": "my-project"} | more)
    return compile_workload(Source(File("workload.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)
