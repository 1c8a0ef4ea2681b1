"""Trees of arrays on disk, as safetensors files."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jnn._errors import reason_of
from jnn._names import names_in, names_of, unescape
from jnn.storage._damage import damaged
from jnn.storage._files import Path, atomic_path, expand

_DIGEST = "sha256"
_ESCAPED = "escaped"


def save(path: Path, tree: Any, **notes: Any) -> str:
    """Write a tree of arrays to a safetensors file, under a temporary name first.

    The file holds a digest of its arrays and notes, by which reading it notices any change.

    Args:
        path: The file to write; a leading `~` is the home directory.
        tree: Any tree of arrays; random keys are written as their words.
        **notes: Values that JSON can hold, kept in the file's metadata; see `notes`.

    Returns:
        The digest, SHA-256.

    Raises:
        OSError: If the file cannot be written, for instance on a full disk.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    names, is_escaped = names_in(tree)
    leaves = jax.tree.leaves(to_host(tree))
    arrays = {name: np.asarray(array, order="C") for name, array in zip(names, leaves, strict=True)}
    metadata = {"notes": json.dumps(notes)} | ({_ESCAPED: "true"} if is_escaped else {})
    metadata[_DIGEST] = _digest_of(arrays, metadata)
    with atomic_path(path) as partial:
        try:
            save_file(arrays, partial, metadata)
        except SafetensorError as error:
            raise OSError(f"{os.fspath(path)} cannot be written: {reason_of(error)}.") from error
    return metadata[_DIGEST]


def load(path: Path, like: Any, *, members: bool = False) -> Any:
    """Read a tree that `save` wrote.

    Args:
        path: The file to read; a leading `~` is the home directory.
        like: A tree of arrays or shapes that has the structure to fill.
        members: Whether the arrays in the file have a leading axis of members that `like` lacks.

    Raises:
        ValueError: If the file is damaged or was changed, or if its names or shapes differ from
            those of `like`.
    """
    arrays, _ = _read(path)
    leaves, structure = jax.tree.flatten(like)
    names, _ = names_in(like)
    former = _former_names(like)
    if set(former) == arrays.keys():
        names = former
    expected = set(names)
    if expected != arrays.keys():
        raise ValueError(
            f"{path} holds other arrays than expected: missing are "
            f"{sorted(expected - arrays.keys())}, left over are "
            f"{sorted(arrays.keys() - expected)}. Load it with the study that it was saved from."
        )
    for name, leaf in zip(names, leaves, strict=True):
        shape = arrays[name].shape[int(members) :]
        words = (2,) if _is_key(leaf) else ()
        if shape != (*leaf.shape, *words):
            raise ValueError(
                f"{name} must have shape {(*leaf.shape, *words)}, got {shape} in {path}. "
                "Load it with the study that it was saved from."
            )
    values = [_as(arrays[name], leaf) for name, leaf in zip(names, leaves, strict=True)]
    return structure.unflatten(values)


def _former_names(tree: Any) -> list[str]:
    """Return the names of versions before 0.5, in which an array of NNX was "kernel/value"."""
    return names_of([keys for keys, _ in jax.tree_util.tree_leaves_with_path(tree)])[0]


def load_nested(path: Path) -> dict[str, Any]:
    """Read a file that `save` wrote as nested dicts, without a structure to fill."""
    arrays, metadata = _read(path)
    if _ESCAPED not in metadata:
        return unflatten_dict(arrays, sep="/")
    parts = {tuple(map(unescape, name.split("/"))): array for name, array in arrays.items()}
    return unflatten_dict(parts)


def notes(path: Path) -> dict[str, Any]:
    """Return the notes that were given to `save`."""
    try:
        return json.loads(_metadata(path).get("notes", "{}"))
    except ValueError as error:
        raise damaged(path, error) from error


def digest_of_tree(path: Path) -> str:
    """Return the digest that `save` returned; empty for a file of a former version."""
    return _metadata(path).get(_DIGEST, "")


def add_to_hash(code: Any, array: Any) -> None:
    """Add the shape, the type and the bytes of an array to a hash of hashlib."""
    array = np.ascontiguousarray(array)
    code.update(f"{array.shape}{array.dtype}".encode())
    code.update(array.tobytes())


def to_host(tree: Any) -> Any:
    """Return the tree with NumPy arrays; random keys become their words, uint32 [..., 2].

    Tensors of PyTorch become arrays of their type, without their gradients.
    """

    def one(array: Any) -> np.ndarray:
        if hasattr(array, "detach"):
            return _of_torch(array)
        return np.asarray(jax.random.key_data(array) if _is_key(array) else array)

    return jax.tree.map(one, tree)


def _of_torch(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # which NumPy has by another package
        return tensor.view(torch.int16).numpy().view(jnp.bfloat16)
    return tensor.numpy()


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays and the metadata of a file, and compare them with their digest."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(expand(path))
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    metadata = _metadata(path)
    others = {name: text for name, text in metadata.items() if name != _DIGEST}
    if _DIGEST in metadata and metadata[_DIGEST] != _digest_of(arrays, others):
        raise damaged(path, "it was changed after jnn had written it")
    return arrays, metadata


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(expand(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, error) from error


def _digest_of(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of arrays, and of the metadata."""
    code = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        code.update(f"{name} {array.dtype} {array.shape}".encode())
        code.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return code.hexdigest()


def _is_key(array: Any) -> bool:
    return hasattr(array, "dtype") and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def _as(array: np.ndarray, like: Any) -> Any:
    """Wrap the words of a random key where `like` is one."""
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl="threefry2x32")
    return array
