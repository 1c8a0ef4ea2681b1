"""Arrays as functions receive them: JAX's, NumPy's, nested lists, and integers of 64 bits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def as_array(x: Any) -> Array:
    """Return x as an array of JAX, whether it is one, one of NumPy, a number or a nested list.

    Integers that JAX cannot hold become the nearest that it can, because an id of 2**40 that wraps
    around to 0 would look like a right one.

    Raises:
        TypeError: If x holds something else than numbers.
        ValueError: If x is a nested list whose rows differ in length.
    """
    if isinstance(x, Array):
        return x
    if isinstance(x, list | tuple) and not any(isinstance(n, Array) for n in jax.tree.leaves(x)):
        x = np.asarray(x)
    if isinstance(x, np.ndarray | np.generic) and np.issubdtype(x.dtype, np.integer):
        limits = jnp.iinfo(np.dtype(jax.dtypes.canonicalize_dtype(x.dtype)))
        if 8 * x.dtype.itemsize > limits.bits:
            x = np.clip(x, limits.min, limits.max)
    return jnp.asarray(x)


def as_arrays(*arrays: Any) -> tuple[Array, ...]:
    """Return each as an array of JAX, see `as_array`."""
    return tuple(map(as_array, arrays))


def absolute(x: Array) -> Array:
    """Return |x| with the slope 0 at 0, where `jnp.abs` has 1: the subgradient of PyTorch."""
    return x * lax.stop_gradient(jnp.sign(x))
