"""Features, computed once and kept in a folder."""

import hashlib
import pathlib
from typing import Any

import jax
import numpy as np

from jnn.data import Dataset, count_rows, map_parts
from jnn.storage import load_nested, remove_partial_files, save
from jnn.transfer._sparse import as_rows, is_sparse, joined_sparse, packed, unpacked
from jnn.transfer._trunk import Trunk, computed

_SAMPLE = 64  # rows whose features are computed anew to recognize a trunk
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
    size = trunk.batch * _PART
    firsts = range(0, data.rows, size)
    if folder is None:
        return _joined([_part(trunk, data, name, first, size) for first in firsts])
    sample = np.unique(np.linspace(0, data.rows - 1, min(_SAMPLE, data.rows)).astype(int))
    seen = computed(trunk, trunk.rows_of(data, sample), len(sample), name)
    folder = folder / _digest(trunk, data, seen)
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    return _joined([_kept(trunk, data, name, first, size, folder) for first in firsts])


def _kept(
    trunk: Trunk, data: Dataset, name: str, first: int, size: int, folder: pathlib.Path
) -> Any:
    path = folder / f"rows_{first}.safetensors"
    if path.exists():
        return unpacked(load_nested(path))
    part = _part(trunk, data, name, first, size)
    save(path, packed(part))
    return part


def in_batches(trunk: Trunk, rows: Any, name: str) -> Any:
    """Return the features of rows as they are given to the trunk, as the heads take them."""
    count = count_rows(rows) if isinstance(rows, dict) else len(rows)
    pieces = []
    for start in range(0, count, trunk.batch):
        stop = min(start + trunk.batch, count)
        part = slice(start, stop)
        batch = {key: rows[key][part] for key in rows} if isinstance(rows, dict) else rows[part]
        pieces.append(computed(trunk, batch, stop - start, name))
    return _joined(pieces)


def _part(trunk: Trunk, data: Dataset, name: str, first: int, size: int) -> Any:
    stop = min(first + size, data.rows)
    pieces = []
    for start in range(first, stop, trunk.batch):
        rows = np.arange(start, min(start + trunk.batch, stop))
        pieces.append(computed(trunk, trunk.rows_of(data, rows), len(rows), name))
    return _stacked(pieces)


def _stacked(pieces: list[Any]) -> Any:
    if is_sparse(pieces[0]):
        return joined_sparse(pieces)
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *pieces)


def _joined(parts: list[Any]) -> Any:
    joined = _stacked(parts)
    return as_rows(joined) if is_sparse(joined) else map_parts(_single, joined)


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _digest(trunk: Trunk, data: Dataset, seen: Any) -> str:
    code = hashlib.sha256(trunk.digest().encode())
    code.update(f"{trunk.batch} {data.rows}".encode())
    arrays = jax.tree.leaves((packed(seen), data.x))
    if trunk.model is None and data.texts is not None:
        arrays[-1] = np.frombuffer("\0".join(map(str, data.texts)).encode(), np.uint8)
    for array in arrays:
        array = np.ascontiguousarray(array)
        code.update(f"{array.dtype}{array.shape}".encode())
        code.update(array.tobytes())
    return code.hexdigest()[:32]
