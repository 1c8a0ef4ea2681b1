"""What `Dataset.from_series` takes: arrays, tables, and files, of one series or of several."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data._columns import Names
from jnn.data._csv import read_csv
from jnn.data._offsets import offset_of
from jnn.data._series_encoding import SeriesEncoding
from jnn.data._series_table import SeriesTable, read_table, with_index
from jnn.data._series_windows import Gaps
from jnn.data._table_form import TableForm
from jnn.data._types import as_array

if TYPE_CHECKING:
    import pandas as pd

_ID = "series"  # the column of names where several tables become one


def read_series(
    source: "pd.DataFrame | str | PathLike[str]",
    channels: Sequence[str] = (),
    separator: TableForm | str | None = None,
    drop: Names = (),
    *,
    time: Names | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a series [time, channels] and its channels' names from a table with a step per row.

    The rows are sorted by the time axis, if the table has one.

    Args:
        source: A pandas table, or the path of a CSV file, which may be compressed.
        channels: Names of the columns to take; by default those of numbers, so that dates are left
            out.
        separator: Separator of the columns of a file, or how it is written in other ways too; by
            default told from the file.
        drop: Names of columns to leave out.
        time: Name of the column of times; by default what reads as dates, and () for none.
    """
    frame = read_csv(source, separator) if isinstance(source, str | PathLike) else source
    table = read_table(frame, channels=channels, drop=drop, time=time)
    return table.values, table.channels


def table_of(values: Any, **options: Any) -> SeriesTable:
    """Return the series of a table or of arrays.

    Args:
        values: A pandas table, an array [time, channels] or [series, time, channels], or a list or
            dict of arrays [time, channels].
        **options: Options of `read_table`, which only a table takes.

    Raises:
        TypeError: If arrays come with options of a table.
        ValueError: If an array has another shape.
    """
    if isinstance(values, bytes) or hasattr(values, "read"):
        raise TypeError(
            f"values must be a path, a table or arrays, got a {type(values).__name__}. Pass the "
            "path of the file, or what pandas.read_csv makes of it."
        )
    if hasattr(values, "to_frame") and hasattr(values, "index"):  # a pandas.Series
        values = values.to_frame(values.name or "value")
    if hasattr(values, "columns"):
        return read_table(values, **options)
    parts = values if isinstance(values, Mapping) else _several(values)
    if parts and all(hasattr(part, "columns") for part in _members(parts)):
        return read_table(_long(parts), **{**options, "series": options["series"] or _ID})
    unused = sorted(name for name, value in options.items() if value not in (None, (), []))
    if unused:
        raise TypeError(
            f"{', '.join(unused)} must name columns of a table, got arrays of type "
            f"{type(values).__name__}. Pass a pandas.DataFrame, or leave them out."
        )
    named = parts if isinstance(parts, Mapping) else dict(enumerate(parts))
    if not named:
        raise ValueError("The series must be at least one, got none. Pass an array.")
    arrays = {name: _checked(name, part, len(named)) for name, part in named.items()}
    widths = {array.shape[1] for array in arrays.values()}
    if len(widths) > 1:
        raise ValueError(
            f"All series must have the same channels, got series of {sorted(widths)} channels. "
            "Choose the channels that all of them have."
        )
    sizes = np.array([len(array) for array in arrays.values()])
    joined = np.concatenate(list(arrays.values()))
    ids: list[tuple[object, ...]] = [(name,) for name in arrays]
    return SeriesTable(joined, (), sizes, ids, (_ID,), None, ())


def encoding_of(table: SeriesTable, length: int, step: str, gaps: Gaps) -> SeriesEncoding:
    """Return how a table becomes windows."""
    times = table.times
    offset = offset_of(table.values)
    return SeriesEncoding(
        table.channels,
        length,
        () if times is None else times.names,
        table.id_names,
        step,
        "" if times is None else times.form,
        gaps,
        () if offset is None else tuple(offset.tolist()),
    )


def check_series_varies(values: np.ndarray, channels: Sequence[str]) -> None:
    """Raise if a channel is the same at all steps, so that there is nothing to forecast."""
    if len(values) < 2 or values.dtype.kind != "f" or not np.isfinite(values).all():
        return  # what is not finite has a sentence of its own
    constant = np.flatnonzero((values == values[0]).all(axis=0))
    if constant.size:
        number = int(constant[0])
        name = repr(channels[number]) if channels else f"number {number}"
        how = f" with drop=[{name}]" if channels else ""
        raise ValueError(
            f"Every channel must vary, got {values[0, number]} at all {len(values)} steps of "
            f"channel {name}. Leave it out{how}."
        )


def _several(values: Any) -> Sequence[Any]:
    """Return the series in a list or an array: those of its first axis, or itself if it is one."""
    if isinstance(values, list | tuple) and values:
        first = values[0]
        return values if hasattr(first, "columns") or np.ndim(first) > 1 else [values]
    return list(values) if getattr(values, "ndim", 0) == 3 else [values]


def _members(parts: Any) -> list[Any]:
    return list(parts.values() if isinstance(parts, Mapping) else parts)


def _long(parts: Any) -> "pd.DataFrame":
    """Return several tables as one in the long format, with the column `series` of their names."""
    import pandas as pd

    named = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
    frames = [with_index(frame).assign(**{_ID: name}) for name, frame in named]
    return pd.concat(frames, ignore_index=True)


def _checked(name: object, values: Any, count: int) -> np.ndarray:
    """Return one series as an array [time, channels]."""
    array = as_array(values, "the series")
    if array.ndim != 2:
        which = f" for series {name!r}" if count > 1 else ""
        raise ValueError(
            f"A series must be of shape [time, channels], got {array.shape}{which}. "
            "Pass values[:, None] if it has one channel."
        )
    return array
