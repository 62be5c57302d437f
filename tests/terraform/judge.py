"""Who judges the plans of this test session: the real providers where Terraform can install them, else the stand-in.

Takes the environment of the test run. Gives a `Judge`. Decides once, also when tests run in several processes.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.terraform.command import Terraform, TerraformError

CHOICE = "INFRAGEN_TERRAFORM_JUDGE"
_CONSTRAINT = ">= 7.45.0, < 9.0.0"
_LIMIT_SECONDS = 60
_PROBE = f"""
terraform {{
  required_providers {{
    google      = {{ source = "hashicorp/google", version = "{_CONSTRAINT}" }}
    google-beta = {{ source = "hashicorp/google-beta", version = "{_CONSTRAINT}" }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Judge:
    """``label`` is what the test report says; ``mirror`` the folder with the real providers, empty for the stand-in."""

    label: str
    mirror: str = ""

    @property
    def is_real(self) -> bool:
        """Whether the real providers judge; they can plan but have nothing to apply to."""
        return bool(self.mirror)


STAND_IN = Judge("stand-in (schema and Terraform core)")


class JudgeError(Exception):
    """The judge that was asked for cannot judge."""


def choose(program: str, directory: Path, environment: Mapping[str, str]) -> Judge:
    """The judge that the environment forces, or else the best there is. ``directory`` keeps what was installed.

    Raises JudgeError for a choice that does not exist, and where the real providers are forced but cannot be installed.
    """
    choice = environment.get(CHOICE, "")
    if choice not in ("", "stand-in", "real"):
        raise JudgeError(f"{CHOICE} is `{choice}`: it takes `stand-in` or `real`")
    if choice == "stand-in":
        return STAND_IN
    real, reason = install(program, directory, environment)
    if choice == "real" and real is None:
        raise JudgeError(f"{CHOICE} is `real`, but Terraform cannot install the providers: {reason}")
    return real or STAND_IN


def install(program: str, directory: Path, environment: Mapping[str, str]) -> tuple[Judge | None, str]:
    """The real providers, installed the way the user's own CLI configuration says; or None, and the reason."""
    probe = directory / "providers"
    probe.mkdir(parents=True, exist_ok=True)
    (probe / "main.tf").write_text(_PROBE, encoding="utf-8")
    ambient = {name: value for name, value in environment.items() if not name.startswith("TF_")}
    ambient |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    configuration = environment.get("TF_CLI_CONFIG_FILE", "")
    if configuration and Path(configuration).is_file():
        ambient["TF_CLI_CONFIG_FILE"] = configuration
    terraform = Terraform(program, probe, ambient, _LIMIT_SECONDS)
    try:
        terraform.run("init", "-input=false", "-no-color")
        said = terraform.run("version", "-json")
    except TerraformError as error:
        return None, " ".join(str(error).split())
    chosen = json.loads(said)["provider_selections"]
    version = chosen["registry.terraform.io/hashicorp/google"]
    return Judge(f"hashicorp/google {version}", str(probe / ".terraform" / "providers")), ""


def once(directory: Path, decide: Callable[[], Judge]) -> Judge:
    """What ``decide`` gives, called by the first process that asks; the others read what it found in ``directory``.

    Raises JudgeError where the first one failed.
    """
    answer = directory / "judge.json"
    try:
        (directory / "judge.claim").mkdir(parents=True)
    except FileExistsError:
        return _await(answer)
    try:
        judge = decide()
    except JudgeError as error:
        _publish(answer, {"error": str(error)})
        raise
    _publish(answer, asdict(judge))
    return judge


def _publish(answer: Path, content: Mapping[str, str]) -> None:
    draft = answer.with_suffix(".draft")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(answer)  # a reader sees all of it or nothing


def _await(answer: Path) -> Judge:
    deadline = time.monotonic() + 2 * _LIMIT_SECONDS + 10
    while not answer.exists():
        if time.monotonic() > deadline:
            raise JudgeError("the process that looks for the providers has not answered")
        time.sleep(0.05)
    content = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in content:
        raise JudgeError(content["error"])
    return Judge(**content)
