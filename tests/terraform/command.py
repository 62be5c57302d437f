"""Terraform's command line, and what it says.

Takes a directory, an environment and arguments. Gives the output. Raises `TerraformError` when Terraform objects.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic of Terraform. ``file`` and ``line`` are empty and 0 where it names no place."""

    severity: str
    summary: str
    detail: str
    file: str = ""
    line: int = 0
    address: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        subject = f" ({self.address})" if self.address else ""
        return f"{place}{self.severity}: {self.summary}{subject}: {self.detail}"


class TerraformError(Exception):
    """Terraform refused. ``findings`` are its errors, if it said them in a form that can be read."""

    def __init__(self, command: str, findings: Sequence[Finding], output: str) -> None:
        said = "\n".join(map(str, findings)) or output
        super().__init__(f"terraform {command}:\n{said}")
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Terraform:
    """The program, where it runs, and with which environment: nothing of the caller's leaks in."""

    program: str
    directory: Path
    environment: Mapping[str, str]
    limit_seconds: int = 180

    def run(self, *arguments: str) -> str:
        """Standard output. Raises TerraformError for a refusal and when there is no end within the limit."""
        try:
            done = subprocess.run(
                [self.program, *arguments],
                cwd=self.directory,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                timeout=self.limit_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TerraformError(arguments[0], (), f"no end within {self.limit_seconds} s") from None
        if done.returncode != 0:
            errors = [one for one in findings(done.stdout) if one.severity == "error"]
            raise TerraformError(arguments[0], errors, done.stdout + done.stderr)
        return done.stdout


def findings(output: str) -> list[Finding]:
    """The diagnostics in what a command printed with ``-json``: one document, or one message per line."""
    found = []
    for line in [output] if output.startswith("{\n") else output.splitlines():
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            continue  # some errors of the command line itself come as plain text
        for raw in message.get("diagnostics", [message["diagnostic"]] if "diagnostic" in message else []):
            place = raw.get("range") or {}
            start = place.get("start", {}).get("line", 0)
            texts = (raw["severity"], raw["summary"], raw.get("detail", ""))
            found.append(Finding(*texts, place.get("filename", ""), start, raw.get("address", "")))
    return found


def base_environment(directory: Path, configuration: str) -> dict[str, str]:
    """An environment of Terraform's own: its CLI configuration and home in ``directory``, no credentials, no network.

    ``configuration`` is the text of the CLI configuration. Proxies point at a closed port, so that nothing leaves.
    """
    home = directory / "home"
    home.mkdir(parents=True, exist_ok=True)
    file = home / "terraform.rc"
    file.write_text(configuration, encoding="utf-8")
    nowhere = "http://127.0.0.1:9"
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TF_CLI_CONFIG_FILE": str(file),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
    }
