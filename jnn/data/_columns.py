"""The columns of a pandas table: their names, and whether they hold numbers, text or what no model can take."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jnn.data._check import repeated

if TYPE_CHECKING:
    import pandas as pd

Names = str | int | Sequence[str | int]  # of columns; numbers where a table has them for names
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")
_DATE = re.compile(r"(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T].*)?")
_UNNAMED = re.compile(r"Unnamed: \d+")  # what pandas calls a column without a name


def columns_by_name(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """The columns of a table under their names as text, each of which must be there once."""
    if not (hasattr(frame, "columns") and hasattr(frame, "items")):
        raise ValueError(
            f"wanted a pandas table, got a {type(frame).__name__}: pass pandas.DataFrame(...) of it"
        )
    columns = {str(name): values for name, values in frame.items()}
    if len(columns) < frame.shape[1]:
        twice = repeated([*map(str, frame.columns)])
        raise ValueError(
            f"wanted columns of different names, got {twice} more than once: rename them"
        )
    return columns


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several as text, as `columns_by_name` has them."""
    return (str(names),) if is_single(names) else tuple(map(str, names))  # type: ignore[arg-type]


def is_single(names: Names) -> bool:
    """Whether it is one name, not several."""
    return isinstance(names, str) or not isinstance(names, Iterable)


def check_known(columns: "dict[str, pd.Series]", names: Sequence[str]) -> None:
    """Every name is that of a column."""
    unknown = sorted(set(names) - set(columns))
    if unknown:
        raise ValueError(
            f"wanted columns among {list(columns)}, got {unknown}: "
            "check the spelling, and the separator if several names stand in one"
        )


def check_complete(columns: "dict[str, pd.Series]") -> None:
    """No value is missing."""
    counts = {name: int(values.isna().sum()) for name, values in columns.items()}
    holes = [f"{count} in {name!r}" for name, count in counts.items() if count]
    if holes:
        raise ValueError(
            f"wanted a value in every row, got missing values: {', '.join(holes)}: "
            "fill them, or drop these rows or columns, before"
        )


def check_named(columns: "dict[str, pd.Series]") -> None:
    """No column is the index that pandas writes beside a table, without a name and counting the rows."""
    for name, values in columns.items():
        if _UNNAMED.fullmatch(name) and _counts_rows(values):
            raise ValueError(
                f"wanted a name for each column, got none for {name!r}, which counts the rows: leave it out with "
                f"drop=[{name!r}], or name it"
            )


def is_number(column: "pd.Series") -> bool:
    """Whether a column holds numbers."""
    return column.dtype.kind in "iuf"


def as_text(column: "pd.Series") -> "pd.Series":
    """Whatever a column holds as text."""
    return column.astype(object).map(str)


def checked_text(name: str, column: "pd.Series") -> "pd.Series":
    """A column of text, categories or bools as text; what is neither is refused, and dates and numbers as text are."""
    if column.dtype.kind not in "bO":
        _refuse_type(name, f"type {column.dtype}")
    text = as_text(column)
    if column.dtype.name != "category":  # whoever says category means it
        if text.str.fullmatch(_DATE).mean() > 0.5:
            _refuse_type(name, f"dates such as {text.iloc[0]!r}")
        _check_words(name, text)
    return text


def numbers_among(columns: "dict[str, pd.Series]") -> "dict[str, pd.Series]":
    """The columns of numbers; one that has text in some rows only is refused, not left out."""
    for name, values in columns.items():
        if len(values) and values.dtype.kind == "O" and values.dtype.name != "category":
            _check_words(name, as_text(values))
    return {name: values for name, values in columns.items() if is_number(values)}


def refuse_text(name: str, column: "pd.Series") -> NoReturn:
    """Says in which row text stands in a column of numbers."""
    text = as_text(column)
    slips = np.flatnonzero(~_parses(text))
    place = int(slips[0]) if slips.size else 0
    raise ValueError(
        f"wanted a number in every row of column {name!r}, got {text.iloc[place]!r} in row {_row(text, place) + 1} "
        f"(row 1 follows the header; such rows: {slips.size or len(text)}): correct or drop these rows"
    )


def _check_words(name: str, text: "pd.Series") -> None:
    """Text is text, not numbers with a slip in some row."""
    parses = _parses(text)
    is_numeric = parses | text.str.fullmatch(_DECIMAL_COMMA).to_numpy(bool)
    if is_numeric.all():
        example = text.iloc[int(parses.argmin())]
        raise ValueError(
            f"wanted numbers or categories in column {name!r}, got numbers written as text, such as {example!r}: "
            "write a decimal point, or convert the column, with .astype(float) or .astype('category')"
        )
    if is_numeric.mean() > 0.5:
        refuse_text(name, text)


def _refuse_type(name: str, what: str) -> NoReturn:
    raise ValueError(
        f"wanted numbers, text, categories or bools in column {name!r}, got {what}: leave it out with "
        f"drop=[{name!r}], or turn it into numbers before, such as the month or the days since the first"
    )


def _counts_rows(values: "pd.Series") -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    numbers = values.to_numpy()
    return (
        values.dtype.kind in "iu" and numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())
    )


def _row(column: "pd.Series", place: int) -> int:
    """The number of a row in its table: pandas numbers the rows of a file on and on where it reads them in pieces."""
    return column.index[place] if hasattr(column.index, "start") else place


def _parses(text: "pd.Series") -> np.ndarray:
    import pandas as pd

    return pd.Series(pd.to_numeric(text, errors="coerce")).notna().to_numpy()
