"""Dropout and stochastic depth, whose rates are hyper-parameters that members may set."""

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
        self.dropout_rate = None if rate is None else rate_of("dropout_rate", rate)
        self.broadcast_axes = tuple(broadcast_axes)
        self.deterministic = False
        self.rngs = None if rate is None else stream_of(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Drop a share of the entries of x and scale up the others; the shape stays."""
        if self.dropout_rate is None or self.rngs is None:
            return x
        key = None if self.deterministic else self.rngs()
        return dropout(x, self.dropout_rate[...], key=key, broadcast_axes=self.broadcast_axes)


@with_signature
class DropPath(nnx.Module):
    """Stochastic depth: y = x mask / (1 - rate) with one draw for each row, y = x after training.

    Applied to what a residual block adds, it leaves the block out for some rows. Huang et al.
    (2016), arXiv:1603.09382. The rate is `factor * drop_path_rate`, where `drop_path_rate` is a
    `jnn.Hyper`, which members may set by that name.

    Args:
        rate: Share of the rows that is dropped, from 0 to 1. None for a layer without rate and
            keys, which returns x as it is.
        factor: Factor of the rate, from 0 to 1; the paper's rises with the depth of the block.
        rngs: Keys of the stream `dropout`.

    Raises:
        ValueError: If the rate or the factor is outside 0 to 1.
    """

    def __init__(self, rate: float | None, *, factor: float = 1.0, rngs: nnx.Rngs):
        check_number("factor", factor, FROM_0_TO_1, "It is a share of the rate.")
        self.drop_path_rate = None if rate is None else rate_of("drop_path_rate", rate)
        self.factor = factor
        self.deterministic = False
        self.rngs = None if rate is None else stream_of(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Drop a share of the rows of x, [batch, ...], and scale up the others."""
        if self.drop_path_rate is None or self.rngs is None:
            return x
        key = None if self.deterministic else self.rngs()
        axes = tuple(range(1, x.ndim))
        return dropout(x, self.factor * self.drop_path_rate[...], key=key, broadcast_axes=axes)


def rate_of(name: str, rate: float) -> Hyper:
    """Return a rate as a hyper-parameter that members may set."""
    check_number(name, rate, FROM_0_TO_1, "It is the share of the entries to drop.")
    return Hyper(jnp.float32(rate))


def stream_of(rngs: nnx.Rngs) -> nnx.RngStream:
    """Return a stream of keys of its own; Flax takes the stream `default` if there is no other."""
    return rngs["dropout"].fork()
