"""Figures of a search: how the best score rises, what each choice does, and what matters."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_RATIO = 30.0  # of the largest value to the smallest, from which an axis may be logarithmic
_LOG_MEDIAN = 0.25  # of the largest value, below which lie most values of such an axis
_MOST_TICKS = 12  # words on an axis
_TAIL = 0.25  # of the settings, whose scores may lie outside the axis


def search_curve(found: Any) -> "Figure":
    """Draw the best score so far against the training steps that all settings took together.

    Beside it is the best that random search would have found: the expected best of as many
    settings, drawn from those of this search. Each point is one setting. The line across, with its
    band, is the winner on rows that the search never saw.

    Args:
        found: What `jnn.search.run` returned.
    """
    figure, axes = new_figure()
    curve = found.curve
    metric = found.goal.metric
    steps = curve["steps"].to_numpy()
    scores = _scores(found)
    axes.plot(steps, scores, ".", color="0.6", markersize=4, label="each setting")
    axes.step(steps, curve["best"], where="post", label="best so far")
    if np.isfinite(curve["random"]).any():
        axes.plot(steps, curve["random"], "--", label="best so far of random search")
    interval = found.best.interval
    if math.isfinite(interval.mean):
        axes.axhline(interval.mean, color="C2", linewidth=1, label="winner on rows never seen")
        if math.isfinite(interval.low):
            axes.axhspan(interval.low, interval.high, color="C2", alpha=0.15, linewidth=0)
    values = [*curve["best"], *curve["random"], interval.mean, interval.low, interval.high]
    _limit(axes, scores, np.asarray(values, np.float64))
    axes.set(xlabel="training steps of all settings", ylabel=drawn_text(metric))
    axes.xaxis.set_major_formatter(_engineering())
    axes.set_title(drawn_text(_title(found)), fontsize="small")
    axes.legend(fontsize="small", loc="lower right" if found.goal.sign > 0 else "upper right")
    axes.grid(alpha=0.3)
    return figure


def choices(found: Any) -> "Figure":
    """Draw the score of each setting against each of its choices, one panel for each choice.

    Args:
        found: What `jnn.search.run` returned.
    """
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.setting))
    columns = 2 if len(names) == 4 else min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure, grid = new_figure(0.8 + 2.4 * rows, panels=(rows, columns))
    panels = np.atleast_1d(grid).ravel()
    scores = _scores(found)
    for name, axes in zip(names, panels, strict=False):
        _draw_choice(axes, name, [trial.setting.get(name) for trial in found.trials], scores)
        _limit(axes, scores, np.array([]))
        axes.grid(alpha=0.3)
    for axes in panels[:: max(1, columns)]:
        axes.set_ylabel(drawn_text(found.goal.metric))
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.suptitle(drawn_text(_title(found)), fontsize="small")
    return figure


def importance(found: Any) -> "Figure":
    """Draw how much each choice matters for the score; see `jnn.search.Found.importance`.

    The bars at the ends are the standard deviation over the folds of the settings.

    Args:
        found: What `jnn.search.run` returned.

    Raises:
        ValueError: If there are too few settings to tell.
    """
    table = found.importance
    figure, axes = new_figure(height=1.4 + 0.35 * len(table))
    places = -np.arange(len(table))
    axes.barh(places, table["importance"], xerr=table["deviation"], height=0.6, capsize=3)
    axes.set_yticks(places, [drawn_text(str(name)) for name in table["choice"]])
    axes.axvline(0, color="k", linewidth=0.8)
    axes.set_xlabel(drawn_text(f"loss of R² for {found.goal.metric} when the choice is permuted"))
    axes.set_title(f"random forest on {len(found.trials)} settings, 5 folds", fontsize="small")
    axes.grid(alpha=0.3, axis="x")
    return figure


def _scores(found: Any) -> np.ndarray:
    """Return the mean score of each setting in its own units; NaN where it failed."""
    return np.array([found.goal.sign * trial.score.mean for trial in found.trials])


def _title(found: Any) -> str:
    trained = {trial.score.values.size for trial in found.trials}
    low, high = min(trained), max(trained)
    each = f"{low}" if low == high else f"{low} to {high}"
    networks = "networks" if high > 1 else "network"
    failed = int(np.isnan(_scores(found)).sum())
    text = f"{len(found.trials)} settings, each the mean of {each} {networks}"
    return text + (f"; {failed} failed" if failed else "")


def _draw_choice(axes: "Axes", name: str, values: list, scores: np.ndarray) -> None:
    applies = np.array([value is not None for value in values])
    shown = [value for value in values if value is not None]
    axes.set_xlabel(drawn_text(name))
    if any(isinstance(value, str) for value in shown):
        options = sorted({str(value) for value in shown})
        places = np.array([options.index(str(value)) for value in shown])
        axes.plot(places, scores[applies], ".", alpha=0.6)
        axes.set_xlim(-0.5, len(options) - 0.5)
        if len(options) <= _MOST_TICKS:
            angle = 45 if max(map(len, options)) > 6 else 0
            axes.set_xticks(range(len(options)), map(drawn_text, options), rotation=angle)
        return
    numbers = np.asarray(shown, np.float64)
    axes.plot(numbers, scores[applies], ".", alpha=0.6)
    if _is_logarithmic(numbers):
        axes.set_xscale("log")
    elif len(set(shown)) <= 6 and all(isinstance(value, int) for value in shown):
        axes.set_xticks(sorted(set(shown)))


def _is_logarithmic(numbers: np.ndarray) -> bool:
    """Return whether the values look as if their logarithms were spread evenly."""
    if not numbers.size or numbers.min() <= 0:
        return False
    is_wide = numbers.max() / numbers.min() >= _LOG_RATIO
    return bool(is_wide and np.median(numbers) < _LOG_MEDIAN * numbers.max())


def _limit(axes: "Axes", scores: np.ndarray, others: np.ndarray) -> None:
    """Leave out of the axis what lies far below most scores, so that differences can be seen."""
    finite = scores[np.isfinite(scores)]
    kept = others[np.isfinite(others)]
    if len(finite) < 8:
        return
    low, high = np.quantile(finite, [_TAIL, 1 - _TAIL])
    reach = 3 * (high - low)
    inside = finite[(finite >= low - reach) & (finite <= high + reach)]
    inside = np.concatenate([inside, kept[(kept >= low - reach) & (kept <= high + reach)]])
    margin = 0.05 * (inside.max() - inside.min()) or 0.01
    if len(inside) < len(finite) + len(kept):
        axes.set_ylim(inside.min() - margin, inside.max() + margin)


def _engineering() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
