"""Distances between real and generated examples by their features, in float64 on the host.

Features are arrays [rows, dimensions], for example those of a classifier that was trained on the
same data, see `jnn.gan.features_of`. A distance by such features is no FID and no KID, which are
those of Inception's features, and cannot stand beside one.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jnn._settings import check_integer

_BLOCK = 1024  # rows of a matrix of pairs
_DEGREE = 3  # of the polynomial kernel
_FEW_ROWS = "Both sets of features must have at least two rows, got {} and {}."


class Moments(NamedTuple):
    """Mean and covariance of features.

    Attributes:
        rows: Number of rows.
        mean: [dimensions].
        covariance: [dimensions, dimensions], divided by rows - 1.
    """

    rows: int
    mean: np.ndarray
    covariance: np.ndarray


def moments(features: Any) -> Moments:
    """Return mean and covariance of features in float64.

    Args:
        features: [rows, dimensions], or an iterable of such batches, which are read one by one.

    Raises:
        ValueError: If there are fewer than two rows, a batch has other axes or dimensions, or a
            number is not finite.
    """
    return _moments("features", features)


def _moments(name: str, features: Any) -> Moments:
    are_batches = isinstance(features, Iterable) and not hasattr(features, "ndim")
    batches = features if are_batches else [features]
    count, mean, scatter = 0, np.zeros(()), np.zeros(())
    for batch in batches:
        rows = _checked(name, batch)
        if count and rows.shape[1] != len(mean):
            raise ValueError(
                f"{name} must have batches of as many dimensions each, got {len(mean)} and "
                f"{rows.shape[1]}. Take all from one network."
            )
        own_mean = rows.mean(axis=0)
        centered = rows - own_mean
        total = count + len(rows)
        gap = own_mean - mean
        scatter = scatter + centered.T @ centered
        scatter = scatter + np.outer(gap, gap) * (count * len(rows) / total)
        mean = mean + gap * (len(rows) / total)
        count = total
    if count < 2:
        raise ValueError(f"{name} must have at least two rows, got {count}.")
    return Moments(count, mean, scatter / (count - 1))


def frechet_distance(real: Any, generated: Any) -> float:
    """Return the squared Frechet distance between Gaussians fitted to two sets of features.

    |m - n|^2 + tr(S + T - 2 (S T)^(1/2)),  with means m, n and covariances S, T

    It is the formula of the FID (Heusel et al. 2017, https://arxiv.org/abs/1706.08500), and its
    estimate is biased upward, the more the fewer rows there are.

    Args:
        real: Features [rows, dimensions], an iterable of batches of them, or their `moments`.
        generated: Likewise.

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(frechet_distance(x, x + 2.0), 6)
    12.0
    """
    first, second = (
        features if isinstance(features, Moments) else _moments(name, features)
        for name, features in (("real", real), ("generated", generated))
    )
    if first.mean.shape != second.mean.shape:
        raise ValueError(_other_dimensions(len(first.mean), len(second.mean)))
    gap = first.mean - second.mean
    values, vectors = np.linalg.eigh(first.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))  # root root' is the covariance
    eigenvalues = np.linalg.eigvalsh(root.T @ second.covariance @ root)
    shared = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return float(gap @ gap + traces - 2 * shared)


def kernel_distance(
    real: Any,
    generated: Any,
    *,
    subsets: int | None = None,
    subset_size: int = 1000,
    seed: int = 2020,
) -> float:
    """Return the squared maximum mean discrepancy by a polynomial kernel, without bias.

    E k(x, x') + E k(y, y') - 2 E k(x, y),  k(x, y) = (x . y / dimensions + 1)^3

    It is the formula of the KID (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401). By
    default all pairs of rows enter, in blocks; the KID is usually the mean over random subsets.

    Args:
        real: Features [rows, dimensions].
        generated: Features [rows, dimensions], of any number of rows.
        subsets: Number of random subsets whose mean is taken.
        subset_size: Rows of each.
        seed: Of the subsets.
    """
    real, generated = _pair(real, generated)
    most = min(len(real), len(generated))
    if most < 2:
        raise ValueError(_FEW_ROWS.format(len(real), len(generated)))
    if subsets is None:
        return _discrepancy(real, generated)
    size = check_integer("subset_size", subset_size, 2, most, "Pass another, or more rows.")
    random = np.random.RandomState(seed)  # whose draws torch-fidelity makes too
    values = []
    for _ in range(check_integer("subsets", subsets)):
        chosen = generated[random.choice(len(generated), size, replace=False)]
        values.append(_discrepancy(real[random.choice(len(real), size, replace=False)], chosen))
    return float(np.mean(values))


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    m, n = len(x), len(y)
    within = (_kernel_sum(x, x) - _kernel_diagonal(x)) / (m * (m - 1))
    within += (_kernel_sum(y, y) - _kernel_diagonal(y)) / (n * (n - 1))
    return float(within - 2 * _kernel_sum(x, y) / (m * n))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Return the sum of the kernel over all pairs, block by block."""
    return sum(float(((block @ y.T / x.shape[1] + 1) ** _DEGREE).sum()) for block in _blocks(x))


def _kernel_diagonal(x: np.ndarray) -> float:
    return float((((x * x).sum(axis=1) / x.shape[1] + 1) ** _DEGREE).sum())


class PrecisionRecall(NamedTuple):
    """How real the generated examples are, and how many of the real ones they reach."""

    precision: float
    recall: float


def precision_recall(real: Any, generated: Any, *, neighbors: int = 3) -> PrecisionRecall:
    """Return the share of generated rows among the real ones, and of real ones among generated.

    A row is among others if it lies in one of the balls around them that reach to their own
    neighbor of the given number.

    Kynkaanniemi et al. (2019), https://arxiv.org/abs/1904.06991

    Args:
        real: Features [rows, dimensions].
        generated: Features [rows, dimensions].
        neighbors: The neighbor that a ball reaches to, counted from 1.
    """
    real, generated = _pair(real, generated)
    precision = _balls_around(real, generated, neighbors)[0] > 0
    recall = _balls_around(generated, real, neighbors)[0] > 0
    return PrecisionRecall(float(precision.mean()), float(recall.mean()))


class DensityCoverage(NamedTuple):
    """How dense generated examples lie among the real ones, and how many of those they reach."""

    density: float
    coverage: float


def density_coverage(real: Any, generated: Any, *, neighbors: int = 5) -> DensityCoverage:
    """Return density and coverage, which outliers move less than precision and recall.

    Density is the mean number of balls around real rows that a generated row lies in, divided by
    `neighbors`; it may exceed 1. Coverage is the share of the balls with a generated row inside.

    Naeem et al. (2020), https://arxiv.org/abs/2002.09797

    Args:
        real: Features [rows, dimensions].
        generated: Features [rows, dimensions].
        neighbors: The neighbor that a ball reaches to, counted from 1.
    """
    real, generated = _pair(real, generated)
    balls, is_reached = _balls_around(real, generated, neighbors)
    return DensityCoverage(float(balls.mean() / neighbors), float(is_reached.mean()))


def _balls_around(
    centers: np.ndarray, rows: np.ndarray, neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return in how many balls each row lies, and in which balls lies some row."""
    if len(centers) < 2:
        raise ValueError(_FEW_ROWS.format(len(centers), len(rows)))
    neighbors = check_integer("neighbors", neighbors, 1, len(centers) - 1)
    counts = np.zeros(len(rows), np.int64)
    is_reached = []
    for block in _blocks(centers):
        apart = _squares(block, centers)
        # The nearest of all is the center itself.
        radius = np.partition(apart, neighbors, axis=1)[:, neighbors]
        inside = _squares(block, rows) <= radius[:, None]
        counts += inside.sum(axis=0)
        is_reached.append(inside.any(axis=1))
    return counts, np.concatenate(is_reached)


def _blocks(rows: np.ndarray) -> Iterable[np.ndarray]:
    return (rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK))


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return squared distances [rows of x, rows of y]."""
    squares = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0)


def _pair(real: Any, generated: Any) -> tuple[np.ndarray, np.ndarray]:
    real, generated = _checked("real", real), _checked("generated", generated)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(_other_dimensions(real.shape[1], generated.shape[1]))
    return real, generated


def _checked(name: str, features: Any) -> np.ndarray:
    """Return features as float64 [rows, dimensions]."""
    array = np.asarray(features)
    if array.ndim != 2 or not array.size or array.dtype.kind in "cOSUmM":
        raise ValueError(
            f"{name} must be numbers [rows, dimensions], got {array.dtype} of the shape "
            f"{array.shape}. Flatten each row."
        )
    array = array.astype(np.float64)
    others = int((~np.isfinite(array)).any(axis=1).sum())
    if others:
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {others} of {len(array)} rows. Leave "
            "out a generator that has diverged."
        )
    return array


def _other_dimensions(real: int, generated: int) -> str:
    return (
        f"Real and generated features must have as many dimensions, got {real} and {generated}. "
        "Take both from one network."
    )
