"""The class of all metrics, and what they share: rows with their weights, and weighted means."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jnn._arrays import as_array, as_arrays
from jnn._targets import as_float

Predictions = Float[Array, "..."]
Targets = Shaped[Array, "..."]
Weights = Shaped[Array, "..."] | None


@dataclasses.dataclass(frozen=True, repr=False)
class Metric:
    """A score of predictions against targets, as three pure functions over sums.

    The sums of separate updates are merged by adding them, leaf by leaf, unless `streams` is False.
    Sums whose shape depends on the data (one entry for each output of `rmse`, for each class of
    `f1()`) are scalar zeros in `init()` and take their shape in the first update: a `lax.scan` over
    batches starts from the sums of the first batch, not from `init()`.

    A metric can be pickled if its three functions can, so these should not be lambdas.

    Attributes:
        init: Function `init() -> sums`, all zero.
        update: Function `update(sums, predictions, targets, weights=None) -> sums`.
        value: Function `value(sums) -> score`.
        higher_is_better: Whether a search maximizes the score.
        task: "classification", "regression", or None for both.
        streams: Whether sums of separate batches may be added. If False, one update must see all
            rows.
        doc: Docstring of this metric.
        name: What `repr` shows.

    >>> from jnn.metrics import mse
    >>> mse
    Metric('mse', lower is better, for regression)
    >>> first = mse.update(mse.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0]))
    >>> both = mse.update(first, jnp.array([5.0]), jnp.array([3.0]), jnp.array([2.0]))
    >>> float(mse.value(both))
    3.0
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    value: Callable[[Any], Array]
    higher_is_better: bool
    task: Literal["classification", "regression"] | None
    streams: bool = True
    doc: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.doc:
            object.__setattr__(self, "__doc__", self.doc)

    def __repr__(self) -> str:
        parts = [] if self.name is None else [repr(self.name)]
        parts.append("higher is better" if self.higher_is_better else "lower is better")
        if self.task is not None:
            parts.append(f"for {self.task}")
        return f"Metric({', '.join(parts)})"

    def __call__(
        self,
        predictions: Predictions | dict | tuple,
        targets: Targets | dict | tuple | None,
        weights: Weights = None,
    ) -> Array:
        """Return the score of these rows alone."""
        return self.value(self.update(self.init(), predictions, targets, weights))


class Sums(NamedTuple):
    """A weighted total and its weight."""

    total: Float[Array, "..."]
    weight: Float[Array, ""]


class ClassRows(NamedTuple):
    """Logits, labels and weights of a classification, flattened to rows.

    Every position, such as a token of a text, is a row of its own.
    """

    logits: Float[Array, "rows classes"]
    labels: Int[Array, " rows"]
    weights: Float[Array, " rows"]


def zero_sums() -> Sums:
    """Return the sums of no rows."""
    return Sums(jnp.zeros(()), jnp.zeros(()))


def mean(sums: Sums) -> Array:
    """Return the weighted mean, NaN for no rows."""
    return sums.total / sums.weight


def make_class_mean(
    name: str,
    score: Callable[
        [Float[Array, "rows classes"], Int[Array, " rows"]],
        Float[Array, " rows"] | Bool[Array, " rows"],
    ],
    value: Callable[[Sums], Array] = mean,
    *,
    higher_is_better: bool,
    doc: str | None = None,
) -> Metric:
    """Make the metric `value(sums)` of the weighted sum of `score(logits, labels)` over rows."""
    return Metric(
        zero_sums,
        partial(_add_scores, score),
        value,
        higher_is_better,
        task="classification",
        doc=doc,
        name=name,
    )


def _add_scores(
    score: Callable[..., Array],
    sums: Sums,
    predictions: Predictions,
    targets: Targets,
    weights: Weights = None,
) -> Sums:
    rows = class_rows(predictions, targets, weights)
    total = weighted_sum(score(rows.logits, rows.labels), rows.weights)
    return Sums(sums.total + total, sums.weight + rows.weights.sum())


def weighted_sum(
    values: Shaped[Array, "rows *rest"], weights: Float[Array, " rows"]
) -> Float[Array, "*rest"]:
    """Return sum_i w_i v_i; a row of weight 0 adds nothing even if its value is inf or NaN."""
    column = weights.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.sum(jnp.where(column == 0, 0, values * column), axis=0)


def class_rows(predictions: Predictions, targets: Targets, weights: Weights) -> ClassRows:
    """Return logits, labels and weights, flattened to rows; one logit x becomes the two (0, x).

    Labels below 0 are padding and get the weight 0. Any other row of a weight above 0 whose softmax
    is undefined gets the weight NaN, because its argmax would look like a prediction.
    """
    predictions, targets = as_arrays(predictions, targets)
    _check_classification(predictions, targets)
    labels = _labels(targets).reshape(-1)
    outputs = 1 if targets.shape == predictions.shape else predictions.shape[-1]
    logits = as_float(predictions).reshape(labels.size, outputs)
    if outputs == 1:
        logits = jnp.concatenate([jnp.zeros_like(logits), logits], axis=1)
    flat_weights = row_weights(weights, targets.shape) * (labels >= 0)
    is_undefined = (flat_weights > 0) & ~_has_softmax(logits)
    return ClassRows(logits, labels, jnp.where(is_undefined, jnp.nan, flat_weights))


def one_hot_limit(logits: Float[Array, "rows classes"]) -> Float[Array, "rows classes"]:
    """Return logits of the same probabilities without +inf: a class at +inf has probability 1."""
    is_certain = logits == jnp.inf
    certain = jnp.where(is_certain, jnp.zeros_like(logits), -jnp.inf)
    return jnp.where(is_certain.any(-1, keepdims=True), certain, logits)


def _has_softmax(logits: Float[Array, "rows classes"]) -> Bool[Array, " rows"]:
    """Return whether the probabilities are defined: no NaN, one logit at +inf, one above -inf."""
    is_number = ~jnp.isnan(logits).any(-1)
    return is_number & (jnp.sum(logits == jnp.inf, -1) <= 1) & (logits > -jnp.inf).any(-1)


def _labels(targets: Shaped[Array, "..."]) -> Int[Array, "..."]:
    """Return labels as int32, whatever integers they are; the largest stay past the last class."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        most = jnp.iinfo(jnp.int32).max
        if jnp.iinfo(targets.dtype).max > most:
            targets = jnp.minimum(targets, jnp.asarray(most, targets.dtype))
    return targets.astype(jnp.int32)


def row_weights(weights: Weights, shape: tuple) -> Float[Array, " rows"]:
    """Return weights of the leading axes, repeated over the other axes of `shape` and flattened."""
    if weights is None:
        return jnp.ones(shape).reshape(-1)
    weights = as_array(weights)
    if weights.shape != shape[: weights.ndim]:
        raise ValueError(
            f"weights must have the leading axes of the targets, {shape}, got {weights.shape}. "
            "Give one weight per row."
        )
    wide = jnp.result_type(float)  # integers keep their digits where float64 is enabled
    weights = as_float(weights, wide).reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return jnp.broadcast_to(weights, shape).reshape(-1)


def _check_classification(predictions: Predictions, targets: Targets) -> None:
    if jnp.issubdtype(targets.dtype, jnp.floating):
        raise TypeError(
            "targets of a classification metric must be integer labels, got "
            f"{targets.dtype}{list(targets.shape)}. Pass labels.astype(int), or "
            "probabilities.argmax(-1) for one-hot targets."
        )
    if targets.shape == predictions.shape and not jnp.issubdtype(predictions.dtype, jnp.floating):
        raise TypeError(
            "predictions of a classification metric must be logits, got "
            f"{predictions.dtype} {predictions.shape}. Pass the model's raw outputs, or one-hot "
            "rows of predicted classes."
        )
    if targets.shape not in (predictions.shape, predictions.shape[:-1]):
        raise ValueError(
            f"targets must have the shape of the predictions {predictions.shape}, with or without "
            f"the last axis, got {targets.shape}. Give one label per example."
        )
