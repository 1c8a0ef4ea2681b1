"""The table of the steps that follow the series of a file."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jnn.cli._column_names import free_name, mean_and_std
from jnn.cli._input import user_input
from jnn.cli._notes import notes
from jnn.data import SeriesEncoding, TableForm
from jnn.data._csv import read_csv
from jnn.result import Result, Schema

if TYPE_CHECKING:
    import pandas


def forecast(
    result: Result, path: pathlib.Path, form: TableForm | None = None
) -> "pandas.DataFrame":
    """Make the table of the steps that follow the last ones of each series of a file.

    It has one line per series and future step: what identifies the series, the number of the step,
    its time, and mean and standard deviation of each channel.
    """
    encoding = encoding_of(result.schema)
    with user_input(), notes():
        tails = encoding.tails(read_csv(path, form))
    rows = encoding.as_rows(tails.values)
    if not np.isfinite(rows).all():
        raise ValueError(
            f"rows must be finite, but the last {encoding.length} steps in {path} have infinity or "
            "a number too large for float32. Leave such steps out, or fill in their values."
        )
    prediction = result.predict(rows)
    return _table(encoding, tails.ids, tails.last, prediction.mean, prediction.std)


def encoding_of(schema: Schema) -> SeriesEncoding:
    """Return how a table becomes windows; of members trained on arrays, by the channels' names."""
    if isinstance(schema.encoding, SeriesEncoding):
        return schema.encoding
    length, channels = schema.x.shape
    if not schema.feature_names:
        raise ValueError(
            f"The members must know the names of their {channels} channels to read a table. Save "
            "the windows as an array, in a .npy file."
        )
    return SeriesEncoding(schema.feature_names, length)


def _table(
    encoding: SeriesEncoding,
    ids: Sequence[tuple[object, ...]],
    last: Sequence[object] | None,
    mean: np.ndarray,
    std: np.ndarray,
) -> "pandas.DataFrame":
    import pandas

    series, horizon, channels = mean.shape
    columns = {
        name: np.repeat(np.array([values[i] for values in ids], object), horizon)
        for i, name in enumerate(encoding.series)
    }
    taken = {*columns, *encoding.channels, encoding.time_name}
    columns[free_name("step", taken)] = np.tile(np.arange(1, horizon + 1), series)
    if last is not None and encoding.step:
        times = [encoding.next_times(time, horizon) for time in last]
        columns[encoding.time_name] = np.concatenate(times)
    flat = (mean.reshape(-1, channels), std.reshape(-1, channels))
    return pandas.DataFrame(columns | mean_and_std(encoding.channels, *flat, taken=columns))
