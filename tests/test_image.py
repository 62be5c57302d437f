"""What is said of an image, and its name: the same content has the same name, other content another."""

import hashlib
import re
from pathlib import Path

import pytest

from infragen.decide import recipe
from infragen.descriptor.source import File, Source
from infragen.pipeline import compile_workload
from tests.examples import CATALOG, ROOT, TEMPLATES, TODAY
from tests.test_scripts import Machine

WORK = """version: 1
name: chat
project: my-project
task: compute
machine: {{type: {machine}, count: {count}}}
place: {{zones: [{zone}]}}
{more}
image: {image}
"""
FILES = {"setup.sh": b"#!/bin/bash\ntrue\n", "other.sh": b"#!/bin/bash\nfalse\n", "requirements.txt": b"torch==2.9.0\n"}
ACCELERATED = "ubuntu-os-accelerator-images"
# Image, machine -> codes and words of what is said; a code alone: whatever it says.
SAID = {
    "another system than the family says": ("{family: chat-u24, base: {project: ubuntu-os-cloud, family: ubuntu-2204-lts}}", "n2-standard-8", "I009 Ubuntu 24.04"),
    "another processor than the family says": ("{family: chat-arm64, packages: [jq]}", "n2-standard-8", "I009 arm64"),
    "another driver than the family says": (f"{{family: chat-580, base: {{project: {ACCELERATED}, family: ubuntu-accelerator-2204-amd64-with-nvidia-570}}}}", "g2-standard-12", "I009 driver 580"),
    "a system near its end": ("{base: {project: ubuntu-os-cloud, family: ubuntu-2204-lts}}", "n2-standard-8", "I010 ends on 2027-04-30"),
    "a driver past its end": (f"{{base: {{project: {ACCELERATED}, name: ubuntu-accelerator-2404-amd64-with-nvidia-570-v1}}}}", "g2-standard-12", "I010 570 ended on"),
    "a private image near its end, by its name": ("{base: {name: golden-2204-v3}}", "n2-standard-8", "I010 Ubuntu 22.04"),
    "another processor, by the name": ("{base: {name: golden-arm64-v3}}", "n2-standard-8", "I004 looks like an image for arm64"),
    "a driver that is too old, by the name": ("{base: {name: golden-535-v3}}", "a4-highgpu-8g", "I011 does not know"),
    "a kernel that is not given to everybody": ("{family: tune}", "a3-highgpu-8g", "I017 GPUDirect-TCPX"),
    "nothing of a family that keeps its word": ("{family: chat-u24-amd64, packages: [jq]}", "n2-standard-8", ""),
}  # fmt: skip
QUIET = {"M020", "I002", "X004"}  # the price of a pin, what cannot be seen of private images, the age of the tables


def compiled(image: str, machine: str = "n2-standard-8", more: str = "", count: int = 2):
    zone = "us-central1-b" if machine.startswith(("a3", "a4")) else "us-central1-a"
    text = WORK.format(image=image, machine=machine, zone=zone, more=more, count=count)
    source = Source(File("w.yaml", text.encode()), beside=FILES.__getitem__)
    return compile_workload(source, CATALOG, TEMPLATES, TODAY)


@pytest.mark.parametrize("case", SAID)
def test_says(case):
    image, machine, wanted = SAID[case]
    run = compiled(image, machine)
    assert not run.diagnostics.has_errors, [one.message for one in run.diagnostics]
    said = [f"{one.code} {one.message}" for one in run.diagnostics if one.code not in QUIET]
    code, _, words = wanted.partition(" ")
    assert any(one.startswith(code) and words in one for one in said) if wanted else said == []


def test_the_day_reaches_the_terminal_and_not_the_record():
    run = compiled("{base: {project: ubuntu-os-cloud, family: ubuntu-2204-lts}}")
    assert "I010" in {one.code for one in run.diagnostics}
    assert "I010" not in run.files["plan.json"]


BASE = "{family: chat, packages: [jq], scripts: [setup.sh]}"
CHANGED = [
    "{family: chat, packages: [jq, htop], scripts: [setup.sh]}",
    "{family: chat, packages: [jq], scripts: [other.sh]}",
    "{family: chat, packages: [jq], scripts: [setup.sh], revision: 2}",
    "{family: chat, packages: [jq], scripts: [setup.sh], python: requirements.txt}",
    "{family: chat, packages: [jq], scripts: [setup.sh], base: {project: ubuntu-os-cloud, family: ubuntu-2204-lts}}",
]
KEPT = [
    "{scripts: [setup.sh], packages: [jq], family: chat}",
    "{family: chat, packages: [jq], scripts: [setup.sh], builder: n2-standard-16, external_ip: true}",
    "{family: chat, packages: [jq], scripts: [setup.sh], rollout: family-at-plan}",
]


def name(image: str) -> str:
    return compiled(image).plan.image.choice.name


def test_the_name_follows_from_the_content():
    assert re.fullmatch(r"chat-[0-9a-f]{8}", name(BASE))
    assert {name(image) for image in KEPT} == {name(BASE)}
    assert len({name(image) for image in [BASE, *CHANGED]}) == len(CHANGED) + 1


def test_a_source_that_changes_is_another_image():
    sources = [
        "{snapshot: golden}",
        "{snapshot: golden-2}",
        "{image: golden}",
        "{image: golden, guest_os_features: [GVNIC]}",
    ]
    names = {name(f"{{source: {source}}}") for source in sources}
    assert len(names | {name("{source: {snapshot: golden}, revision: 2}")}) == len(sources) + 1


def test_a_new_template_is_a_new_format_of_recipes():
    """Images are named by their recipe: other templates make other images of it, which `RECIPE_FORMAT` has to tell."""
    folder = ROOT / "templates" / "image"
    texts = [path.read_bytes() for path in sorted(folder.rglob("*.sh.j2"), key=Path.as_posix)]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]
    assert (recipe.RECIPE_FORMAT, digest) == FORMAT, "raise RECIPE_FORMAT, and write the new pair here"


def test_a_program_gets_the_settings_of_the_plug_in_below_its_own(tmp_path):
    run = compiled("{family: mpi}", "h4d-standard-192", "run: {command: [env], env: {NCCL_NET: Socket}}", count=1)
    plugin = tmp_path / "gib"
    (plugin / "scripts").mkdir(parents=True)
    (plugin / "scripts/set_nccl_env.sh").write_text("export NCCL_NET=gIB NCCL_TC=52\n", encoding="utf-8")
    machine = Machine(tmp_path / "machine")
    machine.attribute("workload-command", "env")
    machine.attribute("workload-env", "NCCL_NET=Socket")
    result = machine.run(run.files["scripts/run.sh"].replace("/usr/local/gib", str(plugin)))
    assert result.returncode == 0, result.stderr
    found = dict(line.split("=", 1) for line in result.stdout.decode().splitlines() if "=" in line)
    assert (found["NCCL_NET"], found["NCCL_TC"], found["LD_LIBRARY_PATH"]) == ("Socket", "52", f"{plugin}/lib64")


FORMAT = (1, "16f587c54cdc")


def test_no_boot_disk_is_smaller_than_its_image():
    run = compiled("{family: chat}")
    assert "disk_size_gb = 100" in run.files["main.tf"] and "disk_size = 100" in re.sub(
        " +", " ", run.files["image/image.pkr.hcl"]
    )
