"""Ctrl-C and SIGTERM while the command `jnn` is still being imported."""

import os
import pathlib
import signal
import sys
from types import FrameType

_NAMES = ("jnn", "jnn.exe", "jnn-script.py")


def is_command() -> bool:
    """Return whether this process is the command `jnn`, or `python -m jnn`."""
    if pathlib.PurePath(sys.argv[0] if sys.argv else "").name in _NAMES:
        return True
    options = sys.orig_argv
    return "-m" in options and options[options.index("-m") + 1 :][:1] == ["jnn"]


def stop_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the process in one line, until the command handles them.

    An exception would not do: some packages catch every exception of an import, and go on.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    word = "terminated" if number == signal.SIGTERM else "interrupted"
    os.write(2, f"jnn: {word} before anything had begun.\n".encode())
    os._exit(128 + number)


if is_command():
    stop_at_once()
