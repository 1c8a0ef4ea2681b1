"""The two convolutional networks of a generative adversarial network over images."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.modules import BatchNorm, Conv, ConvTranspose, Dense

_NORMAL = nnx.initializers.normal(0.02)


@with_signature
class DCGANGenerator(nnx.Module):
    """From noise to images: transposed 4x4 convolutions of stride 2, batch norm, relu, tanh last.

    Radford et al. (2016), arXiv:1511.06434. `DCGANGenerator((64, 64, 3))` has 3 576 704 parameters;
    the paper's own has width=128 and 12 658 432. The kernels are drawn from N(0, 0.02), the scales
    of the norms from N(1, 0.02).

    Args:
        shape: Shape of an image, (height, width, channels); it is square, with a side of 4, 5, 6 or
            7 times a power of 2, at least 8.
        noise: Number of random numbers that an image is made from.
        width: Number of maps next to the image; it doubles at each layer towards the noise.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the images are not square, or have another side.
    """

    def __init__(self, shape: Sequence[int], *, noise: int = 100, width: int = 64, rngs: nnx.Rngs):
        self.base, maps = sizes_of_maps(shape, width)
        inner = list(reversed(maps))
        self.project = Dense(
            noise, self.base**2 * inner[0], use_bias=False, kernel_init=_NORMAL, rngs=rngs
        )
        self.first_norm = _norm(inner[0], rngs=rngs)
        options: dict[str, Any] = {
            "strides": 2,
            "use_bias": False,
            "kernel_init": _NORMAL,
            "rngs": rngs,
        }
        sizes = zip(inner, [*inner[1:], shape[-1]], strict=True)
        self.convs = nnx.List([ConvTranspose(m, n, (4, 4), **options) for m, n in sizes])
        self.norms = nnx.List([_norm(n, rngs=rngs) for n in inner[1:]])

    def __call__(self, z: jax.Array) -> jax.Array:
        """Return images: [batch, noise] -> [batch, height, width, channels], from -1 to 1."""
        x = self.project(z).reshape(z.shape[0], self.base, self.base, self.first_norm.num_features)
        for norm, conv in zip([self.first_norm, *self.norms], self.convs, strict=True):
            x = conv(jax.nn.relu(norm(x)))
        return jnp.tanh(x)


@with_signature
class DCGANDiscriminator(nnx.Module):
    """From images to one logit: 4x4 convolutions of stride 2, batch norm, leaky relu of 0.2.

    Radford et al. (2016), arXiv:1511.06434. `DCGANDiscriminator((64, 64, 3))` has 2 765 568
    parameters. The first convolution has no batch norm.

    Args:
        shape: Shape of an image, as for the generator; for `packing` images at once, with as many
            times the channels.
        width: Number of maps next to the image; it doubles at each layer towards the logit.
        batch_norm: Whether to normalize after each further convolution; not with a penalty on the
            slope at each example, such as `jnn.gan.gradient_penalty`. The convolutions have a bias
            without it.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the images are not square, or have another side.
    """

    def __init__(
        self, shape: Sequence[int], *, width: int = 64, batch_norm: bool = True, rngs: nnx.Rngs
    ):
        base, maps = sizes_of_maps(shape, width)
        options: dict[str, Any] = {
            "strides": 2,
            "padding": 1,
            "use_bias": not batch_norm,
            "kernel_init": _NORMAL,
            "rngs": rngs,
        }
        sizes = zip([shape[-1], *maps], maps, strict=False)
        self.convs = nnx.List([Conv(m, n, (4, 4), **options) for m, n in sizes])
        self.norms = nnx.List([_norm(n, rngs=rngs) for n in maps[1:]] if batch_norm else [])
        self.output = Dense(base**2 * maps[-1], 1, use_bias=False, kernel_init=_NORMAL, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return logits: [batch, height, width, channels] -> [batch]; above 0 for a real image.

        The images have values from -1 to 1.
        """
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if i > 0 and self.norms:
                x = self.norms[i - 1](x)
            x = jax.nn.leaky_relu(x, 0.2)
        return self.output(jax.lax.collapse(x, 1))[:, 0]


def sizes_of_maps(shape: Sequence[int], width: int) -> tuple[int, list[int]]:
    """Return the side of the innermost maps, and the number of maps after each halving."""
    width = check_integer("width", width)
    sizes = [check_integer("shape", size) for size in shape] if isinstance(shape, Sequence) else []
    side = sizes[0] if sizes else 0
    halvings = 0
    while side % 2 == 0 and side >= 8:
        side //= 2
        halvings += 1
    if len(sizes) != 3 or sizes[0] != sizes[1] or not 4 <= side <= 7 or not halvings:
        raise ValueError(
            "shape must be (side, side, channels) with a side of 4, 5, 6 or 7 times a power of 2, "
            f"at least 8, got {shape!r}. Resize the images, e.g. to (32, 32, channels)."
        )
    return side, [width << i for i in range(halvings)]


def _norm(maps: int, *, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(maps, momentum=0.9, scale_init=_about_one, rngs=rngs)


def _about_one(key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    return 1 + _NORMAL(key, shape, dtype)
