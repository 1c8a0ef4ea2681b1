"""Preprocessing that learns from data, as pure functions on the device.

A `Preprocess` is three functions: `fit(values, weights) -> stats`, `forward(stats, values)`, `inverse(stats, values)`.
The engine fits inside the compiled program on each member's own training rows (every other row has weight 0), so
nothing of a validation fold can reach the numbers that a member trains on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

Stats = Any  # a pytree of arrays with the shape of one row

_COLUMNS = 8  # fitted at a time: enough to fill the vector units, few enough to stay in the cache


class Preprocess(NamedTuple):
    """How values are transformed before training and transformed back after it.

    `fit` takes values [rows, ...] and weights [rows]; a row of weight 0 counts as absent.
    `inverse(stats, forward(stats, values))` gives `values` back. All three work under `jit` and `vmap`. `name` is what
    records call it.
    """

    fit: Callable[[Array, Array], Stats]
    forward: Callable[[Stats, Array], Array]
    inverse: Callable[[Stats, Array], Array]
    name: str = "preprocess"


class Affine(NamedTuple):
    """The stats of an affine transform, each with the shape of one row."""

    shift: Array
    scale: Array


def _mean_and_deviation(column: Array, weights: Array) -> Affine:
    share = weights / weights.sum()
    guess = (share * column).sum()
    centred = column - guess
    error = (
        share * centred
    ).sum()  # what rounding left in the first mean: 1e4 +- 1 needs it in float32
    low, high = _range(
        column, weights
    )  # exact, where a threshold on the variance would depend on the mean
    span = jnp.where(low == high, 1.0, high - low)
    variance = (
        share * ((centred - error) / span) ** 2
    ).sum()  # squares of 1e-25 or 1e25 would not fit float32
    return Affine(guess + error, jnp.where(low == high, 1.0, span * jnp.sqrt(variance)))


def _low_and_range(column: Array, weights: Array) -> Affine:
    low, high = _range(column, weights)
    return Affine(low, jnp.where(low == high, 1.0, high - low))


def _range(column: Array, weights: Array) -> tuple[Array, Array]:
    return jnp.where(weights > 0, column, jnp.inf).min(), jnp.where(
        weights > 0, column, -jnp.inf
    ).max()


def _make_fit(fit_column: Callable[[Array, Array], Affine]) -> Callable[[Array, Array], Affine]:
    """Makes `fit(values, weights)` that takes a few columns at a time.

    All at once, `vmap` over members would write the whole table for each of them: 6 to 18 times the memory and 4 to 12
    times the time (measured on 2 CPU cores: 60 members on digits, 8 members on 20000 x 784).
    """

    def fit(values: Array, weights: Array) -> Affine:
        columns = values.reshape(values.shape[0], -1).T.astype(
            jnp.promote_types(values.dtype, jnp.float32)
        )
        weights = weights.astype(columns.dtype)
        stats = jax.lax.map(
            lambda column: fit_column(_present(column, weights), weights),
            columns,
            batch_size=_COLUMNS,
        )
        return jax.tree.map(lambda stat: stat.reshape(values.shape[1:]), stats)

    return fit


def _present(column: Array, weights: Array) -> Array:
    """0 in absent rows, which may hold NaN: 0 * NaN is NaN."""
    return jnp.where(weights > 0, column, 0)


def _forward(stats: Affine, values: Array) -> Array:
    return (values - stats.shift) / stats.scale


def _inverse(stats: Affine, values: Array) -> Array:
    return values * stats.scale + stats.shift


def _fit_channels(values: Array, weights: Array) -> Affine:
    """mean = sum_r w_r m_r, variance = sum_r w_r (v_r + (m_r - mean)^2), m and v those of each row; constants keep 1.

    The rows' own moments are the same for all members, who differ only in their weights: under `vmap` the data are
    read once.
    """
    space = tuple(range(1, values.ndim - 1))
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    means = values.mean(axis=space, keepdims=True)
    variances = jnp.square(values - means).mean(axis=space)  # [rows, channels]
    means = means.reshape(variances.shape)
    present = (weights > 0)[:, None]
    share = (weights / weights.sum())[:, None]
    mean = jnp.where(present, share * means, 0).sum(axis=0)
    spread = jnp.where(present, share * (variances + jnp.square(means - mean)), 0).sum(axis=0)
    low, high = values.min(axis=space), values.max(axis=space)
    is_constant = jnp.where(present, low, jnp.inf).min(axis=0) == jnp.where(
        present, high, -jnp.inf
    ).max(axis=0)
    return Affine(mean, jnp.where(is_constant, 1.0, jnp.sqrt(spread)))


standardize = Preprocess(_make_fit(_mean_and_deviation), _forward, _inverse, "standardize")
"""(value - mean) / deviation per feature; deviation 1 where a feature is constant. As StandardScaler."""

standardize_channels = Preprocess(_fit_channels, _forward, _inverse, "standardize_channels")
"""(value - mean) / deviation per channel of rows [*space, channels]; deviation 1 where a channel is constant.

The square of a deviation must fit float32: multiply values of less than 1e-18 or more than 1e18 by a constant before.
"""

min_max = Preprocess(_make_fit(_low_and_range), _forward, _inverse, "min_max")
"""(value - low) / (high - low) per feature; range 1 where a feature is constant. As MinMaxScaler."""

identity = Preprocess(
    lambda values, weights: (),
    lambda stats, values: values,
    lambda stats, values: values,
    "identity",
)
"""Values as they are, of any type (token ids, images already in 0..1)."""
