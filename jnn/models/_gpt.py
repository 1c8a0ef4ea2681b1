"""The generative transformer: causal attention over learned positions."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
from flax import nnx

from jnn.layers import KVCache, dense
from jnn.modules import Dense, Embedding, LayerNorm, TransformerBlock
from jnn.modules._dropout import dropout_or_none


class GPT(nnx.Module):
    """GPT-2: embeddings of ids and positions, pre-norm blocks with causal attention, logits of the next id.

    Radford et al. (2019), Language Models are Unsupervised Multitask Learners. Kernels and embeddings are drawn from
    N(0, 0.02), those whose products are added to the residual stream from N(0, 0.02 / sqrt(2 layers)).

    | size | vocabulary, length, layers, heads, features | parameters |
    | --- | --- | --- |
    | GPT-2 | 50257, 1024, 12, 12, 768 | 124 439 808 |
    | characters on a CPU, as nanoGPT has it | 65, 64, 4, 4, 128, use_bias=False | 804 096 |

    Args:
        vocabulary: Number of ids.
        length: Most positions that it can see.
        layers: Blocks.
        num_heads: Heads of each attention.
        features: Of every position; the network in a block has four times as many units.
        tied: Whether the output's kernel is the embedding (Press and Wolf 2017); otherwise one of its own.
        use_bias: Whether linear layers and normalisations have a bias.
        dropout_rate: Share dropped of embeddings, attention weights and what a block adds, which members may set by
            that name; None for no dropout at all.
        activation: Of the networks in the blocks; `jax.nn.gelu` with its tanh is GPT-2's.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If there is no layer, the heads do not divide the features, or a text is longer than `length`.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        *,
        layers: int,
        num_heads: int,
        features: int,
        tied: bool = True,
        use_bias: bool = True,
        dropout_rate: float | None = None,
        activation: Callable[[jax.Array], jax.Array] = jax.nn.gelu,
        rngs: nnx.Rngs,
    ):
        if layers < 1:
            raise ValueError(f"wanted at least one layer, but got {layers}; 12 is GPT-2's")
        normal, residual = (
            nnx.initializers.normal(0.02),
            nnx.initializers.normal(0.02 / (2 * layers) ** 0.5),
        )
        norm = partial(LayerNorm, epsilon=1e-5, use_bias=use_bias)
        self.embedding = Embedding(vocabulary, features, embedding_init=normal, rngs=rngs)
        self.positions = Embedding(length, features, embedding_init=normal, rngs=rngs)
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            norm=norm,
            activation=activation,
            causal=True,
            dropout_rate=dropout_rate,
            attention_dropout_rate=dropout_rate,
            use_bias=use_bias,
            kernel_init=normal,
            residual_init=residual,
        )
        self.blocks = nnx.List([block(features, num_heads, rngs=rngs) for _ in range(layers)])
        self.norm = norm(features, rngs=rngs)
        self.output = (
            None
            if tied
            else Dense(features, vocabulary, use_bias=False, kernel_init=normal, rngs=rngs)
        )
        self.length = length

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Ids [batch, time], at most `length` of them -> logits of the next id [batch, time, vocabulary]."""
        x = self._embedded(ids, 0)
        for block in self.blocks:
            x = block(x)
        return self._logits(x)

    def start(self, batch: int, capacity: int) -> list[KVCache]:
        """What `decode` begins from: room for the keys and values of `capacity` positions in each block."""
        self._check(capacity)
        return [block.attention.empty_cache((batch,), capacity) for block in self.blocks]

    def decode(self, ids: jax.Array, caches: Sequence[KVCache]) -> tuple[jax.Array, list[KVCache]]:
        """The next ids [batch, time] of a text whose earlier part is in the caches -> logits, caches."""
        x, after = self._embedded(ids, caches[0].length), []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.decode(x, cache)
            after.append(cache)
        return self._logits(x), after

    def _embedded(self, ids: jax.Array, begin: jax.Array | int) -> jax.Array:
        self._check(ids.shape[-1])
        rows = jax.lax.dynamic_slice_in_dim(self.positions.embedding[...], begin, ids.shape[-1])
        x = self.embedding(ids) + rows
        return self.dropout(x)

    def _logits(self, x: jax.Array) -> jax.Array:
        x = self.norm(x)
        return dense(x, self.embedding.embedding[...].T) if self.output is None else self.output(x)

    def _check(self, count: int) -> None:
        if count > self.length:
            raise ValueError(
                f"wanted at most {self.length} positions, but got {count}; make GPT with a larger length"
            )
