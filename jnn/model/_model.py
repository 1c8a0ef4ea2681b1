"""A model is a pair of pure functions; `as_model` makes one from what people have.

Three forms are accepted and end in the same two functions: a plain pair, a `flax.linen.Module` and a Flax NNX
factory. Parameters are nested dicts of arrays under Flax's own names (`kernel`, `bias`, `scale`, `embedding`).
"""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import InvalidRngError

from jnn._errors import reason_of

Params = Any
State = Any


class Model(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: `init(key, x) -> (params, state)`; `x` is one batch, of which only shape and dtype count.
        apply: `apply(params, state, x, *, key, train, hyper) -> (y, state)`; `key=None` means no randomness,
            `train` is a Python bool, `hyper` maps names to the member's numbers.
        name: What to call it in tables.
        choices: `choices() -> {name: range}`, the numbers that members may set where only some make sense.
    """

    init: Callable[..., tuple[Params, State]]
    apply: Callable[..., tuple[Any, State]]
    name: str = "model"
    choices: Callable[[], Mapping[str, range]] = dict


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
    if isinstance(network, nn.Module):
        return _from_linen(network)
    if isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
        return _from_pair(*network)
    from jnn.model import _nnx  # not above: it imports this module

    _nnx.refuse_instance(network)
    if callable(network) and accepts(network, "rngs"):
        init, apply, choices = _nnx.functions_of(network)
        return Model(init, apply, name_of(network), choices)
    raise ValueError(
        "wanted a pair (init, apply), a flax.linen.Module or an NNX factory taking rngs=, "
        f"but got {name_of(network)} of type {type(network).__name__}; see jnn.as_model for the three forms"
    )


def check_numbers(model: Model, numbers: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for a number, or one of an array of them, that the model would take for another."""
    for name, choices in model.choices().items():
        if wrong := [
            n for n in np.ravel(numbers.get(name, choices[0])).tolist() if n not in choices
        ]:
            steps = f" in steps of {choices.step}" if choices.step > 1 else ""
            raise ValueError(
                f"wanted whole numbers from {choices[0]} to {choices[-1]}{steps} for {name!r} of {model.name}, but got "
                f"{wrong[0]:g}; choose among these, or make the network larger"
            )


def _from_pair(init: Callable, apply: Callable) -> Model:
    keywords = [k for k in ("key", "train", "hyper") if accepts(apply, k)]
    arguments = [
        p.name for p in _positional(apply) if p.name not in keywords and p.default is p.empty
    ]
    if len(arguments) not in (2, 3):
        raise ValueError(
            "wanted apply(params, x) or apply(params, state, x) with the optional keywords key, train, hyper, "
            f"but got {name_of(apply)}({', '.join(arguments)}); give it two or three positional arguments"
        )
    stateful = len(arguments) == 3

    def init_pair(key, x):
        made = init(key, x) if _takes_rows(init) else init(key)
        _check_arrays(made)
        return made if stateful else (made, {})

    def apply_pair(params, state, x, *, key=None, train=False, hyper=None):
        given = {"key": key, "train": train, "hyper": {} if hyper is None else hyper}
        given = {k: given[k] for k in keywords}
        return apply(params, state, x, **given) if stateful else (apply(params, x, **given), state)

    return Model(init_pair, apply_pair, name_of(apply))


def _check_arrays(made: Any) -> None:
    """All that a pair's `init` makes are numbers: a function among them, say, could not be trained."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(made):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float)):
            raise ValueError(
                f"wanted arrays from init, but got {leaf!r} at {jax.tree_util.keystr(path)}; keep it in apply, "
                "and of an Equinox network return eqx.partition(network, eqx.is_array)[0]"
            )


def _from_linen(module: nn.Module) -> Model:
    mode = mode_of(module.__call__)

    def init(key, x):
        key_params, key_dropout = jax.random.split(key)
        variables = module.init({"params": key_params, "dropout": key_dropout}, x, **mode(False))
        return variables.get("params", {}), {k: v for k, v in variables.items() if k != "params"}

    def apply(params, state, x, *, key=None, train=False, hyper=None):
        variables = {"params": params, **state}
        if "hyper" in state:
            variables["hyper"] = _filled(state["hyper"], hyper)
        rngs = (
            {}
            if key is None
            else {"params": jax.random.fold_in(key, 0), "dropout": jax.random.fold_in(key, 1)}
        )
        mutable = [k for k in state if k != "hyper"] if train else []
        if not mutable:
            with _draws_while_training(module):
                return module.apply(variables, x, rngs=rngs, **mode(train)), state
        y, changed = module.apply(variables, x, rngs=rngs, mutable=mutable, **mode(train))
        return y, {**state, **changed}

    return Model(init, apply, type(module).__name__)


@contextlib.contextmanager
def _draws_while_training(module: nn.Module) -> Iterator[None]:
    try:
        yield
    except InvalidRngError as error:
        raise ValueError(
            f"wanted a model that draws random numbers only while it trains, but {type(module).__name__} answered: "
            f"{reason_of(error)}; give its __call__ the keyword train and draw where that is True"
        ) from error


_MODES = {  # keyword of a network -> whether True means that it trains
    "train": True,
    "training": True,
    "is_train": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
    "eval": False,
    "inference": False,
}


def mode_of(call: Callable) -> Callable[[bool], dict[str, Any]]:
    """The keywords by which a Flax module's `__call__` is told whether it trains.

    Raises:
        ValueError: For a switch that reads like one of them and is none: its default would hold in both modes.
    """
    parameters = inspect.signature(call).parameters
    for name, parameter in parameters.items():
        if (
            name not in _MODES
            and isinstance(parameter.default, bool)
            and re.search("train|eval|infer|determin", name)
        ):
            raise ValueError(
                f"wanted a network that is told whether it trains by one of {sorted(_MODES)}, but its __call__ has "
                f"{name}={parameter.default}; rename it"
            )
    found = {name: means for name, means in _MODES.items() if name in parameters}
    return lambda train: {name: train is means for name, means in found.items()}


def _filled(declared: Any, hyper: Mapping[str, Any] | None) -> Any:
    """`declared` with every leaf whose last path name is in `hyper` replaced by the member's number."""
    given = {} if hyper is None else hyper

    def fill(path, default):
        name = str(getattr(path[-1], "key", path[-1]))
        return jnp.asarray(given[name], jnp.result_type(default)) if name in given else default

    return jax.tree_util.tree_map_with_path(fill, declared)


def accepts(function: Callable, name: str) -> bool:
    """Whether a function, class or partial takes an argument of this name."""
    function = getattr(function, "func", function)  # of a functools.partial
    function = function.__init__ if isinstance(function, type) else function
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _takes_rows(init: Callable) -> bool:
    """Whether `init` has a second positional argument: one that must be given, or is called x."""
    positional = _positional(init)
    return len(positional) > 1 and (
        positional[1].default is inspect.Parameter.empty or positional[1].name == "x"
    )


def _positional(function: Callable) -> list[inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def name_of(thing: Any) -> str:
    """Its own name, or that of its class; of a partial the name of what it fills in."""
    thing = getattr(thing, "func", thing)
    return getattr(thing, "__name__", type(thing).__name__)
