"""Trees of arrays on disk, as safetensors."""

import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jnn._errors import reason_of


def save(path: Any, tree: Any, **notes: Any) -> None:
    """Writes a tree of arrays to a safetensors file, under a temporary name first: the file is whole or not there.

    Args:
        path: File to write.
        tree: Any tree of arrays; random keys are written as their words.
        notes: Kept as JSON in the file's metadata.
    """
    from safetensors.numpy import save_file

    path = pathlib.Path(path)
    leaves = [
        (_name(p), np.asarray(a, order="C"))
        for p, a in jax.tree_util.tree_leaves_with_path(to_host(tree))
    ]
    if len(arrays := dict(leaves)) < len(leaves):
        twice = sorted({name for name, _ in leaves if [n for n, _ in leaves].count(name) > 1})
        raise ValueError(
            f"wanted arrays of different names, but {twice} come more than once; rename a parameter"
        )
    partial = path.with_name(path.name + ".partial")
    save_file(arrays, partial, {"notes": json.dumps(notes)})
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Any, like: Any, *, members: bool = False) -> Any:
    """Reads a tree written by `save`.

    Args:
        path: The file.
        like: A tree of arrays or shapes with the structure to fill.
        members: Whether the file's arrays have a leading axis of members that `like` lacks.

    Raises:
        ValueError: If the file is damaged, or if the names or shapes in it and in `like` differ.
    """
    found = _arrays(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {_name(p) for p, _ in leaves}
    if wanted != found.keys():
        raise ValueError(
            f"wanted the arrays of this study in {path}, but missing are {sorted(wanted - found.keys())} and "
            f"left over are {sorted(found.keys() - wanted)}; load it with the study that it was saved from"
        )
    for p, leaf in leaves:
        shape, expected = found[_name(p)].shape[int(members) :], (*leaf.shape, *[2] * _is_key(leaf))
        if shape != expected:
            raise ValueError(
                f"wanted {_name(p)} of shape {expected}, but {path} has {shape}; "
                "load it with the study that it was saved from"
            )
    return structure.unflatten(_as(found[_name(p)], leaf) for p, leaf in leaves)


def load_nested(path: Any) -> dict[str, Any]:
    """Reads a file written by `save` as nested dicts, without knowing its structure."""
    return unflatten_dict(_arrays(path), sep="/")


def notes(path: Any) -> dict[str, Any]:
    """The notes that `save` was given."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {}).get("notes", "{}"))
    except SafetensorError as error:
        raise damaged(path, error) from error


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file; one sentence if the file is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise damaged(path, error) from error


def damaged(path: Any, error: Exception) -> ValueError:
    """The sentence for a file that cannot be read."""
    return ValueError(
        f"wanted a file that was written whole, but {path} is damaged ({reason_of(error)}); remove it"
    )


def to_host(tree: Any) -> Any:
    """The tree as NumPy arrays; random keys become their words, uint32 [..., 2]."""
    return jax.tree.map(lambda a: np.asarray(jax.random.key_data(a) if _is_key(a) else a), tree)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file that is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def _arrays(path: Any) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise damaged(path, error) from error


def _is_key(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jax.dtypes.prng_key)


def _as(found: np.ndarray, like: Any) -> Any:
    return (
        jax.random.wrap_key_data(jnp.asarray(found), impl="threefry2x32")
        if _is_key(like)
        else found
    )


def _name(path: Any) -> str:
    return "/".join(str(getattr(p, "key", getattr(p, "name", getattr(p, "idx", p)))) for p in path)
