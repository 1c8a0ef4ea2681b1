"""From one series or several to the windows of a data set of forecasts."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from jnn.data._csv import read_csv, uncompressed
from jnn.data._offsets import check_digits
from jnn.data._series_source import check_series_varies, encoding_of, table_of
from jnn.data._series_table import SeriesTable
from jnn.data._series_windows import Gaps, place_windows
from jnn.data._table_form import TableForm
from jnn.data._types import as_float
from jnn.data._windows import Windows


class Forecasts(NamedTuple):
    """What series become.

    Attributes:
        x: Inputs, windows of `length` steps.
        y: Targets, the `horizon` steps that follow each.
        fields: Other fields of a data set.
    """

    x: Windows
    y: Windows
    fields: dict[str, Any]


def read_forecasts(
    values: Any,
    length: int,
    horizon: int,
    gaps: Gaps,
    separator: TableForm | str | None,
    options: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> Forecasts:
    """Read the windows of series; see `Dataset.from_series`.

    Args:
        values: Arrays, a table, or the path of a file.
        length: Number of steps of an input.
        horizon: Number of steps of a target.
        gaps: Whether windows reach across steps that are missing.
        separator: Separator of the columns of a file, or its form.
        options: Options of a table, by name.
        fields: Fields of the data set, which win over those that are read.
    """
    if isinstance(values, str | PathLike):
        fields = {"name": uncompressed(values).stem, "source": Path(values).name, **fields}
        values = read_csv(values, separator)
    table = table_of(values, **options)
    places = place_windows(table, length, horizon, gaps)
    check_series_varies(table.values, table.channels)
    steps = table.values
    if table.channels:  # arrays have no names
        encoding = encoding_of(table, int(length), places.step, gaps)
        steps = encoding.as_rows(steps)
        offset = encoding.offset or None
        known = {"encoding": encoding, "target_offset": offset}
        fields = {"feature_names": table.channels, **known, **fields}
    check_digits(steps, "the series")
    steps = as_float(steps)
    x = Windows(steps, int(length), 0, places.span, places.starts)
    y = Windows(steps, int(horizon), int(length), places.span, places.starts)
    rows = {"times": places.times, "until": places.until, "groups": places.groups}
    return Forecasts(x, y, {"name": "series", **rows, **fields, "notes": _notes(table, fields)})


def _notes(table: SeriesTable, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the notes of the data set, with the columns of the table that are no channels."""
    notes = tuple(fields.get("notes", ()))
    if not table.left_out:
        return notes
    return (*notes, f"columns {list(table.left_out)} are no channels")
