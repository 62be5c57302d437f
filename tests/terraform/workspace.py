"""A copy of a Terraform directory that tests can plan, apply and destroy.

Takes a directory and changes to its files. Gives plans and states. Promises never to write to the directory itself.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infragen.facts import provider_schema
from tests.terraform import check
from tests.terraform.command import Finding, Terraform, base_environment, findings
from tests.terraform.judge import Judge
from tests.terraform.server import StandIn

_LEFT_BEHIND = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate", "*.tfstate.*")
# Whatever backend the directory names, its state stays on this machine.
_OVERRIDE = 'terraform {\n  backend "local" {}\n}\n'
_KINDS: tuple[provider_schema.Kind, ...] = ("resource", "data_source")
_MIRROR = 'provider_installation {{\n  filesystem_mirror {{\n    path = "{path}"\n  }}\n}}\n'


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as ``terraform show -json`` prints it: ``document`` is all of it."""

    document: Mapping[str, Any]

    @property
    def actions(self) -> dict[str, tuple[str, ...]]:
        """Address -> what happens to it: create, update, delete, no-op; two of them for a replacement, in order."""
        return {one["address"]: tuple(one["change"]["actions"]) for one in self._changes}

    @property
    def replace_paths(self) -> dict[str, tuple[str, ...]]:
        """Address -> the arguments whose change forces the replacement, such as ``disk[0].mode``."""
        return {
            one["address"]: tuple(map(check.dotted, one["change"]["replace_paths"]))
            for one in self._changes
            if one["change"].get("replace_paths")
        }

    @property
    def is_empty(self) -> bool:
        """Whether applying it would change nothing, outputs included."""
        outputs = self.document.get("output_changes", {}).values()
        every = [*self.actions.values(), *(tuple(one["actions"]) for one in outputs)]
        return all(actions == ("no-op",) for actions in every)

    @property
    def _changes(self) -> list[dict[str, Any]]:
        every = self.document.get("resource_changes", [])
        return [one for one in every if one["mode"] == "managed"]


class Workspace:
    """One copied directory. Each method runs Terraform and raises `TerraformError` with what it objects to."""

    def __init__(self, path: Path, program: str, judge: Judge, stand_in: StandIn | None) -> None:
        self.path = path
        self._judge = judge
        self._stand_in = stand_in
        mirror = _MIRROR.format(path=judge.mirror) if judge.is_real else ""
        environment = base_environment(path.parent, mirror)
        if stand_in is not None:
            environment |= stand_in.environment()
        else:
            environment["GOOGLE_OAUTH_ACCESS_TOKEN"] = "no-real-token"
        self._terraform = Terraform(program, path, environment)
        self._is_initialised = False

    def write(self, files: Mapping[str, str]) -> None:
        """Add files to the copy, or replace them."""
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        self._is_initialised = False

    def replaced(self, files: Mapping[str, str]) -> "Workspace":
        """This workspace with ``files`` in place of all that it held, its state kept: what a regeneration does."""
        state = self.path / "terraform.tfstate"
        kept = state.read_bytes() if state.exists() else None
        shutil.rmtree(self.path)
        self.path.mkdir()
        if kept is not None:
            state.write_bytes(kept)
        self.write(files)
        return self

    def fmt_check(self) -> None:
        """Refuse files that ``terraform fmt`` would change; the error shows the difference."""
        self._terraform.run("fmt", "-check", "-diff", "-recursive", "-no-color")

    def init(self) -> None:
        """Prepare the directory; the other methods do so by themselves when files have changed."""
        (self.path / "backend_override.tf").write_text(_OVERRIDE, encoding="utf-8")
        self._run("init", "-input=false", "-json")
        self._is_initialised = True

    def validate(self) -> tuple[Finding, ...]:
        """Warnings, if all is valid."""
        return tuple(findings(self.run("validate", "-json")))

    def plan(self) -> Plan:
        """What an apply would do now."""
        self.run("plan", "-input=false", "-json", "-out=workspace.tfplan")
        return Plan(json.loads(self._run("show", "-json", "workspace.tfplan")))

    def apply(self) -> None:
        """Make the resources. Skips the test where the real providers judge: they would need a cloud."""
        self._need_stand_in("apply")
        self.run("apply", "-input=false", "-auto-approve", "-json")

    def destroy(self) -> None:
        """Delete the resources. Skips the test where the real providers judge."""
        self._need_stand_in("destroy")
        self.run("destroy", "-input=false", "-auto-approve", "-json")

    def state(self) -> dict[str, dict[str, Any]]:
        """Address -> values of everything in the root module that was applied."""
        document = json.loads(self.run("show", "-json"))
        resources = document.get("values", {}).get("root_module", {}).get("resources", [])
        return {one["address"]: one["values"] for one in resources}

    def run(self, *arguments: str) -> str:
        """What any other Terraform command prints, such as ``test`` or ``providers schema -json``."""
        if not self._is_initialised:
            self.init()
        return self._run(*arguments)

    def _need_stand_in(self, command: str) -> None:
        if self._judge.is_real:
            pytest.skip(f"`terraform {command}` needs a cloud behind {self._judge.label}")

    def _run(self, *arguments: str) -> str:
        if self._stand_in is not None:
            self._stand_in.serve(_types_in(self.path))
        return self._terraform.run(*arguments)


def open_workspace(
    target: Path, source: Path | None, files: Mapping[str, str], program: str, judge: Judge, stand_in: StandIn | None
) -> Workspace:
    """A workspace in ``target``: a copy of ``source``, if given, with ``files`` added or replaced."""
    if source is None:
        target.mkdir(parents=True)
    else:
        shutil.copytree(source, target, ignore=_LEFT_BEHIND)
    workspace = Workspace(target, program, judge, stand_in)
    workspace.write(files)
    return workspace


def _types_in(directory: Path) -> set[str]:
    """Every resource and data source type that the configuration or the state names."""
    files = [file for pattern in ("*.tf", "*.tf.json", "*.tfstate") for file in directory.rglob(pattern)]
    words = {word for file in files for word in re.findall(r"[a-z][a-z0-9_]+", file.read_text(encoding="utf-8"))}
    return {word for word in words if any(provider_schema.entry(kind, word) for kind in _KINDS)}
