"""Flax NNX modules: parameters with Flax's names, computed by the pure functions of `jnn.layers`.

Where Flax's own module takes an injected function, that is all there is to it.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.hyper import Hyper
from jnn.layers import conv_general_dilated, dropout

Dense = nnx.Linear
"""x kernel + bias; kernel [in, out]."""

Embedding = nnx.Embed
"""Rows of a table by integer ids; embedding [vocabulary, features]."""

Conv = functools.partial(nnx.Conv, conv_general_dilated=conv_general_dilated)
"""`nnx.Conv` with jnn's lowering, which stays fast inside loops and under vmap; kernel [*window, in/groups, out]."""

BatchNorm = nnx.BatchNorm
"""Normalises by the batch while training and by running statistics after; momentum is the share of the old value."""


class Dropout(nnx.Module):
    """`jnn.layers.dropout` whose rate is a number that members may set by the name `dropout_rate`.

    Args:
        rate: Share dropped, 0 to 1.
        broadcast_axes: Axes along which one decision holds.
        rngs: Gives the stream `dropout`.
    """

    def __init__(self, rate: float, *, broadcast_axes: Sequence[int] = (), rngs: nnx.Rngs):
        if not 0 <= rate <= 1:
            raise ValueError(f"wanted a dropout rate in [0, 1], but got {rate}; it is the share that is dropped")
        self.dropout_rate = Hyper(jnp.float32(rate))
        self.broadcast_axes = tuple(broadcast_axes)
        self.deterministic = False
        self.rngs = rngs["dropout"].fork() if "dropout" in rngs else rngs["default"].fork()

    def __call__(self, x: jax.Array) -> jax.Array:
        """x -> x with a share of its entries 0 and the others scaled up, the same shape."""
        key = None if self.deterministic else self.rngs()
        return dropout(x, self.dropout_rate[...], key=key, broadcast_axes=self.broadcast_axes)
