"""Features, computed once and kept in a folder."""

import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jnn.data import Dataset, count_rows, map_parts
from jnn.storage import add_to_hash, damaged, load_nested, remove_partial_files, save
from jnn.transfer._sparse import as_rows, is_sparse, joined_sparse, packed, unpacked
from jnn.transfer._trunk import Trunk, computed, take_rows

_SAMPLE = 64  # rows whose features are computed anew to recognize a trunk
_OLD = 3600  # seconds after which a file that is not whole is of a killed process
_PART = 16  # batches in a file, which a killed process loses at most


def features_of(trunk: Trunk, data: Dataset, name: str, folder: pathlib.Path | None) -> Any:
    """Return the features of all rows of a data set, [rows, ...].

    In a folder they are kept under a digest of the trunk and of the data, in files of some rows
    each, so that nothing is computed twice. What a trunk is, its parameters say and its features of
    64 rows, which are computed each time: no code of a function has to be compared.

    Args:
        trunk: What computes the features.
        data: The rows.
        name: Name of the trunk, for errors.
        folder: Where features are kept; None to keep none.
    """
    take = functools.partial(trunk.rows_of, data)
    if folder is not None:
        sample = np.unique(np.linspace(0, data.rows - 1, min(_SAMPLE, data.rows)).astype(int))
        seen = computed(trunk, take(sample), len(sample), name)
        folder = folder / _digest(trunk, data, seen)
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial_files(folder, age=_OLD)
    parts = []
    for places in _pieces(np.arange(data.rows), trunk.batch * _PART):
        path = None if folder is None else folder / f"rows_{places[0]}.safetensors"
        if path is not None and path.exists():
            parts.append(_read(path, len(places)))
            continue
        parts.append(_computed(trunk, take, places, name))
        if path is not None:
            save(path, packed(parts[-1]))
    return _as_inputs(_stacked(parts, name))


def features_of_rows(trunk: Trunk, rows: Any, name: str) -> Any:
    """Return the features of rows as they are given to a trunk, [rows, ...].

    Args:
        trunk: What computes the features.
        rows: A list, an array, `jnn.data.Windows`, or a dict or tuple of arrays.
        name: Name of the trunk, for errors.

    Raises:
        TypeError: If these are no rows.
        ValueError: If there are none.
    """
    if rows is None or isinstance(rows, str | bytes) or np.isscalar(rows):
        raise TypeError(f"rows must be a list of texts or an array of rows, got {rows!r}.")
    if isinstance(rows, list):
        take, count = (lambda places: [rows[place] for place in places]), len(rows)
    else:
        take, count = functools.partial(take_rows, rows), count_rows(rows)
    if count == 0:
        raise ValueError("rows must have at least one row, got none.")
    return _as_inputs(_computed(trunk, take, np.arange(count), name))


def _computed(
    trunk: Trunk, take: Callable[[np.ndarray], Any], places: np.ndarray, name: str
) -> Any:
    """Return the features of the rows at some places, a batch at a time."""
    batches = _pieces(places, trunk.batch)
    return _stacked([computed(trunk, take(batch), len(batch), name) for batch in batches], name)


def _read(path: pathlib.Path, count: int) -> Any:
    """Return the features of some rows from a file.

    Raises:
        DamagedFileError: If it has not the features of as many rows.
    """
    tree = load_nested(path)
    if not tree.keys() & {"features", "csr"}:
        raise damaged(path, "it holds no features")
    features = unpacked(tree)
    for array in [features] if is_sparse(features) else jax.tree.leaves(features):
        if array.shape[:1] != (count,):
            raise damaged(path, f"it has features of {array.shape[:1]} rows in place of {count}")
    return features


def _pieces(places: np.ndarray, size: int) -> list[np.ndarray]:
    return [places[first : first + size] for first in range(0, len(places), size)]


def _stacked(pieces: list[Any], name: str) -> Any:
    forms = [map_parts(lambda array: array.shape[1:], piece) for piece in pieces]
    for form in forms:
        if form != forms[0]:
            raise ValueError(
                f"The trunk {name!r} must give features of one shape for all rows, got {forms[0]} "
                f"and {form} for different batches."
            )
    if is_sparse(pieces[0]):
        return joined_sparse(pieces)
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *pieces)


def _as_inputs(features: Any) -> Any:
    """Return features as the x of a data set."""
    return as_rows(features) if is_sparse(features) else features


def _digest(trunk: Trunk, data: Dataset, seen: Any) -> str:
    code = hashlib.sha256(trunk.digest().encode())
    code.update(f"{trunk.batch} {data.rows}".encode())
    arrays = jax.tree.leaves((packed(seen), data.x))
    if trunk.model is None and data.texts is not None:
        arrays[-1] = np.frombuffer("\0".join(map(str, data.texts)).encode(), np.uint8)
    for array in arrays:
        add_to_hash(code, array)
    return code.hexdigest()[:32]
