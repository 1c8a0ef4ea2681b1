"""Flax's msgpack files: nested dicts whose arrays are shape, type and bytes."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jnn.weights._mapped import Path
from jnn.weights._nested import flatten
from jnn.weights._refusal import reading
from jnn.weights._tensors import Entry, Tensors, entry_of
from jnn.weights._types import dtype_of

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3  # Flax's codes of its own types
_CHUNKED = "__msgpack_chunked_array__"  # arrays of more than a gigabyte come in pieces


def read_msgpack(path: Path) -> Tensors:
    """Read what `flax.serialization.to_bytes` or `msgpack_serialize` wrote.

    The file is read piece by piece, so that it is in memory once. Names are joined by slashes.
    """
    import msgpack

    with reading(path):
        size = pathlib.Path(path).stat().st_size
        with pathlib.Path(path).open("rb") as file:
            unpacker = msgpack.Unpacker(
                file,
                ext_hook=_extension,
                raw=False,
                strict_map_key=False,
                max_buffer_size=max(size, 1),
                object_pairs_hook=functools.partial(_mapping, most=size),
            )
            try:
                tree = unpacker.unpack()
            except msgpack.UnpackException as error:
                raise ValueError(str(error)) from error
            if unpacker.tell() != size:
                raise ValueError("more follows after its values")
        if not isinstance(tree, Mapping | np.ndarray):
            raise ValueError("it is none of the known forms")
        entries, notes = flatten(tree, "/", _entry, size)
    return Tensors(path, "msgpack", entries, notes=notes)


def _extension(code: int, content: bytes) -> Any:
    """Return the array, or the number, of one of Flax's own types."""
    import msgpack

    if code == _COMPLEX:
        return complex(*msgpack.unpackb(content))
    if code not in (_ARRAY, _SCALAR):
        raise ValueError(f"it has values of the type {code}, which Flax does not write")
    shape, name, numbers = msgpack.unpackb(content, raw=True)
    array = np.frombuffer(numbers, dtype_of(name.decode())).reshape(shape)
    return array if code == _ARRAY else array[()]


def _mapping(pairs: list[tuple[Any, Any]], most: int) -> Any:
    """Return a dict, or the array whose pieces it holds."""
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("a name comes twice in it")
    if _CHUNKED not in tree:
        return tree
    pieces = [tree["chunks"][str(i)] for i in range(len(tree["chunks"]))]
    shape = tuple(tree["shape"][str(i)] for i in range(len(tree["shape"])))
    if sum(piece.nbytes for piece in pieces) > most:
        raise ValueError("the pieces of an array are larger than the file")
    return np.concatenate(pieces).reshape(shape)


def _entry(leaf: Any) -> Entry | None:
    return entry_of(np.asarray(leaf)) if isinstance(leaf, np.ndarray | np.generic) else None
