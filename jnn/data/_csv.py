"""Tables in files, whole to train on and in pieces to predict, both read by the same rules."""

import contextlib
import lzma
import zipfile
import zlib
from collections.abc import Collection, Hashable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn._errors import reason_of
from jnn.data._check import repeated
from jnn.data._columns import clean_name
from jnn.data._missing import WRITTEN_MISSING
from jnn.data._table_form import TableForm, open_binary, told_by_file, uncompressed
from jnn.data._table_lines import check_header, check_quotes
from jnn.data._thousands import not_grouped

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableForm", "uncompressed"]

_LINES = 1 << 16  # number of lines that are searched for empty ones at a time
_READERS = {  # readers of other files than text: function of pandas, package, extra of jnn
    ".parquet": ("read_parquet", "pyarrow", "parquet"),
    ".xlsx": ("read_excel", "openpyxl", "excel"),
}


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Read the content of a file, decompressed as a table would be."""
    with open_binary(path) as file:
        return file.handle.read()  # type: ignore[return-value]


def is_binary_table(path: str | PathLike[str]) -> bool:
    """Return whether a file is a table that is not text, by its name."""
    return Path(path).suffix.lower() in _READERS


def read_header(path: str | PathLike[str], form: TableForm | str | None = None) -> list[str]:
    """Read the names of the columns of a table's file.

    Args:
        path: A file as in `read_csv`.
        form: How it is written, or its separator alone.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is no table, a name occurs twice, the first row has more values than
            there are names, or the names look like a row.
    """
    if is_binary_table(path):
        return list(map(clean_name, _read_binary(path).columns))
    return _layout_of(path, form).names


def read_csv(
    path: str | PathLike[str],
    form: TableForm | str | None = None,
    *,
    text: Collection[str] = (),
) -> "pd.DataFrame":
    """Read the table in a file.

    Args:
        path: A file of text with a header line, which may be compressed, or a file of the type
            .parquet or .xlsx.
        form: How it is written, or its separator alone; see `TableForm`.
        text: Names of columns that stay as they are written: "01" and "true" are otherwise read as
            a number and a bool, and "NA" as a missing value.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If the package that reads the file is not installed.
        ValueError: If the file cannot be read as a table.
    """
    if is_binary_table(path):
        return _named(_read_binary(path))
    import pandas as pd

    layout = _layout_of(path, form)
    with _as_table(path, layout.form):
        text = {*text, *_like_dates(path, layout)}
        return _named(pd.read_csv(path, **layout.options(text)), layout.names)


def read_pieces(
    path: str | PathLike[str],
    rows: int,
    form: TableForm | str | None = None,
    *,
    text: Collection[str] = (),
) -> "Iterator[pd.DataFrame]":
    """Yield the table of `read_csv` in pieces of `rows` rows; at least one, perhaps empty."""
    if is_binary_table(path):
        frame = _named(_read_binary(path))
        for start in range(0, max(1, len(frame)), rows):
            yield frame.iloc[start : start + rows]
        return
    import pandas as pd

    layout = _layout_of(path, form)
    with _as_table(path, layout.form):
        text = {*text, *_like_dates(path, layout)}
        options: Any = {"chunksize": rows, **layout.options(text)}
        with pd.read_csv(path, **options) as reader:
            for piece in reader:
                yield _named(piece, layout.names)


@contextlib.contextmanager
def as_one_sentence(
    path: str | PathLike[str], form: str = "a CSV table in UTF-8 with a header line"
) -> Iterator[None]:
    """Turn what a reader raises for a damaged file into a ValueError of one sentence."""
    import pandas as pd

    damaged = (
        OSError,
        EOFError,
        UnicodeError,
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


class _Layout(NamedTuple):
    """What is known of a file before its rows are read.

    Attributes:
        form: How it is written; its encoding and separator are known.
        names: Names of the columns.
        keys: What pandas calls them.
        has_blanks: Whether a blank stands behind each separator.
    """

    form: TableForm
    names: list[str]
    keys: list[Hashable]
    has_blanks: bool

    def plain_options(self) -> dict[str, Any]:
        """Return the arguments of `pandas.read_csv` for values as they are written."""
        header = None if self.form.header is False else 0
        return {"header": header, **_options(self.form, self.has_blanks)}

    def options(self, text: Collection[str]) -> dict[str, Any]:
        """Return the arguments of `pandas.read_csv`."""
        as_written = [key for key, name in zip(self.keys, self.names, strict=True) if name in text]
        options = self.plain_options()
        options["thousands"] = self.form.thousands
        options["low_memory"] = False
        if as_written:
            options["dtype"] = dict.fromkeys(as_written, str)
            options["keep_default_na"] = False
            options["na_values"] = {
                key: [""] if key in as_written else sorted(WRITTEN_MISSING) for key in self.keys
            }
        return options


def _like_dates(path: str | PathLike[str], layout: _Layout) -> set[str]:
    """Return the columns that pandas would read as numbers without their thousands separators."""
    import pandas as pd

    thousands = layout.form.thousands
    if thousands is None:
        return set()
    options: Any = {"dtype": str, "chunksize": _LINES, **layout.plain_options()}
    with pd.read_csv(path, **options) as pieces:
        named = (_named(piece, layout.names) for piece in pieces)
        return not_grouped(named, thousands, layout.form.decimal)


def _layout_of(path: str | PathLike[str], form: TableForm | str | None) -> _Layout:
    """Check the lines of a file, and return what they tell."""
    import pandas as pd

    if not isinstance(form, TableForm):
        form = TableForm(form)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The CSV file must exist, got {str(path)!r}. Check the path.")
    with _as_table(path, form):
        form = told_by_file(path, form)
        check_quotes(path, form)
        if form.header is None:
            check_header(path, form)
        options = _options(form, has_blanks=False)
        # As rows of text: else pandas renames a repeated column, and takes surplus values as an
        # index.
        rows = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False, **options)
    values = rows.to_numpy(str)
    has_blanks = values.shape[1] > 1 and all(value[:1] == " " for value in values[:, 1:].flat)
    if form.header is False:
        keys: list[Hashable] = list(range(rows.shape[1]))
        names = list(map(str, keys))
    else:
        keys = [name or f"Unnamed: {i}" for i, name in enumerate(values[0])]  # as pandas
        if has_blanks:
            keys = [str(key).lstrip() or f"Unnamed: {i}" for i, key in enumerate(keys)]
        names = [clean_name(key) or f"Unnamed: {i}" for i, key in enumerate(keys)]
        _check_different(path, names, form)
    if len(names) == 1:
        _check_lines(path, form)
    return _Layout(form, names, keys, has_blanks)


def _check_different(path: Path, names: list[str], form: TableForm) -> None:
    duplicates = repeated(names)
    if duplicates:
        hint = ", or pass header=False if line 1 is a row" if form.header is None else ""
        raise ValueError(
            f"Columns must have different names, got {duplicates} more than once in {path}. Rename "
            f"them{hint}."
        )


def _options(form: TableForm, has_blanks: bool) -> dict[str, Any]:
    quote = form.quote_character
    return {
        "sep": form.separator,
        "encoding": form.encoding,
        "decimal": form.decimal,
        "skipinitialspace": has_blanks,
        **({"quoting": 3} if quote is None else {"quotechar": quote}),
    }


def _named(frame: "pd.DataFrame", names: list[str] | None = None) -> "pd.DataFrame":
    frame.columns = list(map(clean_name, frame.columns)) if names is None else names
    return frame


def _read_binary(path: str | PathLike[str]) -> "pd.DataFrame":
    import pandas as pd

    reader, package, extra = _READERS[Path(path).suffix.lower()]
    if not Path(path).is_file():
        raise FileNotFoundError(f"The table must exist, got {str(path)!r}. Check the path.")
    try:
        return getattr(pd, reader)(path, engine=package)
    except ImportError as error:
        raise ImportError(
            f"{path} needs {package}, which is not installed. Install it with: pip install "
            f"'jnn-jax[{extra}]', or save the table as a CSV file."
        ) from error
    except Exception as error:  # these packages raise errors of many types of their own
        raise ValueError(
            f"The file must be a table of type {Path(path).suffix}, got {str(path)!r}: "
            f"{reason_of(error)}"
        ) from error


@contextlib.contextmanager
def _as_table(path: str | PathLike[str], form: TableForm) -> Iterator[None]:
    """Turn what is raised for a damaged table into a ValueError that names the option to use."""
    encoding = "UTF-8" if form.encoding in (None, "utf-8") else form.encoding
    try:
        with as_one_sentence(path, f"a CSV table in {encoding} with a header line"):
            yield
    except ValueError as error:
        hint = _hint(error.__cause__, form)
        if not hint:
            raise
        raise ValueError(f"{error}. {hint}") from error.__cause__


def _hint(cause: BaseException | None, form: TableForm) -> str:
    """Return what helps against an error while a table is read; empty if nothing is known."""
    if isinstance(cause, UnicodeError) and "BOM" in str(cause):
        return "Pass encoding='utf-16-le' or encoding='utf-16-be', which need no mark."
    if isinstance(cause, UnicodeError):
        other = "cp1252" if form.encoding != "cp1252" else "utf-8"
        return f"Pass the encoding that it was written in, such as encoding={other!r}."
    if "EOF inside string" in str(cause):
        return "Remove the quote that is never closed, or pass quote='none'."
    if "Expected" in str(cause) and "saw" in str(cause):
        return (
            "Every line must have as many values as line 1: correct or remove those that have not, "
            "or pass the separator, such as separator=';'."
        )
    return ""


def _text_of_lines(path: str | PathLike[str], form: TableForm) -> Any:
    """Return the lines of a file in pieces of pandas, as text, with those that are empty."""
    import pandas as pd

    options: Any = {"dtype": str, "na_filter": False, "skip_blank_lines": False}
    options |= _options(form, has_blanks=False)
    return pd.read_csv(path, header=None, chunksize=_LINES, **options)


def _check_lines(path: str | PathLike[str], form: TableForm) -> None:
    """Raise if an empty line stands among the values of a single column.

    pandas would skip it and so move the rows below it up. Empty lines at the end are no rows.
    """
    last_value = -1  # line of the last value; the first value is the header
    header = -1  # line of the header
    is_known = form.header is False
    with _as_table(path, form), _text_of_lines(path, form) as lines:
        for piece in lines:
            values = piece.index.to_numpy()[(piece[0].str.strip() != "").to_numpy()]
            if values.size and not is_known:
                header = int(values[0])
                last_value = header
                is_known = True
            gaps = np.flatnonzero(np.diff(values, prepend=last_value) > 1)
            if gaps.size:
                before = values[gaps[0] - 1] if gaps[0] else last_value
                raise ValueError(
                    f"Every row must have a value, got an empty line in row {before + 1 - header} "
                    f"of {path} (row 1 follows the header). Fill it, or take the line out."
                )
            if values.size:
                last_value = int(values[-1])
