"""Tables in CSV files, whole to train on and in pieces to predict, both read by the same rules."""

import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Collection, Hashable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from jnn.data._check import repeated

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")  # what pandas reads by the end of a name


def uncompressed(path: str | PathLike[str]) -> Path:
    """The path without the suffix of a compression: table.csv.gz -> table.csv."""
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path


def separator_of(path: str | PathLike[str]) -> str:
    """What stands between the columns of a file, by its name: a tab in .tsv, else a comma."""
    return "\t" if uncompressed(path).suffix.lower() == ".tsv" else ","


def _between(path: str | PathLike[str], separator: str | None) -> str:
    """The separator that was given, where a shell may have written a tab as \\t, or that of the name."""
    separator = "\t" if separator == r"\t" else separator or separator_of(path)
    if len(separator) != 1:
        raise ValueError(f"wanted one character between the columns, got {separator!r}: use e.g. ';'")
    return separator


def read_header(path: str | PathLike[str], separator: str | None = None) -> list[str]:
    """The names of the columns of a CSV file.

    Raises FileNotFoundError where there is no file, ValueError where it is no table, where a name comes twice and
    where the first row has more values than there are names.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"wanted a CSV file, got {str(path)!r}, which is no file: check the path")
    # As two rows of text: pandas would rename a column that comes again, and take what is too much as names of rows.
    with _as_one_sentence(path):
        rows = pd.read_csv(path, sep=_between(path, separator), header=None, nrows=2, dtype=str, keep_default_na=False)
    names = [name or f"Unnamed: {i}" for i, name in enumerate(rows.iloc[0])]  # as pandas calls them
    if twice := repeated(names):
        raise ValueError(f"wanted columns of different names, got {twice} more than once in {path}: rename them")
    return names


def read_csv(path: str | PathLike[str], separator: str | None = None, *, text: Collection[str] = ()) -> "pd.DataFrame":
    """The table in a CSV file.

    Args:
        path: A file with a header line; .gz and the like are unpacked as they are read.
        separator: By default that of `separator_of`.
        text: Columns that stay as they are written: "01" and "true", say, which are else a number and a bool.

    Raises ValueError, in one sentence, where it cannot be read, and whatever `read_header` raises.
    """
    import pandas as pd

    types = _types(path, separator, text)
    with _as_one_sentence(path):
        return pd.read_csv(path, sep=_between(path, separator), dtype=types, low_memory=False)


def read_pieces(
    path: str | PathLike[str], rows: int, separator: str | None = None, *, text: Collection[str] = ()
) -> "Iterator[pd.DataFrame]":
    """The table of `read_csv` in pieces of so many rows; one without rows where there is a header only."""
    import pandas as pd

    types, separator = _types(path, separator, text), _between(path, separator)
    with (
        _as_one_sentence(path),
        pd.read_csv(path, sep=separator, dtype=types, low_memory=False, chunksize=rows) as reader,
    ):
        yield from reader


def _types(path: str | PathLike[str], separator: str | None, text: Collection[str]) -> dict[Hashable, type]:
    """Of the columns that are not to be inferred, once the header has been found right."""
    return {name: str for name in read_header(path, separator) if name in text}


@contextlib.contextmanager
def _as_one_sentence(path: str | PathLike[str]) -> Iterator[None]:
    import pandas as pd

    damaged = (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, *damaged) as error:
        reason = str(error).strip()
        raise ValueError(f"wanted a CSV table in UTF-8 with a header line, got {str(path)!r}: {reason}") from error
