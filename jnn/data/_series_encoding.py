"""How the rows of a table become windows of series, for tables that come later."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn.data._columns import columns_by_name
from jnn.data._date_text import written
from jnn.data._offsets import without_offset
from jnn.data._series_table import SeriesTable, read_table, with_index
from jnn.data._series_windows import Gaps, series_name, steps_of
from jnn.data._time_step import next_times, step_in_words

if TYPE_CHECKING:
    import pandas as pd


class Tails(NamedTuple):
    """The last steps of each series of a table.

    Attributes:
        values: Values [series, length, channels], float64.
        ids: What identifies each series, one value for each id column.
        last: Last time of each series; None if the table has no time axis.
    """

    values: np.ndarray
    ids: list[tuple[object, ...]]
    last: list[object] | None


@dataclasses.dataclass(frozen=True)
class SeriesEncoding:
    """How the rows of a table become windows of series.

    `Dataset.from_series` makes it from a table and keeps it in the data set, for forecasts that
    continue the series of another table.

    Attributes:
        channels: Columns that are forecast.
        length: Number of steps of a window.
        time: Columns of the time axis; () if there is none.
        series: Columns that tell several series apart; () for a single series.
        step: Step of the time axis, as a pandas frequency or a number; "" if there is none.
        form: How times are written: a format of `strftime`, a unit of the count since 1970, or ""
            for the ISO format and for numbers.
        gaps: "split" if no window reaches across a gap in time, "ignore" if gaps are read over.
        offset: What is taken out of each channel in float64, because float32 cannot hold it beside
            what varies; () if nothing is.
    """

    channels: tuple[str, ...]
    length: int
    time: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    step: str = ""
    form: str = ""
    gaps: Gaps = "split"
    offset: tuple[float, ...] = ()

    @property
    def time_name(self) -> str:
        """Name of the time axis."""
        return "date" if len(self.time) > 2 else next(iter(self.time), "")

    @property
    def description(self) -> str:
        """What the series are, as text.

        >>> SeriesEncoding(("load",), 8, ("day",), ("id",), "D").description
        "steps of 1 day in 'day', series by 'id', channels: load"
        """
        words = []
        if self.time:
            step = f"steps of {step_in_words(self.step)}" if self.step else "no regular step"
            words.append(f"{step} in {self.time_name!r}")
        if self.series:
            words.append(f"series by {', '.join(map(repr, self.series))}")
        words.append(f"channels: {', '.join(self.channels)}")
        return ", ".join(words)

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """Return the last window of each series of a table, float32 [series, length, channels]."""
        return self.as_rows(self.tails(frame).values)

    def as_rows(self, values: np.ndarray) -> np.ndarray:
        """Return values [..., channels] less the offset, as float32."""
        with np.errstate(over="ignore"):  # whoever reads them checks that they are finite
            return without_offset(values, np.array(self.offset) if self.offset else None).astype(
                np.float32
            )

    def tails(self, frame: "pd.DataFrame") -> Tails:
        """Return the last `length` steps of each series of a table, in the order of time.

        Raises:
            ValueError: If a column is missing, if a series is too short, if a value or a step is
                missing in the last steps, or if the steps are not those of training.
        """
        frame = with_index(frame)
        has_time = set(self.time) <= set(columns_by_name(frame))
        table = read_table(
            frame,
            channels=self.channels,
            time=self.time if self.time and has_time else (),
            series=self.series or None,
            are_complete=False,
        )
        step, counts = steps_of(table, self.gaps)
        if step and self.step and step != self.step and table.sizes.max() > 2:
            raise ValueError(
                f"The times in {self.time_name!r} must have the step of training, "
                f"{step_in_words(self.step)}, got {step_in_words(step)}. Resample the series."
            )
        ends = np.cumsum(table.sizes)
        tails = [self._tail(table, counts, number, end) for number, end in enumerate(ends)]
        last = None if table.times is None else [table.times.values[end - 1] for end in ends]
        return Tails(np.stack(tails), table.ids, last)

    def next_times(self, last: object, count: int) -> np.ndarray:
        """Return the times of the steps after the last one, in the form of the table."""
        times = next_times(last, self.step, count)
        if hasattr(last, "year"):
            return written(times, self.form)
        is_whole = (times == np.rint(times)).all()
        return times.to_numpy(np.int64 if is_whole else np.float64)

    def to_json(self) -> str:
        """Return the encoding as JSON, for `from_json`."""
        return json.dumps({"kind": "series", **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "SeriesEncoding":
        """Return the encoding that `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields.pop("kind", None)
        tuples = ("channels", "time", "series", "offset")
        return cls(**{**fields, **{name: tuple(fields[name]) for name in tuples}})

    def _tail(self, table: SeriesTable, counts: np.ndarray, number: int, end: int) -> np.ndarray:
        size = int(table.sizes[number])
        where = f"series {series_name(table, number)}" if self.series else "the table"
        if size < self.length:
            raise ValueError(
                f"{where} must have at least {self.length} steps of {len(self.channels)} channels, "
                f"but has {size}. Give the last steps before the forecast."
            )
        values = table.values[end - self.length : end]
        missing = np.argwhere(np.isnan(values))
        if missing.size:
            row, channel = missing[-1]
            raise ValueError(
                f"The last {self.length} steps of {where} must have a value in every channel, got "
                f"none in {self.channels[channel]!r}, {self.length - row} rows from the end. Fill "
                "it in, or leave out what follows."
            )
        if self.gaps == "split" and (counts[end - self.length : end - 1] > 1).any():
            raise ValueError(
                f"The last {self.length} steps of {where} must have no gap in {self.time_name!r}, "
                "got one. Fill in the steps that are missing."
            )
        return values
