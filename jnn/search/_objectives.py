"""Searches by several metrics: the first one ranks the settings, a strategy is told all of them."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jnn.result import Result
from jnn.search._batch import Outcome
from jnn.study import Study

PARAMETERS = "parameters"  # the number of parameters of a member, which every setting has


def metric_names(study: Study, metric: Any) -> tuple[str, ...]:
    """Return the metrics of a search, the one that ranks first.

    Raises:
        TypeError: If something is no name.
        ValueError: If a name is unknown or stands twice.
    """
    scores = [*study.metrics, "loss"]
    if metric is None:
        return (scores[0],)
    names = (metric,) if isinstance(metric, str) else metric
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"metric must be a name, or a tuple of names, got {metric!r}.")
    names = tuple(names)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"metric must be one name or several different ones, got {metric!r}.")
    if study.trainer is None:
        _check_known(names[:1], scores)
        _check_known(names[1:], [*scores, PARAMETERS])
    return names


def sign_of(study: Study, name: str) -> int:
    """Return 1 if higher values of a metric are better, else -1."""
    return -1 if name == PARAMETERS or not study.higher_is_better(name) else 1


def further_scores(others: Sequence[tuple[str, int]], outcome: Outcome) -> list[tuple[float, ...]]:
    """Return the means of the further metrics of each setting, over its members.

    Args:
        others: Names of the metrics, each with the sign that makes higher values better.
        outcome: What came out of a batch of settings.
    """
    count = len(outcome.scores)
    if not others:
        return [()] * count
    sums = np.zeros((count, len(others)))
    members = np.zeros((count, 1))
    for result, places in zip(outcome.results, outcome.places, strict=True):
        at = list(places)
        values = [sign * _values(result, name, len(at)) for name, sign in others]
        sums[at] += np.stack([value.sum(axis=0) for value in values], axis=1)
        members[at] += len(values[0])
    with np.errstate(invalid="ignore"):  # a setting without members has no mean
        means = sums / members
    return [tuple(row) for row in means.tolist()]


def parameter_count(result: Result) -> int:
    """Return the number of parameters of one member of a result."""
    leaves = jax.tree.leaves(result.trained.params)
    return sum(math.prod(leaf.shape[1:]) for leaf in leaves)


def pareto(objectives: np.ndarray) -> np.ndarray:
    """Return which rows no other row beats: at least as good in all columns, better in one.

    Args:
        objectives: [rows, objectives], higher is better; a row with NaN is not on the front.
    """
    finite = np.all(np.isfinite(objectives), axis=1)
    values = np.where(finite[:, None], objectives, -np.inf)
    no_worse = np.all(values[:, None] >= values, axis=2)
    better = np.any(values[:, None] > values, axis=2)
    return np.logical_and(finite, ~np.any(no_worse & better, axis=0))


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"metric must be one of the scores {list(known)}, got {name!r}.")


def _values(result: Result, name: str, settings: int) -> np.ndarray:
    """Return a metric of the members of a result, [members of a setting, settings]."""
    if name == PARAMETERS:
        copies = len(result.members) // settings
        return np.full((copies, settings), parameter_count(result), np.float64)
    return np.asarray(result.final()[name], np.float64).reshape(-1, settings)
