"""The floating-point types of layers: computed in float32 at least, returned in the type that came."""

import jax
import jax.numpy as jnp
from jax import Array


def widen(x: Array) -> Array:
    """Return x in float32 at least, in which sums keep their digits."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def narrow(y: Array, x: Array) -> Array:
    """Return y in the type of x, or as it is if x holds whole numbers, which would cut off its digits."""
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else y
