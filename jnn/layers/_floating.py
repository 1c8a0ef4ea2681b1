"""The floating-point types of layers: computed in float32 or wider, returned in the type of x."""

import jax
import jax.numpy as jnp
from jax import Array


def widen(x: Array) -> Array:
    """Convert x to float32 or a wider type, in which sums keep their digits."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def narrow(y: Array, x: Array) -> Array:
    """Convert y to the type of x, unless x holds integers, which would cut off digits."""
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else y
