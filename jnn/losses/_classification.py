"""Losses for classes: predictions are logits, never probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Shaped

from jnn._arrays import as_arrays
from jnn._settings import NOT_NEGATIVE, UNIT, check_number
from jnn._targets import as_float, one_hot, paired
from jnn.losses._form import (
    are_class_labels,
    check_weights,
    is_number,
    mean_over_outputs,
    times,
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
    """Return the cross-entropy between the softmax of the logits and the labels.

    -sum_c w_c q_c log softmax(x)_c
    q = (1 - label_smoothing) onehot(t) + label_smoothing / classes

    Integer targets [*batch] are labels. Targets [*batch, classes] of any type are probabilities of
    the classes, one-hot or soft, and take the place of onehot(t). A label outside 0 .. classes - 1
    marks a position to ignore, and without smoothing so does a row of probabilities 0: its loss and
    gradient are 0, whatever its logits are, even NaN.

    Szegedy et al., Rethinking the Inception Architecture (2015), https://arxiv.org/abs/1512.00567
    (for label smoothing).

    Args:
        predictions: Logits.
        targets: Labels or probabilities of the classes.
        label_smoothing: Share of the target that is spread evenly over all classes, in [0, 1].
        class_weights: Weight w of each class. To weigh whole examples, see `class_weighted`.

    Raises:
        ValueError: If the shapes do not fit, class_weights does not have one entry for each class,
            or label_smoothing is a number outside [0, 1].

    >>> softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([3, -1])).round(4).tolist()
    [1.386299967765808, 0.0]
    """
    predictions, targets = as_arrays(predictions, targets)
    _check_classes(predictions, targets)
    _check_settings(predictions.shape[-1], label_smoothing, class_weights)
    logits = _without_ignored(as_float(predictions), targets, label_smoothing)
    cost = -jax.nn.log_softmax(logits)  # [*batch, classes]
    if class_weights is not None:
        cost = times(jnp.asarray(class_weights), cost)
    loss = _expected(cost, targets)
    if is_number(label_smoothing) and label_smoothing == 0:
        return loss
    return times(1 - label_smoothing, loss) + times(label_smoothing, _evenly(cost, targets))


def binary_cross_entropy(
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    *,
    positive_weight: Scalar | PerClass | None = None,
) -> Float[Array, "..."]:
    """Return the cross-entropy of independent yes-or-no outputs, averaged over the outputs.

    positive_weight t softplus(-x) + (1 - t) softplus(x)

    Predictions are logits; targets lie in [0, 1]. An infinite logit on the right side costs 0.

    Good, Rational Decisions (1952).

    Args:
        predictions: Logits.
        targets: Probability of a yes, or labels 0 and 1.
        positive_weight: Weight of the first term, one for all outputs or one per output; 1 by
            default.

    Raises:
        ValueError: If the shapes do not fit, or positive_weight is neither one number nor one for
            each output.

    >>> binary_cross_entropy(jnp.array([0.0, 9.0, 9.0]), jnp.array([1, 1, 0])).round(2)
    Array([0.69, 0.  , 9.  ], dtype=float32)
    """
    predictions, targets = as_arrays(predictions, targets)
    outputs = predictions.shape[-1:] if predictions.ndim > 1 else ()
    check_weights("positive_weight", positive_weight, outputs)
    logits, targets = paired(predictions, targets)
    positive = targets if positive_weight is None else targets * jnp.asarray(positive_weight)
    cost_of_yes = jax.nn.softplus(-logits)
    cost_of_no = jax.nn.softplus(logits)
    return mean_over_outputs(times(positive, cost_of_yes) + times(1 - targets, cost_of_no))


def focal(
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    *,
    gamma: Scalar = 2.0,
    alpha: Scalar | PerClass | None = None,
) -> Float[Array, "..."]:
    """Return the focal loss: cross-entropy that gives well-classified examples less weight.

    alpha_t (1 - p_t)^gamma (-log p_t),  p_t the probability of the true class

    Integer labels [*batch] with logits [*batch, classes] are scored by the softmax; alpha then
    holds one weight per class, or one for all classes. Targets 0 or 1 in the shape of the logits
    are scored by the sigmoid; alpha then weighs the ones and 1 - alpha the zeros, one for all
    outputs or one per output.

    Lin et al., Focal Loss for Dense Object Detection (2017), https://arxiv.org/abs/1708.02002

    Args:
        predictions: Logits.
        targets: Labels of the classes, or 0 and 1 for each output.
        gamma: Power of the probability of a miss; 0 gives the cross-entropy.
        alpha: Weights of the classes; none by default.

    Raises:
        ValueError: If the shapes do not fit, or alpha is neither one number nor one for each class
            or output.

    >>> focal(jnp.array([0.0, 9.0]), jnp.array([1, 1]), gamma=1.0).round(4)
    Array([0.3466, 0.    ], dtype=float32)
    """
    predictions, targets = as_arrays(predictions, targets)
    are_labels = are_class_labels(predictions, targets)
    outputs = predictions.shape[-1:] if are_labels or predictions.ndim > 1 else ()
    check_weights("alpha", alpha, outputs)
    check_number("gamma", gamma, NOT_NEGATIVE, "The paper has 2; 0 gives the cross-entropy.")
    weight = None if alpha is None else jnp.asarray(alpha)
    if are_labels:
        loss = _focused(softmax_cross_entropy(predictions, targets), gamma)
        if weight is None:
            return loss
        return loss * (weight[targets] if weight.ndim else weight)
    logits, targets = paired(predictions, targets)
    loss = _focused(jax.nn.softplus(jnp.where(targets > 0.5, -logits, logits)), gamma)
    if weight is not None:
        loss = loss * jnp.where(targets > 0.5, weight, 1 - weight)
    return mean_over_outputs(loss)


def hinge(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> Float[Array, "..."]:
    """Return the hinge loss: 0 once the right side leads by a margin of 1.

    max(0, 1 - s x),  s = 1 for targets > 0, else -1
    max(0, 1 - x_t + max_{c != t} x_c)  for classes

    Integer labels [*batch] with logits [*batch, classes] are scored by the second equation; a label
    outside the classes costs 0.

    Crammer and Singer, Multiclass Kernel-based Vector Machines (2001),
    https://jmlr.org/papers/v2/crammer01a.html

    Raises:
        ValueError: If the shapes do not fit.

    >>> hinge(jnp.array([0.5, -2.0]), jnp.array([1, 0]))
    Array([0.5, 0. ], dtype=float32)
    >>> hinge(jnp.array([[1.0, 1.5, 0.0]]), jnp.array([0]))
    Array([1.5], dtype=float32)
    """
    predictions, targets = as_arrays(predictions, targets)
    if not are_class_labels(predictions, targets):
        return binary_hinge(predictions, targets)
    logits = _without_ignored(as_float(predictions), targets)
    loss = jax.nn.relu(1 - _class_margin(logits, targets))
    return jnp.where(_is_class(targets, predictions.shape[-1]), loss, 0)


def binary_hinge(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """Return the first equation of `hinge` for each output, also for integer targets."""
    logits, targets = paired(predictions, targets)
    return mean_over_outputs(jax.nn.relu(1 - jnp.where(targets > 0, logits, -logits)))


def kl_divergence(
    predictions: Float[Array, "*batch classes"], targets: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """Return the Kullback-Leibler divergence of the predicted from the target probabilities.

    sum_c q_c (log q_c - log softmax(x)_c),  0 log 0 = 0

    Log probabilities may take the place of the logits, because log_softmax does not change them.

    Kullback and Leibler, On Information and Sufficiency (1951),
    https://doi.org/10.1214/aoms/1177729694

    Raises:
        ValueError: If predictions and targets differ in shape.

    >>> kl_divergence(jnp.zeros((2, 4)), jnp.array([[0.25] * 4, [1.0, 0.0, 0.0, 0.0]])).round(4)
    Array([0.    , 1.3863], dtype=float32)
    """
    predictions, targets = as_arrays(predictions, targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            "predictions and targets of kl_divergence must have one shape, got "
            f"{predictions.shape} and {targets.shape}. Give one probability per class."
        )
    q = as_float(targets)
    log_q = jnp.log(jnp.where(q > 0, q, 1))
    logits = _without_ignored(as_float(predictions), q)
    log_p = jnp.where(q > 0, jax.nn.log_softmax(logits), 0)
    return jnp.sum(q * (log_q - log_p), -1)


def _check_classes(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> None:
    if predictions.ndim == 0 or predictions.shape[-1] < 2:
        raise ValueError(
            "predictions of softmax_cross_entropy must be logits [*batch, classes] of two or more "
            f"classes, got shape {predictions.shape}. Use binary_cross_entropy for a single logit."
        )
    is_integer = jnp.issubdtype(targets.dtype, jnp.integer)
    are_labels = is_integer and targets.shape == predictions.shape[:-1]
    if not are_labels and targets.shape != predictions.shape:
        raise ValueError(
            f"targets of softmax_cross_entropy must be integer labels {predictions.shape[:-1]} or "
            f"probabilities of the classes {predictions.shape}, got {targets.dtype} "
            f"{targets.shape}. Pass labels as integers [*batch] or probabilities as floats "
            "[*batch, classes]."
        )


def _check_settings(classes: int, label_smoothing: Any, class_weights: Any) -> None:
    check_number("label_smoothing", label_smoothing, UNIT, "A usual value is 0.1.")
    if class_weights is not None and np.shape(class_weights) != (classes,):
        raise ValueError(
            f"class_weights must have shape ({classes},), one weight for each class, got "
            f"{np.shape(class_weights)}. To weigh single rows, multiply the loss."
        )


def _without_ignored(
    logits: Float[Array, "*batch classes"],
    targets: Shaped[Array, "..."],
    label_smoothing: Scalar = 0.0,
) -> Float[Array, "*batch classes"]:
    """Return the logits with 0 in the rows to ignore, whose gradient could be 0 * NaN otherwise."""
    if targets.ndim < logits.ndim:
        counts = _is_class(targets, logits.shape[-1])
    elif is_number(label_smoothing) and label_smoothing == 0:
        counts = (targets != 0).any(-1)
    else:
        return logits  # smoothing gives every row of probabilities a target
    return jnp.where(counts[..., None], logits, 0)


def _expected(
    cost: Float[Array, "*batch classes"], targets: Shaped[Array, "..."]
) -> Float[Array, "*batch"]:
    """Return sum_c q_c cost_c for the class probabilities q that the targets give.

    0 inf = 0, so a class that is masked by an infinite cost does no harm where it does not count.
    """
    if targets.ndim < cost.ndim:
        # A select, not a gather: its gradient needs no scatter, and with few classes both are as
        # fast.
        return jnp.sum(jnp.where(one_hot(targets, cost.shape[-1]), cost, 0), -1)
    return jnp.sum(times(targets.astype(cost.dtype), cost), -1)


def _evenly(
    cost: Float[Array, "*batch classes"], targets: Shaped[Array, "..."]
) -> Float[Array, "*batch"]:
    """Return the mean cost of all classes, or 0 for a label outside the classes."""
    if targets.ndim == cost.ndim:
        return cost.mean(-1)
    return jnp.where(_is_class(targets, cost.shape[-1]), cost.mean(-1), 0)


def _is_class(labels: Integer[Array, "*batch"], classes: int) -> Bool[Array, "*batch"]:
    """Return whether each label is one of the classes, for labels of any integer type."""
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return one_hot(labels, classes).any(-1)
    is_below = labels < classes if jnp.iinfo(labels.dtype).max >= classes else True
    return (labels >= 0) & is_below


def _focused(cross_entropy: Float[Array, "..."], gamma: Scalar) -> Float[Array, "..."]:
    """Return (1 - p)^gamma CE with p = exp(-CE); a floor keeps the gradient finite at p = 1."""
    miss = jnp.maximum(-jnp.expm1(-cross_entropy), jnp.finfo(cross_entropy.dtype).tiny)
    return miss**gamma * cross_entropy


def _class_margin(
    logits: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Return the logit of the true class minus the highest logit of the other classes."""
    is_label = one_hot(labels, logits.shape[-1])
    own = jnp.sum(jnp.where(is_label, logits, 0), -1)
    return own - jnp.max(jnp.where(is_label, -jnp.inf, logits), -1)
