"""The generative transformer: causal attention over learned positions."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import KVCache, broadcast_parameter, dense
from jnn.modules import Dense, Dropout, Embedding, LayerNorm, TransformerBlock


@with_signature
class GPT(nnx.Module):
    """GPT-2: embeddings of ids and positions, pre-norm blocks with causal attention, logits.

    Radford et al. (2019), Language Models are Unsupervised Multitask Learners. Kernels and
    embeddings are drawn from N(0, 0.02), those whose products are added to the residual stream from
    N(0, 0.02 / sqrt(2 layers)).

    | size | vocabulary, length, layers, heads, features | parameters |
    | --- | --- | --- |
    | GPT-2 | 50257, 1024, 12, 12, 768 | 124 439 808 |
    | characters on a CPU, as nanoGPT has it | 65, 64, 4, 4, 128, use_bias=False | 804 096 |

    Args:
        vocabulary: Number of ids.
        length: Largest number of positions of a text.
        layers: Number of blocks.
        num_heads: Number of heads of each attention.
        features: Number of features of every position; the network in a block has four times as
            many hidden units.
        tied: Whether the kernel of the output is the embedding (Press and Wolf 2017); otherwise it
            has its own.
        use_bias: Whether linear layers and normalizations have a bias.
        dropout_rate: Share of embeddings, of attention weights and of what a block adds that is
            dropped, which members may set by that name; None for no dropout.
        activation: Activation of the networks in the blocks; `jax.nn.gelu`, approximated by tanh,
            is GPT-2's.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If there is no layer, the heads do not divide the features, or a text is longer
            than `length`.
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
        check_integer("layers", layers, advice="GPT-2 has 12.")
        normal = nnx.initializers.normal(0.02)
        norm = partial(LayerNorm, epsilon=1e-5, use_bias=use_bias)
        self.embedding = Embedding(vocabulary, features, embedding_init=normal, rngs=rngs)
        self.positions = Embedding(length, features, embedding_init=normal, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        block = partial(
            TransformerBlock,
            norm=norm,
            activation=activation,
            causal=True,
            dropout_rate=dropout_rate,
            attention_dropout_rate=dropout_rate,
            use_bias=use_bias,
            kernel_init=normal,
            residual_init=nnx.initializers.normal(0.02 / (2 * layers) ** 0.5),
        )
        self.blocks = nnx.List([block(features, num_heads, rngs=rngs) for _ in range(layers)])
        self.norm = norm(features, rngs=rngs)
        if tied:
            self.output = None
        else:
            self.output = Dense(features, vocabulary, use_bias=False, kernel_init=normal, rngs=rngs)
        self.length = length

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Return the logits of each next id: ids [batch, time] -> [batch, time, vocabulary].

        There are at most `length` ids in a row.
        """
        x = self._embed(ids, 0)
        for block in self.blocks:
            x = block(x)
        return self._logits(x)

    def start(self, batch: int, capacity: int) -> list[KVCache]:
        """Return an empty cache for up to `capacity` positions for each block."""
        self._check_length(capacity)
        return [block.attention.empty_cache((batch,), capacity) for block in self.blocks]

    def decode(self, ids: jax.Array, caches: Sequence[KVCache]) -> tuple[jax.Array, list[KVCache]]:
        """Read the next ids [batch, time] of a text whose earlier part is in the caches.

        Returns:
            The logits [batch, time, vocabulary], and the caches with the next positions.
        """
        x = self._embed(ids, caches[0].length)
        next_caches = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.decode(x, cache)
            next_caches.append(cache)
        return self._logits(x), next_caches

    def _embed(self, ids: jax.Array, start: jax.Array | int) -> jax.Array:
        """Return the sum of the embeddings of ids and of positions from `start` on."""
        self._check_length(ids.shape[-1])
        positions = self.positions.embedding[...]
        rows = jax.lax.dynamic_slice_in_dim(positions, start, ids.shape[-1])
        x = self.embedding(ids)
        return self.dropout(x + broadcast_parameter(rows, x.shape))

    def _logits(self, x: jax.Array) -> jax.Array:
        x = self.norm(x)
        if self.output is None:
            return dense(x, self.embedding.embedding[...].T)
        return self.output(x)

    def _check_length(self, count: int) -> None:
        if count > self.length:
            raise ValueError(
                f"GPT: a text must have at most {self.length} positions, got {count}. Build it "
                "with a larger length."
            )
