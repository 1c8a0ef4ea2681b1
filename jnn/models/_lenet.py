"""Small convolutional networks for small images."""

import itertools
from collections.abc import Sequence
from typing import Literal

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
    `LeNet((32, 32, 3), 10, maps=(6, 16), window=5, padding="VALID", hidden=(120, 84))` is the
    network of PyTorch's tutorial; it has 62 006 parameters.

    Args:
        shape: Shape of an image, (height, width, channels).
        outputs: Number of classes; the logits are [batch, outputs]. None to return the hidden
            units.
        maps: Number of output channels of each convolution, which is followed by 2x2 max-pooling.
        window: Side of the kernels in pixels.
        padding: "SAME" or "VALID", whether the convolutions pad the images or make them smaller.
        hidden: Number of units of the dense layer, or of each of several.
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
        window: int = 3,
        padding: Literal["SAME", "VALID"] = "SAME",
        hidden: int | Sequence[int] = 64,
        batch_norm: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        if padding not in ("SAME", "VALID"):
            raise ValueError(f"padding must be 'SAME' or 'VALID', got {padding!r}. Choose one.")
        *sides, channels = shape
        for _ in maps:
            sides = [_after(side, window, padding) for side in sides]
        if min(sides) < 1:
            smallest = _smallest(len(maps), window, padding)
            raise ValueError(
                f"LeNet: images must have at least {smallest} pixels a side for {len(maps)} "
                f"poolings, got {shape[0]}x{shape[1]}. Use fewer maps or larger images."
            )
        kernel = (window, window)
        pairs = zip((channels, *maps), maps, strict=False)
        self.convs = nnx.List([Conv(m, n, kernel, padding=padding, rngs=rngs) for m, n in pairs])
        self.norms = nnx.List([BatchNorm(n, rngs=rngs) for n in maps] if batch_norm else [])
        flat = sides[0] * sides[1] * (maps[-1] if maps else channels)
        sizes = (flat, *hidden) if isinstance(hidden, Sequence) else (flat, hidden)
        layers = [Dense(m, n, rngs=rngs) for m, n in itertools.pairwise(sizes)]
        self.hidden = nnx.List(layers) if isinstance(hidden, Sequence) else layers[0]
        self.output = output_layer(sizes[-1], outputs, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms:
                x = self.norms[i](x)
            x = max_pool(jax.nn.relu(x), 2)
        x = jax.lax.collapse(x, 1)
        for layer in [self.hidden] if isinstance(self.hidden, Dense) else self.hidden:
            x = self.dropout(jax.nn.relu(layer(x)))
        return self.output(x)


def _after(side: int, window: int, padding: str) -> int:
    """Return the side of an image after a convolution and a pooling."""
    return max(side - (window - 1 if padding == "VALID" else 0), 0) // 2


def _smallest(layers: int, window: int, padding: str) -> int:
    """Return the smallest side of which so many layers leave a pixel."""
    side = 1
    for _ in range(layers):
        side = 2 * side + (window - 1 if padding == "VALID" else 0)
    return side
