"""What is written, what is refused, and what an interruption leaves."""

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import infragen
from infragen import write
from infragen.diagnostics import CATALOGUE, CompileError, Diagnostics
from infragen.fileset import FileSet
from infragen.render.diagnostics import text
from infragen.write import MANIFEST, Kind

FIRST = {
    "main.tf": "a = 1\n",
    "scripts/boot.sh": "#!/bin/sh\ntrue\n",
    "image/deep/build.pkr.hcl": "x\n",
    "old.tf": "o\n",
}
SECOND = {"main.tf": "a = 2\n", "scripts/boot.sh": "#!/bin/sh\ntrue\n", "new.tf": "n\n"}


def files(texts: dict[str, str]) -> FileSet:
    return write.manifest(FileSet(texts), tool="1.2.3", catalogue="2026-01-01")


def written(texts: dict[str, str], directory: Path) -> dict[str, Kind]:
    found = Diagnostics()
    changes = write.write(files(texts), directory, found)
    assert len(found) == 0
    return {change.path: change.kind for change in changes}


def refused(texts: dict[str, str], directory: Path) -> list[str]:
    """The findings of a refused write, which must have left everything as it was."""
    before, found = snapshot(directory.parent), Diagnostics()
    with pytest.raises(CompileError):
        write.write(files(texts), directory, found)
    assert snapshot(directory.parent) == before
    return [text(one) for one in found]


def snapshot(directory: Path) -> dict[str, object]:
    def state(path: Path) -> object:
        if path.is_symlink():
            return path.readlink()
        return path.read_bytes() if path.is_file() else "directory"

    return {str(path.relative_to(directory)): state(path) for path in sorted(directory.rglob("*"))}


def holds(directory: Path, texts: dict[str, str], *extra: str) -> bool:
    expected = {path: content.encode() for path, content in files(texts).items()}
    actual = {path: content for path, content in snapshot(directory).items() if content != "directory"}
    return {path: content for path, content in actual.items() if path not in extra} == expected


def test_manifest_names_versions_and_digests_of_all_other_files() -> None:
    made = files({"b.tf": "b\n", "a.tf": "a\n"})
    assert json.loads(made[MANIFEST]) == {
        "format": 1,
        "tool": "1.2.3",
        "catalogue": "2026-01-01",
        "files": {path: FileSet({path: f"{path[0]}\n"}).digests()[path] for path in ("a.tf", "b.tf")},
    }
    assert write.manifest(made, "1.2.3", "2026-01-01") == made


def test_the_manifest_of_a_run_names_this_version_and_the_date_of_the_catalogue() -> None:
    made = json.loads(write.with_manifest(FileSet({"a.tf": "a\n"}))[MANIFEST])
    assert made["tool"] == infragen.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["catalogue"])


def test_first_write_makes_the_directory_and_its_parents(tmp_path: Path) -> None:
    out = tmp_path / "infra" / "chat"
    assert set(written(FIRST, out).values()) == {Kind.CREATED}
    assert holds(out, FIRST)
    mode = {path: stat.S_IMODE((out / path).stat().st_mode) for path in files(FIRST)}
    assert mode == {path: 0o755 if path.endswith(".sh") else 0o644 for path in mode}


def test_an_empty_directory_and_a_link_to_one_are_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    written(FIRST, tmp_path / "link")
    assert holds(tmp_path / "real", FIRST)
    assert (tmp_path / "link").is_symlink()


def test_second_write_changes_creates_and_deletes(tmp_path: Path) -> None:
    written(FIRST, tmp_path / "out")
    assert written(SECOND, tmp_path / "out") == {
        ".infragen.json": Kind.CHANGED,
        "image/deep/build.pkr.hcl": Kind.DELETED,
        "main.tf": Kind.CHANGED,
        "new.tf": Kind.CREATED,
        "old.tf": Kind.DELETED,
        "scripts/boot.sh": Kind.UNCHANGED,
    }
    assert holds(tmp_path / "out", SECOND)
    assert not (tmp_path / "out" / "image").exists()  # emptied, so gone


def test_writing_the_same_again_touches_nothing(tmp_path: Path) -> None:
    written(FIRST, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert set(written(FIRST, tmp_path / "out").values()) == {Kind.UNCHANGED}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_files_of_people_and_of_terraform_beside_ours_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    theirs = ["extra.tf", "backend.tf", ".terraform.lock.hcl", "terraform.tfstate", ".terraform/x", "image/notes.md"]
    for path in theirs:
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_text("mine\n")
    written(SECOND, out)
    assert holds(out, SECOND, *theirs)
    assert all((out / path).read_text() == "mine\n" for path in theirs)


def test_differences_show_diffs_and_write_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert {change.kind for change in write.differences(files(FIRST), out)} == {Kind.CREATED}
    assert not out.exists()
    written(FIRST, out)
    before = snapshot(tmp_path)
    diffs = {change.path: change.diff for change in write.differences(files(SECOND), out)}
    assert snapshot(tmp_path) == before
    assert diffs["main.tf"] == "--- a/main.tf\n+++ b/main.tf\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    assert diffs["new.tf"] == "--- /dev/null\n+++ b/new.tf\n@@ -0,0 +1 @@\n+n\n"
    assert diffs["old.tf"] == "--- a/old.tf\n+++ /dev/null\n@@ -1 +0,0 @@\n-o\n"
    assert diffs["scripts/boot.sh"] == ""


def test_differences_of_a_changed_file_without_a_last_line_break(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    (out / "main.tf").write_bytes(b"\xff = 1")
    [change] = [one for one in write.differences(files(FIRST), out) if one.kind is not Kind.UNCHANGED]
    assert change.diff.splitlines()[3:] == ["-\ufffd = 1", "\\ No newline at end of file", "+a = 1"]


def test_differences_of_a_path_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    assert {change.kind for change in write.differences(files(FIRST), tmp_path / "out")} == {Kind.CREATED}


# Refusals


def test_w001_the_output_is_a_file_or_below_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "out"):
        [finding] = refused(FIRST, out) if out.parent == tmp_path else refused_below(out, tmp_path)
        assert finding.startswith(f"error[W001]: `{tmp_path}/file` is not a directory")


def refused_below(out: Path, tmp_path: Path) -> list[str]:
    before, found = snapshot(tmp_path), Diagnostics()
    with pytest.raises(CompileError):
        write.write(files(FIRST), out, found)
    assert snapshot(tmp_path) == before
    return [text(one) for one in found]


def test_w001_the_output_links_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("nowhere")
    assert refused(FIRST, tmp_path / "out")[0].startswith(f"error[W001]: `{tmp_path}/out` links to nothing")


def test_w002_a_directory_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: the tests may run as root, whom no permission keeps out.
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "out")
    for out in (tmp_path / "out", tmp_path / "out" / "new"):
        [finding] = refused(FIRST, out)
        assert finding.startswith(f"error[W002]: `{tmp_path}/out` may not be written")


def test_w002_a_folder_inside_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "scripts")
    assert refused(SECOND, out)[0].startswith(f"error[W002]: `{out}/scripts` may not be written")


def test_w003_strange_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.tf", "b.tf", "c.tf", "d.tf", "e.tf", "f.tf"):
        (out / name).write_text("x")
    [finding] = refused(FIRST, out)
    expected = (
        f"error[W003]: `{out}` holds files that infragen did not write: `a.tf`, `b.tf`, `c.tf`, `d.tf`, `e.tf`, …"
    )
    assert finding.startswith(expected)


@pytest.mark.parametrize("name", [".git", ".terraform", "terraform.tfstate"])
def test_w003_also_for_files_that_are_ignored_beside_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("x")
    assert f"did not write: `{name}`" in refused(FIRST, tmp_path / "out")[0]


def test_w004_names_every_file_that_a_person_changed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    for path in ("main.tf", "old.tf", "scripts/boot.sh"):  # to be changed, to be deleted, to stay as it was
        (out / path).write_text("mine\n")
    findings = refused(SECOND, out)
    assert [one.splitlines()[0] for one in findings] == [
        f"error[W004]: `{out}/{path}` was changed since infragen wrote it"
        for path in ("main.tf", "old.tf", "scripts/boot.sh")
    ]


def test_w004_is_silent_when_the_change_is_what_would_be_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    (out / "main.tf").write_text(SECOND["main.tf"])
    (out / "old.tf").unlink()
    written(SECOND, out)
    assert holds(out, SECOND)


def test_a_generated_file_that_a_person_deleted_comes_back(tmp_path: Path) -> None:
    written(FIRST, tmp_path / "out")
    (tmp_path / "out" / "main.tf").unlink()
    assert written(FIRST, tmp_path / "out")["main.tf"] is Kind.CREATED
    assert holds(tmp_path / "out", FIRST)


def _their_file(out: Path) -> None:
    (out / "new.tf").write_text("mine\n")


def _their_directory(out: Path) -> None:
    (out / "new.tf").mkdir()


def _their_link(out: Path) -> None:
    (out / "new.tf").symlink_to("main.tf")


@pytest.mark.parametrize(
    ("place", "says"),
    [(_their_file, "was not written by infragen"), (_their_directory, "is not a file"), (_their_link, "is a link")],
)
def test_w005_something_is_in_the_way(tmp_path: Path, place: Callable[[Path], None], says: str) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    place(out)
    assert refused(SECOND, out)[0].startswith(f"error[W005]: `{out}/new.tf` {says}")


def test_w005_is_silent_when_their_file_is_what_would_be_written(tmp_path: Path) -> None:
    written(FIRST, tmp_path / "out")
    (tmp_path / "out" / "new.tf").write_text(SECOND["new.tf"])
    written(SECOND, tmp_path / "out")
    assert holds(tmp_path / "out", SECOND)


def test_w005_a_folder_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    written({"main.tf": "x\n"}, out)
    (tmp_path / "elsewhere").mkdir()
    (out / "scripts").symlink_to(tmp_path / "elsewhere")
    assert f"error[W005]: `{out}/scripts` is not a directory of its own" in refused(FIRST, out)[0]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<<<<<<< HEAD\n",
        "[]",
        "[" * 100_000,
        '{"format": 2, "files": {}}',
        '{"format": 1, "files": []}',
        '{"format": 1, "files": {"main.tf": 3}}',
        '{"format": 1, "files": {"../../outside": "sha256:0"}}',
        '{"format": 1, "files": {"/etc/passwd": "sha256:0"}}',
        '{"format": 1, "files": {"a\\\\..\\\\b": "sha256:0"}}',
    ],
)
def test_w006_a_damaged_or_later_manifest(tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    (out / MANIFEST).write_text(content)
    [finding] = refused(SECOND, out)
    assert finding.startswith(f"error[W006]: `{out}/{MANIFEST}` cannot be read as a manifest")
    assert write.differences(files(SECOND), out)  # shows what it can


def test_a_manifest_never_reaches_outside_its_directory(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside.tf"
    written(FIRST, out)
    outside.write_text("precious\n")
    digest = FileSet({"x": "precious\n"}).digests()["x"]
    (out / MANIFEST).write_text(json.dumps({"format": 1, "files": {"../outside.tf": digest}}))
    refused(SECOND, out)
    assert outside.read_text() == "precious\n"


@pytest.mark.parametrize("path", ["../x.tf", "/x.tf", "a//b.tf", "a\\b.tf", "c:x", "", "./x.tf"])
def test_paths_that_leave_the_directory_are_a_mistake_of_the_caller(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="inside its directory"):
        write.write(files({path: "x\n"}), tmp_path / "out", Diagnostics())
    with pytest.raises(ValueError, match=r"\.infragen\.json"):
        write.write(FileSet({"main.tf": ""}), tmp_path / "out", Diagnostics())


def test_every_rule_is_tested_and_documented() -> None:
    source = "".join(
        (Path(__file__).parent / name).read_text() for name in ("test_write.py", "test_losses.py", "test_doors.py")
    )
    for id in (id for id in CATALOGUE if id.startswith("W")):
        assert f"error[{id}]" in source and f"def test_{id.lower()}_" in source


# Interruptions


class PulledPlugError(BaseException):
    """Not an OSError: nothing in the code under test can catch it, as nothing can catch a power cut."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, calls: int, error: BaseException) -> None:
    """Let ``calls`` operations on the disk succeed, and raise at the next."""
    left = [calls]

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                raise error
            left[0] -= 1
            return original(*args, **kwargs)

        return call

    for name in ("replace", "unlink", "mkdir", "chmod", "rmdir"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))


@pytest.mark.parametrize("is_first", [True, False])
def test_pulling_the_plug_at_any_moment_leaves_what_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    for calls in range(200):
        out = tmp_path / f"out{calls}"
        if not is_first:
            written(FIRST, out)
            (out / "extra.tf").write_text("mine\n")
        with monkeypatch.context() as patch:
            interrupt_after(patch, calls, PulledPlugError())
            try:
                written(SECOND, out)
                finished = True
            except PulledPlugError:
                finished = False
        for path, content in snapshot(out).items():  # each file is its old or its new version, whole
            if path in FIRST.keys() | SECOND.keys():
                assert content in (FIRST.get(path, "").encode(), SECOND.get(path, "").encode())
        third = SECOND | {"main.tf": "a = 3\n"} if calls % 2 else SECOND
        written(third, out)
        assert holds(out, third, *([] if is_first else ["extra.tf"])), f"after {calls} operations"
        if finished:
            assert calls > 15
            return
    pytest.fail("never finished")


def test_a_change_by_hand_is_found_after_an_interruption_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    written(FIRST, out)
    with monkeypatch.context() as patch, pytest.raises(PulledPlugError):
        interrupt_after(patch, 12, PulledPlugError())
        written(SECOND, out)
    (out / "main.tf").write_text("mine\n")
    assert refused(SECOND, out)[0].startswith(f"error[W004]: `{out}/main.tf`")


@pytest.mark.parametrize("is_first", [True, False])
def test_a_full_disk_is_told_and_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    out, found = tmp_path / "out", Diagnostics()
    if not is_first:
        written(FIRST, out)
    before = snapshot(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(CompileError):
        patch.setattr(os, "fsync", full)
        write.write(files(SECOND), out, found)
    assert snapshot(tmp_path) == before
    [finding] = found
    assert text(finding).startswith(f"error[W002]: `{out}` cannot be written: No space left on device")
    written(SECOND, out)
    assert holds(out, SECOND)


def test_a_name_longer_than_the_file_system_takes_is_refused(tmp_path):
    finding = refused(FIRST, tmp_path / ("x" * 300))[0]
    assert finding.startswith("error[W001]: the name of the directory is longer than the file system takes")
