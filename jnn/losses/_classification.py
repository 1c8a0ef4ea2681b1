"""Losses for classes: predictions are logits, never probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Shaped

from jnn.losses._form import (
    are_class_labels,
    as_float,
    check_weights,
    is_number,
    mean_over_outputs,
    one_hot,
    paired,
)

Scalar = float | Float[Array, ""]
PerClass = Float[Array | np.ndarray, " classes"]
Labels = Integer[Array, "*batch"] | Shaped[Array, "*batch classes"]


def softmax_cross_entropy(
    predictions: Float[Array, "*batch classes"],
    targets: Labels,
    *,
    label_smoothing: Scalar = 0.0,
    class_weights: PerClass | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy between the softmax of the logits and the labels.

    -sum_c w_c q_c log softmax(x)_c,  q = (1 - label_smoothing) onehot(t) + label_smoothing / classes

    Integer targets [*batch] are labels; targets [*batch, classes] of any type are shares of the classes, one-hot or
    soft, and stand for onehot(t). A label outside 0 .. classes - 1 marks a position to ignore: loss and gradient are 0.

    Szegedy et al., Rethinking the Inception Architecture (2015), https://arxiv.org/abs/1512.00567 (smoothing)

    Raises:
        ValueError: If the shapes do not fit, class_weights are not one for each class, or label_smoothing is a number
            outside [0, 1].

    >>> softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([3, -1])).round(4).tolist()
    [1.386299967765808, 0.0]
    """
    _check_classes(predictions, targets)
    _check_settings(predictions.shape[-1], label_smoothing, class_weights)
    cost = -jax.nn.log_softmax(as_float(predictions))  # [*batch, classes]
    if class_weights is not None:
        cost = _times(jnp.asarray(class_weights), cost)
    loss = _expected(cost, targets)
    if is_number(label_smoothing) and label_smoothing == 0:
        return loss
    return _times(1 - label_smoothing, loss) + _times(label_smoothing, _evenly(cost, targets))


def binary_cross_entropy(
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    *,
    positive_weight: Scalar | PerClass | None = None,
) -> Float[Array, "..."]:
    """Cross-entropy of independent yes-or-no outputs, the mean over outputs.

    t softplus(-x) + (1 - t) softplus(x);  `positive_weight`, one for all outputs or one per output, multiplies the
    first term

    Predictions are logits, targets lie in [0, 1]; a logit of inf or -inf on the right side costs 0.

    Good, Rational Decisions (1952).

    Raises:
        ValueError: If the shapes do not fit, or positive_weight is neither one number nor one for each output.

    >>> binary_cross_entropy(jnp.array([0.0, 9.0, 9.0]), jnp.array([1, 1, 0])).round(2)
    Array([0.69, 0.  , 9.  ], dtype=float32)
    """
    check_weights(
        "positive_weight", positive_weight, predictions.shape[-1:] if predictions.ndim > 1 else ()
    )
    logits, targets = paired(predictions, targets)
    positive = targets if positive_weight is None else targets * jnp.asarray(positive_weight)
    yes, no = jax.nn.softplus(-logits), jax.nn.softplus(logits)
    return mean_over_outputs(_times(positive, yes) + _times(1 - targets, no))


def focal(
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    *,
    gamma: Scalar = 2.0,
    alpha: Scalar | PerClass | None = None,
) -> Float[Array, "..."]:
    """Focal loss: cross-entropy with the well classified examples weighted down.

    alpha_t (1 - p_t)^gamma (-log p_t),  p_t the probability of the true class

    Integer labels [*batch] with logits [*batch, classes] take the softmax, and alpha holds one weight per class, or one
    for all. Targets 0 or 1 of the logits' own shape take the sigmoid, alpha weighs the ones and 1 - alpha the zeros,
    one for all outputs or one per output.

    Lin et al., Focal Loss for Dense Object Detection (2017), https://arxiv.org/abs/1708.02002

    Raises:
        ValueError: If the shapes do not fit, or alpha is neither one number nor one for each class or output.

    >>> focal(jnp.array([0.0, 9.0]), jnp.array([1, 1]), gamma=1.0).round(4)
    Array([0.3466, 0.    ], dtype=float32)
    """
    are_labels = are_class_labels(predictions, targets)
    check_weights(
        "alpha", alpha, predictions.shape[-1:] if are_labels or predictions.ndim > 1 else ()
    )
    alpha = None if alpha is None else jnp.asarray(alpha)
    if are_labels:
        loss = _focused(softmax_cross_entropy(predictions, targets), gamma)
        return loss if alpha is None else loss * (alpha[targets] if alpha.ndim else alpha)
    logits, targets = paired(predictions, targets)
    loss = _focused(jax.nn.softplus(jnp.where(targets > 0.5, -logits, logits)), gamma)
    return mean_over_outputs(
        loss if alpha is None else loss * jnp.where(targets > 0.5, alpha, 1 - alpha)
    )


def hinge(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> Float[Array, "..."]:
    """Hinge loss: 0 once the right side is a margin of 1 ahead.

    max(0, 1 - s x),  s = 1 for targets > 0, else -1;  for classes  max(0, 1 - x_t + max_{c != t} x_c)

    Integer labels [*batch] with logits [*batch, classes] take the second form; a label that is no class costs 0.

    Crammer and Singer, Multiclass Kernel-based Vector Machines (2001), https://jmlr.org/papers/v2/crammer01a.html

    Raises:
        ValueError: If the shapes do not fit.

    >>> hinge(jnp.array([0.5, -2.0]), jnp.array([1, 0]))
    Array([0.5, 0. ], dtype=float32)
    >>> hinge(jnp.array([[1.0, 1.5, 0.0]]), jnp.array([0]))
    Array([1.5], dtype=float32)
    """
    if not are_class_labels(predictions, targets):
        return binary_hinge(predictions, targets)
    loss = jax.nn.relu(1 - _class_margin(as_float(predictions), targets))
    return jnp.where(_is_class(targets, predictions.shape[-1]), loss, 0)


def binary_hinge(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """The first form of `hinge`, also for integer targets: one for each output."""
    logits, targets = paired(predictions, targets)
    return mean_over_outputs(jax.nn.relu(1 - jnp.where(targets > 0, logits, -logits)))


def kl_divergence(
    predictions: Float[Array, "*batch classes"], targets: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of the softmax of the logits from target probabilities.

    sum_c q_c (log q_c - log softmax(x)_c),  0 log 0 = 0

    Log probabilities may stand for the logits: log_softmax leaves them as they are.

    Kullback and Leibler, On Information and Sufficiency (1951), https://doi.org/10.1214/aoms/1177729694

    Raises:
        ValueError: If predictions and targets have not one shape.

    >>> kl_divergence(jnp.zeros((2, 4)), jnp.array([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])).round(4)
    Array([0.    , 1.3863], dtype=float32)
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f"kl_divergence wants one shape, got {predictions.shape} and {targets.shape}; give a probability per class."
        )
    q = as_float(targets)
    log_q = jnp.log(jnp.where(q > 0, q, 1))
    log_p = jnp.where(q > 0, jax.nn.log_softmax(as_float(predictions)), 0)
    return jnp.sum(q * (log_q - log_p), -1)


def _check_classes(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> None:
    if predictions.ndim == 0 or predictions.shape[-1] < 2:
        raise ValueError(
            f"softmax_cross_entropy wants logits [*batch, classes] of two classes or more, got {predictions.shape}; "
            "use binary_cross_entropy for a single logit."
        )
    are_labels = targets.shape == predictions.shape[:-1] and jnp.issubdtype(
        targets.dtype, jnp.integer
    )
    if not are_labels and targets.shape != predictions.shape:
        raise ValueError(
            f"softmax_cross_entropy wants integer labels {predictions.shape[:-1]} or shares of the classes "
            f"{predictions.shape} for logits {predictions.shape}, got {targets.dtype} {targets.shape}; "
            "pass labels as integers [*batch] or shares as floats [*batch, classes]."
        )


def _check_settings(classes: int, label_smoothing: Any, class_weights: Any) -> None:
    if is_number(label_smoothing) and not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"wanted a label_smoothing in [0, 1], but got {label_smoothing}; it is a share, 0.1 is usual"
        )
    if class_weights is not None and np.shape(class_weights) != (classes,):
        raise ValueError(
            f"wanted class_weights ({classes},), one for each class, but got {np.shape(class_weights)}; "
            "weigh single rows by multiplying the loss"
        )


def _expected(
    cost: Float[Array, "*batch classes"], targets: Shaped[Array, "..."]
) -> Float[Array, "*batch"]:
    """sum_c q_c cost_c with the shares q that the targets give; 0 inf = 0, so that a masked class does no harm."""
    if targets.ndim < cost.ndim:
        # A select, not a gather: its gradient needs no scatter, and with few classes both cost the same forward.
        return jnp.sum(jnp.where(one_hot(targets, cost.shape[-1]), cost, 0), -1)
    return jnp.sum(_times(targets.astype(cost.dtype), cost), -1)


def _evenly(
    cost: Float[Array, "*batch classes"], targets: Shaped[Array, "..."]
) -> Float[Array, "*batch"]:
    """The mean cost of all classes; 0 for a label that is no class."""
    if targets.ndim == cost.ndim:
        return cost.mean(-1)
    return jnp.where(_is_class(targets, cost.shape[-1]), cost.mean(-1), 0)


def _is_class(labels: Integer[Array, "*batch"], classes: int) -> Bool[Array, "*batch"]:
    """Whether a label is one of the classes, whatever its type can count to."""
    return one_hot(labels, classes).any(-1)


def _times(
    share: float | Shaped[Array | np.ndarray, "..."], cost: Float[Array, "..."]
) -> Float[Array, "..."]:
    """share cost, with 0 inf = 0; any other cost stays, as the derivative by the share."""
    return jnp.where((share == 0) & ~jnp.isfinite(cost), 0, cost) * share


def _focused(cross_entropy: Float[Array, "..."], gamma: Scalar) -> Float[Array, "..."]:
    """(1 - p)^gamma CE with p = exp(-CE); the floor keeps the power's gradient finite at p = 1."""
    miss = jnp.maximum(-jnp.expm1(-cross_entropy), jnp.finfo(cross_entropy.dtype).tiny)
    return miss**gamma * cross_entropy


def _class_margin(
    logits: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """The true class's logit less the best other one."""
    is_label = one_hot(labels, logits.shape[-1])
    own = jnp.sum(jnp.where(is_label, logits, 0), -1)
    return own - jnp.max(jnp.where(is_label, -jnp.inf, logits), -1)
