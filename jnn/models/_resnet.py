"""Residual networks for images, small ones and large ones."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import global_avg_pool, max_pool
from jnn.models._output import output_layer
from jnn.modules import BatchNorm, Conv

_HE = nnx.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")


@with_signature
class ResNet(nnx.Module):
    """A residual network: y = relu(x + F(x)), where F is two or three convolutions.

    He et al. (2015), arXiv:1512.03385.

    | depth | blocks | parameters |
    | --- | --- | --- |
    | 18, 34 | two 3x3; 64, 128, 256, 512 maps | 11 689 512, 21 797 672 |
    | 50, 101, 152 | 1x1, 3x3, 1x1; 4 times the maps | 25 557 032, 44 549 160, 60 192 808 |
    | 20, 32, 44, 56, 110 | two 3x3; 16, 32, 64 maps | 0.27, 0.46, 0.66, 0.85, 1.73 million |

    The last row stands for all depths 6 n + 2. The first two rows are counted for 3 channels and
    1000 classes, the last for 3 and 10. Where a stage begins, the networks of the first two rows
    project the shortcut by a 1x1 convolution (option B of the paper); those of the last take every
    second pixel and fill the new maps with zeros (option A). In a block of three convolutions the
    3x3 one has the stride.

    Args:
        channels: Number of channels of an image.
        outputs: Number of classes; None to return the mean of the last maps over space.
        depth: Number of layers with parameters, see the table.
        stem: "large" begins with a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2,
            "small" with one 3x3 convolution, for images of 28 or 32 pixels a side. By default
            "large" for the first two rows of the table and "small" for the last.
        width: Number of maps of the first stage, by default 64 for the first two rows and 16
            for the last; it doubles at each stage.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If there is no network of this depth, or no such stem.
    """

    def __init__(
        self,
        channels: int,
        outputs: int | None,
        depth: int = 18,
        *,
        stem: Literal["large", "small"] | None = None,
        width: int | None = None,
        rngs: nnx.Rngs,
    ):
        form = _form(depth)
        if stem not in (None, "large", "small"):
            raise ValueError(f"stem must be 'large' or 'small', got {stem!r}. Choose one.")
        self.is_large = (stem or form.stem) == "large"
        width = width or form.width
        if self.is_large:
            self.stem = _conv(channels, width, 7, 2, rngs=rngs)
        else:
            self.stem = _conv(channels, width, 3, 1, rngs=rngs)
        self.stem_norm = _norm(width, rngs=rngs)
        self.stages = nnx.List([])
        maps = width
        for stage, count in enumerate(form.counts):
            blocks = nnx.List([])
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(form.block(maps, width << stage, stride, rngs=rngs))
                maps = blocks[i].maps
            self.stages.append(blocks)
        self.output = output_layer(maps, outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits: [batch, height, width, channels] -> [batch, outputs]."""
        x = jax.nn.relu(self.stem_norm(self.stem(x)))
        if self.is_large:
            x = max_pool(x, 3, strides=2, padding=[(1, 1)] * 2)
        for blocks in self.stages:
            for block in blocks:
                x = block(x)
        return self.output(global_avg_pool(x))


class _Basic(nnx.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, channels: int, width: int, stride: int, *, project: bool, rngs: nnx.Rngs):
        self.maps = width
        self.conv1 = _conv(channels, width, 3, stride, rngs=rngs)
        self.norm1 = _norm(width, rngs=rngs)
        self.conv2 = _conv(width, width, 3, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.shortcut = _shortcut(channels, width, stride, project=project, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        return jax.nn.relu(self.norm2(self.conv2(y)) + _apply_shortcut(self.shortcut, x))


class _Bottleneck(nnx.Module):
    """A residual block of three convolutions: 1x1 to fewer maps, 3x3, 1x1 to 4 times as many."""

    def __init__(self, channels: int, width: int, stride: int, *, rngs: nnx.Rngs):
        self.maps = 4 * width
        self.conv1 = _conv(channels, width, 1, rngs=rngs)
        self.norm1 = _norm(width, rngs=rngs)
        self.conv2 = _conv(width, width, 3, stride, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.conv3 = _conv(width, self.maps, 1, rngs=rngs)
        self.norm3 = _norm(self.maps, rngs=rngs)
        self.shortcut = _shortcut(channels, self.maps, stride, project=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        y = jax.nn.relu(self.norm2(self.conv2(y)))
        return jax.nn.relu(self.norm3(self.conv3(y)) + _apply_shortcut(self.shortcut, x))


class _Projection(nnx.Module):
    """A shortcut by a 1x1 convolution and batch norm."""

    def __init__(self, channels: int, maps: int, stride: int, *, rngs: nnx.Rngs):
        self.conv = _conv(channels, maps, 1, stride, rngs=rngs)
        self.norm = _norm(maps, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x))


class _Subsampling(nnx.Module):
    """A shortcut by every `stride`-th pixel, with maps of zeros on both sides; no parameters."""

    def __init__(self, channels: int, maps: int, stride: int):
        self.stride = stride
        self.before = (maps - channels) // 2
        self.after = maps - channels - self.before

    def __call__(self, x: jax.Array) -> jax.Array:
        pixels = x[:, :: self.stride, :: self.stride]
        return jnp.pad(pixels, [(0, 0)] * 3 + [(self.before, self.after)])


class _Form(NamedTuple):
    """What the depth decides.

    Attributes:
        block: Class of the blocks.
        counts: Number of blocks of each stage.
        width: Number of maps of the first stage.
        stem: Kind of the first layer.
    """

    block: Any
    counts: tuple[int, ...]
    width: int
    stem: str


def _form(depth: int) -> _Form:
    projected = functools.partial(_Basic, project=True)
    large = {
        18: (projected, (2, 2, 2, 2)),
        34: (projected, (3, 4, 6, 3)),
        50: (_Bottleneck, (3, 4, 6, 3)),
        101: (_Bottleneck, (3, 4, 23, 3)),
        152: (_Bottleneck, (3, 8, 36, 3)),
    }
    if depth in large:
        block, counts = large[depth]
        return _Form(block, counts, 64, "large")
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(
            f"depth must be one of {sorted(large)} or 6 n + 2, got {depth}. Use e.g. 18 or 20."
        )
    count = (depth - 2) // 6
    return _Form(functools.partial(_Basic, project=False), (count,) * 3, 16, "small")


def _conv(channels: int, maps: int, window: int, stride: int = 1, *, rngs: nnx.Rngs) -> Conv:
    return Conv(
        channels,
        maps,
        (window, window),
        stride,
        padding=window // 2,
        use_bias=False,
        kernel_init=_HE,
        rngs=rngs,
    )


def _norm(maps: int, *, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(maps, momentum=0.9, rngs=rngs)


def _shortcut(channels: int, maps: int, stride: int, *, project: bool, rngs: nnx.Rngs) -> Any:
    """Return the module that adapts x to the block's outputs, or None if they have its shape."""
    if stride == 1 and channels == maps:
        return None
    if project:
        return _Projection(channels, maps, stride, rngs=rngs)
    return _Subsampling(channels, maps, stride)


def _apply_shortcut(shortcut: Any, x: jax.Array) -> jax.Array:
    return x if shortcut is None else shortcut(x)
