"""Figures of predicted probabilities: whether they are met, and what they tell apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats
from jnn._settings import check_integer
from jnn.plots._axes import as_numbers, counted, drawn_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAND = (5, 95)  # percentiles of the members
_LIMITS = (-0.02, 1.02)
_MOST_LINES = 50  # members whose own line is drawn


class _Bins(NamedTuple):
    """Rows by their probability, [members, bins]; NaN where a bin has none.

    Attributes:
        rows: Number of rows.
        predicted: Mean probability.
        met: Share of the rows whose prediction came true.
    """

    rows: np.ndarray
    predicted: np.ndarray
    met: np.ndarray


def reliability(
    probabilities: Any, labels: Any, bins: int = 10, *, axes: "Axes | None" = None
) -> "Figure":
    """Draw how often predictions come true against the probability that was given to them.

    On the diagonal the probabilities are met. With two classes the prediction is class 1; with more
    it is the most probable class, and its probability the confidence (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599). The intervals, of 95 %, are Wilson's for one prediction of
    each row, and those of the mean over the members, by Student's t, for several. The title has the
    expected calibration error, the mean distance from the diagonal over all rows and members.

    Args:
        probabilities: [rows] of class 1, [rows, classes] such as `result.predict(x).mean`, or
            [members, rows] or [members, rows, classes] such as `result.predict(x).members`.
        labels: Class of each row, integers [rows].
        bins: Number of bins of equal width.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If the probabilities are not from 0 to 1, or do not fit the labels.
    """
    bins = check_integer("bins", bins)
    members, labels = _checked(probabilities, labels)
    if not ((members >= 0) & (members <= 1 + 1e-5)).all():  # NaN lies nowhere
        raise ValueError("probabilities must be from 0 to 1, got others. Pass result.predict(x).")
    given, came = _predictions(members, labels)
    binned = _bin(given, came, bins)
    figure, axes = drawn_on(axes, height=5.0)
    axes.plot([0, 1], [0, 1], "--", color="0.5", linewidth=1, label="met exactly")
    if len(members) > 1:
        for predicted, met in zip(*binned[1:], strict=True):
            axes.plot(predicted, met, color="C0", linewidth=0.6, alpha=0.3)
    x, y, errors, words = _intervals(binned, came)
    axes.errorbar(x, y, yerr=errors, fmt="o-", color="C0", capsize=3, label=words)
    error = np.nansum(binned.rows * np.abs(binned.met - binned.predicted), axis=1) / len(labels)
    what = "class 1" if members.shape[2] == 2 else "the most probable class"
    axes.set(xlim=_LIMITS, ylim=_LIMITS, aspect="equal")
    axes.set(xlabel=f"probability of {what}", ylabel="share of rows where it came true")
    axes.set_title(
        f"{counted(len(labels), 'row')}, {_sources(len(members))}\n"
        f"expected calibration error {error.mean():.3f}",
        fontsize="small",
    )
    axes.legend(fontsize="small", loc="upper left")
    axes.grid(alpha=0.3)
    return figure


def roc(
    scores: Any, labels: Any, *, positive: int | None = None, axes: "Axes | None" = None
) -> "Figure":
    """Draw the true positive rate against the false positive rate, over all thresholds.

    With members a thin line is each one's curve; the thick line is the mean of their true positive
    rates at each false positive rate (Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010),
    the band 90 % of them. The area under the curve is the mean over the members, with an interval
    of 95 % by Student's t.

    Args:
        scores: [rows] or [members, rows], higher for the positive class, or probabilities
            [rows, classes] or [members, rows, classes].
        labels: Class of each row, integers [rows].
        positive: Class that is told apart from all others; by default 1 of two classes.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If the scores do not fit the labels, or all rows are of one class.
    """
    from sklearn.metrics import roc_curve

    members, labels = _checked(scores, labels)
    positive = _positive(positive, members.shape[2])
    is_positive = labels == positive
    if is_positive.all() or not is_positive.any():
        raise ValueError(
            f"labels must hold class {positive} and others, got {int(is_positive.sum())} of "
            f"{len(labels)} rows in it."
        )
    curves = [roc_curve(is_positive, member[:, positive])[:2] for member in members]
    figure, axes = drawn_on(axes, height=5.0)
    axes.plot([0, 1], [0, 1], "--", color="0.5", linewidth=1, label="chance")
    _draw_curves(axes, curves)
    axes.set(xlim=_LIMITS, ylim=_LIMITS, aspect="equal")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(
        f"class {positive}: {int(is_positive.sum())} of {counted(len(labels), 'row')}; "
        f"{_sources(len(members))}",
        fontsize="small",
    )
    axes.legend(fontsize="small", loc="lower right")
    axes.grid(alpha=0.3)
    return figure


def _draw_curves(axes: "Axes", curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw the ROC curves of members, and of several their mean with a band."""
    areas = [float(np.trapezoid(true, false)) for false, true in curves]
    if len(curves) == 1:
        axes.plot(*curves[0], color="C0", label=f"AUC {areas[0]:.3f}")
        return
    for curve in curves[:_MOST_LINES]:
        axes.plot(*curve, color="C0", linewidth=0.5, alpha=0.3)
    grid = np.linspace(0, 1, 201)
    rates = np.array([np.interp(grid, *curve) for curve in curves])  # the highest where it rises
    grid, rates = np.r_[0, grid], np.c_[np.zeros(len(rates)), rates]
    area = stats.t_interval(areas).short()
    axes.plot(grid, rates.mean(axis=0), color="C0", linewidth=2, label=f"mean, AUC {area}")
    axes.fill_between(
        grid, *np.percentile(rates, _BAND, axis=0), color="C0", alpha=0.2, linewidth=0,
        label="90 % of the members",
    )  # fmt: skip


def _checked(values: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return values [members, rows, classes], and labels [rows]."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not labels.size:
        raise ValueError(
            f"labels must be integers [rows], got {labels.dtype} of the shape {labels.shape}."
        )
    rows = len(labels)
    values = as_numbers("Predictions", values)
    if values.ndim == 2 and values.shape[0] == rows and values.shape[1] > 1:
        values = values[None]
    elif values.ndim in (1, 2) and values.shape[-1] == rows:  # of class 1
        values = np.stack([1 - values, values], axis=-1).reshape(-1, rows, 2)
    if values.ndim != 3 or values.shape[1] != rows or values.shape[2] < 2:
        raise ValueError(
            f"Predictions must be [rows], [rows, classes] or [members, rows, classes] of {rows} "
            f"labels, got the shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "Predictions must be finite, got NaN or infinity. Leave those members out."
        )
    if labels.min() < 0 or labels.max() >= values.shape[2]:
        raise ValueError(
            f"labels must be from 0 to {values.shape[2] - 1}, got {labels.min()} to {labels.max()}."
        )
    return values, labels.astype(int)


def _sources(members: int) -> str:
    return "1 prediction of each" if members == 1 else counted(members, "member")


def _positive(positive: int | None, classes: int) -> int:
    if positive is None and classes > 2:
        raise ValueError(f"positive must be one of {classes} classes, got None. Name the class.")
    return check_integer("positive", 1 if positive is None else positive, 0, classes - 1)


def _predictions(members: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each prediction, and whether it came true, [members, rows]."""
    if members.shape[2] == 2:
        return members[..., 1], np.broadcast_to(labels == 1, members.shape[:2])
    return members.max(axis=2), members.argmax(axis=2) == labels


def _bin(given: np.ndarray, came: np.ndarray, bins: int) -> _Bins:
    """Return the rows of each member by their probability."""
    places = np.minimum((given * bins).astype(int), bins - 1)
    count, predicted, met = np.zeros((3, len(given), bins))
    for member, place in enumerate(places):
        count[member] = np.bincount(place, minlength=bins)
        predicted[member] = np.bincount(place, given[member], minlength=bins)
        met[member] = np.bincount(place, came[member], minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return _Bins(count, predicted / filled, met / filled)


def _intervals(binned: _Bins, came: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return places, heights and errors [2, bins] of the intervals, and what they are."""
    members, bins = binned.rows.shape
    words = "95 % Wilson" if members == 1 else f"mean of {members}, 95 % t"
    x, y, low, high = np.full((4, bins), np.nan)
    for index in range(bins):
        there = binned.rows[:, index] > 0
        if not there.any():
            continue
        x[index] = binned.predicted[there, index].mean()
        interval = _interval(binned.rows[there, index], binned.met[there, index], members)
        y[index], low[index], high[index] = interval.mean, interval.low, interval.high
    errors = np.stack([y - low, high - y])
    return x, y, errors, words


def _interval(count: np.ndarray, met: np.ndarray, members: int) -> stats.Interval:
    if members == 1:
        return stats.proportion_interval(round(float(count[0] * met[0])), int(count[0]))
    return stats.t_interval(met)
