"""From a table to the series in it: sorted by time, parted by id, without what is no channel."""

import itertools
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn.data._columns import (
    Names,
    as_names,
    as_text,
    check_complete,
    check_known,
    check_named,
    columns_by_name,
    is_number,
    numeric_columns,
    refuse_text,
)
from jnn.data._time_axis import Times, find_times, times_of, with_clock_changes

if TYPE_CHECKING:
    import pandas as pd

_ID_NAME = re.compile(  # what a column is called that tells series apart
    r"(.*[\W_])?(id|ids|key|code|symbol|ticker|series|sensor|station|store|item|sku|device|meter"
    r"|customer|patient|subject|unit|site|asset|stock)([\W_](id|no|nr|name|number|code))?",
    re.IGNORECASE,
)
_IS_ID = re.compile(r"(.*[\W_])?(id|ids|ticker|symbol)", re.IGNORECASE)  # and hardly a channel
_ROW_NAME = re.compile(r"no|nr|num|number|row|rows|row_?(no|nr|id)|record|id|rn", re.IGNORECASE)


class SeriesTable(NamedTuple):
    """The series of a table, one after the other, each in the order of time.

    Attributes:
        values: Values of all series [time, channels], float64.
        channels: Names of the channels.
        sizes: Number of steps of each series.
        ids: What identifies each series, one value for each of `id_names`.
        id_names: Columns that tell the series apart.
        times: Time of each step, or None if the table has no time axis.
        left_out: Columns that are no channels, because they hold text or number the rows.
    """

    values: np.ndarray
    channels: tuple[str, ...]
    sizes: np.ndarray
    ids: list[tuple[object, ...]]
    id_names: tuple[str, ...]
    times: Times | None
    left_out: tuple[str, ...]


def read_table(
    frame: "pd.DataFrame",
    *,
    channels: Names = (),
    drop: Names = (),
    time: Names | None = None,
    series: Names | None = None,
    are_complete: bool = True,
) -> SeriesTable:
    """Read the series of a table; see `Dataset.from_series`.

    Args:
        frame: A pandas table.
        channels: Columns to take; by default those of numbers that are neither times nor ids.
        drop: Columns to leave out.
        time: Columns of the time axis; by default those that read as dates, and () for none.
        series: Columns that tell several series apart.
        are_complete: Whether a missing value is refused.

    Raises:
        ValueError: If there is no such column, or if times repeat.
    """
    columns = columns_by_name(with_index(frame))
    dropped = as_names(drop)
    check_known(columns, dropped)
    columns = {name: values for name, values in columns.items() if name not in dropped}
    ids = () if series is None else as_names(series)
    names = as_names(channels)
    check_known(columns, [*ids, *names, *(() if time is None else as_names(time))])
    both = sorted({*ids} & {*names})
    if both:
        raise ValueError(
            f"Channels must be other columns than those that tell series apart, got {both[0]!r} "
            "for both. Leave it out of the channels."
        )
    others = {name: values for name, values in columns.items() if name not in ids}
    times = _times(others, time, names)
    if times is not None and not ids:
        times = with_clock_changes(times)
    selected = _channels(others, names, times, later=not are_complete)
    if are_complete:
        check_complete(selected)
    order, sizes, first = _order(columns, ids, times)
    if not ids:
        _check_one_series({n: v for n, v in columns.items() if n not in names}, times)
    if times is not None:
        _check_different(times, order, sizes, columns, ids)
        _tell_order(order, sizes, times)
        times = times._replace(values=times.values[order])
    values = np.stack([column.to_numpy(np.float64) for column in selected.values()], axis=1)
    return SeriesTable(
        values[order],
        tuple(selected),
        sizes,
        [tuple(columns[name].iloc[row] for name in ids) for row in first],
        ids,
        times,
        tuple(n for n in others if n not in {*selected, *(times.names if times else ())}),
    )


def with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the table with its index as columns, if that has dates or several levels."""
    import pandas as pd

    index = getattr(frame, "index", None)
    if not isinstance(index, pd.Index) or not hasattr(frame, "columns") or not len(frame):
        return frame  # columns_by_name says what is wrong
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    names = [f"level_{i}" if v.name is None else str(v.name) for i, v in enumerate(levels)]
    if len(levels) == 1:
        name = "" if levels[0].name is None else names[0]  # an unnamed number may be a year
        if not find_times({name: levels[0].to_series()}):
            return frame
        names = [name or "date"]
    if set(names) & set(map(str, frame.columns)):
        return frame
    return frame.set_axis(pd.MultiIndex.from_arrays(levels, names=names)).reset_index()


def _times(
    columns: "dict[str, pd.Series]", time: Names | None, channels: Sequence[str]
) -> Times | None:
    """Return the time axis that is named, or the only one that there is."""
    if time is not None:
        return times_of(as_names(time), columns) if as_names(time) else None
    others = {name: values for name, values in columns.items() if name not in channels}
    found = find_times(others)
    if len(found) > 1:
        unique = [times for times in found if times.values.is_unique]
        found = unique if len(unique) == 1 else found
    if len(found) > 1:
        names = [times.name for times in found]
        raise ValueError(
            f"The table must have one time axis, got the columns {names}. Name one of them by "
            f"time={names[0]!r}, or leave the others out by drop={names[1:]!r}."
        )
    return found[0] if found else None


def _channels(
    columns: "dict[str, pd.Series]", names: Sequence[str], times: Times | None, *, later: bool
) -> "dict[str, pd.Series]":
    """Return the columns that are forecast."""
    rest = {n: v for n, v in columns.items() if times is None or n not in times.names}
    selected = {name: columns[name] for name in names}
    if not selected:
        every = numeric_columns(rest)
        selected = {n: v for n, v in every.items() if not _is_row_number(n, v)} or every
    if not selected:
        raise ValueError(f"The table must have a column of numbers, got {list(columns)}. Add one.")
    for name, values in selected.items():
        if not is_number(values):
            refuse_text(name, values, later=later, is_series=True)
    if not names and len(next(iter(selected.values()))):
        check_named(selected)
    return selected


def _is_row_number(name: str, values: "pd.Series") -> bool:
    """Return whether a column is called a number of rows, and counts them."""
    if not _ROW_NAME.fullmatch(name.strip()) or values.dtype.kind not in "iu" or len(values) < 3:
        return False
    return bool((np.abs(np.diff(values.to_numpy())) == 1).all())


def _order(
    columns: "dict[str, pd.Series]", ids: Sequence[str], times: Times | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows by series and time, the size of each series, and a row of each.

    Series stand in the order in which they begin in the table.
    """
    import pandas as pd

    rows = len(next(iter(columns.values())))
    if ids:
        check_complete({name: columns[name] for name in ids})
        keys = pd.DataFrame({name: columns[name].to_numpy() for name in ids})
        number = keys.groupby(list(ids), sort=False).ngroup().to_numpy()
    else:
        number = np.zeros(rows, int)
    place = (
        np.arange(rows) if times is None else np.argsort(np.argsort(times.values, kind="stable"))
    )
    order = np.lexsort((place, number))
    sizes = np.bincount(number) if rows else np.zeros(1, int)
    return order, sizes, order[np.cumsum(sizes) - sizes] if rows else np.zeros(0, int)


def _borders(sizes: np.ndarray) -> np.ndarray:
    """Return after which steps another series begins, bool [steps - 1]."""
    is_border = np.zeros(max(0, int(sizes.sum()) - 1), bool)
    is_border[np.cumsum(sizes)[:-1] - 1] = True
    return is_border


def _tell_order(order: np.ndarray, sizes: np.ndarray, times: Times) -> None:
    """Warn if rows change their order within a series."""
    steps = np.diff(order)[~_borders(sizes)]
    if (steps > 0).all():
        return
    how = "the newest came first" if (steps < 0).all() else "they were not in the order of time"
    warnings.warn(f"The rows are sorted by {times.name!r}, because {how}.", stacklevel=2)


def _check_one_series(columns: "dict[str, pd.Series]", times: Times | None) -> None:
    """Raise if a column is called as an id is, and has values that occur again."""
    if times is not None and not times.values.is_unique:
        return  # _check_different says so, and looks at all columns
    for name, values in columns.items():
        is_id = _ID_NAME.fullmatch(name.strip()) and _has_blocks(values)
        if is_id or (_IS_ID.fullmatch(name.strip()) and _occur_again(values)):
            raise ValueError(
                f"The table must hold one series, but column {name!r} has {values.nunique()} "
                f"values, so that windows would reach from one series into the next. Pass "
                f"series={name!r} if it tells series apart, or drop=[{name!r}] if it does not."
            )


def _has_blocks(values: "pd.Series") -> bool:
    """Return whether there are several values, each in rows that follow each other."""
    if values.dtype.kind == "f" or not len(values):
        return False
    text = as_text(values).to_numpy()
    blocks = 1 + int((text[1:] != text[:-1]).sum())
    return 1 < blocks == values.nunique() <= len(values) // 2


def _occur_again(values: "pd.Series") -> bool:
    """Return whether a column of whole numbers or text has several values, each some times."""
    return values.dtype.kind != "f" and 1 < values.nunique() <= len(values) // 2


def _check_different(
    times: Times,
    order: np.ndarray,
    sizes: np.ndarray,
    columns: "dict[str, pd.Series]",
    ids: Sequence[str],
) -> None:
    """Raise if a series has a time twice, and name the column that may tell series apart."""
    values = times.values[order]
    repeats = np.flatnonzero((values[1:] == values[:-1]) & ~_borders(sizes))
    if not repeats.size:
        return
    place = values[int(repeats[0])]
    likely = _likely_ids(columns, times, ids)
    if not likely:
        advice = "Drop the repeats, or average them, as by DataFrame.groupby"
    else:
        names = [*ids, *likely]
        advice = (
            f"Pass series={names if len(names) > 1 else names[0]!r}, because "
            f"{' and '.join(map(repr, likely))} seem to tell series apart"
        )
    raise ValueError(
        f"Times must be different within a series, got {place!s} in column {times.name!r} more "
        f"than once ({repeats.size} rows repeat a time). {advice}."
    )


def _likely_ids(
    columns: "dict[str, pd.Series]", times: Times, ids: Sequence[str]
) -> tuple[str, ...]:
    """Return the column, or two, by which with the ids every time occurs once; () if none do."""
    names = [
        name
        for name, values in columns.items()
        if name not in (*times.names, *ids) and _occur_again(values) and not values.isna().any()
    ]
    names.sort(key=lambda name: _ID_NAME.fullmatch(name.strip()) is None)  # likely ones first
    for few in (1, 2):
        for chosen in itertools.combinations(names, few):
            if _tell_apart([columns[name] for name in (*ids, *chosen)], times):
                return chosen
    return ()


def _tell_apart(values: "Sequence[pd.Series]", times: Times) -> bool:
    """Return whether columns and times together are different in every row."""
    import pandas as pd

    keys = pd.DataFrame({str(i): column.to_numpy() for i, column in enumerate(values)})
    return not keys.assign(time=times.values).duplicated().any()
