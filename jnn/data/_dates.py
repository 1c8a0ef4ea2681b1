"""Dates and times in a column of a table, as values that can be ordered."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def as_times(name: str, column: "pd.Series") -> np.ndarray:
    """Return the times of a column [rows] as numbers or as datetime64 in UTC.

    Numbers stay as they are, so that 20240131 or a step may serve as a time. Texts are parsed as
    dates.

    Raises:
        ValueError: If a value is missing, if a text is no date, or if it is unclear whether the
            month or the day comes first.
    """
    import pandas as pd

    if column.isna().any():
        raise ValueError(
            f"Every row must have a time, got {int(column.isna().sum())} missing values in column "
            f"{name!r}. Fill them in, or pass missing='drop' to leave these rows out."
        )
    if column.dtype.kind in "iuf":
        return column.to_numpy()
    if column.dtype.kind != "M" and not isinstance(column.dtype, pd.DatetimeTZDtype):
        column = _parsed(name, column.astype(object).map(str))
    return pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("datetime64[ns]")


def _parsed(name: str, text: "pd.Series") -> "pd.Series":
    """Parse texts as dates, in UTC where they have offsets."""
    if text.str.match(r"\d{4}\D").all():  # the year first, where pandas heeds dayfirst too
        readings = [_parse(text, day_first=False)]
    else:
        readings = [_parse(text, day_first=False), _parse(text, day_first=True)]
    complete = [dates for dates in readings if dates.notna().all()]
    if not complete:
        dates = max(readings, key=lambda dates: dates.notna().sum())
        place = int(dates.isna().to_numpy().argmax())
        raise ValueError(
            f"Every row of column {name!r} must hold a date or a number, got "
            f"{text.iloc[place]!r} in row {place + 1}. Write dates as 2024-01-31."
        )
    if len(complete) == 2 and not complete[0].equals(complete[1]):
        place = int((complete[0] != complete[1]).to_numpy().argmax())
        raise ValueError(
            f"The dates of column {name!r} must be clear, but in {text.iloc[place]!r} the month or "
            "the day may come first. Write dates as 2024-01-31."
        )
    return complete[0]


def _parse(text: "pd.Series", *, day_first: bool) -> "pd.Series":
    """Parse what can be parsed, each text by the format of the first one; NaT for the rest."""
    import pandas as pd

    with warnings.catch_warnings():  # pandas warns where it finds no common format
        warnings.simplefilter("ignore", UserWarning)
        return pd.to_datetime(text, errors="coerce", dayfirst=day_first, utc=True)
