"""Predictions and targets as losses and metrics take them: floats of one shape, one-hot labels."""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Shaped

from jnn._arrays import as_array, as_arrays


def as_float(x: Shaped[Array, "..."], least: DTypeLike = jnp.float32) -> Float[Array, "..."]:
    """Cast to `least` or a wider type, so that bfloat16 outputs are summed without losing bits."""
    x = as_array(x)
    return x.astype(jnp.promote_types(x.dtype, least))


def paired(
    predictions: Float[Array, "..."], targets: Shaped[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return predictions and targets as floats of one shape.

    Targets `[*batch]` may meet predictions `[*batch, 1]`; nothing else is broadcast.
    """
    predictions, targets = as_arrays(predictions, targets)
    if predictions.shape == (*targets.shape, 1):
        targets = targets[..., None]
    if predictions.shape != targets.shape:
        raise ValueError(
            f"predictions and targets must have one shape, got {predictions.shape} and "
            f"{targets.shape}. Give the model as many outputs as the targets have columns."
        )
    outputs = as_float(predictions)
    # Counts take the type of the predictions, because float32 holds integers only up to 2^24.
    return outputs, as_float(targets, outputs.dtype)


def one_hot(labels: Shaped[Array, "*batch"], classes: int) -> Bool[Array, "*batch {classes}"]:
    """Return True at the class of each label; a label outside the classes has no True."""
    labels = as_array(labels)
    if jnp.issubdtype(labels.dtype, jnp.integer) and jnp.iinfo(labels.dtype).max < classes - 1:
        labels = labels.astype(jnp.int32)  # a uint8 would wrap around at 256 classes
    return labels[..., None] == jnp.arange(classes, dtype=labels.dtype)
