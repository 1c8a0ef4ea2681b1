"""Penalties on the slope of a discriminator, added to its loss."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax

from jnn._settings import NOT_NEGATIVE, check_number
from jnn.losses import gan
from jnn.study import check_call

_WEIGHT = "The weight of a penalty"

Critic = Callable[[jax.Array], jax.Array]
"""The discriminator of a step as a function of examples, which it takes packed."""

Penalty = Callable[..., jax.Array]
"""A function `penalty(critic, real, fake, *, key, h)` that returns one value for each pack."""

Weight = float | Callable[[Any], Any]
"""A number, or a function of the member's numbers such as `lambda h: h.gamma`."""


def gradient_penalty(weight: Weight = 10.0, *, center: float = 1.0) -> Penalty:
    """Return the penalty of slopes other than `center` between real and generated examples.

    weight (||d D(z) / dz|| - center)^2,  z = e real + (1 - e) fake,  e uniform in [0, 1]

    With a center of 1 it is that of Gulrajani et al. (2017), https://arxiv.org/abs/1704.00028, for
    Wasserstein critics, and with 0 that of Thanh-Tung et al. (2019),
    https://arxiv.org/abs/1902.03984. It is the slope at each example, so the discriminator should
    normalize by no batch.

    Args:
        weight: A number, or a function of the member's numbers such as `lambda h: h.gamma`.
        center: The slope that is not penalized.
    """
    _check_weight(weight)
    check_number("center", center, NOT_NEGATIVE)
    return functools.partial(_between, weight, center)


def r1(gamma: Weight = 10.0) -> Penalty:
    """Return the penalty of the slope at real examples.

    gamma / 2 ||d D(x) / dx||^2,  x real

    Mescheder et al. (2018), https://arxiv.org/abs/1801.04406

    Args:
        gamma: A number, or a function of the member's numbers such as `lambda h: h.gamma`.
    """
    _check_weight(gamma)
    return functools.partial(_at, "real", gamma)


def r2(gamma: Weight = 10.0) -> Penalty:
    """Return the penalty of the slope at generated examples.

    gamma / 2 ||d D(x) / dx||^2,  x generated

    Mescheder et al. (2018), https://arxiv.org/abs/1801.04406

    Args:
        gamma: A number, or a function of the member's numbers such as `lambda h: h.gamma`.
    """
    _check_weight(gamma)
    return functools.partial(_at, "fake", gamma)


def _between(
    weight: Weight,
    center: float,
    critic: Critic,
    real: jax.Array,
    fake: jax.Array,
    *,
    key: jax.Array,
    h: Mapping[str, Any],
) -> jax.Array:
    values = gan.gradient_penalty(critic, real, fake, key=key, center=center)
    return _value(weight, h) * values


def _at(
    place: Literal["real", "fake"],
    gamma: Weight,
    critic: Critic,
    real: jax.Array,
    fake: jax.Array,
    *,
    key: jax.Array,
    h: Mapping[str, Any],
) -> jax.Array:
    del key
    examples = real if place == "real" else fake
    return _value(gamma, h) / 2 * gan.squared_slope(critic, examples)


def _value(weight: Weight, h: Mapping[str, Any]) -> Any:
    if not callable(weight):
        return weight
    value = weight(h)
    check_number(_WEIGHT, value, NOT_NEGATIVE)
    return value


def _check_weight(weight: Any) -> None:
    if callable(weight):
        check_call(_WEIGHT, weight, "weight(h)", 1)
    else:
        check_number(_WEIGHT, weight, NOT_NEGATIVE)
