"""The fact tables: whole, typed, joined, dated and sourced."""

import json
import re
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from infragen.facts import provider_schema
from infragen.facts.load import Catalog

CATALOG = Catalog()
FOLDER = files("infragen") / "facts" / "data"
TABLES = json.loads((FOLDER / "tables.json").read_text(encoding="utf-8"))
CONFIDENCE = {"verified", "single-source", "from-memory", "unknown"}


def rows(name: str) -> list[dict[str, str]]:
    table = CATALOG.table(name.removesuffix(".csv"))
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def column(name: str, key: str) -> set[str]:
    return {row[key] for row in rows(name)}


def test_every_table_is_listed_with_its_key_date_and_source():
    tables = {path.name for path in FOLDER.iterdir() if path.name.endswith(".csv")}
    assert tables == set(TABLES)
    for entry in TABLES.values():
        assert date.fromisoformat(entry["as_of"])
        assert entry["source"] and entry["title"] and entry["key"]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_keys_are_unique_and_every_row_is_sourced(name):
    seen = set()
    for number, row in enumerate(rows(name), start=2):
        key = tuple(row[part] for part in TABLES[name]["key"])
        assert key not in seen, f"{name}:{number}: {key} stands twice"
        seen.add(key)
        assert row["sources"], f"{name}:{number} has no source"
        if "confidence" in row:
            assert row["confidence"] in CONFIDENCE, f"{name}:{number}: {row['confidence']}"


@pytest.mark.parametrize(
    "attribute",
    ["accelerators", "other_accelerators", "machines", "fabrics", "regions", "models", "topologies", "storage_services", "image_families", "operating_systems", "driver_branches", "accelerator_drivers", "image_software",
     "image_files", "image_repositories", "image_builders", "quotas", "host_machines", "confidential"],
)  # fmt: skip
def test_every_row_fits_its_record(attribute):
    assert getattr(CATALOG, attribute)


def test_every_zone_and_price_fits_its_record():
    for machine in CATALOG.machines:
        assert all(zone.region in CATALOG.regions for zone in CATALOG.zones(machine))
        assert all(price.usd_per_hour > 0 for price in CATALOG.prices(machine).values())
    for series in {host.series for host in CATALOG.host_machines.values()}:
        assert all(price.usd_per_vcpu_hour > 0 for price in CATALOG.host_prices(series).values())


def test_joins_are_whole():
    chips, machines, regions = (
        column("accelerators", "name"),
        column("machine_types", "name"),
        column("regions", "name"),
    )
    assert column("machine_types", "accelerator") - {""} <= chips
    assert column("machine_types", "fabric") <= column("fabrics", "name")
    assert column("machine_types", "storage_series") <= column("hyperdisk_support", "series")
    assert column("zones", "machine_type") == machines
    assert column("zones", "region") <= regions
    assert column("prices", "region") <= regions
    assert column("host_prices", "region") <= regions
    assert column("host_prices", "series") <= column("host_machines", "series")
    assert column("topologies", "machine_type") <= machines
    assert column("image_families", "os") <= column("operating_systems", "name")
    assert column("image_families", "driver") - {""} <= column("driver_branches", "branch")
    assert column("image_software", "repository") - {""} <= column("image_repositories", "id")
    assert column("image_repositories", "transport") - {""} <= column("image_repositories", "id")
    assert column("image_builders", "machine_type") <= column("host_machines", "name")
    assert {name for row in rows("image_software") for name in row["os"].split(";")} <= column(
        "operating_systems", "name"
    )
    assert column("topologies", "accelerator") <= chips
    gpus = {chip.name for chip in CATALOG.accelerators.values() if chip.kind == "gpu" and chip.offered}
    assert {row["of"] for row in rows("quotas") if row["kind"] == "accelerator"} == gpus
    assert column("accelerator_drivers", "accelerator") == gpus
    per_chip = {"per_gpu": {chip.terraform_type for chip in CATALOG.accelerators.values() if chip.kind == "gpu"}}
    for row in rows("prices"):
        assert row["item"] in per_chip.get(row["scope"], machines) or row["scope"] == "per_chip", row


def test_zones_lie_in_their_region():
    for row in rows("zones"):
        assert not row["zone"] or row["zone"].rpartition("-")[0] == row["region"]


def test_no_machine_lists_a_disk_type_that_its_series_refuses():
    """The machine table may be narrower than the matrix of the series (older sizes), never wider."""
    for machine in CATALOG.machines.values():
        for disk in machine.data_disk_types:
            assert CATALOG.hyperdisk_support.get((machine.storage_series, disk), "yes") != "no", (
                f"{machine.name}: {disk}"
            )


def test_usable_memory_is_below_the_marketed_figure():
    for chip in CATALOG.accelerators.values():
        assert 0.85 * chip.memory_gib < chip.usable_gib <= chip.memory_gib


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("h100", {"H100-80GB", "H100-MEGA-80GB"}),
        ("NVIDIA H100 80GB HBM3", {"H100-80GB"}),
        ("nvidia-tesla-a100", {"A100-40GB"}),
        ("A100 80GB", {"A100-80GB"}),
        ("RTX PRO 6000", {"RTX-PRO-6000"}),
        ("v5p", {"TPU-v5p"}),
        ("v5litepod", {"TPU-v5e"}),
        ("Google Cloud TPU v6e", {"TPU-v6e"}),
        ("Ironwood", {"TPU7x"}),
        ("h1000", set()),
        ("", set()),
    ],
)
def test_an_accelerator_is_found_however_its_name_is_written(written, meant):
    assert CATALOG.accelerators_called(written) == meant


def test_a_name_of_an_accelerator_means_one_size_unless_it_is_the_familys():
    for chip in CATALOG.accelerators.values():
        for word in (chip.name, chip.terraform_type, *chip.aliases):
            assert not word or word == chip.family or CATALOG.accelerators_called(word) == {chip.name}


def test_the_provider_schema_is_whole():
    assert len(provider_schema.names("resource")) == 1472
    assert len(provider_schema.names("data_source")) == 497
    assert provider_schema.version() == "7.45.0"
    assert date.fromisoformat(provider_schema.as_of())


def test_api_enumerations_are_filed_under_their_resource():
    entry = provider_schema.entry("resource", "google_compute_instance_template")
    found = entry["api_enums"]["scheduling.provisioning_model"]
    assert found["values"] == ["FLEX_START", "RESERVATION_BOUND", "SPOT", "STANDARD"]
    assert found["provider_checks"] is False
    unchecked = sum(
        1
        for name in provider_schema.names("resource")
        for rule in provider_schema.entry("resource", name).get("api_enums", {}).values()
        if rule["provider_checks"] is False and "values" in rule
    )
    assert unchecked == 183


def test_a_row_that_does_not_fit_says_where(tmp_path):
    (tmp_path / "quotas.csv").write_text("kind,of,metric,dimension\ndisk,X,Y,\n")
    with pytest.raises(ValueError, match="preemptible_metric"):
        dict(Catalog(tmp_path).quotas)


def test_every_source_is_explained():
    """Each id in a `sources` column stands in docs/facts.md; what is no id names the source in words, or a public repository."""
    page = (Path(__file__).parents[1] / "docs" / "facts.md").read_text(encoding="utf-8")
    used = {source for name in TABLES for row in rows(name) for source in row["sources"].split(";")}
    ids = {source for source in used if re.fullmatch(r"[A-Z]{1,2}\d+[ab]?|M", source)}
    assert {source for source in ids if f"| {source} |" not in page} == set()
    assert all(len(source.strip()) > 5 for source in used - ids)
