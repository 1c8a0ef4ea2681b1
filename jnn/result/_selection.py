"""Which setting of a study is the best, on rows that did not choose it, and whether two settings differ."""

import json
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats
from jnn.result._table import (
    Grid,
    apart,
    by_setting,
    interval_of,
    is_number,
    metric_of,
    row_counts,
    whole_seeds,
    without,
)

if TYPE_CHECKING:
    import xarray

_INNER = "each fold scored with the setting that is best on its own inner validation rows"
_OTHERS = "each fold scored with the setting that is best on the other folds"
_APART = "each fold scored with the setting that is best on the folds without its test rows"
_UNSCORED = "chosen on all the rows that could score it; add folds or validation"


class Choice(NamedTuple):
    """The setting that was chosen, and how good it is on rows that did not choose it.

    Attributes:
        setting: Name -> number.
        interval: Its score; NaN where every row was needed to choose.
        method: How it was chosen and scored.
    """

    setting: Mapping[str, float]
    interval: stats.Interval
    method: str

    def __str__(self) -> str:
        named = ", ".join(f"{k}={v:g}" for k, v in self.setting.items())
        return f"{named or 'no setting'}: {self.interval}; {self.method}"


def choose(scores: "xarray.Dataset", metric: str | None = None, confidence: float = 0.95) -> Choice:
    """Chooses the best setting and scores it on rows that had no part in the choice.

    Every fold is scored with the setting that is best on the fold's own validation rows or, without an inner split, on
    the other folds that share no test row with it: another fold's validation rows may be this one's test rows. Where a
    fold has neither there is no honest score, and it is NaN. The setting that is named is the best one on all rows that
    choose.
    """
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    if len(groups) == 1:
        (setting, grid), *_ = groups
        interval, _, diverged = interval_of(
            grid.scores[metric], grid.present, scores.attrs, confidence
        )
        return Choice(setting, interval, "the only setting" + _but(diverged))
    sign = 1 if metric in json.loads(scores.attrs["higher_is_better"]) else -1
    inner, present = "validation_" + metric, np.stack([grid.present for _, grid in groups])
    judges = sign * np.stack(
        [grid.scores[inner if inner in grid.scores else metric] for _, grid in groups]
    )
    setting, _ = groups[int(_levels(judges, present, axis=(1, 2)).argmax())]
    method, per_fold = (
        _by_own(judges, present) if inner in scores else _by_others(judges, present, apart(scores))
    )
    if per_fold is None:
        return Choice(
            setting, stats.Interval(np.nan, np.nan, np.nan, 0, "none", confidence), method
        )
    crossed = np.stack([groups[s][1].scores[metric][:, f] for f, s in enumerate(per_fold)], axis=1)
    there = np.stack([groups[s][1].present[:, f] for f, s in enumerate(per_fold)], axis=1)
    interval, _, diverged = interval_of(crossed, there, scores.attrs, confidence)
    return Choice(setting, interval, method + _but(diverged))


def _by_own(judges: np.ndarray, present: np.ndarray) -> tuple[str, np.ndarray]:
    """How each fold is judged, and its setting: the best on its own inner rows."""
    method = (
        _INNER if judges.shape[2] > 1 else "chosen on inner validation rows, scored on test rows"
    )
    return method, _levels(judges, present, axis=1).argmax(axis=0)


def _by_others(
    judges: np.ndarray, present: np.ndarray, others: np.ndarray
) -> tuple[str, np.ndarray | None]:
    """How each fold is judged, and its setting: the best on its `others`; None if a fold has none."""
    if not others.any(axis=1).all():
        return _UNSCORED, None
    levels = [
        _levels(judges[:, :, chosen], present[:, :, chosen], axis=(1, 2)) for chosen in others
    ]
    method = _OTHERS if others.sum() == others.size - len(others) else _APART
    return method, np.argmax(levels, axis=1)


def compare(
    scores: "xarray.Dataset",
    a: Mapping[str, float],
    b: Mapping[str, float],
    metric: str | None = None,
) -> stats.Comparison:
    """The paired difference a - b of two settings over the seeds and folds that they share.

    Args:
        scores: Of every member, on the members' axes.
        a: Name -> number, as many as single out one setting.
        b: Likewise.
        metric: By default the first on held-out rows.

    Returns:
        The comparison of a with b; seeds that are not finite in both are left out, and its method tells so.

    Raises:
        ValueError: If there is no such setting, or several, or no seed that is finite in both.
    """
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    grids = [_find(groups, wanted) for wanted in (a, b)]
    values, present = (
        [grid.scores[metric] for grid in grids],
        np.all([grid.present for grid in grids], axis=0),
    )
    finite = np.isfinite(values).all(axis=0) & present
    taken, left = whole_seeds(finite, present)
    first, second = (v[taken] for v in values)
    if not first.size:
        raise ValueError(
            "wanted seeds whose members are finite in both settings, but there are none; look at summary()"
        )
    found = stats.paired_comparison(first, second, *row_counts(scores.attrs))
    remark = without(left) + _but(int((present & ~finite).sum()))
    difference = found.difference._replace(method=found.difference.method + remark)
    return found._replace(difference=difference, method=found.method + remark)


def _find(groups: list, wanted: Mapping[str, float]) -> Grid:
    if not isinstance(wanted, Mapping) or not all(
        isinstance(v, Real | np.bool_) for v in wanted.values()
    ):
        raise ValueError(
            f"wanted a setting as numbers by name, but got {wanted!r}; write e.g. {{'rate': 0.1}}"
        )
    found = [(setting, grid) for setting, grid in groups if _fits(setting, wanted)]
    if not found:
        raise ValueError(
            f"wanted a setting with {dict(wanted)}, but the settings are {[s for s, _ in groups]}; name one"
        )
    if len(found) > 1:
        raise ValueError(
            f"wanted one setting, but {[s for s, _ in found]} have {dict(wanted)}; name all their numbers"
        )
    return found[0][1]


def _fits(setting: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(is_number(setting.get(k, np.nan), v) for k, v in wanted.items())


def _levels(values: np.ndarray, present: np.ndarray, axis: Any) -> np.ndarray:
    """Means of those that are there; minus infinity if one of them has diverged, or there are none."""
    worst = np.where(np.isfinite(values), values, -np.inf)
    count = present.sum(axis=axis)
    return np.where(
        count > 0, np.where(present, worst, 0).sum(axis=axis) / np.maximum(count, 1), -np.inf
    )


def _but(diverged: int) -> str:
    return f" ({diverged} diverged, their seeds left out)" if diverged else ""
