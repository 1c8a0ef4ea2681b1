"""A small Xception for small images."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import global_avg_pool, max_pool
from jnn.models._shape import check_shape
from jnn.modules import BatchNorm, Conv

_GLOROT = nnx.initializers.glorot_uniform()


@with_signature
class MiniXception(nnx.Module):
    """Depthwise separable convolutions with shortcuts, after two usual ones.

    Arriaga et al. (2017), arXiv:1710.07557, after Chollet (2017), arXiv:1610.02357.
    `MiniXception(1, 7)` is the authors' network for faces of 64x64 pixels and 7 emotions; it has
    56 951 parameters and 1 472 statistics. As there the sides are padded as Keras pads them, and
    batch norm has an epsilon of 1e-3 and a momentum of 0.99.

    The logits are the means over space of the maps of a last 3x3 convolution.

    Args:
        channels: Number of channels of an image, whose sides have at least 5 pixels.
        outputs: Number of classes; None to return the mean over space of what the last convolution
            reads.
        stem: Number of maps of each 3x3 convolution at the beginning, which are not padded.
        widths: Number of maps of each block of two separable convolutions, which halves the sides.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If a call's x has other channels.
    """

    def __init__(
        self,
        channels: int,
        outputs: int | None,
        *,
        stem: Sequence[int] = (8, 8),
        widths: Sequence[int] = (16, 32, 64, 128),
        rngs: nnx.Rngs,
    ):
        self.channels = channels
        sizes = (channels, *stem, *widths)
        self.stem = nnx.List(
            [_conv(m, n, 3, padding="VALID", rngs=rngs) for m, n in zip(sizes, stem, strict=False)]
        )
        self.stem_norms = nnx.List([_norm(n, rngs=rngs) for n in stem])
        pairs = zip(sizes[len(stem) :], widths, strict=False)
        self.blocks = nnx.List([_Block(m, n, rngs=rngs) for m, n in pairs])
        if outputs is None:
            self.output = None
        else:
            self.output = Conv(sizes[-1], outputs, (3, 3), kernel_init=_GLOROT, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        check_shape(x, None, None, self.channels)
        for conv, norm in zip(self.stem, self.stem_norms, strict=True):
            x = jax.nn.relu(norm(conv(x)))
        for block in self.blocks:
            x = block(x)
        return global_avg_pool(x if self.output is None else self.output(x))


class _Block(nnx.Module):
    """Two separable convolutions and a 3x3 max-pool of stride 2, beside a 1x1 convolution."""

    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        self.shortcut = _conv(channels, width, 1, strides=2, rngs=rngs)
        self.shortcut_norm = _norm(width, rngs=rngs)
        self.conv1 = _Separable(channels, width, rngs=rngs)
        self.norm1 = _norm(width, rngs=rngs)
        self.conv2 = _Separable(width, width, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        y = max_pool(self.norm2(self.conv2(y)), 3, strides=2, padding="SAME")
        return y + self.shortcut_norm(self.shortcut(x))


class _Separable(nnx.Module):
    """A 3x3 convolution of each map by itself, and a 1x1 convolution."""

    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        self.depthwise = _conv(channels, channels, 3, feature_group_count=channels, rngs=rngs)
        self.pointwise = _conv(channels, width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.pointwise(self.depthwise(x))


def _conv(channels: int, maps: int, window: int, *, rngs: nnx.Rngs, **options: Any) -> Conv:
    return Conv(
        channels,
        maps,
        (window, window),
        use_bias=False,
        kernel_init=_GLOROT,
        rngs=rngs,
        **options,
    )


def _norm(maps: int, *, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(maps, epsilon=1e-3, rngs=rngs)
