"""Metrics of predicted classes."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jnn.losses._form import one_hot
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
    """Weights of the rows per class: predicted rightly, predicted at all, truly there."""

    right: Float[Array, " classes"]
    predicted: Float[Array, " classes"]
    actual: Float[Array, " classes"]


def top_k(k: int) -> Metric:
    """The share of rows whose label is among the k highest logits; of equal logits the later class ranks higher.

    A label that is no class of the logits is never among them.

    Raises:
        ValueError: If k is below 1.

    >>> float(top_k(2)(jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2])))
    0.5
    """
    if k < 1:
        raise ValueError(
            f"top_k wants k of at least 1, got {k}; use top_k(1) for the best guess alone."
        )

    def is_among_best(
        logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
    ) -> Bool[Array, " rows"]:
        return (_rank(logits, labels) < k) & (labels < logits.shape[-1])

    return make_class_mean(is_among_best, higher_is_better=True)


def confusion_matrix(classes: int) -> Metric:
    """The weight of the rows of true class i that were predicted as class j, at [i, j].

    C[i, j] = sum of the weights of the rows with label i and highest logit j

    Raises:
        ValueError: If there are fewer than two classes, or the predictions have another number of them.

    >>> confusion_matrix(2)(jnp.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1, 1]))
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    if classes < 2:
        raise ValueError(
            f"confusion_matrix wants two classes or more, got {classes}; a single logit counts as two."
        )

    def update(
        sums: Array, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Array:
        rows = _rows_of(classes, predictions, targets, weights)
        actual = one_hot(rows.labels, classes) * rows.weights[:, None]
        predicted = one_hot(_best(rows.logits), classes).astype(actual.dtype)
        return sums + jnp.matmul(actual.T, predicted, precision=lax.Precision.HIGHEST)

    return Metric(
        lambda: jnp.zeros((classes, classes)), update, lambda sums: sums, True, "classification"
    )


def precision(classes: int, average: Average = "macro") -> Metric:
    """The share of the predictions of a class that are right: TP / (TP + FP), 0 where none was predicted.

    `average` joins the classes: "macro" is the plain mean over the classes that occur in labels or predictions,
    "weighted" the mean by true weight, "micro" counts all classes as one, "binary" is class 1 of two.

    Raises:
        ValueError: If there is no such average, there are fewer than two classes (or not two for "binary"), or the
            predictions have another number of them.

    >>> logits, labels = jnp.array([2.0, 1.0, -1.0]), jnp.array([1, 0, 1])
    >>> [round(float(precision(2, average)(logits, labels)), 2) for average in ("binary", "micro", "macro", "weighted")]
    [0.5, 0.33, 0.25, 0.33]
    """
    return _count_metric(classes, average, lambda counts: _ratio(counts.right, counts.predicted))


def recall(classes: int, average: Average = "macro") -> Metric:
    """The share of the rows of a class that are found: TP / (TP + FN), 0 without any; `average` as in precision.

    Raises:
        ValueError: As in precision.

    >>> round(float(recall(2, "binary")(jnp.array([2.0, 1.0, -1.0, -1.0]), jnp.array([1, 0, 1, 1]))), 4)
    0.3333
    """
    return _count_metric(classes, average, lambda counts: _ratio(counts.right, counts.actual))


def f1(classes: int, average: Average = "macro") -> Metric:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN); `average` as in precision.

    Raises:
        ValueError: As in precision.

    >>> round(float(f1(2, "binary")(jnp.array([2.0, 1.0, -1.0, -1.0]), jnp.array([1, 0, 1, 1]))), 4)
    0.4
    """
    return _count_metric(
        classes, average, lambda counts: _ratio(2 * counts.right, counts.predicted + counts.actual)
    )


def _count_metric(classes: int, average: Average, score: Callable[[ClassCounts], Array]) -> Metric:
    """A metric whose score per class follows from the class counts."""
    _check_average(classes, average)

    def update(
        sums: ClassCounts, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> ClassCounts:
        found = _count(_rows_of(classes, predictions, targets, weights))
        return ClassCounts(*(old + new for old, new in zip(sums, found, strict=True)))

    def value(sums: ClassCounts) -> Array:
        return jnp.where(sums.actual.sum() > 0, _averaged(score, sums, average), jnp.nan)

    return Metric(
        lambda: ClassCounts(*jnp.zeros((3, classes))), update, value, True, "classification"
    )


def _averaged(
    score: Callable[[ClassCounts], Array], counts: ClassCounts, average: Average
) -> Array:
    if average == "binary":
        return score(counts)[1]
    if average == "micro":
        return score(ClassCounts(*(count.sum() for count in counts)))
    occurs = (counts.actual + counts.predicted > 0).astype(counts.actual.dtype)
    weights = counts.actual if average == "weighted" else occurs
    return jnp.sum(score(counts) * weights) / weights.sum()


def _check_average(classes: int, average: str) -> None:
    if not isinstance(classes, int | np.integer):
        raise ValueError(
            f"wanted a number of classes, but got {type(classes).__name__}; make the metric first, as in "
            "f1(3)(logits, labels)"
        )
    if average not in ("binary", "micro", "macro", "weighted"):
        raise ValueError(
            f"average must be 'binary', 'micro', 'macro' or 'weighted', got {average!r}; choose one."
        )
    if classes < 2 or (average == "binary" and classes != 2):
        wanted = "exactly two classes" if average == "binary" else "two classes or more"
        raise ValueError(
            f"average={average!r} wants {wanted}, got {classes}; a single logit counts as two classes."
        )


def _rows_of(
    classes: int, predictions: Predictions, targets: Targets, weights: Weights
) -> ClassRows:
    rows = class_rows(predictions, targets, weights)
    if rows.logits.shape[1] != classes:
        raise ValueError(
            f"the metric was made for {classes} classes, the predictions {predictions.shape} have "
            f"{rows.logits.shape[1]}; make it with classes={rows.logits.shape[1]}."
        )
    return rows


def _count(rows: ClassRows) -> ClassCounts:
    classes = rows.logits.shape[1]
    predicted, actual = one_hot(_best(rows.logits), classes), one_hot(rows.labels, classes)
    return ClassCounts(
        *(weighted_sum(found, rows.weights) for found in (predicted & actual, predicted, actual))
    )


def _ratio(part: Array, whole: Array) -> Array:
    """part / whole, 0 where the whole is 0."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


def _best(logits: Float[Array, "rows classes"]) -> Int[Array, " rows"]:
    return jnp.argmax(logits, axis=-1)


def _is_right(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Bool[Array, " rows"]:
    return _best(logits) == labels


def _rank(logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]) -> Int[Array, " rows"]:
    """How many classes stand before the label: those with a higher logit, and the later ones of equal logits."""
    own = jnp.sum(jnp.where(one_hot(labels, logits.shape[-1]), logits, 0), -1, keepdims=True)
    later = jnp.arange(logits.shape[-1]) > labels[:, None]
    return jnp.sum((logits > own) | ((logits == own) & later), axis=-1)


accuracy = make_class_mean(
    _is_right,
    higher_is_better=True,
    doc="""The share of rows whose highest logit, the first of equal ones, is that of the label.

    sum_i w_i [argmax x_i = t_i] / sum_i w_i

    >>> float(accuracy(jnp.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [9.0, 1.0]]), jnp.array([0, 1, 1, 0])))
    0.75
    """,
)
