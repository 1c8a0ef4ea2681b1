"""Metrics of predicted numbers; several outputs are averaged with equal weight."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnn._targets import paired
from jnn.losses import absolute_error, squared_error
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

Error = Callable[
    [Float[Array, "rows outputs"], Float[Array, "rows outputs"]], Float[Array, "rows ..."]
]


class Moments(NamedTuple):
    """What R2 needs of the rows seen so far, per output."""

    rows: Float[Array, ""]  # rows of positive weight
    weight: Float[Array, ""]
    mean: Float[Array, "..."]
    spread: Float[Array, "..."]  # sum of w (t - mean)^2
    residual: Float[Array, "..."]  # sum of w (t - y)^2


def _make_mean(
    name: str, error: Error, value: Callable[[Sums], Array] | None = None, *, doc: str
) -> Metric:
    """Make the metric `value(sums)` of the weighted sum of `error(predictions, targets)`.

    By default the value is the mean over the rows, then over the outputs that the error keeps.
    """
    return Metric(
        zero_sums,
        partial(_add_errors, error),
        _mean_over_outputs if value is None else value,
        higher_is_better=False,
        task="regression",
        doc=doc,
        name=name,
    )


def _add_errors(
    error: Error, sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Sums:
    outputs, targets, w = _rows(predictions, targets, weights)
    total = _per_output(weighted_sum(error(outputs, targets), w))
    return Sums(sums.total + total, sums.weight + w.sum())


def _mean_over_outputs(sums: Sums) -> Array:
    return jnp.mean(mean(sums))


def _mean_of_roots(sums: Sums) -> Array:
    return jnp.mean(jnp.sqrt(mean(sums)))


def _zero_moments() -> Moments:
    return Moments(*jnp.zeros(len(Moments._fields)))


def _add_moments(
    sums: Moments, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Moments:
    """Join the moments of new rows to those seen so far.

    The moments of each part are about the part's own mean: sums of squares about 0 would cancel in
    float32.

    Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances (1979).
    """
    new = _moments(*_rows(predictions, targets, weights))
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
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"], w: Array
) -> Moments:
    weight = w.sum()
    divisor = jnp.where(weight > 0, weight, 1)
    # A float32 sum of many large targets is inexact, so the mean is corrected by the mean
    # remainder.
    rough = weighted_sum(targets, w) / divisor
    center = rough + weighted_sum(targets - rough, w) / divisor
    return Moments(
        rows=(w > 0).sum(dtype=w.dtype),
        weight=weight,
        mean=_per_output(center),
        spread=_per_output(weighted_sum((targets - center) ** 2, w)),
        residual=_per_output(weighted_sum((targets - outputs) ** 2, w)),
    )


def _r2(sums: Moments) -> Array:
    ratio = sums.residual / jnp.where(sums.spread > 0, sums.spread, 1)
    of_constant_targets = jnp.where(sums.residual == 0, 1, 0 * sums.residual)  # NaN stays NaN
    value = jnp.mean(jnp.where(sums.spread > 0, 1 - ratio, of_constant_targets))
    return jnp.where(sums.rows > 1, value, jnp.nan)


def _rows(
    predictions: Predictions, targets: Targets, weights: Weights
) -> tuple[Float[Array, "rows outputs"], Float[Array, "rows outputs"], Float[Array, " rows"]]:
    """Return every position before the axis of outputs as a row, with its weight."""
    outputs, targets = paired(predictions, targets)
    if outputs.ndim < 2:
        outputs = outputs.reshape(-1, 1)
        targets = targets.reshape(-1, 1)
    w = row_weights(weights, outputs.shape[:-1])
    last = outputs.ndim - 1
    return lax.collapse(outputs, 0, last), lax.collapse(targets, 0, last), w


def _per_output(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return sums of a single output as scalars, which is the shape that `init` gives."""
    return values.reshape(()) if values.size == 1 else values


def _squares(
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"]
) -> Float[Array, "rows outputs"]:
    return (targets - outputs) ** 2


def _relative_error(
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"]
) -> Float[Array, " rows"]:
    size = jnp.maximum(jnp.abs(targets), np.finfo(np.float64).eps)
    return (jnp.abs(targets - outputs) / size).mean(-1)


mse = _make_mean(
    "mse",
    squared_error,
    doc="""Return the mean squared error.

    sum_i w_i (y_i - t_i)^2 / sum_i w_i

    >>> float(mse(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    4.5
    """,
)

rmse = _make_mean(
    "rmse",
    _squares,
    _mean_of_roots,
    doc="""Return the root of the mean squared error, in the units of the targets.

    sqrt(sum_i w_i (y_i - t_i)^2 / sum_i w_i)

    Of several outputs it is the mean of their roots.

    >>> float(rmse(jnp.array([1.0, 2.0]), jnp.array([0.0, 9.0])))
    5.0
    """,
)

mae = _make_mean(
    "mae",
    absolute_error,
    doc="""Return the mean absolute error.

    sum_i w_i |y_i - t_i| / sum_i w_i

    >>> float(mae(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    1.5
    """,
)

mape = _make_mean(
    "mape",
    _relative_error,
    doc="""Return the mean absolute error relative to the target.

    sum_i w_i |y_i - t_i| / |t_i| / sum_i w_i

    It is a fraction, not a percentage. A target of 0 makes it huge.

    >>> float(mape(jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0])))
    0.5
    """,
)

r2 = Metric(
    _zero_moments,
    _add_moments,
    _r2,
    higher_is_better=True,
    task="regression",
    streams=False,
    doc="""Return the fraction of the variance of the targets that is explained.

    1 - sum_i w_i (t_i - y_i)^2 / sum_i w_i (t_i - mean t)^2

    Targets that never vary give 1 if they are met exactly, else 0; a single row gives NaN, as in
    scikit-learn. Updates may follow one another, but separate sums must not be added.

    >>> round(float(r2(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 5.0]))), 4)
    0.5385
    """,
    name="r2",
)
