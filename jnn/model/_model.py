"""A model is two pure functions; `as_model` makes one from any of the accepted forms of a network.

Three forms are accepted: a plain pair of functions, a `flax.linen.Module` and a Flax NNX factory.
Parameters are nested dicts of arrays under Flax's own names (`kernel`, `bias`, `scale`,
`embedding`).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from jnn.model._linen import functions_of_linen
from jnn.model._nnx import functions_of_nnx, refuse_instance
from jnn.model._other_forms import refuse_other_forms
from jnn.model._pair import functions_of_pair
from jnn.model._signatures import Apply, Init, accepts, name_of
from jnn.model._switch import TrainKeyword, check_train_keyword


@dataclasses.dataclass(frozen=True)
class Model:
    """A network as two pure functions.

    It can be pickled and copied if the network that it was made from can, or, if it was made by
    hand, if its functions can.

    Attributes:
        init: `init(key, x, *, shared=None) -> (params, state)`. Only the shape and dtype of the
            batch `x` matter.
        apply: `apply(params, state, x, *, key, train, hyper, shared=None) -> (y, state)`. Without a
            `key` nothing is random, `train` is a Python bool, `hyper` maps names to the member's
            numbers, and `shared` holds the arrays that all members read (see `jnn.Shared`). In
            training the state may carry effects: losses that the network sows and parameters that
            it writes to (see `jnn.model.take_effects`).
        name: Name of the network in tables.
        choices: `choices() -> {name: range}`, the valid numbers of those hyper-parameters that are
            restricted to some.
        source: The network that `as_model` made it from; None for a model made by hand.
        train_keyword: The keyword that `as_model` was given.
    """

    init: Init
    apply: Apply
    name: str = "model"
    choices: Callable[[], Mapping[str, range]] = dict
    # Not an argument, so that dataclasses.replace drops it: a changed model is not the one that its
    # source makes.
    source: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)
    train_keyword: TrainKeyword = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )

    def __reduce__(self):
        """Pickle the source, as the functions made from it are closures."""
        if self.source is None:
            return Model, (self.init, self.apply, self.name, self.choices)
        return functools.partial(as_model, train_keyword=self.train_keyword), (self.source,)


def as_model(network: Any, *, train_keyword: TrainKeyword = None) -> Model:
    """Make a `Model` from a plain pair, a Linen module or an NNX factory.

    Args:
        network: One of
            - a `Model`, returned as it is;
            - a pair `(init, apply)` of functions: `init(key, x) -> (params, state)` with
              `apply(params, state, x) -> (y, state)`, or without state `init(key, x) -> params`
              with `apply(params, x) -> y` (told apart by the number of positional arguments).
              `apply` may take any of the keywords `key`, `train`, `hyper` and `shared`, and `init`
              may take `shared`;
            - a `flax.linen.Module`, which reads hyper-parameters from the collection "hyper",
              declared by `self.variable("hyper", name, init)`, and shared arrays likewise from the
              collection "shared";
            - a Flax NNX factory: a callable that takes `rngs=` and returns an `nnx.Module`, such as
              `functools.partial(MLP, 64, (32,), 10)`. Its modules declare hyper-parameters as
              `jnn.Hyper` and shared arrays as `jnn.Shared`.
        train_keyword: The keyword, or attribute, by which the network is told whether it trains;
            see `jnn.Study`. By default it is found by its name, such as `train` or `deterministic`.

    Raises:
        TypeError: For an NNX instance, whose parameters are already drawn (every member draws its
            own), and for anything else that is none of these forms.
        ValueError: If the network has no such keyword.
    """
    check_train_keyword(train_keyword)
    if isinstance(network, Model):
        return _with_keyword(network, train_keyword)
    module = module_of(network)
    if module is not None:
        model = Model(*functions_of_linen(module, train_keyword), type(module).__name__)
    elif isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
        model = Model(*functions_of_pair(*network, train_keyword), name_of(network[1]))
    else:
        refuse_instance(network)
        refuse_other_forms(network)
        if not (callable(network) and accepts(network, "rngs")):
            raise TypeError(
                "A network must be a pair (init, apply), a flax.linen.Module or an NNX factory "
                f"that takes rngs=, got {name_of(network)} of type {type(network).__name__}. See "
                "jnn.as_model for the three forms."
            )
        init, apply, choices = functions_of_nnx(network, train_keyword)
        model = Model(init, apply, name_of(network), choices)
    object.__setattr__(model, "source", network)
    object.__setattr__(model, "train_keyword", train_keyword)
    return model


def _with_keyword(model: Model, train_keyword: TrainKeyword) -> Model:
    """Return the model, made anew from its source if another keyword switches it."""
    if train_keyword is None or train_keyword == model.train_keyword:
        return model
    if model.source is None:
        raise ValueError(
            f"train_keyword must be None for a jnn.Model made by hand, as its apply takes the "
            f"keyword train, got {train_keyword!r}. Pass the network that the model was made from."
        )
    return as_model(model.source, train_keyword=train_keyword)


def module_of(network: Any) -> nn.Module | None:
    """Return a Linen module, also if its functions came as the pair (module.init, module.apply)."""
    if isinstance(network, nn.Module):
        return network
    if isinstance(network, tuple) and len(network) == 2:
        init, apply = (getattr(function, "__self__", None) for function in network)
        names = [getattr(function, "__name__", None) for function in network]
        if isinstance(init, nn.Module) and init is apply and names == ["init", "apply"]:
            return init
    return None


def check_numbers(model: Model, numbers: Mapping[str, Any]) -> None:
    """Raise ValueError for a number, or an array of them, that the model does not allow."""
    for name, choices in model.choices().items():
        values = np.ravel(numbers.get(name, choices[0])).tolist()
        invalid = [value for value in values if value not in choices]
        if invalid:
            steps = f" in steps of {choices.step}" if choices.step > 1 else ""
            raise ValueError(
                f"hyper[{name!r}] of {model.name} must be a whole number from {choices[0]} to "
                f"{choices[-1]}{steps}, got {invalid[0]:g}. Choose one of these numbers, or make "
                "the network larger."
            )
