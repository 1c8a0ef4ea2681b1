"""Figures of a result, drawn without a display."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn.result._summary import make_summary
from jnn.result._table import EPOCH_NOTES, Setting, metric_of, setting_text
from jnn.storage import expand

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from jnn.data import Dataset
    from jnn.result._result import Result

_MOST_POINTS = 400  # of a curve: more cannot be told apart, and each is a summary of its own
_DEVIATIONS = 1.645  # of a normal distribution, on either side of its mean: 90 % of it


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


def forecast(
    results: "Mapping[str, Result]", data: "Dataset", row: int, channel: int = -1
) -> "Figure":
    """Draw one window of a series and each ensemble's forecast of it.

    The line is the mean over the members, the band 1.645 standard deviations on either side.

    Args:
        results: Name -> result of a study on `data`.
        data: Windows [time, channels], see `jnn.Dataset.from_series`.
        row: Number of the window.
        channel: Number of the channel.
    """
    if data.y is None:
        raise ValueError(f"data must have targets to draw a forecast beside, got {data!r}.")
    x = data.x[np.array([row])]
    offset = 0.0 if data.target_offset is None else data.target_offset[channel]
    past = x[0, :, channel] + offset  # predictions have it too
    future = data.y[np.array([row])][0, :, channel] + offset
    figure, axes = new_figure()
    steps = np.arange(-len(past), len(future))
    axes.plot(steps, np.concatenate([past, future]), "k", linewidth=1, label="series")
    for name, result in results.items():
        prediction = result.predict(x)
        mean = prediction.mean[0, :, channel]
        half = _DEVIATIONS * prediction.std[0, :, channel]
        axes.plot(mean, label=drawn_text(name))
        axes.fill_between(np.arange(len(mean)), mean - half, mean + half, alpha=0.2, linewidth=0)
    axes.set(
        xlabel="steps from now",
        title=drawn_text(f"{data.name}; bands: 90 % of the members' spread"),
    )
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def write_figure(figure: "Figure", path: str | os.PathLike[str]) -> pathlib.Path:
    """Write a figure to a file, whose ending says the format."""
    path = expand(path)
    figure.savefig(path, dpi=150)
    return path


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


def drawn_text(text: str) -> str:
    """Return a text as it is to be drawn: no formula, and no part of a name that is no UTF-8."""
    return text.replace("$", r"\$").encode("utf-8", "replace").decode()


def new_figure(height: float = 4.2, panels: tuple[int, int] = (1, 1)) -> "tuple[Figure, Any]":
    """Return a figure of this height in inches, and its axes: one, or an array of panels."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib, which is not installed. "
            "Install it with: pip install 'jnn-jax[plots]'"
        ) from error
    figure = Figure(figsize=(7, height), layout="constrained")
    return figure, figure.subplots(*panels)


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
