"""Losses over embeddings `[*batch, dim]`, which compare distances."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Shaped

from jnn._arrays import as_arrays
from jnn._settings import check_number
from jnn._targets import as_float

Scalar = float | Float[Array, ""]


def contrastive(
    first: Float[Array, "*batch dim"],
    second: Float[Array, "*batch dim"],
    same: Shaped[Array, "*batch"],
    *,
    margin: Scalar = 1.0,
) -> Float[Array, "*batch"]:
    """Return the contrastive loss, which pulls matching pairs together and pushes others apart.

    s d^2 + (1 - s) max(0, margin - d)^2,  d = ||a - b||,  s = 1 for a matching pair, else 0

    Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping (2006),
    https://doi.org/10.1109/CVPR.2006.100 (here without the factor 1/2).

    Args:
        first: Embeddings a.
        second: Embeddings b.
        same: Whether each pair matches, s.
        margin: Distance from which on a pair that does not match costs nothing.

    Raises:
        ValueError: If the embeddings differ in shape, or `same` does not have the shape of their
            batch.

    >>> pairs = jnp.zeros((2, 2)), jnp.array([[0.6, 0.8], [0.3, 0.4]])
    >>> contrastive(*pairs, jnp.array([1, 0])).round(4)
    Array([1.  , 0.25], dtype=float32)
    """
    first, second, same = as_arrays(first, second, same)
    check_number("margin", margin, advice="Give a distance between embeddings.")
    _check_one_shape(first=first, second=second)
    if same.shape != first.shape[:-1]:
        raise ValueError(
            f"same must have shape {first.shape[:-1]}, one entry for each pair of embeddings "
            f"{first.shape}, got {same.shape}. Reshape it."
        )
    distance = _distance(first, second)
    s = as_float(same)
    return s * distance**2 + (1 - s) * jax.nn.relu(margin - distance) ** 2


def triplet(
    anchor: Float[Array, "*batch dim"],
    positive: Float[Array, "*batch dim"],
    negative: Float[Array, "*batch dim"],
    *,
    margin: Scalar = 1.0,
) -> Float[Array, "*batch"]:
    """Return the triplet loss, which wants the positive nearer to the anchor than the negative.

    max(0, ||a - p|| - ||a - n|| + margin)

    Schroff et al., FaceNet (2015), https://arxiv.org/abs/1503.03832 (here with plain distances).

    Args:
        anchor: Embeddings a.
        positive: Embeddings p of examples like the anchors.
        negative: Embeddings n of other examples.
        margin: How much nearer the positive must be for the loss to be 0.

    Raises:
        ValueError: If the embeddings differ in shape.

    >>> triplet(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]]), jnp.array([[0.0, 4.5]]))
    Array([1.5], dtype=float32)
    """
    anchor, positive, negative = as_arrays(anchor, positive, negative)
    check_number("margin", margin, advice="Give a distance between embeddings.")
    _check_one_shape(anchor=anchor, positive=positive, negative=negative)
    return jax.nn.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin)


def _check_one_shape(**embeddings: Float[Array, "..."]) -> None:
    shapes = {array.shape for array in embeddings.values()}
    if len(shapes) > 1 or () in shapes:
        text = ", ".join(f"{name} {array.shape}" for name, array in embeddings.items())
        raise ValueError(
            f"embeddings must be [*batch, dim] of one shape, got {text}. "
            "Use jnp.broadcast_to for an embedding that several examples share."
        )


def _distance(
    a: Float[Array, "*batch dim"], b: Float[Array, "*batch dim"]
) -> Float[Array, "*batch"]:
    """Return the Euclidean distance, with gradient 0 (not NaN) at 0.

    Differences are scaled before they are squared, so that squares do not overflow.
    """
    difference = as_float(a) - as_float(b)
    largest = jnp.max(jnp.abs(difference), -1, keepdims=True)
    scale = jax.lax.stop_gradient(jnp.maximum(largest, 1.0))
    return optax.safe_norm(difference / scale, 0.0, axis=-1) * scale[..., 0]
