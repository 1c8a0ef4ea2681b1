"""The time axis of a series: which columns of a table hold it, and the times in them."""

import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn.data._columns import as_text, is_number
from jnn.data._date_text import EPOCHS, look_like_dates, parse, read_dates
from jnn.data._time_step import find_step

if TYPE_CHECKING:
    import pandas as pd

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_TIME_NAME = re.compile(  # what a column of times is called, with or without a unit
    r"(.*[\W_])?(date|datetime|time|times|timestamp|epoch|period|year|yr|ts|ds)([\W_].*)?"
    r"|t|step|steps|tick|index|idx|timestep",
    re.IGNORECASE,
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")  # columns that make a date together
_DIGITS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_ZONES = (  # one for each rule by which clocks change
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Australia/Sydney",
)
_EARLIEST = 300_000_000  # seconds since 1970, 1979 to 2096: what is taken for a stamp
_LATEST = 4_000_000_000


class Times(NamedTuple):
    """The times of a table's rows.

    Attributes:
        names: The columns that hold them.
        values: One time per row: a `DatetimeIndex`, or an index of numbers.
        form: How a date is written: a format of `strftime`, a unit of the count since 1970, or ""
            for the ISO format and for numbers.
    """

    names: tuple[str, ...]
    values: "pd.Index"
    form: str = ""

    @property
    def name(self) -> str:
        """The name of the time axis."""
        first, *others = self.names
        return first if len(others) < 2 else "date"

    @property
    def are_dates(self) -> bool:
        """Whether the times are dates rather than numbers."""
        return hasattr(self.values, "day_of_week")


def has_time_name(name: str) -> bool:
    """Return whether a column is called as one of times is.

    >>> has_time_name("Timestamp"), has_time_name("time (s)"), has_time_name("estimate")
    (True, True, False)
    """
    return _TIME_NAME.fullmatch(name.strip()) is not None


def find_times(columns: "dict[str, pd.Series]") -> list[Times]:
    """Return the times of all columns that read as dates or count steps.

    Raises:
        ValueError: If a column holds dates in most of its rows but not in all, or dates that can be
            read in two ways.
    """
    parts = _date_parts(columns)
    if parts is not None:
        return [parts]
    clock = _clock_of(columns)
    has_others = sum(map(is_number, columns.values())) > 1
    every = []
    for name, values in columns.items():
        times = _dates_of(name, values, clock) if len(values) else None
        if times is None and has_others and is_number(values):
            times = _dates_in_numbers(name, values, is_named=_are_regular(values))
        if times is not None:
            every.append(times)
    return every or _counters(columns)


def times_of(names: tuple[str, ...], columns: "dict[str, pd.Series]") -> Times:
    """Return the times of the columns that are named as the time axis.

    Raises:
        ValueError: If a row has no time.
    """
    import pandas as pd

    if len(names) > 2:
        parts = _date_parts({name: columns[name] for name in names})
        if parts is not None:
            return parts
    name = next(iter(names))
    others = names[1:]
    values = columns[name]
    clock = _clock_of({name: columns[name] for name in others}) if len(others) == 1 else None
    if not others or clock is not None:
        times = _dates_of(name, values, clock)
        if times is not None:
            return times
    if not others and is_number(values):
        _check_present(name, values)
        return Times(names, pd.Index(values.to_numpy(np.float64)))
    first = str(values.iloc[0]) if len(values) else "no row"
    raise ValueError(
        f"time must name a column of dates or numbers, got {', '.join(map(repr, names))} with "
        f"{first!r} in its first row. Write dates as 2024-01-31."
    )


def with_clock_changes(times: Times) -> Times:
    """Return dates that repeat an hour in autumn as times of the zone in which they are in order.

    Other times are returned as they are.
    """
    values = times.values
    if not times.are_dates or values.tz is not None or values.is_unique:  # type: ignore[attr-defined]
        return times
    for zone in _ZONES:
        try:
            dates = values.tz_localize(zone, ambiguous="infer")  # type: ignore[attr-defined]
        except ValueError:  # the hours that repeat are others
            continue
        if dates.is_unique and dates.is_monotonic_increasing:
            warnings.warn(
                f"The times of {times.name!r} are read as those of clocks in {zone}, because an "
                "hour repeats when the clocks change.",
                stacklevel=2,
            )
            return times._replace(values=dates)
    return times


class _Clock(NamedTuple):
    """Times of day in a column of their own."""

    name: str
    values: "pd.TimedeltaIndex"


def _clock_of(columns: "dict[str, pd.Series]") -> _Clock | None:
    """Return the times of day such as 12:30 that a column of text holds in all rows."""
    import pandas as pd

    for name, values in columns.items():
        if values.dtype.kind != "O" or not len(values):
            continue
        text = as_text(values).str.strip()
        if text.str.fullmatch(_CLOCK).all():
            full = text.where(text.str.count(":") > 1, text + ":00")
            return _Clock(name, pd.to_timedelta(full.to_numpy()))
    return None


def _dates_of(name: str, values: "pd.Series", clock: _Clock | None = None) -> Times | None:
    """Return the dates of a column, with the time of day where dates alone repeat.

    Returns:
        The times, or None if the column does not read as dates.
    """
    times = _days_of(name, values, clock)
    if times is None or clock is None or times.values.is_unique:
        return times
    return Times((name, clock.name), times.values + clock.values)


def _days_of(name: str, values: "pd.Series", clock: _Clock | None) -> Times | None:
    import pandas as pd

    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if values.dtype.kind == "M":
        _check_present(name, values)
        return Times((name,), pd.DatetimeIndex(values))
    if is_number(values):
        return _dates_in_numbers(name, values)
    if values.dtype.kind != "O":
        return None
    text = as_text(values).str.strip()
    if not look_like_dates(text):
        numbers = pd.Series(pd.to_numeric(text, errors="coerce"))
        return None if numbers.isna().any() else _dates_in_numbers(name, numbers)
    _check_present(name, values)
    dates = read_dates(name, text, None if clock is None else clock.values)
    return None if dates is None else Times((name,), *dates)


def _are_regular(values: "pd.Series") -> bool:
    """Return whether numbers are whole, different, and of one step once they are sorted."""
    import pandas as pd

    numbers = pd.Index(values.to_numpy(np.float64)).sort_values()
    is_whole = not numbers.hasnans and bool((numbers == np.rint(numbers)).all())
    return is_whole and numbers.is_unique and len(numbers) > 2 and find_step(numbers) is not None


def _dates_in_numbers(
    name: str, values: "pd.Series", *, is_named: bool | None = None
) -> Times | None:
    """Return dates that are written as numbers: 20240131, or seconds since 1970.

    Args:
        name: Name of the column.
        values: Its numbers.
        is_named: Whether the column is sure to hold times; by default if it is called so.
    """
    import pandas as pd

    if not len(values) or values.isna().any():
        return None
    numbers = values.to_numpy(np.float64)
    is_whole = bool((numbers == np.rint(numbers)).all())
    digits = len(str(int(numbers.max()))) if is_whole and numbers.min() > 0 else 0
    is_named = has_time_name(name) if is_named is None else is_named
    if digits in _DIGITS and 10 ** (digits - 1) <= numbers.min() and (digits >= 8 or is_named):
        text = pd.Series(numbers.astype(np.int64)).astype(str)
        dates = parse(text, format=_DIGITS[digits])
        if not dates.isna().any() and ((dates.year > 1800) & (dates.year < 2200)).all():
            varies = dates.nunique() > 1
            return Times((name,), dates, _DIGITS[digits]) if is_named or varies else None
    if not is_named:
        return None
    for unit, many in EPOCHS.items():
        if _EARLIEST * many <= numbers.min() and numbers.max() <= _LATEST * many:
            whole = values.to_numpy(np.int64) if values.dtype.kind in "iu" else numbers
            return Times((name,), pd.DatetimeIndex(pd.to_datetime(whole, unit=unit)), unit)
    return None


def _date_parts(columns: "dict[str, pd.Series]") -> Times | None:
    """Return the dates that columns named year, month, day, ... make together."""
    import pandas as pd

    names = {name.strip().lower(): name for name in columns if is_number(columns[name])}
    parts = []
    for part in _PARTS:
        if part not in names or columns[names[part]].isna().any():
            break
        parts.append(part)
    if len(parts) < 2:
        return None
    table = pd.DataFrame({part: columns[names[part]].to_numpy() for part in parts})
    if "day" not in table:
        table["day"] = 1
    dates = pd.DatetimeIndex(pd.to_datetime(table, errors="coerce"))
    if dates.isna().any():
        return None
    return Times(tuple(names[part] for part in parts), dates)


def _counters(columns: "dict[str, pd.Series]") -> list[Times]:
    """Return the first column of numbers that is called as times are and counts the rows."""
    import pandas as pd

    numeric = [name for name, values in columns.items() if is_number(values)]
    for name in numeric if len(numeric) > 1 else []:
        values = columns[name]
        if has_time_name(name) and len(values) > 2 and not values.isna().any():
            numbers = pd.Index(values.to_numpy(np.float64))
            if _counts(numbers):
                return [Times((name,), numbers)]
    return []


def _counts(numbers: "pd.Index") -> bool:
    """Return whether numbers ascend or descend, have one step, or count again and again."""
    if numbers.is_unique:
        in_order = numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing
        return bool(in_order) or find_step(numbers.sort_values()) is not None
    steps = np.diff(numbers.to_numpy())
    ahead = steps[steps > 0]
    return len(ahead) >= 0.5 * len(steps) and bool(np.allclose(ahead, ahead[0]))


def _check_present(name: str, values: "pd.Series") -> None:
    missing = np.flatnonzero(values.isna())
    if missing.size:
        raise ValueError(
            f"Every row must have a time, got {missing.size} missing values in column {name!r}, "
            f"the first in row {missing[0] + 1} (row 1 is the first one after the header). Fill "
            "them in, or drop these rows."
        )
