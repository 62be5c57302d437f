"""The calibration page says what the engine says, and the engine stays near what was published."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from infragen.decide.sizing.facts import SizingFacts
from infragen.facts.load import Catalog

ROOT = Path(__file__).parents[1]
CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)


@pytest.fixture(scope="module")
def calibrate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibrate", ROOT / "tools" / "calibrate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibrate"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_engine_says(calibrate: ModuleType) -> None:
    """On a difference: `python tools/calibrate.py`, and read the diff."""
    assert calibrate.PAGE.read_text(encoding="utf-8") == calibrate.page(CATALOG, FACTS)


def test_published_hours_lie_in_the_predicted_range(calibrate: ModuleType) -> None:
    cases = calibrate.training_cases(CATALOG, FACTS)
    assert sum(case.is_inside for case in cases) >= 0.85 * len(cases)
    for case in cases:
        assert case.predicted is not None, case.note
        assert case.predicted.high <= 2.5001 * case.predicted.low


def test_published_throughput_lies_in_the_predicted_range(calibrate: ModuleType) -> None:
    cases = calibrate.serving_cases(CATALOG, FACTS)
    assert sum(case.is_inside for case in cases) >= 0.85 * len(cases)
    ranges = [case.predicted for case in cases if case.predicted]
    assert all(one.high <= 2.5 * one.low for one in ranges)


def test_the_predictions_are_not_biased(calibrate: ModuleType) -> None:
    for cases in (calibrate.training_cases(CATALOG, FACTS), calibrate.serving_cases(CATALOG, FACTS)):
        ratios = sorted(case.published / case.predicted.expected for case in cases if case.predicted)
        assert 0.8 < ratios[len(ratios) // 2] < 1.2


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("fits", 0.95),
        ("fewest", 0.95),
        ("hours", 0.7),
        ("hours of finetuning", 0.55),
        ("tokens_per_second", 0.8),
        ("checkpoint_gb", 1.0),
    ],
)
def test_plans_agree_with_published_claims(calibrate: ModuleType, kind: str, least: float) -> None:
    """The claims were written down before the engine was asked; many hours are a report's \"about a month\"."""
    some = [one for one in calibrate.claims(CATALOG) if one.kind == kind]
    wrong = [f"{one.label}: published {one.published}, planned {one.planned}" for one in some if not one.agrees]
    assert len(wrong) <= (1 - least) * len(some), wrong
    judged = [one.predicted for one in some if one.predicted]
    assert all(one.high <= 2.5001 * one.low for one in judged)


def test_the_width_of_hours_is_that_of_published_runs(calibrate: ModuleType) -> None:
    """The middle is what is expected; no other range of that width holds more runs, and a narrower one far fewer."""
    ratios = calibrate.ratios(CATALOG, FACTS)
    for kind in ("hours", "tokens_per_second"):
        assert 0.9 < ratios[kind][len(ratios[kind]) // 2] < 1.1
    runs = ratios["hours"]

    def held(low: float, width: float) -> int:
        return sum(low <= one <= low * width for one in runs)

    assert held(0.67, 2.5) >= 0.8 * len(runs)
    assert held(0.67, 2.5) >= max(held(low, 2.5) for low in runs) - 2
    assert max(held(low, 2.0) for low in runs) <= 0.75 * len(runs)


def test_measured_steps_lie_in_the_predicted_range(calibrate: ModuleType) -> None:
    steps = [one for one in calibrate.claims(CATALOG) if one.kind == "tokens_per_second" and one.is_training]
    assert len(steps) > 100
    assert sum(one.agrees for one in steps) >= 0.9 * len(steps)


def test_published_energy_and_emissions_lie_in_the_predicted_range(calibrate: ModuleType) -> None:
    """All of those measured; of those computed from rated power alone, which leave hosts out, none above and few below."""
    for cases in calibrate.energy_cases(CATALOG, FACTS):
        measured = [case for case in cases if case.note.startswith("measured")]
        assert measured and all(case.is_inside for case in measured), [case.label for case in measured]
        rated = [case for case in cases if case.note.startswith("rated")]
        assert len(rated) >= 10
        for case in rated:
            assert 0.85 * case.predicted.low <= case.published <= case.predicted.expected, case.label


def test_a_run_at_half_the_grid_factor_emits_half(calibrate: ModuleType) -> None:
    energy, emissions = calibrate.energy_cases(CATALOG, FACTS)
    by_label = {case.label: case for case in energy}
    for case in emissions:
        grid = float(case.note.rpartition(", ")[2].split()[0])
        assert case.predicted.expected == pytest.approx(by_label[case.label].predicted.expected * grid / 1000)
