"""The program: the command line in a process of its own, and an end that shells understand when its output goes nowhere."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn, TextIO

from infragen.cli import FAILED, main


def run() -> None:
    """Run `main` on the arguments of the process."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whom nobody reads on, as behind `| head`, ends without a word
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    try:
        try:
            main()
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        _end(end)
    except OSError as error:
        if error.filename is not None:
            raise
        _give_up(error)


def _end(end: SystemExit) -> NoReturn:
    """End without taking the interpreter down piece by piece, which costs a twentieth of a cold plan and frees nothing."""
    if not isinstance(end.code, int):
        raise end
    sys.stderr.flush()
    os._exit(end.code)


def _nowhere() -> TextIO:
    """In the place of a stream that the caller has closed."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _give_up(error: OSError) -> None:
    """Say why standard output takes no more, as far as there is somebody to say it to, and end."""
    from infragen.render import diagnostics as render  # noqa: PLC0415 (a run that ends well does not pay for it)
    from infragen.write import NOT_PRINTED  # noqa: PLC0415

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes once more as it ends
    help = "make room, or print elsewhere; what `--out` has written is whole"
    one = NOT_PRINTED.error(f"standard output cannot be written: {error.strerror}", help=help)
    try:
        print(render.text(one), file=sys.stderr, flush=True)
    except OSError:
        os.dup2(1, 2)
    sys.exit(FAILED)


if __name__ == "__main__":
    run()
