"""Linear maps: dense, embedding (a row of a table) and the low-rank update of a frozen kernel."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer, Real

from jnn.layers._product import product


def dense(
    x: Real[Array, "*batch in"],
    kernel: Float[Array, "in out"],
    bias: Float[Array, "out"] | None = None,
) -> Float[Array, "*batch out"]:
    """Multiply the last axis by a matrix and add a bias.

    y = x @ kernel + bias    in the type that the two promote to

    Raises:
        ValueError: If the last axis of `x` is not the first of `kernel`, or the bias is not one number for each column.

    >>> dense(jnp.array([1.0, 2.0]), jnp.array([[1.0], [10.0]]), jnp.array([0.5]))
    Array([21.5], dtype=float32)
    """
    _check_dense(x, kernel, bias)
    # Two axes only: the kernel's gradient is then one matrix product, with more axes the compiler finds a slower one.
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    dtype = jnp.result_type(x, kernel)
    y = product(jnp.asarray(rows, dtype), jnp.asarray(kernel, dtype)).reshape(
        *x.shape[:-1], kernel.shape[1]
    )
    return y if bias is None else y + jnp.asarray(bias)


def dot_general(
    lhs: Array,
    rhs: Array,
    dimension_numbers: lax.DotDimensionNumbers,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    *,
    out_sharding: jax.sharding.NamedSharding | jax.sharding.PartitionSpec | None = None,
) -> Array:
    """`jax.lax.dot_general` with the product of `dense`: same arguments, same numbers.

    sum over the contracted axes of lhs * rhs

    Made to be given to a Flax layer: `nnx.Linear(..., dot_general=jnn.layers.dot_general)`, and the same argument of
    `flax.linen.Dense`. The last axis of floating-point rows times the first of a matrix gets the product, whose kernel
    gradient is faster on a CPU; all else goes to `jax.lax` as it is.

    Raises:
        ValueError: If the rows have not as many features as the matrix has rows (`jax.lax` raises a TypeError).

    >>> dot_general(jnp.ones((2, 3)), jnp.ones((3, 4)), (((1,), (0,)), ((), ()))).shape
    (2, 4)
    """
    is_plain = (
        rhs.ndim == 2
        and lhs.ndim > 1
        and [[tuple(axes) for axes in pair] for pair in dimension_numbers]
        == [[(lhs.ndim - 1,), (0,)], [(), ()]]
        and lhs.dtype == rhs.dtype == (preferred_element_type or lhs.dtype)
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and out_sharding is None
    )
    if not is_plain:
        return lax.dot_general(
            lhs,
            rhs,
            dimension_numbers,
            precision,
            preferred_element_type,
            out_sharding=out_sharding,
        )
    _check_dense(lhs, rhs, None)
    rows = lhs.reshape(math.prod(lhs.shape[:-1]), lhs.shape[-1])
    return product(rows, rhs, precision=precision).reshape(*lhs.shape[:-1], rhs.shape[1])


def embedding(
    ids: Integer[Array, "*batch"], table: Float[Array, "vocab dim"]
) -> Float[Array, "*batch dim"]:
    """Look up one row of the table for each id.

    y[..., :] = table[clip(ids[...], 0, vocab - 1), :]

    Ids below 0 read the first row and ids past the end the last one, because a compiled program cannot raise; check
    the ids where they are made. `modules.Embedding`, which is Flax's, counts ids below 0 from the end of the table and
    gives NaN for those outside of it.

    >>> embedding(jnp.array([1, 0, 9]), jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[3., 4.],
           [1., 2.],
           [3., 4.]], dtype=float32)
    """
    return jnp.take(table, ids, axis=0, mode="clip")


def lora(
    x: Real[Array, "*batch in"],
    kernel: Float[Array, "in out"],
    a: Float[Array, "in rank"],
    b: Float[Array, "rank out"],
    *,
    scale: float | int | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch out"]:
    """Multiply by a kernel that is updated by a product of two thin matrices.

    y = x @ kernel + scale * (x @ a) @ b    (Hu et al. 2021, https://arxiv.org/abs/2106.09685; scale = alpha / rank)

    With `b` at zero, where training starts, this is `dense(x, kernel)`. `kernel + scale * a @ b` merges the two.

    Raises:
        ValueError: If the shapes do not chain.

    >>> lora(jnp.ones(2), jnp.eye(2), jnp.array([[1.0], [2.0]]), jnp.array([[10.0, 0.0]]), scale=0.5)
    Array([16.,  1.], dtype=float32)
    """
    y = dense(x, kernel)
    if b.ndim != 2 or b.shape[1] != kernel.shape[1]:
        raise ValueError(
            f"wanted b (rank, {kernel.shape[1]}), as many columns as the kernel {kernel.shape} has, "
            f"but got {b.shape}; make it for this kernel"
        )
    return y + (scale * dense(dense(x, a), b)).astype(y.dtype)


def _check_dense(x, kernel, bias) -> None:
    """Refuse shapes that do not chain."""
    if x.ndim == 0 or kernel.ndim != 2:
        raise ValueError(
            f"wanted x (*batch, in) and kernel (in, out), but got x {x.shape} and kernel {kernel.shape}; "
            "reshape the kernel to two axes"
        )
    if x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            f"wanted {kernel.shape[0]} features on the last axis of x, as the kernel {kernel.shape} has rows, "
            f"but got x {x.shape}; transpose the kernel if it is stored as (out, in)"
        )
    if bias is not None and np.shape(bias) != kernel.shape[1:]:
        raise ValueError(
            f"wanted a bias {kernel.shape[1:]}, one number for each column of the kernel {kernel.shape}, "
            f"but got {np.shape(bias)}; reshape it, or add it after the product"
        )
