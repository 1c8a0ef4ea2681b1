"""Metrics of the order of scores. No sums of parts can give them exactly, so one update must see all rows.

Two classes (or one logit) are ranked by the log odds of class 1. With more classes each is ranked by its log odds
against the rest, and the value is the mean over the classes for which it is defined.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jnn.losses._form import one_hot
from jnn.metrics._metric import (
    Metric,
    Predictions,
    Sums,
    Targets,
    Weights,
    class_rows,
    mean,
    zero_sums,
)

Scores = Float[Array, " rows"]


def _make_ranking(
    area: Callable[[Scores, Bool[Array, " rows"], Scores], Float[Array, ""]], doc: str
) -> Metric:
    """The metric `area(scores, is_positive, weights)` of class 1, or the mean over classes against the rest."""

    def update(
        sums: Sums, predictions: Predictions, targets: Targets, weights: Weights = None
    ) -> Sums:
        rows = class_rows(predictions, targets, weights)
        if rows.logits.shape[1] == 2:
            result = area(rows.logits[:, 1] - rows.logits[:, 0], rows.labels == 1, rows.weights)
        else:
            scores, positive = _log_odds(rows.logits), one_hot(rows.labels, rows.logits.shape[1])
            result = jnp.nanmean(
                jax.vmap(area, in_axes=(1, 1, None))(scores, positive, rows.weights)
            )
        return Sums(sums.total + result, sums.weight + 1)

    return Metric(
        zero_sums,
        update,
        mean,
        higher_is_better=True,
        task="classification",
        streams=False,
        doc=doc,
    )


def _log_odds(logits: Float[Array, "rows classes"]) -> Float[Array, "rows classes"]:
    """log p / (1 - p) of each class: of the likeliest from the others' logits, for 1 - p would lose its digits."""
    is_best = one_hot(logits.argmax(-1), logits.shape[-1])
    others = jax.nn.logsumexp(jnp.where(is_best, -jnp.inf, logits), axis=-1, keepdims=True)
    log_p = jax.nn.log_softmax(logits)
    return jnp.where(is_best, logits - others, log_p - jnp.log1p(-jnp.exp(log_p)))


def _roc_area(scores: Scores, positive: Bool[Array, " rows"], weights: Scores) -> Float[Array, ""]:
    """P(score of a positive > score of a negative) + P(equal) / 2; NaN without positives or without negatives."""
    scores, hits, misses = _sorted(scores, positive, weights)
    below = _before(misses)[jnp.searchsorted(scores, scores, side="left")]
    not_above = _before(misses)[jnp.searchsorted(scores, scores, side="right")]
    return jnp.sum(hits * (below + not_above) / 2) / (hits.sum() * misses.sum())


def _precision_area(
    scores: Scores, positive: Bool[Array, " rows"], weights: Scores
) -> Float[Array, ""]:
    """sum_n (R_n - R_{n-1}) P_n over thresholds: the mean, over positives, of the precision at their own score.

    NaN without positives (scikit-learn warns and gives 0).
    """
    scores, hits, misses = _sorted(scores, positive, weights)
    lower = jnp.searchsorted(scores, scores, side="left")
    # From the top: below, a far larger weight may stand, and a difference of sums would lose the small one.
    hits_from, misses_from = (jnp.cumsum(side[::-1])[::-1][lower] for side in (hits, misses))
    precision = hits_from / jnp.where(hits > 0, hits_from + misses_from, 1)
    return jnp.sum(hits * precision) / hits.sum()


def _sorted(
    scores: Scores, positive: Bool[Array, " rows"], weights: Scores
) -> tuple[Scores, Scores, Scores]:
    """Scores in rising order, the weights of the positives and of the negatives in the same order."""
    order = jnp.argsort(scores)
    weights, positive = weights[order], positive[order]
    return scores[order], jnp.where(positive, weights, 0), jnp.where(positive, 0, weights)


def _before(weights: Scores) -> Float[Array, " rows_and_end"]:
    """The sum of all weights before each position, and at the end of all."""
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(weights)])


roc_auc = _make_ranking(
    _roc_area,
    """The area under the curve of the true positive rate over the false positive rate.

    P(score of a positive > score of a negative) + P(equal) / 2

    Hanley and McNeil, The Meaning and Use of the Area under a ROC Curve (1982),
    https://doi.org/10.1148/radiology.143.1.7063747

    >>> float(roc_auc(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])))
    0.75
    """,
)

average_precision = _make_ranking(
    _precision_area,
    """The area under the steps of precision over recall.

    sum_n (R_n - R_{n-1}) P_n  over the thresholds n

    >>> round(float(average_precision(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1]))), 4)
    0.8333
    """,
)
