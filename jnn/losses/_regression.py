"""Losses for numbers: predictions are the model's outputs, `[batch]` or `[*batch, outputs]`."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Shaped

from jnn._arrays import absolute, as_array, as_arrays
from jnn._settings import NOT_NEGATIVE, POSITIVE, UNIT, check_number, known
from jnn._targets import as_float, paired
from jnn.losses._form import mean_over_outputs, times

Scalar = float | Float[Array, ""]
Levels = float | tuple[float, ...] | list[float] | Float[Array | np.ndarray, "..."]


def squared_error(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Return the squared error, averaged over the outputs.

    (y - t)^2

    Raises:
        ValueError: If the shapes do not fit.

    >>> outputs = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> squared_error(outputs, jnp.array([[1.0, 0.0], [0.0, 4.0]])).tolist()
    [2.0, 4.5]
    """
    return mean_over_outputs(_error(predictions, targets) ** 2)


def absolute_error(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Return the absolute error, averaged over the outputs.

    |y - t|

    At an error of 0 its slope is 0.

    Raises:
        ValueError: If the shapes do not fit.

    >>> absolute_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
    Array([0., 3.], dtype=float32)
    """
    return mean_over_outputs(absolute(_error(predictions, targets)))


def huber(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, delta: Scalar = 1.0
) -> Float[Array, "..."]:
    """Return the Huber loss: quadratic for small errors, linear for large ones.

    e^2 / 2 if |e| <= delta, else delta (|e| - delta / 2),  e = y - t

    Huber, Robust Estimation of a Location Parameter (1964), https://doi.org/10.1214/aoms/1177703732

    Args:
        predictions: Outputs y.
        targets: Targets t.
        delta: Error, in units of the targets, at which the loss becomes linear.

    Raises:
        ValueError: If the shapes do not fit, or delta is not one positive finite number.

    >>> huber(jnp.array([1.0, 4.0]), jnp.array([0.0, 0.0]), delta=2.0)
    Array([0.5, 6. ], dtype=float32)
    """
    _check_one("delta", delta)
    check_number(
        "delta",
        delta,
        POSITIVE,
        "Give an error in the units of the targets, or use squared_error, which has no delta.",
    )
    return mean_over_outputs(optax.losses.huber_loss(_error(predictions, targets), delta=delta))


def log_cosh(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Return the logarithm of the hyperbolic cosine of the error, a smooth absolute error.

    log cosh(y - t)

    Raises:
        ValueError: If the shapes do not fit.

    >>> log_cosh(jnp.array([0.0, 100.0]), jnp.array([0.0, 0.0])).round(2)
    Array([ 0.  , 99.31], dtype=float32)
    """
    size = jnp.abs(_error(predictions, targets))
    is_small = size < 1  # here the logarithm of almost 1 would lose digits
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.where(is_small, size, 0) / 2)))
    far = size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2)
    return mean_over_outputs(jnp.where(is_small, near, far))


def quantile(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, q: Levels = 0.5
) -> Float[Array, "..."]:
    """Return the pinball loss, which is smallest at the q-quantile of the targets.

    max(q e, (q - 1) e),  e = t - y

    Koenker and Bassett, Regression Quantiles (1978), https://doi.org/10.2307/1913643

    Args:
        predictions: Outputs y, or [*batch, levels] for several levels.
        targets: Targets t, or [*batch] for several levels.
        q: Level in [0, 1], or several levels with one output for each.

    Raises:
        ValueError: If the shapes do not fit, the levels have more than one axis, or a level is a
            number outside [0, 1].

    >>> quantile(jnp.array([[0.0, 0.0]]), jnp.array([1.0]), q=(0.25, 0.75)).tolist()
    [0.5]
    """
    predictions, targets = as_arrays(predictions, targets)
    levels = _several(q)
    if levels is not None:
        targets = _one_per_level(predictions, targets, len(levels))
    error = -_error(predictions, targets)
    level = jnp.asarray(q, error.dtype)
    return mean_over_outputs(jnp.maximum(level * error, (level - 1) * error))


def gaussian_nll(
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    *,
    min_variance: Scalar = 1e-6,
    full: bool = False,
) -> Float[Array, "..."]:
    """Return the negative log-likelihood under a normal distribution of predicted moments.

    (log v + (t - m)^2 / v) / 2,  v = max(exp(s), min_variance)

    Nix and Weigend, Estimating the Mean and Variance of the Target (1994),
    https://doi.org/10.1109/ICNN.1994.374138

    Args:
        predictions: [*batch, 2 outputs]: the means m, then the log variances s.
        targets: [*batch, outputs], or [*batch] for one output.
        min_variance: Lower bound of the variance.
        full: Whether to add the constant log(2 pi) / 2.

    Raises:
        ValueError: If the shapes do not fit, or min_variance is not one number of 0 or more.

    >>> gaussian_nll(jnp.array([[1.0, 0.0], [1.0, 2.0]]), jnp.array([3.0, 3.0])).round(4)
    Array([2.    , 1.2707], dtype=float32)
    """
    predictions = as_array(predictions)
    _check_one("min_variance", min_variance)
    check_number("min_variance", min_variance, NOT_NEGATIVE, "It is the lower bound of exp(s).")
    if predictions.ndim == 0 or predictions.shape[-1] % 2:
        raise ValueError(
            "predictions of gaussian_nll must have an even number of outputs, the means and then "
            f"the log variances, got shape {predictions.shape}. Give the model twice as many "
            "outputs as the targets have columns."
        )
    mean, log_variance = jnp.split(as_float(predictions), 2, axis=-1)
    mean, targets = paired(mean, targets)
    log_variance = jnp.maximum(log_variance, jnp.log(jnp.asarray(min_variance, mean.dtype)))
    # The error is scaled before it is squared, so that the square does not overflow.
    scaled_error = (targets - mean) * jnp.exp(-log_variance / 2)
    nll = 0.5 * (log_variance + scaled_error**2)
    if full:
        nll = nll + 0.5 * np.log(2 * np.pi).astype(nll.dtype)
    return nll.mean(-1)


def poisson_nll(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, full: bool = False
) -> Float[Array, "..."]:
    """Return the negative log-likelihood of counts under a Poisson distribution.

    exp(y) - t y,  0 inf = 0

    Args:
        predictions: Log rates y.
        targets: Counts t.
        full: Whether to add log t!, which does not depend on the predictions.

    Raises:
        ValueError: If the shapes do not fit.

    >>> poisson_nll(jnp.array([0.0, 1.0]), jnp.array([3, 0])).round(2)
    Array([1.  , 2.72], dtype=float32)
    """
    log_rate, counts = paired(predictions, targets)
    nll = jnp.exp(log_rate) - times(counts, log_rate)
    return mean_over_outputs(nll + gammaln(counts + 1) if full else nll)


def _check_one(name: str, setting: Any) -> None:
    """Raise ValueError if a setting is an array of several numbers."""
    if np.ndim(setting) > 0:
        raise ValueError(
            f"{name} must be one number, got an array of shape {np.shape(setting)}. "
            "Pass one number for all outputs."
        )


def _error(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> Float[Array, "..."]:
    predictions, targets = paired(predictions, targets)
    return predictions - targets


def _several(q: Any) -> tuple[Any, ...] | None:
    """Return several levels as a tuple, or None for a single level; each is checked."""
    is_one = not isinstance(q, tuple | list) and np.ndim(q) == 0
    levels = (q,) if is_one else tuple(q)
    if not levels or not all(_is_level(level) for level in levels):
        raise ValueError(
            f"q must be a quantile level in [0, 1], or a list of levels, got {q}. "
            "0.5 is the median."
        )
    return None if is_one else levels


def _is_level(level: Any) -> bool:
    """Return whether a level is one number in [0, 1]; the value of a traced one is not known."""
    if np.ndim(level) > 0:
        return False
    number = known(level)
    return number is None or number in UNIT


def _one_per_level(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], levels: int
) -> Shaped[Array, "..."]:
    """Return the targets repeated along the axis of levels."""
    column = (*predictions.shape[:-1], 1)
    if predictions.shape[-1:] != (levels,) or targets.shape not in (column[:-1], column):
        raise ValueError(
            f"predictions and targets for {levels} quantile levels must be [*batch, {levels}] and "
            f"[*batch], got {predictions.shape} and {targets.shape}. Give the model one output per "
            "level."
        )
    return jnp.broadcast_to(targets.reshape(column), predictions.shape)
