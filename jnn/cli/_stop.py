"""Commands that are stopped: by Ctrl-C, by SIGTERM, or by a reader that has left."""

import contextlib
import pathlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from jnn.cli._words import sentence_of


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


def raise_when_stopped() -> None:
    """Let Ctrl-C and SIGTERM raise, so that files are tidied up and one line is printed.

    Until then they end a process that is the command at once; see `jnn._startup`.
    """
    if threading.current_thread() is threading.main_thread():  # others cannot set signals
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _raise_terminated)


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextlib.contextmanager
def told_how_to_continue(folder: pathlib.Path) -> Iterator[None]:
    """Add to an interruption, or a failed file, how the run in a folder is continued."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if (folder / "command.json").exists():
            stop.add_note(f"`jnn resume {folder}` continues the run.")
        else:
            stop.add_note("Training had not begun, and nothing was saved.")
        raise
    except OSError as error:  # such as a full disk
        if not (folder / "command.json").exists():
            raise
        raise OSError(
            f"{sentence_of(error)} When the cause is mended, `jnn resume {folder}` continues the "
            "run."
        ) from error


def line_and_code(stop: KeyboardInterrupt) -> tuple[str, int]:
    """Return the line to print for an interruption, and the exit code."""
    word = "terminated" if isinstance(stop, Terminated) else "interrupted"
    line = " ".join([f"jnn: {word}.", *getattr(stop, "__notes__", [])])
    return line, 143 if isinstance(stop, Terminated) else 130
