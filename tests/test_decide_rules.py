"""Tables of text cases: every narrowing rule with one candidate that it removes and one that it keeps."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from infragen.decide import capacity, image, machine, place, recipe, storage
from infragen.decide.need import Need
from infragen.decide.pricing import Tariff
from infragen.decide.rule import rule_of
from infragen.descriptor.model import Storage, Workload
from infragen.facts.load import Catalog
from infragen.units import HOUR_S

CATALOG = Catalog()
MACHINES = {one.type: one for one in machine.machines(CATALOG) if one.host is None}
FOLDER = Path(__file__).parent / "decide"
CHECKS = {
    rule_of(check).id: check
    for module in (machine, place, capacity, storage, image, recipe)
    for check in (*module.RULES, *getattr(module, "PREFERENCES", ()))
}
BASE = {"version": 1, "name": "case", "task": "serve", "model": {"name": "Llama-3.1-8B"}}
CASES = [
    pytest.param(path.stem, rule.split()[0], outcome, case, id=f"{rule.replace(' ', '-')}-{outcome}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for rule, cases in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    for outcome, case in cases.items()
]


def need_of(given: dict) -> Need:
    fields = {key: value for key, value in (BASE | given).items() if value is not None}
    return Need(Workload.model_validate(fields), CATALOG, None, datetime(2026, 11, 21, tzinfo=UTC))


def candidate(subject: str, case: dict) -> tuple[object, object]:
    """What the rule looks at, and the candidate."""
    need = need_of(case.get("workload", {}))
    if subject == "storage":
        return store_of(case["store"]), CATALOG.storage_services[case["service"]]
    box = MACHINES[case["machine"]]
    if subject == "machine":
        return need, box
    if subject == "place":
        return need, next(site for site in place.sites(CATALOG, box) if site.region.name == case["region"])
    if subject == "capacity":
        return need, capacity.Offer(box, case["model"], 8, case.get("hours"))
    if subject == "recipe":
        ground = recipe.Ground(box, case["region"], (case["region"] + "-a",), frozenset(), False)
        builder = next(one for one in CATALOG.image_builders if one.machine_type == case["builder"])
        return ground, recipe.bench(need, builder)
    driver = CATALOG.accelerator_drivers.get(box.accelerator.name) if box.accelerator else None
    boot = image.Boot(box, case.get("parallel", False), driver, case.get("built", False))
    return boot, next(one for one in CATALOG.image_families if one.family == case["family"])


def store_of(given: dict) -> storage.Store:
    pinned = Storage.model_validate(given["pinned"]) if "pinned" in given else None
    plain = {key: value for key, value in given.items() if key not in ("pinned", "machine")}
    usual = storage.Store(
        purpose=pinned.purpose if pinned else "dataset",
        machine=MACHINES[given.get("machine", "a3-highgpu-8g")],
        content_gib=100,
        read_mib_s=100,
        write_mib_s=0,
        clients=1,
        posix="basic",
        is_read_only=False,
        is_static=True,
        is_zonal=True,
        file_bytes=None,
        pinned=pinned,
        tariff=Tariff(CATALOG, "us-central1"),
    )
    wanted = replace(usual, **plain)
    return replace(wanted, limits=CATALOG.disk_limits_of(wanted.machine.type))


@pytest.mark.parametrize(("subject", "rule", "outcome", "case"), CASES)
def test_rule(subject, rule, outcome, case):
    need, one = candidate(subject, case)
    miss = CHECKS[rule](need, one)
    assert (miss is not None) == (outcome == "removes"), miss
    assert miss is None or miss.because


def test_every_rule_has_both_cases():
    covered = {(case.values[1], case.values[2]) for case in CASES}
    assert covered == {(id, outcome) for id in CHECKS for outcome in ("removes", "keeps")}


def test_a_miss_by_the_grid_names_a_value_that_fits():
    """Following the advice works: the capacity in the help is on the grid."""
    for service in CATALOG.storage_services.values():
        if service.step_gib > 1:
            odd = service.min_gib + service.step_gib // 2 + 1
            nearest = storage.on_grid(service, odd)
            assert storage.on_grid(service, nearest) == nearest >= odd


def test_flex_start_limits_are_those_of_the_api():
    assert (capacity.FLEX_MIN_S, capacity.FLEX_MAX_S) == (600, 168 * HOUR_S)
