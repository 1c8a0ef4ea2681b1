"""Metrics of predicted probabilities: the softmax of the logits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jnn.losses import softmax_cross_entropy
from jnn.losses._form import one_hot
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Targets,
    Weights,
    class_rows,
    make_class_mean,
    weighted_sum,
)


class Bins(NamedTuple):
    """Sums over the rows of each bin of confidence."""

    weight: Float[Array, " bins"]
    confidence: Float[Array, " bins"]
    right: Float[Array, " bins"]


def expected_calibration_error(bins: int = 15) -> Metric:
    """How far confidence is from accuracy: the mean over equal bins of confidence, by the weight of each bin.

    sum_b W_b / W |accuracy_b - confidence_b|,  bin b holds the confidences in ((b - 1) / bins, b / bins]

    Guo et al., On Calibration of Modern Neural Networks (2017), https://arxiv.org/abs/1706.04599

    Raises:
        ValueError: If there is no bin.

    >>> float(expected_calibration_error()(jnp.zeros((4, 2)), jnp.array([0, 0, 0, 1])))  # confidence 1/2, right 3/4
    0.25
    """
    if bins < 1:
        raise ValueError(
            f"expected_calibration_error wants at least one bin, got {bins}; 15 is usual."
        )

    def update(
        sums: Bins, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Bins:
        rows = class_rows(predictions, targets, weights)
        confidence = jax.nn.softmax(rows.logits).max(-1)
        right = rows.logits.argmax(-1) == rows.labels
        place = one_hot(
            jnp.clip(jnp.ceil(confidence * bins).astype(int) - 1, 0, bins - 1), bins
        )  # [rows, bins]
        each = (
            weighted_sum(value[:, None] * place, rows.weights)
            for value in (jnp.ones_like(right), confidence, right)
        )
        return Bins(*(old + new for old, new in zip(sums, each, strict=True)))

    def value(sums: Bins) -> Array:
        return jnp.abs(sums.right - sums.confidence).sum() / sums.weight.sum()

    return Metric(lambda: Bins(*jnp.zeros((3, bins))), update, value, False, "classification")


def _brier(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Float[Array, " rows"]:
    """sum_c (p_c - onehot_c)^2, halved for two classes, where it is the square of one probability's error."""
    classes = logits.shape[-1]
    error = jax.nn.softmax(logits) - one_hot(labels, classes)
    return jnp.sum(error**2, -1) / (2 if classes == 2 else 1)


def _nats(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Float[Array, " rows"]:
    """The cross-entropy; NaN for a label past the last class, whose loss is 0, as if it were foretold."""
    return jnp.where(labels < logits.shape[-1], softmax_cross_entropy(logits, labels), jnp.nan)


log_loss = make_class_mean(
    _nats,
    higher_is_better=False,
    doc="""The mean cross-entropy in nats.

    sum_i w_i (-log softmax(x_i)[t_i]) / sum_i w_i

    >>> round(float(log_loss(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    1.3863
    """,
)

perplexity = make_class_mean(
    _nats,
    higher_is_better=False,
    finish=jnp.exp,
    doc="""The exponential of the mean cross-entropy: the number of equally likely tokens that it stands for.

    exp(log_loss)

    >>> round(float(perplexity(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    4.0
    """,
)

bits_per_character = make_class_mean(
    _nats,
    higher_is_better=False,
    finish=lambda nats: nats / np.log(2),
    doc="""The mean cross-entropy in bits.

    log_loss / log 2

    >>> float(bits_per_character(jnp.zeros((2, 4)), jnp.array([0, 3])))
    2.0
    """,
)

brier = make_class_mean(
    _brier,
    higher_is_better=False,
    doc="""The mean squared error of the probabilities; for two classes that of the one probability, a half of the sum.

    sum_i w_i sum_c (softmax(x_i)[c] - [t_i = c])^2 / sum_i w_i

    Brier, Verification of Forecasts Expressed in Terms of Probability (1950),
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    >>> float(brier(jnp.zeros((2, 4)), jnp.array([0, 3])))  # (3/4)^2 + 3 (1/4)^2
    0.75
    """,
)
