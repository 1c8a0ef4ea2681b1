"""The figure of vectors in two dimensions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text
from jnn._names import natural_key
from jnn._settings import check_integer
from jnn.plots._axes import as_numbers, class_color, class_marker, drawn_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTER = (0.016, 0.06)  # width and height of the figure's letters, as shares of the axes


def embeddings(
    vectors: Any,
    labels: Any = None,
    names: Sequence[str] | None = None,
    *,
    most: int = 20,
    axes: "Axes | None" = None,
) -> "Figure":
    """Draw vectors as points in the plane of their first two principal components.

    The axes say which share of the variance each component explains: what lies beside the plane
    cannot be seen, so that points that look near may be far apart. (Pearson 1901,
    https://doi.org/10.1080/14786440109462720.)

    Args:
        vectors: [rows, dimensions], such as word embeddings, or the outputs of a network without
            its last layer.
        labels: Class of each row, numbers or texts [rows]; each has a color.
        names: Name of each row, [rows]; those of some rows that lie apart are written.
        most: Number of names to write.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If the vectors are not two or more rows of finite numbers in two or more
            dimensions, or there are not as many labels or names.
    """
    most = check_integer("most", most, least=0)
    rows = _checked(vectors, labels=labels, names=names)
    places, shares = _principal(rows)
    figure, axes = drawn_on(axes)
    size = float(np.clip(12000 / len(rows), 6, 30))
    for index, (label, chosen) in enumerate(_classes(labels, len(rows))):
        axes.scatter(
            *places[chosen].T, s=size, color=class_color(index), marker=class_marker(index),
            alpha=0.7, linewidths=0, label=drawn_text(label),
        )  # fmt: skip
    if labels is not None:
        axes.legend(
            fontsize="small",
            markerscale=np.sqrt(30 / size),
            loc="upper left",
            bbox_to_anchor=(1, 1),
        )
    if names is not None:
        _write_names(axes, places, [str(name) for name in names], most)
    axes.set(xlabel=_axis(0, shares), ylabel=_axis(1, shares))
    axes.set_title(
        f"{len(rows)} vectors of {rows.shape[1]} numbers; the plane holds "
        f"{100 * shares.sum():.0f} % of their variance",
        fontsize="small",
    )
    axes.grid(alpha=0.3)
    return figure


def _checked(vectors: Any, **of_rows: Any) -> np.ndarray:
    rows = as_numbers("vectors", vectors)
    if rows.ndim != 2 or min(rows.shape) < 2:
        raise ValueError(
            "vectors must be [rows, dimensions] with two or more of each, got the shape "
            f"{rows.shape}. Pass those of one member."
        )
    if not np.isfinite(rows).all():
        raise ValueError("vectors must be finite, got NaN or infinity in them.")
    for name, values in of_rows.items():
        shape = np.shape(values)
        if values is not None and shape != (len(rows),):
            raise ValueError(f"{name} must be one for each of {len(rows)} rows, got {shape}.")
    return rows


def _principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places [rows, 2], and the share of the variance along each axis."""
    from sklearn.decomposition import PCA

    if not np.ptp(rows, axis=0).any():
        return np.zeros((len(rows), 2)), np.zeros(2)
    pca = PCA(2, random_state=0)
    return pca.fit_transform(rows), pca.explained_variance_ratio_


def _axis(index: int, shares: np.ndarray) -> str:
    return f"component {index + 1} ({100 * shares[index]:.0f} % of the variance)"


def _classes(labels: Any, rows: int) -> list[tuple[str, np.ndarray]]:
    """Return the classes and which rows [rows] have them."""
    if labels is None:
        return [("", np.ones(rows, bool))]
    texts = np.array([str(label) for label in labels])
    return [(text, texts == text) for text in sorted(set(texts.tolist()), key=natural_key)]


def _write_names(axes: "Axes", places: np.ndarray, names: Sequence[str], most: int) -> None:
    """Write the names of rows that lie apart, to the right of their points."""
    from matplotlib.patheffects import withStroke

    low, high = places[:, 0].min(), places[:, 0].max()
    axes.set_xlim(low - 0.05 * (high - low), high + 0.2 * (high - low) + 1e-9)
    for row in _apart(places, names, most):
        axes.annotate(
            drawn_text(names[row]), places[row], xytext=(3, 3), textcoords="offset points",
            fontsize="small", path_effects=[withStroke(linewidth=2.5, foreground="w")],
        )  # fmt: skip


def _apart(places: np.ndarray, names: Sequence[str], most: int) -> list[int]:
    """Return rows whose names do not cover one another, each far from those before it."""
    spread = np.ptp(places, axis=0)
    places = (places - places.min(axis=0)) / np.where(spread > 0, spread, 1)
    nearest = np.square(places - places.mean(axis=0)).sum(axis=1)  # distance to those before
    chosen: list[int] = []
    for _ in range(min(len(places), 10 * most)):
        row = int(nearest.argmax())
        nearest = np.minimum(nearest, np.square(places - places[row]).sum(axis=1))
        nearest[row] = -1
        if len(chosen) < most and all(_are_apart(places, names, row, one) for one in chosen):
            chosen.append(row)
    return chosen


def _are_apart(places: np.ndarray, names: Sequence[str], row: int, other: int) -> bool:
    """Return whether two names, each to the right of its place in a square of 1, are apart."""
    left, right = (row, other) if places[row, 0] < places[other, 0] else (other, row)
    across, up = np.abs(places[right] - places[left])
    return bool(up > _LETTER[1] or across > _LETTER[0] * (len(names[left]) + 1))
