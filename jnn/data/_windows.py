"""Windows of a series as rows that are cut out when they are read, so that a series is kept once and never copied."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # a NumPy array on the host, a JAX array on a device


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Row i is `values[i + offset : i + offset + length]`; it is indexed, and looks, like the array of all rows.

    A row's input and target are two `Windows` of one span: `Windows(series, 336, span=432)` and
    `Windows(series, 96, offset=336, span=432)` are what a forecast of 96 steps from 336 learns from.

    Attributes:
        values: [time, ...].
        length: Steps of a window.
        offset: Where the window begins in its span.
        span: Steps that a row takes in all; there are time - span + 1 rows.

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
        """(rows, length, ...)."""
        return (len(self), self.length, *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        """Axes, with those of rows and of time."""
        return self.values.ndim + 1

    @property
    def dtype(self) -> Any:
        """That of the series."""
        return self.values.dtype

    def __len__(self) -> int:
        return self.values.shape[0] - (self.span or self.offset + self.length) + 1

    def __getitem__(self, rows: Any) -> Array:
        """The windows of the chosen rows, [*rows, length, ...].

        Rows on the host are chosen as from any array: by numbers, from the end too, by a mask or a slice. Row numbers
        on the device are taken as they are, from 0 to rows - 1.
        """
        is_on_host = not isinstance(rows, jax.Array)
        if is_on_host:
            rows = np.arange(len(self))[rows]
        if is_on_host and isinstance(self.values, np.ndarray):
            return self.values[rows[..., None] + self.offset + np.arange(self.length)]
        cut = jnp.vectorize(self._cut, signature="()->" + self._signature())
        return cut(jnp.asarray(rows))

    def stretch(self, rows: Any) -> "Windows":
        """Consecutive rows (numbers, a mask or a slice) as windows of a shorter series; a ValueError for any others."""
        chosen = np.arange(len(self))[rows]
        if chosen.ndim != 1 or not chosen.size or (np.diff(chosen) != 1).any():
            raise ValueError(
                f"wanted a slice of a series, got {chosen.size} rows that do not follow each other: windows that "
                "overlap would lose their order in time, pass the rows to jnn.folds"
            )
        span = self.values.shape[0] - len(self) + 1
        return dataclasses.replace(self, values=self.values[chosen[0] : chosen[-1] + span])

    def covered(self, weights: Array) -> Array:
        """From weights [rows] to [time]: 1 at every step that the span of a row of weight above 0 covers, else 0."""
        span = self.values.shape[0] - len(self) + 1
        real = (weights > 0).astype(jnp.int32)
        begins, ends = (
            jnp.pad(real, (0, span - 1)),
            jnp.pad(real, (span, 0))[: self.values.shape[0]],
        )
        return (jnp.cumsum(begins - ends) > 0).astype(jnp.float32)

    def _cut(self, row: Array) -> Array:
        """One window, as one contiguous slice: faster than gathering its steps."""
        return jax.lax.dynamic_slice_in_dim(self.values, row + self.offset, self.length)

    def _signature(self) -> str:
        return "(" + ",".join(f"a{i}" for i in range(self.values.ndim)) + ")"


def checked_span(time: int, length: int, horizon: int) -> int:
    """The steps that a window and what follows it take; one sentence if a series of `time` steps has fewer."""
    span = length + horizon
    if length < 1 or horizon < 1 or span > time:
        raise ValueError(
            f"wanted windows of at least one step that fit the series, got {length} steps and {horizon} after them of "
            f"{time}: choose shorter windows"
        )
    return span
