"""Figures of generated examples in rows and columns: a grid of images, and a film strip."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn._settings import check_integer, check_number
from jnn.plots._axes import as_numbers, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 7.0  # inches of all cells side by side, at most
_HEIGHT = 9.0  # inches of all cells above each other, unless they were lower than
_CELL = 0.4  # inches
_LETTER = 0.08  # inches of a letter, about
_LABEL = 0.3  # inches of a line above the cells
_POINTS = 2000  # of a cell: more cannot be told apart
_SEEN = 0.8  # share of the points of a cell: if fewer are in view, their number is written
_ROOM = 0.1  # around real points, as a share of their extent


def image_grid(
    images: Any,
    *,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    title: str = "",
    low: float | None = None,
    high: float | None = None,
) -> "Figure":
    """Draw images in rows and columns.

    Args:
        images: [rows, columns, height, width, channels], or [images, height, width, channels] in a
            grid about as high as wide; one channel is drawn in gray, three in color, NaN in white.
        rows: What stands beside the rows, such as epochs.
        columns: What stands above the columns, such as seeds.
        title: What stands above all, such as the number of members.
        low: Value of black; by default the lowest there is.
        high: Value of white; by default the highest there is.

    Raises:
        ValueError: If the images have another number of axes or channels, or there are more or
            fewer labels than rows or columns.
    """
    images = as_numbers("images", images, np.float32)
    if images.ndim not in (4, 5) or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            "images must be [images, height, width, 1 or 3], or those in rows and columns, got the "
            f"shape {images.shape}."
        )
    images = images if images.ndim == 5 else in_rows(images)
    shape = images.shape[:2]
    shown = _shown(joined_images(images), low, high)
    figure, axes = _cells(shape, rows, columns, title, images.shape[2] / images.shape[3])
    axes.imshow(
        shown,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0, shape[1], shape[0], 0),
        aspect=images.shape[2] / images.shape[3],
    )
    return figure


def film_strip(
    frames: Any,
    epochs: Sequence[int] | None = None,
    *,
    members: Sequence[Any] | None = None,
    real: Any = None,
    each: int = 4,
    low: float | None = None,
    high: float | None = None,
) -> "Figure":
    """Draw what members generate as training goes on, with a row for each look.

    Each member has a column. Its points in the plane are scattered, on real ones in gray; of its
    images the first few stand side by side.

    Args:
        frames: [looks, members, examples, 2] or [looks, members, examples, height, width,
            channels], such as a list of what `jnn.gan.sample` returned.
        epochs: Number of the epoch of each look; 1, 2, ... by default.
        members: What stands above the columns; by default the numbers of the members.
        real: Real points, [points, 2].
        each: Number of images of each member.
        low: Value of black; by default the lowest there is.
        high: Value of white; by default the highest there is.

    Raises:
        ValueError: If the frames are neither points nor images, real ones no points, or there are
            more or fewer labels than looks or members.
    """
    each = check_integer("each", each)
    frames = as_numbers("frames", frames, np.float32)
    are_points = frames.ndim == 4 and frames.shape[-1] == 2
    are_images = frames.ndim == 6 and frames.shape[-1] in (1, 3)
    if not (are_points or are_images) or not frames.size:
        raise ValueError(
            "frames must be points [looks, members, examples, 2], or images [looks, members, "
            f"examples, height, width, 1 or 3], got the shape {frames.shape}."
        )
    looks, count = frames.shape[:2]
    epochs = range(1, looks + 1) if epochs is None else epochs
    rows = [f"epoch {epoch}" for epoch in _labels("epochs", epochs, looks)]
    columns = [f"member {i}" for i in range(count)] if members is None else members
    columns = _labels("members", columns, count)
    if real is not None and (not are_points or np.ndim(real) != 2 or np.shape(real)[1] != 2):
        raise ValueError(
            "real must be points [points, 2] beside frames of points, or None, got the shape "
            f"{np.shape(real)}."
        )
    if are_points:
        return _point_strip(frames, rows, columns, real)
    shown = frames[:, :, :each]
    title = f"{counted(count, 'member')}, {counted(shown.shape[2], 'image')} each"
    joined = _side_by_side(shown)
    return image_grid(joined, rows=rows, columns=columns, title=title, low=low, high=high)


def joined_images(images: np.ndarray) -> np.ndarray:
    """Return images in rows and columns as one, [rows height, columns width, channels]."""
    rows, columns, height, width, channels = images.shape
    return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def _point_strip(
    frames: np.ndarray, rows: Sequence[Any], columns: Sequence[Any], real: Any
) -> "Figure":
    """Draw points [looks, members, points, 2], each cell a square of the same extent."""
    frames = frames[:, :, :_POINTS]
    looks, members, count, _ = frames.shape
    title = f"{counted(members, 'member')}, {counted(count, 'point')} each"
    if real is not None:
        real = as_numbers("real", real, np.float32)[:_POINTS]
        title += f"; gray: {counted(len(real), 'real point')}"
    figure, axes = _cells((looks, members), rows, columns, title, 1.0)
    places = np.stack(np.meshgrid(np.arange(members), np.arange(looks)), axis=-1)[:, :, None]
    bounds = _bounds(frames if real is None else real)
    style: dict[str, Any] = {"linewidths": 0, "rasterized": True}
    if real is not None:
        drawn, seen = _in_cells(real, bounds, places)
        axes.scatter(*drawn[seen].T, s=4, color="0.8", **style)
    drawn, seen = _in_cells(frames, bounds, places)
    axes.scatter(*drawn[seen].T, s=3, color="C0", **style)
    for look, member in np.argwhere(seen.mean(axis=-1) < _SEEN):
        text = f"{seen[look, member].sum()} in view"
        axes.text(member + 0.05, look + 0.95, text, fontsize="x-small")
    axes.set_xticks(np.arange(members + 1), minor=True)
    axes.set_yticks(np.arange(looks + 1), minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color="0.6", linewidth=0.6, clip_on=False)
    return figure


def _bounds(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the middle and the side of a square that holds all but outliers."""
    points = points.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.zeros(2), 1.0
    low, high = np.quantile(points, [0.005, 0.995], axis=0)
    return (low + high) / 2, max(float((high - low).max()) * (1 + 2 * _ROOM), 1e-12)


def _in_cells(
    points: np.ndarray, bounds: tuple[np.ndarray, float], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return points as they are drawn in their cells, and which of them lie inside."""
    middle, side = bounds
    inside = (points - middle) / side + 0.5
    drawn = places + np.stack([inside[..., 0], 1 - inside[..., 1]], axis=-1)
    seen = ((inside > 0) & (inside < 1)).all(axis=-1)
    return drawn, np.broadcast_to(seen, drawn.shape[:-1])


def _side_by_side(frames: np.ndarray) -> np.ndarray:
    """Return the images of each look and member as one, with a gap between members."""
    looks, members, _, height, width, channels = frames.shape
    joined = frames.transpose(0, 1, 3, 2, 4, 5).reshape(looks, members, height, -1, channels)
    gap = np.full((looks, members, height, max(1, width // 7), channels), np.nan, np.float32)
    return np.concatenate([joined, gap], axis=3)


def _cells(
    shape: tuple[int, int],
    rows: Sequence[Any] | None,
    columns: Sequence[Any] | None,
    title: str,
    height: float,
) -> "tuple[Figure, Any]":
    """Return a figure of labeled cells, each 1 wide and high in the units of its axes.

    Args:
        shape: Rows and columns.
        rows: Labels beside the rows.
        columns: Labels above the columns.
        title: What stands above all.
        height: Of a cell, where its width is 1.
    """
    rows, columns = _labels("rows", rows, shape[0]), _labels("columns", columns, shape[1])
    width = min(_WIDTH / shape[1], max(_HEIGHT / shape[0], _CELL) / height)  # of a cell
    beside = max(map(len, rows), default=0) * _LETTER
    figure, axes = new_figure()
    inches = width * shape[1] + beside, width * height * shape[0] + _LABEL * bool(columns)
    figure.set_size_inches(max(inches[0], len(title) * _LETTER) + 0.2, inches[1] + _LABEL)
    axes.set(xlim=(0, shape[1]), ylim=(shape[0], 0), aspect=height)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [drawn_text(label) for label in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [drawn_text(label) for label in rows])
    axes.tick_params(length=0, labelsize="small", labeltop=True, labelbottom=False)
    if max(map(len, columns), default=0) * _LETTER > width:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="left", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(drawn_text(title), fontsize="small")
    return figure, axes


def _labels(name: str, labels: Iterable[Any] | None, count: int) -> list[str]:
    """Return labels as texts, none if there are none."""
    texts = list(map(str, labels)) if isinstance(labels, Iterable) else []
    if labels is not None and len(texts) != count:
        came = f"{labels!r}" if not isinstance(labels, Iterable) else len(texts)
        raise ValueError(f"{name} must have a label for each of {count}, got {came}.")
    return texts


def _shown(image: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """Return an image from 0 to 1, with one channel fewer if it is gray; NaN is drawn in white."""
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            check_number(name, value)
    if low is not None and high is not None and low >= high:
        raise ValueError(f"low must be below high, got {low} and {high}.")
    finite = image[np.isfinite(image)]
    ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    black = ends[0] if low is None else low
    white = ends[1] if high is None else high
    shown = np.clip((image.astype(np.float64) - black) / max(white - black, 1e-12), 0, 1)
    return shown.squeeze(-1) if shown.shape[-1] == 1 else np.nan_to_num(shown, nan=1.0)


def in_rows(images: np.ndarray) -> np.ndarray:
    """Return images [images, ...] in a grid about as high as wide, filled up with NaN."""
    count, *shape = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    missing = np.full((-count % columns, *shape), np.nan, images.dtype)
    return np.concatenate([images, missing]).reshape(-1, columns, *shape)
