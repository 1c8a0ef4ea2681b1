"""The transformer that reads a text in both directions."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import broadcast_parameter
from jnn.modules import Dense, Dropout, Embedding, LayerNorm, TransformerBlock


@with_signature
class TextEncoder(nnx.Module):
    """BERT: embeddings of ids, positions and segments, post-norm blocks, a pooled first position.

    Devlin et al. (2019), arXiv:1810.04805. BERT-base without a head,
    `TextEncoder(30522, 512, layers=12, num_heads=12, features=768)`, has 109 482 240 parameters.
    Kernels and embeddings are drawn from N(0, 0.02), truncated.

    Args:
        vocabulary: Number of ids.
        length: Largest number of positions of a text.
        outputs: Number of classes of the linear layer on the pooled position; None to return the
            pooled position itself.
        layers: Number of blocks.
        num_heads: Number of heads of each attention.
        features: Number of features of every position.
        hidden: Number of hidden units of the network in a block; `4 * features` by default.
        segments: Number of kinds of sentences that a text may consist of.
        padding_id: Id that no position looks at; None for no padding.
        dropout_rate: Share of embeddings, of attention weights and of what a block adds that is
            dropped, which members may set by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the heads do not divide the features, or a text is longer than `length`.
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
        segments: int = 2,
        padding_id: int | None = 0,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        normal = nnx.initializers.truncated_normal(0.02)
        norm = partial(LayerNorm, epsilon=1e-12)
        table = partial(Embedding, features=features, embedding_init=normal, rngs=rngs)
        self.embedding = table(vocabulary)
        self.positions = table(length)
        self.segments = table(segments)
        self.norm = norm(features, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            norm_first=False,
            norm=norm,
            activation=partial(jax.nn.gelu, approximate=False),
            dropout_rate=dropout_rate,
            attention_dropout_rate=dropout_rate,
            kernel_init=normal,
        )
        self.blocks = nnx.List(
            [block(features, num_heads, hidden, rngs=rngs) for _ in range(layers)]
        )
        self.pooler = Dense(features, features, kernel_init=normal, rngs=rngs)
        if outputs is None:
            self.output = None
        else:
            self.output = Dense(features, outputs, kernel_init=normal, rngs=rngs)
        self.padding_id = padding_id

    def __call__(self, ids: jax.Array, segments: jax.Array | None = None) -> jax.Array:
        """Return the logits [batch, outputs], or the pooled first position [batch, features].

        Args:
            ids: Ids [batch, time].
            segments: Kind of sentence of each position, [batch, time]; kind 0 everywhere by
                default.
        """
        pooled = jnp.tanh(self.pooler(self.encode(ids, segments)[:, 0]))
        if self.output is None:
            return pooled
        return self.output(self.dropout(pooled))

    def encode(self, ids: jax.Array, segments: jax.Array | None = None) -> jax.Array:
        """Return the features of every position: ids [batch, time] -> [batch, time, features].

        Args:
            ids: Ids [batch, time].
            segments: Kind of sentence of each position, [batch, time]; kind 0 everywhere by
                default.
        """
        time = ids.shape[-1]
        length = self.positions.num_embeddings
        if time > length:
            raise ValueError(
                f"TextEncoder: a text must have at most {length} positions, got {time}. Build it "
                "with a larger length."
            )
        mask = None if self.padding_id is None else (ids != self.padding_id)[:, None, None]
        kinds = self.segments.embedding[0] if segments is None else self.segments(segments)
        x = self.embedding(ids)
        x = x + broadcast_parameter(self.positions.embedding[:time], x.shape)
        x = x + broadcast_parameter(kinds, x.shape)
        x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x, mask=mask)
        return x
