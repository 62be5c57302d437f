"""The examples, compiled once per test process."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from infragen.descriptor.source import read
from infragen.diagnostics import Diagnostics
from infragen.emit import load_templates
from infragen.facts.load import Catalog
from infragen.pipeline import Compilation, compile_workload

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
TODAY = datetime(2026, 11, 21, tzinfo=UTC)
CATALOG = Catalog()
TEMPLATES = load_templates(None)


def compile_file(path: str | Path, settings: tuple[str, ...] = ()) -> Compilation:
    """One descriptor through the whole line, with the date of the goldens."""
    diags = Diagnostics()
    return compile_workload(read(str(path), diags, (), settings), CATALOG, TEMPLATES, TODAY)


@cache
def compiled(example: str) -> Compilation:
    """An example without errors."""
    run = compile_file(ROOT / "examples" / example / "workload.yaml")
    assert not run.diagnostics.has_errors, [one.message for one in run.diagnostics]
    return run
