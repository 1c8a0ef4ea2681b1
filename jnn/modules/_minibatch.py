"""Statistics of a batch as features."""

import jax
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import minibatch_std


@with_signature
class MinibatchStd(nnx.Module):
    """A layer without parameters that appends how much the examples of a group differ.

    [batch, *spatial, channels] -> [batch, *spatial, channels + 1]; see
    `jnn.layers.minibatch_std`. It usually stands before the last layers of a discriminator.

    Args:
        group: Number of examples of a group, a divisor of the batch.
    """

    def __init__(self, group: int = 4):
        self.group = group

    def __call__(self, x: jax.Array) -> jax.Array:
        """Append the channel."""
        return minibatch_std(x, self.group)
