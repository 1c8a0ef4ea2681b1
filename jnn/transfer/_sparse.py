"""Sparse features, such as tf-idf: each row as the columns and the values that are not zero."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_NAMES = ("data", "indices", "indptr", "shape")


def is_sparse(features: Any) -> bool:
    """Return whether features are a sparse matrix of SciPy."""
    return hasattr(features, "tocsr")


def as_rows(matrix: Any) -> dict[str, np.ndarray]:
    """Return a sparse matrix as arrays of equal rows.

    Returns:
        `columns`, int32 [rows, most], and `values`, float32 [rows, most], where most is the largest
        number of values of a row. Shorter rows end with zeros.
    """
    matrix = matrix.tocsr()
    counts = np.diff(matrix.indptr)
    most = max(1, int(counts.max(initial=0)))
    filled = np.arange(most) < counts[:, None]
    columns = np.zeros(filled.shape, np.int32)
    values = np.zeros(filled.shape, np.float32)
    columns[filled] = matrix.indices
    values[filled] = matrix.data
    return {"columns": columns, "values": values}


def joined_sparse(parts: list[Any]) -> Any:
    """Return the rows of several sparse matrices as one."""
    import scipy.sparse

    return scipy.sparse.vstack(parts, format="csr")


def packed(features: Any) -> Any:
    """Return features as a tree of arrays that a file can hold."""
    if not is_sparse(features):
        return {"features": features}
    matrix = features.tocsr()
    return {"csr": {name: np.asarray(getattr(matrix, name)) for name in _NAMES}}


def unpacked(tree: Any) -> Any:
    """Return the features that `packed` was given."""
    import scipy.sparse

    if "csr" not in tree:
        return tree["features"]
    data, indices, indptr, shape = (tree["csr"][name] for name in _NAMES)
    return scipy.sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))


def product(x: Any, kernel: jax.Array) -> jax.Array:
    """Return x @ kernel, [rows, outputs], of dense features or sparse rows."""
    if isinstance(x, Mapping):
        return _sparse_product(x["columns"], x["values"], kernel)
    return x @ kernel


def transposed_product(x: Any, errors: jax.Array, features: int) -> jax.Array:
    """Return x^T @ errors, [features, outputs], of dense features or sparse rows."""
    if isinstance(x, Mapping):
        return _make_transposed(features)(x["columns"], x["values"], errors)
    return x.T @ errors


def mean_squares(x: Any, features: int) -> jax.Array:
    """Return the mean square of each feature over the rows, [features]."""
    if isinstance(x, Mapping):
        squares = jnp.zeros(features).at[x["columns"]].add(x["values"] ** 2)
        return squares / len(x["values"])
    return (x**2).mean(axis=0)


@jax.custom_batching.custom_vmap
def _sparse_product(columns: jax.Array, values: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.einsum("rk,rko->ro", values, kernel[columns])


@_sparse_product.def_vmap
def _sparse_products(
    size: int, batched: list[bool], columns: jax.Array, values: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, bool]:
    """Return the products of the kernels of all members with one gather for each value of a row.

    A gather copies the outputs of all members, which stand beside each other, and not each
    member's few.
    """
    if batched != [False, False, True]:
        return _one_by_one(_sparse_product.fun, batched)(columns, values, kernel), True
    wide = kernel.transpose(1, 0, 2).reshape(kernel.shape[1], -1)  # [features, members * outputs]

    def add(place: int, total: jax.Array) -> jax.Array:
        return total + values[:, place, None] * wide[columns[:, place]]

    total = jnp.zeros((len(values), wide.shape[1]), kernel.dtype)
    total = jax.lax.fori_loop(0, values.shape[1], add, total)
    return total.reshape(len(values), size, -1).transpose(1, 0, 2), True


@functools.cache
def _make_transposed(features: int) -> Callable[..., jax.Array]:
    """Make the product of transposed sparse rows [rows, features] with errors."""

    @jax.custom_batching.custom_vmap
    def transposed(columns: jax.Array, values: jax.Array, errors: jax.Array) -> jax.Array:
        zeros = jnp.zeros((features, errors.shape[1]), errors.dtype)
        return zeros.at[columns].add(values[..., None] * errors[:, None])

    @transposed.def_vmap
    def rule(
        size: int, batched: list[bool], columns: jax.Array, values: jax.Array, errors: jax.Array
    ) -> tuple[jax.Array, bool]:
        if batched != [False, False, True]:
            return _one_by_one(transposed.fun, batched)(columns, values, errors), True
        wide = errors.transpose(1, 0, 2).reshape(errors.shape[1], -1)

        def add(place: int, total: jax.Array) -> jax.Array:
            return total.at[columns[:, place]].add(values[:, place, None] * wide)

        total = jnp.zeros((features, wide.shape[1]), errors.dtype)
        total = jax.lax.fori_loop(0, values.shape[1], add, total)
        return total.reshape(features, size, -1).transpose(1, 0, 2), True

    return transposed


def _one_by_one(function: Callable[..., jax.Array], batched: list[bool]) -> Callable[..., Any]:
    return jax.vmap(function, in_axes=tuple(0 if one else None for one in batched))
