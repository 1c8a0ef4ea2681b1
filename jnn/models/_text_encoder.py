"""The transformer that reads a text in both directions."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import broadcast_parameter, dense
from jnn.modules import Dense, Dropout, Embedding, LayerNorm, TransformerBlock

_HEADS = ("pooled", "positions", "words")
_gelu = partial(jax.nn.gelu, approximate=False)


@with_signature
class TextEncoder(nnx.Module):
    """BERT: embeddings of ids, positions and segments, post-norm blocks, and a head.

    Devlin et al. (2019), arXiv:1810.04805. DistilBERT (Sanh et al. 2019, arXiv:1910.01108) has no
    segments, and `pooler_activation=jax.nn.relu`. Kernels and embeddings are drawn from N(0, 0.02),
    truncated.

    | size, without outputs | vocabulary, length, layers, heads, features | parameters |
    | --- | --- | --- |
    | BERT-base | 30522, 512, 12, 12, 768 | 109 482 240 |
    | DistilBERT, head="positions" | 30522, 512, 6, 12, 768, segments=None | 66 362 880 |

    | head | what a call returns |
    | --- | --- |
    | "pooled" | a dense layer on the first position: [batch, features] or logits [batch, outputs] |
    | "positions" | every position: [batch, time, features] or logits [batch, time, outputs] |
    | "words" | logits [batch, time, vocabulary] of the ids that the text has masked |

    The head "words" is a dense layer, a norm and the product with the embedding.

    Args:
        vocabulary: Number of ids.
        length: Largest number of positions of a text.
        outputs: Number of classes of a linear layer on what the head returns; None for no such
            layer.
        layers: Number of blocks.
        num_heads: Number of heads of each attention.
        features: Number of features of every position.
        hidden: Number of hidden units of the network in a block; `4 * features` by default.
        head: What a call returns, see above.
        segments: Number of kinds of sentences that a text may consist of; None for no such
            embedding.
        padding_id: Id that no position looks at, unless a call has a mask; None for no padding.
        pooler_activation: Activation of the dense layer on the first position.
        dropout_rate: Share of embeddings, of attention weights and of what a block adds that is
            dropped, which members may set by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the heads do not divide the features, `head` is none of the three or has no
            outputs, or a text is longer than `length`.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        outputs: int | None = None,
        *,
        layers: int,
        num_heads: int,
        features: int,
        hidden: int | None = None,
        head: Literal["pooled", "positions", "words"] = "pooled",
        segments: int | None = 2,
        padding_id: int | None = 0,
        pooler_activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        _check_head(head, outputs)
        normal = nnx.initializers.truncated_normal(0.02)
        table = partial(Embedding, features=features, embedding_init=normal, rngs=rngs)
        self.embedding = table(vocabulary)
        self.positions = table(length)
        self.segments = None if segments is None else table(segments)
        self.norm = _norm(features, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            norm_first=False,
            norm=_norm,
            activation=_gelu,
            dropout_rate=dropout_rate,
            attention_dropout_rate=dropout_rate,
            kernel_init=normal,
        )
        self.blocks = nnx.List(
            [block(features, num_heads, hidden, rngs=rngs) for _ in range(layers)]
        )
        layer = partial(Dense, features, kernel_init=normal, rngs=rngs)
        self.pooler = layer(features) if head == "pooled" else None
        self.words = _Words(vocabulary, features, normal, rngs=rngs) if head == "words" else None
        self.output = None if outputs is None else layer(outputs)
        self.pooler_activation = pooler_activation
        self.padding_id = padding_id

    def __call__(
        self, ids: jax.Array, segments: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return what the head makes of a text.

        Args:
            ids: Ids [batch, time].
            segments: Kind of sentence of each position, [batch, time]; kind 0 everywhere by
                default.
            mask: True where an id is part of its text, [batch, time]; by default where it is not
                `padding_id`.
        """
        x = self.encode(ids, segments, mask)
        if self.words is not None:
            return self.words(x, self.embedding.embedding[...])
        if self.pooler is not None:
            x = self.pooler_activation(self.pooler(x[:, 0]))
        return x if self.output is None else self.output(self.dropout(x))

    def encode(
        self, ids: jax.Array, segments: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return the features of every position: [batch, time] -> [batch, time, features].

        The arguments are those of a call.
        """
        self._check(ids, segments)
        if mask is None and self.padding_id is not None:
            mask = ids != self.padding_id
        allowed = None if mask is None else mask.astype(bool)[:, None, None]
        x = self.embedding(ids)
        x = x + broadcast_parameter(self.positions.embedding[: ids.shape[-1]], x.shape)
        if self.segments is not None:
            kinds = self.segments.embedding[0] if segments is None else self.segments(segments)
            x = x + broadcast_parameter(kinds, x.shape)
        x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x, mask=allowed)
        return x

    def _check(self, ids: jax.Array, segments: jax.Array | None) -> None:
        time, length = ids.shape[-1], self.positions.num_embeddings
        if time > length:
            raise ValueError(
                f"TextEncoder: a text must have at most {length} positions, got {time}. Build it "
                "with a larger length."
            )
        if segments is not None and self.segments is None:
            raise ValueError(
                "TextEncoder: segments must be None for a network without embeddings of segments. "
                "Build it with segments=2."
            )


class _Words(nnx.Module):
    """The head for masked ids: a dense layer, a norm, and the product with the embedding."""

    def __init__(self, vocabulary: int, features: int, init: Any, *, rngs: nnx.Rngs):
        self.dense = Dense(features, features, kernel_init=init, rngs=rngs)
        self.norm = _norm(features, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(vocabulary))

    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        return dense(self.norm(_gelu(self.dense(x))), embedding.T, self.bias[...])


def _norm(features: int, *, rngs: nnx.Rngs) -> LayerNorm:
    return LayerNorm(features, epsilon=1e-12, rngs=rngs)


def _check_head(head: str, outputs: int | None) -> None:
    if head not in _HEADS:
        raise ValueError(f"head must be one of {[*_HEADS]}, got {head!r}. Choose one.")
    if head == "words" and outputs is not None:
        raise ValueError(
            f"outputs must be None for the head 'words', got {outputs}. Choose the head "
            "'positions' for classes of every position."
        )
