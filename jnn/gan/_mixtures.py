"""Mixtures of Gaussians in the plane, and how much of them a generator has learned.

The scores are those of Lin et al. (2018), https://arxiv.org/abs/1712.04086: an example belongs to
the nearest mean, and is of high quality if it is within three standard deviations of it.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._settings import NOT_NEGATIVE, POSITIVE, check_integer, check_number
from jnn.metrics import Metric

_RADIUS = 3.0  # standard deviations


def ring(modes: int = 8, *, radius: float = 1.0) -> np.ndarray:
    """Return means on a circle around the origin, the first at (radius, 0), float32 [modes, 2].

    >>> ring(4).round().tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    check_number("radius", radius)
    angle = 2 * np.pi * np.arange(check_integer("modes", modes)) / modes
    return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)


def grid(side: int = 5, *, step: float = 2.0) -> np.ndarray:
    """Return means on a square grid around the origin, float32 [side^2, 2].

    >>> grid(2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    check_number("step", step)
    places = step * (np.arange(check_integer("side", side)) - (side - 1) / 2)
    x, y = np.meshgrid(places, places, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def draw_mixture(means: Any, std: float, rows: int, *, seed: int = 0) -> np.ndarray:
    """Return examples of a mixture of equally likely Gaussians, float32 [rows, dimensions].

    Args:
        means: [modes, dimensions].
        std: Standard deviation of each coordinate around a mean.
        rows: Number of examples.
        seed: Of the draws.
    """
    check_number("std", std, NOT_NEGATIVE)
    means = _checked_means(means)
    random = np.random.default_rng(seed)
    chosen = means[random.integers(len(means), size=check_integer("rows", rows))]
    return (chosen + std * random.normal(size=chosen.shape)).astype(np.float32)


def modes(means: Any, std: float) -> Metric:
    """Return the score: number of modes with at least one example of high quality.

    Args:
        means: [modes, dimensions].
        std: Standard deviation of each coordinate around a mean.

    >>> modes(ring(8), 0.01)(jnp.asarray(ring(4)), None)
    Array(4., dtype=float32)
    """
    doc = "Number of modes with at least one example of high quality."
    return _metric(means, std, covered, higher_is_better=True, doc=doc, name="modes")


def high_quality(means: Any, std: float) -> Metric:
    """Return the score: share of the examples that are of high quality.

    Args:
        means: [modes, dimensions].
        std: Standard deviation of each coordinate around a mean.
    """
    doc = "Share of the examples within three standard deviations of the nearest mean."
    return _metric(means, std, _share, higher_is_better=True, doc=doc, name="high_quality")


def reverse_kl(means: Any, std: float) -> Metric:
    """Return the score: how unevenly the examples of high quality are spread over the modes.

    sum_i p_i log(p_i modes),  p_i the share of mode i

    It is 0 for equal shares, and log(modes) for a single mode or if none is of high quality.

    Args:
        means: [modes, dimensions].
        std: Standard deviation of each coordinate around a mean.
    """
    doc = "Kullback-Leibler divergence of the shares of the modes from equal ones."
    return _metric(means, std, unevenness, higher_is_better=False, doc=doc, name="reverse_kl")


def mode_counts(x: Any, means: Any, std: float) -> jax.Array:
    """Return how many examples of high quality each mode has, float32 [modes].

    Args:
        x: Examples [rows, dimensions].
        means: [modes, dimensions].
        std: Standard deviation of each coordinate around a mean.
    """
    check_number("std", std, POSITIVE)
    x = jnp.asarray(x)
    return _count(_checked_means(means), std, x, jnp.ones(x.shape[:1], jnp.float32))


def _metric(
    means: Any,
    std: float,
    value: Callable[[Any], Any],
    *,
    higher_is_better: bool,
    doc: str,
    name: str,
) -> Metric:
    check_number("std", std, POSITIVE)
    means = _checked_means(means)
    return Metric(
        functools.partial(no_counts, len(means)),
        functools.partial(_add_counts, means, std),
        value,
        higher_is_better,
        None,
        doc=doc,
        name=name,
    )


def _checked_means(means: Any) -> np.ndarray:
    means = np.asarray(means, np.float32)
    if means.ndim != 2 or not means.size or not np.isfinite(means).all():
        came = "others" if means.ndim == 2 and means.size else f"the shape {means.shape}"
        raise ValueError(f"means must be finite numbers [modes, dimensions], got {came}.")
    return means


def no_counts(number: int) -> tuple[jax.Array, jax.Array]:
    return jnp.zeros(number, jnp.float32), jnp.float32(0)


def _add_counts(
    means: np.ndarray, std: float, sums: Any, examples: Any, real: Any, weights: Any = None
) -> Any:
    """Add the examples of each mode, and the number of all of them."""
    del real
    weights = jnp.ones(len(examples), jnp.float32) if weights is None else weights
    counts, total = sums
    counts = counts + _count(means, std, examples, weights)
    is_undefined = ~jnp.isfinite(examples).all(axis=1) & (weights > 0)
    return counts, total + jnp.where(is_undefined.any(), jnp.nan, weights.sum())


def _count(means: np.ndarray, std: float, x: jax.Array, weights: jax.Array) -> jax.Array:
    if x.ndim != 2 or x.shape[1] != means.shape[1]:
        raise ValueError(
            f"Examples must be [rows, {means.shape[1]}], as the means of the modes are, got the "
            f"shape {x.shape}."
        )
    square = jnp.sum((x[:, None] - means) ** 2, axis=-1) / std**2  # [rows, modes]
    counts = (jnp.min(square, axis=1) < _RADIUS**2) * weights
    return jnp.zeros(len(means), jnp.float32).at[jnp.argmin(square, axis=1)].add(counts)


def covered(sums: Any) -> jax.Array:
    counts, total = sums
    return jnp.where(jnp.isnan(total), jnp.nan, jnp.sum(counts > 0).astype(jnp.float32))


def _share(sums: Any) -> jax.Array:
    counts, total = sums
    return counts.sum() / total


def unevenness(sums: Any) -> jax.Array:
    counts, total = sums
    shares = counts / jnp.maximum(counts.sum(), 1e-9)
    value = jnp.sum(jax.scipy.special.xlogy(shares, shares * len(counts)))
    value = jnp.where(counts.sum() > 0, value, jnp.log(len(counts)))
    return jnp.where(jnp.isnan(total), jnp.nan, value)
