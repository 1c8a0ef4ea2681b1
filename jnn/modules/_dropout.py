"""Dropout whose rate is a member's number."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import dropout
from jnn.model import Hyper


class Dropout(nnx.Module):
    """`jnn.layers.dropout` whose rate is a number that members may set by the name `dropout_rate`.

    Args:
        rate: Share dropped, 0 to 1.
        broadcast_axes: Axes along which one decision holds.
        rngs: Gives the stream `dropout`.

    Raises:
        ValueError: If the rate is outside 0 to 1.
    """

    def __init__(self, rate: float, *, broadcast_axes: Sequence[int] = (), rngs: nnx.Rngs):
        self.dropout_rate = rate_of(rate)
        self.broadcast_axes = tuple(broadcast_axes)
        self.deterministic = False
        self.rngs = stream_of(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """x -> x with a share of its entries 0 and the others scaled up, the same shape."""
        key = None if self.deterministic else self.rngs()
        return dropout(x, self.dropout_rate[...], key=key, broadcast_axes=self.broadcast_axes)


def dropout_or_none(rate: float | None, *, rngs: nnx.Rngs) -> Callable[[jax.Array], jax.Array]:
    """`Dropout` of this rate, or for None what leaves everything as it is: no variables and no keys."""
    return _unchanged if rate is None else Dropout(rate, rngs=rngs)


def rate_of(rate: float) -> Hyper:
    """The rate as a number that members may set."""
    if not 0 <= rate <= 1:
        raise ValueError(
            f"wanted a dropout rate in [0, 1], but got {rate}; it is the share that is dropped"
        )
    return Hyper(jnp.float32(rate))


def stream_of(rngs: nnx.Rngs) -> nnx.RngStream:
    """A stream of keys of its own for one module; Flax takes `default` where there is no `dropout`."""
    return rngs["dropout"].fork()


def _unchanged(x: jax.Array) -> jax.Array:
    return x
