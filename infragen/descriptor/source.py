"""What the user handed over: the descriptor, its overlays and settings, as bytes in memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from infragen import inputs
from infragen.descriptor import rules
from infragen.diagnostics import Diagnostics, Span

MAX_BYTES = 2**20  # of one file, D002


class File(Struct, frozen=True):
    """A file under the name that the user gave, and what it holds."""

    name: str
    content: bytes


def _nothing_beside(name: str) -> bytes:
    raise FileNotFoundError(name)


class Source(Struct, frozen=True):
    """A descriptor, the ``--env`` files over it and the ``--set`` texts over those, each in the order given.

    ``beside`` gives the content of a file that the descriptor names, relative to itself (at most one byte beyond
    `MAX_BYTES`); it raises OSError or ValueError. It is the only door to the disk, and tests put their own in it.
    """

    descriptor: File
    overlays: tuple[File, ...] = ()
    settings: tuple[str, ...] = ()
    beside: Callable[[str], bytes] = _nothing_beside


def read(descriptor: str, diags: Diagnostics, overlays: Sequence[str] = (), settings: Sequence[str] = ()) -> Source:
    """The source with the files' content: the only place of the descriptor stage that reads the disk.

    At most one byte beyond `MAX_BYTES` of a file is read. Raises CompileError for a file that cannot be opened.
    """
    files = [_file(name, diags) for name in (descriptor, *overlays)]
    diags.raise_if_errors()
    return Source(files[0], tuple(files[1:]), tuple(settings), _beside(Path(descriptor).parent))


def _beside(folder: Path) -> Callable[[str], bytes]:
    """Reads files by paths that are relative to ``folder``."""

    def content(name: str) -> bytes:
        return inputs.content(folder / name, MAX_BYTES)

    return content


def _file(name: str, diags: Diagnostics) -> File:
    path, problem, beside = Path(name), "", []
    try:
        return File(name, inputs.content(name, MAX_BYTES))
    except FileNotFoundError:
        problem = "does not exist"
        beside = sorted(other.name for other in path.parent.glob("*.y*ml"))
    except IsADirectoryError:
        problem = "is a directory"
        beside = []
    except PermissionError:
        problem = "may not be read"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = f"cannot be read: {inputs.why(error)}"
    diags.add(rules.unreadable_file(Span(name, 1), name, problem, beside))
    return File(name, b"")
