"""What losses share: the mean over outputs, the recognition of labels, checks of settings."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jnn._settings import NOT_NEGATIVE, check_numbers


def mean_over_outputs(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Average over the last axis; values of rank one (or zero) are one per example already."""
    return values.mean(-1) if values.ndim > 1 else values


def are_class_labels(predictions: Float[Array, "..."], targets: Shaped[Array, "..."]) -> bool:
    """Return whether targets are integer labels `[*batch]` of predictions `[*batch, classes]`."""
    has_class_axis = (
        predictions.ndim > 0
        and predictions.shape[-1] > 1
        and predictions.shape[:-1] == targets.shape
    )
    return has_class_axis and jnp.issubdtype(targets.dtype, jnp.integer)


def is_number(setting: Any) -> bool:
    """Return whether a setting is a plain number, whose value can be checked before tracing."""
    return isinstance(setting, float | int | np.number)


def check_weights(name: str, weights: Any, outputs: tuple) -> None:
    """Raise ValueError unless weights are None, one number, or one for each output."""
    shape = () if weights is None else np.shape(weights)
    if shape in ((), outputs):
        if weights is not None:
            check_numbers(name, weights, NOT_NEGATIVE, "A weight of 1 changes nothing.")
        return
    each = f" or have one entry for each of the {outputs[0]} outputs" if outputs else ""
    raise ValueError(
        f"{name} must be one number{each}, got an array of shape {shape}. "
        "Pass one number for all outputs."
    )


def times(
    share: float | Shaped[Array | np.ndarray, "..."], cost: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Multiply a cost by a share, with 0 inf = 0.

    A finite cost keeps its value even where the share is 0, because it is the derivative by the
    share.
    """
    return jnp.where((share == 0) & ~jnp.isfinite(cost), 0, cost) * share
