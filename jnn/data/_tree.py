"""Inputs and targets of several arrays: dicts or tuples of them, each with the rows first."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jnn.data._check import check_finite
from jnn.data._ignored import IGNORED
from jnn.data._offsets import check_digits
from jnn.data._types import as_array, as_float, read_only, single_precision
from jnn.data._windows import Windows

Tree = Any  # an array, or a dict or tuple of trees


def is_tree(values: Any) -> bool:
    """Return whether values are a dict or a tuple of arrays, not one array.

    A tuple of lists or numbers is an array, as NumPy reads it.
    """
    if isinstance(values, Mapping):
        return True
    if not isinstance(values, tuple) or not values:
        return False
    return all(is_tree(part) or getattr(part, "ndim", 0) > 0 for part in values)


def has_parts(tree: Tree) -> bool:
    """Return whether a tree, as `as_tree` returns it, has several parts."""
    return isinstance(tree, dict | tuple)


def as_tree(values: Any, name: str) -> Tree:
    """Return dicts and tuples of arrays as read-only arrays in the types of the device.

    Floats become float32 and integers int32, which are ids, counts or labels; bools stay bools,
    such as masks.

    Args:
        values: A tree of what NumPy can read.
        name: "x" or "y", for errors.

    Raises:
        TypeError: If a name is no text, or a part holds no numbers.
        ValueError: If there are no parts, or a part has no rows or values that are not finite.
    """
    if hasattr(values, "_fields"):
        raise TypeError(
            f"{name} must be a dict or a plain tuple of arrays, got {type(values).__name__}. Pass "
            "values._asdict()."
        )
    if not is_tree(values):
        return _part(values, name)
    if not values:
        raise ValueError(f"{name} must have at least one part, got {values!r}.")
    if isinstance(values, tuple):
        return tuple(as_tree(part, f"{name}[{place}]") for place, part in enumerate(values))
    others = [key for key in values if not isinstance(key, str)]
    if others:
        raise TypeError(f"The parts of {name} must have text as names, got {others[0]!r}.")
    return {key: as_tree(values[key], f"{name}[{key!r}]") for key in sorted(values)}


def parts_of(tree: Tree, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a tree by their place in it, such as "x['ids']"."""
    if isinstance(tree, dict):
        pairs = [(f"{name}[{key!r}]", part) for key, part in tree.items()]
    elif isinstance(tree, tuple):
        pairs = [(f"{name}[{place}]", part) for place, part in enumerate(tree)]
    else:
        return {name: tree}
    return {place: leaf for key, part in pairs for place, leaf in parts_of(part, key).items()}


def map_parts(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return the tree with `function(array, *arrays of the other trees)` of each array."""
    if isinstance(tree, dict):
        names = tree.keys()
        return {n: map_parts(function, tree[n], *(other[n] for other in others)) for n in names}
    if isinstance(tree, tuple):
        return tuple(map_parts(function, *parts) for parts in zip(tree, *others, strict=True))
    return function(tree, *others)


def same_parts(tree: Tree, other: Tree) -> bool:
    """Return whether two trees have arrays in the same places."""
    return parts_of(tree, "").keys() == parts_of(other, "").keys()


def shapes_of_rows(tree: Tree) -> Any:
    """Return the tree with the shape of a row of each array; None of None."""
    return None if tree is None else map_parts(lambda array: tuple(array.shape[1:]), tree)


def count_rows(tree: Tree) -> int:
    """Return the number of rows of an array, of windows or of a tree of arrays."""
    return len(next(iter(parts_of(tree, "").values())))


def without_labels(tree: Tree, ignore_index: int | None) -> Tree:
    """Return targets with -1 in place of the label to ignore, in each part of integers."""
    if ignore_index is None:
        return tree
    return map_parts(
        lambda y: np.where(y == ignore_index, IGNORED, y).astype(y.dtype) if _is_whole(y) else y,
        tree,
    )


def check_no_ids(ids: bool) -> None:
    """Raise ValueError if parts of x are said to be ids, which their types say."""
    if ids:
        raise ValueError(
            "ids must be left out where x has several parts, got True. Integers stay integers."
        )


def check_no_names(feature_names: Any) -> None:
    """Raise ValueError if there are names of features where x has several parts."""
    if len(feature_names):
        raise ValueError(
            f"feature_names must be left out where x has several parts, got {feature_names!r}."
        )


def check_parts_task(task: str, target_names: Any) -> None:
    """Raise ValueError unless task and names are those of targets of several parts."""
    if task != "multitask":
        raise ValueError(
            f"task must be 'multitask' where y has several parts, got {task!r}. Leave it out, or "
            "pass one array."
        )
    if len(target_names):
        raise ValueError(
            f"target_names must be left out where y has several parts, got {target_names!r}."
        )


def _is_whole(array: np.ndarray) -> bool:
    return array.dtype.kind == "i"


def _part(values: Any, name: str) -> np.ndarray:
    if values is None or isinstance(values, Windows):
        raise TypeError(
            f"{name} must be an array, got {type(values).__name__}. Leave it out, or pass its "
            "values."
        )
    array = as_array(values, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold numbers, got type {array.dtype}. Number texts and categories with "
            "np.unique(values, return_inverse=True)[1]."
        )
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{name} must be of shape [rows, ...] with at least one value, got {array.shape}."
        )
    if array.dtype.kind == "b":
        return read_only(array)
    if array.dtype.kind == "f":
        check_digits(array, name)
        array = as_float(array)
        check_finite(array, name, ())
        return read_only(array)
    return read_only(single_precision(array, name))
