"""The bill: recomputed by hand from the tables, whole, and honest about what it does not know."""

import csv
from functools import cache

import pytest
import yaml

from infragen import units
from infragen.decide import costs
from infragen.descriptor.source import File, Source
from infragen.diagnostics import Diagnostics
from infragen.facts import age
from infragen.pipeline import Compilation, compile_workload
from infragen.render import words
from tests import test_cases
from tests.examples import CATALOG, EXAMPLES, ROOT, TEMPLATES, TODAY, compiled

DATA = ROOT / "infragen" / "facts" / "data"
HOURS = 730
SERVE = {
    "version": 1,
    "name": "chat",
    "task": "serve",
    "model": {"name": "Llama-3.1-8B", "precision": "bf16"},
    "serve": {"input_tokens": 2000, "output_tokens": 500, "requests_per_second": 2, "expose": "internal"},
    "machine": {"type": "g2-standard-24"},
    "place": {"regions": ["europe-west4"]},
}
TRAIN = {
    "version": 1,
    "name": "tune",
    "task": "finetune",
    "model": {"name": "Llama-3.1-8B"},
    "train": {"tokens": 1e8, "method": "full"},
    "machine": {"type": "a3-highgpu-8g", "count": 2},
    "place": {"zones": ["us-central1-a"]},
}


def table(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def price(item: str, unit: str, region: str) -> float:
    """A list price as a person finds it in the table: of the region, of everywhere, or the only one there is."""
    rows = [
        row for row in table("service_prices") if (row["item"], row["unit"], row["kind"]) == (item, unit, "on_demand")
    ]
    here = [row for row in rows if row["region"] in (region, "everywhere")] or rows
    assert len(here) == 1, (item, unit, region)
    return float(here[0]["usd"])


def machine(item: str, region: str, kind: str = "on_demand") -> float:
    found = [
        row
        for row in table("prices")
        if (row["item"], row["scope"], row["region"], row["kind"]) == (item, "machine", region, kind)
    ]
    return float(found[0]["usd_per_hour"])


@cache
def _compiled(text: str) -> Compilation:
    return compile_workload(Source(File("workload.yaml", text.encode())), CATALOG, TEMPLATES, TODAY)


def run(base: dict, **changes: object) -> Compilation:
    return _compiled(yaml.safe_dump(base | changes))


def test_the_first_example_agrees_with_the_tables_to_the_cent():
    """3 machines, their boot disks, 14.96 GiB of weights in a bucket, 3 proxies, 2 requests/s of 2,000 and 500 tokens, a NAT."""
    region = "europe-west4"
    bytes_an_hour = 3600 * 2 * (2000 * 5 + 500 * 40)
    weights_gib = 8030261248 * 2 / 2**30
    by_hand = (
        3 * machine("g2-standard-24", region)
        + 3 * 120 * price("pd-balanced", "gib-month", region) / HOURS
        + weights_gib * price("cloud-storage", "gib-month", region) / HOURS
        + 3 * price("load-balancer-proxy", "hour", region)
        + bytes_an_hour / 2**30 * price("load-balancer-data", "gib", region)
        + 3 * price("nat-vm", "hour", region)
        + price("external-address", "hour", region)
    )
    assert round(compiled("01-serve-llama-8b").plan.estimate.costs.total, 2) == round(by_hand, 2)


def test_the_second_example_agrees_with_the_tables_to_the_cent():
    """6 reserved machines, boot disks, 2,304 GiB of Filestore, checkpoints in a bucket, a NAT; times the hours, the job."""
    plan, region = compiled("02-finetune-llama-70b").plan, "us-central1"
    fit = plan.estimate
    kept_gib = fit.checkpoint.size_gib * (3 + 1) + 70553706496 * 2 / 2**30
    by_hand = (
        6 * machine("a3-highgpu-8g", region)
        + 6 * 120 * price("hyperdisk-balanced", "gib-month", region) / HOURS
        + 2304 * price("filestore-zonal-low", "gib-month", region) / HOURS
        + kept_gib * price("cloud-storage", "gib-month", region) / HOURS
        + 6 * price("nat-vm", "hour", region)
        + price("external-address", "hour", region)
    )
    assert round(fit.costs.total, 2) == round(by_hand, 2)
    assert fit.usd_total.expected == pytest.approx(by_hand * fit.train_hours.expected, abs=0.01)


def test_size_rate_and_operations_of_a_disk_are_paid_apart():
    """What is included costs nothing: 3,000 operations and 140 MiB/s of this type."""
    store = {
        "purpose": "dataset",
        "service": "hyperdisk-balanced",
        "capacity": "1TiB",
        "throughput": "600MiB/s",
        "iops": 10000,
    }
    plan = run(TRAIN, machine={"type": "a3-highgpu-8g", "count": 1}, storage=[store], data={"size": "500GiB"}).plan
    of_store = sum(one.usd_per_hour for one in plan.estimate.costs.charges if "for dataset" in one.name)
    by_hand = 1024 * 0.08 + (600 - 140) * 0.04 + (10000 - 3000) * 0.005
    assert of_store * HOURS == pytest.approx(by_hand, abs=0.005)


def test_a_booking_is_paid_for_whether_used_or_not():
    """A reservation made here holds the largest group, rounded up in each zone; its window binds the whole sum."""
    serve = SERVE["serve"] | {"replicas": {"min": 2, "max": 8}}
    booked = run(SERVE, serve=serve, capacity={"model": "reservation", "existing": False}).plan
    machines = next(one for one in booked.estimate.costs.charges if one.part == "compute")
    zones = len(booked.location.choice.zones)
    assert machines.quantity == -(-booked.group.choice.max_size // zones) * zones > booked.machine.choice.nodes
    window = {"model": "future-reservation", "start": "2027-01-11T08:00:00Z", "duration": "30d"}
    future = run(TRAIN, capacity=window).plan.capacity.choice
    assert future.usd_booked == pytest.approx(2 * machine("a3-highgpu-8g", "us-central1") * 30 * 24, abs=0.01)


def test_an_external_service_pays_for_its_front():
    plan = run(SERVE, serve=SERVE["serve"] | {"expose": "external"}).plan
    named = {one.item for one in plan.estimate.costs.charges if one.usd_per_hour}
    assert {
        "forwarding-rule",
        "load-balancer-data",
        "egress-internet",
        "cloud-armor-policy",
        "cloud-armor-rule",
        "cloud-armor-requests",
    } <= named
    rules = plan_text(plan).count("  rule {")
    assert rules - 1 == costs.ARMOR_RULES  # the default rule costs nothing


def plan_text(plan: object) -> str:
    return run(SERVE, serve=SERVE["serve"] | {"expose": "external"}).files["serving.tf"]


def test_a_million_tokens_cost_the_hour_over_the_tokens_of_an_hour():
    plan = run(SERVE).plan
    asked = 2 * 500 * 3600 / 1e6
    assert plan.estimate.usd_per_million_tokens.expected == pytest.approx(plan.estimate.costs.total / asked)


@pytest.mark.parametrize(
    ("model", "serve", "tokens", "each"),
    [
        ("Llama-3.1-8B", {"input_tokens": 2000, "output_tokens": 500, "requests_per_second": 2}, "output", 500),
        ("Llama-3.1-8B", {"input_tokens": 2000, "requests_per_second": 2}, "output", 250),  # as assumed
        ("BERT-base-uncased", {"input_tokens": 256, "requests_per_second": 200}, "input", 256),
        ("BERT-base-uncased", {"input_tokens": 256, "output_tokens": 9, "requests_per_second": 200}, "input", 256),
    ],
)
def test_what_is_priced_are_the_tokens_that_are_made_or_read(model, serve, tokens, each):
    found = run(SERVE, model={"name": model}, serve=serve)
    estimate, asked = found.plan.estimate, serve["requests_per_second"] * each * 3600 / 1e6
    assert estimate.usd_per_million_tokens.expected == pytest.approx(estimate.costs.total / asked)
    assert estimate.tokens_priced == tokens
    assert any(line.endswith(f" for a million {tokens} tokens") for line in words.bill(estimate))


@pytest.mark.parametrize(
    ("as_of", "said", "days"),
    [
        ("2026-07-30", "2026-07-30", 114),
        ("2026-07", "2026-07 (day not given)", 143),
        ("2026", "2026 (day not given)", 324),
    ],
)
def test_a_date_without_a_day_is_said_to_be_one_and_counts_from_its_first(as_of, said, days, monkeypatch):
    assert units.day(as_of) == said
    monkeypatch.setattr(CATALOG, "tables", {"prices.csv": {"as_of": as_of, "renewed_by": "x"}})
    (old,) = age.old(CATALOG, TODAY.replace(year=2026, month=11, day=21))
    assert old.message == f"some tables are old: prices ({days} days)"


def test_the_bill_says_that_its_oldest_price_has_no_day():
    machine = {"type": "a3-megagpu-8g", "count": 1}
    found = run(SERVE, machine=machine, place={"regions": ["us-west1"]}, capacity={"model": "on-demand"})
    assert words.cost(found.plan.estimate).endswith(" at list prices of 2026 (day not given)")


FREE = {
    "google_compute_address": "an internal address",
    "google_compute_global_address": "an address in use by a forwarding rule",
    "google_compute_backend_service": "billed as forwarding rule and data",
    "google_compute_region_backend_service": "billed as proxies and data",
    "google_compute_firewall": "free",
    "google_compute_health_check": "free",
    "google_compute_region_health_check": "free",
    "google_compute_instance_template": "free; its machines and disks are billed",
    "google_compute_region_instance_template": "free; its machines and disks are billed",
    "google_compute_autoscaler": "free",
    "google_compute_region_autoscaler": "free",
    "google_compute_managed_ssl_certificate": "free",
    "google_compute_network": "free",
    "google_compute_resource_policy": "free",
    "google_compute_resize_request": "free; its machines are billed",
    "google_compute_region_resize_request": "free; its machines are billed",
    "google_compute_router": "billed as NAT",
    "google_compute_ssl_policy": "free",
    "google_compute_subnetwork": "free; its flow logs are named",
    "google_compute_region_target_http_proxy": "billed as proxies and data",
    "google_compute_target_http_proxy": "billed as forwarding rule and data",
    "google_compute_target_https_proxy": "billed as forwarding rule and data",
    "google_compute_region_url_map": "billed as proxies and data",
    "google_compute_url_map": "billed as forwarding rule and data",
    "google_billing_budget": "free",
    "google_logging_metric": "free",
    "google_logging_project_bucket_config": "billed as logs",
    "google_logging_project_sink": "billed as logs",
    "google_monitoring_dashboard": "free",
    "google_monitoring_notification_channel": "free",
    "google_project_service": "free",
    "google_service_account": "free",
    "google_service_networking_connection": "free",
}
"""Resources without a line of their own, and why. Roles (`…_iam_member`) are free as well."""
BILLED = {
    "google_compute_instance_group_manager": {"compute", "storage"},
    "google_compute_region_instance_group_manager": {"compute", "storage"},
    "google_compute_reservation": {"compute"},
    "google_compute_future_reservation": {"compute"},
    "google_compute_router_nat": {"nat-vm", "nat-gateway"},
    "google_compute_forwarding_rule": {"load-balancer-proxy"},
    "google_compute_global_forwarding_rule": {"forwarding-rule"},
    "google_compute_security_policy": {"cloud-armor-policy"},
    "google_monitoring_alert_policy": {"alert-condition"},
    "google_storage_anywhere_cache": {"cloud-storage-cached"},
    "google_storage_bucket": {"cloud-storage", "cloud-storage-cached"},
    "google_compute_image": {"image"},
    "google_filestore_instance": {one for one in CATALOG.storage_services if one.startswith("filestore")},
    "google_lustre_instance": {one for one in CATALOG.storage_services if one.startswith("lustre")},
    "google_parallelstore_instance": {"parallelstore"},
    "google_compute_disk": {"hyperdisk-ml", "hyperdisk-balanced", "hyperdisk-extreme", "hyperdisk-throughput", "pd-balanced", "pd-ssd", "pd-standard"},
}  # fmt: skip
"""Resources, and the rows of the tables one of which must stand on the bill."""


def _runs() -> list[Compilation]:
    more = [
        run(SERVE, serve=SERVE["serve"] | {"expose": "external"}),
        run(SERVE, capacity={"model": "reservation", "existing": False}),
        run(TRAIN, data={"size": "2TiB", "file_size": "256KiB", "posix": "full"}),
        run(TRAIN, storage=[{"purpose": "checkpoints", "service": "managed-lustre"}]),
    ]
    return [
        *(compiled(example) for example in EXAMPLES),
        *(test_cases.compiled(case) for case in test_cases.CASES),
        *more,
    ]


def test_every_resource_is_on_the_bill_or_free_for_a_reason():
    seen: set[str] = set()
    for one in _runs():
        assert one.plan is not None and one.stack is not None, [found.message for found in one.diagnostics]
        charges = one.plan.estimate.costs.charges
        items = {charge.item for charge in charges} | {charge.part for charge in charges}
        for address, _ in one.stack.resources:
            kind = address.partition(".")[0]
            seen.add(kind)
            if kind in FREE or kind.endswith("_iam_member"):
                continue
            assert kind in BILLED, f"{one.name}: say in FREE or BILLED who pays for {address}"
            assert BILLED[kind] & items, f"{one.name}: nobody pays for {address}"
    assert {
        "google_compute_reservation",
        "google_compute_router_nat",
        "google_filestore_instance",
        "google_lustre_instance",
    } <= seen


def test_what_has_no_price_is_named_and_never_zero():
    """A type whose price nobody publishes, and traffic that nobody gave."""
    plan = run(SERVE, machine={"type": "a3-edgegpu-8g"}, place={}).plan
    bill = plan.estimate.costs
    assert bill.total is None and any("a3-edgegpu-8g" in name for name in bill.unknown)
    assert any("NAT traffic" in name for name in run(SERVE).plan.estimate.costs.unknown)
    assert all(one.usd_per_unit is None or one.usd_per_unit > 0 for one in bill.charges)


def test_a_price_of_another_region_is_said():
    """Filestore is known for one region: elsewhere its price is used, and marked."""
    plan = run(TRAIN, data={"size": "2TiB", "file_size": "256KiB", "posix": "full"}).plan
    assert any("us-east4" in name for name in plan.estimate.costs.borrowed)


def test_a_region_that_a_table_of_many_leaves_out_is_unknown():
    assert CATALOG.service_price("pd-ssd", "gib-month", "europe-west4").usd == 0.187
    assert CATALOG.service_price("pd-ssd", "gib-month", "nowhere-1") is None


@pytest.mark.parametrize("field", ["usd_per_hour", "kg_co2e"])
def test_a_limit_within_reach_of_a_change_names_the_cheapest_that_holds(field):
    """The line that the help names, put into the descriptor, is accepted; the plan that it announces is the plan."""
    base = SERVE | {"machine": {}, "place": {"regions": ["asia-northeast1"]}}
    free = run(base).plan.estimate
    limit = {"usd_per_hour": free.costs.total * 0.8, "kg_co2e": free.kg_co2e_per_hour.expected * HOURS * 0.3}[field]
    refused = run(base, limits={field: limit})
    error = next(one for one in refused.diagnostics if one.code == "X002")
    change, _, announced = error.help.removeprefix("the cheapest change within all limits: `").partition("`, ")
    path, _, value = change.partition(": ")
    section, _, name = path.partition(".")
    again = run(base, limits={field: limit}, **{section: base[section] | {name: yaml.safe_load(value)}})
    assert again.plan is not None, error.help
    assert announced.startswith(f"{again.plan.machine.choice.nodes} × {again.plan.machine.choice.type}")


@pytest.mark.parametrize("field", ["usd_per_hour", "kg_co2e"])
def test_a_limit_out_of_reach_says_which_one_would_hold(field):
    refused = run(SERVE, limits={field: 0.001})
    error = next(one for one in refused.diagnostics if one.code == "X002")
    raised = float(error.help.split("raise it to ")[1].partition(",")[0])
    assert run(SERVE, limits={field: raised}).plan is not None
    assert run(SERVE, limits={field: raised * 0.98}).diagnostics.has_errors


def test_limits_pass_over_what_is_too_dear_as_a_whole():
    """Cost-first takes the cleaner and dearer plan when only that one stays within the emissions."""
    free = run(SERVE, machine={}, place={"residency": "eu"})
    kg_month = free.plan.estimate.kg_co2e_per_hour.expected * HOURS
    bound = run(SERVE, machine={}, place={"residency": "eu"}, limits={"kg_co2e": kg_month * 0.6})
    assert bound.plan is not None
    assert bound.plan.estimate.kg_co2e_per_hour.expected * HOURS <= kg_month * 0.6
    assert bound.plan.estimate.costs.total > free.plan.estimate.costs.total


def test_a_limit_that_nobody_can_check_is_an_error():
    refused = run(SERVE, machine={"type": "a3-edgegpu-8g"}, place={}, limits={"usd_per_hour": 1000})
    assert [one.code for one in refused.diagnostics if one.severity.value == "error"] == ["X002"]


def test_what_may_be_billed_apart_is_named():
    """The table does not say whether the price of this type holds its local disks: neither counted nor forgotten."""
    bill = run(SERVE, machine={"type": "a4-highgpu-8g"}, place={}, capacity={"model": "spot"}).plan.estimate.costs
    assert bill.total is not None
    assert any("32 local SSD" in name for name in bill.unknown)


def test_diagnostics_of_other_candidates_stay_out():
    found = Diagnostics()
    found.extend(run(SERVE, machine={}).diagnostics)
    assert len({(one.code, one.message) for one in found}) == len(found)


def test_a_job_in_a_booked_window_costs_the_window_and_is_held_to_the_limit():
    """What is booked for ten days is paid for ten days, however soon the job is done."""
    job = {
        "version": 1,
        "name": "tune",
        "task": "finetune",
        "model": {"name": "Qwen2.5-72B"},
        "train": {"method": "full", "tokens": 1e9, "deadline": "10d"},
        "machine": {"accelerators": ["h200"]},
        "capacity": {"model": "calendar", "name": "block", "start": "2027-01-11T08:00:00Z", "duration": "10d"},
    }
    found = run(job).plan
    booked, total = found.capacity.choice.usd_booked, found.estimate.usd_total
    assert found.estimate.train_hours.high < 240 and booked <= total.low == total.high < 1.01 * booked
    codes = [one.code for one in run(job, limits={"usd_total": total.expected / 2}).diagnostics]
    assert "X002" in codes
