"""Hashes of the data of a result, by which results are known to be comparable."""

import hashlib
from typing import Any

import jax
import numpy as np

from jnn.engine import Data
from jnn.storage import to_host

_LARGE = 1 << 24  # bytes of an array from which on evenly spaced rows stand for all in the digest
_SAMPLED_ROWS = 4096


def digest_of(arrays: Data) -> str:
    """Return a hash of the rows, their weights and every fold's test rows.

    Without test rows the training rows take their place. Two results whose digests are equal were
    scored on the same rows, fold by fold. Of an array of more than 16 MB 4096 evenly spaced rows
    are hashed.
    """
    code = hashlib.sha256()
    scored = arrays.train if arrays.test is None else arrays.test
    for leaf in jax.tree.leaves((arrays.x, arrays.y, scored, arrays.weights)):
        _hash_rows(code, leaf, _SAMPLED_ROWS)
    return code.hexdigest()


def digest_of_rows(arrays: Data) -> str:
    """Return a hash of the rows and their weights alone, whatever the folds are."""
    code = hashlib.sha256()
    for leaf in jax.tree.leaves((arrays.x, arrays.y, arrays.weights)):
        _hash_rows(code, leaf, _SAMPLED_ROWS)
    return code.hexdigest()


def digest_of_shared(shared: Any) -> str:
    """Return a hash of the arrays in `Study.shared`, in the types of the device.

    It is empty without arrays. Of an array of more than 16 MB at most 4096 evenly spaced rows are
    hashed.
    """
    leaves = jax.tree.leaves(to_host(shared))
    if not leaves:
        return ""
    code = hashlib.sha256()
    for leaf in leaves:
        leaf = leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype))
        _hash_rows(code, leaf, min(len(leaf), _SAMPLED_ROWS) if leaf.ndim else 1)
    return code.hexdigest()


def _hash_rows(code: Any, array: Any, most: int) -> None:
    """Add an array to a hash; of a large one `most` evenly spaced rows."""
    code.update(f"{array.shape}{array.dtype}".encode())
    if array.nbytes > _LARGE:
        array = array[np.linspace(0, len(array) - 1, most).astype(int)]
    code.update(np.ascontiguousarray(array).tobytes())
