"""Small convolutional networks for small images."""

from collections.abc import Sequence

import jax
from flax import nnx

from jnn.layers import max_pool
from jnn.modules import BatchNorm, Conv, Dense
from jnn.modules._dropout import dropout_or_none


class LeNet(nnx.Module):
    """Convolution, activation and pooling, twice; then two dense layers. After LeCun et al. (1998).

    `LeNet((28, 28, 1), 10)` has 105 866 parameters: 3x3 kernels, 16 and 32 maps, 64 hidden units.

    Args:
        shape: Of an image: (height, width, channels); height and width at least 4.
        outputs: Classes; the logits are [batch, outputs].
        maps: Output channels of the convolutions; each is followed by 2x2 max-pooling.
        hidden: Units of the dense layer.
        batch_norm: Whether to normalise after each convolution.
        dropout_rate: Share of the hidden units dropped in training, which members may set by that name; None for no
            dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If the images are too small for so many poolings.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        *,
        maps: Sequence[int] = (16, 32),
        hidden: int = 64,
        batch_norm: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        height, width, channels = shape
        if min(height, width) < 2 ** len(maps):
            raise ValueError(
                f"wanted images of at least {2 ** len(maps)} pixels a side, but got {height}x{width}"
            )
        sizes = (channels, *maps)
        self.convs = nnx.List(
            [Conv(a, b, (3, 3), rngs=rngs) for a, b in zip(sizes, maps, strict=False)]
        )
        self.norms = nnx.List([BatchNorm(b, rngs=rngs) for b in maps] if batch_norm else [])
        flat = (height >> len(maps)) * (width >> len(maps)) * maps[-1]
        self.hidden = Dense(flat, hidden, rngs=rngs)
        self.output = Dense(hidden, outputs, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, outputs]."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            x = self.norms[i](x) if self.norms else x
            x = max_pool(jax.nn.relu(x), 2)
        x = jax.nn.relu(self.hidden(jax.lax.collapse(x, 1)))
        x = self.dropout(x)
        return self.output(x)
