"""The generative transformer with rotary positions: Llama, Mistral, Qwen2."""

from collections.abc import Sequence
from functools import partial

import jax
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import KVCache, RotaryScaling, dense
from jnn.modules import Dense, Dropout, Embedding, RMSNorm, TransformerBlock


@with_signature
class Llama(nnx.Module):
    """Llama: pre-norm blocks with rotary positions, grouped queries and gated networks, logits.

    Touvron et al. (2023), arXiv:2302.13971 and arXiv:2307.09288. No map has a bias, but for those
    of `qkv_bias`. Kernels and embeddings are drawn from N(0, 0.02), those whose products are added
    to the residual stream from N(0, 0.02 / sqrt(2 layers)).

    | size | vocabulary, layers, heads, features, hidden | parameters |
    | --- | --- | --- |
    | Llama-3.2-1B | 128256, 16, 32, 2048, 8192, num_kv_heads=8, tied | 1 235 814 400 |
    | Qwen2-0.5B | 151936, 24, 14, 896, 4864, num_kv_heads=2, tied, qkv_bias | 494 032 768 |

    Args:
        vocabulary: Number of ids.
        layers: Number of blocks.
        num_heads: Number of heads of the queries of each attention.
        features: Number of features of every position.
        hidden: Number of hidden units of the gated network in a block.
        num_kv_heads: Number of heads of keys and values, each of which serves a group of query
            heads; `num_heads` by default.
        rotary_base: Base of the rotary frequencies, rope theta.
        rotary_scaling: Change of the rotary frequencies, see `jnn.layers.RotaryScaling`; Llama 3.2
            has `RotaryScaling(32.0)`.
        epsilon: Number that the norms add to the mean square.
        tied: Whether the kernel of the output is the embedding; otherwise it has its own.
        qkv_bias: Whether queries, keys and values have a bias, as in Qwen2.
        dropout_rate: Share of embeddings, of attention weights and of what a block adds that is
            dropped, which members may set by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If there is no layer, the heads do not divide the features, or the heads of keys
            and values do not divide those of the queries.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        layers: int,
        num_heads: int,
        features: int,
        hidden: int,
        num_kv_heads: int | None = None,
        rotary_base: float = 10_000.0,
        rotary_scaling: RotaryScaling | None = None,
        epsilon: float = 1e-6,
        tied: bool = False,
        qkv_bias: bool = False,
        dropout_rate: float | None = None,
        rngs: nnx.Rngs,
    ):
        check_integer("layers", layers, advice="Llama-3.2-1B has 16.")
        normal = nnx.initializers.normal(0.02)
        norm = partial(RMSNorm, epsilon=epsilon)
        self.embedding = Embedding(vocabulary, features, embedding_init=normal, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            norm=norm,
            activation=jax.nn.silu,
            gated=True,
            causal=True,
            num_kv_heads=num_kv_heads,
            rotary_base=rotary_base,
            rotary_scaling=rotary_scaling,
            dropout_rate=dropout_rate,
            attention_dropout_rate=dropout_rate,
            use_bias=False,
            qkv_bias=qkv_bias,
            kernel_init=normal,
            residual_init=nnx.initializers.normal(0.02 / (2 * layers) ** 0.5),
        )
        self.blocks = nnx.List(
            [block(features, num_heads, hidden, rngs=rngs) for _ in range(layers)]
        )
        self.norm = norm(features, rngs=rngs)
        if tied:
            self.output = None
        else:
            self.output = Dense(features, vocabulary, use_bias=False, kernel_init=normal, rngs=rngs)

    def __call__(self, ids: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Return the logits of each next id: ids [batch, time] -> [batch, time, vocabulary].

        Args:
            ids: Ids [batch, time].
            mask: True where an id is part of its text, [batch, time]. Only padding before a text
                needs one, as no position sees a later one.
        """
        allowed = None if mask is None else mask.astype(bool)[:, None, None]
        x = self.dropout(self.embedding(ids))
        for block in self.blocks:
            x = block(x, mask=allowed)
        return self._logits(x)

    def start(self, batch: int, capacity: int) -> list[KVCache]:
        """Return an empty cache for up to `capacity` positions for each block."""
        return [block.attention.empty_cache((batch,), capacity) for block in self.blocks]

    def decode(self, ids: jax.Array, caches: Sequence[KVCache]) -> tuple[jax.Array, list[KVCache]]:
        """Read the next ids [batch, time] of a text whose earlier part is in the caches.

        Returns:
            The logits [batch, time, vocabulary], and the caches with the next positions.
        """
        x = self.dropout(self.embedding(ids))
        next_caches = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.decode(x, cache)
            next_caches.append(cache)
        return self._logits(x), next_caches

    def _logits(self, x: jax.Array) -> jax.Array:
        x = self.norm(x)
        if self.output is None:
            return dense(x, self.embedding.embedding[...].T)
        return self.output(x)
