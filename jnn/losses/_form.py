"""What every loss and metric shares: the float type, the pairing of shapes, the mean over outputs, plain settings."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Shaped


def as_float(x: Shaped[Array, "..."], least: DTypeLike = jnp.float32) -> Float[Array, "..."]:
    """At least float32, so that bfloat16 outputs are summed without losing bits, or at least the type that is given."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, least))


def paired(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Predictions and targets as floats of one shape; targets `[*batch]` may meet predictions `[*batch, 1]`."""
    if predictions.shape == (*targets.shape, 1):
        targets = targets[..., None]
    if predictions.shape != targets.shape:
        raise ValueError(
            f"predictions and targets must have one shape, got {predictions.shape} and {targets.shape}; "
            "give the model as many outputs as the targets have columns."
        )
    outputs = as_float(predictions)
    return outputs, as_float(
        targets, outputs.dtype
    )  # counts in the predictions' type: float32 ends at 2^24


def mean_over_outputs(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """The mean over the last axis; values of rank one (or none) are one per example already."""
    return values.mean(-1) if values.ndim > 1 else values


def are_class_labels(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> bool:
    """Whether the targets are integer labels `[*batch]` of the classes in predictions `[*batch, classes]`."""
    has_class_axis = (
        predictions.ndim > 0
        and predictions.shape[-1] > 1
        and predictions.shape[:-1] == targets.shape
    )
    return has_class_axis and jnp.issubdtype(targets.dtype, jnp.integer)


def one_hot(labels: Shaped[Array, "*batch"], classes: int) -> Bool[Array, "*batch {classes}"]:
    """True at the label's class; all False for a label outside 0 .. classes - 1."""
    labels = jnp.asarray(labels)
    if jnp.issubdtype(labels.dtype, jnp.integer) and jnp.iinfo(labels.dtype).max < classes - 1:
        labels = labels.astype(jnp.int32)  # which counts all classes, where uint8 would begin anew
    return labels[..., None] == jnp.arange(classes, dtype=labels.dtype)


def is_number(setting: Any) -> bool:
    """Whether a setting is a plain number, which can be looked at before anything is traced."""
    return isinstance(setting, float | int | np.number)


def check_weights(name: str, weights: Any, outputs: tuple) -> None:
    """Refuse weights that would broadcast to another shape: neither one number nor one for each output."""
    given = () if weights is None else np.shape(weights)
    if given not in ((), outputs):
        each = f", or one for each of {outputs[0]} outputs" if outputs else ""
        raise ValueError(
            f"wanted {name} as one number{each}, but got shape {given}; give one for all"
        )
