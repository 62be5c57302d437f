"""Every file that the examples compile to, and what the command line says about them, byte for byte."""

import pytest

from infragen import write
from infragen.render import text
from tests.examples import EXAMPLES, ROOT, compiled
from tests.goldens import compare


@pytest.mark.parametrize("example", EXAMPLES)
def test_output_is_the_golden_one(example):
    run = compiled(example)
    texts = dict(write.with_manifest(run.files)) | {
        "plan.txt": text.plan(run.plan, colour=False),
        "explain.txt": text.explain(run.plan, None, None),
    }
    compare(ROOT / "golden" / example, texts)


def test_every_golden_has_an_example_and_the_reverse():
    assert sorted(path.name for path in (ROOT / "golden").iterdir()) == EXAMPLES
