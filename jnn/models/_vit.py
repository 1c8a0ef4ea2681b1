"""The transformer over patches of an image."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.models._form import check_rows
from jnn.modules import Dense, LayerNorm, TransformerBlock
from jnn.modules._dropout import dropout_or_none


class ViT(nnx.Module):
    """Cuts an image into patches, adds learned positions and a class token, reads the class from the token.

    Dosovitskiy et al. (2021), arXiv:2010.11929. For 1000 classes:

    | size | shape, patch, layers, heads, features | parameters |
    | --- | --- | --- |
    | ViT-B/16 | (224, 224, 3), 16, 12, 12, 768 | 86 567 656 |
    | ViT-L/16 | (224, 224, 3), 16, 24, 16, 1024 | 304 326 632 |

    Args:
        shape: Of an image: (height, width, channels).
        outputs: Classes.
        patch: Side of a patch in pixels; divides height and width.
        layers: Blocks.
        num_heads: Heads of each attention.
        features: Of every patch.
        hidden: Units of the network in a block, 4 `features` by default.
        dropout_rate: Share dropped of embeddings and what a block adds, which members may set by that name; None for no
            dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If the patch does not divide the images, or a call's x is of another shape.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        *,
        patch: int,
        layers: int,
        num_heads: int,
        features: int,
        hidden: int | None = None,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        height, width, channels = shape
        if patch < 1 or height % patch or width % patch:
            raise ValueError(
                f"wanted a patch that divides {height} x {width} pixels, but got {patch}; pad the images"
            )
        count = (height // patch) * (width // patch)
        self.shape, self.patch = (height, width, channels), patch
        self.embedding = Dense(patch * patch * channels, features, rngs=rngs)
        self.token = nnx.Param(jnp.zeros((1, features)))
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (count + 1, features)))
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            activation=partial(jax.nn.gelu, approximate=False),
            dropout_rate=dropout_rate,
            kernel_init=nnx.initializers.xavier_uniform(),
        )
        self.blocks = nnx.List(
            [block(features, num_heads, hidden, rngs=rngs) for _ in range(layers)]
        )
        self.norm = LayerNorm(features, rngs=rngs)
        self.output = Dense(features, outputs, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, outputs]."""
        check_rows(x, *self.shape)
        x = self.embedding(_patches(x, self.patch))  # [batch, patches, features]
        token = jnp.broadcast_to(self.token[...].astype(x.dtype), (x.shape[0], 1, x.shape[-1]))
        x = jnp.concatenate([token, x], axis=1) + self.positions[...].astype(x.dtype)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.output(self.norm(x[:, 0]))


def _patches(x: jax.Array, side: int) -> jax.Array:
    """[batch, height, width, channels] -> [batch, patches, side * side * channels], row by row."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // side, side, width // side, side, channels).swapaxes(2, 3)
    return x.reshape(batch, (height // side) * (width // side), side * side * channels)
