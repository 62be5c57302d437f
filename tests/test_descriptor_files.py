"""Descriptors as files: what cannot be opened, what is not text, what is too large."""

import errno
from pathlib import Path

import pytest

from infragen.descriptor import load
from infragen.descriptor.model import Workload
from infragen.descriptor.source import MAX_BYTES, File, Source, read
from infragen.diagnostics import CompileError, Diagnostics
from infragen.render.diagnostics import text

GOOD = b"version: 1\nname: chat\ntask: compute\n"


def refused(path: Path | str, overlays: tuple[str, ...] = ()) -> list[str]:
    """The rendered findings of reading and loading, which must fail."""
    found = Diagnostics()
    with pytest.raises(CompileError):
        load(read(str(path), found, overlays), found)
    return [text(one) for one in found]


def loaded(content: bytes) -> Workload:
    return load(Source(File("w.yaml", content)), Diagnostics())


def test_reads_descriptor_overlays_and_settings(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_bytes(GOOD)
    (tmp_path / "prod.yaml").write_bytes(b"project: my-project\n")
    found = Diagnostics()
    source = read(str(tmp_path / "w.yaml"), found, [str(tmp_path / "prod.yaml")], ["machine.count=4"])
    workload = load(source, found)
    assert (workload.project, workload.machine.count, len(found)) == ("my-project", 4, 0)


def test_a_missing_file_is_told_with_the_name_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "workload.yaml").write_bytes(GOOD)
    [finding] = refused(tmp_path / "workload.yml")
    assert finding.startswith(f"error[D001]: `{tmp_path}/workload.yml` does not exist")
    assert "= help: did you mean `workload.yaml`?" in finding


def test_all_files_that_are_missing_are_told_at_once(tmp_path: Path) -> None:
    findings = refused(tmp_path / "a.yaml", (str(tmp_path / "b.yaml"), str(tmp_path / "c.yaml")))
    assert [one.splitlines()[0].rpartition("/")[2] for one in findings] == [
        "a.yaml` does not exist",
        "b.yaml` does not exist",
        "c.yaml` does not exist",
    ]


def test_a_directory(tmp_path: Path) -> None:
    assert refused(tmp_path)[0].startswith(f"error[D001]: `{tmp_path}` is a directory")


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_bytes(GOOD)
    assert "cannot be read: Not a directory" in refused(tmp_path / "w.yaml" / "x.yaml")[0]


def test_a_name_with_a_nul() -> None:
    [finding] = refused("a\0b.yaml")
    assert finding.startswith("error[D001]: `a␀b.yaml` cannot be read")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: the tests may run as root, whom no permission keeps out.
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    (tmp_path / "w.yaml").write_bytes(GOOD)
    monkeypatch.setattr(Path, "open", denied)
    [finding] = refused(tmp_path / "w.yaml")
    assert "error[D001]" in finding and "may not be read" in finding


def test_a_file_of_50_megabytes_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    found = Diagnostics()
    assert len(read(str(path), found).descriptor.content) == MAX_BYTES + 1
    assert refused(path)[0].startswith(f"error[D002]: `{path}` is larger than 1 MiB")


def test_the_largest_file_is_read() -> None:
    comment = b"#" * (MAX_BYTES - len(GOOD) - 1) + b"\n"
    assert loaded(comment + GOOD).name == "chat"
    with pytest.raises(CompileError):
        loaded(comment + GOOD + b"\n")


@pytest.mark.parametrize(
    ("content", "place", "label"),
    [
        (GOOD + b"project: a\0b\n", "4:11", "^ a NUL byte"),
        (GOOD + b"project: caf\xe9\n", "4:13", "^ the byte 0xe9 begins no character"),
        (b"\x89PNG\r\n\x1a\n\0\0", "1:1", "^ the byte 0x89 begins no character"),
        (GOOD.decode().encode("utf-16"), "1:1", "^ this is UTF-16"),
        (b"a: \xc3\xa9 \xff", "1:6", "^ the byte 0xff begins no character"),
    ],
)
def test_bytes_that_are_not_text(tmp_path: Path, content: bytes, place: str, label: str) -> None:
    (tmp_path / "w.yaml").write_bytes(content)
    [finding] = refused(tmp_path / "w.yaml")
    assert finding.startswith("error[D003]")
    assert f"w.yaml:{place}\n" in finding and label in finding


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_bytes(b"")
    [finding] = refused(tmp_path / "w.yaml")
    assert finding.startswith(f"error[D004]: `{tmp_path}/w.yaml` is empty\n  --> {tmp_path}/w.yaml:1:1\n   = why")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.rstrip(b"\n")])
def test_a_byte_order_mark_and_other_line_ends_are_read(content: bytes) -> None:
    assert loaded(content).task == "compute"


def test_after_a_byte_order_mark_columns_are_right() -> None:
    found = Diagnostics()
    with pytest.raises(CompileError):
        load(Source(File("w.yaml", b"\xef\xbb\xbfvarsion: 1\r\n" + GOOD[11:])), found)
    [finding] = found
    assert finding.span is not None
    assert (finding.span.line, finding.span.column, finding.span.length, finding.span.text) == (1, 1, 7, "varsion: 1")
