"""Convolutional networks for sequences: of words and of numbers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import global_max_pool
from jnn.models._output import output_layer
from jnn.modules import Conv, Dropout, Embedding


@with_signature
class TextCNN(nnx.Module):
    """Word vectors, convolutions of several widths, their maxima over time, a linear layer.

    c = relu(W * x + b) for each window, z = (max over time of each c), y = dropout(z) V + a. It is
    the randomly initialized variant of Kim (2014), arXiv:1408.5882. `TextCNN(18_766, 2)` has
    5 990 702 parameters, 360 902 beside the word vectors.

    As in the paper's own code the text is padded by the widest window - 1 on both sides, and the
    vector of a padding id is zero.

    Args:
        vocabulary: Number of ids.
        outputs: Number of classes; None to return z.
        features: Number of features of a word vector, drawn uniformly from -0.25 to 0.25.
        windows: Number of words that each convolution sees.
        maps: Number of outputs of each convolution.
        dropout_rate: Share of z that is dropped in training, which members may set by that name;
            None for no dropout.
        padding_id: Id that stands for no word; None for no padding.
        rngs: Keys of the streams `params` and `dropout`.
    """

    def __init__(
        self,
        vocabulary: int,
        outputs: int | None,
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
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        self.output = output_layer(len(windows) * maps, outputs, rngs=rngs)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Return the logits: ids [batch, length] -> [batch, outputs]."""
        x = self.embedding(ids)  # [batch, length, features]
        if self.padding_id is not None:
            x = x * (ids != self.padding_id)[..., None]
        # The maximum commutes with relu and comes first, so that relu has fewer numbers to visit.
        maxima = [global_max_pool(conv(x)) for conv in self.convs]
        z = jax.nn.relu(jnp.concatenate(maxima, axis=-1))
        return self.output(self.dropout(z))


@with_signature
class CNN1D(nnx.Module):
    """Convolutions over time with stride 2, then a linear layer on all of their outputs.

    `CNN1D((40,), 10)` is the convolutional network of MNIST-1D, Greydanus (2020), arXiv:2011.14439:
    three convolutions of 25 maps lead from 40 steps to 19, 10 and 5; it has 5 210 parameters.

    Args:
        shape: Shape of a series, (length,) or (length, channels).
        outputs: Number of classes, or of targets of a regression; None to return the outputs of the
            convolutions.
        maps: Number of outputs of each convolution.
        windows: Number of time steps that each convolution sees.
        stride: Number of time steps between the windows of each convolution.
        padding: Number of zeros added on both sides of the input of each convolution.
        rngs: Keys of the stream `params`.

    Raises:
        ValueError: If the stride is below 1, or the series is too short for the windows.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int | None,
        *,
        maps: Sequence[int] = (25, 25, 25),
        windows: Sequence[int] = (5, 3, 3),
        stride: int = 2,
        padding: int = 1,
        rngs: nnx.Rngs,
    ):
        check_integer("stride", stride, advice="Use e.g. 2.")
        length, channels = (*shape, 1)[:2]
        self.convs = nnx.List([])
        for count, window in zip(maps, windows, strict=True):
            conv = Conv(channels, count, (window,), stride, padding=[(padding, padding)], rngs=rngs)
            self.convs.append(conv)
            length = (length + 2 * padding - window) // stride + 1
            channels = count
        if length < 1:
            raise ValueError(
                f"CNN1D: the series is too short for windows {tuple(windows)}, got shape "
                f"{tuple(shape)}. Use a longer series, or fewer or smaller windows."
            )
        self.output = output_layer(length * channels, outputs, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs: [batch, length] or [batch, length, channels] -> [batch, outputs]."""
        if x.ndim == 2:
            x = x[..., None]
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.output(jax.lax.collapse(x, 1))


def _uniform(key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -0.25, 0.25)
