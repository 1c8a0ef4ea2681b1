"""A Flax NNX factory as a model, and the module rebuilt from trained parameters."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import unflatten_dict

from jnn.model._hyper import Hyper
from jnn.model._shared import Shared, fill_shared
from jnn.model._signatures import Apply, Init, ModelState, Params, mode_of, name_of

_KINDS = (nnx.Param, nnx.RngState, Shared, ...)  # ... matches the rest


class _Structure(NamedTuple):
    """A module without values: its graph, and its variables of each kind as shapes."""

    graph: Any
    params: Any
    rngs: Any
    shared: Any
    rest: Any


def as_module(
    factory: Callable[..., nnx.Module],
    params: Params,
    state: ModelState,
    hyper: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
) -> Any:
    """Rebuild the NNX module, in evaluation mode, from trained parameters.

    Use it to call methods other than `__call__`. It is pure, so it may be called under `jit` and
    `vmap`: `jnn.generate(jnn.as_module(factory, params, state), prompt, 100)`. The module of member
    i of a result is

        params, state, _, hyper = jax.tree.map(lambda a: a[i], result.trained)
        jnn.as_module(factory, params, state, hyper)

    Args:
        factory: The NNX factory that the study, or `as_model`, was given.
        params: Parameters, as `Model.init` returns them or as a study has trained them.
        state: State of the model, from the same place.
        hyper: The member's numbers. A `jnn.Hyper` that is not among them keeps its default.
        shared: The arrays that all members read, as given to the study.
    """
    structure = _structure(factory)
    return _merge(structure, params, state, hyper=hyper, shared=shared, owner=name_of(factory))


def refuse_instance(network: Any) -> None:
    """Raise TypeError for a module whose parameters are already drawn."""
    if isinstance(network, nnx.Module):
        name = type(network).__name__
        raise TypeError(
            "An NNX network must be a factory, which can draw new parameters for every member, "
            f"got an instance of {name}. Pass the class with its arguments instead: "
            f"functools.partial({name}, ...)."
        )


def functions_of_nnx(
    factory: Callable[..., Any],
) -> tuple[Init, Apply, Callable[[], dict[str, range]]]:
    """Return `init`, `apply` and `choices` of a `jnn.Model`."""
    structure = functools.cache(lambda: _structure(factory))  # traced when it is first needed
    owner = name_of(factory)

    def init(key, x, *, shared=None):
        del x  # an NNX module knows its sizes
        module = _build(factory, nnx.Rngs(key))
        if callable(module):
            mode_of(module.__call__)  # raises for a wrong signature now, not in the first step
        _, params, _, declared, rest = nnx.split(module, *_KINDS)
        _fill_shared(declared, shared, owner)  # checks the names
        return _to_dict(params), _to_dict(rest)

    def apply(params, state, x, *, key=None, train=False, hyper=None, shared=None):
        module = _merge(
            structure(),
            params,
            state,
            key=key,
            train=train,
            hyper=hyper,
            shared=shared,
            owner=owner,
        )
        y = module(x, **mode_of(module.__call__)(train))
        if not train:
            return y, state
        # Intermediates that the module sows are not state.
        rest = nnx.split(module, *_KINDS[:-1], nnx.Intermediate, ...)[-1]
        return y, _keep_hyper(structure().rest, state, _to_dict(rest))

    def choices():
        restricted = {}
        for path, variable in nnx.to_flat_state(structure().rest):
            if isinstance(variable, Hyper) and "choices" in variable.get_metadata():
                restricted[str(path[-1])] = variable.choices
        return restricted

    return init, apply, choices


def _structure(factory: Callable[..., Any]) -> _Structure:
    """Return the structure of the module that the factory builds, without computing anything."""
    abstract = nnx.eval_shape(lambda: _build(factory, nnx.Rngs(0)))
    if not isinstance(abstract, nnx.Module):
        raise TypeError(
            f"An NNX factory must return an nnx.Module, got {type(abstract).__name__} from "
            f"{name_of(factory)}. Return the module itself."
        )
    return _Structure(*nnx.split(abstract, *_KINDS))


def _build(factory: Callable[..., Any], rngs: nnx.Rngs) -> Any:
    """Build the module and declare its plain arrays as data.

    Flax takes traced arrays for static attributes.
    """
    module = factory(rngs=rngs)
    nodes = [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Pytree)]
    for node in nodes:
        names = [name for name, value in vars(node).items() if isinstance(value, jax.Array)]
        for name in names:
            setattr(node, name, nnx.data(getattr(node, name)))
    return module


def _merge(
    structure: _Structure,
    params: Params,
    state: ModelState,
    *,
    key: jax.Array | None = None,
    train: bool = False,
    hyper: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
    owner: str,
) -> Any:
    """Return the module with these values, in training or in evaluation mode."""
    module = nnx.merge(
        structure.graph,
        _from_dict(structure.params, params),
        _fresh_rngs(structure.rngs, jax.random.key(0) if key is None else key),
        _fill_shared(structure.shared, shared, owner),
        _from_dict(structure.rest, state, hyper),
    )
    module.set_attributes(
        deterministic=not train or key is None,
        use_running_average=not train,
        raise_if_not_found=False,
    )
    return module


def _to_dict(variables: Any) -> dict:
    """Return the values of an `nnx.State` as a nested dict of arrays with strings as keys."""
    values = {}
    for path, variable in nnx.to_flat_state(variables):
        is_variable = isinstance(variable, nnx.Variable)
        values[_names(path)] = variable.get_value() if is_variable else variable
    return unflatten_dict(values)


def _from_dict(abstract: Any, tree: Mapping, hyper: Mapping[str, Any] | None = None) -> Any:
    """Invert `_to_dict`; a variable of type `Hyper` takes the member's number if there is one."""
    leaves = []
    for path, variable in nnx.to_flat_state(abstract):
        names = _names(path)
        value = _at(tree, names)
        if isinstance(variable, Hyper) and hyper and names[-1] in hyper:
            number = jnp.asarray(hyper[names[-1]], value.dtype)
            # Stacked layers have one variable of shape [layers]: all get the same number.
            value = number if number.ndim else jnp.broadcast_to(number, value.shape)
        if isinstance(variable, nnx.Variable):
            value = variable.replace(value)
        leaves.append((path, value))
    return nnx.from_flat_state(leaves)


def _fill_shared(abstract: Any, shared: Mapping[str, Any] | None, owner: str) -> Any:
    """Return the shared variables with the arrays of the study."""
    variables = dict(nnx.to_flat_state(abstract))
    declared = {_names(path): variable.get_value() for path, variable in variables.items()}
    values = fill_shared(declared, shared, owner)
    return nnx.from_flat_state(
        [(path, variable.replace(values[_names(path)])) for path, variable in variables.items()]
    )


def _keep_hyper(abstract: Any, before: dict, after: dict) -> dict:
    """Return `after` with the `Hyper` variables of `before`, which are the defaults."""
    for path, variable in nnx.to_flat_state(abstract):
        if isinstance(variable, Hyper):
            *parents, name = _names(path)
            _at(after, parents)[name] = _at(before, parents)[name]
    return after


def _fresh_rngs(abstract: Any, key: jax.Array) -> Any:
    """Return every stream of random numbers with a key of its own and its counter at 0.

    Stacked layers have one stream of shape [layers], with one key for each.
    """
    leaves = []
    for i, (path, variable) in enumerate(nnx.to_flat_state(abstract)):
        shape = variable.get_value().shape
        if not isinstance(variable, nnx.RngKey):
            value = jnp.zeros(shape, jnp.uint32)
        elif shape:
            value = jax.random.split(jax.random.fold_in(key, i), shape)
        else:
            value = jax.random.fold_in(key, i)
        leaves.append((path, variable.replace(value)))
    return nnx.from_flat_state(leaves)


def _names(path: tuple) -> tuple[str, ...]:
    """Return the path of a variable as strings; the places in a list are numbers."""
    return tuple(map(str, path))


def _at(tree: Any, names: Any) -> Any:
    """Return the part of a nested dict at this path."""
    for name in names:
        tree = tree[name]
    return tree
