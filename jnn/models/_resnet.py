"""Residual networks for images, small ones and large ones."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import global_avg_pool, max_pool
from jnn.modules import BatchNorm, Conv, Dense

_HE = nnx.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")


class ResNet(nnx.Module):
    """Residual network: y = relu(x + F(x)) with F two or three convolutions. He et al. (2015), arXiv:1512.03385.

    | depth | blocks | parameters |
    | --- | --- | --- |
    | 18, 34 | two 3x3 convolutions; 64, 128, 256, 512 maps | 11 689 512, 21 797 672 |
    | 50, 101, 152 | 1x1, 3x3, 1x1 with four times as many maps | 25 557 032, 44 549 160, 60 192 808 |
    | 20, 32, 44, 56, 110: 6 n + 2 | two 3x3 convolutions; 16, 32, 64 maps | 0.27, 0.46, 0.66, 0.85, 1.73 million |

    The first two rows are counted for 3 channels and 1000 classes, the last for 3 and 10. Where a stage begins, the
    first two rows project the shortcut by a 1x1 convolution (the paper's B), the last takes every second pixel and
    fills the new maps with zeros (A). The stride of a block of three stands on its 3x3 convolution.

    Args:
        channels: Of an image.
        outputs: Classes.
        depth: See the table.
        stem: "large" begins with a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2, "small" with one 3x3
            convolution, for images of 28 or 32 pixels a side. By default large for the first two rows, small for the
            last.
        width: Maps of the first stage, 64 or 16 by default; it doubles at each stage.
        rngs: Stream `params`.

    Raises:
        ValueError: For a depth that is not in the table.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        depth: int = 18,
        *,
        stem: Literal["large", "small"] | None = None,
        width: int | None = None,
        rngs: nnx.Rngs,
    ):
        form = _form(depth)
        if stem not in (None, "large", "small"):
            raise ValueError(f"wanted the stem 'large' or 'small', but got {stem!r}; choose one")
        self.is_large, width = (stem or form.stem) == "large", width or form.width
        window, stride = (7, 2) if self.is_large else (3, 1)
        self.stem = _conv(channels, width, window, stride, rngs=rngs)
        self.stem_norm = _norm(width, rngs=rngs)
        self.blocks, maps = nnx.List([]), width
        for stage, count in enumerate(form.counts):
            for i in range(count):
                stride = 2 if stage and not i else 1
                self.blocks.append(form.block(maps, width << stage, stride, rngs=rngs))
                maps = self.blocks[-1].maps
        self.output = Dense(maps, outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, outputs]."""
        x = jax.nn.relu(self.stem_norm(self.stem(x)))
        x = max_pool(x, 3, strides=2, padding=[(1, 1)] * 2) if self.is_large else x
        for block in self.blocks:
            x = block(x)
        return self.output(global_avg_pool(x))


class _Basic(nnx.Module):
    """Two 3x3 convolutions."""

    def __init__(self, channels: int, width: int, stride: int, *, project: bool, rngs: nnx.Rngs):
        self.maps = width
        self.conv1 = _conv(channels, width, 3, stride, rngs=rngs)
        self.norm1 = _norm(width, rngs=rngs)
        self.conv2 = _conv(width, width, 3, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)
        self.shortcut = _shortcut(channels, width, stride, project=project, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.norm1(self.conv1(x)))
        return jax.nn.relu(self.norm2(self.conv2(y)) + _beside(self.shortcut, x))


class _Bottleneck(nnx.Module):
    """A 1x1 convolution to fewer maps, a 3x3 one among them, and a 1x1 one to four times as many."""

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
        return jax.nn.relu(self.norm3(self.conv3(y)) + _beside(self.shortcut, x))


class _Projection(nnx.Module):
    """A 1x1 convolution, normalised."""

    def __init__(self, channels: int, maps: int, stride: int, *, rngs: nnx.Rngs):
        self.conv = _conv(channels, maps, 1, stride, rngs=rngs)
        self.norm = _norm(maps, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x))


class _Thinning(nnx.Module):
    """Every `stride`-th pixel, with maps of zeros on both sides of the old ones; no parameters."""

    def __init__(self, channels: int, maps: int, stride: int):
        self.stride, self.before, self.after = (
            stride,
            (maps - channels) // 2,
            -((channels - maps) // 2),
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        thin = x[:, :: self.stride, :: self.stride]
        return jnp.pad(thin, [(0, 0)] * 3 + [(self.before, self.after)])


class _Form(NamedTuple):
    block: Any
    counts: tuple[int, ...]  # blocks of each stage
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
            f"wanted a depth of {sorted(large)} or 6 n + 2, but got {depth}; use e.g. 18 or 20"
        )
    return _Form(functools.partial(_Basic, project=False), ((depth - 2) // 6,) * 3, 16, "small")


def _conv(channels: int, maps: int, window: int, stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    sizes = {"kernel_size": (window, window), "strides": stride, "padding": window // 2}
    return Conv(channels, maps, **sizes, use_bias=False, kernel_init=_HE, rngs=rngs)


def _norm(maps: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return BatchNorm(maps, momentum=0.9, rngs=rngs)


def _shortcut(channels: int, maps: int, stride: int, *, project: bool, rngs: nnx.Rngs) -> Any:
    """What x becomes beside the convolutions; None where it stays as it is."""
    if stride == 1 and channels == maps:
        return None
    return (
        _Projection(channels, maps, stride, rngs=rngs)
        if project
        else _Thinning(channels, maps, stride)
    )


def _beside(shortcut: Any, x: jax.Array) -> jax.Array:
    return x if shortcut is None else shortcut(x)
