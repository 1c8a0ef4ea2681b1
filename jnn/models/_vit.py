"""The transformer over patches of an image."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import broadcast_parameter
from jnn.models._output import output_layer
from jnn.models._patch_conv import patch_conv
from jnn.models._shape import check_shape
from jnn.modules import Dropout, LayerNorm, TransformerBlock


@with_signature
class ViT(nnx.Module):
    """The vision transformer: patches of an image with learned positions, and a class token.

    Dosovitskiy et al. (2021), arXiv:2010.11929. For 1000 classes:

    | size | shape, patch, layers, heads, features | parameters |
    | --- | --- | --- |
    | ViT-B/16 | (224, 224, 3), 16, 12, 12, 768 | 86 567 656 |
    | ViT-L/16 | (224, 224, 3), 16, 24, 16, 1024 | 304 326 632 |

    Args:
        shape: Shape of an image, (height, width, channels).
        outputs: Number of classes; None to return the features of the class token.
        patch: Side of a patch in pixels, which divides height and width.
        layers: Number of blocks.
        num_heads: Number of heads of each attention.
        features: Number of features of every patch.
        hidden: Number of hidden units of the network in a block; `4 * features` by default.
        dropout_rate: Share of embeddings and of what a block adds that is dropped, which members
            may set by that name; None for no dropout.
        epsilon: Number added to the variances of the normalizations.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the patch does not divide the images, or a call's x has another shape.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int | None,
        *,
        patch: int,
        layers: int,
        num_heads: int,
        features: int,
        hidden: int | None = None,
        dropout_rate: float | None = None,
        epsilon: float = 1e-6,
        rngs: nnx.Rngs,
    ):
        height, width, channels = shape
        if patch < 1 or height % patch or width % patch:
            raise ValueError(
                f"patch must divide the {height}x{width} pixels of an image, got {patch}. Choose "
                "another patch or pad the images."
            )
        count = (height // patch) * (width // patch)
        self.shape = (height, width, channels)
        self.embedding = patch_conv(channels, features, patch, rngs=rngs)
        self.token = nnx.Param(jnp.zeros((1, features)))
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (count + 1, features)))
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        norm = partial(LayerNorm, epsilon=epsilon)
        block = partial(
            TransformerBlock,
            norm=norm,
            activation=partial(jax.nn.gelu, approximate=False),
            dropout_rate=dropout_rate,
            kernel_init=nnx.initializers.xavier_uniform(),
        )
        self.blocks = nnx.List(
            [block(features, num_heads, hidden, rngs=rngs) for _ in range(layers)]
        )
        self.norm = norm(features, rngs=rngs)
        zeros = nnx.initializers.zeros_init()
        self.output = output_layer(features, outputs, kernel_init=zeros, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        check_shape(x, *self.shape)
        x = self.embedding(x)  # [batch, rows, columns, features]
        x = jax.lax.collapse(x, 1, 3)  # [batch, patches, features]
        shape = (x.shape[0], 1, x.shape[-1])
        token = jnp.broadcast_to(broadcast_parameter(self.token[...].astype(x.dtype), shape), shape)
        x = jnp.concatenate([token, x], axis=1)
        x = x + broadcast_parameter(self.positions[...].astype(x.dtype), x.shape)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.output(self.norm(x[:, 0]))
