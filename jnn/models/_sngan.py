"""The two residual networks of a generative adversarial network over images."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import avg_pool
from jnn.models._dcgan import sizes_of_maps
from jnn.modules import BatchNorm, Conv, Dense, Embedding

_INIT = nnx.initializers.glorot_uniform()
_ONES = nnx.initializers.ones_init()
_ZEROS = nnx.initializers.zeros_init()


@with_signature
class SNGANGenerator(nnx.Module):
    """From noise to images: residual blocks that double the side, batch norm, relu, tanh last.

    Miyato et al. (2018), arXiv:1802.05957. `SNGANGenerator((32, 32, 3))` is the network of the
    paper for CIFAR-10. With `classes` it is called with (z, labels), and each class has its own
    scales and biases of the norms.

    Args:
        shape: Shape of an image, (height, width, channels); it is square, with a side of 4, 5, 6 or
            7 times a power of 2, at least 8.
        noise: Number of random numbers that an image is made from.
        width: Number of maps of each layer.
        classes: Number of classes of a conditional network, or None.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the images are not square, or have another side.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        noise: int = 128,
        width: int = 256,
        classes: int | None = None,
        rngs: nnx.Rngs,
    ):
        self.base, halvings = sizes_of_maps(shape, 1)
        self.width = width
        self.classes = classes
        self.project = Dense(noise, self.base**2 * width, kernel_init=_INIT, rngs=rngs)
        self.blocks = nnx.List([_Up(width, classes, rngs=rngs) for _ in halvings])
        self.norm = _ClassNorm(width, classes, rngs=rngs)
        self.output = _conv(width, shape[-1], 3, rngs=rngs)

    def __call__(self, z: Any) -> jax.Array:
        """Return images: [batch, noise] -> [batch, height, width, channels], from -1 to 1."""
        z, labels = _with_labels(z, self.classes)
        x = self.project(z).reshape(z.shape[0], self.base, self.base, self.width)
        for block in self.blocks:
            x = block(x, labels)
        return jnp.tanh(self.output(jax.nn.relu(self.norm(x, labels))))


@with_signature
class SNGANDiscriminator(nnx.Module):
    """From images to one logit: residual blocks, relu, the sum over positions.

    Miyato et al. (2018), arXiv:1802.05957; its kernels are normalized by
    `jnn.gan.spectral_norm(functools.partial(SNGANDiscriminator, (32, 32, 3)))`. With `classes` it
    is called with (x, labels), and adds the product of the summed features with a vector of the
    class (Miyato and Koyama 2018, arXiv:1802.05637).

    Args:
        shape: Shape of an image, as for the generator; for `packing` images at once, with as many
            times the channels.
        width: Number of maps of each layer.
        classes: Number of classes of a conditional network, or None.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the images are not square, or have another side.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 128,
        classes: int | None = None,
        rngs: nnx.Rngs,
    ):
        sizes_of_maps(shape, 1)
        channels = [shape[-1], width, width, width]
        self.blocks = nnx.List(
            [
                _Down(maps, width, first=i == 0, halves=i < 2, rngs=rngs)
                for i, maps in enumerate(channels)
            ]
        )
        self.output = Dense(width, 1, kernel_init=_INIT, rngs=rngs)
        of_class = None
        if classes is not None:
            of_class = Embedding(classes, width, embedding_init=_INIT, rngs=rngs)
        self.classes = of_class

    def __call__(self, x: Any) -> jax.Array:
        """Return logits: [batch, height, width, channels] -> [batch]; above 0 for a real image.

        The images have values from -1 to 1.
        """
        x, labels = _with_labels(x, self.classes)
        for block in self.blocks:
            x = block(x)
        features = jax.nn.relu(x).sum(axis=(1, 2))  # [batch, width]
        logits = self.output(features)[:, 0]
        if self.classes is None or labels is None:
            return logits
        return logits + (self.classes(labels) * features).sum(axis=1)


def _with_labels(x: Any, classes: Any) -> tuple[jax.Array, jax.Array | None]:
    """Return an input and its labels [batch], or None without classes."""
    if classes is None:
        return x, None
    is_pair = isinstance(x, tuple | list) and len(x) == 2
    if not is_pair or jnp.shape(x[1]) != jnp.shape(x[0])[:1]:
        came = f"the shapes {jnp.shape(x[0])} and {jnp.shape(x[1])}" if is_pair else "x alone"
        raise ValueError(
            "A network with classes must be called with (x, labels) of one label for each row of "
            f"x, got {came}. Set classes=None, or give such labels."
        )
    return x[0], x[1]


class _ClassNorm(nnx.Module):
    """Batch norm, whose scale and bias belong to the class of each image, if there are classes."""

    def __init__(self, maps: int, classes: int | None, *, rngs: nnx.Rngs):
        is_plain = classes is None
        self.norm = BatchNorm(maps, momentum=0.9, use_scale=is_plain, use_bias=is_plain, rngs=rngs)
        scale = bias = None
        if classes is not None:
            scale = Embedding(classes, maps, embedding_init=_ONES, rngs=rngs)
            bias = Embedding(classes, maps, embedding_init=_ZEROS, rngs=rngs)
        self.scale, self.bias = scale, bias

    def __call__(self, x: jax.Array, labels: jax.Array | None) -> jax.Array:
        x = self.norm(x)
        if self.scale is None or self.bias is None or labels is None:
            return x
        return x * self.scale(labels)[:, None, None] + self.bias(labels)[:, None, None]


class _Up(nnx.Module):
    """A residual block that doubles the side."""

    def __init__(self, maps: int, classes: int | None, *, rngs: nnx.Rngs):
        self.norms = nnx.List([_ClassNorm(maps, classes, rngs=rngs) for _ in range(2)])
        self.convs = nnx.List([_conv(maps, maps, 3, rngs=rngs) for _ in range(2)])
        self.shortcut = _conv(maps, maps, 1, rngs=rngs)

    def __call__(self, x: jax.Array, labels: jax.Array | None) -> jax.Array:
        y = _doubled(jax.nn.relu(self.norms[0](x, labels)))
        y = self.convs[0](y)
        y = self.convs[1](jax.nn.relu(self.norms[1](y, labels)))
        return y + _doubled(self.shortcut(x))  # a window of 1 commutes with doubling


class _Down(nnx.Module):
    """A residual block that may halve the side. The first one of a network begins without relu."""

    def __init__(self, maps: int, width: int, *, first: bool, halves: bool, rngs: nnx.Rngs):
        self.first, self.halves = first, halves
        sizes = [(maps, width), (width, width)]
        self.convs = nnx.List([_conv(m, n, 3, rngs=rngs) for m, n in sizes])
        needs_shortcut = halves or maps != width
        self.shortcut = _conv(maps, width, 1, rngs=rngs) if needs_shortcut else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.convs[0](x if self.first else jax.nn.relu(x))
        y = self.convs[1](jax.nn.relu(y))
        if self.halves:
            x, y = avg_pool(x, 2), avg_pool(y, 2)
        return y + (x if self.shortcut is None else self.shortcut(x))


def _conv(maps: int, width: int, window: int, *, rngs: nnx.Rngs) -> Conv:
    return Conv(maps, width, (window, window), kernel_init=_INIT, rngs=rngs)


def _doubled(x: jax.Array) -> jax.Array:
    """Return images of twice the side, every value repeated in a square."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
