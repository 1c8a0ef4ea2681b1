"""The small network of the CIFAR-10 speed records, and the whitening that it begins with."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import conv, global_max_pool, max_pool
from jnn.modules import BatchNorm, Conv, Dense

_UNIFORM = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # within 1 / sqrt(fan_in)


class Frozen(nnx.Variable):
    """An array of a network that is no parameter: nothing trains it."""


class SpeedNet(nnx.Module):
    """Frozen whitening of 2x2 patches, then three groups of two 3x3 convolutions, the first of each max-pooled.

    GELU throughout, batch norm with a bias but no scale, kernels that begin as the identity where they can, logits
    divided by 9. The network of airbench94, Jordan (2024), arXiv:2404.00498. For images of 32x32x3 and 10 classes it
    has 1 971 352 parameters beside the 288 frozen numbers.

    Args:
        channels: Of an image; its sides have at least 9 pixels.
        outputs: Classes.
        whitening: The frozen kernel [size, size, channels, maps], made by `whitening_kernel` from training images;
            by default random patches, for those who fill it in later.
        widths: Maps of the three groups.
        rngs: Stream `params`.

    Raises:
        ValueError: If the whitening kernel is not of these channels.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        whitening: jax.Array | None = None,
        widths: Sequence[int] = (64, 256, 256),
        rngs: nnx.Rngs,
    ):
        if whitening is None:
            whitening = _UNIFORM(rngs.params(), (2, 2, channels, 8 * channels))
        if whitening.ndim != 4 or whitening.shape[2] != channels:
            raise ValueError(
                f"wanted a whitening kernel [size, size, {channels}, maps], but got shape {whitening.shape}; "
                "make it by jnn.models.whitening_kernel from images of these channels"
            )
        self.whitening = Frozen(jnp.asarray(whitening))
        maps = whitening.shape[-1]
        self.whitening_bias = nnx.Param(jnp.zeros(maps))
        self.groups = nnx.List([])
        for width in widths:
            self.groups.append(_Group(maps, width, rngs=rngs))
            maps = width
        self.output = Dense(maps, outputs, use_bias=False, kernel_init=_UNIFORM, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels], standardised -> [batch, outputs]."""
        x = conv(x, self.whitening[...].astype(x.dtype), self.whitening_bias[...], padding="VALID")
        x = _gelu(x)
        for group in self.groups:
            x = group(x)
        return self.output(global_max_pool(x)) / 9


def whitening_kernel(images: jax.Array, *, size: int = 2, eps: float = 5e-4) -> jax.Array:
    """The kernel whose outputs on patches of these images are uncorrelated and of variance 1, and its negative.

    With patches p of size x size pixels, E[p p^T] = V diag(l) V^T, l falling: W = (V, -V) / sqrt(l + eps).

    Args:
        images: [rows, height, width, channels], as the network sees them: standardised. 5000 rows are enough.
        size: Of a patch.
        eps: Keeps directions without variance from being blown up.

    Returns:
        [size, size, channels, 2 size^2 channels].

    Raises:
        ValueError: If the images are smaller than a patch.
    """
    height, width, channels = images.shape[1:]
    if min(height, width) < size:
        raise ValueError(
            f"wanted images of at least {size} pixels a side, but got {height}x{width}; use a smaller size"
        )
    rows, columns = height - size + 1, width - size + 1
    shifted = [images[:, i : i + rows, j : j + columns] for i in range(size) for j in range(size)]
    patches = jnp.stack(shifted, axis=-2).reshape(-1, size * size * channels)
    moments = jnp.matmul(patches.T, patches, precision="highest") / len(patches)
    variances, directions = jnp.linalg.eigh(moments)  # rising; a column is a direction
    scaled = (directions / jnp.sqrt(jnp.maximum(variances, 0) + eps))[:, ::-1]
    return jnp.concatenate([scaled, -scaled], axis=1).reshape(size, size, channels, -1)


class _Group(nnx.Module):
    """Convolution, pooling, norm, GELU; convolution, norm, GELU."""

    def __init__(self, channels: int, width: int, *, rngs: nnx.Rngs):
        self.conv1 = _conv(channels, width, rngs=rngs)
        self.norm1 = _norm(width, rngs=rngs)
        self.conv2 = _conv(width, width, rngs=rngs)
        self.norm2 = _norm(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = _gelu(self.norm1(max_pool(self.conv1(x), 2)))
        return _gelu(self.norm2(self.conv2(x)))


def _gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


def _conv(channels: int, width: int, *, rngs: nnx.Rngs) -> nnx.Conv:
    return Conv(channels, width, (3, 3), use_bias=False, kernel_init=_identity_first, rngs=rngs)


def _norm(width: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return BatchNorm(width, use_scale=False, momentum=0.6, epsilon=1e-12, rngs=rngs)


def _identity_first(
    key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Uniform, but the first maps hand on the input's channels: a residual without an addition."""
    height, width, channels, maps = shape
    kept = min(channels, maps)
    one = jnp.zeros((height, width, channels, kept), dtype)
    one = one.at[height // 2, width // 2, jnp.arange(kept), jnp.arange(kept)].set(1)
    return _UNIFORM(key, shape, dtype).at[..., :kept].set(one)
