"""The winner of a search, trained anew and scored on rows that the search never saw."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import Dataset
from jnn.engine import ProgramKey, programs_of
from jnn.gan import Game
from jnn.metrics import Metric
from jnn.result import Result
from jnn.stats import Interval, proportion_interval, t_interval
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

    The scores of the seeds are those of crossed random effects: of the rows, of the seeds, and of
    what they do together. `squared_error` estimates the variance of their mean from a bootstrap
    that draws the rows anew: rows of one group together, and rows in time in blocks. The interval
    is the t interval of that error. If every seed is right, or wrong, about all rows, no draw can
    show a mistake, and the interval is Wilson's of a share of the rows. A score that is no metric
    of the study, of generated examples, or of several targets, has the t interval over the seeds,
    which knows nothing of the rows.

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
    is_of_rows = metric in study.metrics and not isinstance(study.trainer, Game)
    if not is_of_rows or rows.y is None or isinstance(rows.y, dict | tuple):
        error = float(finals.std(ddof=1) / math.sqrt(finals.size)) if finals.size > 1 else math.nan
        interval = t_interval(finals, confidence)
        return Estimate(interval._replace(method=f"{interval.method} over seeds alone"), error)
    units = _units(rows)
    count = int(units.max()) + 1
    members = len(result.members)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    scores = _resampled(result, study, metric, rows, draws, units)
    variance, freedom = squared_error(scores, finals, count)
    error = math.sqrt(variance)
    mean = float(finals.mean())
    half = _t(freedom, confidence) * error
    low, high, method = mean - half, mean + half, "bootstrap t"
    if variance == 0 and mean in (0, 1):
        _, low, high, *_ = proportion_interval(int(mean) * count, count, confidence)
        method = "Wilson"
    method += f", {members} seeds x {count} {_unit_name(rows)}"
    if not finite.all():
        method += f", {int((~finite).sum())} diverged seeds left out"
    return Estimate(Interval(mean, low, high, members, method, confidence), error)


def squared_error(scores: np.ndarray, finals: np.ndarray, units: int) -> tuple[float, float]:
    """Return the variance of the mean score over seeds and rows, and its degrees of freedom.

    The score of seed s on n units of rows has the effects of the rows, of the seed, and of both
    together, so that the mean over S seeds has the variance

        v_rows / n + v_seed / S + v_both / (n S) = mean cov(i, j) + Var(scores) / S

    cov(i, j) is the covariance of the scores of two seeds i != j when the rows are drawn anew, and
    Var(scores) the variance of the scores as they are. A bootstrap that draws seeds and rows at
    once would count v_both three times.

    Owen, The Pigeonhole Bootstrap (2007), https://doi.org/10.1214/07-AOAS122, for the factor 3;
    Satterthwaite, An Approximate Distribution of Estimates of Variance Components (1946), for the
    degrees of freedom.

    Args:
        scores: Scores on rows that are drawn anew [resamples, seeds]; draws in which one is not
            finite, such as those that lack a class that the metric needs, are left out.
        finals: Scores on the rows as they are [seeds].
        units: Number of units of rows that are drawn.

    Returns:
        The variance, NaN if fewer than two draws are left, and its degrees of freedom.
    """
    scores = scores[np.isfinite(scores).all(axis=1)]
    seeds = len(finals)
    if len(scores) < 2:
        return math.nan, math.nan
    of_rows = float(scores.mean(axis=1).var(ddof=1))
    of_seeds = 0.0
    if seeds > 1:
        single = float(scores.var(axis=0, ddof=1).mean())
        of_rows = max(0.0, (seeds * of_rows - single) / (seeds - 1))
        of_seeds = float(finals.var(ddof=1)) / seeds
    of_rows *= units / max(1, units - 1)  # a bootstrap of n units has (n - 1) / n of the variance
    parts = of_rows**2 / max(1, units - 1) + of_seeds**2 / max(1, seeds - 1)
    total = of_rows + of_seeds
    return total, total**2 / parts if parts else float(max(1, units - 1))


def difference(first: Interval, second: Interval) -> Interval:
    """Return first - second of two independent estimates, from the interval of each.

    low = mean - sqrt((first.mean - first.low)^2 + (second.high - second.mean)^2), and the other end
    alike. Each interval brings its own degrees of freedom: a normal interval of the sum of both
    variances would be too short where one of them is known from a few folds only.

    Zou and Donner, Construction of Confidence Limits about Effect Measures (2008),
    https://doi.org/10.1002/sim.3095
    """
    mean = first.mean - second.mean
    low = mean - math.hypot(first.mean - first.low, second.high - second.mean)
    high = mean + math.hypot(first.high - first.mean, second.mean - second.low)
    method = "difference of two independent estimates"
    return Interval(mean, low, high, second.n, method, second.confidence)


def _resampled(
    result: Result, study: Study, metric: str, rows: Dataset, draws: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """Return the score of every member on rows that count as often as their unit was drawn.

    Args:
        result: The members.
        study: What was trained; the compiled program is remembered with it.
        metric: Name of the metric.
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

    key = ProgramKey("scores of resamples", metric)
    scores = programs_of(study).get(key, lambda: _scores_of(study.metrics[metric]))
    size = max(1, _WEIGHTS_AT_A_TIME // rows.rows)
    pieces = [
        np.asarray(scores(outputs, y, draws[first : first + size][:, units] * own))
        for first in range(0, len(draws), size)
    ]
    return np.concatenate(pieces).astype(np.float64)


def _scores_of(metric: Metric) -> Callable[..., jax.Array]:
    """Return the compiled scores [resamples, members] of outputs on weighted rows."""

    @jax.jit
    def scores(outputs: jax.Array, y: jax.Array, weights: jax.Array) -> jax.Array:
        def of_all(row_weights: jax.Array) -> jax.Array:
            return jax.vmap(lambda output: metric(output, y, row_weights))(outputs)

        return jax.lax.map(of_all, weights)

    return scores


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


def _t(freedom: float, confidence: float) -> float:
    """Return the quantile of Student's t distribution for a two-sided interval."""
    import scipy.special

    return float(scipy.special.stdtrit(freedom, (1 + confidence) / 2))
