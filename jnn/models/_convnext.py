"""ConvNeXt: a convolutional network in the proportions of a transformer."""

import itertools
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import broadcast_parameter, global_avg_pool
from jnn.models._output import output_layer
from jnn.models._patch_conv import patch_conv
from jnn.models._shape import check_shape
from jnn.modules import Conv, Dense, DropPath, LayerNorm

_NORMAL = nnx.initializers.truncated_normal(0.02)


@with_signature
class ConvNeXt(nnx.Module):
    """ConvNeXt: y = x + scale * W_2 gelu(W_1 norm(depthwise 7x7 convolution of x)).

    Liu et al. (2022), arXiv:2201.03545. For 3 channels and 1000 classes:

    | size | depths, widths | parameters |
    | --- | --- | --- |
    | ConvNeXt-T | (3, 3, 9, 3), (96, 192, 384, 768) | 28 589 128 |
    | ConvNeXt-S | (3, 3, 27, 3), (96, 192, 384, 768) | 50 223 688 |
    | ConvNeXt-B | (3, 3, 27, 3), (128, 256, 512, 1024) | 88 591 464 |

    The image is cut into patches of 4x4 pixels, and before each later stage of 2x2. Kernels are
    drawn from N(0, 0.02), truncated.

    Args:
        channels: Number of channels of an image.
        outputs: Number of classes; None to return the normalized mean of the last maps over space.
        depths: Number of blocks of each stage.
        widths: Number of maps of each stage.
        patch: Side of a patch of the image in pixels.
        layer_scale: First value of `scale`, one number for each map; None for no scale.
        drop_path_rate: Share of the rows whose last block is left out in training (Huang et al.
            2016, arXiv:1603.09382); it rises from 0 at the first block. Members may set it by that
            name; None to leave out none.
        epsilon: Number added to the variance of the last normalization; the others add 1e-6.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If depths and widths are not equally many, or a call's x has other channels.
    """

    def __init__(
        self,
        channels: int,
        outputs: int | None,
        *,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        patch: int = 4,
        layer_scale: float | None = 1e-6,
        drop_path_rate: float | None = None,
        epsilon: float = 1e-6,
        rngs: nnx.Rngs,
    ):
        if len(depths) != len(widths):
            raise ValueError(
                f"depths and widths must have one number for each stage, got {tuple(depths)} and "
                f"{tuple(widths)}. Give them equally many."
            )
        self.channels = channels
        self.stem = _patches(channels, widths[0], patch, rngs=rngs)
        self.stem_norm = LayerNorm(widths[0], rngs=rngs)
        self.downsamples = nnx.List(
            [_Downsample(m, n, rngs=rngs) for m, n in itertools.pairwise(widths)]
        )
        last = max(sum(depths) - 1, 1)
        block = partial(_Block, layer_scale=layer_scale, drop_path_rate=drop_path_rate, rngs=rngs)
        self.stages = nnx.List([])
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            before = sum(depths[:i])
            blocks = [block(width, depth=(before + j) / last) for j in range(depth)]
            self.stages.append(nnx.List(blocks))
        self.norm = LayerNorm(widths[-1], epsilon=epsilon, rngs=rngs)
        self.output = output_layer(widths[-1], outputs, kernel_init=_NORMAL, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        check_shape(x, None, None, self.channels)
        x = self.stem_norm(self.stem(x))
        for i, blocks in enumerate(self.stages):
            if i:
                x = self.downsamples[i - 1](x)
            for block in blocks:
                x = block(x)
        return self.output(self.norm(global_avg_pool(x)))


class _Downsample(nnx.Module):
    """A normalization, and a convolution of 2x2 pixels and stride 2."""

    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        self.norm = LayerNorm(channels, rngs=rngs)
        self.conv = _patches(channels, width, 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(self.norm(x))


class _Block(nnx.Module):
    """A residual block; `depth` is its place from 0 to 1, the first and the last block."""

    def __init__(
        self,
        width: int,
        *,
        depth: float,
        layer_scale: float | None,
        drop_path_rate: float | None,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            width, width, (7, 7), feature_group_count=width, kernel_init=_NORMAL, rngs=rngs
        )
        self.norm = LayerNorm(width, rngs=rngs)
        self.linear1 = Dense(width, 4 * width, kernel_init=_NORMAL, rngs=rngs)
        self.linear2 = Dense(4 * width, width, kernel_init=_NORMAL, rngs=rngs)
        self.scale = None if layer_scale is None else nnx.Param(jnp.full(width, 1.0 * layer_scale))
        self.drop_path = DropPath(drop_path_rate, factor=depth, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.gelu(self.linear1(self.norm(self.conv(x))), approximate=False)
        y = self.linear2(y)
        if self.scale is not None:
            y = y * broadcast_parameter(self.scale[...].astype(y.dtype), y.shape)
        return x + self.drop_path(y)


def _patches(channels: int, width: int, side: int, *, rngs: nnx.Rngs) -> Conv:
    return patch_conv(channels, width, side, kernel_init=_NORMAL, rngs=rngs)
