"""Small convolutional networks for small images."""

from collections.abc import Sequence

import jax
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import max_pool
from jnn.models._output import output_layer
from jnn.modules import BatchNorm, Conv, Dense, Dropout


@with_signature
class LeNet(nnx.Module):
    """Convolution, activation and pooling, twice; then two dense layers. After LeCun et al. (1998).

    `LeNet((28, 28, 1), 10)` has 105 866 parameters: 3x3 kernels, 16 and 32 maps, 64 hidden units.

    Args:
        shape: Shape of an image, (height, width, channels); height and width are at least 4.
        outputs: Number of classes; the logits are [batch, outputs]. None to return the hidden
            units.
        maps: Number of output channels of each convolution, which is followed by 2x2 max-pooling.
        hidden: Number of units of the dense layer.
        batch_norm: Whether to normalize after each convolution.
        dropout_rate: Share of the hidden units that is dropped in training, which members may set
            by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the images are too small for so many poolings.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int | None,
        *,
        maps: Sequence[int] = (16, 32),
        hidden: int = 64,
        batch_norm: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        height, width, channels = shape
        smallest = 2 ** len(maps)
        if min(height, width) < smallest:
            raise ValueError(
                f"LeNet: images must have at least {smallest} pixels a side for {len(maps)} "
                f"poolings, got {height}x{width}. Use fewer maps or larger images."
            )
        sizes = zip((channels, *maps), maps, strict=False)
        self.convs = nnx.List([Conv(m, n, (3, 3), rngs=rngs) for m, n in sizes])
        self.norms = nnx.List([BatchNorm(n, rngs=rngs) for n in maps] if batch_norm else [])
        flat = (height >> len(maps)) * (width >> len(maps)) * maps[-1]
        self.hidden = Dense(flat, hidden, rngs=rngs)
        self.output = output_layer(hidden, outputs, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms:
                x = self.norms[i](x)
            x = max_pool(jax.nn.relu(x), 2)
        x = jax.nn.relu(self.hidden(jax.lax.collapse(x, 1)))
        return self.output(self.dropout(x))
