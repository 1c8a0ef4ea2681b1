"""Losses for numbers: predictions are the model's outputs, `[batch]` or `[*batch, outputs]`."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Shaped

from jnn.losses._form import as_float, check_weights, is_number, mean_over_outputs, paired

Scalar = float | Float[Array, ""]
Levels = float | tuple[float, ...] | list[float] | Float[Array | np.ndarray, "..."]


def squared_error(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Squared error, the mean over outputs.

    (y - t)^2

    Raises:
        ValueError: If the shapes do not fit.

    >>> squared_error(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0], [0.0, 4.0]])).tolist()
    [2.0, 4.5]
    """
    return mean_over_outputs(_error(predictions, targets) ** 2)


def absolute_error(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Absolute error, the mean over outputs; its slope at an error of 0 is that of `jnp.abs`, 1.

    |y - t|

    Raises:
        ValueError: If the shapes do not fit.

    >>> absolute_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
    Array([0., 3.], dtype=float32)
    """
    return mean_over_outputs(jnp.abs(_error(predictions, targets)))


def huber(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, delta: Scalar = 1.0
) -> Float[Array, "..."]:
    """Huber loss: quadratic up to an error of `delta` (in units of the target), linear beyond.

    e^2 / 2 if |e| <= delta, else delta (|e| - delta / 2),  e = y - t

    Huber, Robust Estimation of a Location Parameter (1964), https://doi.org/10.1214/aoms/1177703732

    Raises:
        ValueError: If the shapes do not fit, or delta is not one number, above 0 and finite.

    >>> huber(jnp.array([1.0, 4.0]), jnp.array([0.0, 0.0]), delta=2.0)
    Array([0.5, 6. ], dtype=float32)
    """
    check_weights("delta", delta, ())
    if is_number(delta) and not 0 < delta < math.inf:
        raise ValueError(
            f"wanted a finite delta above 0, but got {delta}; it is an error in the units of the targets, and "
            "squared_error has none"
        )
    return mean_over_outputs(optax.losses.huber_loss(_error(predictions, targets), delta=delta))


def log_cosh(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """The logarithm of the hyperbolic cosine of the error: a smooth absolute error.

    log cosh(y - t)

    Raises:
        ValueError: If the shapes do not fit.

    >>> log_cosh(jnp.array([0.0, 100.0]), jnp.array([0.0, 0.0])).round(2)
    Array([ 0.  , 99.31], dtype=float32)
    """
    size = jnp.abs(_error(predictions, targets))
    is_small = size < 1  # where the logarithm of almost 1 would lose the digits
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.where(is_small, size, 0) / 2)))
    return mean_over_outputs(
        jnp.where(is_small, near, size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2))
    )


def quantile(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, q: Levels = 0.5
) -> Float[Array, "..."]:
    """Pinball loss, smallest where predictions are the q-quantile of the targets.

    max(q e, (q - 1) e),  e = t - y

    Several levels q ask for one output per level: predictions [*batch, levels], targets [*batch].

    Koenker and Bassett, Regression Quantiles (1978), https://doi.org/10.2307/1913643

    Raises:
        ValueError: If the shapes do not fit, the levels have more than one axis, or one is a number outside [0, 1].

    >>> quantile(jnp.array([[0.0, 0.0]]), jnp.array([1.0]), q=(0.25, 0.75)).tolist()
    [0.5]
    """
    levels = _several(q)
    if levels:
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
    """Negative log-likelihood of a normal distribution whose mean and log variance are predicted.

    (log v + (t - m)^2 / v) / 2,  v = max(exp(s), min_variance);  `full` adds log(2 pi) / 2

    Predictions [*batch, 2 outputs]: the means m, then the log variances s. Targets [*batch, outputs], or [*batch]
    for one output.

    Nix and Weigend, Estimating the Mean and Variance of the Target (1994), https://doi.org/10.1109/ICNN.1994.374138

    Raises:
        ValueError: If the shapes do not fit, or min_variance is not one number of 0 or more.

    >>> gaussian_nll(jnp.array([[1.0, 0.0], [1.0, 2.0]]), jnp.array([3.0, 3.0])).round(4)
    Array([2.    , 1.2707], dtype=float32)
    """
    check_weights("min_variance", min_variance, ())
    if is_number(min_variance) and not min_variance >= 0:
        raise ValueError(
            f"wanted a min_variance of 0 or more, but got {min_variance}; it is a floor under exp(s)"
        )
    if predictions.ndim == 0 or predictions.shape[-1] % 2:
        raise ValueError(
            f"gaussian_nll wants an even number of outputs, means then log variances, got {predictions.shape}; "
            "give the model twice as many outputs as the targets have columns."
        )
    mean, log_variance = jnp.split(as_float(predictions), 2, axis=-1)
    mean, targets = paired(mean, targets)
    log_variance = jnp.maximum(log_variance, jnp.log(jnp.asarray(min_variance, mean.dtype)))
    scaled_error = (targets - mean) * jnp.exp(
        -log_variance / 2
    )  # squared after scaling, so as not to overflow
    nll = 0.5 * (log_variance + scaled_error**2)
    return (nll + 0.5 * np.log(2 * np.pi).astype(nll.dtype) if full else nll).mean(-1)


def poisson_nll(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], *, full: bool = False
) -> Float[Array, "..."]:
    """Negative log-likelihood of counts whose log rate is predicted.

    exp(y) - t y;  `full` adds log t!

    Raises:
        ValueError: If the shapes do not fit.

    >>> poisson_nll(jnp.array([0.0, 1.0]), jnp.array([3, 0])).round(2)
    Array([1.  , 2.72], dtype=float32)
    """
    log_rate, counts = paired(predictions, targets)
    nll = jnp.exp(log_rate) - counts * log_rate
    return mean_over_outputs(nll + gammaln(counts + 1) if full else nll)


def _error(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> Float[Array, "..."]:
    predictions, targets = paired(predictions, targets)
    return predictions - targets


def _several(q: Any) -> tuple:
    """The levels, if there is more than a plain number; each is checked."""
    is_one = not isinstance(q, tuple | list) and np.ndim(q) == 0
    levels: tuple[Any, ...] = (q,) if is_one else tuple(q)
    if not levels or any(
        np.ndim(level) or (is_number(level) and not 0 <= level <= 1) for level in levels
    ):
        raise ValueError(
            f"wanted quantile levels q in [0, 1], one or a list, but got {q}; 0.5 is the median"
        )
    return () if is_one else levels


def _one_per_level(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."], levels: int
) -> Shaped[Array, "..."]:
    """Targets repeated along the axis of levels."""
    wanted = (*predictions.shape[:-1], 1)
    if predictions.shape[-1:] != (levels,) or targets.shape not in (wanted[:-1], wanted):
        raise ValueError(
            f"{levels} quantile levels want predictions [*batch, {levels}] and targets [*batch], "
            f"got {predictions.shape} and {targets.shape}; give the model one output per level."
        )
    return jnp.broadcast_to(targets.reshape(wanted), predictions.shape)
