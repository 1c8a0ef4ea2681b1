"""Dates as texts: whether a column holds them, what they say, and how they are written."""

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data._time_step import count_steps, find_step

if TYPE_CHECKING:
    import pandas as pd

EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of the time since 1970, with their number in a second."""

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(  # a year of four digits, three numbers, a month's name, a quarter or a week
    r"(.*\d{4}[-/. ]\d{1,2}.*|.*\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}.*|\d{1,2}[-/.]\d{4}"
    rf"|.*\d.*({_MONTHS}).*|.*({_MONTHS}).*\d.*|\d{{4}}-?(Q[1-4]|W\d{{2}})|\d{{8}}T\d{{2,6}}.*)",
    re.IGNORECASE,
)
_OFFSET = re.compile(r".*\d:\d{2}.*([+-]\d{2}:?\d{2}|Z)")
_FORMS = ("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%m/%Y")
_QUARTER = "quarter"
_SAMPLE = 1000  # rows that are looked at before a whole column is parsed


def look_like_dates(text: "pd.Series") -> bool:
    """Return whether most texts of a column have the look of dates."""
    return bool(_sample(text).str.fullmatch(_DATE).mean() > 0.5)


def read_dates(
    name: str, text: "pd.Series", clock: "pd.TimedeltaIndex | None" = None
) -> "tuple[pd.DatetimeIndex, str] | None":
    """Return the dates that the texts of a column spell, and their form.

    Args:
        name: Name of the column.
        text: Its texts.
        clock: Times of day in another column, which tell whether the month or the day comes first.

    Returns:
        The dates and how they are written, see `written`; None if most texts are no dates.

    Raises:
        ValueError: If some texts are no dates, or if the month or the day may come first.
    """
    from pandas.tseries.api import guess_datetime_format

    for pattern, read in _PERIODS.items():
        if text.str.fullmatch(pattern).all():
            return read(text)
    zone = bool(_sample(text).str.fullmatch(_OFFSET).any())
    readings = {"": parse(text, utc=zone, format="ISO8601")}
    if readings[""].isna().any():
        readings = {order: parse(text, utc=zone, dayfirst=order == "day") for order in _ORDERS}
    valid = {order: dates for order, dates in readings.items() if not dates.isna().any()}
    if not valid:
        dates = min(readings.values(), key=lambda dates: dates.isna().sum())
        if dates.isna().mean() > 0.5:
            return None
        place = int(np.argmax(dates.isna()))
        raise ValueError(
            f"Every row of column {name!r} must hold a date, got {text.iloc[place]!r} in row "
            f"{place + 1} (row 1 is the first one after the header). Write dates as 2024-01-31, or "
            f"leave the column out with drop=[{name!r}]."
        )
    dates = _likelier(name, text, list(valid.values()), clock)
    guess = guess_datetime_format(text.iloc[0], dayfirst=dates is valid.get("day"))
    return dates, "" if zone else _form_of(dates, text, guess)


def _quarters(text: "pd.Series") -> "tuple[pd.DatetimeIndex, str]":
    """Return the first days of quarters such as 2024Q1, and their form."""
    import pandas as pd

    return pd.PeriodIndex(text.str.replace("-", ""), freq="Q").to_timestamp(), _QUARTER


def _weeks(text: "pd.Series") -> "tuple[pd.DatetimeIndex, str]":
    """Return the Mondays of weeks such as 2024-W01, which are those of ISO 8601, and their form."""
    return parse(text.str.replace("-", "") + "1", format="%GW%V%u"), "%G-W%V"


_PERIODS = {r"(?i)\d{4}-?Q[1-4]": _quarters, r"(?i)\d{4}-?W\d{2}": _weeks}
_ORDERS = ("month", "day")  # which of the two comes first in 01/02/2024


def _form_of(dates: "pd.DatetimeIndex", text: "pd.Series", guess: str | None) -> str:
    """Return the format that writes the first and the last date as they are in the table."""
    ends = [0, len(text) - 1]
    for form in [*([guess] if guess else []), *_FORMS]:
        if (dates[ends].strftime(form) == text.iloc[ends].to_numpy()).all():
            return form
    return ""


def parse(text: "pd.Series", **options: Any) -> "pd.DatetimeIndex":
    """Return the dates that can be parsed by one format, and NaT for the rest."""
    import pandas as pd

    with warnings.catch_warnings():  # pandas warns where it finds no common format
        warnings.simplefilter("ignore", UserWarning)
        dates = pd.to_datetime(text, errors="coerce", **options)
    return pd.DatetimeIndex(dates)


def _likelier(
    name: str,
    text: "pd.Series",
    readings: "list[pd.DatetimeIndex]",
    clock: "pd.TimedeltaIndex | None",
) -> "pd.DatetimeIndex":
    """Return the reading of dates that is in order and of one step, if two can be read."""
    if len(readings) == 1 or readings[0].equals(readings[1]):
        return readings[0]
    scores = [_regularity(dates, clock) for dates in readings]
    if scores[0] == scores[1]:
        place = int(np.argmax(readings[0] != readings[1]))
        raise ValueError(
            f"The dates of column {name!r} must be clear, but in {text.iloc[place]!r} the month or "
            "the day may come first. Write dates as 2024-01-31."
        )
    return readings[int(scores[1] > scores[0])]


def _regularity(dates: "pd.DatetimeIndex", clock: "pd.TimedeltaIndex | None") -> tuple[float, bool]:
    """Return the share of neighbors one step apart, and whether dates are in order."""
    if clock is not None and not dates.is_unique:
        dates = dates + clock
    in_order = dates.is_monotonic_increasing or dates.is_monotonic_decreasing
    ascending = dates.unique().sort_values()
    step = find_step(ascending)
    share = 0.0 if step is None else float((count_steps(ascending, step) == 1).mean())
    return share, bool(in_order)


def written(dates: "pd.Index", form: str) -> np.ndarray:
    """Return dates as numbers since 1970, or as text."""
    if form == _QUARTER:
        return dates.to_period("Q").astype(str).to_numpy(object)  # type: ignore[attr-defined]
    if form in EPOCHS:
        return dates.as_unit("ns").asi8 // (1_000_000_000 // EPOCHS[form])  # type: ignore[attr-defined]
    if form:
        return dates.strftime(form).to_numpy(object)  # type: ignore[attr-defined]
    return dates.astype(str).to_numpy(object)


def _sample(text: "pd.Series") -> "pd.Series":
    """Return texts at even distances."""
    return text.iloc[np.linspace(0, len(text) - 1, min(len(text), _SAMPLE)).astype(int)]
