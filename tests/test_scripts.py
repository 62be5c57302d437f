"""The boot scripts: clean for shellcheck, and run.sh and mount.sh really run, with a metadata server and tools that only record."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infragen import emit, lower
from infragen.decide.model import Program
from infragen.diagnostics import Diagnostics
from infragen.lower.gce import boot
from tests.lower.plans import PLANS, serve, train

TEMPLATES = emit.load_templates()
SHELLCHECK = Path(sys.executable).parent / "shellcheck"
CURL = r"""#!/bin/bash
# The last argument is the address; its answer is a file named after it.
for address; do :; done
cat >>"$FAKE/input" <&0 2>/dev/null
echo "$address" >>"$FAKE/asked"
name="${address//[^A-Za-z0-9]/_}"
[[ -e "$FAKE/answers/$name" ]] || exit 22
cat "$FAKE/answers/$name"
"""
RECORDER = r"""#!/bin/bash
# Writes how many arguments it has, its name and the arguments, each ended by NUL.
printf '%s\0' "$#" "${0##*/}" "$@" >>"$FAKE/calls"
case "${0##*/}" in
  mountpoint) [[ -e "$FAKE/mounted${2//\//_}" ]] ;;
  mount | gcsfuse) for target; do :; done; touch "$FAKE/mounted${target//\//_}" ;;
  docker) env -0 >"$FAKE/env" ;;
  cos-extensions) exit 1 ;;
esac
"""
LAYOUT = "WORKLOAD_TENSOR_PARALLEL=2\nWORKLOAD_PIPELINE_PARALLEL=1\nWORKLOAD_REPLICAS_PER_NODE=4"
METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/"
PROCESS_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
) | st.sampled_from(
    [
        "",
        "$(touch x)",
        "`id`",
        "a\nb\n",
        "\\",
        "\\n",
        "\\0101",
        "\\c",
        "'\"",
        "-n",
        "$HOME",
        "*",
        " lead",
        "trail ",
        "\r",
        "\u2028",
        "%s",
    ]
)
SLOW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


def scripts_of(plan):
    files = emit.run(lower.run(plan), TEMPLATES, Diagnostics())
    return {path.removeprefix("scripts/"): text for path, text in files.items() if path.startswith("scripts/")}


@pytest.mark.parametrize("name", PLANS)
def test_shellcheck_finds_nothing(name, tmp_path):
    for file, text in scripts_of(PLANS[name]()).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    command = [str(SHELLCHECK), "--severity=style", *map(str, sorted(tmp_path.iterdir()))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "" and result.returncode == 0


@pytest.mark.parametrize("name", PLANS)
def test_no_value_of_the_plan_is_written_into_a_script(name):
    """The same kinds of store and program give the same scripts, whatever the values are."""
    plan = PLANS[name]()
    other = replace(plan, name="other", project="another-project")
    if plan.program and plan.program.container:
        other = replace(other, program=replace(plan.program, container=f"elsewhere.example/{plan.program.container}"))
    assert scripts_of(plan) == scripts_of(other)


DF = "#!/bin/bash\nprintf '%s\\n' 1M-blocks 1000\n"


class Machine:
    """A machine of which only the scripts are real."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "answers").mkdir(parents=True)
        (folder / "bin").mkdir()
        tools = ["docker", "gcsfuse", "mount", "mountpoint", "modprobe", "blkid", "mkdir", "sleep", "mount.nfs"]
        for name, text in ({"curl": CURL, "df": DF} | dict.fromkeys(tools, RECORDER)).items():
            (folder / "bin" / name).write_text(text, encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        self.attribute("workload-layout", LAYOUT)

    def answer(self, address, text):
        name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in address)
        (self.folder / "answers" / name).write_text(text, encoding="utf-8", newline="")

    def attribute(self, name, text):
        self.answer(f"{METADATA}attributes/{name}", text)

    def run(self, script):
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        environment = {"PATH": path, "FAKE": str(self.folder), "LC_ALL": "C.UTF-8"}
        (self.folder / "script.sh").write_text(script, encoding="utf-8")
        command = ["bash", str(self.folder / "script.sh")]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, env=environment, capture_output=True, timeout=20, check=False
        )

    def calls(self, tool):
        """The argument lists that a tool was called with."""
        words = iter((self.folder / "calls").read_bytes().decode().split("\0"))
        calls = [(next(words), [next(words) for _ in range(int(count))]) for count in words if count]
        return [arguments for name, arguments in calls if name == tool]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@SLOW
@given(st.lists(PROCESS_TEXT, min_size=1, max_size=4), st.lists(PROCESS_TEXT, max_size=3))
def test_arguments_and_variables_arrive_as_they_are(tmp_path_factory, words, values):
    """From the descriptor through metadata and the shell to the container: the same characters, and nothing is run."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    env = tuple((f"V{index}", value) for index, value in enumerate(values))
    plan = replace(serve(), program=Program("img", tuple(words), env, ()), storage=())
    assert lower.check(plan) == ()
    machine.attribute("workload-container", "img")
    machine.attribute("workload-command", "\n".join(boot.line(word) for word in words))
    machine.attribute("workload-env", "\n".join(boot.line(f"{name}={value}") for name, value in env))
    result = machine.run(scripts_of(plan)["run.sh"])
    assert result.returncode == 0, result.stderr
    started = machine.calls("docker")[-1]
    image = started.index("img")
    assert started[image + 1 :] == words
    flags = started[:image]
    given_values = [flags[index + 1] for index, flag in enumerate(flags) if flag == "--env"]
    assert given_values == LAYOUT.split("\n") + [f"{name}={value}" for name, value in env]


def test_secrets_go_by_the_environment_and_never_by_arguments(machine):
    plan = replace(serve(), storage=())
    token = METADATA + "service-accounts/default/token"
    machine.answer(token, '{"access_token": "t0ken", "expires_in": 3599}')
    machine.attribute("workload-container", "img")
    machine.attribute("workload-command", "--serve")
    machine.attribute("workload-env", "A=1")
    machine.attribute("workload-secrets", "HF_TOKEN projects/p/secrets/hf-token/versions/latest")
    secret = "https://secretmanager.googleapis.com/v1/projects/p/secrets/hf-token/versions/latest:access"
    machine.answer(secret, '{\n  "payload": {\n    "data": "czNjcjN0Cg=="\n  }\n}\n')
    result = machine.run(scripts_of(plan)["run.sh"])
    assert result.returncode == 0, result.stderr
    started = machine.calls("docker")[-1]
    assert started[started.index("HF_TOKEN") - 1] == "--env"
    assert not any("s3cr3t" in word or "t0ken" in word for word in started)
    environment = (machine.folder / "env").read_bytes().decode().split("\0")
    assert "HF_TOKEN=s3cr3t\n" in environment
    assert b"s3cr3t" not in result.stdout + result.stderr


GROUP = "projects/1/zones/europe-west4-b/instanceGroupManagers/tune-70b"
MEMBERS = [f"tune-70b-{suffix}" for suffix in ("x9z1", "a0bc", "m5m5", "b1b1", "q2q2", "c3c3", "z8z8", "d4d4")]


@pytest.mark.parametrize(("own", "rank"), [("a0bc", 0), ("x9z1", 6)])
@pytest.mark.parametrize("zonal", [True, False])
@pytest.mark.parametrize("per_page", [500, 4])
def test_ranks_follow_the_sorted_names(machine, own, rank, zonal, per_page):
    suffix = "europe-west4-b.c.ml.internal" if zonal else "c.ml.internal"
    machine.answer(METADATA + "service-accounts/default/token", '{"access_token":"t"}')
    machine.answer(METADATA + "hostname", f"tune-70b-{own}.{suffix}")
    machine.answer(METADATA + "zone", "projects/1/zones/europe-west4-b")
    for name, text in {
        "workload-nodes": "8", "workload-accelerators": "8", "workload-container": "img", "workload-command": "train",
        "workload-env": "A=1", "created-by": GROUP, "workload-local-ssd": "/mnt/local-ssd",
        "workload-mounts": "nfs 10.0.0.2:/dataset /mnt/dataset vers=3\nfolder /mnt/dataset/checkpoints /mnt/checkpoints -",
    }.items():  # fmt: skip
        machine.attribute(name, text)
    leaving = [("tune-70b-0000", "DELETING"), ("tune-70b-zzzz", "ABANDONING")]
    entries = [
        f'    {{\n      "instance": "https://www.googleapis.com/compute/v1/projects/ml/zones/europe-west4-b/instances/{one}",\n'
        f'      "currentAction": "{action}"\n    }}'
        for one, action in [*((one, "NONE") for one in MEMBERS), *leaving]
    ]
    address = (
        f"https://compute.googleapis.com/compute/v1/{GROUP}/listManagedInstances?maxResults=500"
        "&fields=nextPageToken,managedInstances(instance,currentAction)"
    )
    pages = [entries[start : start + per_page] for start in range(0, len(entries), per_page)]
    for number, page in enumerate(pages, 1):
        listing = ",\n".join(page)
        more = f',\n  "nextPageToken": "p+{number + 1}="' if number < len(pages) else ""
        asked = f"&pageToken=p%2B{number}=" if number > 1 else ""
        machine.answer(address + asked, f'{{\n  "managedInstances": [\n{listing}\n  ]{more}\n}}\n')
    result = machine.run(scripts_of(train())["run.sh"])
    assert result.returncode == 0, result.stderr
    started = machine.calls("docker")[-1]
    values = dict(started[index + 1].split("=", 1) for index, word in enumerate(started) if word == "--env")
    assert values["NODE_RANK"] == values["PET_NODE_RANK"] == str(rank)
    assert values["MASTER_ADDR"] == f"tune-70b-a0bc.{suffix}"
    assert (values["NNODES"], values["NPROC_PER_NODE"], values["A"]) == ("8", "8", "1")
    volumes = [started[index + 1] for index, word in enumerate(started) if word == "--volume"]
    assert volumes == ["/mnt/dataset:/mnt/dataset", "/mnt/checkpoints:/mnt/checkpoints"]


@pytest.mark.parametrize(("own", "rank", "leader"), [("a0bc", 0, "a0bc"), ("d4d4", 1, "c3c3"), ("x9z1", 0, "x9z1")])
def test_ranks_are_told_within_a_replica_of_two_machines(machine, own, rank, leader):
    """Eight machines sorted by name, two a replica: the third and the fourth are the second replica."""
    plan = replace(PLANS["split_replicas"](), program=Program("img", ("serve",), (("A", "1"),), ()), storage=())
    domain = "europe-west4-b.c.ml.internal"
    machine.answer(METADATA + "service-accounts/default/token", '{"access_token":"t"}')
    machine.answer(METADATA + "hostname", f"tune-70b-{own}.{domain}")
    machine.answer(METADATA + "zone", "projects/1/zones/europe-west4-b")
    told = {
        "workload-nodes": "8", "workload-nodes-per-replica": "2", "workload-accelerators": "8", "created-by": GROUP,
        "workload-container": "img", "workload-command": "serve", "workload-env": "A=1", "workload-local-ssd": "/mnt/local-ssd",
    }  # fmt: skip
    for name, text in told.items():
        machine.attribute(name, text)
    entries = [
        f'{{"instance": "https://x/projects/ml/zones/europe-west4-b/instances/{one}", "currentAction": "NONE"}}'
        for one in MEMBERS
    ]
    address = (
        f"https://compute.googleapis.com/compute/v1/{GROUP}/listManagedInstances?maxResults=500"
        "&fields=nextPageToken,managedInstances(instance,currentAction)"
    )
    machine.answer(address, '{"managedInstances": [\n' + ",\n".join(entries) + "]}")
    result = machine.run(scripts_of(plan)["run.sh"])
    assert result.returncode == 0, result.stderr
    started = machine.calls("docker")[-1]
    values = dict(started[index + 1].split("=", 1) for index, word in enumerate(started) if word == "--env")
    assert (values["NODE_RANK"], values["NNODES"]) == (str(rank), "2")
    assert values["MASTER_ADDR"] == f"tune-70b-{leader}.{domain}"


def test_a_bucket_is_mounted_with_its_profile_and_folder(machine):
    stack = lower.run(PLANS["regional_share"]())
    lines = [f"{mount.kind} source {mount.target} {mount.options}" for mount in stack.boot.mounts]
    machine.attribute("workload-local-ssd", "/mnt/local-ssd")
    machine.attribute("workload-mounts", "\n".join(lines))
    result = machine.run(scripts_of(PLANS["regional_share"]())["mount.sh"])
    assert result.returncode == 0, result.stderr
    dataset, checkpoints = machine.calls("gcsfuse")
    assert dataset[-2:] == ["source", "/mnt/dataset"]
    assert {"--profile=aiml-training", "--only-dir=a b,c/v2"} <= set(dataset)
    assert "--profile=aiml-checkpointing" in checkpoints
    assert machine.calls("mount")[0] == [
        "-t", "nfs", "-o", "vers=4.1,hard,timeo=600,retrans=3,nconnect=2,_netdev", "source", "/home/shared",
    ]  # fmt: skip


def test_mounting_again_changes_nothing(machine):
    machine.attribute("workload-local-ssd", "/mnt/local-ssd")
    machine.attribute("workload-mounts", "nfs s:/x /mnt/dataset vers=3")
    script = scripts_of(train())["mount.sh"]
    machine.run(script)
    machine.run(script)
    assert len(machine.calls("mount")) == 1


SYSTEMCTL = r"""#!/bin/bash
# Remembers which units exist: what is installed by the tools, and what lies in the folder of units.
printf '%s\0' "$#" systemctl "$@" >>"$FAKE/calls"
if [[ "$1" == list-unit-files && -e "$FAKE/installed-$2" ]]; then echo "$2 enabled"; fi
if [[ "$1" == is-active && ! -e "$FAKE/running-$3" ]]; then exit 3; fi
"""
INSTALLER = r"""#!/bin/bash
# Packages give their programs; the agent's own script gives its unit.
printf '%s\0' "$#" "${0##*/}" "$@" >>"$FAKE/calls"
for word; do
  case "$word" in
    docker.io) install -m 755 "$FAKE/recorder" "$FAKE/bin/docker" ;;
    nvidia-container-toolkit) install -m 755 "$FAKE/recorder" "$FAKE/bin/nvidia-ctk" ;;
  esac
done
"""


def _prepared(machine, plan):
    """A machine whose folders are below its own, with tools that remember what they made."""
    root = machine.folder / "root"
    for folder in ("etc/systemd/system", "etc/apt/sources.list.d", "usr/share/keyrings", "var/lib", "run/lock"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/os-release").write_text("VERSION_CODENAME=noble\nID=ubuntu\n", encoding="utf-8")
    (machine.folder / "recorder").write_text(RECORDER, encoding="utf-8")
    for tool in ("docker", "mdadm"):
        (machine.folder / "bin" / tool).unlink(missing_ok=True)
    (machine.folder / "bin/mkdir").unlink(missing_ok=True)
    for tool, text in {
        "systemctl": SYSTEMCTL,
        "apt-get": INSTALLER,
        "flock": '#!/bin/bash\nshift\nexec "$@"\n',
    }.items():
        (machine.folder / "bin" / tool).write_text(text, encoding="utf-8")
        (machine.folder / "bin" / tool).chmod(0o755)
    machine.answer("https://nvidia.github.io/libnvidia-container/gpgkey", "key")
    agent = f"touch {machine.folder}/installed-google-cloud-ops-agent.service"
    machine.answer("https://dl.google.com/cloudagents/add-google-cloud-ops-agent-repo.sh", agent)
    stack = lower.run(plan)
    for name, text in stack.compute.template.metadata.items():
        if isinstance(text, str):
            machine.attribute(name, text)
    for name in ("workload-run-script", "workload-mount-script"):
        machine.attribute(name, "true\n")
    script = scripts_of(plan)["startup.sh"]
    for folder in ("/var/lib/", "/etc/", "/usr/share/keyrings", "/run/lock"):
        script = script.replace(folder, f"{root}{folder}")
    return script.replace("local script\n", 'local script output=""\n'), root


def _tree(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["serve", "train", "plain_program"])
def test_booting_again_changes_nothing(machine, name):
    """The startup script runs at every boot: the second run leaves all files as they are and installs nothing again."""
    script, root = _prepared(machine, PLANS[name]())
    first = machine.run(script)
    assert first.returncode == 0, first.stderr
    before = _tree(root)
    assert "etc/systemd/system/workload.service" in before and "etc/google-cloud-ops-agent/config.yaml" in before
    assert bool(machine.calls("apt-get")) == bool(PLANS[name]().program.container)
    (machine.folder / "calls").unlink()
    second = machine.run(script)
    assert second.returncode == 0, second.stderr
    assert _tree(root) == before
    assert machine.calls("apt-get") == []
    restarted = [call for call in machine.calls("systemctl") if call[0] == "restart"]
    assert ["restart", "google-cloud-ops-agent"] not in restarted


@pytest.mark.parametrize(("version", "is_read"), [("3.3.9", True), ("4.2.3", False), (None, False)])
def test_the_agent_reads_the_journal_and_the_program(machine, version, is_read):
    plan = PLANS["serve"]()
    script, root = _prepared(machine, plan)
    if version:
        (machine.folder / "running-nvidia-dcgm").touch()
        (machine.folder / "bin/dcgmi").write_text(f"#!/bin/bash\necho 'dcgmi  version: {version}'\n", encoding="utf-8")
        (machine.folder / "bin/dcgmi").chmod(0o755)
    assert machine.run(script).returncode == 0
    found = yaml.safe_load((root / "etc/google-cloud-ops-agent/config.yaml").read_text(encoding="utf-8"))
    assert found["logging"]["service"]["pipelines"]["default_pipeline"]["receivers"] == ["journal"]
    assert ("dcgm" in found["metrics"]["receivers"]) == is_read
    assert found["metrics"]["service"]["pipelines"] == {
        "default_pipeline": {"receivers": ["hostmetrics", "dcgm"] if is_read else ["hostmetrics"]},
        "program": {"receivers": ["program"]},
    }
    (job,) = found["metrics"]["receivers"]["program"]["config"]["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == (plan.name, "/metrics")
    assert job["static_configs"] == [{"targets": [f"localhost:{plan.port}"]}]


def test_running_again_gives_the_same_program(machine):
    """run.sh is started again by systemd: the same container with the same arguments, after the one before is gone."""
    plan = replace(serve(), storage=())
    machine.attribute("workload-container", "img")
    machine.attribute("workload-command", "--serve")
    machine.attribute("workload-env", "A=1")
    machine.attribute("workload-secrets", "HF_TOKEN projects/p/secrets/hf-token/versions/latest")
    machine.answer(METADATA + "service-accounts/default/token", '{"access_token": "t0ken"}')
    secret = "https://secretmanager.googleapis.com/v1/projects/p/secrets/hf-token/versions/latest:access"
    machine.answer(secret, '{"payload": {"data": "czNjcjN0"}}')
    script = scripts_of(plan)["run.sh"]
    assert machine.run(script).returncode == 0
    assert machine.run(script).returncode == 0
    removed, started, removed_again, started_again = machine.calls("docker")
    assert (removed, started) == (removed_again, started_again)
    assert removed == ["rm", "--force", "workload"]
