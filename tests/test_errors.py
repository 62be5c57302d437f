"""Wrong descriptors beside their exact diagnostics, and right ones beside nothing.

``tests/errors/<case>.yaml`` has its diagnostics in ``<case>.txt``. A case with overlays or settings is a directory:
``descriptor.yaml``, further ``*.yaml`` as ``--env`` files in the order of their names, ``settings.txt`` with one
``--set`` a line. ``tests/errors/silent/<rule id>.yaml`` comes close to breaking a rule, and does not.

``INFRAGEN_GOLDEN=1 pytest tests/test_errors.py`` rewrites the texts; read the difference.
"""

import difflib
import json
import os
import re
from pathlib import Path

import pytest

from infragen.descriptor import checks, fields, load, mistakes, rules
from infragen.descriptor.source import File, Source
from infragen.diagnostics import CATALOGUE, CompileError, Diagnostic, Diagnostics, Severity, Span
from infragen.render.diagnostics import MAX_LINE_CELLS, cells, record, text

ERRORS = Path(__file__).parent / "errors"
SILENT = ERRORS / "silent"


def cases(directory: Path) -> list[str]:
    names = {path.name for path in directory.iterdir() if path.is_dir() or path.suffix == ".yaml"}
    return sorted(names - {"silent"})


def source(case: Path) -> Source:
    def beside(name: str) -> bytes:
        return (case.parent / name).read_bytes()

    if case.is_file():
        return Source(File(case.name, case.read_bytes()), beside=beside)
    overlays = sorted(path for path in case.glob("*.yaml") if path.name != "descriptor.yaml")
    settings = case / "settings.txt"
    return Source(
        File("descriptor.yaml", (case / "descriptor.yaml").read_bytes()),
        tuple(File(path.name, path.read_bytes()) for path in overlays),
        tuple(settings.read_text().splitlines()) if settings.exists() else (),
    )


def findings(of: Source) -> Diagnostics:
    found = Diagnostics()
    try:
        load(of, found)
        assert not found.has_errors, "errors were reported and not raised"
    except CompileError:
        assert found.has_errors, "raised without a reported error"
    return found


@pytest.mark.parametrize("name", cases(ERRORS))
def test_a_wrong_descriptor_gives_exactly_these_lines(name: str) -> None:
    golden = (ERRORS / name).with_suffix(".txt")
    actual = "".join(text(one) + "\n\n" for one in findings(source(ERRORS / name)))
    if os.environ.get("INFRAGEN_GOLDEN"):
        golden.write_text(actual)
    expected = golden.read_text() if golden.exists() else ""
    if actual != expected:
        lines = difflib.unified_diff(expected.splitlines(), actual.splitlines(), str(golden), "now", lineterm="")
        pytest.fail("\n".join([*lines, "rewrite with: INFRAGEN_GOLDEN=1 pytest tests/test_errors.py"]), pytrace=False)


@pytest.mark.parametrize("name", cases(SILENT))
def test_a_right_descriptor_gives_none(name: str) -> None:
    assert [text(one) for one in findings(source(SILENT / name))] == []


def test_every_text_belongs_to_a_case() -> None:
    assert {path.stem for path in ERRORS.glob("*.txt")} == {Path(name).stem for name in cases(ERRORS)}


# Broken by bytes or by the file system, so tested in Python; or a net below the others.
ELSEWHERE = {"D001": "test_descriptor_files", "D002": "test_descriptor_files", "D003": "test_descriptor_files"}
FALLBACK = {"D033"}


def test_every_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert rules and fields and mistakes and checks  # the modules that declare
    ids = {id for id in CATALOGUE if id.startswith("D")} - ELSEWHERE.keys() - FALLBACK
    fired = set(re.findall(r"\[(D\d+)\]", "".join(path.read_text() for path in ERRORS.glob("*.txt"))))
    assert fired == ids
    assert {Path(name).stem for name in cases(SILENT)} == ids


@pytest.mark.parametrize("name", [name for name in cases(ERRORS) if re.match(r"D\d+", name)])
def test_a_case_named_after_a_rule_breaks_that_rule(name: str) -> None:
    assert name[:4] in {one.code for one in findings(source(ERRORS / name))}


def test_no_word_of_the_libraries_reaches_the_user() -> None:
    texts = "".join(path.read_text() for path in ERRORS.glob("*.txt"))
    for word in ("pydantic", "Input should", "Extra inputs", "Field required", "while scanning", "block mapping"):
        assert word not in texts


# How a finding is shown

SPAN = Span("w.yaml", 12, 15, 4, "  memory_gib: 9000")
FINDING = Diagnostic("M004", Severity.ERROR, "no machine", SPAN, "too much", "a tenth is kept free", "lower it")


def test_text_has_where_what_why_and_help() -> None:
    assert text(FINDING).splitlines() == [
        "error[M004]: no machine",
        "  --> w.yaml:12:15",
        "   |",
        "12 |   memory_gib: 9000",
        "   |               ^^^^ too much",
        "   = why: a tenth is kept free",
        "   = help: lower it",
    ]


def test_colour_changes_nothing_but_the_colour() -> None:
    painted = text(FINDING, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == text(FINDING)
    assert painted.startswith("\x1b[1;31merror[M004]\x1b[0m")


def test_a_finding_without_a_place_has_no_arrow() -> None:
    bare = Diagnostic("C001", Severity.WARNING, "old prices", help="refresh them")
    assert text(bare) == "warning[C001]: old prices\n   = help: refresh them"
    assert record(bare)["file"] is None and record(bare)["line"] is None


def test_nothing_of_the_user_reaches_the_terminal_unseen() -> None:
    evil = "\x1b]0;x\x07\n\x9b2J\u202e\udc80"
    shown = text(Diagnostic("D001", Severity.ERROR, evil, Span(evil, 1, 2, 3, evil), evil, evil, evil))
    assert not set(shown) & set("\x1b\x07\x9b\u202e\udc80")
    assert len(shown.splitlines()) == 7


def test_record_is_json_that_every_reader_takes() -> None:
    one = Diagnostic("D001", Severity.ERROR, "lost \udc80", Span("a\udc80.yaml", 3, 7), "here", "so", "do")
    assert json.loads(json.dumps(record(one), ensure_ascii=False).encode()) == {
        "code": "D001",
        "severity": "error",
        "file": "a?.yaml",
        "line": 3,
        "column": 7,
        "message": "lost ?",
        "label": "here",
        "why": "so",
        "help": "do",
    }


@pytest.mark.parametrize("column", [1, 50, 4000, 7999, 8001])
@pytest.mark.parametrize("filler", ["x", "模", "\t", "e\u0301", "\x01"])
def test_long_lines_are_cut_around_the_caret(column: int, filler: str) -> None:
    source_line = (filler * 8000)[: column - 1] + "@" + (filler * 8000)[column:8000]
    lines = text(Diagnostic("D001", Severity.ERROR, "m", Span("w.yaml", 1, column, 1, source_line), "l")).splitlines()
    shown, caret = lines[3][5:], lines[4][5:].removesuffix(" l")
    assert cells(shown) <= MAX_LINE_CELLS + 2  # the marks of the two cuts
    before = shown.partition("@")[0]
    assert "@" in shown and cells(before) == len(caret) - 1 and caret.endswith("^")
