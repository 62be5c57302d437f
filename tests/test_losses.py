"""What a regeneration would lose: outputs of two descriptors held against each other, and stopped where data would go."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infragen import write
from infragen.descriptor.source import File, Source
from infragen.pipeline import compile_workload
from infragen.verify import losses
from tests.examples import CATALOG, TEMPLATES, TODAY
from tests.test_storage_guidance import merged

POOL = {
    "version": 1, "name": "pool", "project": "my-project", "task": "compute", "machine": {"type": "c3-standard-22"},
    "run": {"command": ["work"]}, "place": {"zones": ["us-central1-a"]},
}  # fmt: skip
SERVER = {"purpose": "home", "service": "filestore", "tier": "zonal", "capacity": "2TiB"}
BASIC = SERVER | {"tier": "basic-ssd", "capacity": "4TiB"}
PARALLEL = {"purpose": "home", "service": "managed-lustre", "tier": 1000, "capacity": "18000GiB"}
LARGE = PARALLEL | {"capacity": "1530000GiB"}
CASES = {
    # name: store before, store after (None: none), other changes, what is said (empty: nothing is lost)
    "nothing changes": (SERVER, SERVER, {}, ""),
    "a file server grows": (SERVER, SERVER | {"capacity": "4TiB"}, {}, ""),
    "a zonal file server shrinks": (SERVER, SERVER | {"capacity": "1TiB"}, {}, ""),
    "its label changes": (SERVER, SERVER, {"labels": {"team": "b"}}, ""),
    "its size crosses the bands": (SERVER, SERVER | {"capacity": "10TiB"}, {}, "crosses 9,984 GiB"),
    "another tier": (SERVER, SERVER | {"tier": "regional"}, {}, "`location` changes from `us-central1-a` to `us-central1`"),
    "another zone": (SERVER, SERVER, {"place": {"zones": ["us-central1-b"]}}, "`location` changes from `us-central1-a`"),
    "another name of the workload": (SERVER, SERVER, {"name": "park"}, "`networks.network` depends on `google_compute_network.main.id`, which changes from 'pool' to 'park'"),
    "another protocol": (SERVER, SERVER | {"protocol": "nfs-v4.1"}, {}, "`protocol` changes from `NFS_V3` to `NFS_V4_1`"),
    "a key comes": (SERVER, SERVER, {"security": {"kms_key": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}}, "`kms_key_name`"),
    "the store goes": (SERVER, None, {}, "it is not in the new output"),
    "another service": (SERVER, PARALLEL, {}, "it is not in the new output"),
    "a basic file server shrinks": (BASIC, BASIC | {"capacity": "3TiB"}, {}, "shrinks from 4,096 to 3,072 GiB"),
    "a parallel file system grows": (PARALLEL, PARALLEL | {"capacity": "27000GiB"}, {}, ""),
    "it shrinks": (PARALLEL, PARALLEL | {"capacity": "9000GiB"}, {}, "shrinks from 18,000 to 9,000 GiB"),
    "it crosses its threshold": (LARGE, LARGE | {"capacity": "1584000GiB"}, {}, "crosses 1,530,000 GiB"),
    "another tier of it": (PARALLEL, PARALLEL | {"tier": 500}, {}, "`per_unit_storage_throughput` changes from `1000` to `500`"),
}  # fmt: skip


def output(store, changes=None):
    descriptor = merged(POOL, (changes or {}) | {"storage": [store] if store else []})
    run = compile_workload(
        Source(File("w.yaml", yaml.safe_dump(descriptor, sort_keys=False).encode())), CATALOG, TEMPLATES, TODAY
    )
    assert not run.diagnostics.has_errors, [one.message + one.label for one in run.diagnostics]
    return dict(run.files)


@pytest.mark.parametrize("name", CASES)
def test_a_regeneration(name):
    before, after, changes, said = CASES[name]
    found = list(losses.check(output(before), output(after, changes), "out", ()))
    messages = [one.message for one in found]
    assert bool(messages) == bool(said), messages
    assert all(one.span.file == "out/storage.tf" and one.span.line > 0 for one in found)
    if said:
        assert any(said in message for message in messages), messages


def test_what_may_go_is_a_warning_that_names_the_guard():
    address = "google_filestore_instance.home"
    [found] = losses.check(output(SERVER), output(SERVER | {"tier": "regional"}), "out", (address,))
    assert found.severity.value == "warning" and "deletion_protection" in found.help


def test_a_disk_for_many_readers_goes_with_its_version_and_never_opens_again():
    disk = (
        'variable "versions" {\n  type = set(string)\n}\n\nresource "google_compute_disk" "weights" {\n'
        "  for_each = var.versions\n\n"
        '  name = "chat-${each.key}"\n  zone = "us-central1-a"\n  type = "hyperdisk-ml"\n  size = 100\n  access_mode = "MODE"\n}\n'
    )
    many = {"main.tf": disk.replace("MODE", "READ_ONLY_MANY")}

    def said(old, new):
        return [
            one.message
            for one in losses.check(many | {"terraform.tfvars": old}, many | {"terraform.tfvars": new}, "out", ())
        ]

    assert said('versions = ["v1"]\n', 'versions = ["v1", "v2"]\n') == []
    assert "its instances `v1` go" in said('versions = ["v1"]\n', 'versions = ["v2"]\n')[0]
    back = {"main.tf": disk.replace("MODE", "READ_WRITE_SINGLE")}
    [found] = losses.check(many, back, "out", ())
    assert "no way back" in found.message
    smaller = {"main.tf": many["main.tf"].replace("100", "50")}
    assert "shrinks from 100 to 50 GiB" in next(losses.check(many, smaller, "out", ())).message


def test_a_renamed_address_with_a_moved_block_loses_nothing():
    bucket = 'resource "google_storage_bucket" "{}" {{\n  name = "data"\n  location = "EU"\n}}\n'
    moved = "moved {\n  from = google_storage_bucket.old\n  to = google_storage_bucket.new\n}\n"
    before = {"main.tf": bucket.format("old")}
    assert list(losses.check(before, {"main.tf": bucket.format("new")}, "out", ()))
    assert list(losses.check(before, {"main.tf": bucket.format("new") + moved}, "out", ())) == []


def test_w007_stops_the_command_and_writes_nothing(tmp_path):
    def plan(store, *more):
        (tmp_path / "w.yaml").write_text(
            yaml.safe_dump(merged(POOL, {"storage": [store]}), sort_keys=False), encoding="utf-8"
        )
        command = [sys.executable, "-m", "infragen", "plan", "w.yaml", "--out", "out", *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert plan(SERVER).returncode == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    stopped = plan(SERVER | {"tier": "regional"})
    assert stopped.returncode == 1
    assert "error[W007]: `google_filestore_instance.home` would be lost" in stopped.stderr
    assert "out/storage.tf:" in stopped.stderr and "may_lose" in stopped.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == kept
    allowed = plan(SERVER | {"tier": "regional"}, "--set", "security.may_lose=[google_filestore_instance.home]")
    assert allowed.returncode == 0, allowed.stderr
    assert "REGIONAL" in (tmp_path / "out" / "storage.tf").read_text(encoding="utf-8")


def test_files_that_people_added_count_on_both_sides(tmp_path: Path):
    files = write.with_manifest(compile_workload(
        Source(File("w.yaml", yaml.safe_dump(POOL).encode())), CATALOG, TEMPLATES, TODAY).files)  # fmt: skip
    (tmp_path / "own.auto.tfvars").write_text('zone = "us-central1-b"\n', encoding="utf-8")
    before, after = write.terraform(tmp_path, files)
    assert before == {"own.auto.tfvars": 'zone = "us-central1-b"\n'}
    assert after["own.auto.tfvars"] == before["own.auto.tfvars"] and "main.tf" in after


def disk(*lines: str) -> str:
    arguments = {"name": '"d"', "zone": '"us-central1-a"', "type": '"pd-ssd"'}
    given = {line.partition(" = ")[0] for line in lines}
    rest = [f"{name} = {value}" for name, value in arguments.items() if name not in given]
    return 'resource "google_compute_disk" "data" {\n' + "".join(f"  {line}\n" for line in (*lines, *rest)) + "}\n"


def variable(name: str, value: str) -> str:
    return f'variable "{name}" {{\n  default = {value}\n}}\n'


def share(gib: int) -> str:
    return (
        'resource "google_filestore_instance" "h" {\n  name = "h"\n  tier = "BASIC_SSD"\n  location = "z"\n'
        f'  dynamic "file_shares" {{\n    for_each = [{gib}]\n    content {{\n      name = "s"\n      capacity_gb = file_shares.value\n    }}\n  }}\n}}\n'
    )


EACH = ("name = each.key", "zone = each.value.zone", "size = each.value.size")
COMPUTED = {
    # Terraform before, and after; severity and words of what is said (empty: nothing)
    "the same function": (disk("size = max(10, 100)"), disk("size = max(10, 100)"), ""),
    "the larger of two, one of them smaller": (
        disk("size = max(10, var.size)") + variable("size", "100"), disk("size = max(10, var.size)") + variable("size", "50"), "error shrinks from 100 to 50 GiB"),
    "a size that is computed another way": (disk("size = 10 * var.tens") + variable("tens", "9"), disk("size = 10 * var.tens") + variable("tens", "5"),
        "warning `size` depends on `var.tens`, which changes from 9 to 5"),
    "a size that is now computed": (disk("size = 100"), disk("size = ceil(99.5)"), "warning `size` changes from `100` to `ceil(99.5)`"),
    "fewer of a count": (disk("count = 3"), disk("count = 1"), "error of its 3 instances 1 stay"),
    "more of a count": (disk("count = 1"), disk("count = 3"), ""),
    "a count comes, and with it a second": (disk(), disk("count = 2"), ""),
    "a count goes": (disk("count = 2"), disk(), "error of its 2 instances 1 stay"),
    "a count that is computed": (disk("count = length(var.n)") + variable("n", '["a", "b"]'), disk("count = length(var.n)") + variable("n", '["a"]'), "warning `count` depends on `var.n`"),
    "a set grows": (disk('for_each = toset(["a"])', "name = each.key"), disk('for_each = toset(["a", "b"])', "name = each.key"), ""),
    "a set shrinks": (disk('for_each = toset(["a", "b"])', "name = each.key"), disk('for_each = toset(["a"])', "name = each.key"), "error its instances `b` go"),
    "a map grows": (
        disk('for_each = { a = { zone = "z", size = 9 } }', *EACH), disk('for_each = { a = { zone = "z", size = 9 }, b = { zone = "y", size = 1 } }', *EACH), ""),
    "a map moves one": (
        disk('for_each = { a = { zone = "z", size = 9 } }', *EACH), disk('for_each = { a = { zone = "y", size = 9 } }', *EACH), "error `zone` depends on `each.value.zone`"),
    "a map shrinks one": (
        disk('for_each = { a = { zone = "z", size = 9 } }', *EACH), disk('for_each = { a = { zone = "z", size = 5 } }', *EACH), "warning `size` depends on `each.value.size`"),
    "a name within a function": (
        disk('name = format("%s-d", var.n)') + variable("n", '"a"'), disk('name = format("%s-d", var.n)') + variable("n", '"b"'), "error `name` depends on `var.n`, which changes from 'a' to 'b'"),
    "a mode within a function": (
        disk('access_mode = upper("read_only_many")'), disk('access_mode = upper("read_write_single")'), "error no way back"),
    "blocks that are made stay": (share(4096), share(4096), ""),
    "blocks that are made change": (share(4096), share(3072), "warning the blocks `file_shares` are made by `dynamic`"),
    "what is there cannot be read": ('resource "x" {\n', disk(), "warning is not compared as a whole"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_is_compared_or_told_of(name):
    before, after, said = COMPUTED[name]
    found = list(losses.check({"main.tf": before}, {"main.tf": after}, "out", ()))
    assert len(found) == bool(said), [one.message for one in found]
    for one in found:
        severity, _, words = said.partition(" ")
        assert one.severity.value == severity and words in one.message and one.help, one.message


def test_files_in_json_are_told_of(tmp_path):
    (tmp_path / "own.tf.json").write_text("{}", encoding="utf-8")
    before, after = write.terraform(tmp_path, {"main.tf": disk()})
    assert "own.tf.json" in before and "own.tf.json" in after
    [found] = losses.check(before, after, str(tmp_path), ())
    assert found.severity.value == "warning" and "it is written in JSON" in found.message
    assert found.span.file == f"{tmp_path}/own.tf.json"
