"""The report of methods of search against random search, on the same repeats."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jnn import stats
from jnn.search._found import Found

if TYPE_CHECKING:
    import pandas as pd


def relative_improvement(
    method: Sequence[float] | np.ndarray,
    random: Sequence[float] | np.ndarray,
    confidence: float = 0.95,
) -> stats.Interval:
    """Return 100 (method - random) / random, in percent, as the mean over paired repeats.

    Yang et al., NAS Evaluation is Frustratingly Hard (2020), https://arxiv.org/abs/1912.12522

    Args:
        method: Scores of the winners of a method, one for each repeat.
        random: Scores of random search, with the same steps of all members on the same rows.
        confidence: Confidence of the t interval over the repeats.

    Raises:
        ValueError: If the two have not equally many scores, or a score of random search is 0.

    >>> round(relative_improvement([0.92, 0.94], [0.90, 0.93]).mean, 3)
    1.649
    """
    first = np.asarray(method, np.float64)
    second = np.asarray(random, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"method and random must have one score for each repeat, got {first.shape} and "
            f"{second.shape} scores. Pair them by repeat."
        )
    if (second == 0).any():
        raise ValueError("The scores of random search must not be 0, because they divide.")
    return stats.t_interval(100 * (first - second) / np.abs(second), confidence)


def compare(
    methods: Mapping[str, Sequence[Found]], against: str = "random", confidence: float = 0.95
) -> "pd.DataFrame":
    """Compare methods of search by the scores that their winners have on rows never seen.

    Args:
        methods: Name of each method -> what it has found in each repeat. The searches of one
            repeat share rows and test rows.
        against: Name of the method that all others are compared with.
        confidence: Confidence of the intervals.

    Returns:
        A row for each method: `repeats`, `steps` (the mean number of steps of all members),
        `score`, `low` and `high` (mean over repeats with t interval), and `improvement`,
        `improvement_low` and `improvement_high`, see `relative_improvement`; positive is better,
        also where lower scores are.

    Raises:
        ValueError: If the methods have not the same number of repeats and the same metric, or all
            settings of a search failed.
    """
    import pandas as pd

    if against not in methods:
        raise ValueError(f"against must be one of {list(methods)}, got {against!r}.")
    counts = {name: len(searches) for name, searches in methods.items()}
    if len(set(counts.values())) > 1 or not min(counts.values()):
        raise ValueError(f"All methods must have equally many repeats, at least one, got {counts}.")
    goals = {(f.goal.metric, f.goal.sign) for searches in methods.values() for f in searches}
    if len(goals) > 1:
        raise ValueError(f"All searches must have one metric, got {sorted(goals)}.")
    ((_, sign),) = goals
    scores = {name: _scores(name, searches) for name, searches in methods.items()}
    rows = []
    for name, searches in methods.items():
        score = stats.t_interval(scores[name], confidence)
        gain = relative_improvement(scores[name], scores[against], confidence)
        low, high = sorted((sign * gain.low, sign * gain.high))
        rows.append(
            {
                "method": name,
                "repeats": len(searches),
                "steps": np.mean([sum(trial.steps for trial in f.trials) for f in searches]),
                "score": score.mean,
                "low": score.low,
                "high": score.high,
                "improvement": sign * gain.mean,
                "improvement_low": low,
                "improvement_high": high,
            }
        )
    return pd.DataFrame(rows)


def _scores(name: str, searches: Sequence[Found]) -> list[float]:
    """Return the scores of the winners of a method, on rows that no search saw."""
    failed = [place for place, found in enumerate(searches) if found.estimate is None]
    if failed:
        raise ValueError(f"All settings of {name} failed in the repeats {failed}.")
    return [found.best.interval.mean for found in searches]
