"""The starters compile, whatever of their comments is switched on."""

import contextlib
import re

import pytest

from infragen.descriptor import load
from infragen.descriptor.source import File, Source
from infragen.descriptor.template import TASKS, starter
from infragen.diagnostics import CompileError, Diagnostics
from infragen.render.diagnostics import text

OPTION = re.compile(r"^( *)# ( *[a-z_]+:(?: [^#]*?)?)(  #.*)?$")


def complaints(content: str) -> list[str]:
    found = Diagnostics()
    with contextlib.suppress(CompileError):
        load(Source(File("w.yaml", content.encode())), found)
    return [text(one) for one in found]


@pytest.mark.parametrize("task", TASKS)
def test_a_starter_is_right_as_it_is(task: str) -> None:
    assert complaints(starter(task)) == []
    assert complaints(starter(task, "my-own-name")) == []
    assert f"\ntask: {task}  #" in starter(task)


@pytest.mark.parametrize("task", TASKS)
def test_every_option_is_right_when_it_is_switched_on(task: str) -> None:
    lines = starter(task).splitlines()
    options = [index for index, line in enumerate(lines[3:], 3) if OPTION.match(line)]
    assert len(options) > 5
    switched = [OPTION.sub(r"\1\2\3", line) if index in options else line for index, line in enumerate(lines)]
    assert complaints("\n".join(switched)) == []


@pytest.mark.parametrize("task", TASKS)
def test_a_starter_is_short_and_ascii(task: str) -> None:
    assert starter(task).isascii()
    assert len(starter(task).splitlines()) < 60
    assert max(map(len, starter(task).splitlines())) <= 120
