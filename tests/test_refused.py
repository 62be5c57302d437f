"""Descriptors that cannot be carried out, beside exactly what is said of them: ``tests/refused/<case>.yaml`` and ``.txt``."""

from pathlib import Path

import pytest

from infragen.descriptor.source import File, Source
from infragen.pipeline import compile_workload
from infragen.render.diagnostics import text
from tests.examples import CATALOG, TEMPLATES, TODAY
from tests.goldens import REWRITE

FOLDER = Path(__file__).parent / "refused"


@pytest.mark.parametrize("case", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_refused_with_exactly_these_words(case):
    source = Source(File(f"{case}.yaml", (FOLDER / f"{case}.yaml").read_bytes()))
    run = compile_workload(source, CATALOG, TEMPLATES, TODAY)
    found = "".join(text(one) + "\n\n" for one in run.diagnostics)
    golden = FOLDER / f"{case}.txt"
    if REWRITE:
        golden.write_text(found, encoding="utf-8")
    assert run.diagnostics.has_errors
    assert found == golden.read_text(encoding="utf-8"), "if this is what you meant: make golden, and review git diff"


def test_every_text_has_its_descriptor():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in FOLDER.glob("*.yaml")}
