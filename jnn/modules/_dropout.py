"""Dropout whose rate is a hyper-parameter that members may set."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import FROM_0_TO_1, check_number
from jnn._signature import with_signature
from jnn.layers import dropout
from jnn.model import Hyper


@with_signature
class Dropout(nnx.Module):
    """Dropout: y = x mask / (1 - rate) while the network trains, y = x after.

    Srivastava et al. (2014). It computes by `jnn.layers.dropout`, and its rate is a `jnn.Hyper`,
    which members may set by the name `dropout_rate`.

    Args:
        rate: Share of the entries that is dropped, from 0 to 1. None for a layer without rate and
            keys, which returns x as it is.
        broadcast_axes: Axes along which one draw decides for all entries.
        rngs: Keys of the stream `dropout`.

    Raises:
        ValueError: If the rate is outside 0 to 1.
    """

    def __init__(self, rate: float | None, *, broadcast_axes: Sequence[int] = (), rngs: nnx.Rngs):
        self.dropout_rate = None if rate is None else rate_of(rate)
        self.broadcast_axes = tuple(broadcast_axes)
        self.deterministic = False
        self.rngs = None if rate is None else stream_of(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Drop a share of the entries of x and scale up the others; the shape stays."""
        if self.dropout_rate is None or self.rngs is None:
            return x
        key = None if self.deterministic else self.rngs()
        return dropout(x, self.dropout_rate[...], key=key, broadcast_axes=self.broadcast_axes)


def rate_of(rate: float) -> Hyper:
    """Return the rate as a hyper-parameter that members may set."""
    check_number("dropout_rate", rate, FROM_0_TO_1, "It is the share of the entries to drop.")
    return Hyper(jnp.float32(rate))


def stream_of(rngs: nnx.Rngs) -> nnx.RngStream:
    """Return a stream of keys of its own; Flax takes the stream `default` if there is no other."""
    return rngs["dropout"].fork()
