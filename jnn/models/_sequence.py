"""Recurrent networks that read a sequence: to name its class, to go on with it, to tell its future."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.models._form import check_rows
from jnn.modules import LSTM, Dense, Embedding
from jnn.modules._dropout import dropout_or_none


class SequenceClassifier(nnx.Module):
    """A recurrent layer over a sequence of numbers, or of ids with word vectors, and a linear layer on what it read.

    `SequenceClassifier((40,), 6, 10, layer=partial(GRU, biases="ih"), bidirectional=True, read="all")` is the GRU of
    MNIST-1D, Greydanus (2020), arXiv:2011.14439; 5 134 parameters.

    Args:
        shape: Of a sequence of numbers: (length,) or (length, channels). Of ids: (length,), with `vocabulary`.
        hidden: Units of a layer in one direction.
        outputs: Classes, or targets of a regression.
        layer: `jnn.modules.LSTM`, `GRU` or `RNN`.
        layers: How many stand on each other.
        bidirectional: Whether each also runs backwards.
        vocabulary: Number of ids; None if the sequence holds numbers.
        features: Of a word vector, `hidden` by default.
        padding_id: Ids equal to it at the end of a row are no part of it; None for none.
        read: What the linear layer sees: "last", the state after the last step (of both directions); "mean", the mean
            over the steps; "all", every step.
        dropout_rate: Share dropped between layers and before the linear one, which members may set by that name; None
            for no dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If `read` is none of the three.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: int,
        outputs: int,
        *,
        layer: Callable[..., Any] = LSTM,
        layers: int = 1,
        bidirectional: bool = False,
        vocabulary: int | None = None,
        features: int | None = None,
        padding_id: int | None = None,
        read: Literal["last", "mean", "all"] = "last",
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        if read not in ("last", "mean", "all"):
            raise ValueError(
                f"wanted read to be 'last', 'mean' or 'all', but got {read!r}; choose one"
            )
        length, channels = (*shape, 1)[:2]
        inputs = channels if vocabulary is None else features or hidden
        self.embedding = None if vocabulary is None else Embedding(vocabulary, inputs, rngs=rngs)
        sizes = {"layers": layers, "bidirectional": bidirectional, "dropout_rate": dropout_rate}
        self.recurrent = layer(inputs, hidden, **sizes, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        width = self.recurrent.out_features
        self.output = Dense(length * width if read == "all" else width, outputs, rngs=rngs)
        self.padding_id, self.read = padding_id, read

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, length] or [batch, length, channels] -> [batch, outputs]."""
        lengths = None if self.padding_id is None else _lengths(x, self.padding_id)
        if self.embedding is not None:
            x = self.embedding(x)  # [batch, length, features]
        x = x[..., None] if x.ndim == 2 else x
        carry, ys = self.recurrent(x, lengths=lengths)
        seen = {
            "last": lambda: _last(carry[-1]),
            "mean": lambda: _mean(ys, lengths),
            "all": lambda: _flat(ys),
        }
        y = seen[self.read]()
        return self.output(self.dropout(y))


class LanguageModel(nnx.Module):
    """Word vectors, recurrent layers, and at every step the logits of the next id; Mikolov et al. (2010).

    `LanguageModel(65, 128)` over characters has 148 289 parameters: 65 * 128, an LSTM of 4 (128 + 128 + 1) 128, and
    129 * 65.

    Args:
        vocabulary: Number of ids.
        hidden: Units of a layer.
        layer: `jnn.modules.LSTM`, `GRU` or `RNN`.
        layers: How many stand on each other.
        features: Of a word vector, `hidden` by default.
        dropout_rate: Share dropped before, between and after the layers, which members may set by that name; None for
            no dropout at all.
        rngs: Streams `params` and `dropout`.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        *,
        layer: Callable[..., Any] = LSTM,
        layers: int = 1,
        features: int | None = None,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        inputs = features or hidden
        self.embedding = Embedding(vocabulary, inputs, rngs=rngs)
        self.recurrent = layer(inputs, hidden, layers=layers, dropout_rate=dropout_rate, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        self.output = Dense(hidden, vocabulary, rngs=rngs)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Ids [batch, time] -> logits of the next id [batch, time, vocabulary]."""
        return self.decode(ids, None)[0]

    def start(self, batch: int, capacity: int) -> Any:
        """What `decode` begins from: the zero carry, of one size whatever the capacity."""
        return self.decode(jnp.zeros((batch, 0), jnp.int32), None)[1]

    def decode(self, ids: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
        """The next ids [batch, time] of a text whose earlier part is in the carry -> logits, carry."""
        carry, ys = self.recurrent(self.dropout(self.embedding(ids)), carry)
        return self.output(self.dropout(ys)), carry


class Forecaster(nnx.Module):
    """Recurrent layers over the past of a series, and a linear map from their last state to its future.

    `Forecaster(7, 96, 64)` has 62 112 parameters: an LSTM of 4 (7 + 64 + 1) 64, and (64 + 1) 7 * 96.

    Args:
        channels: Of the series.
        horizon: Time steps of the output.
        hidden: Units of a layer in one direction.
        layer: `jnn.modules.LSTM`, `GRU` or `RNN`.
        layers: How many stand on each other.
        bidirectional: Whether each also runs backwards.
        from_last: Whether the future is told as a difference from the last value that was seen.
        dropout_rate: Share dropped between layers and before the linear map, which members may set by that name; None
            for no dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If a call's x has other channels.
    """

    def __init__(
        self,
        channels: int,
        horizon: int,
        hidden: int,
        *,
        layer: Callable[..., Any] = LSTM,
        layers: int = 1,
        bidirectional: bool = False,
        from_last: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        sizes = {"layers": layers, "bidirectional": bidirectional, "dropout_rate": dropout_rate}
        self.recurrent = layer(channels, hidden, **sizes, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        self.output = Dense(self.recurrent.out_features, horizon * channels, rngs=rngs)
        self.channels, self.horizon, self.from_last = channels, horizon, from_last

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, time, channels] -> [batch, horizon, channels]."""
        check_rows(x, None, self.channels)
        last = x[:, -1:] if self.from_last else 0
        carry, _ = self.recurrent(x - last)
        y = _last(carry[-1])
        y = self.output(self.dropout(y))
        return y.reshape(x.shape[0], self.horizon, x.shape[-1]) + last


def _last(carry: Any) -> jax.Array:
    """The hidden state of a layer's carry, those of both directions side by side."""
    if hasattr(carry, "hidden"):
        return carry.hidden
    return (
        jnp.concatenate([_last(part) for part in carry], axis=-1)
        if isinstance(carry, tuple)
        else carry
    )


def _mean(ys: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Over the steps that a row has; the outputs beyond are 0."""
    return ys.mean(axis=1) if lengths is None else ys.sum(axis=1) / jnp.maximum(lengths, 1)[:, None]


def _flat(ys: jax.Array) -> jax.Array:
    return jax.lax.collapse(ys, 1)


def _lengths(ids: jax.Array, padding_id: int) -> jax.Array:
    """Where the last id that is no padding stands, counted from 1: [batch]."""
    return jnp.where(ids != padding_id, jnp.arange(1, ids.shape[1] + 1), 0).max(axis=1)
