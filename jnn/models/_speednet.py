"""The small network of the CIFAR-10 speed records, and the whitening that it begins with."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._arrays import as_array
from jnn._settings import NOT_NEGATIVE, check_integer, check_number
from jnn._signature import with_signature
from jnn.layers import conv, global_max_pool, max_pool
from jnn.models._output import output_layer
from jnn.modules import BatchNorm, Conv

_UNIFORM = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # within 1 / sqrt(fan_in)


class Frozen(nnx.Variable):
    """An array of a network that is not a parameter, so no optimizer trains it."""


@with_signature
class SpeedNet(nnx.Module):
    """Frozen whitening of 2x2 patches, then three groups of two 3x3 convolutions.

    The first convolution of a group is max-pooled. All activations are GELU, batch norm has a bias
    but no scale, kernels begin as the identity where they can, and the logits are divided by 9. It
    is the network of airbench94, Jordan (2024), arXiv:2404.00498. For images of 32x32x3 and 10
    classes it has 1 971 352 parameters beside the 288 frozen numbers.

    Args:
        channels: Number of channels of an image, whose sides have at least 9 pixels.
        outputs: Number of classes; None to return the maxima of the last maps over space.
        whitening: The frozen kernel [size, size, channels, maps], made by `whitening_kernel` from
            training images; by default random, as a placeholder.
        widths: Number of maps of each group.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the whitening kernel has other channels.
    """

    def __init__(
        self,
        channels: int,
        outputs: int | None,
        *,
        whitening: jax.Array | None = None,
        widths: Sequence[int] = (64, 256, 256),
        rngs: nnx.Rngs,
    ):
        if whitening is None:
            whitening = _UNIFORM(rngs.params(), (2, 2, channels, 8 * channels))
        if whitening.ndim != 4 or whitening.shape[2] != channels:
            raise ValueError(
                f"whitening must have the shape [size, size, {channels}, maps], got "
                f"{whitening.shape}. Make it with jnn.models.whitening_kernel from images of "
                f"{channels} channels."
            )
        self.whitening = Frozen(jnp.asarray(whitening))
        maps = whitening.shape[-1]
        self.whitening_bias = nnx.Param(jnp.zeros(maps))
        self.groups = nnx.List([])
        for width in widths:
            self.groups.append(_Group(maps, width, rngs=rngs))
            maps = width
        self.output = output_layer(maps, outputs, use_bias=False, kernel_init=_UNIFORM, rngs=rngs)
        self.divisor = 1 if outputs is None else 9

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits of standardized images.

        [batch, height, width, channels] -> [batch, outputs]
        """
        kernel = self.whitening[...].astype(x.dtype)
        x = _gelu(conv(x, kernel, self.whitening_bias[...], padding="VALID"))
        for group in self.groups:
            x = group(x)
        return self.output(global_max_pool(x)) / self.divisor


def whitening_kernel(images: jax.Array, *, size: int = 2, eps: float = 5e-4) -> jax.Array:
    """Return the kernel that whitens patches of these images, followed by its negative.

    Its outputs are uncorrelated and have variance 1. With patches p of size x size pixels and
    E[p p^T] = V diag(l) V^T, where l falls, W = (V, -V) / sqrt(l + eps).

    Args:
        images: Images as the network sees them, standardized, [rows, height, width, channels]; 5000
            rows are enough. Computed with in float32 or wider.
        size: Side of a patch in pixels.
        eps: Number added to the variances, so that directions without variance do not blow up.

    Returns:
        An array [size, size, channels, 2 size^2 channels].

    Raises:
        ValueError: If the images are smaller than a patch.
    """
    images = as_array(images)
    if images.ndim != 4:
        raise ValueError(
            "images must be [rows, height, width, channels], got shape "
            f"{images.shape}. Add the missing axes."
        )
    check_integer("size", size, advice="A usual size is 2.")
    check_number("eps", eps, NOT_NEGATIVE, "A usual value is 5e-4.")
    # Products of bytes would begin anew at 256.
    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    height, width, channels = images.shape[1:]
    if min(height, width) < size:
        raise ValueError(
            f"size must be at most the side of the images, {height}x{width}, got {size}. Use a "
            "smaller size."
        )
    rows = height - size + 1
    columns = width - size + 1
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


def _conv(channels: int, width: int, *, rngs: nnx.Rngs) -> Conv:
    return Conv(channels, width, (3, 3), use_bias=False, kernel_init=_partial_identity, rngs=rngs)


def _norm(width: int, *, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(width, use_scale=False, momentum=0.6, epsilon=1e-12, rngs=rngs)


def _partial_identity(
    key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Draw uniformly, but let the first maps pass on the channels of the input.

    It is a residual connection without an addition.
    """
    height, width, channels, maps = shape
    count = min(channels, maps)
    identity = jnp.zeros((height, width, channels, count), dtype)
    diagonal = jnp.arange(count)
    identity = identity.at[height // 2, width // 2, diagonal, diagonal].set(1)
    return _UNIFORM(key, shape, dtype).at[..., :count].set(identity)
