"""What `shard_map` asks of a primitive: operands that vary over the same axes of its mesh."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def vary_alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Inside `shard_map`, let both vary over the same mesh axes, so that gradients are summed over them.

    JAX's own functions do this by themselves, so a selection that always takes its first operand is enough.
    """
    if varies_over(a) == varies_over(b):
        return a, b
    first = [x.ravel()[0] for x in (a, b)]
    return jnp.where(True, a, first[1].astype(a.dtype)), jnp.where(True, b, first[0].astype(b.dtype))


def varies_over(a: Array) -> Any:
    """Return the mesh axes that an array's type says it varies over, under the name that this version of JAX has."""
    kind = jax.typeof(a)
    return getattr(kind, "mat", None) or getattr(kind, "vma", None)
