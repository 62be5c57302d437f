"""Odd descriptors of all kinds are planned, or refused with a reason and a way out; nothing else comes of them."""

import pytest

from infragen.descriptor.source import File, Source
from infragen.diagnostics import Severity
from infragen.pipeline import compile_workload
from infragen.render import diagnostics, markdown, report, text
from tests.examples import CATALOG, TEMPLATES, TODAY
from tests.odd import odd

RUNS, EACH = 40, 25


@pytest.mark.parametrize("run", range(RUNS))
def test_an_odd_descriptor_is_planned_or_refused(run):
    for seed in range(run * EACH, (run + 1) * EACH):
        content, settings = odd(seed)
        found = compile_workload(Source(File("odd.yaml", content.encode()), (), settings), CATALOG, TEMPLATES, TODAY)
        for one in found.diagnostics:
            assert one.why and (one.help or one.severity is Severity.NOTE), (seed, one)
            assert diagnostics.text(one)
        assert found.diagnostics.has_errors or found.plan, seed
        if found.plan and not found.diagnostics.has_errors:
            words = text.plan(found.plan, colour=False) + markdown.comment([report.build(found, None, None)])
            assert not {"nan", "inf", "None", "-0"} & set(words.split()), (seed, words)
