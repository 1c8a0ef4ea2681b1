"""Figures of generated examples, and of the members that make them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn.result import Result, by_setting, draw_curves, metric_of, setting_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS = 40
_LOSSES = ("train_discriminator_loss", "train_generator_loss")


def image_grid(images: Any, *, low: float | None = None, high: float | None = None) -> "Figure":
    """Draw images in rows and columns.

    Args:
        images: [rows, columns, height, width, channels], or [images, height, width, channels] in a
            grid about as high as wide; one channel is drawn in gray, three in color.
        low: Value of black; by default the lowest there is.
        high: Value of white; by default the highest there is.

    Raises:
        ValueError: If the images have another number of axes or channels.
    """
    images = np.asarray(images, np.float32)
    if images.ndim not in (4, 5) or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            "images must be [images, height, width, 1 or 3], or those in rows and columns, got the "
            f"shape {images.shape}."
        )
    whole = joined_images(images if images.ndim == 5 else _in_rows(images))
    black = float(np.nanmin(whole)) if low is None else low
    white = float(np.nanmax(whole)) if high is None else high
    shown = np.clip((whole - black) / max(white - black, 1e-12), 0, 1)
    figure, axes = new_figure(height=min(7 * shown.shape[0] / shown.shape[1], 20))
    axes.imshow(shown.squeeze(-1) if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    return figure


def joined_images(images: np.ndarray) -> np.ndarray:
    """Return images in rows and columns as one, [rows height, columns width, channels]."""
    rows, columns, height, width, channels = images.shape
    return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def _in_rows(images: np.ndarray) -> np.ndarray:
    """Return images in rows of about as many as there are rows, the last row filled with NaN."""
    count, *shape = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    missing = np.full((rows * columns - count, *shape), np.nan, images.dtype)
    return np.concatenate([images, missing]).reshape(rows, columns, *shape)


def histogram(result: Result, metric: str | None = None) -> "Figure":
    """Draw how the members of each setting are spread over the values of a metric.

    A metric of whole numbers, such as a number of modes, has a bar for each number.

    Args:
        result: What `jnn.run` returned.
        metric: The score at the end of training; by default the first on held-out rows.
    """
    final = result.final()
    metric = metric_of(final, metric)
    groups = [
        (setting_text(setting) or metric, grid.scores[metric].ravel())
        for setting, grid in by_setting(final[[metric]])
    ]
    values = [value[np.isfinite(value)] for _, value in groups]
    edges = _edges(np.concatenate(values))
    figure, axes = new_figure()
    labels = [
        drawn_text(f"{text}, {len(v)} members") for (text, _), v in zip(groups, values, strict=True)
    ]
    axes.hist(values, bins=edges, label=labels)
    axes.set(xlabel=drawn_text(metric), ylabel="members")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3, axis="y")
    return figure


def _edges(values: np.ndarray) -> Any:
    """Return the edges of bars: around whole numbers if all are whole, else of equal width."""
    if not len(values):
        return 1
    low, high = values.min(), values.max()
    if (values == values.round()).all() and high - low < _MOST_BARS:
        return np.arange(low - 0.5, high + 1)
    return 20


def player_losses(result: Result, *, most: int = 4) -> "Figure":
    """Draw the losses of discriminator and generator after each epoch, with bands.

    Args:
        result: What `jnn.run` returned for a study of `jnn.gan.Study`.
        most: Number of settings to draw.

    Raises:
        ValueError: If the study has no such losses.
    """
    missing = [name for name in _LOSSES if name not in result.scores]
    if missing:
        raise ValueError(
            f"The result must have the scores {list(_LOSSES)}, which studies of jnn.gan.Study "
            f"have, got {sorted(map(str, result.scores))}."
        )
    figure, panels = new_figure(height=6.0, panels=(2, 1))
    for axes, name in zip(panels, _LOSSES, strict=True):
        title = draw_curves(axes, result, name, most)
        axes.set_title(drawn_text(title), fontsize="small")
    panels[0].legend(fontsize="small")
    return figure
