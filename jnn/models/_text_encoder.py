"""The transformer that reads a text in both directions."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.modules import Dense, Embedding, LayerNorm, TransformerBlock
from jnn.modules._dropout import dropout_or_none


class TextEncoder(nnx.Module):
    """BERT: embeddings of ids, positions and segments, post-norm blocks, a pooled first position.

    Devlin et al. (2019), arXiv:1810.04805. `TextEncoder(30522, 512, layers=12, num_heads=12, features=768)`, BERT-base
    without a head, has 109 482 240 parameters. Kernels and embeddings are drawn from N(0, 0.02).

    Args:
        vocabulary: Number of ids.
        length: Most positions of a text.
        outputs: Classes of the linear layer on the pooled position; None for the pooled position itself.
        layers: Blocks.
        num_heads: Heads of each attention.
        features: Of every position.
        hidden: Units of the network in a block, 4 `features` by default.
        segments: Kinds of sentences that a text may be made of.
        padding_id: An id that nobody looks at, or None.
        dropout_rate: Share dropped of embeddings, attention weights and what a block adds, which members may set by
            that name; None for no dropout at all.
        rngs: Streams `params` and `dropout`.

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
        normal, norm = nnx.initializers.truncated_normal(0.02), partial(LayerNorm, epsilon=1e-12)
        table = partial(Embedding, features=features, embedding_init=normal, rngs=rngs)
        self.embedding, self.positions, self.segments = (
            table(vocabulary),
            table(length),
            table(segments),
        )
        self.norm = norm(features, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
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
        self.output = (
            None if outputs is None else Dense(features, outputs, kernel_init=normal, rngs=rngs)
        )
        self.padding_id = padding_id

    def __call__(self, ids: jax.Array, segments: jax.Array | None = None) -> jax.Array:
        """Ids [batch, time] -> [batch, outputs], or the pooled first position [batch, features]."""
        pooled = jnp.tanh(self.pooler(self.encode(ids, segments)[:, 0]))
        if self.output is None:
            return pooled
        return self.output(self.dropout(pooled))

    def encode(self, ids: jax.Array, segments: jax.Array | None = None) -> jax.Array:
        """Ids [batch, time] -> every position [batch, time, features]."""
        time, most = ids.shape[-1], self.positions.num_embeddings
        if time > most:
            raise ValueError(
                f"wanted at most {most} positions, but got {time}; make TextEncoder with a larger length"
            )
        mask = None if self.padding_id is None else (ids != self.padding_id)[:, None, None]
        kinds = self.segments.embedding[0] if segments is None else self.segments(segments)
        x = self.norm(self.embedding(ids) + self.positions.embedding[:time] + kinds)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask=mask)
        return x
