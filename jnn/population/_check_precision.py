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

_NOISE = 4 * float(jnp.finfo(jnp.float32).eps)  # of a constant column, by magnitude
_MOST_ROWS = 1 << 16  # of a column that are looked at


def check_precision(study: Study, data: Dataset) -> None:
    """Raise ValueError if bfloat16 would round away what varies in the inputs.

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
    width = 1 if values.ndim == 1 else values.shape[-1]
    columns = np.reshape(values, (-1, width))
    some = np.asarray(columns[:: -(-len(columns) // _MOST_ROWS)])
    for place, column in enumerate(some.T):
        _check_column(f"column {place} of {name}" if width > 1 else name, column)


def _check_column(name: str, column: np.ndarray) -> None:
    column = column[np.isfinite(column)].astype(np.float64)
    deviation = column.std() if column.size else 0.0
    if deviation <= _NOISE * np.abs(column).max(initial=0.0):
        return
    errors = column.astype(jnp.bfloat16).astype(np.float64) - column
    loss = np.sqrt(np.mean(errors**2)) / deviation
    if loss > MOST_LOSS:
        raise ValueError(
            f"precision='bfloat16' must keep what varies in x, but it would round {name}, from "
            f"{column.min():.6g} to {column.max():.6g}, by {loss:.2g} of its deviation. Use "
            "Study(inputs=jnn.preprocess.standardize), integers for ids, or precision='float32'."
        )
