"""The floating-point types of layers: computed in float32 or wider, returned in the type of x."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def widen(x: Array) -> Array:
    """Convert x to float32 or a wider type, in which sums keep their digits."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def narrow(y: Array, x: Array) -> Array:
    """Convert y to the type of x, unless x holds integers, which would cut off digits."""
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else y


def sum_type(*arrays: Array) -> jnp.dtype:
    """Return the type in which products of the arrays are summed, of 32 bits or more for integers.

    A sum of uint8 would begin anew at 256.
    """
    dtype = jnp.result_type(*arrays)
    if jnp.issubdtype(dtype, jnp.inexact) or dtype.itemsize >= 4:
        return dtype
    return jnp.dtype(jnp.int32)


def is_half(x: Array) -> bool:
    """Return whether x holds numbers of 16 bits or fewer, in which long sums lose their digits."""
    return jnp.issubdtype(x.dtype, jnp.floating) and jnp.finfo(x.dtype).bits < 32


def broadcast_parameter(parameter: ArrayLike | Sequence[float], shape: Sequence[int]) -> Array:
    """Broadcast a parameter to a shape, so that its gradient is summed in float32 or wider.

    A broadcast in the forward pass is a sum in the backward pass. In bfloat16 a sum of equal terms
    stops growing at 256 of them, as XLA adds them on a CPU. The values stay as they are, because
    the way to float32 and back is exact. A parameter of float32 or wider is returned as it is, for
    the operation that follows to broadcast.
    """
    parameter = jnp.asarray(parameter)
    if not is_half(parameter):
        return parameter
    return jnp.broadcast_to(widen(parameter), shape).astype(parameter.dtype)
