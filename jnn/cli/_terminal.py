"""What is printed, on terminals and in files of any encoding and width."""

import codecs
import contextlib
import io
import os
import pathlib
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console

from jnn.storage import atomic_path

STANDARD_OUTPUT = pathlib.Path("-")
_HANDLER = "jnn.plain"
_WIDTH = 120  # columns of what is no terminal
_PLAIN = {"\u00b1": "+-", "\u2026": "...", "\u2013": "-", "\u2014": "-", "\u00d7": "x"}


def prepare_streams() -> None:
    """Let standard output and error take every character, whatever their encoding.

    What they cannot write becomes plain ASCII: "+-" for "±", "a" for "á", and an escape for what
    has no likeness.
    """
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def make_console(*, to_error: bool = False) -> Console:
    """Return a console on standard output, or error, as wide as the terminal."""
    console = Console(stderr=to_error)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=to_error, width=_WIDTH)
    return console


def print_text(console: Console, text: str) -> None:
    """Print a text as it is: without wrapping, colors, or styles for what is in brackets."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def is_standard_output(path: pathlib.Path) -> bool:
    """Return whether a path is standard output: `-`, or such as /dev/stdout the same file."""
    if path == STANDARD_OUTPUT:
        return True
    with contextlib.suppress(OSError, ValueError):  # some streams are no files
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


def check_output(path: pathlib.Path) -> None:
    """Raise ValueError unless a path is a file, or may become one, in a folder that exists."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(
            f"--out must be a file in an existing folder, got {path}. Choose another file, or "
            "create the folder."
        )


@contextlib.contextmanager
def open_output(path: pathlib.Path) -> Iterator[TextIO]:
    """Open a file of data for writing in UTF-8, which appears only when it is complete.

    Standard output is written in UTF-8 too, so that no name in the data becomes another one.
    """
    if not is_standard_output(path):
        with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            yield file
        return
    sys.stdout.flush()
    file = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        yield file
        file.flush()
    finally:
        file.detach()


def leave_output() -> None:
    """Give up standard output, which nobody reads any more, so that no later flush fails."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return characters that cannot be written as ASCII, and where encoding goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain_character, text)), error.end


def _plain_character(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if "\u2500" <= character <= "\u257f":  # lines of boxes
        return {"─": "-", "━": "-", "│": "|", "┃": "|"}.get(character, "+")
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()
