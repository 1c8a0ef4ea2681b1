"""What is checked of the inputs of a study that computes in bfloat16, which keeps 8 bits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import Dataset, Windows
from jnn.preprocess import identity
from jnn.study import Study

MOST_LOSS = 0.05
"""Rounding errors, by root mean square, above this share of a column's deviation are refused."""

_WHOLE = 256  # up to here bfloat16 holds every whole number
_MOST_AXES = 3  # rows, time, features; whole numbers of images are brightness, and no ids
_AT_A_TIME = 1 << 22  # number of values that are converted to float64 at once

_ADVICE = (
    "Use Study(inputs=jnn.preprocess.standardize), pass ids as an array of integers, which is not "
    "rounded, or use precision='float32'."
)


def check_precision(study: Study, data: Dataset) -> None:
    """Raise ValueError if bfloat16 would merge ids or round away what varies in the inputs.

    Preprocessing centers what the network reads, so inputs are checked only if they reach it as
    they are.
    """
    if study.precision != "bfloat16" or study.inputs is not identity or study.trainer is not None:
        return
    leaves = jax.tree_util.tree_leaves_with_path(
        data.x, is_leaf=lambda node: isinstance(node, Windows)
    )
    for path, leaf in leaves:
        _check_array(f"x{jax.tree_util.keystr(path)} of {data.name}", leaf)


def _check_array(name: str, leaf: Any) -> None:
    """Raise ValueError if an array of inputs [rows, ..., columns] loses what it says."""
    is_series = isinstance(leaf, Windows)
    values = leaf.values if is_series else leaf
    if not jnp.issubdtype(values.dtype, jnp.floating) or values.size == 0:
        return
    axes = leaf.ndim
    width = 1 if values.ndim == 1 else values.shape[-1]
    columns = np.reshape(values, (-1, width))
    step = max(1, _AT_A_TIME // len(columns))
    for start in range(0, width, step):
        block = np.asarray(columns[:, start : start + step], np.float64)
        for place, column in enumerate(block.T, start):
            _check_column(f"column {place} of {name}" if width > 1 else name, column, axes)


def _check_column(name: str, column: np.ndarray, axes: int) -> None:
    column = column[np.isfinite(column)]
    if column.size == 0 or np.abs(column).max() <= 1:
        return
    errors = column.astype(jnp.bfloat16).astype(np.float64) - column
    if axes <= _MOST_AXES and errors.any() and not (column % 1).any():
        first = column[errors != 0][0]
        raise ValueError(
            f"precision='bfloat16' must keep whole numbers apart, which it does up to {_WHOLE}, "
            f"but it would read {first:.0f} in {name} as {float(jnp.bfloat16(first)):.0f}. "
            + _ADVICE
        )
    deviation = column.std()
    loss = np.sqrt(np.mean(errors**2)) / deviation if deviation > 0 else 0.0
    if loss > MOST_LOSS:
        raise ValueError(
            f"precision='bfloat16' must keep what varies in x, but it would round {name}, from "
            f"{column.min():.6g} to {column.max():.6g}, by {loss:.2g} of its deviation. " + _ADVICE
        )
