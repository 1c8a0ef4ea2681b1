"""Windows of one series or several, cut out when they are read, so that each is stored once."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import check_integer

Array = Any
"""A NumPy array on the host, or a JAX array on a device."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """An array of windows of a series, where row i is `values[i + offset : i + offset + length]`.

    With `starts`, row i begins at step `starts[i]` instead of step i, so that several series can
    stand one after the other in `values` without a window that crosses from one into the next.

    It is indexed, and looks, like the array of all rows. The input and the target of a row are two
    `Windows` of one span: a forecast of 96 steps from 336 learns from
    `Windows(series, 336, span=432)` and `Windows(series, 96, offset=336, span=432)`.

    Attributes:
        values: Series [time, ...].
        length: Number of steps of a window.
        offset: Step of the span at which the window begins.
        span: Number of steps that a row takes in all, so that there are time - span + 1 rows; 0
            stands for offset + length.
        starts: Step at which the span of each row begins, int [rows]; None if row i begins at step
            i.

    >>> Windows(np.arange(6), length=2, offset=1, span=3)[np.array([0, 3])]
    array([[1, 2],
           [4, 5]])
    """

    values: Array
    length: int = dataclasses.field(metadata={"static": True})
    offset: int = dataclasses.field(default=0, metadata={"static": True})
    span: int = dataclasses.field(default=0, metadata={"static": True})
    starts: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of all rows, (rows, length, ...)."""
        return (len(self), self.length, *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes, including those of rows and of time."""
        return self.values.ndim + 1

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.values.dtype

    @property
    def steps(self) -> int:
        """Number of steps that a row takes in all."""
        return self.span or self.offset + self.length

    def __len__(self) -> int:
        if self.starts is not None:
            return self.starts.shape[0]
        return self.values.shape[0] - self.steps + 1

    def __getitem__(self, rows: Any) -> Array:
        """Return the windows of the selected rows, [*rows, length, ...].

        On the host, rows are selected as from any array: by numbers, which may count from the end,
        by a mask, or by a slice. Row numbers on the device must be from 0 to rows - 1.
        """
        is_on_host = not isinstance(rows, jax.Array)
        if is_on_host:
            rows = np.arange(len(self))[rows]
        if is_on_host and isinstance(self.values, np.ndarray):
            begins = rows if self.starts is None else np.asarray(self.starts)[rows]
            return self.values[begins[..., None] + self.offset + np.arange(self.length)]
        cut = jnp.vectorize(self._cut, signature="()->" + self._signature())
        return cut(jnp.asarray(rows))

    def stretch(self, rows: Any) -> "Windows":
        """Return consecutive rows as windows of a shorter series.

        Windows with `starts` keep their series, and any rows can be chosen of them.

        Args:
            rows: Row numbers, a mask, or a slice.

        Raises:
            ValueError: If the rows do not follow each other.
        """
        if self.starts is not None:
            return dataclasses.replace(self, starts=np.asarray(self.starts)[rows])
        numbers = np.arange(len(self))[rows]
        if numbers.ndim != 1 or not numbers.size or (np.diff(numbers) != 1).any():
            raise ValueError(
                f"Rows of a series must be a slice of it, got {numbers.size} rows that do not "
                "follow each other: windows that overlap would lose their order in time. Pass the "
                "rows to jnn.folds."
            )
        stop = numbers[-1] + self.steps
        return dataclasses.replace(self, values=self.values[numbers[0] : stop])

    def covered(self, weights: Array) -> Array:
        """Return which steps the rows of positive weight cover, as 1 or 0.

        Args:
            weights: Weights [rows].

        Returns:
            Array [time] with 1 at every step in the span of a row of positive weight, else 0.
        """
        is_counted = (weights > 0).astype(jnp.int32)
        if self.starts is not None:
            changes = jnp.zeros(self.values.shape[0] + 1, jnp.int32)
            changes = changes.at[self.starts].add(is_counted)
            changes = changes.at[self.starts + self.steps].add(-is_counted)
            return (jnp.cumsum(changes)[:-1] > 0).astype(jnp.float32)
        begins = jnp.pad(is_counted, (0, self.steps - 1))
        ends = jnp.pad(is_counted, (self.steps, 0))[: self.values.shape[0]]
        return (jnp.cumsum(begins - ends) > 0).astype(jnp.float32)

    def _cut(self, row: Array) -> Array:
        """Cut one window as a contiguous slice, which is faster than gathering its steps."""
        begin = row if self.starts is None else jnp.asarray(self.starts)[row]
        return jax.lax.dynamic_slice_in_dim(self.values, begin + self.offset, self.length)

    def _signature(self) -> str:
        return "(" + ",".join(f"a{i}" for i in range(self.values.ndim)) + ")"


def checked_span(time: int, length: int, horizon: int) -> int:
    """Return the steps that a window and its horizon take, or raise if the series has fewer.

    Raises:
        TypeError: If a number of steps is not an integer.
        ValueError: If it is below 1, or if the series is too short.
    """
    for name, steps in (("length", length), ("horizon", horizon)):
        check_integer(name, steps)
    span = int(length) + int(horizon)
    if span > time:
        raise ValueError(
            f"Windows must fit the series of {time} steps, got {length} steps and {horizon} after "
            "them. Choose shorter windows."
        )
    return span


def values_of(array: Any) -> Any:
    """Return the series behind `Windows`, and anything else as it is."""
    return array.values if isinstance(array, Windows) else array


def with_values(array: Any, values: np.ndarray) -> np.ndarray | Windows:
    """Return `Windows` of other values, or the values themselves where there are no windows."""
    return dataclasses.replace(array, values=values) if isinstance(array, Windows) else values
