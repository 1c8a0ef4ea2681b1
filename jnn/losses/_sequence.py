"""Losses over sequences whose alignment is unknown."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jnn._arrays import as_array, as_arrays
from jnn._settings import check_integer
from jnn._targets import as_float


def ctc(
    predictions: Float[Array, "batch time classes"],
    targets: Int[Array, "batch labels"],
    *,
    lengths: Int[Array, " batch"] | None = None,
    target_lengths: Int[Array, " batch"] | None = None,
    blank: int = 0,
) -> Float[Array, " batch"]:
    """Return the connectionist temporal classification loss of unaligned label sequences.

    -log sum_{paths that collapse to t} prod_time softmax(x)_path

    A path collapses to t if merging repeated labels and then removing blanks gives t. A target that
    does not fit into its time steps, or that needs a class of logit -inf, costs 1e5 or a few times
    that: a finite number in place of infinity.

    Graves et al., Connectionist Temporal Classification (2006),
    https://doi.org/10.1145/1143844.1143891

    Args:
        predictions: Logits of each time step.
        targets: Labels in order, padded at the end.
        lengths: Number of time steps of each row. Later ones are padding, whatever they hold. None
            means all are used.
        target_lengths: Number of labels of each row; later ones are padding. None means all are
            used.
        blank: Class that stands for no label.

    Raises:
        ValueError: If the shapes do not fit, there is no time step, or blank is not one of the
            classes.

    >>> ctc(jnp.zeros((1, 2, 3)), jnp.array([[1]])).round(4)  # 3 of the 9 paths spell 1
    Array([1.0986], dtype=float32)
    """
    predictions, targets = as_arrays(predictions, targets)
    lengths = None if lengths is None else as_array(lengths)
    target_lengths = None if target_lengths is None else as_array(target_lengths)
    if predictions.ndim != 3 or targets.ndim != 2 or len(predictions) != len(targets):
        raise ValueError(
            "predictions and targets of ctc must be [batch, time, classes] and [batch, labels], "
            f"got {predictions.shape} and {targets.shape}. Add the batch axis."
        )
    batch, time, classes = predictions.shape
    if 0 in (time, classes):
        raise ValueError(
            "predictions of ctc must have one time step and one class or more, got shape "
            f"{predictions.shape}. Leave out sequences without time steps."
        )
    _check_lengths("lengths", lengths, batch)
    _check_lengths("target_lengths", target_lengths, batch)
    if not 0 <= check_integer("blank", blank, least=None) < classes:
        raise ValueError(
            f"blank must be one of the classes 0 to {classes - 1}, got {blank}. A usual value is 0."
        )
    time_padding = _padding((batch, time), lengths)
    label_padding = _padding(targets.shape, target_lengths)
    logits = jnp.where(time_padding[..., None] > 0, 0, as_float(predictions))
    labels = jnp.where(label_padding > 0, blank, targets)
    loss = optax.losses.ctc_loss(
        _bounded(logits), time_padding, labels, label_padding, blank_id=blank
    )
    return loss - jax.lax.stop_gradient(jnp.minimum(loss, 0))  # rounding may lead below 0


def _check_lengths(name: str, lengths: Int[Array, "..."] | None, batch: int) -> None:
    if lengths is not None and lengths.shape != (batch,):
        raise ValueError(
            f"{name} must have shape ({batch},), one entry for each row, got {lengths.shape}. "
            "Reshape it."
        )


def _bounded(logits: Float[Array, "batch time classes"]) -> Float[Array, "batch time classes"]:
    """Return the logits minus their highest, at least -1e5, which Optax uses as the log of 0.

    With a log probability of -inf, Optax would compute 0 * inf = NaN.
    """
    highest = jnp.max(logits, axis=-1, keepdims=True, initial=jnp.finfo(logits.dtype).min)
    return jnp.maximum(logits - jax.lax.stop_gradient(highest), -1e5)


def _padding(shape: tuple, lengths: Int[Array, " batch"] | None) -> Float[Array, "batch time"]:
    """Return 1 at the positions from the length of each row on, and 0 before."""
    if lengths is None:
        return jnp.zeros(shape)
    return (jnp.arange(shape[1]) >= lengths[:, None]).astype(jnp.float32)
