"""Files that somebody handed over: only what has an end, and no more of it than is wanted.

A device, a socket or a named pipe may never end, or never begin; what is opened is a regular file, or what the shell opened
for this run: standard input and `<(...)`.
"""

import errno
import stat
from pathlib import Path

_OPENED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def content(path: Path | str, limit_bytes: int) -> bytes:
    """What the file holds; of a larger one the first ``limit_bytes`` and one byte more.

    Raises OSError, with a ``strerror`` that completes "cannot be read: ...", and ValueError for a NUL in the name.
    """
    if path == "":
        raise OSError(errno.EINVAL, "its name is empty, like a variable that is not set", path)
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    if not stat.S_ISREG(mode) and not str(path).startswith(_OPENED):
        raise OSError(errno.EINVAL, f"it is {_kind(mode)}, not a regular file", str(path))
    with Path(path).open("rb") as stream:
        return stream.read(limit_bytes + 1)


def text(path: Path | str, limit_bytes: int) -> str:
    """The same as text in UTF-8, without a byte order mark. Raises OSError as above, for other content too."""
    found = content(path, limit_bytes)
    if len(found) > limit_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {limit_bytes // 2**20} MiB", str(path))
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise OSError(errno.EILSEQ, f"line {line} is not text in UTF-8", str(path)) from None


def why(error: OSError | ValueError) -> str:
    """What completes "cannot be read: ..."."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
