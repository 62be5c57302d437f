"""The mounts for real: mount.sh and startup.sh on loop devices, in a mount namespace of their own, twice and after a reboot.

Only the metadata server, systemd and what needs a cloud are stood in for. Where this machine allows no loop devices or mounts,
these tests say so and skip; ``test_scripts.py`` runs the same scripts with tools that only record.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.lower.plans import PLANS
from tests.test_scripts import CURL, METADATA, scripts_of

PRELUDE = r"""
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir -p /dev/disk && mount -t tmpfs none /dev/disk && mkdir -p /dev/disk/by-id
export PATH="$FAKE/bin:$PATH"
"""


def allowed() -> str:
    """Why nothing can be mounted here; empty where it can."""
    missing = [tool for tool in ("unshare", "losetup", "mkfs.ext4", "blkid", "mountpoint") if not shutil.which(tool)]
    if missing:
        return f"this machine has no {', '.join(missing)}"
    probe = "truncate -s 8M $0 && d=$(losetup -f --show $0) && losetup -d $d && mount -t tmpfs none /mnt"
    with tempfile.TemporaryDirectory() as folder:  # one for each worker: they probe at the same time
        command = ["unshare", "--mount", "bash", "-ec", probe, f"{folder}/probe.img"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no loop devices or mounts for this user: {done.stderr.strip()[:100]}"


WHY_NOT = allowed()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"mounting for real: {WHY_NOT}")


class Machine:
    """A machine whose disks are files and whose boots are runs in a namespace: what is mounted goes with it."""

    def __init__(self, folder: Path):
        self.folder, self.disks = folder, {}
        for name in ("answers", "bin"):
            (folder / name).mkdir()
        self.tool("curl", CURL)
        for name in ("systemctl", "apt-get", "dnf", "sleep"):
            self.tool(name, "#!/bin/bash\nexit 0\n")

    def tool(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(text, encoding="utf-8")
        (self.folder / "bin" / name).chmod(0o755)

    def attribute(self, name: str, text: str) -> None:
        address = f"{METADATA}attributes/{name}"
        answer = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in address)
        (self.folder / "answers" / answer).write_text(text, encoding="utf-8", newline="")

    def disk(self, name: str, *, read_only: bool = False) -> Path:
        image = self.folder / f"{name}.img"
        with image.open("wb") as stream:
            stream.truncate(32 << 20)
        self.disks[name] = ("-r" if read_only else "", image)
        return image

    def boot(self, *commands: str) -> subprocess.CompletedProcess[str]:
        """One boot: attach the disks, run the commands, and let go of everything."""
        attach = [
            f'd="$(losetup {flag} -f --show {image})"; loops+=("$d"); ln -s "$d" /dev/disk/by-id/google-{name}'
            for name, (flag, image) in self.disks.items()
        ]
        release = 'release() { umount -R /mnt 2>/dev/null || true; for d in "${loops[@]}"; do losetup -d "$d"; done; }'
        script = "\n".join([PRELUDE, "loops=()", release, "trap release EXIT", *attach, *commands])
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", script],
            env={"FAKE": str(self.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def script(self, plan: str, name: str) -> str:
        path = self.folder / name
        path.write_text(scripts_of(PLANS[plan]())[name], encoding="utf-8")
        return f"bash {path}"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def ext4(image: Path, text: str) -> None:
    """An image with a file system and one file, as a disk that a loader filled."""
    content = image.with_suffix(".content")
    content.mkdir()
    (content / "model").write_text(text, encoding="utf-8")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(content), str(image)], check=True)


def test_a_disk_of_its_own_is_formatted_once_and_keeps_its_content(machine):
    machine.disk("home")
    machine.attribute("workload-mounts", "attached home /mnt/home -")
    mount = machine.script("attached", "mount.sh")
    again = f"{mount} && {mount} && [[ $(grep -c ' /mnt/home ' /proc/mounts) == 1 ]]"
    first = machine.boot(again, "echo kept >/mnt/home/file")
    assert first.returncode == 0, first.stderr
    second = machine.boot(again, "cat /mnt/home/file")
    assert (second.returncode, second.stdout) == (0, "kept\n"), second.stderr


def test_a_disk_that_cannot_be_read_is_never_formatted(machine):
    image = machine.disk("home")
    ext4(image, "precious")
    machine.tool("blkid", "#!/bin/bash\nexit 4\n")  # looking failed: that is not "no file system"
    machine.tool("sleep", "#!/bin/bash\nkill $PPID\n")  # end the endless trying
    machine.attribute("workload-mounts", "attached home /mnt/home -")
    assert machine.boot(machine.script("attached", "mount.sh")).returncode != 0
    (machine.folder / "bin" / "blkid").unlink()
    machine.tool("sleep", "#!/bin/bash\nexit 0\n")
    found = machine.boot(machine.script("attached", "mount.sh"), "cat /mnt/home/model")
    assert found.stdout == "precious", found.stderr


def test_a_shared_disk_is_mounted_for_reading_whatever_its_journal_says(machine):
    """The device is read-only, and its journal was never closed: as with a disk that many machines attach."""
    image = machine.disk("weights", read_only=True)
    ext4(image, "weights")
    subprocess.run(["debugfs", "-w", "-R", "feature needs_recovery", str(image)], check=True, capture_output=True)
    machine.attribute("workload-mounts", "disk weights /mnt/weights -")
    mount = machine.script("shared_disk", "mount.sh")
    found = machine.boot(
        f"{mount} && {mount} && cat /mnt/weights/model", "! touch /mnt/weights/x", "grep ' /mnt/weights ' /proc/mounts"
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("weights") and " ro," in found.stdout
    assert found.stdout.count("/mnt/weights") == 1


def test_a_folder_of_another_store_is_bound_after_it(machine):
    machine.disk("home")
    machine.attribute("workload-mounts", "attached home /mnt/home -\nfolder /mnt/home/checkpoints /mnt/checkpoints -")
    plan = PLANS["train"]()
    script = scripts_of(plan)["mount.sh"]
    own = scripts_of(PLANS["attached"]())["mount.sh"]
    body = own[own.index("# $1: device name; a new disk") : own.index("# What a kind of store needs")]
    (machine.folder / "mount.sh").write_text(
        script.replace("# What a kind", f"{body}\n# What a kind"), encoding="utf-8"
    )
    mount = f"bash {machine.folder / 'mount.sh'}"
    found = machine.boot(
        f"{mount} && {mount}",
        "echo state >/mnt/checkpoints/step",
        "cat /mnt/home/checkpoints/step",
        "grep -c /mnt/checkpoints /proc/mounts",
    )
    assert (found.returncode, found.stdout) == (0, "state\n1\n"), found.stderr


def test_a_local_disk_is_made_anew_where_its_content_is_gone(machine):
    machine.disk("local-nvme-ssd-0")
    machine.attribute("workload-local-ssd", "/mnt/scratch")
    for name in ("workload-mount-script", "workload-run-script"):
        machine.attribute(name, "true\n")
    start = startup(machine)
    again = f"{start} && {start} && mountpoint -q /mnt/scratch && [[ $(stat -c %a /mnt/scratch) == 1777 ]]"
    first = machine.boot(again, "echo kept >/mnt/scratch/file")
    assert first.returncode == 0, first.stderr
    rebooted = machine.boot(again, "cat /mnt/scratch/file")
    assert (rebooted.returncode, rebooted.stdout) == (0, "kept\n"), rebooted.stderr
    machine.disk("local-nvme-ssd-0")  # the machine was stopped: the disk comes back empty
    stopped = machine.boot(again, "! test -e /mnt/scratch/file")
    assert stopped.returncode == 0, stopped.stderr


def test_several_local_disks_become_one_volume(machine):
    """The array itself needs a kernel with RAID: a tool stands in, which joins nothing and links the first disk."""
    for number in range(2):
        machine.disk(f"local-nvme-ssd-{number}")
    machine.tool("mdadm", '#!/bin/bash\necho "$@" >>"$FAKE/mdadm"\n[[ "$1" == --create ]] || exit 1\nmkdir -p /dev/md\n'
                 'ln -sf "$(readlink -f /dev/disk/by-id/google-local-nvme-ssd-0)" /dev/md/workload\n')  # fmt: skip
    machine.attribute("workload-local-ssd", "/mnt/scratch")
    for name in ("workload-mount-script", "workload-run-script"):
        machine.attribute(name, "true\n")
    start = startup(machine)
    found = machine.boot(
        "mkdir -p /dev/md; mount -t tmpfs none /dev/md", f"{start} && {start} && mountpoint /mnt/scratch"
    )
    assert found.returncode == 0, found.stderr
    calls = (machine.folder / "mdadm").read_text(encoding="utf-8").splitlines()
    assert [call.split()[0] for call in calls] == ["--assemble", "--create"]  # once: the second run finds it mounted
    assert "--level=0" in calls[1] and "--raid-devices=2" in calls[1]


def startup(machine: Machine) -> str:
    """The boot script, with the machine's own state and without containers and agents."""
    text = scripts_of(PLANS["plain_scratch"]())["startup.sh"]
    path = machine.folder / "startup.sh"
    path.write_text(
        text.replace("/var/lib/workload", f"{machine.folder}/state").replace(
            "/etc/systemd/system", str(machine.folder)
        ),
        encoding="utf-8",
    )
    return f"bash {path}"
