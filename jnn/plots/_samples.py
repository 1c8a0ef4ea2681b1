"""Figures of the members of a game: their scores, and the losses of both players."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn._settings import check_integer
from jnn.plots._axes import counted
from jnn.result import Result, by_setting, draw_curves, metric_of, setting_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS = 40
_LOSSES = ("train_discriminator_loss", "train_generator_loss")


def histogram(result: Result, metric: str | None = None) -> "Figure":
    """Draw how the members of each setting are spread over the values of a metric.

    A metric of whole numbers, such as a number of modes, has a bar for each number.

    Args:
        result: What `jnn.run` returned.
        metric: The score at the end of training; by default the first on held-out rows.
    """
    from matplotlib.ticker import MaxNLocator

    final = result.final()
    metric = metric_of(final, metric)
    groups = [
        (setting_text(setting) or metric, grid.scores[metric][grid.present].astype(np.float64))
        for setting, grid in by_setting(final[[metric]])
    ]
    values = [value[np.isfinite(value)] for _, value in groups]
    everything = np.concatenate(values)
    if not len(everything):
        raise ValueError(f"{metric} must be finite for some member, got none that is.")
    whole = _are_few_whole(everything)
    edges: Any = np.arange(everything.min() - 0.5, everything.max() + 1) if whole else 20
    figure, axes = new_figure()
    labels = [
        _label(text, len(value), len(finite))
        for (text, value), finite in zip(groups, values, strict=True)
    ]
    axes.hist(values, bins=edges, label=labels, rwidth=0.8 if whole else None)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=drawn_text(metric), ylabel="members")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3, axis="y")
    return figure


def _label(setting: str, members: int, finite: int) -> str:
    left_out = f", {members - finite} not finite left out" if finite < members else ""
    return drawn_text(f"{setting}, {counted(finite, 'member')}{left_out}")


def _are_few_whole(values: np.ndarray) -> bool:
    """Return whether all values are whole, with no more numbers between than bars."""
    return bool((values == values.round()).all() and np.ptp(values) < _MOST_BARS)


def player_losses(result: Result, *, most: int = 4) -> "Figure":
    """Draw the losses of discriminator and generator after each epoch, with bands.

    Args:
        result: What `jnn.run` returned for a study of `jnn.gan.Study`.
        most: Number of settings to draw, the first ones.

    Raises:
        ValueError: If the study has no such losses.
    """
    most = check_integer("most", most)
    missing = [name for name in _LOSSES if name not in result.scores]
    if missing:
        raise ValueError(
            f"The result must have the scores {list(_LOSSES)}, which studies of jnn.gan.Study "
            f"have, got {sorted(map(str, result.scores))}."
        )
    figure, panels = new_figure(height=6.0, panels=(2, 1))
    titles = [
        draw_curves(axes, result, name, most, ranked=False)
        for axes, name in zip(panels, _LOSSES, strict=True)
    ]
    panels[0].set_title(drawn_text(titles[0]), fontsize="small")
    if panels[0].lines:  # none if all members have diverged
        panels[0].legend(fontsize="small")
    return figure
