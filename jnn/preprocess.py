"""Preprocessing that learns from data, as pure functions on the device.

A `Preprocess` is three functions: `fit(values, weights) -> stats`, `forward(stats, values)`, `inverse(stats, values)`.
The engine fits inside the compiled program on each member's own training rows (every other row has weight 0), so
nothing of a validation fold can reach the numbers that a member trains on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

Stats = Any  # a pytree of arrays with the shape of one row


class Preprocess(NamedTuple):
    """How values are transformed before training and transformed back after it.

    `fit` takes values [rows, ...] and weights [rows]; a row of weight 0 counts as absent.
    `inverse(stats, forward(stats, values))` gives `values` back. All three work under `jit` and `vmap`.
    """

    fit: Callable[[Array, Array], Stats]
    forward: Callable[[Stats, Array], Array]
    inverse: Callable[[Stats, Array], Array]


class Affine(NamedTuple):
    """The stats of an affine transform, each with the shape of one row."""

    shift: Array
    scale: Array


def _fit_standardize(values: Array, weights: Array) -> Affine:
    values, weights = _present(values, weights)
    share = weights / weights.sum()
    guess = (share * values).sum(0)
    centred = values - guess
    error = (share * centred).sum(0)  # what rounding left in the first mean: 1e4 +- 1 needs it in float32
    variance = (share * (centred - error) ** 2).sum(0)
    return Affine(guess + error, jnp.where(_is_constant(values, weights), 1.0, jnp.sqrt(variance)))


def _fit_min_max(values: Array, weights: Array) -> Affine:
    values, weights = _present(values, weights)
    low, high = _range(values, weights)
    return Affine(low, jnp.where(_is_constant(values, weights), 1.0, high - low))


def _forward(stats: Affine, values: Array) -> Array:
    return (values - stats.shift) / stats.scale


def _inverse(stats: Affine, values: Array) -> Array:
    return values * stats.scale + stats.shift


def _present(values: Array, weights: Array) -> tuple[Array, Array]:
    """Values in at least float32, 0 where absent (0 * NaN is NaN), and weights that broadcast over them."""
    weights = weights.reshape(-1, *(1,) * (values.ndim - 1))
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    return jnp.where(weights > 0, values, 0), weights.astype(values.dtype)


def _range(values: Array, weights: Array) -> tuple[Array, Array]:
    low = jnp.where(weights > 0, values, jnp.inf).min(0)
    high = jnp.where(weights > 0, values, -jnp.inf).max(0)
    return low, high


def _is_constant(values: Array, weights: Array) -> Array:
    """Exact, where a threshold on the variance would depend on the size of the mean."""
    low, high = _range(values, weights)
    return low == high


standardize = Preprocess(_fit_standardize, _forward, _inverse)
"""(value - mean) / deviation per feature; deviation 1 where a feature is constant. As StandardScaler."""

min_max = Preprocess(_fit_min_max, _forward, _inverse)
"""(value - low) / (high - low) per feature; range 1 where a feature is constant. As MinMaxScaler."""

identity = Preprocess(lambda values, weights: (), lambda stats, values: values, lambda stats, values: values)
"""Values as they are, of any type (token ids, images already in 0..1)."""
