"""Files that are whole or absent: temporary names, text, JSON, and an error for damage."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from jnn._errors import reason_of


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield a temporary path, which is renamed to `path` when the block ends without an error.

    The temporary file is flushed to the disk before it is renamed, so that a process that is
    killed, or a machine that loses power, leaves the former file or the new one, never a part of
    either. If the block raises, the temporary file is removed.

    Args:
        path: Where the complete file belongs.

    >>> import tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> with atomic_path(target) as partial:
    ...     count = partial.write_text("x,y")
    >>> target.read_text()
    'x,y'
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    with atomic_path(path) as partial:
        partial.write_text(text)


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        return json.loads(pathlib.Path(path).read_text())
    except ValueError as error:
        raise damaged(path, error) from error


def damaged(path: str | os.PathLike[str], error: Exception) -> ValueError:
    """Return the error for a file that cannot be read, with the reason that its reader gave."""
    return ValueError(
        f"The file {path} is damaged and cannot be read ({reason_of(error)}). Remove it."
    )
