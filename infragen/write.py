"""The files of a run onto the disk: the only code that writes.

Takes a `FileSet` with its manifest and a directory. Gives what changed. Promises: nothing of a person is overwritten or
deleted, nothing is touched before everything has been checked, and an interruption at any moment leaves a directory
that the next run completes.

How. All new content is written into a staging directory inside the output directory and synced: a full disk shows up
here. Then a journal with the digests of every old and new version is put in place, and only then are files renamed over
their predecessors, one atomic step each, and those no longer made are deleted. The manifest comes last, and the journal
goes. A run that finds a journal knows both versions of each file as infragen's own, so it neither takes a half-done
change for a person's nor forgets what it wrote.
"""

import difflib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from infragen import __version__, inputs
from infragen.diagnostics import Diagnostic, Diagnostics, Rule, Span, declare
from infragen.facts import DATA
from infragen.fileset import FileSet

MANIFEST = ".infragen.json"
FORMAT = 1  # of the manifest
_JOURNAL = ".infragen.journal.json"
_STAGING = ".infragen.staging"
TERRAFORM = (".tf", ".tfvars", ".tf.json", ".tfvars.json")
MAX_BYTES = 16 * 2**20  # of a file that is compared: none that infragen writes is near it
_SHOWN = 5  # names that a message lists
_SOURCE = "https://docs.python.org/3/library/os.html"

NOT_A_DIRECTORY = declare(
    "W001",
    "output-not-a-directory",
    """The output goes into a directory.

    Why: a stack is a dozen files; writing them in place of another file would destroy that file.
    Example: `--out README.md`; `--out README.md/infra`.
    """,
    source=_SOURCE,
)
NOT_WRITABLE = declare(
    "W002",
    "output-not-writable",
    """The output directory can be written, or made.

    Why: a stack of which some files are new and others old is worse than none.
    Example: a directory that belongs to another user; a file system that is mounted read-only or full.
    """,
    source=_SOURCE,
)
STRANGE_FILES = declare(
    "W003",
    "strange-files",
    """The output directory is new, empty, or one that infragen wrote.

    Why: Terraform reads every `.tf` file of a directory as one configuration; files of another origin would be mixed
    with the generated ones, and resources of theirs with ours.
    Example: `--out .` in the root of a repository.
    """,
    source="https://developer.hashicorp.com/terraform/language/files",
)
CHANGED_BY_HAND = declare(
    "W004",
    "changed-by-hand",
    """A generated file that was changed since is not overwritten.

    Why: the change was somebody's intention, and it is nowhere else.
    Example: a machine type that was edited in `main.tf` instead of in the descriptor.
    """,
    source="infragen's manifest, format 1",
)
IN_THE_WAY = declare(
    "W005",
    "path-in-the-way",
    """A new file takes the place of nothing that infragen did not write.

    Why: the file, directory or link at that place belongs to somebody else.
    Example: a `backend.tf` written by hand, in a run that begins to make a `backend.tf`; a `scripts` that links elsewhere.
    """,
    source="infragen's manifest, format 1",
)
DAMAGED_MANIFEST = declare(
    "W006",
    "damaged-manifest",
    """The manifest says which files infragen wrote, in a format that this version reads.

    Why: without it nobody knows which files may be replaced.
    Example: a `.infragen.json` with merge conflict markers, or one that a later version wrote.
    """,
    source="infragen's manifest, format 1",
)
NOT_PRINTED = declare(
    "W008",
    "output-not-printed",
    """What is asked for is printed whole.

    Why: a record or a report that is cut short may be taken for all there is.
    Example: `infragen plan w.yaml --format json > plan.json` on a full disk.
    """,
    source=_SOURCE,
)


class Kind(StrEnum):
    """What becomes of a file."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


class Change(Struct, frozen=True):
    """One file of the output directory: its relative path, what becomes of it, and the unified diff (else empty)."""

    path: str
    kind: Kind
    diff: str


def manifest(files: FileSet, tool: str, catalogue: str) -> FileSet:
    """``files`` with their manifest: versions of tool and catalogue, and the digest of every other file."""
    content = {
        "format": FORMAT,
        "tool": tool,
        "catalogue": catalogue,
        "files": {path: digest for path, digest in files.digests().items() if path != MANIFEST},
    }
    return files.with_file(MANIFEST, json.dumps(content, indent=2) + "\n")


def with_manifest(files: FileSet) -> FileSet:
    """``files`` with the manifest of this infragen and its catalogue, which is as new as its newest table."""
    tables = json.loads((DATA / "tables.json").read_text(encoding="utf-8"))
    return manifest(files, tool=__version__, catalogue=max(table["as_of"] for table in tables.values()))


def differences(files: FileSet, directory: Path) -> tuple[Change, ...]:
    """What `write` would do to each file of ``directory``, by path. Reads only; a directory that is not there is empty.

    Files beside ours that a person added are not listed. A damaged manifest counts as none: `write` refuses it.
    """
    gone = _written_before(directory).keys() - files.keys()
    changes = [_change(path, _content(directory / path), text) for path, text in files.items()]
    changes += [_change(path, old, None) for path in gone if (old := _content(directory / path)) is not None]
    return tuple(sorted(changes, key=lambda change: change.path))


def write(files: FileSet, directory: Path, diags: Diagnostics) -> tuple[Change, ...]:
    """Make ``directory`` hold ``files``, and say what changed. ``files`` includes its manifest (see `manifest`).

    Raises CompileError after reporting every reason not to write; nothing is touched then. The one reason that can come
    later is a failing disk: what is there then is completed by the next run.
    """
    if MANIFEST not in files or not all(_is_inside(path) for path in files):
        raise ValueError(f"a file set to write holds {MANIFEST}, and paths inside its directory only")
    diags.extend(_objections(files, directory))
    diags.raise_if_errors()
    changes = differences(files, directory)
    if all(change.kind is Kind.UNCHANGED for change in changes) and not (directory / _JOURNAL).exists():
        return changes
    try:
        _replace(files, directory, changes)
    except OSError as error:
        help = "nothing is lost: make room or change the rights, and run the same command again"
        diags.add(_at(NOT_WRITABLE, directory, f"`{directory}` cannot be written: {error.strerror}", help))
    diags.raise_if_errors()
    return changes


def terraform(directory: Path, files: FileSet) -> tuple[dict[str, str], dict[str, str]]:
    """The Terraform of a directory as it is, and as it would be with ``files``; what people added is in both."""
    try:
        found = sorted(directory.glob("*.tf*"))
    except OSError:  # `write` says what is wrong with the directory
        found = []
    there = {path.name: path for path in found if path.name.endswith(TERRAFORM)}
    before = {
        name: text.decode(errors="replace") for name, path in there.items() if (text := _content(path)) is not None
    }
    written = _written_before(directory)
    theirs = {name: text for name, text in before.items() if name not in written}
    return before, theirs | dict(files)


# What is there


def _content(path: Path) -> bytes | None:
    """The bytes of a file, of one that infragen cannot have written no more than tells; None where there is no readable file."""
    try:
        return inputs.content(path, MAX_BYTES)
    except OSError:
        return None


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _is_inside(path: str) -> bool:
    """Whether a relative path stays below its directory and means the same everywhere."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "/".join(parts) == path and not {"..", "/"} & set(parts) and not set(path) & set("\\:\0")


def _recorded(path: Path, is_valid: Callable[[Any], bool]) -> dict[str, Any] | None:
    """The ``files`` of a manifest or journal, or None where it is damaged; a missing one records nothing."""
    content = _content(path)
    if content is None:
        return {} if not os.path.lexists(path) else None
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("files"), dict):
        return None
    files: dict[str, Any] = record["files"]
    return files if all(_is_inside(path) and is_valid(value) for path, value in files.items()) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _written_before(directory: Path) -> dict[str, set[str]]:
    """Path -> digests of the versions that infragen wrote: one, or two and more after an interruption."""
    known: dict[str, set[str]] = {}
    for path, digest in (_recorded(directory / MANIFEST, _is_text) or {}).items():
        known.setdefault(path, set()).add(digest)
    for path, digests in (_recorded(directory / _JOURNAL, _is_texts) or {}).items():
        known.setdefault(path, set()).update(digests)
    return known


def _change(path: str, old: bytes | None, new: str | None) -> Change:
    if old is not None and new is not None and old == new.encode():
        return Change(path, Kind.UNCHANGED, "")
    kind = Kind.CREATED if old is None else Kind.DELETED if new is None else Kind.CHANGED
    before = (old or b"").decode(errors="replace").splitlines(keepends=True)
    after = (new or "").splitlines(keepends=True)
    names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
    lines = difflib.unified_diff(before, after, *names)
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return Change(path, kind, "".join(ended))


# Whether it may be replaced


def _at(rule: Rule, path: Path, message: str, help: str) -> Diagnostic:
    return rule.error(message, Span(str(path), 1), help=help)


def _objections(files: FileSet, directory: Path) -> Iterator[Diagnostic]:
    """Every reason not to write, or none. A directory that is no place to write is the only reason then."""
    place = list(_about_place(directory))
    yield from place
    if place or not directory.is_dir():
        return
    broken = [
        name
        for name, is_valid in ((MANIFEST, _is_text), (_JOURNAL, _is_texts))
        if _recorded(directory / name, is_valid) is None
    ]
    for name in broken:
        help = f"restore `{name}` from version control, use the version of infragen that wrote it, or another directory"
        yield _at(DAMAGED_MANIFEST, directory / name, f"`{directory / name}` cannot be read as a manifest", help)
    if broken:
        return
    known = _written_before(directory)
    strange = sorted(path.name for path in directory.iterdir() if path.name != _STAGING)
    if strange and not known and MANIFEST not in strange and _JOURNAL not in strange:
        listed = ", ".join(f"`{name}`" for name in strange[:_SHOWN]) + (", …" if len(strange) > _SHOWN else "")
        message = f"`{directory}` holds files that infragen did not write: {listed}"
        yield _at(STRANGE_FILES, directory, message, "name a new or empty directory")
        return
    for path in sorted(files.keys() | known.keys()):
        yield from _about_file(path, files, directory, known)


def _about_place(directory: Path) -> Iterator[Diagnostic]:
    try:
        directory.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            message = "the name of the directory is longer than the file system takes"
            yield _at(NOT_A_DIRECTORY, directory, message, "name a shorter one")
            return
    existing = directory
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        message = f"`{existing}` is not a directory"
        if existing.is_symlink() and not existing.exists():
            message = f"`{existing}` links to nothing"
        yield _at(NOT_A_DIRECTORY, directory, message, "name a new or empty directory")
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield _at(NOT_WRITABLE, directory, f"`{existing}` may not be written", "change its rights, or name another")


def _about_file(path: str, files: FileSet, directory: Path, known: Mapping[str, set[str]]) -> Iterator[Diagnostic]:
    target = directory / path
    for parent in list(PurePosixPath(path).parents)[-2::-1]:
        above = directory / parent
        if os.path.lexists(above) and (above.is_symlink() or not above.is_dir()):
            yield _at(IN_THE_WAY, above, f"`{above}` is not a directory of its own", "rename or remove it")
            return
        if above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
            yield _at(NOT_WRITABLE, above, f"`{above}` may not be written", "change its rights")
            return
    if not os.path.lexists(target) or path == MANIFEST:
        return
    if target.is_symlink() or not target.is_file():
        kind = "a link" if target.is_symlink() else "not a file"
        yield _at(IN_THE_WAY, target, f"`{target}` is {kind}", "rename or remove it")
        return
    content = _content(target)
    if content is None:
        yield _at(NOT_WRITABLE, target, f"`{target}` may not be read", "change its rights")
    elif _digest(content) in known.get(path, ()) or (path in files and content == files[path].encode()):
        return
    elif path in known:
        message = f"`{target}` was changed since infragen wrote it"
        help = "move the change into the descriptor, or into a file of its own beside it; then delete the file"
        yield _at(CHANGED_BY_HAND, target, message, help)
    else:
        message = f"`{target}` was not written by infragen"
        yield _at(IN_THE_WAY, target, message, "rename it, or name another directory")


# Replacing it


def _replace(files: FileSet, directory: Path, changes: tuple[Change, ...]) -> None:
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    staging = directory / _STAGING
    staged = {
        change.path: staging / str(number)
        for number, change in enumerate(changes)
        if change.kind in (Kind.CREATED, Kind.CHANGED)
    }
    try:
        _remove_staging(staging)
        staging.mkdir()
        for path, temporary in staged.items():
            _write_synced(temporary, files[path], 0o755 if path.endswith(".sh") else 0o644)
        _put_journal(files, directory, staging / "journal")
    except OSError:
        # No file of the directory has been touched yet: leave it as it was found.
        _remove_staging(staging)
        if is_new:
            directory.rmdir()
        raise
    last = staged.pop(MANIFEST, None)
    for path, temporary in staged.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(directory / path)
    for change in changes:
        if change.kind is Kind.DELETED:
            (directory / change.path).unlink()
            _remove_empty_parents(directory, change.path)
    for parent in {(directory / path).parent for path in files}:
        _sync(parent)
    if last is not None:
        last.replace(directory / MANIFEST)
        _sync(directory)
    (directory / _JOURNAL).unlink()
    _remove_staging(staging)


def _put_journal(files: FileSet, directory: Path, temporary: Path) -> None:
    """From here on both versions of every file count as ours, whatever happens."""
    known = _written_before(directory)
    for path, digest in files.digests().items():
        if path != MANIFEST:
            known.setdefault(path, set()).add(digest)
    record = {"format": FORMAT, "files": {path: sorted(digests) for path, digests in sorted(known.items())}}
    _write_synced(temporary, json.dumps(record) + "\n", 0o644)
    temporary.replace(directory / _JOURNAL)
    _sync(directory)


def _write_synced(path: Path, text: str, mode: int) -> None:
    with path.open("wb") as stream:
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())
    path.chmod(mode)


def _sync(directory: Path) -> None:
    """Make the names in a directory durable, where the system can open one."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_staging(staging: Path) -> None:
    if staging.is_symlink() or staging.is_file():
        staging.unlink()
    elif staging.is_dir():
        shutil.rmtree(staging)


def _remove_empty_parents(directory: Path, path: str) -> None:
    for parent in list(PurePosixPath(path).parents)[:-1]:
        if any((directory / parent).iterdir()):
            return
        (directory / parent).rmdir()
