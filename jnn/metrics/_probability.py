"""Metrics of predicted probabilities: the softmax of the logits."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jnn._settings import check_integer
from jnn._targets import one_hot
from jnn.losses import softmax_cross_entropy
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Sums,
    Targets,
    Weights,
    class_rows,
    make_class_mean,
    mean,
    one_hot_limit,
    weighted_sum,
)


class Bins(NamedTuple):
    """Sums over the rows of each bin of confidence."""

    weight: Float[Array, " bins"]
    confidence: Float[Array, " bins"]
    right: Float[Array, " bins"]


def expected_calibration_error(bins: int = 15) -> Metric:
    """Make the expected calibration error: the mean distance of confidence from accuracy.

    sum_b W_b / W |accuracy_b - confidence_b|
    bin b holds the confidences in ((b - 1) / bins, b / bins]

    The confidence of a row is its highest probability, the bins have equal width, and W_b is the
    weight of the rows of a bin.

    Guo et al., On Calibration of Modern Neural Networks (2017), https://arxiv.org/abs/1706.04599

    Args:
        bins: Number of bins; 15 as in the paper.

    Raises:
        ValueError: If bins is not a positive integer.

    >>> metric = expected_calibration_error()
    >>> float(metric(jnp.zeros((4, 2)), jnp.array([0, 0, 0, 1])))  # confidence 1/2, accuracy 3/4
    0.25
    """
    if check_integer("bins", bins, least=None, advice="A usual number is 15.") < 1:
        raise ValueError(f"bins must be at least one, got {bins}. A usual number is 15.")
    return Metric(
        partial(_zero_bins, bins),
        partial(_add_to_bins, bins),
        _calibration_error,
        higher_is_better=False,
        task="classification",
        name=f"expected_calibration_error({bins})",
    )


def _zero_bins(bins: int) -> Bins:
    return Bins(*jnp.zeros((3, bins)))


def _add_to_bins(
    bins: int, sums: Bins, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Bins:
    rows = class_rows(predictions, targets, weights)
    confidence = jax.nn.softmax(one_hot_limit(rows.logits)).max(-1)
    is_right = rows.logits.argmax(-1) == rows.labels
    bin_of_row = jnp.clip(jnp.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    is_in_bin = one_hot(bin_of_row, bins)  # [rows, bins]
    return Bins(
        sums.weight + weighted_sum(is_in_bin, rows.weights),
        sums.confidence + weighted_sum(confidence[:, None] * is_in_bin, rows.weights),
        sums.right + weighted_sum(is_right[:, None] & is_in_bin, rows.weights),
    )


def _calibration_error(sums: Bins) -> Array:
    return jnp.abs(sums.right - sums.confidence).sum() / sums.weight.sum()


def _brier(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Float[Array, " rows"]:
    """Return sum_c (p_c - onehot_c)^2, or half of it for two classes, as for one probability."""
    classes = logits.shape[-1]
    error = jax.nn.softmax(one_hot_limit(logits)) - one_hot(labels, classes)
    return jnp.sum(error**2, -1) / (2 if classes == 2 else 1)


def _nats(
    logits: Float[Array, "rows classes"], labels: Int[Array, " rows"]
) -> Float[Array, " rows"]:
    """Return the cross-entropy; NaN for a label past the last class, which the loss ignores."""
    loss = softmax_cross_entropy(one_hot_limit(logits), labels)
    return jnp.where(labels < logits.shape[-1], loss, jnp.nan)


def _exponential_of_mean(sums: Sums) -> Array:
    return jnp.exp(mean(sums))


def _mean_in_bits(sums: Sums) -> Array:
    return mean(sums) / np.log(2)


log_loss = make_class_mean(
    "log_loss",
    _nats,
    higher_is_better=False,
    doc="""Return the mean cross-entropy in nats.

    sum_i w_i (-log softmax(x_i)[t_i]) / sum_i w_i

    >>> round(float(log_loss(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    1.3863
    """,
)

perplexity = make_class_mean(
    "perplexity",
    _nats,
    _exponential_of_mean,
    higher_is_better=False,
    doc="""Return the exponential of the mean cross-entropy.

    exp(log_loss)

    It is the number of equally likely tokens with the same cross-entropy.

    >>> round(float(perplexity(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
    4.0
    """,
)

bits_per_character = make_class_mean(
    "bits_per_character",
    _nats,
    _mean_in_bits,
    higher_is_better=False,
    doc="""Return the mean cross-entropy in bits.

    log_loss / log 2

    >>> float(bits_per_character(jnp.zeros((2, 4)), jnp.array([0, 3])))
    2.0
    """,
)

brier = make_class_mean(
    "brier",
    _brier,
    higher_is_better=False,
    doc="""Return the mean squared error of the probabilities.

    sum_i w_i sum_c (softmax(x_i)[c] - [t_i = c])^2 / sum_i w_i

    For two classes it is the squared error of one probability, half of the sum.

    Brier, Verification of Forecasts Expressed in Terms of Probability (1950),
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    >>> float(brier(jnp.zeros((2, 4)), jnp.array([0, 3])))  # (3/4)^2 + 3 (1/4)^2
    0.75
    """,
)
