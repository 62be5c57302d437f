"""Every door through which a file comes in, and every kind of file that must not; output that goes nowhere."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infragen.cli import main
from tests.examples import EXAMPLES, ROOT

EXAMPLE = ROOT / "examples" / EXAMPLES[0] / "workload.yaml"
OWN_MODEL = "version: 1\nname: chat\ntask: serve\nmodel: {config: odd}\n"
OWN_SCRIPT = "version: 1\nname: pool\ntask: compute\nimage: {base: {family: debian-12}, family: pool, scripts: [odd]}\n"


def plan_of(text: str):
    """Arguments that plan a descriptor beside the odd file."""

    def arguments(odd: Path) -> list[object]:
        path = odd.with_name("workload.yaml")
        path.write_text(text, encoding="utf-8")
        return ["plan", path]

    return arguments


DOORS = {
    # door: arguments for the odd file, its name, the code of the objection
    "the descriptor": (lambda odd: ["plan", odd], "odd.yaml", ("D001", "D002", "D003")),
    "an overlay": (lambda odd: ["plan", EXAMPLE, "--env", odd], "odd.yaml", ("D001", "D002", "D003")),
    "prices": (lambda odd: ["plan", EXAMPLE, "--prices", odd], "odd.csv", ("X003",)),
    "a model": (plan_of(OWN_MODEL), "odd", ("D017",)),
    "a script": (plan_of(OWN_SCRIPT), "odd", ("D018",)),
    "Terraform": (lambda odd: ["check", odd.parent], "odd.tf", ("V050",)),
    "values": (lambda odd: ["check", odd.parent], "terraform.tfvars", ("V050",)),
    "a template": (lambda odd: ["plan", EXAMPLE, "--templates", odd.parent], "main.tf.j2", ("E001",)),
}


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "it is a device, not a regular file"


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "it is a named pipe, not a regular file"


def listening(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        one.bind(path.name)
        os.chdir(here)
    return "it is a socket, not a regular file"


def endless(path: Path) -> str:
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    return "larger than"


def no_text(path: Path) -> str:
    path.write_bytes(b"# ok\n# caf\xe9\n")
    return "UTF-8|is not JSON"


def no_file(path: Path) -> str:
    path.symlink_to(path.with_name("nowhere"))
    return "No such file|does not exist"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", [device, pipe, listening, endless, no_text, no_file], ids=lambda kind: kind.__name__)
def test_no_door_takes_what_is_no_text_of_a_bounded_size(tmp_path, door, kind):
    arguments, name, codes = DOORS[door]
    problem = kind(tmp_path / name)
    done = CliRunner().invoke(main, [str(one) for one in arguments(tmp_path / name)])
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    found = [code for code in codes if f"error[{code}]" in done.stderr]
    assert found and any(words in done.stderr for words in problem.split("|")), done.stderr
    assert "= help: " in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (f"plan /dev/stdin < {EXAMPLE}", 0, "support-chat: serve"),
        (f"plan <(cat {EXAMPLE})", 0, "support-chat: serve"),
        (f"plan {EXAMPLE} --prices <(echo item,region,usd; echo g2-standard-24,everywhere,1)", 0, "negotiated prices"),
        ("plan /dev/stdin < /dev/zero", 1, "error[D002]"),
        ("plan <(yes) ", 1, "error[D002]"),
    ],
)
def test_what_the_shell_opened_is_read_up_to_its_bound(words, code, said):
    done = in_shell(f"infragen {words}")
    assert done.returncode == code and said in done.stdout + done.stderr, done.stderr


def in_shell(command: str) -> subprocess.CompletedProcess:
    """A command line of bash, in which ``infragen`` is the program."""
    program = f'infragen() {{ "{sys.executable}" -m infragen "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (f"infragen plan {EXAMPLE} > /dev/full", 1, "error[W008]"),
        (f"infragen plan {EXAMPLE} --format json > /dev/full", 1, "error[W008]"),
        (f"infragen plan {EXAMPLE} --format html > /dev/full", 1, "error[W008]"),
        (f"infragen explain {EXAMPLE} > /dev/full", 1, "error[W008]"),
        ("infragen explain S011 > /dev/full", 1, "error[W008]"),
        ("infragen schema > /dev/full", 1, "error[W008]"),
        ("infragen catalog machines > /dev/full", 1, "error[W008]"),
        ("infragen check golden/01-serve-llama-8b > /dev/full", 1, "error[W008]"),
        ("infragen --help > /dev/full", 1, "error[W008]"),
        ("infragen plan no-such.yaml 2> /dev/full", 1, ""),
        ("infragen schema | true", 141, ""),  # 128 + SIGPIPE, as from any program
        ("infragen schema >&-", 0, ""),
        ("infragen plan no-such.yaml 2>&-", 1, ""),
        (f"infragen plan {EXAMPLE} >&- 2>&-", 0, ""),
    ],
)
def test_w008_output_that_nobody_takes_ends_the_run_without_a_traceback(command, code, said):
    done = in_shell(command)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert said in done.stderr and (said or not done.stderr)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_data_is_utf_8_whatever_the_terminal_speaks(encoding):
    command = "infragen plan examples/01-serve-llama-8b/workload.yaml --format json"
    data = in_shell(f"PYTHONIOENCODING={encoding} {command}")
    assert data.returncode == 0 and data.stdout == in_shell(command).stdout
    assert not data.stdout.isascii() and json.loads(data.stdout)["files"]
    text = in_shell(f"PYTHONIOENCODING={encoding} infragen catalog regions Montr | cat -v")
    assert text.returncode == 0 and "northamerica-northeast1" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plan", ""], 1),
        (["plan", EXAMPLE, "--env", ""], 1),
        (["plan", EXAMPLE, "--prices", ""], 1),
        (["plan", EXAMPLE, "--out", ""], 2),
        (["plan", EXAMPLE, "--templates", ""], 2),
        (["explain", "", "machine"], 1),
        (["check", ""], 2),
        (["init", ""], 2),
    ],
)
def test_an_empty_name_is_not_the_current_directory(tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == code and "name is empty, like a variable that is not set" in done.stderr, done.stderr
    assert not any(tmp_path.iterdir())


def test_a_pipe_among_the_files_of_the_output_is_in_the_way(tmp_path):
    out = tmp_path / "out"
    arguments = ["plan", str(EXAMPLE), "--out", str(out)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    for name in ("main.tf", "plan.json"):
        (out / name).unlink()
        os.mkfifo(out / name)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1 and "W005" in done.stderr and "Traceback" not in done.stderr
