"""The transformer over patches of a series."""

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._settings import check_integer
from jnn._signature import with_signature
from jnn.layers import attention, broadcast_parameter, widen
from jnn.models._shape import check_shape
from jnn.modules import BatchNorm, Dense, Dropout, MultiHeadAttention

_Scored = tuple[jax.Array, jax.Array]


@with_signature
class PatchTST(nnx.Module):
    """A transformer over overlapping patches of each channel, then a linear map to its future.

    Nie et al. (2023), arXiv:2211.14730. `PatchTST(336, 96)` is the paper's network for ETTh1 with
    42 patches; it has 81 728 parameters. As in the authors' code each channel is standardized by
    its own past (RevIN, Kim et al. 2022, without learned numbers), the normalization is batch norm
    after each sum, and the scores of a layer's attention are added to those of the layers before
    (He et al. 2021, arXiv:2012.11747).

    Args:
        length: Number of time steps of the input.
        horizon: Number of time steps of the output.
        patch: Number of time steps of a patch.
        stride: Number of time steps between patches; the last value is repeated that often at the
            end.
        features: Number of features of every patch.
        num_heads: Number of heads of each attention.
        layers: Number of layers of the transformer.
        hidden: Number of hidden units of the network in a layer.
        dropout_rate: Share of embeddings and of what a layer adds that is dropped, which members
            may set by that name; None for no dropout.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If a patch or stride does not fit, or if a call's x has another length.
    """

    def __init__(
        self,
        length: int,
        horizon: int,
        *,
        patch: int = 16,
        stride: int = 8,
        features: int = 16,
        num_heads: int = 4,
        layers: int = 3,
        hidden: int = 128,
        dropout_rate: float | None = 0.3,
        rngs: nnx.Rngs,
    ):
        _check_patches(length, patch, stride)
        self.length = length
        self.patch = patch
        self.stride = stride
        self.count = (length + stride - patch) // stride + 1
        self.embedding = Dense(patch, features, rngs=rngs)
        self.positions = nnx.Param(
            jax.random.uniform(rngs.params(), (self.count, features), minval=-0.02, maxval=0.02)
        )
        self.dropout = Dropout(dropout_rate, rngs=rngs)
        sizes = (features, num_heads, hidden, dropout_rate)
        self.blocks = nnx.List([_Block(*sizes, rngs=rngs) for _ in range(layers)])
        self.output = Dense(self.count * features, horizon, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the future: [batch, length, channels] -> [batch, horizon, channels]."""
        check_shape(x, self.length, None)
        x = widen(x)  # for the statistics, and for the way back
        mean = x.mean(axis=1, keepdims=True)
        spread = jnp.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        series = ((x - mean) / spread).swapaxes(1, 2)  # [batch, channels, length]
        rows = jax.lax.collapse(series, 0, 2).astype(self.embedding.kernel.dtype)
        patches = _patches(rows, self.patch, self.stride, self.count)
        y = self.embedding(patches)  # [batch * channels, patches, features]
        y = self.dropout(y + broadcast_parameter(self.positions[...], y.shape))
        scored = None
        for block in self.blocks:
            y, scored = block(y, scored)
        y = y.reshape(*series.shape[:2], self.count * y.shape[-1])
        y = self.output(y)  # [batch, channels, horizon]
        return y.swapaxes(1, 2) * spread + mean


class _Block(nnx.Module):
    """A post-norm layer with batch norm; its attention adds the scores of the layers before."""

    def __init__(
        self,
        features: int,
        num_heads: int,
        hidden: int,
        dropout_rate: float | None,
        *,
        rngs: nnx.Rngs,
    ):
        self.attention = MultiHeadAttention(num_heads, features, rngs=rngs)
        self.norm1 = BatchNorm(features, momentum=0.9, rngs=rngs)
        self.norm2 = BatchNorm(features, momentum=0.9, rngs=rngs)
        self.linear1 = Dense(features, hidden, rngs=rngs)
        self.linear2 = Dense(hidden, features, rngs=rngs)
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array, scored: _Scored | None) -> tuple[jax.Array, _Scored]:
        """Return the outputs, and the queries and keys of all layers so far."""
        q, k, v = self.attention.project(x)
        scale = q.shape[-1] ** -0.5
        if scored is not None:
            # The sum of several layers' scores is the score of their queries and keys side by side.
            q = jnp.concatenate([scored[0], q], axis=-1)
            k = jnp.concatenate([scored[1], k], axis=-1)
        y = self.attention.merge(attention(q, k, v, scale=scale))
        x = self.norm1(x + self.dropout(y))
        y = self.linear2(self.dropout(jax.nn.gelu(self.linear1(x), approximate=False)))
        return self.norm2(x + self.dropout(y)), (q, k)


def _check_patches(length: int, patch: int, stride: int) -> None:
    check_integer("stride", stride, advice="Use e.g. 8.")
    if not 1 <= patch <= length + stride:
        raise ValueError(
            f"patch must be from 1 to {length + stride}, the length plus the stride, got {patch}. "
            "Use e.g. 16."
        )


def _patches(rows: jax.Array, patch: int, stride: int, count: int) -> jax.Array:
    """Cut rows into patches, the last value repeated: [rows, time] -> [rows, count, patch]."""
    padded = jnp.concatenate([rows, jnp.repeat(rows[:, -1:], stride, axis=1)], axis=1)
    # Slices, and their gradients, are faster than a gather.
    parts = [padded[:, i * stride : i * stride + patch] for i in range(count)]
    return jnp.stack(parts, axis=1)
