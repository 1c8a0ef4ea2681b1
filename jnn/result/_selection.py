"""Which setting is the best, on rows that did not choose it, and whether two settings differ."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn import stats
from jnn.result._schema import Schema
from jnn.result._table import (
    Grid,
    Setting,
    by_setting,
    check_confidence,
    check_value,
    disjoint_folds,
    interval_of,
    left_out_remark,
    matches,
    metric_of,
    setting_text,
    whole_seeds,
)

if TYPE_CHECKING:
    import xarray

_INNER = "each fold scored with the setting that is best on its own inner validation rows"
_INNER_ALONE = "chosen on inner validation rows, scored on test rows"
_OTHERS = "each fold scored with the setting that is best on the other folds"
_DISJOINT = "each fold scored with the setting that is best on the folds without its test rows"
_UNSCORED = "chosen on all the rows that could score it; add folds or validation"


class Choice(NamedTuple):
    """The setting that was chosen, and how good it is on rows that did not choose it.

    Attributes:
        setting: Name -> number or text.
        interval: The score of the choice; NaN where every row was needed to choose.
        method: How the setting was chosen and scored.
    """

    setting: Setting
    interval: stats.Interval
    method: str

    def __str__(self) -> str:
        score = self.interval if self.interval.n else "no score that had no part in the choice"
        return f"{setting_text(self.setting) or 'no setting'}: {score}; {self.method}"

    def __repr__(self) -> str:
        return f"Choice({self})"


def choose(
    scores: "xarray.Dataset",
    schema: Schema,
    metric: str | None = None,
    confidence: float = 0.95,
) -> Choice:
    """Choose the best setting and score it on rows that had no part in the choice.

    Every fold is scored with the setting that is best on the fold's own validation rows. Without
    validation rows it is scored with the setting that is best on the other folds that share no test
    row with it, because another fold's validation rows may be this one's test rows. Where a fold
    has neither there is no honest score, and it is NaN. The setting that is named is the best one
    on all rows that choose.

    Args:
        scores: Final scores of every member, on the members' axes.
        schema: The schema of the result.
        metric: Score that chooses; by default the first on held-out rows.
        confidence: Confidence of the interval.
    """
    check_confidence(confidence)
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    if len(groups) == 1:
        (setting, grid), *_ = groups
        interval, _, diverged = interval_of(grid.scores[metric], grid.present, schema, confidence)
        return Choice(setting, interval, "the only setting" + _diverged_remark(diverged))
    sign = 1 if metric in schema.higher_is_better else -1
    inner = "validation_" + metric
    judge = inner if inner in scores else metric
    judges = sign * np.stack([grid.scores[judge] for _, grid in groups])
    present = np.stack([grid.present for _, grid in groups])
    setting, _ = groups[int(_levels(judges, present, axis=(1, 2)).argmax())]
    if inner in scores:
        method, per_fold = _by_inner_rows(judges, present)
    else:
        method, per_fold = _by_other_folds(judges, present, disjoint_folds(scores, schema))
    if per_fold is None:
        nothing = stats.Interval(np.nan, np.nan, np.nan, 0, "none", confidence)
        return Choice(setting, nothing, method)
    picked = [groups[index][1] for index in per_fold]
    values = np.stack([grid.scores[metric][:, f] for f, grid in enumerate(picked)], axis=1)
    there = np.stack([grid.present[:, f] for f, grid in enumerate(picked)], axis=1)
    interval, _, diverged = interval_of(values, there, schema, confidence)
    return Choice(setting, interval, method + _diverged_remark(diverged))


def compare(
    scores: "xarray.Dataset",
    schema: Schema,
    a: Setting,
    b: Setting,
    metric: str | None = None,
) -> stats.Comparison:
    """Return the paired difference a - b of two settings over the seeds and folds that they share.

    Seeds that are not finite in both settings are left out, and the method of the comparison says
    so.

    Args:
        scores: Final scores of every member, on the members' axes.
        schema: The schema of the result.
        a: Name -> number or text, as many as single out one setting.
        b: The other setting, likewise.
        metric: Score to compare; by default the first on held-out rows.

    Raises:
        TypeError: If a or b is not a setting.
        ValueError: If no setting, or several, have these values, or no seed is finite in both.
    """
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    grids = [_find(groups, "a", a), _find(groups, "b", b)]
    values = [grid.scores[metric] for grid in grids]
    present = np.all([grid.present for grid in grids], axis=0)
    finite = np.isfinite(values).all(axis=0) & present
    taken, left_out = whole_seeds(finite, present)
    first, second = (v[taken] for v in values)
    if not first.size:
        raise ValueError(
            "The two settings share no seed whose members are finite in both. "
            "Look at result.summary()."
        )
    comparison = stats.paired_comparison(first, second, *schema.row_counts)
    diverged = int((present & ~finite).sum())
    remark = left_out_remark(left_out) + _diverged_remark(diverged)
    difference = comparison.difference
    return comparison._replace(
        difference=difference._replace(method=difference.method + remark),
        method=comparison.method + remark,
    )


def _by_inner_rows(judges: np.ndarray, present: np.ndarray) -> tuple[str, np.ndarray]:
    """Return how each fold is judged, and its setting: the best on its own inner rows."""
    method = _INNER if judges.shape[2] > 1 else _INNER_ALONE
    return method, _levels(judges, present, axis=1).argmax(axis=0)


def _by_other_folds(
    judges: np.ndarray, present: np.ndarray, others: np.ndarray
) -> tuple[str, np.ndarray | None]:
    """Return how each fold is judged, and its best setting on its `others`; None if none has."""
    if not others.any(axis=1).all():
        return _UNSCORED, None
    levels = [_levels(judges[:, :, fold], present[:, :, fold], axis=(1, 2)) for fold in others]
    method = _OTHERS if others.sum() == others.size - len(others) else _DISJOINT
    return method, np.argmax(levels, axis=1)


def _find(groups: Sequence[tuple[Setting, Grid]], argument: str, values: Setting) -> Grid:
    """Return the scores of the one setting that has these values."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument} must be a setting, a mapping of names to values, got {values!r}. "
            "Write e.g. {'learning_rate': 0.1}."
        )
    settings = [dict(setting) for setting, _ in groups]
    for name, value in values.items():
        if name in settings[0]:
            check_value(name, value, np.asarray(settings[0][name]))
    fitting = [(setting, grid) for setting, grid in groups if _fits(setting, values)]
    if not fitting:
        raise ValueError(
            f"{argument} must be one of the settings {settings}, got {dict(values)}, "
            "which none of them has."
        )
    if len(fitting) > 1:
        raise ValueError(
            f"{argument} must single out one setting, got {dict(values)}, which "
            f"{[dict(s) for s, _ in fitting]} have. Name all their values."
        )
    return fitting[0][1]


def _fits(setting: Setting, values: Setting) -> bool:
    return all(name in setting and matches(setting[name], v) for name, v in values.items())


def _levels(values: np.ndarray, present: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Return the means over those present; minus infinity where one diverged or none is."""
    worst = np.where(np.isfinite(values), values, -np.inf)
    total = np.where(present, worst, 0).sum(axis=axis)
    count = present.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)


def _diverged_remark(count: int) -> str:
    return f" ({count} diverged, their seeds left out)" if count else ""
