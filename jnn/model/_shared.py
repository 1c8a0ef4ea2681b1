"""Arrays that every member reads and none owns: how a network declares and receives them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Path = tuple[str, ...]


class Shared(nnx.Variable):
    """An NNX variable that all members read and none owns, such as an embedding table.

    For example `self.table = jnn.Shared(jnp.zeros((vocabulary, features)))` in `__init__`. The
    value passed here only declares the shape; the network reads the array that the study was given
    as `jnn.Study(..., shared={"table": table})`. It is neither a parameter nor state, so no
    optimizer updates it, and under `vmap` over the members it exists once. Read it in `__call__` as
    `self.table[...]`. It may also be a tree of arrays, such as the parameters of a pretrained
    network; read that as `self.trunk.get_value()`.
    """


def fill_shared(
    declared: Mapping[Path, Any], shared: Mapping[str, Any] | None, owner: str
) -> dict[Path, Any]:
    """Return the shared array for each declared path.

    An array is looked up by its nested path and then by ever shorter ends of it, down to its name
    alone: for the path `("encoder", "table")` first `shared["encoder"]["table"]`, then
    `shared["table"]`.

    Args:
        declared: An array of the declared shape, or a tree of such arrays, for each path. The
            values do not matter.
        shared: The arrays of the study, in nested dicts; None for no arrays.
        owner: Name of the network, for error messages.

    Raises:
        TypeError: If `shared` is not a mapping.
        ValueError: If an array is missing, is declared nowhere or has another shape than declared.

    >>> fill_shared({("encoder", "table"): jnp.zeros(2)}, {"table": jnp.ones(2)}, "Net")
    {('encoder', 'table'): Array([1., 1.], dtype=float32)}
    """
    arrays = {} if shared is None else shared
    if not isinstance(arrays, Mapping):
        raise TypeError(
            f"shared must be a mapping from names to arrays, got {type(shared).__name__}. "
            "Pass e.g. Study(shared={'table': table})."
        )
    places = {path: _place(arrays, path) for path in declared}
    _check_names(places, arrays, owner)
    values = {}
    for path, place in places.items():
        values[path] = jax.tree.map(jnp.asarray, _at(arrays, place))
        _check_shapes(declared[path], values[path], ".".join(path), owner)
    return values


def _place(arrays: Mapping[str, Any], path: Path) -> Path:
    """Return the longest end of the path that leads to a value, or () if none does."""
    for start in range(len(path)):
        if _at(arrays, path[start:]) is not None:
            return path[start:]
    return ()


def _at(arrays: Any, path: Path) -> Any:
    """Return the value at the path, or None."""
    for name in path:
        if not isinstance(arrays, Mapping) or name not in arrays:
            return None
        arrays = arrays[name]
    return arrays


def _check_names(places: Mapping[Path, Path], arrays: Mapping[str, Any], owner: str) -> None:
    """Raise unless every declared array is there and every array is declared."""
    missing = sorted(".".join(path) for path, place in places.items() if not place)
    read = [place for place in places.values() if place]
    unknown = sorted(
        ".".join(path)
        for path in _paths_of(arrays)
        if not any(path[: len(place)] == place for place in read)
    )
    if missing or unknown:
        raise ValueError(
            f"shared must hold exactly the arrays that {owner} declares: {missing} are missing "
            f"and {unknown} are declared nowhere. Pass each array by its name, "
            "Study(shared={name: array}), and declare it in the network (see jnn.Shared)."
        )


def _paths_of(arrays: Any, path: Path = ()) -> list[Path]:
    """Return the paths of everything in nested mappings that is not itself a mapping."""
    if not isinstance(arrays, Mapping):
        return [path]
    return [inner for name in arrays for inner in _paths_of(arrays[name], (*path, str(name)))]


def _check_shapes(declared: Any, value: Any, name: str, owner: str) -> None:
    """Raise unless the value has the declared structure and shapes."""
    expected = jax.tree.map(jnp.shape, declared)
    shapes = jax.tree.map(jnp.shape, value)
    if shapes != expected:
        raise ValueError(
            f"shared[{name!r}] must have the shape {expected} that {owner} declares, got {shapes}. "
            "Pass an array of that shape, or change the declaration."
        )
