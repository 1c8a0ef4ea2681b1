"""What `shard_map` asks of a primitive or a loop: operands that vary over the same axes of its mesh."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def vary_alike(*arrays: Array) -> tuple[Array, ...]:
    """Inside `shard_map`, let all vary over the same mesh axes, so that gradients are summed over them.

    JAX's own functions do this by themselves, so a selection that always takes its first operand is enough.
    """
    if all(varies_over(a) == varies_over(arrays[0]) for a in arrays):
        return arrays
    firsts = (
        a.ravel()[:1].sum().astype(jnp.float32) for a in arrays
    )  # sums, as an array may be empty
    anywhere = lax.stop_gradient(functools.reduce(jnp.add, firsts))
    return tuple(jnp.where(True, a, anywhere.astype(a.dtype)) for a in arrays)


def varies_over(a: Array) -> Any:
    """Return the mesh axes that an array's type says it varies over, under the name that this version of JAX has."""
    kind = jax.typeof(a)
    return getattr(kind, "mat", None) or getattr(kind, "vma", None)
