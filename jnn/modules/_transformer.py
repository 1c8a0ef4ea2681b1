"""A layer of a transformer: attention between positions, then a small network at each."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from jnn.layers import KVCache
from jnn.modules._attention import MultiHeadAttention
from jnn.modules._dropout import dropout_or_none
from jnn.modules._linear import Dense
from jnn.modules._norm import LayerNorm

_LECUN = nnx.initializers.lecun_normal()


class TransformerBlock(nnx.Module):
    """Attention and a two-layer network, each added to what it was given.

    x = x + attention(norm(x)), y = x + W_2 f(W_1 norm(x))    norm_first (Xiong et al. 2020, arXiv:2002.04745)
    x = norm(x + attention(x)), y = norm(x + W_2 f(W_1 x))    otherwise (Vaswani et al. 2017, arXiv:1706.03762)

    Args:
        features: Of every position.
        num_heads: Of the attention.
        hidden: Units of the network, 4 `features` by default.
        norm_first: Where the normalisation stands.
        norm: Makes the two normalisations: `norm(features, rngs=rngs)`.
        activation: f.
        causal: Whether a position sees only itself and the ones before.
        num_kv_heads: See `MultiHeadAttention`.
        rotary_base: See `MultiHeadAttention`.
        dropout_rate: Share dropped of what is added, which members may set by that name; None for no dropout at all.
        attention_dropout_rate: Share of the attention's weights dropped, set by the same name; None for none.
        use_bias: Whether the linear maps have a bias.
        kernel_init: Draws the kernels.
        residual_init: Draws those two whose products are added; `kernel_init` by default.
        rngs: Streams `params` and `dropout`.
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
        dropout_rate: float | None = None,
        attention_dropout_rate: float | None = None,
        use_bias: bool = True,
        kernel_init: Callable = _LECUN,
        residual_init: Callable | None = None,
        rngs: nnx.Rngs,
    ):
        hidden, residual_init = hidden or 4 * features, residual_init or kernel_init
        self.attention = MultiHeadAttention(
            num_heads,
            features,
            num_kv_heads=num_kv_heads,
            causal=causal,
            rotary_base=rotary_base,
            dropout_rate=attention_dropout_rate,
            use_bias=use_bias,
            kernel_init=kernel_init,
            out_kernel_init=residual_init,
            rngs=rngs,
        )
        self.norm1, self.norm2 = norm(features, rngs=rngs), norm(features, rngs=rngs)
        self.linear1 = Dense(
            features, hidden, use_bias=use_bias, kernel_init=kernel_init, rngs=rngs
        )
        self.linear2 = Dense(
            hidden, features, use_bias=use_bias, kernel_init=residual_init, rngs=rngs
        )
        self.norm_first, self.activation = norm_first, activation
        self.dropout = dropout_or_none(dropout_rate, rngs=rngs)

    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        """[*batch, time, features] -> the same shape; the mask as in `MultiHeadAttention`."""
        return self._around(x, lambda h: (self.attention(h, mask=mask), None))[0]

    def decode(self, x: jax.Array, cache: KVCache) -> tuple[jax.Array, KVCache]:
        """The next positions of a sequence whose keys and values are in the cache."""
        return self._around(x, lambda h: self.attention.decode(h, cache))

    def _around(self, x: jax.Array, attend: Callable) -> tuple[jax.Array, Any]:
        """The block with its attention given as a function, which also returns what it carries."""
        y, carried = attend(self.norm1(x) if self.norm_first else x)
        x = x + self.dropout(y)
        x = x if self.norm_first else self.norm1(x)
        y = self.linear2(self.activation(self.linear1(self.norm2(x) if self.norm_first else x)))
        x = x + self.dropout(y)
        return (x if self.norm_first else self.norm2(x)), carried
