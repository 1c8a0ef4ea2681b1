"""Sparse features, such as tf-idf: each row as the columns and the values that are not zero."""

from typing import Any

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
