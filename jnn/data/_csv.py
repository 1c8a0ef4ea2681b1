"""Tables in CSV files, whole to train on and in pieces to predict, both read by the same rules."""

import contextlib
import lzma
import zipfile
import zlib
from collections.abc import Collection, Hashable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._errors import reason_of
from jnn.data._check import repeated

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")  # what pandas reads by the end of a name
_LINES = 1 << 16  # that are looked at together


def uncompressed(path: str | PathLike[str]) -> Path:
    """The path without the suffix of a compression: table.csv.gz -> table.csv."""
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path


def read_bytes(path: str | PathLike[str]) -> bytes:
    """What is in a file, unpacked as a table would be."""
    from pandas.io.common import get_handle

    with get_handle(path, "rb", compression="infer", is_text=False) as opened:
        return opened.handle.read()


def separator_of(path: str | PathLike[str]) -> str:
    """What stands between the columns of a file, by its name: a tab in .tsv, else a comma."""
    return "\t" if uncompressed(path).suffix.lower() == ".tsv" else ","


def _between(path: str | PathLike[str], separator: str | None) -> str:
    """The separator that was given, where a shell may have written a tab as \\t, or that of the name."""
    separator = "\t" if separator == r"\t" else separator or separator_of(path)
    if len(separator) != 1:
        raise ValueError(
            f"wanted one character between the columns, got {separator!r}: use e.g. ';'"
        )
    return separator


def read_header(path: str | PathLike[str], separator: str | None = None) -> list[str]:
    """The names of the columns of a CSV file.

    Raises FileNotFoundError where there is no file, ValueError where it is no table, where a name comes twice and
    where the first row has more values than there are names.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"wanted a CSV file, got {str(path)!r}, which is no file: check the path"
        )
    # As two rows of text: pandas would rename a column that comes again, and take what is too much as names of rows.
    with as_one_sentence(path):
        rows = pd.read_csv(
            path,
            sep=_between(path, separator),
            header=None,
            nrows=2,
            dtype=str,
            keep_default_na=False,
        )
    names = [name or f"Unnamed: {i}" for i, name in enumerate(rows.iloc[0])]  # as pandas calls them
    if twice := repeated(names):
        raise ValueError(
            f"wanted columns of different names, got {twice} more than once in {path}: rename them"
        )
    return names


def read_csv(
    path: str | PathLike[str], separator: str | None = None, *, text: Collection[str] = ()
) -> "pd.DataFrame":
    """The table in a CSV file.

    Args:
        path: A file with a header line; .gz and the like are unpacked as they are read.
        separator: By default that of `separator_of`.
        text: Columns that stay as they are written: "01" and "true", say, which are else a number and a bool.

    Raises ValueError, in one sentence, where it cannot be read, and whatever `read_header` raises.
    """
    import pandas as pd

    types = _types(path, separator, text)
    with as_one_sentence(path):
        return pd.read_csv(path, sep=_between(path, separator), dtype=types, low_memory=False)


def read_pieces(
    path: str | PathLike[str],
    rows: int,
    separator: str | None = None,
    *,
    text: Collection[str] = (),
) -> "Iterator[pd.DataFrame]":
    """The table of `read_csv` in pieces of so many rows; one without rows where there is a header only."""
    import pandas as pd

    types, separator = _types(path, separator, text), _between(path, separator)
    with (
        as_one_sentence(path),
        pd.read_csv(path, sep=separator, dtype=types, low_memory=False, chunksize=rows) as reader,
    ):
        yield from reader


@contextlib.contextmanager
def as_one_sentence(
    path: str | PathLike[str], wanted: str = "a CSV table in UTF-8 with a header line"
) -> Iterator[None]:
    """What a damaged file, or one that nothing here unpacks, makes its reader raise, as a ValueError."""
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
        raise ValueError(f"wanted {wanted}, got {str(path)!r}: {reason_of(error)}") from error


def _types(
    path: str | PathLike[str], separator: str | None, text: Collection[str]
) -> dict[Hashable, type]:
    """Of the columns that are not to be inferred, once the header and the lines have been found right."""
    names = read_header(path, separator)
    if len(names) == 1:
        _check_lines(path, _between(path, separator))
    return {name: str for name in names if name in text}


def _check_lines(path: str | PathLike[str], separator: str) -> None:
    """No empty line stands among the values of a single column: pandas would pass over it, and move those below up.

    So the table with its empty lines must begin as the one without them.
    """
    import pandas as pd

    options: dict[str, Any] = {
        "sep": separator,
        "header": None,
        "dtype": str,
        "na_filter": False,
        "chunksize": _LINES,
    }
    with (
        as_one_sentence(path),
        pd.read_csv(path, skip_blank_lines=False, **options) as lines,
        pd.read_csv(path, **options) as rows,
    ):
        for every, filled in zip(lines, rows, strict=False):
            differs = (every.to_numpy()[: len(filled)] != filled.to_numpy()).any(axis=1)
            if differs.any():
                raise ValueError(
                    f"wanted a value in each row, got an empty line in row {every.index[0] + int(np.argmax(differs))} "
                    f"of {path} (row 1 follows the header): fill it, or take the line out"
                )
