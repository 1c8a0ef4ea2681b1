"""Flax NNX: a network's factory as two pure functions, and the network with given parameters."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import unflatten_dict

from jnn.model._hyper import Hyper
from jnn.model._model import mode_of, name_of

_KINDS = (nnx.Param, nnx.RngState, ...)


def as_module(
    factory: Callable, params: Any, state: Any, hyper: Mapping[str, Any] | None = None
) -> Any:
    """The NNX network with given parameters, not training: for all that it can do beside `__call__`.

    Pure, so it may stand under jit and vmap: `jnn.generate(jnn.as_module(factory, params, state), prompt, 100)`.
    The network of member i of a result:

        params, state, _, hyper = jax.tree.map(lambda a: a[i], result.trained)
        jnn.as_module(factory, params, state, hyper)

    Args:
        factory: The NNX factory that `as_model` took.
        params: As `Model.init` made them, or a study trained them.
        state: Likewise.
        hyper: The member's numbers; a `jnn.Hyper` that is not among them keeps its default.
    """
    return _merged(_structure(factory), params, state, None, False, hyper)


def refuse_instance(network: Any) -> None:
    """Raises for a network whose parameters are already drawn."""
    if isinstance(network, nnx.Module):
        name = type(network).__name__
        raise ValueError(
            f"wanted an NNX factory, which can draw new parameters for every member, but got an instance of {name}; "
            f"pass the class with its arguments instead: functools.partial({name}, ...)"
        )


def functions_of(factory: Callable) -> tuple[Callable, Callable, Callable]:
    """`init`, `apply` and `choices` of a `jnn.Model`."""
    structure = functools.cache(lambda: _structure(factory))  # read when it is first needed

    def init(key, x):
        del x  # an NNX module knows its sizes
        module = _made(factory, nnx.Rngs(key))
        if callable(module):
            mode_of(module.__call__)  # which may raise: now, not when it is trained
        _, params, _, rest = nnx.split(module, *_KINDS)
        return _to_dict(params), _to_dict(rest)

    def apply(params, state, x, *, key=None, train=False, hyper=None):
        module = _merged(structure(), params, state, key, train, hyper)
        y = module(x, **mode_of(module.__call__)(train))
        if not train:
            return y, state
        after = nnx.split(module, *_KINDS[:2], nnx.Intermediate, ...)[4]  # what it sows is no state
        return y, _keep_hyper(structure()[3], state, _to_dict(after))

    def choices():
        declared = [
            (str(path[-1]), v)
            for path, v in nnx.to_flat_state(structure()[3])
            if isinstance(v, Hyper)
        ]
        return {name: v.choices for name, v in declared if "choices" in v.get_metadata()}

    return init, apply, choices


def _structure(factory: Callable) -> tuple:
    """The graph of the network and its variables as shapes: parameters, random streams and the rest."""
    abstract = nnx.eval_shape(lambda: _made(factory, nnx.Rngs(0)))
    if not isinstance(abstract, nnx.Module):
        raise ValueError(
            f"wanted a factory that returns an nnx.Module, but {name_of(factory)} returned "
            f"{type(abstract).__name__}; return the module itself"
        )
    return nnx.split(abstract, *_KINDS)


def _made(factory: Callable, rngs: nnx.Rngs) -> Any:
    """The network, its plain arrays declared as data: while JAX traces them, Flax takes them for static."""
    module = factory(rngs=rngs)
    for node in [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Pytree)]:
        for name in [name for name, value in vars(node).items() if isinstance(value, jax.Array)]:
            setattr(node, name, nnx.data(getattr(node, name)))
    return module


def _merged(structure: tuple, params: Any, state: Any, key: Any, train: bool, hyper: Any) -> Any:
    """The network with these variables, training or not."""
    graph, abstract_params, abstract_rngs, abstract_rest = structure
    module = nnx.merge(
        graph,
        _from_dict(abstract_params, params),
        _fresh_rngs(abstract_rngs, jax.random.key(0) if key is None else key),
        _from_dict(abstract_rest, state, hyper),
    )
    module.set_attributes(
        deterministic=not train or key is None,
        use_running_average=not train,
        raise_if_not_found=False,
    )
    return module


def _to_dict(variables: Any) -> dict:
    """Nested dict of arrays, keyed by strings, from an `nnx.State`."""
    return unflatten_dict(
        {
            tuple(map(str, path)): variable.get_value()
            if isinstance(variable, nnx.Variable)
            else variable
            for path, variable in nnx.to_flat_state(variables)
        }
    )


def _from_dict(abstract: Any, tree: Mapping, hyper: Mapping[str, Any] | None = None) -> Any:
    """The inverse of `_to_dict`; variables of type `Hyper` take the member's number where it has one."""
    leaves = []
    for path, variable in nnx.to_flat_state(abstract):
        value: Any = tree
        for name in map(str, path):
            value = value[name]
        if isinstance(variable, Hyper) and hyper and str(path[-1]) in hyper:
            number = jnp.asarray(hyper[str(path[-1])], value.dtype)
            value = (
                number if number.ndim else jnp.broadcast_to(number, value.shape)
            )  # the same in stacked layers
        leaves.append(
            (path, variable.replace(value) if isinstance(variable, nnx.Variable) else value)
        )
    return nnx.from_flat_state(leaves)


def _keep_hyper(abstract: Any, before: dict, after: dict) -> dict:
    """`after` with the variables of type `Hyper` as they were: a default must not become a member's number."""
    declared = [
        path for path, variable in nnx.to_flat_state(abstract) if isinstance(variable, Hyper)
    ]
    for path in declared:
        *parents, name = map(str, path)
        old, new = before, after
        for parent in parents:
            old, new = old[parent], new[parent]
        new[name] = old[name]
    return after


def _fresh_rngs(abstract: Any, key: jax.Array) -> Any:
    """Every stream of random numbers in the network gets a key of its own and starts to count at 0.

    Stacked layers have one stream of shape [layers], a key for each.
    """

    def fresh(i: int, variable: Any) -> jax.Array:
        shape = variable.get_value().shape
        if not isinstance(variable, nnx.RngKey):
            return jnp.zeros(shape, jnp.uint32)
        own = jax.random.fold_in(key, i)
        return jax.random.split(own, shape) if shape else own

    leaves = [
        (path, v.replace(fresh(i, v))) for i, (path, v) in enumerate(nnx.to_flat_state(abstract))
    ]
    return nnx.from_flat_state(leaves)
