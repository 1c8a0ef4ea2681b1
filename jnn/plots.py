"""Figures of a result, drawn without a display."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.result import make_summary, metric_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from jnn.data import Dataset
    from jnn.result import Result


_MOST_POINTS = 400  # of a curve: more cannot be told apart, and each is a summary of its own


def learning_curves(result: "Result", metric: str | None = None, *, most: int = 8) -> "Figure":
    """The metric after each epoch: a line for the mean and a band for its interval, one of each per setting.

    Args:
        result: Of `jnn.run`.
        metric: By default the first of the study's metrics.
        most: Settings to draw; those that end best.
    """
    figure = _new_figure()
    from matplotlib.ticker import MaxNLocator

    metric = metric_of(result.final(), metric)
    scored = result.scores[metric].notnull()  # a study may score only every so many epochs
    epochs, title = scored["epoch"].values[scored.any([d for d in scored.dims if d != "epoch"])], ""
    if len(epochs) > _MOST_POINTS:
        epochs = epochs[np.linspace(0, len(epochs) - 1, _MOST_POINTS).round().astype(int)]
    curves: dict[tuple, list] = {}
    scores = _ended_kept(result.scores, metric)
    for epoch in epochs:
        summary = make_summary(scores.sel(epoch=epoch), metric)
        title = summary.title
        for row in summary.rows:
            interval = row.intervals[metric]
            curves.setdefault(tuple(row.setting.items()), []).append(
                (interval.mean, interval.low, interval.high)
            )
    axes = figure.subplots()
    for setting, points in _best_first(curves, higher=result.higher_is_better(metric))[:most]:
        mean, low, high = np.transpose(points)
        (line,) = axes.plot(
            epochs, mean, label=", ".join(f"{k}={v:g}" for k, v in setting) or metric
        )
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="epoch", ylabel=metric, title=title)
    axes.title.set_fontsize("small")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def _ended_kept(scores: "xarray.Dataset", metric: str) -> "xarray.Dataset":
    """A member that patience has ended keeps its last score: without it the mean would be that of the others."""
    if "best_epoch" not in scores:
        return scores
    values = scores[metric].transpose(..., "epoch")
    there = np.where(np.isfinite(values), np.arange(values.sizes["epoch"]), 0)
    last = np.maximum.accumulate(there, axis=-1)
    filled = np.take_along_axis(values.values, last, axis=-1)
    return scores.drop_vars("best_epoch").assign({metric: (values.dims, filled)})


def forecast(
    results: "Mapping[str, Result]", data: "Dataset", row: int, channel: int = -1
) -> "Figure":
    """One window of a series and what each ensemble says of its future: the mean, and a band of 1.645 deviations.

    Args:
        results: Name -> result of a study on `data`.
        data: Windows [time, channels], see `jnn.Dataset.from_series`.
        row: The window.
        channel: The channel that is drawn.
    """
    figure = _new_figure()
    x, y = data.x[np.array([row])], data.y[np.array([row])]
    past, future = x[0, :, channel], y[0, :, channel]
    axes = figure.subplots()
    axes.plot(
        np.arange(-len(past), len(future)),
        np.concatenate([past, future]),
        "k",
        linewidth=1,
        label="series",
    )
    for name, result in results.items():
        said = result.predict(x)
        mean, std = said.mean[0, :, channel], said.std[0, :, channel]
        axes.plot(mean, label=name)
        axes.fill_between(
            np.arange(len(mean)), mean - 1.645 * std, mean + 1.645 * std, alpha=0.2, linewidth=0
        )
    axes.set(xlabel="steps from now", title=f"{data.name}; bands: 90 % of the members' spread")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def save(figure: "Figure", path: Any) -> pathlib.Path:
    """Writes a figure to a file whose ending says the format."""
    path = pathlib.Path(path)
    figure.savefig(path, dpi=150)
    return path


def _best_first(curves: dict, *, higher: bool) -> list:
    def last(item):
        value = item[1][-1][0]
        return (not np.isfinite(value), -value if higher else value)

    return sorted(curves.items(), key=last)


def _new_figure() -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib. Install it with: pip install 'jnn-jax[plots]'"
        ) from error
    return Figure(figsize=(7, 4.2), layout="constrained")
