"""The winner of a search, trained anew and scored on rows that the search never saw."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import Dataset
from jnn.metrics import Metric
from jnn.result import Result
from jnn.stats import Interval, t_interval
from jnn.study import Study

_RESAMPLES = 500  # the error of a standard error is then 3 %
_WEIGHTS_AT_A_TIME = 1 << 24  # numbers of resampled weights
FIRST_SEED = 1_000_003  # of the winner's trainings, far from the seeds of a search


class Estimate(NamedTuple):
    """How good a setting is on rows and seeds that had no part in the choice.

    Attributes:
        interval: The score with its interval.
        error: Standard error of the score.
    """

    interval: Interval
    error: float


def estimate(
    result: Result, study: Study, rows: Dataset, metric: str, *, confidence: float, seed: int
) -> Estimate:
    """Return the mean score of a result's members on rows, with an interval for seeds and rows.

    The standard error is that of a bootstrap that draws members and rows anew: rows of one group
    together, and rows in time in blocks. The interval is the t interval of that error, with one
    degree of freedom less than there are units of rows. A score that is no metric of the study,
    or of several targets, has the t interval over the seeds, which knows nothing of the rows.

    Args:
        result: The members, one for each seed, scored on these rows.
        study: What was trained.
        rows: Rows that the members have not seen.
        metric: Name of the score.
        confidence: Confidence of the interval.
        seed: Seed of the bootstrap.
    """
    finals = np.asarray(result.final()[metric], np.float64).ravel()
    finite = np.isfinite(finals)
    if not finite.all():
        result = result.take(np.flatnonzero(finite))
    finals = finals[finite]
    if not finals.size:
        nothing = Interval(math.nan, math.nan, math.nan, 0, "none (all members diverged)")
        return Estimate(nothing._replace(confidence=confidence), math.nan)
    if metric not in study.metrics or isinstance(rows.y, dict | tuple):
        error = float(finals.std(ddof=1) / math.sqrt(finals.size)) if finals.size > 1 else math.nan
        return Estimate(t_interval(finals, confidence), error)
    units = _units(rows)
    count = int(units.max()) + 1
    members = len(result.members)
    generator = np.random.default_rng(seed)
    seed_weights = generator.multinomial(members, np.full(members, 1 / members), _RESAMPLES)
    draws = generator.multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    scores = _resampled(result, study.metrics[metric], rows, draws, units)
    values = (scores * seed_weights).sum(axis=1) / members
    values = values[np.isfinite(values)]  # a draw may lack a class that the metric needs
    # A bootstrap of n units has (n - 1) / n of the variance.
    error = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    error *= math.sqrt(count / max(1, count - 1))
    mean = float(finals.mean())
    half = _t(count - 1, confidence) * error
    method = f"bootstrap t, {members} seeds x {count} {_unit_name(rows)}"
    if not finite.all():
        method += f", {int((~finite).sum())} diverged seeds left out"
    return Estimate(Interval(mean, mean - half, mean + half, members, method, confidence), error)


def difference(first: Estimate, second: Estimate, confidence: float) -> Interval:
    """Return first - second of two independent estimates, with the normal interval."""
    mean = first.interval.mean - second.interval.mean
    half = _t(math.inf, confidence) * math.hypot(first.error, second.error)
    return Interval(mean, mean - half, mean + half, second.interval.n, "normal", confidence)


def _resampled(
    result: Result, metric: Metric, rows: Dataset, draws: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """Return the score of every member on rows that count as often as their unit was drawn.

    Args:
        result: The members.
        metric: Metric of the scores.
        rows: The rows.
        draws: How often each unit of rows was drawn, int [resamples, units].
        units: The unit of each row, int [rows].

    Returns:
        [resamples, members].
    """
    outputs = result.outputs(rows.x)
    if rows.target_offset is not None:
        outputs = outputs - np.asarray(rows.target_offset)
    outputs = jnp.asarray(outputs, jnp.float32)
    y = jnp.asarray(np.asarray(rows.y))
    own = np.ones(rows.rows, np.float32) if rows.weights is None else rows.weights

    @jax.jit
    def scores(outputs: jax.Array, y: jax.Array, weights: jax.Array) -> jax.Array:
        def of_all(row_weights: jax.Array) -> jax.Array:
            return jax.vmap(lambda output: metric(output, y, row_weights))(outputs)

        return jax.lax.map(of_all, weights)

    size = max(1, _WEIGHTS_AT_A_TIME // rows.rows)
    pieces = [
        np.asarray(scores(outputs, y, draws[first : first + size][:, units] * own))
        for first in range(0, len(draws), size)
    ]
    return np.concatenate(pieces).astype(np.float64)


def _units(rows: Dataset) -> np.ndarray:
    """Return the number of the unit that each row is drawn with, int [rows]."""
    if rows.is_series or rows.times is not None:
        order = np.arange(rows.rows)
        if rows.times is not None:
            order[np.argsort(rows.times, kind="stable")] = np.arange(rows.rows)
        length = max(rows.gap + 1, math.ceil(rows.rows ** (1 / 3)))
        return np.minimum(order // length, max(0, rows.rows // length - 1))
    if rows.groups is not None:
        return np.unique(rows.groups, return_inverse=True)[1]
    return np.arange(rows.rows)


def _unit_name(rows: Dataset) -> str:
    if rows.is_series or rows.times is not None:
        return "blocks of rows"
    return "rows" if rows.groups is None else "groups of rows"


def _t(freedom: Any, confidence: float) -> float:
    import scipy.special

    if math.isinf(freedom):
        return float(scipy.special.ndtri((1 + confidence) / 2))
    return float(scipy.special.stdtrit(max(1, freedom), (1 + confidence) / 2))
