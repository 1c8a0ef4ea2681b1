"""Statistics of a batch as features, by which a discriminator sees whether examples differ."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jnn._arrays import as_array
from jnn._settings import check_integer
from jnn.layers._floating import narrow, widen


def minibatch_std(
    x: Float[Array, "batch *spatial channels"], group: int = 4
) -> Float[Array, "batch *spatial channels+1"]:
    """Append a channel with the mean standard deviation of the examples of a group.

    mean over positions and channels of sqrt(var over the group + 1e-8)

    Row i is in a group with the rows i + k batch / group. Karras et al. (2018),
    https://arxiv.org/abs/1710.10196

    Args:
        x: Features.
        group: Number of examples of a group; all of a smaller batch.

    Raises:
        ValueError: If the batch is no multiple of the group.

    >>> minibatch_std(jnp.array([[0.0], [4.0]]), 2)
    Array([[0., 2.],
           [4., 2.]], dtype=float32)
    """
    x = as_array(x)
    rows = x.shape[0]
    group = min(check_integer("group", group), max(rows, 1))
    if rows % group:
        raise ValueError(f"group must divide the batch of {rows} rows, got {group}.")
    grouped = widen(x).reshape(group, rows // group, *x.shape[1:])
    deviation = jnp.sqrt(grouped.var(axis=0) + 1e-8)  # [batch / group, *spatial, channels]
    mean = deviation.mean(axis=tuple(range(1, deviation.ndim)))
    channel = jnp.tile(mean, group).reshape(rows, *(1,) * (x.ndim - 1))
    channel = jnp.broadcast_to(channel, (*x.shape[:-1], 1))
    return jnp.concatenate([x, narrow(channel, x)], axis=-1)
