"""Multi-head attention with the parameters of `flax.nnx.MultiHeadAttention`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jnn._signature import with_signature
from jnn.layers import (
    KVCache,
    RotaryScaling,
    attention,
    broadcast_parameter,
    dense,
    empty_cache,
    extend_cache,
    rotary,
)
from jnn.modules._dropout import rate_of, stream_of

_LECUN = nnx.initializers.lecun_normal()


@with_signature
class MultiHeadAttention(nnx.Module):
    """Multi-head attention, Vaswani et al. (2017), arXiv:1706.03762.

    q = x W_q, k = s W_k, v = s W_v, y = [softmax(q_h k_h^T / sqrt(dim)) v_h for each head h] W_o.

    Parameters are those of `flax.nnx.MultiHeadAttention`: `query`, `key`, `value` with kernels
    [in, heads, dim] and `out` with [heads, dim, out]. Each map has (in + 1) out parameters; with
    the defaults there are 4 (features^2 + features) in all.

    Args:
        num_heads: Number of heads of the queries.
        in_features: Number of features of x.
        qkv_features: Number of features of all heads together; `in_features` by default.
        out_features: Number of features of y; `in_features` by default.
        num_kv_heads: Number of heads of keys and values, each of which serves a group of query
            heads (Ainslie et al. 2023); `num_heads` by default.
        in_kv_features: Number of features of the source; `in_features` by default.
        causal: Whether a position sees only itself and the ones before.
        rotary_base: Base of the rotary frequencies base^(-2i / dim), 10 000 in Su et al. (2021);
            None for no rotary positions.
        rotary_scaling: Change of the rotary frequencies, see `jnn.layers.RotaryScaling`.
        dropout_rate: Share of the attention weights that is dropped, which members may set by that
            name; None for no dropout.
        use_bias: Whether the four maps have a bias.
        qkv_bias: Whether the maps of queries, keys and values have a bias; `use_bias` by default.
        kernel_init: Initializer of the kernels of query, key and value, as matrices
            [in, heads * dim].
        out_kernel_init: Initializer of the kernel of out; `kernel_init` by default.
        rngs: Keys of the streams `params` and `dropout`.

    Raises:
        ValueError: If the heads do not divide the features, or the heads of keys and values do not
            divide those of the queries.
    """

    def __init__(
        self,
        num_heads: int,
        in_features: int,
        qkv_features: int | None = None,
        out_features: int | None = None,
        num_kv_heads: int | None = None,
        in_kv_features: int | None = None,
        *,
        causal: bool = False,
        rotary_base: float | None = None,
        rotary_scaling: RotaryScaling | None = None,
        dropout_rate: float | None = None,
        use_bias: bool = True,
        qkv_bias: bool | None = None,
        kernel_init: nnx.Initializer = _LECUN,
        out_kernel_init: nnx.Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        features = qkv_features or in_features
        kv_heads = num_kv_heads or num_heads
        source_features = in_kv_features or in_features
        _check_heads(features, num_heads, kv_heads)
        dim = features // num_heads
        options: dict[str, Any] = {"kernel_init": kernel_init, "rngs": rngs}
        options["use_bias"] = use_bias if qkv_bias is None else qkv_bias
        self.query = nnx.LinearGeneral(in_features, (num_heads, dim), **options)
        self.key = nnx.LinearGeneral(source_features, (kv_heads, dim), **options)
        self.value = nnx.LinearGeneral(source_features, (kv_heads, dim), **options)
        self.out = nnx.LinearGeneral(
            (num_heads, dim),
            out_features or in_features,
            axis=(-2, -1),
            use_bias=use_bias,
            kernel_init=out_kernel_init or kernel_init,
            rngs=rngs,
        )
        self.causal = causal
        self.rotary_base = rotary_base
        self.rotary_scaling = rotary_scaling
        self.dropout_rate = None if dropout_rate is None else rate_of("dropout_rate", dropout_rate)
        self.deterministic = False
        self.rngs = None if dropout_rate is None else stream_of(rngs)

    def __call__(
        self, x: jax.Array, source: jax.Array | None = None, *, mask: jax.Array | None = None
    ) -> jax.Array:
        """Attend from x to the source.

        Args:
            x: Positions that ask, [*batch, time, in].
            source: Positions that answer, [*batch, source time, in_kv]; x itself by default.
            mask: True where a position may look; broadcasts to [*batch, heads, time, source time].

        Returns:
            An array [*batch, time, out].
        """
        q, k, v = self.project(x, source)
        q, k = self._rotate(q, k)
        y = attention(q, k, v, mask=mask, causal=self.causal, **self._weight_dropout())
        return self.merge(y)

    def decode(self, x: jax.Array, cache: KVCache) -> tuple[jax.Array, KVCache]:
        """Attend from the next positions [*batch, time, in] to themselves and those in the cache.

        Returns:
            An array [*batch, time, out], and the cache with the next positions.
        """
        q, k, v = self.project(x)
        q, k = self._rotate(q, k, cache.length)
        cache, mask = extend_cache(cache, k, v)
        return self.merge(attention(q, cache.k, cache.v, mask=mask)), cache

    def empty_cache(self, batch: tuple[int, ...], capacity: int) -> KVCache:
        """Return an empty cache for the keys and values of up to `capacity` positions."""
        _, heads, dim = self.key.kernel.shape
        return empty_cache(batch, capacity, heads, dim, self.key.kernel.dtype)

    def project(
        self, x: jax.Array, source: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return queries, keys and values, each [*batch, time, heads, dim], before rotation."""
        source = x if source is None else source
        q = _project(x, self.query)
        k = _project(source, self.key)
        v = _project(source, self.value)
        return q, k, v

    def merge(self, heads: jax.Array) -> jax.Array:
        """Map the outputs of the heads [*batch, time, heads, dim] to [*batch, time, out]."""
        heads, kernel, bias = _promote(heads, self.out)
        rows = jax.lax.collapse(heads, heads.ndim - 2)
        return dense(rows, jax.lax.collapse(kernel, 0, 2), bias)

    def _weight_dropout(self) -> dict[str, Any]:
        """Return the arguments by which `attention` drops weights."""
        if self.dropout_rate is None or self.rngs is None or self.deterministic:
            return {}
        return {"key": self.rngs(), "dropout_rate": self.dropout_rate[...]}

    def _rotate(
        self, q: jax.Array, k: jax.Array, offset: jax.Array | int = 0
    ) -> tuple[jax.Array, jax.Array]:
        """Rotate queries and keys by their positions, which start at the offset."""
        if self.rotary_base is None:
            return q, k
        turn = functools.partial(rotary, base=self.rotary_base, scaling=self.rotary_scaling)
        q = turn(q, jnp.arange(q.shape[-3]) + offset)
        k = turn(k, jnp.arange(k.shape[-3]) + offset)
        return q, k


def _check_heads(features: int, num_heads: int, kv_heads: int) -> None:
    if features < 1 or num_heads < 1 or features % num_heads:
        raise ValueError(
            f"num_heads must divide the {features} features of all heads together, got "
            f"{num_heads}. Choose e.g. 8 heads and 64 features."
        )
    if kv_heads < 1 or num_heads % kv_heads:
        raise ValueError(
            f"num_kv_heads must divide the {num_heads} heads of the queries, got {kv_heads}. "
            "Choose e.g. 8 heads and 2 of keys and values."
        )


def _project(x: jax.Array, linear: nnx.LinearGeneral) -> jax.Array:
    """Map to heads by one matrix product: [*batch, time, in] -> [*batch, time, heads, dim]."""
    x, kernel, bias = _promote(x, linear)
    inputs, heads, dim = kernel.shape
    y = dense(x, kernel.reshape(inputs, heads * dim)).reshape(*x.shape[:-1], heads, dim)
    return y if bias is None else y + broadcast_parameter(bias, y.shape)


def _promote(
    x: jax.Array, linear: nnx.LinearGeneral
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return x, kernel and bias in the type that Flax's own map computes in."""
    bias = None if linear.bias is None else linear.bias[...]
    return linear.promote_dtype((x, linear.kernel[...], bias), dtype=linear.dtype)
