"""Convolutional networks for sequences: of words and of numbers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.modules import Conv, Dense, Embedding
from jnn.modules._dropout import dropout_or_none


class TextCNN(nnx.Module):
    """Word vectors, convolutions of several widths, the largest value of each over time, a linear layer.

    c = relu(W * x + b) for each window, z = (max over time of each c), y = dropout(z) V + a. The randomly initialised
    variant of Kim (2014), arXiv:1408.5882: `TextCNN(18_766, 2)` has 5 990 702 parameters, 360 902 beside the vectors.

    As in the paper's own code the text is padded by the widest window - 1 on both sides, and the vector of a padding
    id is zero.

    Args:
        vocabulary: Number of ids.
        outputs: Classes.
        features: Of a word vector, drawn uniformly from -0.25 to 0.25.
        windows: Words that a convolution sees.
        maps: Outputs of each convolution.
        dropout_rate: Share of z dropped in training, which members may set by that name; None for no dropout at all.
        padding_id: The id that stands for no word, or None.
        rngs: Streams `params` and `dropout`.
    """

    def __init__(
        self,
        vocabulary: int,
        outputs: int,
        *,
        features: int = 300,
        windows: Sequence[int] = (3, 4, 5),
        maps: int = 100,
        dropout_rate: float | None = 0.5,
        padding_id: int | None = 0,
        rngs: nnx.Rngs,
    ):
        self.padding_id = padding_id
        self.embedding = Embedding(vocabulary, features, embedding_init=_uniform, rngs=rngs)
        around = max(windows) - 1
        self.convs = nnx.List(
            [Conv(features, maps, (w,), padding=[(around, around)], rngs=rngs) for w in windows]
        )
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        self.output = Dense(len(windows) * maps, outputs, rngs=rngs)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Ids [batch, length] -> [batch, outputs]."""
        x = self.embedding(ids)  # [batch, length, features]
        x = x if self.padding_id is None else x * (ids != self.padding_id)[..., None]
        # relu comes after the maximum, with which it commutes: so it sees a few numbers only
        largest = [conv(x).max(axis=1) for conv in self.convs]
        z = jax.nn.relu(jnp.concatenate(largest, axis=-1))
        return self.output(self.dropout(z))


class CNN1D(nnx.Module):
    """Convolutions over time with stride 2, then a linear layer on all that is left.

    `CNN1D((40,), 10)` is the convolutional network of MNIST-1D, Greydanus (2020), arXiv:2011.14439: three convolutions
    of 25 maps lead from 40 steps to 19, 10 and 5; 5 210 parameters.

    Args:
        shape: Of a series: (length,) or (length, channels).
        outputs: Classes, or targets of a regression.
        maps: Outputs of each convolution.
        windows: Steps that each sees.
        stride: Of each.
        padding: Zeros on both sides of each one's input.
        rngs: Stream `params`.

    Raises:
        ValueError: If the stride is below 1, or the series too short for the windows.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        *,
        maps: Sequence[int] = (25, 25, 25),
        windows: Sequence[int] = (5, 3, 3),
        stride: int = 2,
        padding: int = 1,
        rngs: nnx.Rngs,
    ):
        if stride < 1:
            raise ValueError(f"wanted a stride of at least 1, but got {stride}; 2 is usual")
        length, channels = (*shape, 1)[:2]
        self.convs = nnx.List([])
        for out, window in zip(maps, windows, strict=True):
            conv = Conv(
                channels, out, (window,), strides=stride, padding=[(padding, padding)], rngs=rngs
            )
            self.convs.append(conv)
            length, channels = (length + 2 * padding - window) // stride + 1, out
        if length < 1:
            raise ValueError(
                f"wanted a longer series for windows {tuple(windows)}, but got shape {tuple(shape)}"
            )
        self.output = Dense(length * channels, outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, length] or [batch, length, channels] -> [batch, outputs]."""
        x = x[..., None] if x.ndim == 2 else x
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.output(jax.lax.collapse(x, 1))


def _uniform(key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -0.25, 0.25)
