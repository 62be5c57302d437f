"""The workloads whose reports are read: the examples, and others of other kinds in ``tests/reports``."""

from functools import cache
from pathlib import Path

from infragen.descriptor.source import File, Source
from infragen.pipeline import Compilation, compile_workload
from infragen.render import report
from infragen.render.report import Report
from tests.examples import CATALOG, EXAMPLES, ROOT, TEMPLATES, TODAY

FOLDER = Path(__file__).parent / "reports"
FILES = {
    **{name: ROOT / "examples" / name / "workload.yaml" for name in EXAMPLES},
    **{path.stem: path for path in sorted(FOLDER.glob("*.yaml"))},
}
REPORTED = sorted(FILES)


@cache
def compiled(name: str) -> Compilation:
    """A workload without errors; its file goes by its name alone, wherever the checkout is."""
    run = compile_workload(Source(File(f"{name}.yaml", FILES[name].read_bytes())), CATALOG, TEMPLATES, TODAY)
    assert not run.diagnostics.has_errors, [one.message for one in run.diagnostics]
    return run


@cache
def reported(name: str) -> Report:
    """Its report, of a run that wrote nothing."""
    return report.build(compiled(name), None, None)
