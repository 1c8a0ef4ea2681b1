"""Metrics of predicted numbers; several outputs are averaged with equal weight."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnn.losses import absolute_error, squared_error
from jnn.losses._form import paired
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Sums,
    Targets,
    Weights,
    mean,
    row_weights,
    weighted_sum,
    zero_sums,
)


class Moments(NamedTuple):
    """What R2 needs of the rows seen so far, per output."""

    rows: Float[Array, ""]  # those that weigh something
    weight: Float[Array, ""]
    mean: Float[Array, "..."]
    spread: Float[Array, "..."]  # sum of w (t - mean)^2
    residual: Float[Array, "..."]  # sum of w (t - y)^2


def _make_mean(
    error: Callable[
        [Float[Array, "rows outputs"], Float[Array, "rows outputs"]], Float[Array, "rows ..."]
    ],
    *,
    finish: Callable[[Array], Array] = lambda mean: mean,
    doc: str,
) -> Metric:
    """The metric `finish(weighted mean of error(predictions, targets))`, averaged over the outputs that error keeps."""

    def update(
        sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Sums:
        outputs, wanted, w = _rows(predictions, targets, weights)
        total = _per_output(weighted_sum(error(outputs, wanted), w))
        return Sums(sums.total + total, sums.weight + w.sum())

    return Metric(
        zero_sums, update, lambda sums: jnp.mean(finish(mean(sums))), False, "regression", doc=doc
    )


def _add_moments(
    sums: Moments, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Moments:
    """Joins the moments of new rows, each about its own mean: sums of squares about 0 would cancel in float32.

    Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (1979).
    """
    outputs, wanted, w = _rows(predictions, targets, weights)
    new = _moments(outputs, wanted, w)
    weight = sums.weight + new.weight
    share = new.weight / jnp.where(weight > 0, weight, 1)
    step = new.mean - sums.mean
    return Moments(
        sums.rows + new.rows,
        weight,
        sums.mean + step * share,
        sums.spread + new.spread + step**2 * sums.weight * share,
        sums.residual + new.residual,
    )


def _moments(
    outputs: Float[Array, "rows outputs"], wanted: Float[Array, "rows outputs"], w: Array
) -> Moments:
    weight = w.sum()
    whole = jnp.where(weight > 0, weight, 1)
    rough = weighted_sum(wanted, w) / whole
    center = (
        rough + weighted_sum(wanted - rough, w) / whole
    )  # a float32 sum of many large targets is off
    sums = (weighted_sum((wanted - other) ** 2, w) for other in (center, outputs))
    rows = (w > 0).sum(dtype=w.dtype)
    return Moments(rows, weight, _per_output(center), *map(_per_output, sums))


def _r2(sums: Moments) -> Array:
    """Targets that never vary give 1 if met exactly, else 0, and a single row gives NaN, as in scikit-learn."""
    ratio = sums.residual / jnp.where(sums.spread > 0, sums.spread, 1)
    constant = jnp.where(sums.residual == 0, 1, 0 * sums.residual)  # NaN stays NaN
    value = jnp.mean(jnp.where(sums.spread > 0, 1 - ratio, constant))
    return jnp.where(sums.rows > 1, value, jnp.nan)


def _rows(
    predictions: Predictions, targets: Targets, weights: Weights
) -> tuple[Float[Array, "rows outputs"], Float[Array, "rows outputs"], Float[Array, " rows"]]:
    """Every position before the outputs' axis as a row, with its weight."""
    outputs, wanted = paired(predictions, targets)
    if outputs.ndim < 2:
        outputs, wanted = outputs.reshape(-1, 1), wanted.reshape(-1, 1)
    w = row_weights(weights, outputs.shape[:-1])
    last = outputs.ndim - 1
    return lax.collapse(outputs, 0, last), lax.collapse(wanted, 0, last), w


def _per_output(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """One output keeps scalar sums, so that they have the shape that init gives."""
    return values.reshape(()) if values.size == 1 else values


def _squares(
    outputs: Float[Array, "rows outputs"], wanted: Float[Array, "rows outputs"]
) -> Float[Array, "rows outputs"]:
    return (wanted - outputs) ** 2


def _relative_error(
    outputs: Float[Array, "rows outputs"], wanted: Float[Array, "rows outputs"]
) -> Float[Array, " rows"]:
    return (
        jnp.abs(wanted - outputs) / jnp.maximum(jnp.abs(wanted), np.finfo(np.float64).eps)
    ).mean(-1)


mse = _make_mean(
    squared_error,
    doc="""The mean squared error.

    sum_i w_i (y_i - t_i)^2 / sum_i w_i

    >>> float(mse(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    4.5
    """,
)

rmse = _make_mean(
    _squares,
    finish=jnp.sqrt,
    doc="""The root of the mean squared error, in the units of the targets; of several outputs the mean of their roots.

    sqrt(sum_i w_i (y_i - t_i)^2 / sum_i w_i)

    >>> float(rmse(jnp.array([1.0, 2.0]), jnp.array([0.0, 9.0])))
    5.0
    """,
)

mae = _make_mean(
    absolute_error,
    doc="""The mean absolute error.

    sum_i w_i |y_i - t_i| / sum_i w_i

    >>> float(mae(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    1.5
    """,
)

mape = _make_mean(
    _relative_error,
    doc="""The mean absolute error relative to the target: a share, not per cent; a target of 0 makes it huge.

    sum_i w_i |y_i - t_i| / |t_i| / sum_i w_i

    >>> float(mape(jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0])))
    0.5
    """,
)

r2 = Metric(
    lambda: Moments(*(jnp.zeros(()) for _ in Moments._fields)),
    _add_moments,
    _r2,
    True,
    "regression",
    streams=False,
    doc="""The share of the targets' variance that is explained; updates may follow one another, but sums do not add.

    1 - sum_i w_i (t_i - y_i)^2 / sum_i w_i (t_i - mean t)^2

    Targets that never vary give 1 if they are met exactly, else 0; a single row gives NaN.

    >>> round(float(r2(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 5.0]))), 4)
    0.5385
    """,
)
