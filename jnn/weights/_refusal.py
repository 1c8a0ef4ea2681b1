"""The errors for files of weights that cannot be read: one sentence, whatever a reader met."""

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from jnn._errors import reason_of
from jnn.storage import DamagedFileError, damaged
from jnn.weights._mapped import Path

# What readers of damaged files raise. Memory is here as a size that nobody has is a wrong size.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_SAVE_PLAIN = "Save plain tensors of numbers in it."
_LONGEST = 100  # characters of a name in a sentence
_LONGEST_REASON = 200  # characters of what a library says of a file
_MOST = 30  # names in a sentence


class UnknownContent(ValueError):
    """A file is whole, but holds something that jnn does not read."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into the ValueError for damaged files."""
    try:
        yield
    except DamagedFileError:
        raise
    except UnknownContent as error:
        raise refusal(path, f"holds what jnn does not read: {error}", _SAVE_PLAIN) from error
    except _FAULTS as error:
        missing = isinstance(error, FileNotFoundError)
        raise damaged(path, error if missing else reason_of(error)[:_LONGEST_REASON]) from error


def refusal(path: Path, fault: str, remedy: str | None = None) -> DamagedFileError:
    """Return the error for a file: "The file PATH holds no tensors. Write it again."."""
    if remedy is None:
        return DamagedFileError(path, fault)
    return DamagedFileError(path, fault, remedy)


def shown(name: object) -> str:
    """Return a name from a file on one line, in quotes, and not too long.

    >>> shown("conv1.weight"), len(shown("a" * 1000))
    ("'conv1.weight'", 100)
    """
    text = repr(name)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 4]}...{text[-1]}"


def listed(names: Iterable[object], most: int = _MOST) -> str:
    """Return sorted names as a list in a sentence; of very many the first ones and their count.

    >>> listed(["b", "a"])
    "['a', 'b']"
    """
    texts = sorted(map(shown, names))
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"[{', '.join(texts[:most])}]{more}"
