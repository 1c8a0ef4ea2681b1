"""The errors for files that cannot be read: damaged, absent, or of a newer version."""

import contextlib
import os
import re
from collections.abc import Iterator

from jnn._errors import reason_of
from jnn._version import __version__

_REMEDY = "Write it again, or take a copy of it."


class DamagedFileError(ValueError):
    """A file does not hold what jnn wrote.

    Attributes:
        path: The file.
        fault: What is wrong, as the words that follow the file's name.
        remedy: What to do.
    """

    def __init__(self, path: str | os.PathLike[str], fault: str, remedy: str = _REMEDY) -> None:
        self.path = path
        self.fault = fault
        self.remedy = remedy
        super().__init__(path, fault, remedy)

    def __str__(self) -> str:
        return f"The file {os.fspath(self.path)} {self.fault}. {self.remedy}"


def damaged(path: str | os.PathLike[str], reason: BaseException | str) -> DamagedFileError:
    """Return the error for a file that cannot be read, with the reason that its reader gave."""
    if isinstance(reason, FileNotFoundError):
        return DamagedFileError(path, "is missing")
    words = reason if isinstance(reason, str) else reason_of(reason).rstrip(".")
    return DamagedFileError(path, f"is damaged ({words})")


@contextlib.contextmanager
def with_remedy(remedy: str) -> Iterator[None]:
    """Say in the error for a damaged file what helps in this place."""
    try:
        yield
    except DamagedFileError as error:
        raise DamagedFileError(error.path, error.fault, remedy) from error


def check_version(path: str | os.PathLike[str], written_by: object) -> None:
    """Raise ValueError if a file was written by a newer version of jnn than this one."""
    if isinstance(written_by, str) and _numbers(written_by) > _numbers(__version__):
        raise ValueError(
            f"The file {os.fspath(path)} was written by jnn {written_by}, but this is jnn "
            f"{__version__}. Update it: pip install --upgrade jnn-jax."
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
