"""How the place of an array in a tree is written: its keys, joined by slashes."""

import re
from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx


def names_in(tree: Any) -> tuple[list[str], bool]:
    """Return what `names_of` does for all leaves of a tree, in their order.

    A variable of NNX has its value under a key of its own, which is no part of its name.
    """
    nodes = jax.tree_util.tree_leaves_with_path(
        tree, is_leaf=lambda node: isinstance(node, nnx.Variable)
    )
    paths = []
    for path, node in nodes:
        inner = jax.tree_util.tree_leaves_with_path(node)
        skipped = int(isinstance(node, nnx.Variable))
        paths += [(*path, *keys[skipped:]) for keys, _ in inner]
    return names_of(paths)


def names_of(leaves: Sequence[Any]) -> tuple[list[str], bool]:
    """Return a name for each leaf, its keys joined by slashes, and whether the keys are escaped.

    Where slashes in the keys make two names equal, or one the folder of another, every key is
    written with %2F for a slash and %25 for a percent sign.
    """
    parts = [[_text(key) for key in keys] for keys in leaves]
    names = ["/".join(keys) for keys in parts]
    folders = {name[:i] for name in names for i in range(len(name)) if name[i] == "/"}
    if len(set(names)) == len(names) and not folders & set(names):
        return names, False
    return ["/".join(map(escape, keys)) for keys in parts], True


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names with the numbers in them by value.

    >>> sorted(["layer_10", "layer_2"], key=natural_key)
    ['layer_2', 'layer_10']
    """
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]


def _text(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


def escape(key: str) -> str:
    """Return a name without slashes, which are %2F in it, and %25 is a percent sign."""
    return key.replace("%", "%25").replace("/", "%2F")


def unescape(key: str) -> str:
    """Return the name that `escape` changed."""
    return key.replace("%2F", "/").replace("%25", "%")
