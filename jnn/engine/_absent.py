"""Rows of weight 0, of which neither loss nor gradient may learn, even if they hold NaN."""

import jax
import jax.numpy as jnp

from jnn.engine._state import Leaf, Tree, has_rows


def without_absent(values: Tree, weights: Leaf) -> Tree:
    """Return rows in which every NaN or infinite number of a row of weight 0 is 0.

    The gradient of a layer multiplies its inputs by the gradient of its outputs, and 0 * NaN is
    NaN. All other numbers stay as they are.

    Args:
        values: Arrays [rows, ...], or None.
        weights: [rows].
    """

    def finite(array: jax.Array) -> jax.Array:
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            return array
        column = weights.reshape(-1, *(1,) * (array.ndim - 1))
        return jnp.where((column == 0) & ~jnp.isfinite(array), 0, array)

    return jax.tree.map(finite, values, is_leaf=has_rows)


def weighted(losses: jax.Array, weights: Leaf) -> jax.Array:
    """Return w l of each row; 0 for a row of weight 0 even if its loss is NaN or infinite."""
    return jnp.where(weights == 0, 0, losses * weights)
