"""A model is a pair of pure functions; `as_model` makes one from what people have.

Three forms are accepted and end in the same two functions: a plain pair, a `flax.linen.Module` and a Flax NNX
factory. Parameters are nested dicts of arrays under Flax's own names (`kernel`, `bias`, `scale`, `embedding`).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jnn.hyper import Hyper

Params = Any
State = Any


class Model(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: `init(key, x) -> (params, state)`; `x` is one batch, of which only shape and dtype count.
        apply: `apply(params, state, x, *, key, train, hyper) -> (y, state)`; `key=None` means no randomness,
            `train` is a Python bool, `hyper` maps names to the member's numbers.
        name: What to call it in tables.
    """

    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[Any, State]]
    name: str = "model"


def as_model(network: Any) -> Model:
    """Makes a `Model` from a plain pair, a Linen module or an NNX factory.

    Args:
        network: One of
            - a `Model`, returned as it is;
            - a pair `(init, apply)` of functions: `init(key, x) -> (params, state)` with
              `apply(params, state, x) -> (y, state)`, or without state `init(key, x) -> params` with
              `apply(params, x) -> y` (told apart by the number of positional arguments). `apply` may take any of the
              keywords `key`, `train`, `hyper`;
            - a `flax.linen.Module`;
            - a Flax NNX factory: a callable that takes `rngs=` and returns an `nnx.Module`, such as
              `functools.partial(MLP, 64, (32,), 10)`.

    Raises:
        ValueError: For an NNX instance (its parameters are already drawn: a population needs to draw them anew) and
            for anything else.
    """
    if isinstance(network, Model):
        return network
    if isinstance(network, nnx.Module):
        name = type(network).__name__
        raise ValueError(
            f"wanted an NNX factory, which can draw new parameters for every member, but got an instance of {name}; "
            f"pass the class with its arguments instead: functools.partial({name}, ...)"
        )
    if isinstance(network, nn.Module):
        return _from_linen(network)
    if isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
        return _from_pair(*network)
    if callable(network) and _accepts(network, "rngs"):
        return _from_nnx(network)
    raise ValueError(
        "wanted a pair (init, apply), a flax.linen.Module or an NNX factory taking rngs=, "
        f"but got {_name(network)} of type {type(network).__name__}; see jnn.as_model for the three forms"
    )


def as_module(factory: Callable, params: Params, state: State) -> Any:
    """The NNX network with given parameters, not training: for all that it can do beside `__call__`.

    Pure, so it may stand under jit and vmap: `jnn.generate(jnn.as_module(factory, params, state), prompt, 100)`.

    Args:
        factory: The NNX factory that `as_model` took.
        params: As `Model.init` made them, or a study trained them.
        state: Likewise.
    """
    return _merged(_structure(factory), params, state, None, False, None)


def _from_pair(init: Callable, apply: Callable) -> Model:
    positional = [
        p
        for p in inspect.signature(apply).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    keywords = [k for k in ("key", "train", "hyper") if _accepts(apply, k)]
    arguments = [p.name for p in positional if p.name not in keywords]
    if len(arguments) not in (2, 3):
        raise ValueError(
            "wanted apply(params, x) or apply(params, state, x) with the optional keywords key, train, hyper, "
            f"but got {_name(apply)}({', '.join(arguments)}); give it two or three positional arguments"
        )
    stateful = len(arguments) == 3

    def init_pair(key, x):
        made = init(key, x) if _count_positional(init) > 1 else init(key)
        return made if stateful else (made, {})

    def apply_pair(params, state, x, *, key=None, train=False, hyper=None):
        given = {"key": key, "train": train, "hyper": {} if hyper is None else hyper}
        given = {k: given[k] for k in keywords}
        return apply(params, state, x, **given) if stateful else (apply(params, x, **given), state)

    return Model(init_pair, apply_pair, _name(apply))


def _from_linen(module: nn.Module) -> Model:
    mode = _linen_mode(module)

    def init(key, x):
        key_params, key_dropout = jax.random.split(key)
        variables = module.init({"params": key_params, "dropout": key_dropout}, x, **mode(False))
        return variables.get("params", {}), {k: v for k, v in variables.items() if k != "params"}

    def apply(params, state, x, *, key=None, train=False, hyper=None):
        variables = {"params": params, **state}
        if "hyper" in state:
            variables["hyper"] = _filled(state["hyper"], hyper)
        rngs = {} if key is None else {"params": jax.random.fold_in(key, 0), "dropout": jax.random.fold_in(key, 1)}
        mutable = [k for k in state if k != "hyper"] if train else []
        if not mutable:
            return module.apply(variables, x, rngs=rngs, **mode(train)), state
        y, changed = module.apply(variables, x, rngs=rngs, mutable=mutable, **mode(train))
        return y, {**state, **changed}

    return Model(init, apply, type(module).__name__)


def _linen_mode(module: nn.Module) -> Callable[[bool], dict[str, Any]]:
    """The keyword by which a Linen module is told whether it trains, found in its `__call__`."""
    names = inspect.signature(module.__call__).parameters
    for name, means_training in (
        ("train", True),
        ("training", True),
        ("is_training", True),
        ("deterministic", False),
        ("use_running_average", False),
        ("eval", False),
    ):
        if name in names:
            return lambda train, name=name, means_training=means_training: {name: train is means_training}
    return lambda train: {}


def _filled(declared: Any, hyper: Mapping[str, Any] | None) -> Any:
    """`declared` with every leaf whose last path name is in `hyper` replaced by the member's number."""
    given = {} if hyper is None else hyper

    def fill(path, default):
        name = str(getattr(path[-1], "key", path[-1]))
        return jnp.asarray(given[name], jnp.result_type(default)) if name in given else default

    return jax.tree_util.tree_map_with_path(fill, declared)


_KINDS = (nnx.Param, nnx.RngState, ...)


def _from_nnx(factory: Callable) -> Model:
    seen: list = []  # the graph of the network, read once, when it is first needed

    def structure():
        if not seen:
            seen.append(_structure(factory))
        return seen[0]

    def init(key, x):
        del x  # an NNX module knows its sizes
        _, params, _, rest = nnx.split(factory(rngs=nnx.Rngs(key)), *_KINDS)
        return _to_dict(params), _to_dict(rest)

    def apply(params, state, x, *, key=None, train=False, hyper=None):
        module = _merged(structure(), params, state, key, train, hyper)
        y = module(x, **({"train": train} if _accepts(module.__call__, "train") else {}))
        if not train:
            return y, state
        after = nnx.split(module, *_KINDS)[3]
        return y, _keep_hyper(structure()[3], state, _to_dict(after))

    return Model(init, apply, _name(factory))


def _structure(factory: Callable) -> tuple:
    """The graph of the network and its variables as shapes: parameters, random streams and the rest."""
    abstract = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(0)))
    if not isinstance(abstract, nnx.Module):
        raise ValueError(
            f"wanted a factory that returns an nnx.Module, but {_name(factory)} returned "
            f"{type(abstract).__name__}; return the module itself"
        )
    return nnx.split(abstract, *_KINDS)


def _merged(structure: tuple, params: Params, state: State, key: Any, train: bool, hyper: Any) -> Any:
    """The network with these variables, training or not."""
    graph, abstract_params, abstract_rngs, abstract_rest = structure
    module = nnx.merge(
        graph,
        _from_dict(abstract_params, params),
        _fresh_rngs(abstract_rngs, jax.random.key(0) if key is None else key),
        _from_dict(abstract_rest, state, hyper),
    )
    module.set_attributes(
        deterministic=not train or key is None, use_running_average=not train, raise_if_not_found=False
    )
    return module


def _to_dict(variables: Any) -> dict:
    """Nested dict of arrays, keyed by strings, from an `nnx.State`."""
    tree: dict = {}
    for path, variable in nnx.to_flat_state(variables):
        *parents, name = map(str, path)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = variable[...] if isinstance(variable, nnx.Variable) else variable
    return tree


def _from_dict(abstract: Any, tree: Mapping, hyper: Mapping[str, Any] | None = None) -> Any:
    """The inverse of `_to_dict`; variables of type `Hyper` take the member's number where it has one."""
    leaves = []
    for path, variable in nnx.to_flat_state(abstract):
        value: Any = tree
        for name in map(str, path):
            value = value[name]
        if isinstance(variable, Hyper) and hyper and str(path[-1]) in hyper:
            value = jnp.asarray(hyper[str(path[-1])], value.dtype)
        leaves.append((path, variable.replace(value) if isinstance(variable, nnx.Variable) else value))
    return nnx.from_flat_state(leaves)


def _keep_hyper(abstract: Any, before: dict, after: dict) -> dict:
    """`after` with the variables of type `Hyper` as they were: a default must not become a member's number."""
    declared = [path for path, variable in nnx.to_flat_state(abstract) if isinstance(variable, Hyper)]
    for path in declared:
        *parents, name = map(str, path)
        old, new = before, after
        for parent in parents:
            old, new = old[parent], new[parent]
        new[name] = old[name]
    return after


def _fresh_rngs(abstract: Any, key: jax.Array) -> Any:
    """Every stream of random numbers in the network gets a key of its own and starts to count at 0."""
    leaves = []
    for i, (path, variable) in enumerate(nnx.to_flat_state(abstract)):
        value = jax.random.fold_in(key, i) if isinstance(variable, nnx.RngKey) else jnp.zeros((), jnp.uint32)
        leaves.append((path, variable.replace(value)))
    return nnx.from_flat_state(leaves)


def _accepts(function: Callable, name: str) -> bool:
    function = getattr(function, "func", function)  # of a functools.partial
    function = function.__init__ if isinstance(function, type) else function
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _count_positional(function: Callable) -> int:
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _name(thing: Any) -> str:
    thing = getattr(thing, "func", thing)
    return getattr(thing, "__name__", type(thing).__name__)
