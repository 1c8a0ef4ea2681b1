"""Offsets that float32 cannot hold beside what varies: found, and taken out in float64.

1e9 + 0, 1e9 + 1, ... are one number in float32. Less a number near them, they are 0, 1, ...
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

LEAST_LOSS = 1e-5
"""Rounding errors below this share of a column's deviation change nothing that can be learned."""

MOST_LOSS = 1e-3
"""Rounding errors above this share of a column's deviation are refused in plain arrays."""

_NOISE = 32 * np.finfo(np.float64).eps  # smaller deviations, by magnitude, are float64's own noise
_AT_A_TIME = 1 << 22  # number of values that are converted to float64 at once


def lost_digits(values: np.ndarray) -> np.ndarray:
    """Return how much of each column is lost by the cast to float32.

    That is the largest rounding error of a column, as a share of its standard deviation. It is 0
    for a constant column, also if it varies by no more than the rounding of float64. NaN and
    infinity count as absent.

    Args:
        values: Numbers [rows, *columns].

    Returns:
        Shares [*columns], float64.
    """
    shape = values.shape[1:]
    if not _may_lose(values):
        return np.zeros(shape)
    columns = values.reshape(len(values), -1)
    losses = np.zeros(columns.shape[1])
    step = max(1, _AT_A_TIME // len(values))
    for start in range(0, len(losses), step):
        block = np.ascontiguousarray(columns[:, start : start + step].T)
        losses[start : start + step] = [_loss(column) for column in block]
    return losses.reshape(shape)


def offset_of(values: np.ndarray) -> np.ndarray | None:
    """Return the number to take out of each column before the cast to float32.

    It is a value from the middle of a column that would otherwise lose more than `LEAST_LOSS`, and
    0 for any other.

    Args:
        values: Numbers [rows, *columns], such as a series [time, channels].

    Returns:
        Offsets [*columns], float64; None if no column needs one.
    """
    if values.dtype.kind not in "iuf" or values.size == 0:
        return None
    needs_one = lost_digits(values) > LEAST_LOSS
    if not needs_one.any():
        return None
    columns = values.reshape(len(values), -1)
    offsets = np.zeros(columns.shape[1])
    for column in np.flatnonzero(needs_one):
        offsets[column] = middle(columns[:, column])
    return offsets.reshape(needs_one.shape)


def without_offset(values: np.ndarray, offset: np.ndarray | float | None) -> np.ndarray:
    """Return values less the offset, in float64 [rows, *columns]; as they are without one."""
    if offset is None:
        return values
    if values.dtype.kind == "i":  # exact, also beyond 2^53
        whole = np.floor(offset).astype(np.int64)
        return (values - whole).astype(np.float64) - (offset - whole)
    return values.astype(np.float64) - offset


def with_offset(
    values: np.ndarray, offset: Any, row: Sequence[int], *, axes: int = 1
) -> np.ndarray:
    """Return predictions with the offset of the targets, in float64.

    Args:
        values: Predictions [..., *row]; or with an axis of levels behind it, such as quantiles; or
            with several times the last axis of a row, such as means and log variances. Each of
            them has the offset, as each is transformed back by `Study.targets`.
        offset: Offset of the targets, which broadcasts to a row.
        row: Shape of a row of targets.
        axes: Number of axes before those of a row: 1 for rows, 2 for members and rows.
    """
    row = tuple(row)
    offset = np.broadcast_to(np.asarray(offset, np.float64), row)
    if values.ndim == len(row) + axes + 1:
        return values + offset[..., None]
    if row and values.shape[-1] != row[-1] and values.shape[-1] % row[-1] == 0:
        offset = np.tile(offset, (1,) * (len(row) - 1) + (values.shape[-1] // row[-1],))
    return values + offset


def middle(column: np.ndarray) -> float:
    """Return a value from the middle of those of a column that are finite."""
    values = column[np.isfinite(column)]
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


def check_digits(values: np.ndarray, name: str, column_names: Sequence[str] = ()) -> None:
    """Raise unless float32 holds what varies in each column of an array."""
    if values.dtype.kind not in "iuf" or values.ndim == 0 or values.size == 0:
        return
    losses = lost_digits(values).reshape(-1)
    if not (losses > MOST_LOSS).any():
        return
    place = int(losses.argmax())
    column = values.reshape(len(values), -1)[:, place]
    is_named = len(column_names) == len(losses)
    label = f"column {column_names[place]!r} of {name}" if is_named else f"column {place} of {name}"
    low = float(np.nanmin(column))
    high = float(np.nanmax(column))
    raise ValueError(
        f"{name} must keep what varies in float32, got numbers from {low:.16g} to {high:.16g} in "
        f"{label if values.ndim > 1 else name}, which float32 rounds by up to "
        f"{losses[place]:.2g} deviations. Subtract {middle(column):.16g} in float64 first."
    )


def _may_lose(values: np.ndarray) -> bool:
    """Return whether values of this type can be rounded by the cast to float32."""
    if values.dtype.kind in "iu":
        return values.dtype.itemsize > 2
    return values.dtype.kind == "f" and values.dtype.itemsize > 4


def _loss(column: np.ndarray) -> float:
    column = column[np.isfinite(column)]
    if column.size < 2:
        return 0.0
    if column.dtype.kind == "u":
        column = column.astype(np.float64)
    largest = np.abs(column.astype(np.float64)).max()
    if largest > np.finfo(np.float32).max:  # refused by another check
        return 0.0
    # About one of the values, because integers from 2^53 on are rounded in float64 too.
    deviation = float((column - column[0]).std())
    noise = 0.0 if column.dtype.kind == "i" else _NOISE * largest
    if deviation <= noise:
        return 0.0
    rounded = column.astype(np.float32).astype(column.dtype)
    return float(np.abs(rounded - column).max() / deviation)
