"""Tables in CSV files, whole to train on and in pieces to predict, both read by the same rules."""

import contextlib
import lzma
import zipfile
import zlib
from collections.abc import Collection, Hashable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jnn._errors import reason_of
from jnn.data._check import repeated

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")  # what pandas reads by the end of a name
_LINES = 1 << 16  # number of lines that are searched for empty ones at a time


def uncompressed(path: str | PathLike[str]) -> Path:
    """Return the path without the suffix of a compression: table.csv.gz -> table.csv."""
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Read the content of a file, decompressed as a table would be."""
    from pandas.io.common import get_handle

    with get_handle(path, "rb", compression="infer", is_text=False) as file:
        return file.handle.read()


def read_header(path: str | PathLike[str], separator: str | None = None) -> list[str]:
    """Read the names of the columns of a CSV file.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is no table, a name occurs twice, or the first row has more values than
            there are names.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The CSV file must exist, got {str(path)!r}. Check the path.")
    # As rows of text: else pandas renames a repeated column, and takes surplus values as an index.
    with as_one_sentence(path):
        rows = pd.read_csv(
            path,
            sep=_separator(path, separator),
            header=None,
            nrows=2,
            dtype=str,
            keep_default_na=False,
        )
    names = [name or f"Unnamed: {i}" for i, name in enumerate(rows.iloc[0])]  # as pandas calls them
    duplicates = repeated(names)
    if duplicates:
        raise ValueError(
            f"Columns must have different names, got {duplicates} more than once in {path}. Rename "
            "them."
        )
    return names


def read_csv(
    path: str | PathLike[str], separator: str | None = None, *, text: Collection[str] = ()
) -> "pd.DataFrame":
    """Read the table in a CSV file.

    Args:
        path: A file with a header line; compressed ones are decompressed as they are read.
        separator: Separator of the columns; by default a tab in .tsv, else a comma.
        text: Names of columns that stay as they are written: "01" and "true" are otherwise read as
            a number and a bool.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the file cannot be read as a table.
    """
    import pandas as pd

    types = _column_types(path, separator, text)
    with as_one_sentence(path):
        return pd.read_csv(path, sep=_separator(path, separator), dtype=types, low_memory=False)


def read_pieces(
    path: str | PathLike[str],
    rows: int,
    separator: str | None = None,
    *,
    text: Collection[str] = (),
) -> "Iterator[pd.DataFrame]":
    """Yield the table of `read_csv` in pieces of `rows` rows; at least one, perhaps empty."""
    import pandas as pd

    types = _column_types(path, separator, text)
    separator = _separator(path, separator)
    with (
        as_one_sentence(path),
        pd.read_csv(path, sep=separator, dtype=types, low_memory=False, chunksize=rows) as reader,
    ):
        yield from reader


@contextlib.contextmanager
def as_one_sentence(
    path: str | PathLike[str], form: str = "a CSV table in UTF-8 with a header line"
) -> Iterator[None]:
    """Turn what a reader raises for a damaged file into a ValueError of one sentence."""
    import pandas as pd

    damaged = (
        OSError,
        EOFError,
        UnicodeDecodeError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
    )
    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ImportError, *damaged) as error:
        raise ValueError(
            f"The file must be {form}, got {str(path)!r}: {reason_of(error)}"
        ) from error


def _separator(path: str | PathLike[str], separator: str | None) -> str:
    """Return the given separator, or that of the file's name: a tab in .tsv, else a comma."""
    if not separator:
        return "\t" if uncompressed(path).suffix.lower() == ".tsv" else ","
    if separator == r"\t":  # as a shell may write a tab
        return "\t"
    if len(separator) != 1:
        raise ValueError(
            f"separator must be one character, got {separator!r}. Use ';', for example."
        )
    return separator


def _column_types(
    path: str | PathLike[str], separator: str | None, text: Collection[str]
) -> dict[Hashable, type]:
    """Check header and lines, and return the types of the columns that pandas must not infer."""
    names = read_header(path, separator)
    if len(names) == 1:
        _check_lines(path, _separator(path, separator))
    return {name: str for name in names if name in text}


def _check_lines(path: str | PathLike[str], separator: str) -> None:
    """Raise if an empty line stands among the values of a single column.

    pandas would skip it and so move the rows below it up. Empty lines at the end are no rows.
    """
    import pandas as pd

    last_value = -1  # line of the last value; the first value is the header
    header = -1
    with (
        as_one_sentence(path),
        pd.read_csv(
            path,
            sep=separator,
            header=None,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            chunksize=_LINES,
        ) as lines,
    ):
        for piece in lines:
            values = piece.index.to_numpy()[(piece[0].str.strip() != "").to_numpy()]
            if header < 0 and values.size:
                header = int(values[0])
                last_value = header
            gaps = np.flatnonzero(np.diff(values, prepend=last_value) > 1)
            if gaps.size:
                before = values[gaps[0] - 1] if gaps[0] else last_value
                raise ValueError(
                    f"Every row must have a value, got an empty line in row {before + 1 - header} "
                    f"of {path} (row 1 follows the header). Fill it, or take the line out."
                )
            if values.size:
                last_value = int(values[-1])
