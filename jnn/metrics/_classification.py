"""Metrics of predicted classes."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jnn._targets import one_hot
from jnn.metrics._metric import (
    ClassRows,
    Metric,
    Predictions,
    Targets,
    Weights,
    class_rows,
    make_class_mean,
    weighted_sum,
)

Average = Literal["binary", "micro", "macro", "weighted"]


class ClassCounts(NamedTuple):
    """Weights of the rows per class: rightly predicted, predicted, true; scalars before any row."""

    right: Float[Array, "*classes"]
    predicted: Float[Array, "*classes"]
    actual: Float[Array, "*classes"]


def top_k(k: int) -> Metric:
    """Make top-k accuracy: the share of rows whose label is among the k highest logits.

    Of equal logits, the later class ranks higher. A label past the last class is never among them.

    Raises:
        TypeError: If k is not an integer.
        ValueError: If k is below 1.

    >>> float(top_k(2)(jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2])))
    0.5
    """
    if not isinstance(k, int | np.integer):
        raise TypeError(
            f"k must be an integer, got {type(k).__name__}. "
            "Make the metric first, as in top_k(5)(logits, labels)."
        )
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}. top_k(1) counts the best guess alone.")
    return make_class_mean(f"top_k({k})", partial(_is_among_best, k), higher_is_better=True)


def confusion_matrix(classes: int | None = None) -> Metric:
    """Make the confusion matrix, with true classes in rows and predicted classes in columns.

    C[i, j] = sum of the weights of the rows with label i and highest logit j

    Args:
        classes: Number of classes; by default that of the predictions.

    Raises:
        TypeError: If classes is not an integer.
        ValueError: If there are fewer than two classes, or the predictions have another number of
            them.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    >>> confusion_matrix()(logits, jnp.array([0, 1, 1]))
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    _check_classes(classes)
    return Metric(
        partial(jnp.zeros, () if classes is None else (classes, classes)),
        partial(_add_confusions, classes),
        _as_they_are,
        higher_is_better=True,
        task="classification",
        name=f"confusion_matrix({'' if classes is None else classes})",
    )


def precision(classes: int | None = None, average: Average = "macro") -> Metric:
    """Make precision: the share of the predictions of a class that are right.

    TP / (TP + FP),  0 where the class was never predicted

    Args:
        classes: Number of classes; by default that of the predictions.
        average: How the classes are joined. "macro" is the plain mean over the classes that occur
            in labels or predictions, "weighted" the mean by true weight, "micro" counts all classes
            as one, "binary" is class 1 of two.

    Raises:
        TypeError: If classes is not an integer.
        ValueError: If there is no such average, there are fewer than two classes (or not two for
            "binary"), or the predictions have another number of them.

    >>> logits, labels = jnp.array([2.0, 1.0, -1.0]), jnp.array([1, 0, 1])
    >>> averages = "binary", "micro", "macro", "weighted"
    >>> [round(float(precision(average=name)(logits, labels)), 2) for name in averages]
    [0.5, 0.33, 0.25, 0.33]
    """
    return _make_count_metric("precision", classes, average, _precision)


def recall(classes: int | None = None, average: Average = "macro") -> Metric:
    """Make recall: the share of the rows of a class that are predicted as it.

    TP / (TP + FN),  0 where the class never occurs

    Args:
        classes: Number of classes; by default that of the predictions.
        average: How the classes are joined, see `precision`.

    Raises:
        TypeError: If classes is not an integer.
        ValueError: As in `precision`.

    >>> metric = recall(average="binary")
    >>> round(float(metric(jnp.array([2.0, 1.0, -1.0, -1.0]), jnp.array([1, 0, 1, 1]))), 4)
    0.3333
    """
    return _make_count_metric("recall", classes, average, _recall)


def f1(classes: int | None = None, average: Average = "macro") -> Metric:
    """Make the F1 score: the harmonic mean of precision and recall.

    2 TP / (2 TP + FP + FN)

    Args:
        classes: Number of classes; by default that of the predictions.
        average: How the classes are joined, see `precision`.

    Raises:
        TypeError: If classes is not an integer.
        ValueError: As in `precision`.

    >>> metric = f1(average="binary")
    >>> round(float(metric(jnp.array([2.0, 1.0, -1.0, -1.0]), jnp.array([1, 0, 1, 1]))), 4)
    0.4
    """
    return _make_count_metric("f1", classes, average, _f1)


def _balanced_accuracy(counts: ClassCounts) -> Array:
    """Return the mean recall of the classes that occur among the labels, NaN for no rows."""
    occurs = counts.actual > 0
    value = jnp.sum(jnp.where(occurs, _recall(counts), 0)) / occurs.sum()
    return jnp.where(counts.actual.sum() > 0, value, jnp.nan)


def _make_count_metric(
    name: str, classes: int | None, average: Average, score: Callable[[ClassCounts], Array]
) -> Metric:
    """Make a metric whose score per class follows from the class counts."""
    _check_classes(classes)
    _check_average(classes, average)
    number = "" if classes is None else f"{classes}, "
    return Metric(
        partial(_zero_counts, classes),
        partial(_add_counts, classes),
        partial(_average, average, score),
        higher_is_better=True,
        task="classification",
        name=f"{name}({number}average={average!r})",
    )


def _zero_counts(classes: int | None) -> ClassCounts:
    shape = () if classes is None else (classes,)
    return ClassCounts(*jnp.zeros((3, *shape)))


def _add_counts(
    classes: int | None,
    sums: ClassCounts,
    predictions: Predictions,
    targets: Targets,
    weights: Weights = None,
) -> ClassCounts:
    rows = _rows_of(classes, predictions, targets, weights)
    predicted = one_hot(_best(rows.logits), rows.logits.shape[1])
    actual = one_hot(rows.labels, rows.logits.shape[1])
    return ClassCounts(
        sums.right + weighted_sum(predicted & actual, rows.weights),
        sums.predicted + weighted_sum(predicted, rows.weights),
        sums.actual + weighted_sum(actual, rows.weights),
    )


def _average(average: Average, score: Callable[[ClassCounts], Array], counts: ClassCounts) -> Array:
    """Return the scores of the classes as one number, NaN for no rows."""
    counts = ClassCounts(*map(jnp.atleast_1d, counts))
    _check_average(counts.actual.size if counts.actual.size > 1 else None, average)
    if average == "binary":
        value = score(counts)[-1]
    elif average == "micro":
        value = score(ClassCounts(*(count.sum() for count in counts)))
    else:
        occurs = (counts.actual + counts.predicted > 0).astype(counts.actual.dtype)
        weights = counts.actual if average == "weighted" else occurs
        value = jnp.sum(score(counts) * weights) / weights.sum()
    return jnp.where(counts.actual.sum() > 0, value, jnp.nan)


def _precision(counts: ClassCounts) -> Array:
    return _ratio(counts.right, counts.predicted)


def _recall(counts: ClassCounts) -> Array:
    return _ratio(counts.right, counts.actual)


def _f1(counts: ClassCounts) -> Array:
    return _ratio(2 * counts.right, counts.predicted + counts.actual)


def _ratio(part: Array, whole: Array) -> Array:
    """Return part / whole, or 0 where the whole is 0."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


def _add_confusions(
    classes: int | None,
    sums: Array,
    predictions: Predictions,
    targets: Targets,
    weights: Weights = None,
) -> Array:
    rows = _rows_of(classes, predictions, targets, weights)
    actual = one_hot(rows.labels, rows.logits.shape[1]) * rows.weights[:, None]
    predicted = one_hot(_best(rows.logits), rows.logits.shape[1]).astype(actual.dtype)
    return sums + jnp.matmul(actual.T, predicted, precision=lax.Precision.HIGHEST)


def _as_they_are(sums: Array) -> Array:
    return sums


def _check_classes(classes: int | None) -> None:
    if classes is None:
        return
    if not isinstance(classes, int | np.integer):
        raise TypeError(
            f"classes must be an integer or None, got {type(classes).__name__}. "
            "Make the metric first, as in f1()(logits, labels)."
        )
    if classes < 2:
        raise ValueError(
            f"classes must be at least 2, got {classes}. A single logit counts as two classes."
        )


def _check_average(classes: int | None, average: str) -> None:
    if average not in ("binary", "micro", "macro", "weighted"):
        raise ValueError(
            f"average must be 'binary', 'micro', 'macro' or 'weighted', got {average!r}. "
            "Choose one of them."
        )
    if average == "binary" and classes not in (None, 2):
        raise ValueError(
            f"average='binary' must have exactly two classes, got {classes}. "
            "Use 'macro', 'micro' or 'weighted'; a single logit counts as two classes."
        )


def _rows_of(
    classes: int | None, predictions: Predictions, targets: Targets, weights: Weights
) -> ClassRows:
    rows = class_rows(predictions, targets, weights)
    outputs = rows.logits.shape[1]
    if classes not in (None, outputs):
        raise ValueError(
            f"predictions must have {classes} classes as the metric has, got {predictions.shape} "
            f"of {outputs} classes. Make the metric with classes={outputs}, or without a number."
        )
    return rows


def _best(logits: Float[Array, "rows classes"]) -> Int[Array, " rows"]:
    return jnp.argmax(logits, axis=-1)


def _is_right(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Bool[Array, " rows"]:
    return _best(logits) == labels


def _is_among_best(
    k: int, logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Bool[Array, " rows"]:
    return (_rank(logits, labels) < k) & (labels < logits.shape[-1])


def _rank(logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]) -> Int[Array, " rows"]:
    """Return how many classes rank before the label: higher logits, and later equal ones."""
    own = jnp.sum(jnp.where(one_hot(labels, logits.shape[-1]), logits, 0), -1, keepdims=True)
    later = jnp.arange(logits.shape[-1]) > labels[:, None]
    return jnp.sum((logits > own) | ((logits == own) & later), axis=-1)


accuracy = make_class_mean(
    "accuracy",
    _is_right,
    higher_is_better=True,
    doc="""Return the share of rows whose highest logit is that of the label.

    sum_i w_i [argmax x_i = t_i] / sum_i w_i

    Of equal logits, the first counts as the highest.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [9.0, 1.0]])
    >>> float(accuracy(logits, jnp.array([0, 1, 1, 0])))
    0.75
    """,
)

balanced_accuracy = Metric(
    partial(_zero_counts, None),
    partial(_add_counts, None),
    _balanced_accuracy,
    higher_is_better=True,
    task="classification",
    name="balanced_accuracy",
    doc="""Return the mean, over the classes that occur among the labels, of their recall.

    mean_c TP_c / (TP_c + FN_c)

    It is what the accuracy would be if all classes had the same share of the rows, as
    `sklearn.metrics.balanced_accuracy_score`.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [9.0, 1.0]])
    >>> float(balanced_accuracy(logits, jnp.array([0, 0, 0, 1])))  # (2 / 3 + 0) / 2
    0.3333333432674408
    """,
)
