"""The stand-in provider: what Terraform's core makes of it, and that it knows the whole schema."""

import json
import os
import re
from collections.abc import Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from tf.gen import tfplugin_pb2 as pb

from infragen.facts import provider_schema
from tests.terraform import apply, check, judge, plan, schema, table, values
from tests.terraform.command import Terraform, TerraformError, base_environment
from tests.terraform.plugin import OpenWorkspace, find_program
from tests.terraform.workspace import Workspace, open_workspace

HERE = Path(__file__).parent / "terraform"
STACK = HERE / "stack"
REFUSED = sorted((HERE / "refused").glob("*.tf"))
PROVIDER = 'provider "google" {\n  project = "test-project"\n  region  = "europe-west4"\n}\n'
TEMPLATE = "google_compute_instance_template.main"
GROUP = "google_compute_region_instance_group_manager.main"


def changes(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """Address -> actions of everything that a plan would change."""
    return {address: one for address, one in workspace.plan().actions.items() if one != ("no-op",)}


def stack_with(*edits: tuple[str, str]) -> dict[str, str]:
    """The stack's main file with texts replaced; each must occur once."""
    text = (STACK / "main.tf").read_text(encoding="utf-8")
    for old, new in edits:
        assert text.count(old) == 1, f"`{old}` occurs {text.count(old)} times"
        text = text.replace(old, new)
    return {"main.tf": text}


def test_a_realistic_stack_lives_its_whole_life(stand_in_terraform: OpenWorkspace) -> None:
    workspace = stand_in_terraform(STACK)
    workspace.fmt_check()
    assert workspace.validate() == ()
    actions = workspace.plan().actions
    assert set(actions.values()) == {("create",)}
    assert len(actions) == 21
    workspace.apply()
    assert workspace.plan().is_empty

    state = workspace.state()
    subnet = state["google_compute_subnetwork.main"]
    assert subnet["id"] == "projects/test-project/regions/europe-west4/subnetworks/chat"
    assert subnet["self_link"] == "https://www.googleapis.com/compute/v1/" + subnet["id"]
    assert subnet["network"] == "projects/test-project/global/networks/chat"
    email = "chat-node@test-project.iam.gserviceaccount.com"
    assert state['google_project_iam_member.node["roles/logging.logWriter"]']["member"] == f"serviceAccount:{email}"
    own, marks = {"team": "support"}, {"goog-terraform-provisioned": "true", "managed-by": "terraform"}
    assert state[TEMPLATE]["labels"] == own
    assert state[TEMPLATE]["effective_labels"] == own | marks

    workspace.write(stack_with(("    prevent_destroy = true\n", "    prevent_destroy = false\n")))
    workspace.destroy()
    assert workspace.state() == {}


def test_a_change_in_place(stand_in_terraform: OpenWorkspace) -> None:
    workspace = stand_in_terraform(STACK)
    workspace.apply()
    workspace.write(stack_with(("max_replicas    = 8", "max_replicas    = 9")))
    assert changes(workspace) == {"google_compute_region_autoscaler.main": ("update",)}
    workspace.apply()
    assert workspace.plan().is_empty
    workspace.write(stack_with(('{ team = "support" }', '{ team = "chat" }')))
    assert TEMPLATE in workspace.plan().replace_paths


def test_the_order_of_set_blocks_is_no_change(stand_in_terraform: OpenWorkspace) -> None:
    workspace = stand_in_terraform(STACK)
    workspace.apply()
    ports = '  named_port {{\n    name = "{}"\n    port = local.ports.{}\n  }}\n'
    http, metrics = (ports.format(name, name) for name in ("http", "metrics"))
    workspace.write(stack_with((f"{http}\n{metrics}", f"{metrics}\n{http}")))
    assert workspace.plan().is_empty
    workspace.write(stack_with((f"{http}\n{metrics}", http)))
    assert changes(workspace) == {GROUP: ("update",)}


def test_a_replacement_cascades(stand_in_terraform: OpenWorkspace) -> None:
    workspace = stand_in_terraform(STACK)
    workspace.apply()
    workspace.write(stack_with(("disk_size_gb = 200", "disk_size_gb = 300")))
    changed = workspace.plan()
    assert changed.replace_paths == {TEMPLATE: ("disk[0].disk_size_gb",)}
    assert changes(workspace) == {TEMPLATE: ("create", "delete"), GROUP: ("update",)}

    # What a create-before-destroy resource needs is itself created before the old one goes.
    workspace.write(stack_with(('account_id   = "chat-node"', 'account_id   = "chat-worker"')))
    account = "google_service_account.node"
    replaced = workspace.plan()
    assert replaced.actions[account] == replaced.actions[TEMPLATE] == ("create", "delete")
    assert replaced.replace_paths[account] == ("account_id",)
    workspace.apply()
    assert workspace.plan().is_empty


def test_guards(stand_in_terraform: OpenWorkspace) -> None:
    workspace = stand_in_terraform(STACK)
    workspace.apply()
    with pytest.raises(TerraformError, match=r"Instance cannot be destroyed.*google_storage_bucket\.weights"):
        workspace.destroy()
    workspace.write(stack_with(('= "test-project-weights"', '= "other-weights"')))
    with pytest.raises(TerraformError, match="Instance cannot be destroyed"):
        workspace.plan()

    bucket = (
        'resource "google_storage_bucket" "b" {\n  name = "b"\n  location = "EU"\n  deletion_policy = "PREVENT"\n}\n'
    )
    guarded = stand_in_terraform(files={"main.tf": PROVIDER + bucket})
    guarded.apply()
    with pytest.raises(TerraformError, match="`deletion_policy` forbids to delete it"):
        guarded.destroy()
    assert list(guarded.state()) == ["google_storage_bucket.b"]


def test_a_moved_resource_stays(stand_in_terraform: OpenWorkspace) -> None:
    network = 'resource "google_compute_network" "{}" {{\n  name = "chat"\n}}\n'
    workspace = stand_in_terraform(files={"main.tf": PROVIDER + network.format("old")})
    workspace.apply()
    moved = "moved {\n  from = google_compute_network.old\n  to   = google_compute_network.new\n}\n"
    workspace.write({"main.tf": PROVIDER + network.format("new") + moved})
    assert workspace.plan().actions == {"google_compute_network.new": ("no-op",)}


def test_a_removed_resource_is_deleted_though_no_file_names_its_type(stand_in_terraform: OpenWorkspace) -> None:
    network = 'resource "google_compute_network" "main" {\n  name = "chat"\n}\n'
    workspace = stand_in_terraform(files={"main.tf": PROVIDER + network})
    workspace.apply()
    workspace.replaced({"providers.tf": PROVIDER})
    assert [file.name for file in workspace.path.glob("*.tf")] == ["providers.tf"]
    assert changes(workspace) == {"google_compute_network.main": ("delete",)}


def test_aliases_modules_data_sources_and_write_only_arguments(stand_in_terraform: OpenWorkspace) -> None:
    main = """
    provider "google" {
      alias   = "host"
      project = "host-project"
    }
    provider "google" {
      project                         = "test-project"
      add_terraform_attribution_label = false
    }
    module "network" {
      source    = "./network"
      providers = { google = google.host }
    }
    data "google_compute_image" "base" {
      family  = "debian-12"
      project = "debian-cloud"
    }
    resource "google_compute_disk" "main" {
      name  = "chat"
      zone  = "europe-west4-a"
      image = data.google_compute_image.base.self_link
    }
    resource "google_secret_manager_secret_version" "main" {
      secret                 = "projects/test-project/secrets/token"
      secret_data_wo         = "not a secret"
      secret_data_wo_version = 1
    }
    output "network" {
      value = module.network.id
    }
    """
    network = """
    resource "google_compute_network" "main" {
      name = "shared"
    }
    output "id" {
      value = google_compute_network.main.id
    }
    """
    workspace = stand_in_terraform(files={"main.tf": main, "network/main.tf": network})
    assert set(workspace.plan().actions) == {
        "google_compute_disk.main",
        "google_secret_manager_secret_version.main",
        "module.network.google_compute_network.main",
    }
    workspace.apply()
    again = workspace.plan()
    assert again.is_empty
    outputs = again.document["planned_values"]["outputs"]
    assert outputs["network"]["value"] == "projects/host-project/global/networks/shared"
    state = workspace.state()
    assert state["google_secret_manager_secret_version.main"]["secret_data_wo"] is None
    assert state["google_compute_disk.main"]["effective_labels"] == {}
    assert "not a secret" not in (workspace.path / "terraform.tfstate").read_text(encoding="utf-8")


def test_unknown_values_pass_the_limits(stand_in_terraform: OpenWorkspace) -> None:
    main = """
    resource "terraform_data" "choice" {
      input = ["tcp"]
    }
    resource "google_compute_firewall" "main" {
      name      = terraform_data.choice.id
      network   = "default"
      direction = terraform_data.choice.output[0] == "tcp" ? "INGRESS" : "SIDEWAYS"
      dynamic "allow" {
        for_each = terraform_data.choice.output
        content {
          protocol = allow.value
        }
      }
    }
    """
    workspace = stand_in_terraform(files={"main.tf": PROVIDER + main})
    assert workspace.plan().actions["google_compute_firewall.main"] == ("create",)


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_refused(stand_in_terraform: OpenWorkspace, file: Path) -> None:
    """Each file's first line says where and what: one error, there and so."""
    text = file.read_text(encoding="utf-8")
    line, summary = re.fullmatch(r"# (\d+): (.*)", text.splitlines()[0]).groups()  # type: ignore[union-attr]
    with pytest.raises(TerraformError) as refusal:
        stand_in_terraform(files={"main.tf": text}).validate()
    assert [(one.line, one.summary) for one in refusal.value.findings] == [(int(line), summary)]


@pytest.mark.parametrize(
    ("shape", "checks", "good", "bad"),
    [
        ("string", {"format": "cidr"}, "10.0.0.0/24", "10.0.0.0"),
        ("string", {"format": "ip"}, "10.0.0.1", "10.0.0.0/24"),
        ("string", {"format": "json"}, '{"a": 1}', "{a: 1}"),
        ("string", {"format": "base64"}, "YQ==", "no base64"),
        ("string", {"format": "duration"}, "1h30m", "90 minutes"),
        ("string", {"length": [1, 3]}, "abc", "abcd"),
        ("string", {"max_length": "3"}, "abc", "abcd"),
        ("int", {"at_least": "1"}, 1, 0),
        ("int", {"at_most": "10"}, 10, 11),
        ("int", {}, 1, 1.5),
        ("list", {"enum": ["A", "B"]}, ["A", values.UNKNOWN], ["A", "C"]),
        ("set", {"pattern": "^a"}, ["ab"], ["ab", "b"]),
    ],
)
def test_limits_of_one_argument(shape: table.Shape, checks: dict[str, Any], good: Any, bad: Any) -> None:
    arguments = {"a": table.Argument("a", shape, checks=checks)}
    for silent in (good, None, values.UNKNOWN):
        assert check.objections(arguments, {"a": silent}) == []
    (found,) = check.objections(arguments, {"a": bad})
    assert found.path == (("a", 1) if shape == "list" else ("a",))


@pytest.mark.parametrize(
    ("relation", "other", "is_refused"),
    [
        ("conflicts_with", "given", True),
        ("conflicts_with", None, False),
        ("conflicts_with", values.UNKNOWN, False),
        ("exactly_one_of", "given", True),
        ("exactly_one_of", None, False),
        ("exactly_one_of", values.UNKNOWN, False),
        ("required_with", "given", False),
        ("required_with", None, True),
        ("required_with", values.UNKNOWN, False),
        ("at_least_one_of", "given", False),
        ("at_least_one_of", None, False),
    ],
)
def test_relations_inside_a_block(relation: str, other: Any, is_refused: bool) -> None:
    """`a` is given: what does that mean for `b`, which stands under the same relation?"""
    inner = {name: table.Argument(name, "string", checks={relation: ["o.0.a", "o.0.b"]}) for name in ("a", "b")}
    outer = {"o": table.Argument("o", "list", block=inner, is_attribute=False)}
    found = check.objections(outer, {"o": [{"a": "given", "b": other}]})
    assert len(found) == is_refused
    assert all(one.path[:2] == ("o", 0) for one in found)


def test_fmt_check_shows_the_difference(stand_in_terraform: OpenWorkspace) -> None:
    with pytest.raises(TerraformError, match=r"\+  a   = 1"):
        stand_in_terraform(files={"main.tf": "locals {\n  a = 1\n  bcd = 2\n}\n"}).fmt_check()


def test_the_caller_s_directory_and_environment_stay_outside(
    stand_in_terraform: OpenWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_name", "leaked")
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-destroy")
    source = tmp_path / "source"
    source.mkdir()
    main = 'variable "name" {\n  default = "own"\n}\nresource "google_compute_network" "main" {\n  name = var.name\n}\n'
    (source / "main.tf").write_text(PROVIDER + main, encoding="utf-8")
    workspace = stand_in_terraform(source)
    workspace.apply()
    assert workspace.state()["google_compute_network.main"]["name"] == "own"
    assert [file.name for file in source.iterdir()] == ["main.tf"]


def test_the_whole_schema_in_one_run(stand_in_terraform: OpenWorkspace) -> None:
    # The servers offer what the files mention: a comment will do.
    every = {name for kind in ("resource", "data_source") for name in provider_schema.names(kind)}
    workspace = stand_in_terraform(STACK, {"all.tf": f"# {' '.join(sorted(every))}\n"})
    assert workspace.validate() == ()
    served = json.loads(workspace.run("providers", "schema", "-json"))["provider_schemas"]
    for provider in ("google", "google-beta"):
        offered = served[f"registry.terraform.io/hashicorp/{provider}"]
        assert sorted(offered["resource_schemas"]) == table.names(provider, "resource")
        assert sorted(offered["data_source_schemas"]) == table.names(provider, "data_source")


def test_every_resource_survives_the_conversion() -> None:
    """Table entry -> bytes -> message holds what the table says, for all resources of google-beta, which has them all."""
    names = provider_schema.names("resource")
    assert len(names) == 1472
    for name in names:
        served = pb.GetProviderSchema.Response.FromString(schema.response("google-beta", [name]))
        block = served.resource_schemas[name].block
        raw = provider_schema.entry("resource", name)
        assert raw is not None
        own = {key for key in ("id", "timeouts") if key not in raw["arguments"]}
        assert {key: one for key, one in described(block).items() if key not in own} == expected(raw["arguments"]), name
        assert {one.type_name for one in block.block_types} & {"timeouts"} == (
            {"timeouts"} if "timeouts" in raw else set()
        )


def described(block: Any) -> dict[str, Any]:
    """What a schema message says, in the words of the table."""
    attributes = {
        one.name: (json.loads(one.type), one.required, one.optional, one.computed, one.sensitive)
        for one in block.attributes
    }
    nesting = {
        pb.Schema.NestedBlock.LIST: "list",
        pb.Schema.NestedBlock.SET: "set",
        pb.Schema.NestedBlock.SINGLE: "single",
    }
    blocks = {
        one.type_name: (nesting[one.nesting], one.min_items > 0, one.max_items, described(one.block))
        for one in block.block_types
    }
    return attributes | blocks


def expected(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What the table says, read without the code under test."""
    flags = ("required", "optional", "computed", "sensitive")
    return {
        name: (one["type"], bool(one.get("required")), one.get("max_items", 0), expected(one["block"]))
        if "block" in one and "as" not in one
        else (raw_type(one), *(bool(one.get(flag)) for flag in flags))
        for name, one in raw.items()
    }


def raw_type(one: Mapping[str, Any]) -> Any:
    """Terraform's type of a raw table argument."""
    if "block" in one:
        return [one["type"], ["object", {name: raw_type(inner) for name, inner in one["block"].items()}]]
    words = {"int": "number", "float": "number", "map": ["map", "string"]}
    element = one.get("elem", "string")
    if one["type"] in ("list", "set"):
        return [one["type"], words.get(element, element)]
    return words.get(one["type"], one["type"])


def test_every_resource_is_made_once_and_then_stays() -> None:
    """A minimal resource of each type: nothing is unknown after the apply, and the next plan changes nothing."""
    settings = {"project": "test-project", "region": "europe-west4", "default_labels": {"team": "support"}}
    for name in provider_schema.names("resource"):
        found = table.entry("google-beta", "resource", name)
        assert found is not None
        vague = minimal(found.arguments)
        config = settled(vague, create(name, found.arguments, vague, settings))
        state = create(name, found.arguments, config, settings)
        whole = table.Argument(name, "single", block=found.arguments)
        assert "ExtType" not in repr(state), name
        assert values.decode(values.encode(state)) == state
        again = plan.planned(found.arguments, config, state, settings)
        assert values.canonical(whole, again) == values.canonical(whole, state), name
        assert plan.replacements(found.arguments, state, again) == []


def create(name: str, arguments: table.Arguments, config: values.Block, settings: Mapping[str, Any]) -> values.Block:
    return apply.applied(name, arguments, plan.planned(arguments, config, None, settings), settings, "1")


def minimal(arguments: table.Arguments) -> dict[str, Any]:
    """A configuration with the required arguments only, all of them unknown where they may be."""
    return {
        name: (None if one.is_attribute or one.shape == "single" else [])
        if not one.required
        else values.UNKNOWN
        if one.is_attribute
        else [minimal(one.block or {})]
        for name, one in arguments.items()
    }


def settled(config: Any, state: Any) -> Any:
    """The configuration once everything unknown in it has become what the state holds."""
    if values.is_unknown(config):
        return state
    if isinstance(config, dict):
        return {name: settled(one, state[name]) for name, one in config.items()}
    if isinstance(config, list):
        return [settled(one, old) for one, old in zip(config, state, strict=False)]
    return config


def test_labels_marked_at_creation_only() -> None:
    found = table.entry("google", "resource", "google_compute_disk")
    assert found is not None
    config = minimal(found.arguments) | {"name": "d", "labels": {"team": "support"}}
    new = plan.planned(found.arguments, config, None, {})
    assert new["effective_labels"] == {"goog-terraform-provisioned": "true", "team": "support"}
    older = {**new, "terraform_labels": {"team": "support"}, "effective_labels": {"team": "support"}}
    assert plan.planned(found.arguments, config, older, {})["effective_labels"] == {"team": "support"}
    unknown = plan.planned(found.arguments, config | {"labels": values.UNKNOWN}, None, {})
    assert values.is_unknown(unknown["effective_labels"])


# Who judges


@pytest.fixture
def mirror(tmp_path: Path, terraform_program: str) -> Path:
    """A CLI configuration with a mirror whose providers are empty programs: enough to install, not to plan."""
    told = Terraform(terraform_program, tmp_path, base_environment(tmp_path, "")).run("version", "-json")
    platform = json.loads(told)["platform"]
    for name in ("google", "google-beta"):
        for version in ("7.44.0", "7.46.1", "9.0.0"):
            folder = tmp_path / "mirror" / "registry.terraform.io" / "hashicorp" / name / version / platform
            folder.mkdir(parents=True)
            program = folder / f"terraform-provider-{name}_v{version}"
            program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
            program.chmod(0o755)
    configuration = tmp_path / "mirror.rc"
    path = (tmp_path / "mirror").as_posix()
    configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{path}"\n  }}\n}}\n')
    return configuration


def test_real_providers_judge_where_they_can_be_installed(mirror: Path, terraform_program: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(mirror), judge.CHOICE: ""}
    chosen = judge.choose(terraform_program, tmp_path / "judge", environment)
    assert chosen.label == "hashicorp/google 7.46.1"
    assert chosen.is_real

    # The workspaces use what was installed, without the user's own configuration.
    workspace = open_workspace(tmp_path / "real" / "root", STACK, {}, terraform_program, chosen, None)
    workspace.init()
    assert "7.46.1" in (workspace.path / ".terraform.lock.hcl").read_text(encoding="utf-8")
    for command in (workspace.apply, workspace.destroy):
        with pytest.raises(pytest.skip.Exception, match=r"needs a cloud behind hashicorp/google 7\.46\.1"):
            command()


def test_the_stand_in_judges_where_they_cannot(terraform_program: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.rc"
    empty.write_text(
        'provider_installation {\n  filesystem_mirror {\n    path = "/nowhere"\n  }\n}\n', encoding="utf-8"
    )
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(empty), judge.CHOICE: ""}
    assert judge.choose(terraform_program, tmp_path, environment) == judge.STAND_IN
    with pytest.raises(judge.JudgeError, match=r"cannot install the providers: .*hashicorp/google"):
        judge.choose(terraform_program, tmp_path, environment | {judge.CHOICE: "real"})


def test_the_choice_can_be_forced(mirror: Path, terraform_program: str, tmp_path: Path) -> None:
    environment = {"TF_CLI_CONFIG_FILE": str(mirror), judge.CHOICE: "stand-in"}
    assert judge.choose(terraform_program, tmp_path, environment) == judge.STAND_IN
    with pytest.raises(judge.JudgeError, match="`stand-in` or `real`"):
        judge.choose(terraform_program, tmp_path, environment | {judge.CHOICE: "fake"})


def test_all_processes_take_the_first_one_s_decision(tmp_path: Path) -> None:
    asked: list[judge.Judge] = []

    def decide() -> judge.Judge:
        asked.append(judge.Judge("hashicorp/google 7.45.0", "/mirror"))
        return asked[0]

    with futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: judge.once(tmp_path, decide), range(4)))
    assert len(asked) == 1
    assert found == asked * 4


def test_all_processes_learn_why_there_is_no_judge(tmp_path: Path) -> None:
    def decide() -> judge.Judge:
        raise judge.JudgeError("no such judge")

    for _ in range(2):
        with pytest.raises(judge.JudgeError, match="no such judge"):
            judge.once(tmp_path, decide)


def test_the_fixture_plans_with_whoever_judges(terraform: OpenWorkspace) -> None:
    plan_of_stack = terraform(STACK).plan()
    assert set(plan_of_stack.actions.values()) == {("create",)}


def test_without_terraform_the_tests_fail_and_say_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="install Terraform"):
        find_program(str(tmp_path))
