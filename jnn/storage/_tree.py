"""Trees of arrays on disk, as safetensors files."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jnn.storage._files import atomic_path, damaged

Path = str | os.PathLike[str]


def save(path: Path, tree: Any, **notes: Any) -> None:
    """Write a tree of arrays to a safetensors file, under a temporary name first.

    Args:
        path: The file to write.
        tree: Any tree of arrays; random keys are written as their words.
        **notes: Values that JSON can hold, kept in the file's metadata; see `notes`.

    Raises:
        ValueError: If two arrays of the tree have the same name.
    """
    from safetensors.numpy import save_file

    leaves = jax.tree_util.tree_leaves_with_path(to_host(tree))
    named = [(_name(keys), np.asarray(array, order="C")) for keys, array in leaves]
    _check_distinct([name for name, _ in named])
    with atomic_path(path) as partial:
        save_file(dict(named), partial, {"notes": json.dumps(notes)})


def load(path: Path, like: Any, *, members: bool = False) -> Any:
    """Read a tree that `save` wrote.

    Args:
        path: The file to read.
        like: A tree of arrays or shapes that has the structure to fill.
        members: Whether the arrays in the file have a leading axis of members that `like` lacks.

    Raises:
        ValueError: If the file is damaged, or if its names or shapes differ from those of `like`.
    """
    arrays = _read(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    expected = {_name(keys) for keys, _ in leaves}
    if expected != arrays.keys():
        raise ValueError(
            f"{path} holds other arrays than expected: missing are "
            f"{sorted(expected - arrays.keys())}, left over are "
            f"{sorted(arrays.keys() - expected)}. Load it with the study that it was saved from."
        )
    for keys, leaf in leaves:
        shape = arrays[_name(keys)].shape[int(members) :]
        words = (2,) if _is_key(leaf) else ()
        if shape != (*leaf.shape, *words):
            raise ValueError(
                f"{_name(keys)} must have shape {(*leaf.shape, *words)}, got {shape} in {path}. "
                "Load it with the study that it was saved from."
            )
    return structure.unflatten(_as(arrays[_name(keys)], leaf) for keys, leaf in leaves)


def load_nested(path: Path) -> dict[str, Any]:
    """Read a file that `save` wrote as nested dicts, without a structure to fill."""
    return unflatten_dict(_read(path), sep="/")


def notes(path: Path) -> dict[str, Any]:
    """Return the notes that were given to `save`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {}).get("notes", "{}"))
    except SafetensorError as error:
        raise damaged(path, error) from error


def to_host(tree: Any) -> Any:
    """Return the tree with NumPy arrays; random keys become their words, uint32 [..., 2]."""

    def one(array: Any) -> np.ndarray:
        return np.asarray(jax.random.key_data(array) if _is_key(array) else array)

    return jax.tree.map(one, tree)


def _read(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise damaged(path, error) from error


def _check_distinct(names: Sequence[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise ValueError(
            f"Arrays in a file need distinct names, got {repeated} more than once. "
            "Rename a parameter."
        )


def _is_key(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def _as(array: np.ndarray, like: Any) -> Any:
    """Wrap the words of a random key where `like` is one."""
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl="threefry2x32")
    return array


def _name(keys: Any) -> str:
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in keys)
