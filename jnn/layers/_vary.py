"""Operands of primitives and loops inside `shard_map`: they must vary over the same mesh axes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def vary_alike(*arrays: Array) -> tuple[Array, ...]:
    """Make all arrays vary over the same mesh axes, so that gradients are summed over the axes.

    JAX's own functions do this themselves, so it is enough to pass each array through a selection
    that always takes its first operand and whose second operand depends on all arrays. Outside of
    `shard_map` the arrays are returned as they are.
    """
    if all(varies_over(array) == varies_over(arrays[0]) for array in arrays):
        return arrays
    # One number of each array; the sum allows for an empty array.
    firsts = (array.ravel()[:1].sum().astype(jnp.float32) for array in arrays)
    anywhere = lax.stop_gradient(functools.reduce(jnp.add, firsts))
    return tuple(jnp.where(True, array, anywhere.astype(array.dtype)) for array in arrays)


def varies_over(array: Array) -> Any:
    """Return the mesh axes that an array varies over, under the name of this version of JAX."""
    kind = jax.typeof(array)
    return getattr(kind, "mat", None) or getattr(kind, "vma", None)
