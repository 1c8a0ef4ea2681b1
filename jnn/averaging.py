"""Averages of parameters: what is scored, kept and returned in place of the last parameters.

`Study(averaging=...)` takes one of the functions of this module. Training itself does not change:
gradients are taken at the parameters that the optimizer moves. After each epoch a member is scored
with its averaged parameters, `Study(keep="best")` keeps the averaged ones of the best epoch, and
these are the parameters of the result.
"""

import dataclasses
import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ScheduleFreeState

from jnn import paths

__all__ = ["Averaging", "ema", "only", "schedule_free", "swa"]


def __dir__() -> list[str]:
    return __all__


Variables = tuple[Any, Any]
"""The parameters and the other variables of a network, such as running averages: two trees."""

Number = float | Callable[[Any], Any]
"""A number, or a function of a member's hyper-parameters such as `lambda h: h.decay`."""


@dataclasses.dataclass(frozen=True, repr=False)
class Averaging:
    """How the parameters that are evaluated follow from those that are trained.

    All functions work under `jit` and `vmap`. Variables are the pair `(params, model_state)`. A
    study can be pickled if these functions can, so they should not be lambdas.

    Attributes:
        init: `init(variables) -> average`, called with the first variables.
        update: `update(average, variables, number, h) -> average`, called after each step or epoch
            with the number of steps or epochs so far, counted from 1, and the member's
            hyper-parameters.
        evaluated: `evaluated(average, variables, opt_state) -> variables`, those to score and keep.
        every: When `update` is called: after each "step", or after each "epoch".
        start: The first epoch, counted from 1, that enters the average.
        name: What `repr` and the records of a run show.
    """

    init: Callable[[Variables], Any]
    update: Callable[[Any, Variables, Any, Mapping[str, Any]], Any]
    evaluated: Callable[[Any, Variables, Any], Variables]
    every: str = "step"
    start: int = 1
    name: str = "averaging"

    def __post_init__(self) -> None:
        if self.every not in ("step", "epoch"):
            raise ValueError(f"every must be 'step' or 'epoch', got {self.every!r}.")

    def __repr__(self) -> str:
        return f"Averaging({self.name!r})"


def ema(decay: Number, *, debias: bool = False) -> Averaging:
    """Return the exponential moving average of the parameters, updated after each step.

        average <- decay * average + (1 - decay) * params

    It begins with the first, untrained parameters and spans about 1 / (1 - decay) steps: in a
    training of fewer steps much of it is still untrained, unless `debias` is True. Running averages
    of the network, such as those of batch normalization, are averaged alike, as by PyTorch's
    `AveragedModel(use_buffers=True)`.

    Args:
        decay: A number from 0 to less than 1, or a function of the member's hyper-parameters, such
            as `lambda h: h.decay`.
        debias: Whether the first parameters are left out, as in `optax.ema(decay, debias=True)`:
            the mean of the parameters after each step, weighted by powers of the decay.

    Raises:
        TypeError: If the decay is neither a number nor a function.
        ValueError: If the decay is a number outside of [0, 1).

    >>> ema(0.999)
    Averaging('ema(0.999)')
    """
    if not callable(decay):
        _check_number("decay", decay, "a number from 0 to less than 1, such as 0.999")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be from 0 to less than 1, got {decay!r}.")
    update = functools.partial(_ema_update, decay=decay, debias=debias)
    name = f"ema({_described(decay)}{', debias=True' if debias else ''})"
    return Averaging(_wide, update, _average_itself, name=name)


def swa(start: int | Callable[[Any], Any]) -> Averaging:
    """Return stochastic weight averaging: the mean of the parameters after each of several epochs.

    After epoch n >= start the average is the mean over the epochs start, ..., n; before, it is the
    last parameters. Running averages of the network, such as those of batch normalization, are
    averaged alike, as by PyTorch's `AveragedModel(use_buffers=True)`; they are not computed anew
    from the training rows. See Izmailov et al. (2018), https://arxiv.org/abs/1803.05407.

    Args:
        start: The first epoch that enters the mean, counted from 1, or a function of the member's
            hyper-parameters, such as `lambda h: h.start`.

    Raises:
        TypeError: If start is neither an integer nor a function.
        ValueError: If start is an integer below 1.

    >>> swa(start=8)
    Averaging('swa(8)')
    """
    if not callable(start):
        _check_number("start", start, "a whole number of epochs, such as 8")
        if start != int(start) or start < 1:
            raise ValueError(f"start must be a whole number from 1 on, got {start!r}.")
    update = functools.partial(_swa_update, start=start)
    first = 1 if callable(start) else int(start)
    name = f"swa({_described(start)})"
    return Averaging(_wide, update, _average_itself, every="epoch", start=first, name=name)


def schedule_free() -> Averaging:
    """Return the averaged point x of an optimizer such as `optax.contrib.schedule_free_adamw`.

    Such an optimizer takes gradients at a point y and keeps a sequence z; the average to evaluate
    is x = (y - (1 - b1) z) / b1, as in `optax.contrib.schedule_free_eval_params`. A study whose
    optimizer is schedule-free and that sets no averaging uses it by itself.

    >>> schedule_free()
    Averaging('schedule_free()')
    """
    return kept_by_optimizer(_schedule_free_point, "schedule_free()")


def only(pattern: paths.Patterns, averaging: Averaging) -> Averaging:
    """Return an averaging of those parameters whose names fit a pattern.

    The other parameters and the running averages of the network are the last ones.

    Args:
        pattern: A glob, a regular expression or a list of them; see `jnn.paths.match`.
        averaging: How the parameters are averaged.

    >>> only("trunk/**", ema(0.999))
    Averaging("only('trunk/**', ema(0.999))")
    """
    return dataclasses.replace(
        averaging,
        init=functools.partial(_init_part, pattern, averaging),
        update=functools.partial(_update_part, pattern, averaging),
        evaluated=functools.partial(_evaluated_part, pattern, averaging),
        name=f"only({pattern!r}, {averaging.name})",
    )


def _part(pattern: paths.Patterns, variables: Variables) -> Variables:
    return paths.take(pattern, variables[0]), {}


def _init_part(pattern: paths.Patterns, averaging: Averaging, variables: Variables) -> Any:
    return averaging.init(_part(pattern, variables))


def _update_part(
    pattern: paths.Patterns,
    averaging: Averaging,
    average: Any,
    variables: Variables,
    number: Any,
    h: Mapping[str, Any],
) -> Any:
    return averaging.update(average, _part(pattern, variables), number, h)


def _evaluated_part(
    pattern: paths.Patterns,
    averaging: Averaging,
    average: Any,
    variables: Variables,
    opt_state: Any,
) -> Variables:
    params, model_state = variables
    averaged, _ = averaging.evaluated(average, _part(pattern, variables), opt_state)
    return paths.join(averaged, params), model_state


def is_schedule_free(opt_state: Any) -> bool:
    """Return whether the state of an optimizer contains one that is schedule-free."""
    return bool(_schedule_free_states(opt_state))


def _ema_update(
    average: Variables,
    variables: Variables,
    number: Any,
    h: Mapping[str, Any],
    *,
    decay: Number,
    debias: bool,
) -> Variables:
    rate = decay(h) if callable(decay) else decay
    share = 1 - jnp.asarray(rate, jnp.float32)
    if debias:  # the weights of the steps so far then sum to 1
        share = share / (1 - (1 - share) ** jnp.asarray(number, jnp.float32))
    return _toward(average, variables, share)


def _swa_update(
    average: Variables,
    variables: Variables,
    number: Any,
    h: Mapping[str, Any],
    *,
    start: int | Callable[[Any], Any],
) -> Variables:
    first = start(h) if callable(start) else start
    count = jnp.maximum(number - first + 1, 1)
    return _toward(average, variables, 1 / jnp.asarray(count, jnp.float32))


def _toward(average: Variables, variables: Variables, share: jax.Array) -> Variables:
    """Move an average toward variables: by `share` of the way, all the way if it is 1.

    What is not a floating number, such as a counter, is that of the variables.
    """

    def moved(mean: jax.Array, value: jax.Array) -> jax.Array:
        if not jnp.issubdtype(value.dtype, jnp.inexact):
            return value
        value = value.astype(mean.dtype)
        between = (mean + share * (value - mean)).astype(mean.dtype)
        return jnp.where(share >= 1, value, between)

    return jax.tree.map(moved, average, variables)


def _wide(variables: Variables) -> Variables:
    """Return variables with float32 in place of narrower types, in which small shares are lost."""

    def widened(value: jax.Array) -> jax.Array:
        if not jnp.issubdtype(value.dtype, jnp.inexact):
            return value
        return value.astype(jnp.promote_types(value.dtype, jnp.float32))

    return jax.tree.map(widened, variables)


def _average_itself(average: Variables, variables: Variables, opt_state: Any) -> Variables:
    """Return the average in the types of the variables."""
    del opt_state

    def narrowed(mean: jax.Array, value: jax.Array) -> jax.Array:
        return (
            mean if mean.dtype == value.dtype else mean.astype(value.dtype)
        )  # keys have no astype

    return jax.tree.map(narrowed, average, variables)


def kept_by_optimizer(
    evaluated: Callable[[Any, Variables, Any], Variables], name: str
) -> Averaging:
    """Return the averaging whose average is a part of the optimizer's state."""
    return Averaging(_nothing, _unchanged, evaluated, name=name)


def _nothing(variables: Variables) -> tuple[()]:
    del variables
    return ()


def _unchanged(average: Any, variables: Variables, number: Any, h: Mapping[str, Any]) -> Any:
    del variables, number, h
    return average


def _schedule_free_point(average: Any, variables: Variables, opt_state: Any) -> Variables:
    """Return the averaged parameters that the state of the optimizer implies."""
    del average
    states = _schedule_free_states(opt_state)
    if not states:
        raise ValueError(
            "averaging.schedule_free() needs a schedule-free optimizer, and the state "
            "of this one has no ScheduleFreeState. Use for example "
            "optax.contrib.schedule_free_adamw(1e-3)."
        )
    params, model_state = variables
    for state in states:
        params = _point_of(state, params)
    return params, model_state


def _point_of(state: ScheduleFreeState, params: Any) -> Any:
    """Return the parameters with the averaged point for those that a schedule-free state holds."""

    def averaged(z: Any, y: jax.Array) -> Any:
        if isinstance(z, optax.MaskedNode):  # a parameter that another optimizer trains
            return y
        return optax.contrib.schedule_free_eval_params(state._replace(z=z), y).astype(y.dtype)

    is_masked = lambda node: isinstance(node, optax.MaskedNode)  # noqa: E731
    return jax.tree.map(averaged, state.z, params, is_leaf=is_masked)


def _schedule_free_states(opt_state: Any) -> list[ScheduleFreeState]:
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, ScheduleFreeState))
    return [node for node in nodes if isinstance(node, ScheduleFreeState)]


def _check_number(name: str, value: Any, expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name} must be {expected}, or a function of the member's hyper-parameters, got "
            f"{value!r}."
        )


def _described(number: Any) -> str:
    return getattr(number, "__name__", repr(number)) if callable(number) else f"{number:g}"
