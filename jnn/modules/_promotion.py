"""How layers of Flax promote types, with long sums and statistics in float32.

Flax calls the `promote_dtype` of a layer on its input and its parameters. The functions here
promote as Flax's own does, but for what half precision cannot hold.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax.nnx.nn.dtypes import canonicalize_dtype, promote_dtype
from jax.typing import DTypeLike

from jnn.layers import widen

Arrays = tuple[jax.Array | None, ...]


def promote_with_wide_bias(
    arrays: Arrays, /, *, dtype: DTypeLike | None = None, inexact: bool = True
) -> Arrays:
    """Promote x, kernel and bias to one type, and then the bias to float32 or wider.

    The layer adds the bias in that type, so the gradient of the bias is summed in it.
    """
    *others, bias = promote_dtype(arrays, dtype=dtype, inexact=inexact)
    return *others, None if bias is None else widen(bias)


def narrow_output(layer: Any, y: jax.Array, x: jax.Array) -> jax.Array:
    """Return the output of such a layer in the type that it would have with a narrow bias."""
    if layer.bias is None or layer.promote_dtype is not promote_with_wide_bias:
        return y
    dtype = canonicalize_dtype(x, layer.kernel[...], layer.bias[...], dtype=layer.dtype)
    return y.astype(jnp.promote_types(dtype, layer.preferred_element_type or dtype))
