"""Metrics of the order of scores.

Sums of parts cannot give them exactly, so one update must see all rows.

Two classes (or one logit) are ranked by the log odds of class 1. Of more classes, each is ranked by
its log odds against the rest, and the value is the mean over the classes for which it is defined.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jnn._targets import one_hot
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Sums,
    Targets,
    Weights,
    class_rows,
    mean,
    one_hot_limit,
    zero_sums,
)

Scores = Float[Array, " rows"]
Area = Callable[[Scores, Bool[Array, " rows"], Scores], Float[Array, ""]]


def _make_ranking(name: str, area: Area, doc: str) -> Metric:
    """Make the metric `area(scores, is_positive, weights)` of class 1, or its mean over classes."""
    return Metric(
        zero_sums,
        partial(_add_area, area),
        mean,
        higher_is_better=True,
        task="classification",
        streams=False,
        doc=doc,
        name=name,
    )


def _add_area(
    area: Area, sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
) -> Sums:
    rows = class_rows(predictions, targets, weights)
    classes = rows.logits.shape[1]
    if classes == 2:
        log_odds = rows.logits[:, 1] - rows.logits[:, 0]
        result = area(log_odds, rows.labels == 1, rows.weights)
    else:
        area_of_each = jax.vmap(area, in_axes=(1, 1, None))
        is_class = one_hot(rows.labels, classes)
        result = jnp.nanmean(area_of_each(_log_odds(rows.logits), is_class, rows.weights))
    # A class may be undefined, but a row may not: its weight is NaN.
    result = jnp.where(jnp.isnan(rows.weights).any(), jnp.nan, result)
    return Sums(sums.total + result, sums.weight + 1)


def _log_odds(logits: Float[Array, "rows classes"]) -> Float[Array, "rows classes"]:
    """Return log p / (1 - p) of each class.

    That of a class above 1/2 comes from the logits of the others, because 1 - p would lose digits.
    The sums run over the sorted logits, so that rows of equal logits in another order tie exactly.
    """
    logits = one_hot_limit(logits)
    largest = logits.max(axis=-1, keepdims=True)
    relative = logits - largest
    rising = jnp.sort(relative, axis=-1)
    log_p = relative - jax.nn.logsumexp(rising, axis=-1, keepdims=True)
    others = jax.nn.logsumexp(rising[..., :-1], axis=-1, keepdims=True)
    usual = log_p - jnp.log1p(-jnp.exp(log_p))
    return jnp.where(log_p > -jnp.log(2.0), relative - others, usual)


def _roc_area(scores: Scores, positive: Bool[Array, " rows"], weights: Scores) -> Float[Array, ""]:
    """Return P(score of a positive > score of a negative) + P(equal) / 2.

    It is NaN without positives or without negatives.
    """
    scores, hits, misses = _sorted(scores, positive, weights)
    hits = _scaled(hits)  # products of weights may leave float32
    misses = _scaled(misses)
    below = _before(misses)[jnp.searchsorted(scores, scores, side="left")]
    not_above = _before(misses)[jnp.searchsorted(scores, scores, side="right")]
    return jnp.sum(hits * (below + not_above) / 2) / (hits.sum() * misses.sum())


def _precision_area(
    scores: Scores, positive: Bool[Array, " rows"], weights: Scores
) -> Float[Array, ""]:
    """Return sum_n (R_n - R_{n-1}) P_n over the thresholds n.

    It is the mean, over the positives, of the precision at their own score, and NaN without
    positives (where scikit-learn warns and gives 0).
    """
    scores, hits, misses = _sorted(scores, positive, weights)
    lower = jnp.searchsorted(scores, scores, side="left")
    # Sums run from the top: below there may be a far larger weight, and a difference of sums would
    # lose the small one.
    hits_from = jnp.cumsum(hits[::-1])[::-1][lower]
    misses_from = jnp.cumsum(misses[::-1])[::-1][lower]
    precision = hits_from / jnp.where(hits > 0, hits_from + misses_from, 1)
    return jnp.sum(hits * precision) / hits.sum()


def _sorted(
    scores: Scores, positive: Bool[Array, " rows"], weights: Scores
) -> tuple[Scores, Scores, Scores]:
    """Return the rising scores, and the weights of positives and of negatives in their order."""
    order = jnp.argsort(scores)
    weights = weights[order]
    positive = positive[order]
    return scores[order], jnp.where(positive, weights, 0), jnp.where(positive, 0, weights)


def _scaled(weights: Scores) -> Scores:
    """Divide weights by the largest of them; equal weights become exactly 1."""
    largest = weights.max(initial=0)
    return weights / jnp.where(largest == 0, 1, largest)


def _before(weights: Scores) -> Float[Array, " rows_and_end"]:
    """Return the sum of the weights before each position, and that of all weights at the end."""
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(weights)])


roc_auc = _make_ranking(
    "roc_auc",
    _roc_area,
    """Return the area under the curve of the true positive rate over the false positive rate.

    P(score of a positive > score of a negative) + P(equal) / 2

    Hanley and McNeil, The Meaning and Use of the Area under a ROC Curve (1982),
    https://doi.org/10.1148/radiology.143.1.7063747

    >>> float(roc_auc(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])))
    0.75
    """,
)

average_precision = _make_ranking(
    "average_precision",
    _precision_area,
    """Return the area under the steps of precision over recall.

    sum_n (R_n - R_{n-1}) P_n  over the thresholds n

    >>> logits, labels = jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])
    >>> round(float(average_precision(logits, labels)), 4)
    0.8333
    """,
)
