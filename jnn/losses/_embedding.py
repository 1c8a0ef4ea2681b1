"""Losses over embeddings: they compare distances, so they take the embeddings themselves, `[*batch, dim]`."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Shaped

from jnn.losses._form import as_float

Scalar = float | Float[Array, ""]


def contrastive(
    first: Float[Array, "*batch dim"],
    second: Float[Array, "*batch dim"],
    same: Shaped[Array, "*batch"],
    *,
    margin: Scalar = 1.0,
) -> Float[Array, "*batch"]:
    """Contrastive loss: pairs that belong together are pulled together, others pushed `margin` apart.

    s d^2 + (1 - s) max(0, margin - d)^2,  d = ||a - b||,  s = 1 for a pair that belongs together, else 0

    Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping (2006),
    https://doi.org/10.1109/CVPR.2006.100 (without its factor 1/2)

    Raises:
        ValueError: If the embeddings have not one shape, or `same` not that of their batch.

    >>> contrastive(jnp.zeros((2, 2)), jnp.array([[0.6, 0.8], [0.3, 0.4]]), jnp.array([1, 0])).round(4)
    Array([1.  , 0.25], dtype=float32)
    """
    _check_one_shape(first=first, second=second)
    if same.shape != first.shape[:-1]:
        raise ValueError(
            f"wanted same {first.shape[:-1]}, one for each pair of embeddings {first.shape}, but got {same.shape}; "
            "reshape it"
        )
    distance, s = _distance(first, second), as_float(same)
    return s * distance**2 + (1 - s) * jax.nn.relu(margin - distance) ** 2


def triplet(
    anchor: Float[Array, "*batch dim"],
    positive: Float[Array, "*batch dim"],
    negative: Float[Array, "*batch dim"],
    *,
    margin: Scalar = 1.0,
) -> Float[Array, "*batch"]:
    """Triplet loss: the positive shall be nearer to the anchor than the negative, by `margin`.

    max(0, ||a - p|| - ||a - n|| + margin)

    Schroff et al., FaceNet (2015), https://arxiv.org/abs/1503.03832 (here with plain distances)

    Raises:
        ValueError: If the embeddings have not one shape.

    >>> triplet(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]]), jnp.array([[0.0, 4.5]]))
    Array([1.5], dtype=float32)
    """
    _check_one_shape(anchor=anchor, positive=positive, negative=negative)
    return jax.nn.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin)


def _check_one_shape(**embeddings: Float[Array, "..."]) -> None:
    shapes = {array.shape for array in embeddings.values()}
    if len(shapes) > 1 or () in shapes:
        given = ", ".join(f"{name} {array.shape}" for name, array in embeddings.items())
        raise ValueError(
            f"wanted embeddings [*batch, dim] of one shape, but got {given}; "
            "broadcast what is shared with jnp.broadcast_to"
        )


def _distance(
    a: Float[Array, "*batch dim"], b: Float[Array, "*batch dim"]
) -> Float[Array, "*batch"]:
    """Euclidean distance whose gradient at 0 is 0, not NaN; differences are scaled so that squares do not overflow."""
    difference = as_float(a) - as_float(b)
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(difference), -1, keepdims=True), 1.0))
    return optax.safe_norm(difference / scale, 0.0, axis=-1) * scale[..., 0]
