"""A layer of a transformer: attention between positions, then a small network at each."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import KVCache, RotaryScaling
from jnn.modules._attention import MultiHeadAttention
from jnn.modules._dropout import Dropout
from jnn.modules._linear import Dense
from jnn.modules._norm import LayerNorm

_LECUN = nnx.initializers.lecun_normal()


@with_signature
class TransformerBlock(nnx.Module):
    """Attention and a two-layer network, each added to its input.

    x = x + attention(norm(x)), y = x + W_2 f(W_1 norm(x))
        with norm_first (Xiong et al. 2020, arXiv:2002.04745)
    x = norm(x + attention(x)), y = norm(x + W_2 f(W_1 x))
        otherwise (Vaswani et al. 2017, arXiv:1706.03762)

    With `gated` the network is W_2 (f(W_g x) * W_1 x) (Shazeer 2020, arXiv:2002.05202), which is
    SwiGLU for f = `jax.nn.silu`.

    Args:
        features: Number of features of every position.
        num_heads: Number of heads of the attention.
        hidden: Number of hidden units of the network; `4 * features` by default.
        norm_first: Whether to normalize before attention and network, or after their sums.
        norm: Function that makes the two normalizations, called `norm(features, rngs=rngs)`.
        activation: Activation f of the network.
        causal: Whether a position sees only itself and the ones before.
        num_kv_heads: Number of heads of keys and values, see `MultiHeadAttention`.
        rotary_base: Base of the rotary frequencies, see `MultiHeadAttention`.
        rotary_scaling: Change of the rotary frequencies, see `jnn.layers.RotaryScaling`.
        dropout_rate: Share of each sum's new part that is dropped, which members may set by that
            name; None for no dropout.
        attention_dropout_rate: Share of the attention weights that is dropped, which members set
            by the name `dropout_rate` too; None for no dropout.
        use_bias: Whether the linear maps have a bias.
        qkv_bias: Whether the maps of queries, keys and values have a bias; `use_bias` by default.
        gated: Whether the hidden units are multiplied by activated ones, by a third map `gate`.
        kernel_init: Initializer of the kernels.
        residual_init: Initializer of the two kernels whose products are added to the input;
            `kernel_init` by default.
        rngs: Keys of the streams `params` and `dropout`.
    """

    def __init__(
        self,
        features: int,
        num_heads: int,
        hidden: int | None = None,
        *,
        norm_first: bool = True,
        norm: Callable[..., Any] = LayerNorm,
        activation: Callable[[jax.Array], jax.Array] = jax.nn.gelu,
        causal: bool = False,
        num_kv_heads: int | None = None,
        rotary_base: float | None = None,
        rotary_scaling: RotaryScaling | None = None,
        dropout_rate: float | None = None,
        attention_dropout_rate: float | None = None,
        use_bias: bool = True,
        qkv_bias: bool | None = None,
        gated: bool = False,
        kernel_init: nnx.Initializer = _LECUN,
        residual_init: nnx.Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        hidden = hidden or 4 * features
        residual_init = residual_init or kernel_init
        self.attention = MultiHeadAttention(
            num_heads,
            features,
            num_kv_heads=num_kv_heads,
            causal=causal,
            rotary_base=rotary_base,
            rotary_scaling=rotary_scaling,
            dropout_rate=attention_dropout_rate,
            use_bias=use_bias,
            qkv_bias=qkv_bias,
            kernel_init=kernel_init,
            out_kernel_init=residual_init,
            rngs=rngs,
        )
        self.norm1 = norm(features, rngs=rngs)
        self.norm2 = norm(features, rngs=rngs)
        dense = functools.partial(Dense, use_bias=use_bias, rngs=rngs)
        self.gate = dense(features, hidden, kernel_init=kernel_init) if gated else None
        self.linear1 = dense(features, hidden, kernel_init=kernel_init)
        self.linear2 = dense(hidden, features, kernel_init=residual_init)
        self.norm_first = norm_first
        self.activation = activation
        self.dropout = Dropout(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """Apply the block: [*batch, time, features] -> the same shape.

        Args:
            x: Positions [*batch, time, features].
            mask: True where a position may look, see `MultiHeadAttention`.
        """
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm1(x), mask=mask))
        else:
            x = self.norm1(x + self.dropout(self.attention(x, mask=mask)))
        return self._network(x)

    def decode(self, x: jax.Array, cache: KVCache) -> tuple[jax.Array, KVCache]:
        """Apply the block to the next positions, after those whose keys and values are cached."""
        if self.norm_first:
            y, cache = self.attention.decode(self.norm1(x), cache)
            x = x + self.dropout(y)
        else:
            y, cache = self.attention.decode(x, cache)
            x = self.norm1(x + self.dropout(y))
        return self._network(x), cache

    def _network(self, x: jax.Array) -> jax.Array:
        """Add the two-layer network."""
        if self.norm_first:
            return x + self.dropout(self._two_layers(self.norm2(x)))
        return self.norm2(x + self.dropout(self._two_layers(x)))

    def _two_layers(self, x: jax.Array) -> jax.Array:
        if self.gate is None:
            return self.linear2(self.activation(self.linear1(x)))
        return self.linear2(self.activation(self.gate(x)) * self.linear1(x))
