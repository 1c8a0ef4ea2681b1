"""Class weights: a wrapper that adds them to any loss, and the weights that balance the classes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Shaped

from jnn._arrays import as_array, as_arrays
from jnn._settings import NOT_NEGATIVE, check_integer, check_numbers
from jnn._targets import as_float, one_hot
from jnn.losses._form import times

# `loss(predictions, targets, **options)` returns one value per example.
Loss = Callable[..., Float[Array, "..."]]

ClassWeights = Float[Array | np.ndarray, " classes"] | Sequence[float]


def class_weighted(loss: Loss, weights: ClassWeights) -> Loss:
    """Return a loss that multiplies the loss of each example by the weight of its class.

    sum_c q_c w_c loss(x, t),  q the probabilities of the classes that the target t gives

    `loss` is any loss of classes with one value per example. For integer labels [*batch], q is
    one-hot; a label outside the classes has weight 0. Targets [*batch, classes] are q itself and
    should sum to 1. For a single logit with targets in [0, 1], `weights` holds the weights of class
    0 and of class 1. For several independent outputs use `positive_weight` of
    `binary_cross_entropy`.

    The mean over a batch divides by the number of examples, as Keras does with `class_weight`.
    PyTorch's `CrossEntropyLoss(weight=w)` divides by the sum of the examples' weights instead. For
    that, give each row of the data the weight `w[label]`, because means over rows divide by the sum
    of row weights. With label smoothing, PyTorch's loss equals `softmax_cross_entropy(...,
    class_weights=w)`, which weighs the terms of all classes; this wrapper weighs by the true class
    alone.

    Args:
        loss: Loss whose examples are weighted.
        weights: Weight of each class, [classes].

    Returns:
        A function `(predictions, targets, **options)` that passes the options on to `loss`. It can
        be pickled if `loss` can.

    Raises:
        TypeError: If `loss` is not callable.
        ValueError: If `weights` is not one number for each of two or more classes. When the loss is
            called: if the predictions have another number of classes, or `loss` does not return one
            value per example.

    >>> from jnn.losses import softmax_cross_entropy
    >>> loss = class_weighted(softmax_cross_entropy, [1.0, 3.0])
    >>> loss(jnp.zeros((3, 2)), jnp.array([0, 1, -1])).round(2)
    Array([0.69, 2.08, 0.  ], dtype=float32)
    """
    if not callable(loss):
        raise TypeError(
            f"loss must be a function of predictions and targets, got {type(loss).__name__}. "
            "Pass e.g. jnn.losses.softmax_cross_entropy."
        )
    check_numbers("weights of class_weighted", weights, NOT_NEGATIVE, "Pass e.g. [1.0, 3.0].")
    shape = np.shape(weights)
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(
            "weights of class_weighted must be one number for each of two or more classes, got "
            f"shape {shape}. Pass e.g. [1.0, 3.0]; a single logit has two classes."
        )
    return partial(_class_weighted, loss, weights)


def balanced_class_weights(
    labels: Integer[Array, "*rows"],
    classes: int,
    weights: Shaped[Array, "*rows"] | None = None,
) -> Float[Array, " classes"]:
    """Return the class weights with which every class that occurs has the same total weight.

    w_c = n / (C n_c),  n_c the weight of the rows of class c, n their sum, C the number of classes
    that occur

    This is scikit-learn's `compute_class_weight("balanced")`; the mean weight of the rows is 1. A
    class without rows (or whose rows all have weight 0) gets weight 0, where scikit-learn raises an
    error. Labels outside 0 .. classes - 1 do not count.

    Args:
        labels: Integer labels.
        classes: Number of classes; static under `jit`.
        weights: Weight of each row, 1 by default. A row of weight 0 counts as absent.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If the weights do not have the shape of the labels.

    >>> balanced_class_weights(jnp.array([0, 0, 0, 1]), 2).round(4)
    Array([0.6667, 2.    ], dtype=float32)
    """
    labels = as_array(labels)
    weights = None if weights is None else as_array(weights)
    classes = check_integer("classes", classes)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels of balanced_class_weights must be integers, got {labels.dtype}. "
            "Pass labels.astype(int), or probabilities.argmax(-1) for one-hot rows."
        )
    if weights is not None and weights.shape != labels.shape:
        raise ValueError(
            f"weights of balanced_class_weights must have the shape of the labels, {labels.shape}, "
            f"got {weights.shape}. Give one weight per label."
        )
    row_weights = jnp.ones(labels.shape) if weights is None else as_float(weights)
    counts = jnp.where(one_hot(labels, classes), row_weights[..., None], 0)
    counts = counts.reshape(-1, classes).sum(0)
    occurs = counts > 0
    balanced = counts.sum() / (occurs.sum() * jnp.where(occurs, counts, 1))
    return jnp.where(occurs, balanced, 0)


def _class_weighted(
    loss: Loss,
    weights: ClassWeights,
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    **options: Any,
) -> Float[Array, "..."]:
    predictions, targets = as_arrays(predictions, targets)
    losses = jax.eval_shape(partial(loss, **options), predictions, targets)
    per_class = jnp.asarray(weights, losses.dtype)
    weight = _weight_of_examples(per_class, predictions, targets, losses)
    # An example of weight 0 has the gradient 0, even if that of its loss is NaN.
    counts = (weight != 0).reshape(*weight.shape, *[1] * (predictions.ndim - weight.ndim))
    predictions = jnp.where(counts, predictions, jax.lax.stop_gradient(predictions))
    return times(weight, loss(predictions, targets, **options))


def _weight_of_examples(
    weights: Float[Array, " classes"],
    predictions: Float[Array, "..."],
    targets: Shaped[Array, "..."],
    losses: jax.ShapeDtypeStruct,
) -> Float[Array, "..."]:
    """Return sum_c q_c w_c for each example, in the shape of the losses."""
    classes = _check_classes(weights.shape[0], predictions, losses)
    if targets.shape == losses.shape and jnp.issubdtype(targets.dtype, jnp.integer):
        return jnp.sum(jnp.where(one_hot(targets, classes), weights, 0), -1)
    if predictions.shape != (*losses.shape, classes) and targets.size == losses.size:
        # A single logit: the target is the probability of class 1.
        share = as_float(targets, losses.dtype).reshape(losses.shape)
        return weights[0] * (1 - share) + weights[1] * share
    if targets.shape == (*losses.shape, classes):
        return jnp.sum(as_float(targets, losses.dtype) * weights, -1)
    raise ValueError(
        f"targets of a class-weighted loss must be integer labels {losses.shape} or probabilities "
        f"{(*losses.shape, classes)}, got {targets.dtype} {targets.shape}. "
        "Give one target per example."
    )


def _check_classes(
    classes: int, predictions: Float[Array, "..."], losses: jax.ShapeDtypeStruct
) -> int:
    """Return the number of class weights if the predictions have as many classes."""
    has_class_axis = predictions.ndim > 0 and predictions.shape[:-1] == losses.shape
    is_one_logit = predictions.shape == losses.shape and losses.ndim < 2
    if not has_class_axis and not is_one_logit:
        raise ValueError(
            "a class-weighted loss must return one value for each example, got losses "
            f"{losses.shape} for predictions {predictions.shape}. Do not average within the loss."
        )
    outputs = predictions.shape[-1] if has_class_axis else 1
    if classes != max(outputs, 2):
        raise ValueError(
            f"class weights must have one entry for each class, got {classes} for predictions "
            f"{predictions.shape} of {max(outputs, 2)} classes. Pass {max(outputs, 2)} weights."
        )
    return classes
