"""The pair of convolutional networks that play the adversarial game over images."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.modules import BatchNorm, Conv, ConvTranspose, Dense

_NORMAL = nnx.initializers.normal(0.02)


class DCGANGenerator(nnx.Module):
    """From noise to images: transposed 4x4 convolutions of stride 2, batch norm and relu, tanh at the end.

    Radford et al. (2016), arXiv:1511.06434. `DCGANGenerator((64, 64, 3))` has 3 576 704 parameters; the paper's own
    has width=128, 12 658 432. The kernels are drawn from N(0, 0.02), the scales of the norms from N(1, 0.02).

    Args:
        shape: Of an image: (height, width, channels), square, a side of 4, 5, 6 or 7 times a power of 2, at least 8.
        noise: Numbers that an image is made from.
        width: Maps next to the image; they double towards the noise.
        rngs: Stream `params`.

    Raises:
        ValueError: If the images are not square, or of another side.
    """

    def __init__(self, shape: Sequence[int], *, noise: int = 100, width: int = 64, rngs: nnx.Rngs):
        self.base, maps = _sizes(shape, width)
        self.project = Dense(
            noise, self.base**2 * maps[-1], use_bias=False, kernel_init=_NORMAL, rngs=rngs
        )
        self.first_norm = _norm(maps[-1], rngs=rngs)
        inner = list(reversed(maps))
        sizes = zip(inner, [*inner[1:], shape[-1]], strict=True)
        options: dict[str, Any] = {
            "strides": 2,
            "use_bias": False,
            "kernel_init": _NORMAL,
            "rngs": rngs,
        }
        self.convs = nnx.List([ConvTranspose(a, b, (4, 4), **options) for a, b in sizes])
        self.norms = nnx.List([_norm(m, rngs=rngs) for m in inner[1:]])

    def __call__(self, z: jax.Array) -> jax.Array:
        """[batch, noise] -> [batch, height, width, channels] in -1..1."""
        x = self.project(z).reshape(z.shape[0], self.base, self.base, self.first_norm.num_features)
        for norm, conv in zip([self.first_norm, *self.norms], self.convs, strict=True):
            x = conv(jax.nn.relu(norm(x)))
        return jnp.tanh(x)


class DCGANDiscriminator(nnx.Module):
    """From images to one logit: 4x4 convolutions of stride 2, leaky relu of 0.2, batch norm but for the first.

    Radford et al. (2016), arXiv:1511.06434. `DCGANDiscriminator((64, 64, 3))` has 2 765 568 parameters.

    Args:
        shape: Of an image, as the generator's.
        width: Maps next to the image; they double towards the logit.
        rngs: Stream `params`.

    Raises:
        ValueError: If the images are not square, or of another side.
    """

    def __init__(self, shape: Sequence[int], *, width: int = 64, rngs: nnx.Rngs):
        base, maps = _sizes(shape, width)
        sizes = zip([shape[-1], *maps], maps, strict=False)
        options: dict[str, Any] = {
            "strides": 2,
            "padding": 1,
            "use_bias": False,
            "kernel_init": _NORMAL,
            "rngs": rngs,
        }
        self.convs = nnx.List([Conv(a, b, (4, 4), **options) for a, b in sizes])
        self.norms = nnx.List([_norm(m, rngs=rngs) for m in maps[1:]])
        self.output = Dense(base**2 * maps[-1], 1, use_bias=False, kernel_init=_NORMAL, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] in -1..1 -> logits [batch]; above 0 for a real image."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            x = jax.nn.leaky_relu(self.norms[i - 1](x) if i else x, 0.2)
        return self.output(jax.lax.collapse(x, 1))[:, 0]


def _sizes(shape: Sequence[int], width: int) -> tuple[int, list[int]]:
    """The side of the innermost maps, and the number of maps after each halving of the image."""
    side, halvings = shape[0], 0
    while side % 2 == 0 and side >= 8:
        side, halvings = side // 2, halvings + 1
    if len(shape) != 3 or shape[0] != shape[1] or not 4 <= side <= 7 or not halvings:
        raise ValueError(
            f"wanted square images whose side is 4, 5, 6 or 7 times a power of 2, but got shape {tuple(shape)}; "
            "resize them, e.g. to (32, 32, channels)"
        )
    return side, [width << i for i in range(halvings)]


def _norm(maps: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return BatchNorm(maps, momentum=0.9, scale_init=_about_one, rngs=rngs)


def _about_one(key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    return 1 + _NORMAL(key, shape, dtype)
