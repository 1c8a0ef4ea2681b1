"""Metrics of predicted numbers; several outputs are averaged with equal weight."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnn._targets import paired
from jnn.metrics._bands import UNITS, band_sums, mean_of_bands, root_mean_square
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Sums,
    Targets,
    Weights,
    row_weights,
    weighted_sum,
)

Sizes = Callable[
    [Float[Array, "rows outputs"], Float[Array, "rows outputs"]], Float[Array, "rows outputs"]
]


class Moments(NamedTuple):
    """What R2 needs of the rows seen so far, per output; the sums of squares by bands of size."""

    rows: Float[Array, ""]  # rows of positive weight
    weight: Float[Array, ""]
    mean: Float[Array, "..."]
    spread: Float[Array, "*outputs bands"]  # sum of w (t - mean)^2
    residual: Float[Array, "*outputs bands"]  # sum of w (t - y)^2


def _make_mean(name: str, sizes: Sizes, power: int, *, doc: str) -> Metric:
    """Make the weighted mean over rows and outputs of `sizes(predictions, targets)^power`."""
    return Metric(
        _zero_bands,
        partial(_add_means, sizes, power),
        partial(_mean_of_power, power),
        higher_is_better=False,
        task="regression",
        doc=doc,
        name=name,
    )


def _zero_bands() -> Sums:
    return Sums(jnp.zeros(len(UNITS)), jnp.zeros(()))


def _add_means(
    sizes: Sizes,
    power: int,
    sums: Sums,
    predictions: Predictions,
    targets: Targets,
    weights: Weights = None,
) -> Sums:
    outputs, targets, w = _rows(predictions, targets, weights)
    total = band_sums(sizes(outputs, targets), w, power).mean(axis=0)
    return Sums(sums.total + total, sums.weight + w.sum())


def _mean_of_power(power: int, sums: Sums) -> Array:
    return mean_of_bands(sums.total, sums.weight, power)


def _add_squares(
    sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Sums:
    """Add the squared errors of each output."""
    outputs, targets, w = _rows(predictions, targets, weights)
    total = _per_output(band_sums(_distance(outputs, targets), w, 2))
    return Sums(sums.total + total, sums.weight + w.sum())


def _mean_of_roots(sums: Sums) -> Array:
    return jnp.mean(root_mean_square(sums.total, sums.weight))


def _zero_moments() -> Moments:
    none = jnp.zeros(())
    bands = jnp.zeros(len(UNITS))
    return Moments(none, none, none, spread=bands, residual=bands)


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
    between = band_sums(jnp.abs(step)[None], (sums.weight * share)[None], 2)
    return Moments(
        sums.rows + new.rows,
        weight,
        sums.mean + step * share,
        sums.spread + new.spread + between,
        sums.residual + new.residual,
    )


def _moments(
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"], w: Array
) -> Moments:
    weight = w.sum()
    share = w / jnp.where(weight > 0, weight, 1)
    # A float32 sum of many large targets is inexact, so the mean is corrected by the mean
    # remainder.
    rough = weighted_sum(targets, share)
    center = rough + weighted_sum(targets - rough, share)
    return Moments(
        rows=(w > 0).sum(dtype=w.dtype),
        weight=weight,
        mean=center.reshape(()) if center.size == 1 else center,
        spread=_per_output(band_sums(jnp.abs(targets - center), w, 2)),
        residual=_per_output(band_sums(_distance(outputs, targets), w, 2)),
    )


def _r2(sums: Moments) -> Array:
    deviation = root_mean_square(sums.spread, sums.weight)
    error = root_mean_square(sums.residual, sums.weight)
    ratio = error / jnp.where(deviation > 0, deviation, 1)
    of_constant_targets = jnp.where(error == 0, 1, 0 * error)  # NaN stays NaN
    value = jnp.mean(jnp.where(deviation > 0, 1 - ratio**2, of_constant_targets))
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


def _per_output(sums: Float[Array, "outputs bands"]) -> Float[Array, "..."]:
    """Return the sums of a single output without its axis, which is the shape that `init` gives."""
    return sums[0] if sums.shape[0] == 1 else sums


def _distance(
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"]
) -> Float[Array, "rows outputs"]:
    return jnp.abs(targets - outputs)


def _relative_distance(
    outputs: Float[Array, "rows outputs"], targets: Float[Array, "rows outputs"]
) -> Float[Array, "rows outputs"]:
    return _distance(outputs, targets) / jnp.maximum(jnp.abs(targets), np.finfo(np.float64).eps)


mse = _make_mean(
    "mse",
    _distance,
    2,
    doc="""Return the mean squared error.

    sum_i w_i (y_i - t_i)^2 / sum_i w_i

    It is what float32 holds of it: 0 for errors below 1e-19, infinite for errors above 1e19. There
    `rmse` is right, which is in the units of the targets.

    >>> float(mse(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    4.5
    """,
)

rmse = Metric(
    _zero_bands,
    _add_squares,
    _mean_of_roots,
    higher_is_better=False,
    task="regression",
    doc="""Return the root of the mean squared error, in the units of the targets.

    sqrt(sum_i w_i (y_i - t_i)^2 / sum_i w_i)

    Of several outputs it is the mean of their roots.

    >>> float(rmse(jnp.array([1.0, 2.0]), jnp.array([0.0, 9.0])))
    5.0
    """,
    name="rmse",
)

mae = _make_mean(
    "mae",
    _distance,
    1,
    doc="""Return the mean absolute error.

    sum_i w_i |y_i - t_i| / sum_i w_i

    >>> float(mae(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])))
    1.5
    """,
)

mape = _make_mean(
    "mape",
    _relative_distance,
    1,
    doc="""Return the mean absolute error relative to the target.

    sum_i w_i |y_i - t_i| / |t_i| / sum_i w_i

    It is a fraction, not a percentage. A target of 0 makes it huge: as in scikit-learn, the divisor
    is at least 2.2e-16, so it says nothing about targets that are smaller.

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
