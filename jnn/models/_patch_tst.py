"""The transformer over patches of a series."""

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import attention
from jnn.models._form import check_rows
from jnn.modules import BatchNorm, Dense, MultiHeadAttention
from jnn.modules._dropout import dropout_or_none


class PatchTST(nnx.Module):
    """Each channel of a series, cut into patches that overlap, through one transformer; a linear map to its future.

    Nie et al. (2023), arXiv:2211.14730. `PatchTST(336, 96)` is the paper's network for ETTh1 with 42 patches; 81 728
    parameters. As in the authors' code each channel is standardised by its own past (RevIN, Kim et al. 2022, without
    learned numbers), the normalisation is batch norm after each sum, and the scores of a layer's attention are added to
    those of the layer before (He et al. 2021, arXiv:2012.11747).

    Args:
        length: Time steps of the input.
        horizon: Time steps of the output.
        patch: Time steps of a patch.
        stride: Time steps between patches; the last value is repeated that often at the end.
        features: Of every patch.
        num_heads: Heads of each attention.
        layers: Of the transformer.
        hidden: Units of the network in a layer.
        dropout_rate: Share dropped of embeddings and what a layer adds, which members may set by that name; None for no
            dropout at all.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If a patch or stride does not fit, or a call's x is of another length.
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
        if min(patch, stride) < 1 or patch > length + stride:
            raise ValueError(
                f"wanted a stride and patches of at least 1, within {length} + {stride} steps, but got {stride} and "
                f"{patch}; choose e.g. a stride of 8 and patches of 16"
            )
        count = (length + stride - patch) // stride + 1
        self.length, self.patch, self.stride, self.count = length, patch, stride, count
        self.embedding = Dense(patch, features, rngs=rngs)
        self.positions = nnx.Param(
            jax.random.uniform(rngs.params(), (count, features), minval=-0.02, maxval=0.02)
        )
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)
        sizes = (features, num_heads, hidden, dropout_rate)
        self.blocks = nnx.List([_Block(*sizes, rngs=rngs) for _ in range(layers)])
        self.output = Dense(count * features, horizon, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, length, channels] -> [batch, horizon, channels]."""
        check_rows(x, self.length, None)
        mean, spread = x.mean(axis=1, keepdims=True), jnp.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        series = ((x - mean) / spread).swapaxes(1, 2)  # [batch, channels, length]
        rows = jax.lax.collapse(series, 0, 2)
        y = self.embedding(_patches(rows, self.patch, self.stride, self.count)) + self.positions[
            ...
        ].astype(x.dtype)
        y = self.dropout(y)  # [batch * channels, patches, features]
        asked = None
        for block in self.blocks:
            y, asked = block(y, asked)
        y = self.output(
            y.reshape(*series.shape[:2], self.count * y.shape[-1])
        )  # [batch, channels, horizon]
        return y.swapaxes(1, 2) * spread + mean


class _Block(nnx.Module):
    """A post-norm layer with batch norm, whose attention adds its scores to those of the layers before."""

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
        self.norm1, self.norm2 = (BatchNorm(features, momentum=0.9, rngs=rngs) for _ in range(2))
        self.linear1, self.linear2 = (
            Dense(features, hidden, rngs=rngs),
            Dense(hidden, features, rngs=rngs),
        )
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)

    def __call__(
        self, x: jax.Array, asked: tuple | None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        q, k, v = self.attention.project(x)
        scale = q.shape[-1] ** -0.5
        if (
            asked is not None
        ):  # the sum of the scores of several layers is the score of their queries side by side
            q, k = (
                jnp.concatenate([before, now], axis=-1)
                for before, now in zip(asked, (q, k), strict=True)
            )
        y = self.attention.merge(attention(q, k, v, scale=scale))
        x = self.norm1(x + self.dropout(y))
        y = self.linear2(self.dropout(jax.nn.gelu(self.linear1(x), approximate=False)))
        return self.norm2(x + self.dropout(y)), (q, k)


def _patches(rows: jax.Array, patch: int, stride: int, count: int) -> jax.Array:
    """[rows, time] -> [rows, count, patch], the last value repeated at the end; slices are fast both ways."""
    longer = jnp.concatenate([rows, jnp.repeat(rows[:, -1:], stride, axis=1)], axis=1)
    cut = [longer[:, i * stride : i * stride + patch] for i in range(count)]
    return jnp.stack(cut, axis=1)
