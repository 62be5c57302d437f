"""The pytest fixtures `terraform` and `stand_in_terraform`, and the line of the report that says who judged."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.terraform import judge as judges
from tests.terraform.server import StandIn
from tests.terraform.workspace import Workspace, open_workspace

_LABEL = "terraform_judge"
_label = pytest.StashKey[str]()


class OpenWorkspace(Protocol):
    """What the fixtures give: call it once per workspace."""

    def __call__(self, directory: Path | None = None, files: Mapping[str, str] | None = None) -> Workspace:
        """A workspace on a copy of ``directory``, if given, with ``files`` (path -> text) added or replaced."""


@pytest.fixture(scope="session")
def terraform_program() -> str:
    """Path of the terraform program."""
    return find_program(os.environ.get("PATH", ""))


def find_program(path: str) -> str:
    """The terraform program on this search path. Fails the test without one, for a skipped plan is an unchecked plan."""
    found = shutil.which("terraform", path=path)
    if found is None:
        pytest.fail(
            "terraform is not on the PATH: install Terraform 1.11 or newer,"
            " https://developer.hashicorp.com/terraform/install",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """The stand-in's servers, in this process."""
    running = StandIn()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def terraform_judge(
    terraform_program: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> judges.Judge:
    """Who judges, decided once per test session by the first test that needs it."""
    base = tmp_path_factory.getbasetemp()
    is_worker = hasattr(pytestconfig, "workerinput")  # of pytest-xdist: the folder above is common to all workers
    shared = (base.parent if is_worker else base) / "terraform-judge"
    problem = ""
    try:
        judge = judges.once(shared, lambda: judges.choose(terraform_program, shared, os.environ))
    except judges.JudgeError as error:
        problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
    pytestconfig.stash[_label] = judge.label
    return judge


@pytest.fixture
def terraform(
    request: pytest.FixtureRequest, terraform_program: str, terraform_judge: judges.Judge, tmp_path: Path
) -> OpenWorkspace:
    """Terraform, with the real providers where they can be installed and the stand-in elsewhere."""
    running = None if terraform_judge.is_real else request.getfixturevalue("stand_in")
    return _opener(tmp_path, terraform_program, terraform_judge, running)


@pytest.fixture
def stand_in_terraform(terraform_program: str, stand_in: StandIn, tmp_path: Path) -> OpenWorkspace:
    """Terraform with the stand-in, also where the real providers can be installed."""
    return _opener(tmp_path, terraform_program, judges.STAND_IN, stand_in)


def _opener(tmp_path: Path, program: str, judge: judges.Judge, running: StandIn | None) -> OpenWorkspace:
    def open_next(directory: Path | None = None, files: Mapping[str, str] | None = None) -> Workspace:
        taken = len(list(tmp_path.glob("workspace-*")))
        target = tmp_path / f"workspace-{taken + 1}" / "root"
        return open_workspace(target, directory, files or {}, program, judge, running)

    return open_next


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its label to the process that prints the report."""
    if hasattr(session.config, "workeroutput") and _label in session.config.stash:
        session.config.workeroutput[_LABEL] = session.config.stash[_label]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take the label from a worker of pytest-xdist that has finished."""
    label = getattr(node, "workeroutput", {}).get(_LABEL)
    if label:
        node.config.stash[_label] = label  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say who judged, if any test asked."""
    if _label in config.stash:
        terminalreporter.write_line(f"Terraform plans judged by: {config.stash[_label]}")
