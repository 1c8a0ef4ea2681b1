"""Parts of trees: taken by a pattern, joined again, and loaded from another tree by their names."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.paths._match import Tree, check_matches, listed, match, names
from jnn.paths._pattern import Patterns, as_list, matching


def take(pattern: Patterns, tree: Tree) -> Tree:
    """Return the leaves that a pattern fits, and None, which is no leaf, in place of the others.

    >>> take("head/**", {"trunk": 1.0, "head": {"bias": 2.0}})
    {'head': {'bias': 2.0}, 'trunk': None}
    """
    return split(match(pattern, tree), tree)[0]


def split(mask: Tree, tree: Tree) -> tuple[Tree, Tree]:
    """Return the leaves where a mask is True, and those where it is False, with None for the rest.

    >>> split({"a": True, "b": False}, {"a": 1.0, "b": 2.0})
    ({'a': 1.0, 'b': None}, {'a': None, 'b': 2.0})
    """
    chosen = jax.tree.map(lambda leaf, is_chosen: leaf if is_chosen else None, tree, mask)
    others = jax.tree.map(lambda leaf, is_chosen: None if is_chosen else leaf, tree, mask)
    return chosen, others


def join(first: Tree, second: Tree) -> Tree:
    """Return a tree with the leaves of the first, and where it has None those of the second.

    >>> join({"a": 1.0, "b": None}, {"a": None, "b": 2.0})
    {'a': 1.0, 'b': 2.0}
    """
    return jax.tree.map(lambda a, b: b if a is None else a, first, second, is_leaf=_is_none)


def fill(tree: Tree, source: Tree, *, fresh: Patterns = ()) -> Tree:
    """Return a tree with the values of another one, leaf by leaf by their names.

    So a part of a network is loaded: for a new head on a trained trunk,

        params = jnn.paths.fill(new_params, old_params, fresh="head/**")

    Names must agree on both sides, apart from those of `fresh`. Floats become the dtype that the
    tree has.

    Args:
        tree: A tree of arrays.
        source: Another tree of arrays, of any structure whose names are the same.
        fresh: Patterns of names that need not agree: those of `tree` keep their values, those of
            `source` are left out.

    Raises:
        TypeError: If `fresh` is no pattern, or a leaf is no array of numbers.
        ValueError: If names are missing or left over, shapes differ, or a pattern fits no name.

    >>> new = {"trunk": jnp.zeros(2), "head": jnp.zeros(3)}
    >>> fill(new, {"trunk": jnp.ones(2), "head": jnp.ones(5)}, fresh="head")
    {'head': Array([0., 0., 0.], dtype=float32), 'trunk': Array([1., 1.], dtype=float32)}
    """
    found = found_in(source, tree, fresh=fresh)
    return join(found, tree)


def found_in(
    source: Tree,
    tree: Tree,
    *,
    fresh: Patterns = (),
    axes: int = 0,
    what: str = "source",
    required: bool = True,
) -> Tree:
    """Return the leaves of a source in the structure of a tree, with None for those of `fresh`.

    Args:
        source: A tree of arrays.
        tree: A tree of arrays or shapes.
        fresh: As in `fill`.
        axes: Number of first axes of the arrays of the source that those of the tree lack.
        what: What the source is called in error messages.
        required: Whether a pattern that fits no name is an error.
    """
    patterns = as_list(fresh, "fresh")
    places = dict(zip(names(source), jax.tree.leaves(source), strict=True))
    known = names(tree)
    if required:
        check_matches(patterns, [*known, *(name for name in places if name not in known)])
    is_fresh = [any(matching(one, name) for one in patterns) for name in known]
    expected = [name for name, fits in zip(known, is_fresh, strict=True) if not fits]
    others = [name for name in places if not any(matching(one, name) for one in patterns)]
    _check_names(expected, others, what)
    leaves = [
        None if fits else _in_type_of(places[name], leaf, name, axes, what)
        for name, fits, leaf in zip(known, is_fresh, jax.tree.leaves(tree), strict=True)
    ]
    return jax.tree.structure(tree).unflatten(leaves)


def _check_names(expected: Sequence[str], known: Sequence[str], what: str) -> None:
    missing = sorted({*expected} - {*known})
    left_over = sorted({*known} - {*expected})
    if missing or left_over:
        raise ValueError(
            f"{what} must have the names that are expected: missing are "
            f"{listed(missing) or 'none'}, "
            f"left over are {listed(left_over) or 'none'}. Name those that may differ by "
            "fresh='head/**', or rename them."
        )


def _in_type_of(value: Any, like: Any, name: str, axes: int, what: str) -> Any:
    """Return an array in the dtype of another one, whose shape it must have."""
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if array.dtype.kind in "OSUMm":
        raise TypeError(f"{name!r} of {what} must be an array of numbers, got {value!r:.60}.")
    shape, expected = array.shape[axes:], jnp.shape(like)
    if shape != expected:
        raise ValueError(
            f"{name!r} of {what} must have the shape {expected}, got {shape}. If it may differ, "
            f"name it by fresh={name!r}; it then keeps its first values."
        )
    dtype = jnp.result_type(like)
    if array.dtype == dtype:
        return array
    if jnp.issubdtype(dtype, jax.dtypes.prng_key) or not jnp.can_cast(
        array.dtype, dtype, "same_kind"
    ):
        raise ValueError(
            f"{name!r} of {what} must be of the type {dtype}, got {array.dtype}. Convert it."
        )
    return array.astype(dtype)


def _is_none(node: Any) -> bool:
    return node is None
