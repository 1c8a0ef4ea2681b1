"""Recurrent networks over a sequence: a classifier, a language model and a forecaster."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import dense
from jnn.models._output import output_layer
from jnn.models._shape import check_shape
from jnn.modules import LSTM, Dense, Dropout, Embedding, Recurrent

_READS = ("last", "mean", "all")


@with_signature
class SequenceClassifier(nnx.Module):
    """Recurrent layers over numbers, or over ids with word vectors, and a linear layer.

    `SequenceClassifier((40,), 6, 10, layer=partial(GRU, biases="ih"), bidirectional=True,
    read="all")` is the GRU of MNIST-1D, Greydanus (2020), arXiv:2011.14439; it has 5 134
    parameters.

    Args:
        shape: Shape of a sequence of numbers, (length,) or (length, channels); of ids, (length,),
            with `vocabulary`.
        hidden: Number of units of a layer in one direction.
        outputs: Number of classes, or of targets of a regression; None to return what the linear
            layer reads.
        layer: Kind of the layers: `jnn.modules.LSTM`, `GRU` or `RNN`, or a partial of one.
        layers: Number of layers, each of which reads the outputs of the one before.
        bidirectional: Whether each layer also runs backwards.
        vocabulary: Number of ids; None if the sequence holds numbers.
        features: Number of features of a word vector; `hidden` by default.
        padding_id: Id that is no part of a row where it stands at its end; None for no padding.
        read: Input of the linear layer: "last", the state after the last step (of both
            directions); "mean", the mean of the outputs over the steps; "all", the outputs of every
            step.
        dropout_rate: Share dropped between layers and before the linear one, which members may set
            by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If `read` is none of the three.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: int,
        outputs: int | None,
        *,
        layer: Callable[..., Recurrent] = LSTM,
        layers: int = 1,
        bidirectional: bool = False,
        vocabulary: int | None = None,
        features: int | None = None,
        padding_id: int | None = None,
        read: Literal["last", "mean", "all"] = "last",
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        if read not in _READS:
            raise ValueError(f"read must be 'last', 'mean' or 'all', got {read!r}. Choose one.")
        length, channels = (*shape, 1)[:2]
        if vocabulary is None:
            inputs = channels
            self.embedding = None
        else:
            inputs = features or hidden
            self.embedding = Embedding(vocabulary, inputs, rngs=rngs)
        self.recurrent = layer(
            inputs,
            hidden,
            layers=layers,
            bidirectional=bidirectional,
            dropout_rate=dropout_rate,
            rngs=rngs,
        )
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        width = self.recurrent.out_features
        self.output = output_layer(length * width if read == "all" else width, outputs, rngs=rngs)
        self.padding_id = padding_id
        self.read = read

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs: [batch, length] or [batch, length, channels] -> [batch, outputs]."""
        lengths = None if self.padding_id is None else _lengths(x, self.padding_id)
        if self.embedding is not None:
            x = self.embedding(x)  # [batch, length, features]
        if x.ndim == 2:
            x = x[..., None]
        carry, ys = self.recurrent(x, lengths=lengths)
        if self.read == "last":
            y = _hidden_state(carry[-1])
        elif self.read == "mean":
            y = _mean(ys, lengths)
        else:
            y = jax.lax.collapse(ys, 1)
        return self.output(self.dropout(y))


@with_signature
class LanguageModel(nnx.Module):
    """Word vectors, recurrent layers, and the logits of the next id at every step.

    Mikolov et al. (2010). `LanguageModel(65, 128)` over characters has 148 289 parameters:
    65 * 128, an LSTM of 4 (128 + 128 + 1) 128, and 129 * 65. `LanguageModel(33278, 200, layers=2,
    dropout_rate=0.2)` is PyTorch's example word_language_model.

    Args:
        vocabulary: Number of ids.
        hidden: Number of units of a layer.
        layer: Kind of the layers: `jnn.modules.LSTM`, `GRU` or `RNN`, or a partial of one.
        layers: Number of layers, each of which reads the outputs of the one before.
        features: Number of features of a word vector; `hidden` by default.
        tied: Whether the kernel of the output is the word vectors (Press and Wolf 2017), which then
            have `hidden` features; otherwise it has its own.
        dropout_rate: Share dropped before, between and after the layers, which members may set by
            that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the network is tied and the word vectors have other than `hidden` features.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        *,
        layer: Callable[..., Recurrent] = LSTM,
        layers: int = 1,
        features: int | None = None,
        tied: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        inputs = features or hidden
        if tied and inputs != hidden:
            raise ValueError(
                f"features must be hidden, {hidden}, for a tied network, got {inputs}. Leave it "
                "out."
            )
        self.embedding = Embedding(vocabulary, inputs, rngs=rngs)
        self.recurrent = layer(inputs, hidden, layers=layers, dropout_rate=dropout_rate, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        if tied:
            self.output = None
            self.bias = nnx.Param(jnp.zeros(vocabulary))
        else:
            self.output = Dense(hidden, vocabulary, rngs=rngs)
            self.bias = None

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Return the logits of each next id: ids [batch, time] -> [batch, time, vocabulary]."""
        return self.decode(ids, None)[0]

    def start(self, batch: int, capacity: int) -> Any:
        """Return the carry of zeros; its size does not depend on the capacity."""
        return self.decode(jnp.zeros((batch, 0), jnp.int32), None)[1]

    def decode(self, ids: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
        """Read the next ids [batch, time] of a text whose earlier part is in the carry.

        Returns:
            The logits [batch, time, vocabulary], and the carry after the last id.
        """
        carry, ys = self.recurrent(self.dropout(self.embedding(ids)), carry)
        ys = self.dropout(ys)
        if self.output is not None:
            return self.output(ys), carry
        bias = None if self.bias is None else self.bias[...]
        return dense(ys, self.embedding.embedding[...].T, bias), carry


@with_signature
class Forecaster(nnx.Module):
    """Recurrent layers over the past of a series, and a linear map of their state to its future.

    `Forecaster(7, 96, 64)` has 62 112 parameters: an LSTM of 4 (7 + 64 + 1) 64, and
    (64 + 1) 7 * 96.

    Args:
        channels: Number of channels of the series.
        horizon: Number of time steps of the output.
        hidden: Number of units of a layer in one direction.
        layer: Kind of the layers: `jnn.modules.LSTM`, `GRU` or `RNN`, or a partial of one.
        layers: Number of layers, each of which reads the outputs of the one before.
        bidirectional: Whether each layer also runs backwards.
        from_last: Whether the network reads and predicts differences from the last value of the
            input.
        dropout_rate: Share dropped between layers and before the linear map, which members may set
            by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If a call's x has other channels.
    """

    def __init__(
        self,
        channels: int,
        horizon: int,
        hidden: int,
        *,
        layer: Callable[..., Recurrent] = LSTM,
        layers: int = 1,
        bidirectional: bool = False,
        from_last: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        self.recurrent = layer(
            channels,
            hidden,
            layers=layers,
            bidirectional=bidirectional,
            dropout_rate=dropout_rate,
            rngs=rngs,
        )
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        self.output = Dense(self.recurrent.out_features, horizon * channels, rngs=rngs)
        self.channels = channels
        self.horizon = horizon
        self.from_last = from_last

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the future: [batch, time, channels] -> [batch, horizon, channels]."""
        check_shape(x, None, self.channels)
        last = x[:, -1:] if self.from_last else 0
        carry, _ = self.recurrent(x - last)
        y = self.output(self.dropout(_hidden_state(carry[-1])))
        return y.reshape(x.shape[0], self.horizon, x.shape[-1]) + last


def _hidden_state(carry: Any) -> jax.Array:
    """Return the hidden state of a layer's carry, those of both directions side by side."""
    if hasattr(carry, "hidden"):
        return carry.hidden
    if isinstance(carry, tuple):
        return jnp.concatenate([_hidden_state(part) for part in carry], axis=-1)
    return carry


def _mean(ys: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Return the mean over the steps of each row; the outputs beyond its length are 0."""
    if lengths is None:
        return ys.mean(axis=1)
    return ys.sum(axis=1) / jnp.maximum(lengths, 1)[:, None]


def _lengths(ids: jax.Array, padding_id: int) -> jax.Array:
    """Return the number of ids of each row up to the last one that is not padding: [batch]."""
    return jnp.where(ids != padding_id, jnp.arange(1, ids.shape[1] + 1), 0).max(axis=1)
