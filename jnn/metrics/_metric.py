"""The form of a metric, and the two steps that metrics share: pairing rows with weights, averaging."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jnn.losses._form import as_float

Predictions = Float[Array, "..."]
Targets = Shaped[Array, "..."]
Weights = Shaped[Array, "..."] | None


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score of predictions against targets, as three pure functions over sums.

    Sums of separate updates are merged by adding them, leaf by leaf, unless `streams` is False. Where a metric keeps
    one sum per output (`rmse`, `r2`), `init()` holds a scalar zero, and the first update gives the sums their shape: a
    `lax.scan` over batches of several outputs starts from the sums of the first batch, not from `init()`.

    Attributes:
        init: `init() -> sums`, all zero.
        update: `update(sums, predictions, targets, weights=None) -> sums`.
        value: `value(sums) -> score`.
        higher_is_better: Whether a search maximises it.
        task: "classification", "regression", or None for both.
        streams: Whether sums may be added; if not, all rows go into one update.
        doc: Becomes the docstring of this metric.

    >>> from jnn.metrics import mse
    >>> first = mse.update(mse.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0]))
    >>> float(mse.value(mse.update(first, jnp.array([5.0]), jnp.array([3.0]), jnp.array([2.0]))))
    3.0
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    value: Callable[[Any], Array]
    higher_is_better: bool
    task: Literal["classification", "regression"] | None
    streams: bool = True
    doc: str | None = None

    def __post_init__(self) -> None:
        if self.doc:
            object.__setattr__(self, "__doc__", self.doc)

    def __call__(
        self, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Array:
        """The score of these rows alone."""
        return self.value(self.update(self.init(), predictions, targets, weights))


class Sums(NamedTuple):
    """A weighted total and its weight."""

    total: Float[Array, "..."]
    weight: Float[Array, ""]


class ClassRows(NamedTuple):
    """Classification inputs in one form: every position a row, every row with its weight."""

    logits: Float[Array, "rows classes"]
    labels: Int[Array, " rows"]
    weights: Float[Array, " rows"]


def zero_sums() -> Sums:
    """The sums of no rows."""
    return Sums(jnp.zeros(()), jnp.zeros(()))


def mean(sums: Sums) -> Array:
    """The weighted mean; NaN of no rows."""
    return sums.total / sums.weight


def make_class_mean(
    score: Callable[
        [Float[Array, "rows classes"], Int[Array, " rows"]],
        Float[Array, " rows"] | Bool[Array, " rows"],
    ],
    *,
    higher_is_better: bool,
    finish: Callable[[Array], Array] = lambda mean: mean,
    doc: str | None = None,
) -> Metric:
    """The metric `finish(weighted mean of score(logits, labels))`."""

    def update(
        sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Sums:
        rows = class_rows(predictions, targets, weights)
        scores = score(rows.logits, rows.labels)
        return Sums(
            sums.total + weighted_sum(scores, rows.weights), sums.weight + rows.weights.sum()
        )

    return Metric(
        zero_sums,
        update,
        lambda sums: finish(mean(sums)),
        higher_is_better,
        "classification",
        doc=doc,
    )


def weighted_sum(
    values: Shaped[Array, "rows *rest"], weights: Float[Array, " rows"]
) -> Float[Array, "*rest"]:
    """sum_i w_i v_i, where a row of weight 0 adds nothing even if its value is inf or NaN."""
    column = weights.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.sum(jnp.where(column == 0, 0, values * column), axis=0)


def class_rows(predictions: Predictions, targets: Targets, weights: Weights) -> ClassRows:
    """Logits, labels and weights as rows; one logit x becomes the two logits (0, x).

    A row with a NaN logit weighs NaN, because its argmax would still look like a prediction; padding keeps its 0.
    """
    _check_labels(predictions, targets)
    labels, logits = targets.astype(jnp.int32).reshape(-1), as_float(predictions)
    logits = logits.reshape(
        labels.size, 1 if targets.shape == predictions.shape else predictions.shape[-1]
    )
    if logits.shape[1] == 1:
        logits = jnp.concatenate([jnp.zeros_like(logits), logits], axis=1)
    w = row_weights(weights, targets.shape) * (labels >= 0)
    return ClassRows(logits, labels, jnp.where((w > 0) & jnp.isnan(logits).any(-1), jnp.nan, w))


def row_weights(weights: Weights, shape: tuple) -> Float[Array, " rows"]:
    """Weights of the leading axes, repeated over the further axes of `shape`, as one row."""
    if weights is None:
        return jnp.ones(shape).reshape(-1)
    if weights.shape != shape[: weights.ndim]:
        raise ValueError(
            f"weights must have the leading axes of the targets, {shape}, got {weights.shape}; give one weight per row."
        )
    wide = jnp.result_type(float)  # whole numbers keep their digits where float64 is enabled
    weights = as_float(weights, wide).reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return jnp.broadcast_to(weights, shape).reshape(-1)


def _check_labels(predictions: Predictions, targets: Targets) -> None:
    if jnp.issubdtype(targets.dtype, jnp.floating):
        raise ValueError(
            f"classification metrics want integer labels, got {targets.dtype}{list(targets.shape)}; "
            "give labels.astype(int), or shares.argmax(-1) for one-hot targets."
        )
    if targets.shape == predictions.shape and not jnp.issubdtype(predictions.dtype, jnp.floating):
        raise ValueError(
            f"wanted logits as predictions, but got {predictions.dtype} {predictions.shape}; "
            "give the model's raw outputs, or one-hot rows of predicted classes"
        )
    if targets.shape not in (predictions.shape, predictions.shape[:-1]):
        raise ValueError(
            f"labels must have the shape of the predictions {predictions.shape}, with or without its last axis, "
            f"got {targets.shape}; give one label per example."
        )
