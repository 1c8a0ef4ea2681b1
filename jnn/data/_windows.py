"""Windows of a series as rows, cut out when they are read, so that the series is stored once."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any
"""A NumPy array on the host, or a JAX array on a device."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """An array of windows of a series, where row i is `values[i + offset : i + offset + length]`.

    It is indexed, and looks, like the array of all rows. The input and the target of a row are two
    `Windows` of one span: a forecast of 96 steps from 336 learns from
    `Windows(series, 336, span=432)` and `Windows(series, 96, offset=336, span=432)`.

    Attributes:
        values: Series [time, ...].
        length: Number of steps of a window.
        offset: Step of the span at which the window begins.
        span: Number of steps that a row takes in all, so that there are time - span + 1 rows; 0
            stands for offset + length.

    >>> Windows(np.arange(6), length=2, offset=1, span=3)[np.array([0, 3])]
    array([[1, 2],
           [4, 5]])
    """

    values: Array
    length: int = dataclasses.field(metadata={"static": True})
    offset: int = dataclasses.field(default=0, metadata={"static": True})
    span: int = dataclasses.field(default=0, metadata={"static": True})

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

    def __len__(self) -> int:
        return self.values.shape[0] - (self.span or self.offset + self.length) + 1

    def __getitem__(self, rows: Any) -> Array:
        """Return the windows of the selected rows, [*rows, length, ...].

        On the host, rows are selected as from any array: by numbers, which may count from the end,
        by a mask, or by a slice. Row numbers on the device must be from 0 to rows - 1.
        """
        is_on_host = not isinstance(rows, jax.Array)
        if is_on_host:
            rows = np.arange(len(self))[rows]
        if is_on_host and isinstance(self.values, np.ndarray):
            return self.values[rows[..., None] + self.offset + np.arange(self.length)]
        cut = jnp.vectorize(self._cut, signature="()->" + self._signature())
        return cut(jnp.asarray(rows))

    def stretch(self, rows: Any) -> "Windows":
        """Return consecutive rows as windows of a shorter series.

        Args:
            rows: Row numbers, a mask, or a slice.

        Raises:
            ValueError: If the rows do not follow each other.
        """
        numbers = np.arange(len(self))[rows]
        if numbers.ndim != 1 or not numbers.size or (np.diff(numbers) != 1).any():
            raise ValueError(
                f"Rows of a series must be a slice of it, got {numbers.size} rows that do not "
                "follow each other: windows that overlap would lose their order in time. Pass the "
                "rows to jnn.folds."
            )
        span = self.values.shape[0] - len(self) + 1
        return dataclasses.replace(self, values=self.values[numbers[0] : numbers[-1] + span])

    def covered(self, weights: Array) -> Array:
        """Return which steps the rows of positive weight cover, as 1 or 0.

        Args:
            weights: Weights [rows].

        Returns:
            Array [time] with 1 at every step in the span of a row of positive weight, else 0.
        """
        span = self.values.shape[0] - len(self) + 1
        is_counted = (weights > 0).astype(jnp.int32)
        begins = jnp.pad(is_counted, (0, span - 1))
        ends = jnp.pad(is_counted, (span, 0))[: self.values.shape[0]]
        return (jnp.cumsum(begins - ends) > 0).astype(jnp.float32)

    def _cut(self, row: Array) -> Array:
        """Cut one window as a contiguous slice, which is faster than gathering its steps."""
        return jax.lax.dynamic_slice_in_dim(self.values, row + self.offset, self.length)

    def _signature(self) -> str:
        return "(" + ",".join(f"a{i}" for i in range(self.values.ndim)) + ")"


def checked_span(time: int, length: int, horizon: int) -> int:
    """Return the steps that a window and its horizon take, or raise if the series has fewer."""
    span = length + horizon
    if length < 1 or horizon < 1 or span > time:
        raise ValueError(
            f"Windows must have at least one step and fit the series of {time} steps, got {length} "
            f"steps and {horizon} after them. Choose shorter windows."
        )
    return span
