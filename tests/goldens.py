"""Comparing with golden files: byte for byte, with a readable difference and the command that rewrites them."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REWRITE = bool(os.environ.get("INFRAGEN_GOLDEN"))


def compare(folder: Path, texts: Mapping[str, str]) -> None:
    """The folder holds these files with these texts and no others; with INFRAGEN_GOLDEN=1 it is made so."""
    if REWRITE:
        _rewrite(folder, texts)
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()
    }
    report: list[str] = [f"{folder.name}/{name}: no longer written" for name in sorted(found.keys() - texts.keys())]
    for name in sorted(texts):
        if found.get(name) != texts[name]:
            lines = difflib.unified_diff(
                found.get(name, "").splitlines(keepends=True), texts[name].splitlines(keepends=True),
                f"golden/{folder.name}/{name}", "now",
            )  # fmt: skip
            report.append("".join(lines) or f"{name}: differs in line endings only")
    if report:
        pytest.fail(
            "\n".join([*report, "", "if this is what you meant: make golden, and review git diff"]), pytrace=False
        )


def _rewrite(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
