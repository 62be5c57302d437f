"""The Packer files that are written: always judged by the table of fields, and by Packer itself where it and its plug-in are."""

import re
import shutil
import subprocess

import pytest

from infragen.diagnostics import Diagnostics
from infragen.fileset import FileSet
from infragen.verify import run
from tests.test_cases import CASES, compiled

BUILT = [case for case in CASES if case.startswith("image-built-")]
FILE = "image/image.pkr.hcl"
OLDEST = (1, 10)


def _answer(program: str, *words: str) -> str:
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False).stdout


def _packer() -> str | None:
    """A Packer that is new enough, with the plug-in, which no test fetches."""
    program = shutil.which("packer")
    version = re.search(r"v(\d+)\.(\d+)", _answer(program, "version")) if program else None
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        return None
    return program if "googlecompute" in _answer(program, "plugins", "installed") else None


PACKER = _packer()


@pytest.mark.parametrize("case", BUILT)
def test_the_table_of_fields_finds_nothing(case):
    diags = Diagnostics()
    run(FileSet({FILE: compiled(case).files[FILE]}), diags, lambda _: False)
    assert not len(diags)


@pytest.mark.parametrize("case", BUILT)
def test_every_file_that_is_named_is_written(case):
    files = compiled(case).files
    named = set(re.findall(r'"\$\{path\.root\}/([^"]+)"', files[FILE])) - {"manifest.json"}
    assert {f"image/{name}" for name in named} == {path for path in files if path.startswith("image/")} - {FILE}


@pytest.mark.skipif(
    PACKER is None, reason="no Packer 1.10 with the googlecompute plug-in: the table of fields judges alone"
)
@pytest.mark.parametrize("case", BUILT)
def test_packer_validates(case, tmp_path):
    for path, text in compiled(case).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    command = [PACKER, "validate", "-var", "project_id=my-project", str(tmp_path / "image")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
