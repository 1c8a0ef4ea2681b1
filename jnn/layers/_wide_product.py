"""Products of half precision that are summed to float32, with gradients of half precision.

The transpose of a product with a result in float32 multiplies a cotangent in float32, which takes
several times as long on an accelerator. So the derivative here rounds cotangents first, as that of
a product with a result in half precision does.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jnn.layers._floating import is_half


def wide_product(equation: str, a: Array, b: Array) -> Array:
    """Compute an einsum of a and b in float32 or wider."""
    if is_half(a) and a.dtype == b.dtype:
        return _of_halves(equation, a, b)
    return _einsum(equation, a, b)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _of_halves(equation: str, a: Array, b: Array) -> Array:
    return _einsum(equation, a, b)


@_of_halves.defjvp
def _of_halves_jvp(
    equation: str, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Differentiate: dy = da b + a db, each in half precision."""
    a, b = primals
    da, db = tangents
    y = _of_halves(equation, a, b)
    terms = (jnp.einsum(equation, da, b), jnp.einsum(equation, a, db))
    return y, terms[0].astype(y.dtype) + terms[1].astype(y.dtype)


def _einsum(equation: str, a: Array, b: Array) -> Array:
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.einsum(equation, a, b, preferred_element_type=wide)
