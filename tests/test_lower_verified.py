"""infragen's own check has no error for what infragen writes."""

import pytest

from infragen import emit, lower, verify
from infragen.diagnostics import Diagnostics, Severity
from tests.lower.plans import CATALOG, PLANS

TEMPLATES = emit.load_templates()


@pytest.mark.parametrize("name", PLANS)
def test_infragen_finds_no_error(name):
    diags = Diagnostics()
    verify.run(emit.run(lower.run(PLANS[name]()), TEMPLATES, Diagnostics()), diags, CATALOG.is_accelerator_machine)
    assert [(one.code, one.message, one.span) for one in diags if one.severity is Severity.ERROR] == []
