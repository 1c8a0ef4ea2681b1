"""Checkpoints of Orbax, which are folders."""

import json
import pathlib
from typing import Any

import jax
import numpy as np

from jnn.weights._mapped import product
from jnn.weights._nested import flatten
from jnn.weights._refusal import reading, refusal
from jnn.weights._tensors import Entry, Tensors, entry_of

_MOST_EXPANSION = 100  # times that a compressed array may grow; numbers compress far less
_SMALL = 1 << 20  # bytes that all arrays may always have
_ITEM = "default"  # of a step of a CheckpointManager
_METADATA = "_METADATA"
_SHARDING = "_sharding"


def checkpoint_in(folder: pathlib.Path) -> pathlib.Path | None:
    """Return the folder with the arrays of a checkpoint; None if it is none of Orbax."""
    for place in (folder, folder / _ITEM):
        if (place / _METADATA).is_file():
            return place
    return None


def read_orbax(folder: pathlib.Path, place: pathlib.Path) -> Tensors:
    """Read a checkpoint of Orbax; names are joined by slashes.

    Args:
        folder: The folder that was asked for.
        place: Where in it the arrays are.
    """
    try:
        import orbax.checkpoint as orbax
    except ImportError:
        raise ImportError(
            "Reading checkpoints of Orbax needs orbax-checkpoint, which is not installed. "
            "Install it with: pip install orbax-checkpoint"
        ) from None

    with reading(folder):
        _check_metadata(place / _METADATA)
        checkpointer = orbax.PyTreeCheckpointer()
        shapes: Any = checkpointer.metadata(place.absolute()).item_metadata
        shapes = shapes.tree
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        _check_size(folder, shapes, size)
        as_numpy = jax.tree.map(lambda _: orbax.RestoreArgs(restore_type=np.ndarray), shapes)
        tree = checkpointer.restore(place.absolute(), restore_args=as_numpy)
        entries, notes = flatten(tree, "/", _entry, size)
    return Tensors(folder, "orbax", _without_value(entries), notes=notes)


def _check_metadata(path: pathlib.Path) -> None:
    if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
        raise ValueError("its metadata is no object")


def _check_size(folder: pathlib.Path, shapes: Any, size: int) -> None:
    leaves = [leaf for leaf in jax.tree.leaves(shapes) if getattr(leaf, "shape", None) is not None]
    count = sum(product(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    if count > max(_SMALL, _MOST_EXPANSION * size):
        raise refusal(folder, f"declares {count} bytes of arrays, but has {size} bytes")


def _entry(leaf: Any) -> Entry | None:
    return entry_of(np.asarray(leaf)) if isinstance(leaf, np.ndarray | np.generic) else None


def _without_value(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the names without the last part "value", which a state of NNX has everywhere."""
    if not all(name.endswith("/value") for name in entries):
        return entries
    return {name.removesuffix("/value"): entry for name, entry in entries.items()}
