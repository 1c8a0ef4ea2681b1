"""Files that are whole or absent: temporary names, text, and where a path leads."""

import contextlib
import hashlib
import os
import pathlib
import secrets
import stat
import time
from collections.abc import Iterator

Path = str | os.PathLike[str]

_LONGEST = 150  # bytes of a file's name that its temporary name repeats; most systems allow 255


def expand(path: Path) -> pathlib.Path:
    """Return a path as the shell means it: a leading `~` is the home directory.

    Raises:
        ValueError: If the home directory is unknown.
    """
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"The home directory of {os.fspath(path)!r} is unknown. Write the whole path."
        ) from error


def as_folder(path: Path, name: str = "directory") -> pathlib.Path:
    """Return a path that is a folder, or that can become one.

    Args:
        path: The path; a leading `~` is the home directory.
        name: Of the argument, for the error.

    Raises:
        ValueError: If the path, or a part of it, is a file.
    """
    folder = expand(path)
    for place in (folder, *folder.parents):
        if place.is_dir():
            break
        if os.path.lexists(place):
            kind = "a file" if place.exists() else "a link to nothing"
            raise ValueError(f"{name} must be a folder, but {place} is {kind}. Choose another.")
    return folder


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[pathlib.Path]:
    """Yield a temporary path, which is renamed to `path` when the block ends without an error.

    The temporary file is flushed to the disk before it is renamed, so that a process that is
    killed, or a machine that loses power, leaves the former file or the new one, never a part of
    either. If the block raises, the temporary file is removed. Each call has a temporary file of
    its own, so that of two processes that write the same file the later one prevails.

    A link stays a link: the file that it leads to is written. What is no regular file, such as a
    device or a pipe, cannot be replaced and is yielded itself. A file that exists keeps its mode.

    Args:
        path: Where the complete file belongs; a leading `~` is the home directory.

    >>> import tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> with atomic_path(target) as partial:
    ...     count = partial.write_text("x,y")
    >>> target.read_text()
    'x,y'
    """
    path = expand(path)
    if path.exists() and not path.is_file():  # before links are followed: some lead to no name
        yield path
        return
    path = pathlib.Path(os.path.realpath(path))
    partial = path.with_name(f"{secrets.token_hex(4)}.{_end_of(path.name)}.partial")
    try:
        partial.touch(exist_ok=False)
        mode = stat.S_IMODE((path if path.exists() else partial).stat().st_mode)
        yield partial
        partial.chmod(mode)  # some writers make files that only their owner can read
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partial_files(folder: Path, *, age: float = 0) -> None:
    """Remove the temporary files that killed processes have left in a folder.

    Args:
        folder: The folder.
        age: Seconds since a file was last written to; more than 0 where others may write just now.
    """
    for path in pathlib.Path(folder).glob("[0-9a-f]" * 8 + ".*.partial"):
        with contextlib.suppress(FileNotFoundError):  # others may be quicker
            if time.time() - path.stat().st_mtime >= age:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 under a temporary name, then rename it."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, which is read piece by piece."""
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _end_of(name: str) -> str:
    """Return the end of a file's name, which keeps its suffix and is short enough to be longer."""
    return os.fsdecode(os.fsencode(name)[-_LONGEST:])
