"""Linear maps: a dense layer, the lookup in an embedding table, and a low-rank update."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer, Real

from jnn._arrays import as_arrays
from jnn._settings import check_number
from jnn.layers._floating import broadcast_parameter, is_half, narrow, sum_type, widen
from jnn.layers._product import product


def dense(
    x: Real[Array, "*batch in"],
    kernel: Float[Array, "in out"],
    bias: Float[Array, "out"] | None = None,
) -> Float[Array, "*batch out"]:
    """Multiply the last axis by a matrix and add a bias.

    y = x @ kernel + bias    in the type that x and kernel promote to, of 32 bits for integers

    The product is `jax.lax.dot_general`, as seen by checkpoint policies and `jax.experimental.jet`.
    In a program that is compiled for a CPU, the kernel's gradient of a small layer is computed from
    a transposed copy of x, which is faster there.

    Raises:
        ValueError: If the last axis of `x` does not match the first axis of `kernel`, or the bias
            is not one number for each column of `kernel`.

    >>> dense(jnp.array([1.0, 2.0]), jnp.array([[1.0], [10.0]]), jnp.array([0.5]))
    Array([21.5], dtype=float32)
    """
    x, kernel = as_arrays(x, kernel)
    _check_dense(x, kernel, bias)
    # With two axes the kernel's gradient is one matrix product; with more it is slower.
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    dtype = sum_type(x, kernel)
    y = product(jnp.asarray(rows, dtype), jnp.asarray(kernel, dtype))
    y = y.reshape(*x.shape[:-1], kernel.shape[1])
    return y if bias is None else y + broadcast_parameter(bias, y.shape)


def dot_general(
    lhs: Array,
    rhs: Array,
    dimension_numbers: lax.DotDimensionNumbers,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    *,
    out_sharding: jax.sharding.NamedSharding | jax.sharding.PartitionSpec | None = None,
) -> Array:
    """Compute `jax.lax.dot_general` with the product of `dense`: same arguments, same numbers.

    y = sum over the contracted axes of lhs * rhs

    Pass it to a Flax layer: `nnx.Linear(..., dot_general=jnn.layers.dot_general)`, or the same
    argument of `flax.linen.Dense`. A product of floating-point rows and a matrix uses the product
    of `dense`, with its faster gradient on a CPU. Every other product is left to `jax.lax`.

    Raises:
        ValueError: If the number of features in `lhs` differs from the number of rows of a matrix
            `rhs` (`jax.lax` raises a TypeError).

    >>> dot_general(jnp.ones((2, 3)), jnp.ones((3, 4)), (((1,), (0,)), ((), ()))).shape
    (2, 4)
    """
    contracted, batched = ([tuple(axes) for axes in pair] for pair in dimension_numbers)
    is_plain = (
        rhs.ndim == 2
        and lhs.ndim > 1
        and contracted == [(lhs.ndim - 1,), (0,)]
        and batched == [(), ()]
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

    Negative ids read the first row, and ids past the end read the last row, because a compiled
    program cannot raise an error. So a padding id of -1 yields finite numbers that a mask can
    remove. Check the ids where they are made.

    Raises:
        TypeError: If the ids are not integers.
        ValueError: If the table is not (vocab, dim) with one row or more.

    >>> embedding(jnp.array([1, 0, 9]), jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[3., 4.],
           [1., 2.],
           [3., 4.]], dtype=float32)
    """
    ids, table = as_arrays(ids, table)
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise TypeError(f"ids must be integers, got {ids.dtype}. Convert them with astype(int).")
    if table.ndim != 2 or table.shape[0] == 0:
        raise ValueError(
            f"table must be (vocab, dim) with one row or more, got shape {table.shape}. Give each "
            "id a row."
        )
    return _half_rows(table, ids) if is_half(table) else _rows(table, ids)


def lora(
    x: Real[Array, "*batch in"],
    kernel: Float[Array, "in out"],
    a: Float[Array, "in rank"],
    b: Float[Array, "rank out"],
    *,
    scale: float | int | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch out"]:
    """Multiply by a kernel plus a low-rank update, the product of two thin matrices.

    y = x @ kernel + scale * (x @ a) @ b    (Hu et al. 2021, https://arxiv.org/abs/2106.09685)

    The paper's alpha is `scale * rank`. With `b` at zero, where training starts, the result is
    `dense(x, kernel)`. The merged kernel is `kernel + scale * a @ b`.

    Raises:
        ValueError: If the shapes of the matrices do not match.

    >>> a, b = jnp.array([[1.0], [2.0]]), jnp.array([[10.0, 0.0]])
    >>> lora(jnp.ones(2), jnp.eye(2), a, b, scale=0.5)
    Array([16.,  1.], dtype=float32)
    """
    x, kernel, a, b = as_arrays(x, kernel, a, b)
    check_number("scale", scale, advice="It is alpha / rank of the paper.")
    y = dense(x, kernel)
    if b.ndim != 2 or b.shape[1] != kernel.shape[1]:
        raise ValueError(
            f"b must be (rank, {kernel.shape[1]}), with as many columns as the kernel "
            f"{kernel.shape}, got {b.shape}. Make it for this kernel."
        )
    update = dense(dense(x, a), b)
    update = broadcast_parameter(scale, update.shape) * update
    return y + narrow(update, y)


def _rows(table, ids):
    """Return the row of each id."""
    return jnp.take(table, ids, axis=0, mode="clip")


@jax.custom_jvp
def _half_rows(table, ids):
    """Return the row of each id; the shares of a frequent id in the gradient sum in float32."""
    return _rows(table, ids)


@_half_rows.defjvp
def _half_rows_jvp(primals, tangents):
    """Differentiate: dy = dtable[ids], in float32, because the transpose of this is a sum."""
    table, ids = primals
    return _half_rows(table, ids), _rows(widen(tangents[0]), ids).astype(table.dtype)


def _check_dense(x, kernel, bias) -> None:
    """Raise an error if the shapes of x, kernel and bias do not match."""
    if x.ndim == 0 or kernel.ndim != 2:
        raise ValueError(
            f"x must be (*batch, in) and kernel must be (in, out), got x {x.shape} and kernel "
            f"{kernel.shape}. Reshape the kernel to two axes."
        )
    if x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            f"x must have {kernel.shape[0]} features on its last axis, as many as the kernel "
            f"{kernel.shape} has rows, got x {x.shape}. Transpose the kernel if it is stored as "
            "(out, in)."
        )
    if bias is not None and np.shape(bias) != kernel.shape[1:]:
        raise ValueError(
            f"bias must have the shape {kernel.shape[1:]}, one number for each column of the "
            f"kernel {kernel.shape}, got {np.shape(bias)}. Reshape it, or add it after the product."
        )
