"""Figures of a result, drawn without a display."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn.result._summary import make_summary
from jnn.result._table import EPOCH_NOTES, Setting, metric_of, setting_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from jnn.result._result import Result

_MOST_POINTS = 400  # of a curve: more cannot be told apart, and each is a summary of its own


class _Curve(NamedTuple):
    """The means and intervals of one setting, [epochs]."""

    setting: Setting
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def learning_curves(result: "Result", metric: str | None = None, *, most: int = 8) -> "Figure":
    """Draw the metric after each epoch: per setting a line for the mean and a band around it.

    The band is the confidence interval of the mean.

    Args:
        result: What `jnn.run` returned.
        metric: The score to draw; by default the first on held-out rows.
        most: Number of settings to draw; those that end best.
    """
    figure, axes = new_figure()
    metric = metric_of(result.final(), metric)
    axes.set_title(drawn_text(draw_curves(axes, result, metric, most)), fontsize="small")
    if axes.lines:  # none if all members have diverged
        axes.legend(fontsize="small")
    return figure


def draw_curves(axes: Any, result: "Result", metric: str, most: int, *, ranked: bool = True) -> str:
    """Draw the curves of a metric, and return the title that says what the bands are.

    The settings that end best come first, or else they keep their order.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = _scored_epochs(result.scores, metric)
    curves, title = _curves(result, metric, epochs)
    if ranked:
        curves = _best_first(curves, higher=result.higher_is_better(metric))
    for curve in curves[:most]:
        (line,) = axes.plot(
            epochs, curve.mean, label=drawn_text(setting_text(curve.setting) or metric)
        )
        axes.fill_between(
            epochs, curve.low, curve.high, color=line.get_color(), alpha=0.2, linewidth=0
        )
    axes.set(xlabel="epoch", ylabel=drawn_text(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return title


def forest(result: "Result", metric: str | None = None, *, most: int = 40) -> "Figure":
    """Draw the metric of each setting at the end of training: a point and an interval each.

    Args:
        result: What `jnn.run` returned.
        metric: The score to draw; by default the first on held-out rows.
        most: Number of settings to draw; the best ones.
    """
    metric = metric_of(result.final(), metric)
    summary = result.summary(metric)
    rows = [(row.setting, row.intervals[metric]) for row in summary.rows]
    sign = -1 if result.higher_is_better(metric) else 1
    rows.sort(key=lambda row: (not np.isfinite(row[1].mean), sign * row[1].mean))
    rows = rows[:most]
    means = np.array([interval.mean for _, interval in rows])
    bounds = np.array([(interval.low, interval.high) for _, interval in rows])
    figure, axes = new_figure(height=1.2 + 0.3 * len(rows))
    places = -np.arange(len(rows))
    errors = np.abs(bounds.T - means)
    axes.errorbar(means, places, xerr=errors, fmt="o", capsize=3)
    axes.set_yticks(places, [drawn_text(setting_text(setting) or metric) for setting, _ in rows])
    axes.set(xlabel=drawn_text(metric), title=drawn_text(summary.title))
    axes.title.set_fontsize("small")
    axes.grid(alpha=0.3, axis="x")
    return figure


@dataclasses.dataclass(frozen=True)
class Plots:
    """Figures of one result, as `result.plot.curves()`."""

    result: "Result"

    def curves(self, metric: str | None = None, *, most: int = 8) -> "Figure":
        """Draw the metric after each epoch; see `jnn.plots.learning_curves`."""
        return learning_curves(self.result, metric, most=most)

    def forest(self, metric: str | None = None, *, most: int = 40) -> "Figure":
        """Draw the metric of each setting with its interval; see `jnn.plots.forest`."""
        return forest(self.result, metric, most=most)


def _scored_epochs(scores: "xarray.Dataset", metric: str) -> np.ndarray:
    """Return the epochs that were scored, evenly thinned where they are many."""
    scored = scores[metric].notnull()
    others = [axis for axis in scored.dims if axis != "epoch"]
    epochs = scored["epoch"].values[scored.any(others)]
    if len(epochs) <= _MOST_POINTS:
        return epochs
    return epochs[np.linspace(0, len(epochs) - 1, _MOST_POINTS).round().astype(int)]


def _curves(result: "Result", metric: str, epochs: np.ndarray) -> tuple[list[_Curve], str]:
    """Return the curve of each setting, and the title that says what the intervals are."""
    scores = _with_ended_members(result.scores, metric)
    summaries = [make_summary(scores.sel(epoch=epoch), result.schema, metric) for epoch in epochs]
    if not summaries:
        return [], ""
    curves = []
    for rows in zip(*(summary.rows for summary in summaries), strict=True):
        intervals = [row.intervals[metric] for row in rows]
        bounds = np.array([(i.mean, i.low, i.high) for i in intervals])
        curves.append(_Curve(rows[0].setting, *bounds.T))
    return curves, summaries[-1].title


def _with_ended_members(scores: "xarray.Dataset", metric: str) -> "xarray.Dataset":
    """Give members that have ended their last score, so that the mean stays that of all."""
    notes = [note for note in EPOCH_NOTES if note in scores]
    if not notes:
        return scores
    values = scores[metric].transpose(..., "epoch")
    scored = np.where(np.isfinite(values), np.arange(values.sizes["epoch"]), 0)
    last = np.maximum.accumulate(scored, axis=-1)
    filled = np.take_along_axis(values.values, last, axis=-1)
    return scores.drop_vars(notes).assign({metric: (values.dims, filled)})


def _best_first(curves: list[_Curve], *, higher: bool) -> list[_Curve]:
    """Return the curves in the order of their last means, those that are not finite last."""

    def rank(curve: _Curve) -> tuple[bool, float]:
        last = curve.mean[-1]
        return (not np.isfinite(last), -last if higher else last)

    return sorted(curves, key=rank)
