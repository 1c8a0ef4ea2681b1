"""The figure of a classification in two features: its boundaries, member by member."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import drawn_text
from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.plots._axes import class_color, class_marker, counted, drawn_on
from jnn.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Limits = tuple[tuple[float, float], tuple[float, float]]

_MOST_LINES = 100  # members drawn, evenly spread over them
_MOST_ROWS = 1000  # rows drawn, likewise
_MARGIN = 0.1  # of the range of the rows, on either side of them
_PALE = 0.55  # of the color of a class where its probability is 1; the rest is white


def decision_boundary(
    result: Result,
    data: Dataset,
    *,
    where: Limits | None = None,
    points: int = 120,
    axes: "Axes | None" = None,
) -> "Figure":
    """Draw how the members of a classification divide the plane of two features.

    The shading is the mean probability over the members: the color of the most probable class, the
    paler the less probable it is. The thick line is where the most probable class of the mean
    changes, which with two classes is where its probability is 0.5; a thin line is that of each
    member. The plane has the units of the data, whatever the study scales them to.

    Args:
        result: What `jnn.run` returned for a classification of rows of two features.
        data: The rows to draw by class, [rows, 2] with labels [rows].
        where: Limits ((low, high), (low, high)) of the two features; by default all rows are seen.
        points: Number of points in each direction at which the members predict.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If the rows do not have two features, or the members do not give a probability
            for each class.
    """
    points = check_integer("points", points, least=2)
    rows, labels = _rows_of(data)
    limits = _limits(rows) if where is None else _checked_limits(where)
    first, second = (np.linspace(low, high, points) for low, high in limits)
    plane = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    prediction = result.predict(plane.astype(rows.dtype))
    members = _probabilities(prediction.members, result).reshape(-1, points, points, data.classes)
    diverged = len(members)
    members = members[np.isfinite(members).all(axis=(1, 2, 3))]
    diverged -= len(members)
    if not len(members):
        raise ValueError("result must have members with finite predictions, got none.")
    mean = members.mean(axis=0, dtype=np.float64)

    figure, axes = drawn_on(axes)
    _shade(figure, axes, mean, limits, data)
    shown = members[_spread(len(members), _MOST_LINES)]
    if len(members) > 1:
        for member in shown:
            _draw_boundary(axes, first, second, member, linewidths=0.6, alpha=_alpha(len(shown)))
    _draw_boundary(axes, first, second, mean, linewidths=2.2)
    _draw_rows(axes, rows, labels, data)
    names = data.feature_names or ("feature 0", "feature 1")
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.set(xlabel=drawn_text(names[0]), ylabel=drawn_text(names[1]))
    title = _title(data, len(members), len(shown), diverged)
    axes.set_title(drawn_text(title), fontsize="small")
    return figure


def _rows_of(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [rows, 2] and labels [rows]."""
    shape = getattr(data.x, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != 2:
        raise ValueError(
            f"data must have rows of two features to draw a plane, got {data!r}. "
            "Train on two columns, e.g. Dataset.from_arrays(x[:, [0, 2]], y)."
        )
    if data.task != "classification" or np.ndim(data.y) != 1:
        raise ValueError(f"data must have a class for each row, got {data!r}.")
    labels = np.asarray(data.y)
    return np.asarray(data.x)[labels >= 0], labels[labels >= 0]


def _limits(rows: np.ndarray) -> Limits:
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 1.0)
    (a, b), (c, d) = np.stack([low - margin, high + margin], axis=1).tolist()
    return (a, b), (c, d)


def _checked_limits(where: Any) -> Limits:
    limits = np.asarray(where, np.float64)
    if (
        limits.shape != (2, 2)
        or not np.isfinite(limits).all()
        or (limits[:, 0] >= limits[:, 1]).any()
    ):
        raise ValueError(
            f"where must be ((low, high), (low, high)) of the two features, got {where!r}."
        )
    (a, b), (c, d) = limits.tolist()
    return (a, b), (c, d)


def _probabilities(members: Any, result: Result) -> np.ndarray:
    """Return the probabilities [members, rows, classes]."""
    classes = result.schema.classes
    shape = getattr(members, "shape", None)
    if result.schema.task != "classification" or shape is None or shape[2:] != (classes,):
        raise ValueError(
            "result must give a probability for each class, "
            f"got a {result.schema.task} whose predictions have the shape {shape}."
        )
    return members


def _spread(count: int, most: int) -> np.ndarray:
    """Return places of at most so many things, evenly spread over them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _alpha(lines: int) -> float:
    return float(np.clip(6 / lines, 0.15, 0.6))


def _shade(figure: Any, axes: "Axes", mean: np.ndarray, limits: Limits, data: Dataset) -> None:
    """Shade by the mean probabilities [points, points, classes]."""
    (left, right), (bottom, top) = limits
    half = np.array([right - left, top - bottom]) / (len(mean) - 1) / 2
    extent = (left - half[0], right + half[0], bottom - half[1], top + half[1])
    options: dict[str, Any] = {"extent": extent, "origin": "lower", "aspect": "auto"}
    if data.classes == 2:
        shown = axes.imshow(mean[..., 1], cmap=_two_colors(), vmin=0, vmax=1, **options)
        name = _class_name(data, 1)
        figure.colorbar(shown, ax=axes, label=drawn_text(f"mean probability of {name}"))
        return
    axes.imshow(_blended(mean), **options)


def _two_colors() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    ends = _pale_colors(2)
    return LinearSegmentedColormap.from_list("classes", [ends[0], (1, 1, 1), ends[1]])


def _pale_colors(classes: int) -> np.ndarray:
    """Return the colors [classes, 3] where the probability of a class is 1."""
    from matplotlib.colors import to_rgb

    colors = np.array([to_rgb(class_color(index)) for index in range(classes)])
    return 1 - _PALE * (1 - colors)


def _blended(mean: np.ndarray) -> np.ndarray:
    """Return the color [..., 3] of the most probable class, white where all are as probable."""
    classes = mean.shape[-1]
    certainty = (mean.max(axis=-1, keepdims=True) - 1 / classes) / (1 - 1 / classes)
    colors = _pale_colors(classes)[mean.argmax(axis=-1)]
    return np.clip(1 - certainty * (1 - colors), 0, 1)


def _draw_boundary(
    axes: "Axes", first: np.ndarray, second: np.ndarray, probabilities: np.ndarray, **style: Any
) -> None:
    """Draw where the most probable class changes."""
    for index in range(1, probabilities.shape[-1]):  # with 2 classes: one line
        others = np.delete(probabilities, index, axis=-1).max(axis=-1)
        margin = probabilities[..., index] - others
        if margin.min() < 0 < margin.max():
            axes.contour(first, second, margin, levels=[0.0], colors="k", **style)


def _draw_rows(axes: "Axes", rows: np.ndarray, labels: np.ndarray, data: Dataset) -> None:
    shown = _spread(len(rows), _MOST_ROWS)
    rows, labels = rows[shown], labels[shown]
    size = float(np.clip(6000 / len(rows), 8, 30))
    for index in range(data.classes):
        axes.scatter(
            *rows[labels == index].T, s=size, marker=class_marker(index), color=class_color(index),
            edgecolors="k", linewidths=0.4, label=drawn_text(_class_name(data, index)), zorder=3,
        )  # fmt: skip
    axes.legend(fontsize="small")


def _class_name(data: Dataset, index: int) -> str:
    name = data.target_names[index] if data.target_names else str(index)
    return f"class {name}" if name.isdigit() else name


def _title(data: Dataset, members: int, lines: int, diverged: int) -> str:
    rows = len(data.x)
    drawn = f"{_MOST_ROWS} of {rows} rows" if rows > _MOST_ROWS else counted(rows, "row")
    text = f"{data.name}, {drawn}; {counted(members, 'member')}"
    text += f", {diverged} not finite left out" if diverged else ""
    if members == 1:
        return text
    each = "each" if lines == members else f"{lines} of them"
    return f"{text}\nthick line: their mean; thin lines: {each}"
