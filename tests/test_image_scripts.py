"""The scripts that build an image: clean for shellcheck, and really run twice, with a machine of which only the scripts are real."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cases import compiled

SHELLCHECK = Path(sys.executable).parent / "shellcheck"
BUILT = [
    "image-built-l4",
    "image-built-a3-high",
    "image-built-a3-mega",
    "image-built-a3-ultra",
    "image-built-a4x",
    "image-built-hpc",
]
PATHS = re.compile(r"(?<![\w.:/*-])/(etc|usr/share|usr/src|opt|var|root|home|tmp)(?=[/ \n\"'])")
TOOLS = [
    "apt-get",
    "apt-mark",
    "curl",
    "dkms",
    "docker",
    "dnf",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "cloud-init",
    "getent",
    "journalctl",
    "ldconfig",
    "nvidia-ctk",
    "python3",
    "sync",
    "systemctl",
    "uname",
]
# Each tool writes down how it was called; what it would leave behind, so that a second run finds it, comes after.
FAKE = r"""#!/bin/bash
name="${0##*/}"
{ printf '%s\0' "$name" "$@"; printf '\n'; } >>"$FAKE/calls"
case "$name" in
  curl) for last; do :; done
    while (($# > 1)); do
      if [[ "$1" == -o || "$1" == --output ]]; then printf '%s\n' "# from $last" 'touch "$FAKE/agent"' >"$2"; fi
      shift
    done ;;
  dpkg) if [[ "$1" == --print-architecture ]]; then echo amd64; fi ;;
  dpkg-query) printf 'ii  linux-image-6.8.0-gcp\nii  libnvidia-compute-580-server\nrc  nvidia-old\n' ;;
  dkms) if [[ "$1" == install ]]; then touch "$FAKE/module"; elif [[ -e "$FAKE/module" ]]; then echo installed; fi ;;
  apt-get) for word; do if [[ "$word" == download ]]; then touch "dmabuf-import-helper_1.1_all.deb"; fi; done ;;
  dpkg-deb) mkdir -p usr/src/dmabuf-import-helper-1.1
    echo 'MODULE_IMPORT_NS(DMA_BUF);' >usr/src/dmabuf-import-helper-1.1/import.c ;;
  python3) mkdir -p "$3/bin" && cp "$0" "$3/bin/pip" ;;
  systemctl) if [[ "$1" == list-unit-files && -e "$FAKE/agent" ]]; then echo "$2"; fi ;;
  uname) echo 6.8.0-gcp ;;
  getent) echo "packer:x:1000:1000::$FAKE/home/packer:/bin/bash" ;;
esac
"""
REAL = [
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "env",
    "find",
    "grep",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "touch",
    "truncate",
]


class Builder:
    """A machine that an image is built on: its folders lie in one of the test, its tools only write down how they are called."""

    def __init__(self, folder: Path, packager: str) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/yum.repos.d", "etc/dnf", "etc/ssh",
                     "usr/share/keyrings", "usr/src", "var/lib/apt/lists", "var/log", "root", "home/packer", "tmp", "opt"):  # fmt: skip
            (folder / name).mkdir(parents=True)
        (folder / "etc/os-release").write_text("VERSION_CODENAME=noble\nVERSION_ID=24.04\n")
        (folder / "etc/dnf/dnf.conf").write_text("[main]\n")
        (folder / "etc/machine-id").write_text("0123\n")
        (folder / "etc/ssh/ssh_host_rsa_key").write_text("key\n")
        (folder / "var/log/auth.log").write_text("packer logged in\n")
        (folder / "home/packer/.bash_history").write_text("secret\n")
        for tool in REAL:
            (folder / "bin" / tool).symlink_to(shutil.which(tool))
        missing = {"apt": ("dnf",), "dnf": ("apt-get", "apt-mark", "dpkg", "dpkg-query", "dpkg-deb")}[packager]
        for tool in set(TOOLS) - set(missing):
            (folder / "bin" / tool).write_text(FAKE)
            (folder / "bin" / tool).chmod(0o755)

    def run(self, script: str) -> None:
        moved = PATHS.sub(lambda match: f"{self.folder}/{match[1]}", script)
        (self.folder / "script.sh").write_text(moved, encoding="utf-8")
        environment = {
            "PATH": f"{self.folder}/bin",  # no tool is found but those of the test
            "FAKE": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "SUDO_USER": "packer",
            "CONTAINER": "registry.example/serve:1",
            "TMPDIR": str(self.folder / "tmp"),
        }
        command = ["/bin/bash", str(self.folder / "script.sh")]
        result = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=30, check=False
        )
        assert result.returncode == 0, result.stderr

    def calls(self) -> list[list[str]]:
        calls = self.folder / "calls"
        found = [call.split("\0") for call in calls.read_text().split("\0\n") if call] if calls.exists() else []
        calls.unlink(missing_ok=True)
        return found

    def files(self) -> dict[str, str]:
        roots = [self.folder / name for name in ("etc", "usr", "opt", "root", "home")]
        return {
            str(path.relative_to(self.folder)): path.read_text()
            for root in roots
            for path in root.rglob("*")
            if path.is_file()
        }


def script(case: str, name: str) -> str:
    return compiled(case).files[f"image/scripts/{name}"]


@pytest.mark.parametrize("case", BUILT)
def test_shellcheck_finds_nothing(case, tmp_path):
    for name in ("install.sh", "clean.sh"):
        (tmp_path / name).write_text(script(case, name), encoding="utf-8")
    command = [str(SHELLCHECK), "--severity=style", *map(str, sorted(tmp_path.iterdir()))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "" and result.returncode == 0


@pytest.mark.parametrize("case", BUILT)
def test_installing_twice_changes_nothing(case, tmp_path):
    builder = Builder(tmp_path, "dnf" if case == "image-built-hpc" else "apt")
    builder.run(script(case, "install.sh"))
    first, calls = builder.files(), builder.calls()
    builder.run(script(case, "install.sh"))
    assert builder.files() == first
    recipe = compiled(case).stack.build
    wanted = {package for one in recipe.software if not one.source_edit for package in one.packages} | set(
        recipe.packages
    )
    installed = {word for call in calls if call[0] in ("apt-get", "dnf") and "install" in call for word in call}
    assert {package.replace("$(uname -r)", "6.8.0-gcp") for package in wanted} <= installed
    held = {word for call in calls if call[:2] == ["apt-mark", "hold"] for word in call}
    to_hold = [package for one in recipe.software if one.is_held and not one.source_edit for package in one.packages]
    assert {package.partition("=")[0].replace("$(uname -r)", "6.8.0-gcp") for package in to_hold} <= held
    if case != "image-built-hpc":
        assert {"linux-image-6.8.0-gcp", "libnvidia-compute-580-server"} <= held
        assert "nvidia-old" not in held
    else:
        assert first["etc/dnf/dnf.conf"].count("excludepkgs=kernel*") == 1


def test_a_module_is_edited_and_built_once(tmp_path):
    builder = Builder(tmp_path, "apt")
    builder.run(script("image-built-a3-mega", "install.sh"))
    assert builder.files()["usr/src/dmabuf-import-helper-1.1/import.c"] == 'MODULE_IMPORT_NS("DMA_BUF");\n'
    assert ["dkms", "install", "-m", "dmabuf-import-helper", "-v", "1.1"] in builder.calls()
    builder.run(script("image-built-a3-mega", "install.sh"))
    assert not [call for call in builder.calls() if call[:2] == ["dkms", "install"]]


@pytest.mark.parametrize("case", ["image-built-l4", "image-built-hpc"])
def test_cleaning_takes_what_is_the_builders_and_can_be_repeated(case, tmp_path):
    builder = Builder(tmp_path, "dnf" if case == "image-built-hpc" else "apt")
    for _ in range(2):
        builder.run(script(case, "clean.sh"))
        left = builder.files()
        assert left["etc/machine-id"] == ""
        assert not [path for path in left if "ssh_host" in path or path.startswith("home/packer")]
        assert (tmp_path / "var/log/auth.log").read_text() == ""
