"""A Flax NNX factory as a model, and the module rebuilt from trained parameters."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import unflatten_dict

from jnn.model._axes import with_axes
from jnn.model._effects import add_effects
from jnn.model._hyper import Hyper
from jnn.model._nnx_call import (
    call_of,
    called,
    check_scoring,
    depends_on_key,
    is_loss,
    set_mode,
)
from jnn.model._nnx_types import compute_in_type_of_parameters
from jnn.model._shared import Shared, fill_shared
from jnn.model._signatures import Apply, Init, ModelState, Params, name_of
from jnn.model._switch import TrainKeyword

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
    owner = name_of(factory)
    # Results hold NumPy arrays, which a module that trains on could not write to.
    params, state = jax.tree.map(jnp.asarray, (params, state))
    module = _merge(structure, params, state, hyper=hyper, shared=shared, owner=owner)
    set_mode(module, train=False)
    return module


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
    factory: Callable[..., Any], train_keyword: TrainKeyword = None
) -> tuple[Init, Apply, Callable[[], dict[str, range]]]:
    """Return `init`, `apply` and `choices` of a `jnn.Model`."""
    structure = functools.cache(lambda: _structure(factory))  # traced when it is first needed
    owner = name_of(factory)

    def init(key, x, *, shared=None):
        del x  # an NNX module knows its sizes
        module = _build(factory, nnx.Rngs(key))
        if callable(module):
            call_of(module, owner, train_keyword)  # raises now, not in the first step
        _, params, _, declared, rest = nnx.split(module, *_KINDS)
        _fill_shared(declared, shared, owner)  # checks the names
        return values_of(params), values_of(rest)

    def apply(params, state, x, *, key=None, train=False, hyper=None, shared=None):
        mode = {"train": train, "owner": owner, "train_keyword": train_keyword}

        def run(key):
            module = _merge(
                structure(), params, state, key=key, hyper=hyper, shared=shared, owner=owner
            )
            return module, called(module, x, key=key, **mode)

        module, answer = run(key)
        if not train:
            if answer.streams and depends_on_key(lambda key: run(key)[1].outputs):
                check_scoring(module, answer.streams, key, owner)
            return answer.outputs, state
        _, written, _, _, rest = nnx.split(module, *_KINDS)
        state, more = _state_after(structure().rest, state, rest)
        written = _written(params, values_of(written))
        return answer.outputs, add_effects(state, losses=answer.losses + more, params=written)

    def choices():
        restricted = {}
        for path, variable in nnx.to_flat_state(structure().rest):
            if isinstance(variable, Hyper) and "choices" in variable.get_metadata():
                restricted[str(path[-1])] = variable.choices
        return restricted

    return with_axes(init), with_axes(apply), choices


def _written(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of nested parameters that the module wrote to."""
    parts = {}
    for name, value in after.items():
        if isinstance(value, dict):
            part = _written(before[name], value)
            if part:
                parts[name] = part
        elif value is not before[name]:
            parts[name] = value
    return parts


def _structure(factory: Callable[..., Any]) -> _Structure:
    """Return the structure of the module that the factory builds, without computing anything."""
    graphs = []

    def states():
        graph, *states = nnx.split(_build(factory, nnx.Rngs(0)), *_KINDS)
        graphs.append(graph)
        return states

    shapes = jax.eval_shape(states)
    return _Structure(graphs[0], *shapes)


def _build(factory: Callable[..., Any], rngs: nnx.Rngs) -> Any:
    """Build the module and declare its plain arrays as data.

    Flax takes traced arrays for static attributes.
    """
    module = factory(rngs=rngs)
    if not isinstance(module, nnx.Module):
        raise TypeError(
            f"An NNX factory must return an nnx.Module, got {type(module).__name__} from "
            f"{name_of(factory)}. Return the module itself."
        )
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
    hyper: Mapping[str, Any] | None = None,
    shared: Mapping[str, Any] | None = None,
    owner: str,
) -> Any:
    """Return the module with these values."""
    module = nnx.merge(
        structure.graph,
        _from_dict(structure.params, params),
        _fresh_rngs(structure.rngs, jax.random.key(0) if key is None else key),
        _fill_shared(structure.shared, shared, owner),
        _from_dict(structure.rest, state, hyper),
    )
    return compute_in_type_of_parameters(module)


def values_of(variables: Any) -> dict:
    """Return the values of an `nnx.State` as a nested dict of arrays with strings as keys."""
    values = {}
    for path, variable in nnx.to_flat_state(variables):
        is_variable = isinstance(variable, nnx.Variable)
        values[_names(path)] = variable.get_value() if is_variable else variable
    return unflatten_dict(values)


def _from_dict(abstract: Any, tree: Mapping, hyper: Mapping[str, Any] | None = None) -> Any:
    """Invert `values_of`; a variable of type `Hyper` takes the member's number if there is one."""
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


def _state_after(
    abstract: Any, before: Mapping[str, Any], rest: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Return the state after a call without what belongs to this call only, and its new losses.

    The defaults of hyper-parameters stay, and losses and intermediates are no state.
    """
    declared = dict(nnx.to_flat_state(abstract))
    variables = nnx.to_flat_state(rest)
    new = [variable for path, variable in variables if path not in declared]
    losses = [variable.get_value() for variable in new if is_loss(type(variable))]
    kept = [
        (path, variable)
        for path, variable in variables
        if path in declared or not _is_of_a_call(variable)
    ]
    after = values_of(nnx.from_flat_state(kept))
    for path, variable in declared.items():
        if isinstance(variable, Hyper) or _is_of_a_call(variable):
            *parents, name = _names(path)
            _at(after, parents)[name] = _at(before, parents)[name]
    return after, losses


def _is_of_a_call(variable: Any) -> bool:
    return isinstance(variable, nnx.Intermediate) or is_loss(type(variable))


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
