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


def product(kernel: jax.Array, x: Any) -> jax.Array:
    """Return kernel @ x^T, [outputs, rows], of dense features or sparse rows.

    Args:
        kernel: [outputs, features].
        x: Features [rows, features], or `columns` and `values` of rows.
    """
    if isinstance(x, Mapping):
        return _sparse_product(kernel, x["columns"], x["values"])
    return kernel @ x.T


def row_sums(errors: jax.Array, x: Any, features: int) -> jax.Array:
    """Return errors @ x, [outputs, features], of dense features or sparse rows.

    Args:
        errors: [outputs, rows].
        x: Features [rows, features], or `columns` and `values` of rows.
        features: Number of features.
    """
    if isinstance(x, Mapping):
        return _make_row_sums(features)(errors, x["columns"], x["values"])
    return errors @ x


def mean_squares(x: Any, features: int) -> jax.Array:
    """Return the mean square of each feature over the rows, [features]."""
    if isinstance(x, Mapping):
        squares = jnp.zeros(features).at[x["columns"]].add(x["values"] ** 2)
        return squares / len(x["values"])
    return (x**2).mean(axis=0)


@jax.custom_batching.custom_vmap
def _sparse_product(kernel: jax.Array, columns: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.einsum("rk,ork->or", values, kernel[:, columns])


@_sparse_product.def_vmap
def _sparse_products(
    size: int, batched: list[bool], kernel: jax.Array, columns: jax.Array, values: jax.Array
) -> tuple[jax.Array, bool]:
    """Return the products of the kernels of all members with one gather for each value of a row.

    A gather copies the outputs of all members, which stand beside each other, and not each
    member's few.
    """
    if batched != [True, False, False]:
        return _one_by_one(_sparse_product.fun, batched)(kernel, columns, values), True
    wide = kernel.reshape(-1, kernel.shape[2]).T  # [features, members * outputs]

    def add(place: int, total: jax.Array) -> jax.Array:
        return total + values[:, place, None] * wide[columns[:, place]]

    total = jnp.zeros((len(values), wide.shape[1]), kernel.dtype)
    total = jax.lax.fori_loop(0, values.shape[1], add, total)
    return total.T.reshape(size, -1, len(values)), True


@functools.cache
def _make_row_sums(features: int) -> Callable[..., jax.Array]:
    """Make the product of errors with sparse rows of this number of features."""

    @jax.custom_batching.custom_vmap
    def sums(errors: jax.Array, columns: jax.Array, values: jax.Array) -> jax.Array:
        zeros = jnp.zeros((len(errors), features), errors.dtype)
        return zeros.at[:, columns].add(values * errors[..., None])

    @sums.def_vmap
    def rule(
        size: int, batched: list[bool], errors: jax.Array, columns: jax.Array, values: jax.Array
    ) -> tuple[jax.Array, bool]:
        if batched != [True, False, False]:
            return _one_by_one(sums.fun, batched)(errors, columns, values), True
        wide = errors.reshape(-1, errors.shape[2]).T  # [rows, members * outputs]

        def add(place: int, total: jax.Array) -> jax.Array:
            return total.at[columns[:, place]].add(values[:, place, None] * wide)

        total = jnp.zeros((features, wide.shape[1]), errors.dtype)
        total = jax.lax.fori_loop(0, values.shape[1], add, total)
        return total.T.reshape(size, -1, features), True

    return sums


def _one_by_one(function: Callable[..., jax.Array], batched: list[bool]) -> Callable[..., Any]:
    return jax.vmap(function, in_axes=tuple(0 if one else None for one in batched))
