"""Losses over sequences whose alignment is unknown."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jnn.losses._form import as_float


def ctc(
    predictions: Float[Array, "batch time classes"],
    targets: Int[Array, "batch labels"],
    *,
    lengths: Int[Array, " batch"] | None = None,
    target_lengths: Int[Array, " batch"] | None = None,
    blank: int = 0,
) -> Float[Array, " batch"]:
    """Connectionist temporal classification: -log of the probability of all alignments that spell the targets.

    -log sum_{paths that collapse to t} prod_time softmax(x)_path

    Time steps from `lengths` on and labels from `target_lengths` on are padding; None means that nothing is. A target
    that cannot be spelled in its time steps, or only by a class of logit -inf, costs 1e5 or a few times that, a finite
    stand-in for infinity.

    Graves et al., Connectionist Temporal Classification (2006), https://doi.org/10.1145/1143844.1143891

    Raises:
        ValueError: If the shapes do not fit or there is no such blank.

    >>> ctc(jnp.zeros((1, 2, 3)), jnp.array([[1]])).round(4)  # 3 of the 9 paths spell 1
    Array([1.0986], dtype=float32)
    """
    if predictions.ndim != 3 or targets.ndim != 2 or len(predictions) != len(targets):
        raise ValueError(
            f"ctc wants predictions [batch, time, classes] and targets [batch, labels], got {predictions.shape} and "
            f"{targets.shape}; add the batch axis."
        )
    batch, _, classes = predictions.shape
    for name, given in (("lengths", lengths), ("target_lengths", target_lengths)):
        if given is not None and given.shape != (batch,):
            raise ValueError(
                f"wanted {name} ({batch},), one for each row, but got {given.shape}; reshape them"
            )
    if not 0 <= blank < classes:
        raise ValueError(
            f"wanted a blank among the classes 0 to {classes - 1}, but got {blank}; 0 is usual"
        )
    logits = _bounded(as_float(predictions))
    padded_time = _padding(logits.shape[:2], lengths)
    return optax.losses.ctc_loss(
        logits, padded_time, targets, _padding(targets.shape, target_lengths), blank_id=blank
    )


def _bounded(logits: Float[Array, "batch time classes"]) -> Float[Array, "batch time classes"]:
    """The logits less their highest, at least -1e5, optax's log of 0: a log probability of -inf makes 0 * inf = NaN."""
    highest = jnp.max(logits, axis=-1, keepdims=True, initial=jnp.finfo(logits.dtype).min)
    return jnp.maximum(logits - jax.lax.stop_gradient(highest), -1e5)


def _padding(shape: tuple, lengths: Int[Array, " batch"] | None) -> Float[Array, "batch time"]:
    """1 at the positions behind each row's length."""
    if lengths is None:
        return jnp.zeros(shape)
    return (jnp.arange(shape[1]) >= lengths[:, None]).astype(jnp.float32)
