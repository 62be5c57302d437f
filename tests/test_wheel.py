"""A wheel, installed into an empty environment, compiles the examples from another directory: templates and facts are inside."""

import subprocess
import sys
import venv

import pytest

from tests.examples import EXAMPLES, ROOT, compiled


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Folder of an environment that holds the wheel and what it depends on, at the locked versions, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        ROOT,
        cwd=folder,
    )
    (wheel,) = folder.glob("infragen-*.whl")
    venv.create(folder / "env", with_pip=True)
    constraints = folder / "constraints.txt"
    locked = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    constraints.write_text(
        "\n".join(line.split(" --hash")[0].split(" ;")[0] for line in locked.splitlines() if "==" in line)
    )
    run(
        folder / "env" / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        constraints,
        wheel,
        cwd=folder,
    )
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_installed_wheel_writes_the_same_bytes(installed, example):
    target = installed / "out" / example
    run(
        installed / "env" / "bin" / "infragen",
        "plan",
        ROOT / "examples" / example / "workload.yaml",
        "--out",
        target,
        "--today",
        "2026-11-21",
        cwd=installed,
    )
    for path, text in compiled(example).files.items():
        if path != "plan.json":  # holds the descriptor's path as it was given
            assert (target / path).read_bytes().decode() == text, path


def test_the_installed_wheel_prints_reports(installed):
    plan = (
        installed / "env" / "bin" / "infragen",
        "plan",
        ROOT / "examples" / EXAMPLES[0] / "workload.yaml",
        "--format",
    )
    assert run(*plan, "html", cwd=installed).startswith("<!doctype html>")
    assert run(*plan, "markdown", cwd=installed).startswith("<!-- infragen:")
