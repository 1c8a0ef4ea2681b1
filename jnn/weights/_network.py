"""The arrays of a network by name: its parameters and its state, as `load` and `save` see them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.model import Hyper, Model, as_model

PARAMS, STATE = "params", "state"
_NOT_STORED = ("hyper", "cache", "intermediates", "losses")  # collections of Linen


class Variables(NamedTuple):
    """The arrays of a network, as `jnn.as_model(network)` takes them.

    Attributes:
        params: What is trained.
        state: Its other variables, such as the running statistics of batch norm.
    """

    params: Any
    state: Any


@dataclasses.dataclass(frozen=True)
class Network:
    """What is known of a network before it has numbers.

    Attributes:
        model: Its two functions.
        structure: The structure of its `Variables`.
        names: The names of their leaves, in order: keys joined by slashes, below "params" and
            "state".
        shapes: The shapes and types of the leaves.
        stored: Whether a file holds the leaf; numbers that members set and caches are in none.
    """

    model: Model
    structure: Any
    names: tuple[str, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    stored: tuple[bool, ...]


def network_of(network: Any, x: Any, shared: Any) -> Network:
    """Return the arrays of a network without computing any.

    Args:
        network: What `jnn.as_model` accepts.
        x: An example batch, of which only shapes and types matter; None for an NNX factory.
        shared: The arrays that all members read.
    """
    model = as_model(network)
    is_nnx = model.source is not None and not isinstance(model.source, tuple)
    is_nnx = is_nnx and callable(model.source) and not hasattr(model.source, "init")
    if x is None and not is_nnx:
        raise TypeError(
            f"load needs an example batch to know the sizes of {model.name}: pass x=, an array or "
            "a jax.ShapeDtypeStruct with the shape of a batch."
        )
    shape_of = lambda array: jax.ShapeDtypeStruct(jnp.shape(array), jnp.result_type(array))  # noqa: E731
    like = jax.tree.map(shape_of, x)
    variables = Variables(
        *jax.eval_shape(lambda key, x: model.init(key, x, shared=shared), jax.random.key(0), like)
    )
    leaves, structure = jax.tree_util.tree_flatten_with_path(variables)
    names = tuple(name_of_path(keys) for keys, _ in leaves)
    transient = _numbers_of_nnx(model.source) if is_nnx else set()
    stored = [not (_is_transient(name) or name in transient) for name in names]
    return Network(model, structure, names, tuple(leaf for _, leaf in leaves), tuple(stored))


def name_of_path(keys: Any) -> str:
    """Return the keys of a leaf, joined by slashes."""
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in keys
    )


def short_names(names: Any) -> dict[str, str]:
    """Return full names by the short ones, without "params/" and "state/", that are unique."""
    short: dict[str, str] = {}
    twice = set()
    for name in names:
        rest = name.partition("/")[2]
        twice |= {rest} & short.keys()
        short[rest] = name
    return {rest: name for rest, name in short.items() if rest not in twice}


def initial_leaves(
    network: Network, x: Any, key: Any, shared: Any, places: Sequence[int]
) -> dict[int, Any]:
    """Return the first values, drawn by `key`, of the leaves at these places, and of no others."""
    if x is not None:
        x = jax.tree.map(lambda a: jnp.zeros(jnp.shape(a), jnp.result_type(a)), x)

    @jax.jit  # leaves out what is not returned
    def draw(key: Any, x: Any, shared: Any) -> list[Any]:
        leaves = jax.tree.leaves(Variables(*network.model.init(key, x, shared=shared)))
        return [leaves[place] for place in places]

    return dict(zip(places, draw(key, x, shared), strict=True))


def _is_transient(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == STATE and len(parts) > 1 and parts[1] in _NOT_STORED


def _numbers_of_nnx(factory: Any) -> set[str]:
    """Return the names of the variables of a module that are no weights."""
    module = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(0)))
    kinds = (Hyper, nnx.Cache, nnx.Intermediate)
    return {
        "/".join((STATE, *map(str, path)))
        for path, variable in nnx.to_flat_state(nnx.state(module))
        if isinstance(variable, kinds)
    }


def is_variables(tree: Any) -> bool:
    """Return whether a tree is parameters with a state."""
    if isinstance(tree, Variables):
        return True
    return isinstance(tree, tuple) and len(tree) == 2 and all(isinstance(t, Mapping) for t in tree)
