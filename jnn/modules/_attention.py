"""Multi-head attention with the parameters of `flax.nnx.MultiHeadAttention`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jnn.layers import KVCache, attention, dense, empty_cache, extend_cache, rotary
from jnn.modules._dropout import rate_of, stream_of

_LECUN = nnx.initializers.lecun_normal()


class MultiHeadAttention(nnx.Module):
    """Every position asks, every position answers, in several heads: Vaswani et al. (2017), arXiv:1706.03762.

    q = x W_q, k = s W_k, v = s W_v, y = [softmax(q_h k_h^T / sqrt(dim)) v_h for each head h] W_o.

    Parameters as in `flax.nnx.MultiHeadAttention`: `query`, `key`, `value` with kernels [in, heads, dim] and `out` with
    [heads, dim, out]. Each map has (in + 1) out parameters; with the defaults 4 (features^2 + features) in all.

    Args:
        num_heads: Heads of the queries.
        in_features: Of x.
        qkv_features: Of all heads together, `in_features` by default.
        out_features: Of y, `in_features` by default.
        num_kv_heads: Heads of keys and values, which groups of query heads share (Ainslie et al. 2023); `num_heads` by
            default.
        in_kv_features: Of the source, `in_features` by default.
        causal: Whether a position sees only itself and the ones before.
        rotary_base: Base of the rotary frequencies base^(-2i / dim), 10 000 in Su et al. (2021); None for no positions.
        dropout_rate: Share of the weights dropped, which members may set by that name; None for no dropout at all.
        use_bias: Whether the four maps have a bias.
        kernel_init: Draws the kernels of query, key and value, as matrices [in, heads * dim].
        out_kernel_init: Draws the kernel of out; `kernel_init` by default.
        rngs: Streams `params` and `dropout`.

    Raises:
        ValueError: If heads do not divide the features or each other.
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
        dropout_rate: float | None = None,
        use_bias: bool = True,
        kernel_init: Callable = _LECUN,
        out_kernel_init: Callable | None = None,
        rngs: nnx.Rngs,
    ):
        width, kv_heads, source = (
            qkv_features or in_features,
            num_kv_heads or num_heads,
            in_kv_features or in_features,
        )
        if min(width, num_heads, kv_heads) < 1 or width % num_heads or num_heads % kv_heads:
            raise ValueError(
                f"wanted {width} features that {num_heads} heads divide, and heads that {kv_heads} key heads divide; "
                "choose e.g. 8 heads, 64 features and 2 key heads"
            )
        dim, how = (
            width // num_heads,
            {"use_bias": use_bias, "kernel_init": kernel_init, "rngs": rngs},
        )
        self.query = nnx.LinearGeneral(in_features, (num_heads, dim), **how)
        self.key = nnx.LinearGeneral(source, (kv_heads, dim), **how)
        self.value = nnx.LinearGeneral(source, (kv_heads, dim), **how)
        how["kernel_init"] = out_kernel_init or kernel_init
        self.out = nnx.LinearGeneral(
            (num_heads, dim), out_features or in_features, axis=(-2, -1), **how
        )
        self.causal, self.rotary_base = causal, rotary_base
        self.dropout_rate = None if dropout_rate is None else rate_of(dropout_rate)
        self.deterministic = False
        self.rngs = None if dropout_rate is None else stream_of(rngs)

    def __call__(
        self, x: jax.Array, source: jax.Array | None = None, *, mask: jax.Array | None = None
    ) -> jax.Array:
        """x asks, the source (x itself by default) answers.

        Args:
            x: [*batch, time, in].
            source: [*batch, source time, in_kv].
            mask: True where a position may look; broadcasts to [*batch, heads, time, source time].

        Returns:
            [*batch, time, out].
        """
        q, k, v = self.project(x, source)
        return self.merge(
            attention(
                *self._turned(q, k), v, mask=mask, causal=self.causal, **self.weight_dropout()
            )
        )

    def decode(self, x: jax.Array, cache: KVCache) -> tuple[jax.Array, KVCache]:
        """The next positions [*batch, time, in] of a sequence whose keys and values are in the cache."""
        q, k, v = self.project(x)
        q, k = self._turned(q, k, cache.length)
        cache, mask = extend_cache(cache, k, v)
        return self.merge(attention(q, cache.k, cache.v, mask=mask)), cache

    def empty_cache(self, batch: tuple[int, ...], capacity: int) -> KVCache:
        """Room for the keys and values of `capacity` positions."""
        _, heads, dim = self.key.kernel.shape
        return empty_cache(batch, capacity, heads, dim, self.key.kernel.dtype)

    def project(
        self, x: jax.Array, source: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries, keys and values, each [*batch, time, heads, dim]."""
        source = x if source is None else source
        return _split(x, self.query), _split(source, self.key), _split(source, self.value)

    def merge(self, heads: jax.Array) -> jax.Array:
        """The outputs of the heads [*batch, time, heads, dim] through the last map."""
        heads, kernel, bias = _promoted(heads, self.out)
        return dense(jax.lax.collapse(heads, heads.ndim - 2), jax.lax.collapse(kernel, 0, 2), bias)

    def weight_dropout(self) -> dict:
        """The arguments by which `attention` drops weights."""
        if self.dropout_rate is None or self.rngs is None or self.deterministic:
            return {}
        return {"key": self.rngs(), "dropout_rate": self.dropout_rate[...]}

    def _turned(
        self, q: jax.Array, k: jax.Array, offset: jax.Array | int = 0
    ) -> tuple[jax.Array, jax.Array]:
        if self.rotary_base is not None:
            q, k = (
                rotary(a, jnp.arange(a.shape[-3]) + offset, base=self.rotary_base) for a in (q, k)
            )
        return q, k


def _split(x: jax.Array, linear: nnx.LinearGeneral) -> jax.Array:
    """x through a map to heads, as one matrix product: [*batch, time, in] -> [*batch, time, heads, dim]."""
    x, kernel, bias = _promoted(x, linear)
    inputs, heads, dim = kernel.shape
    y = dense(x, kernel.reshape(inputs, heads * dim)).reshape(*x.shape[:-1], heads, dim)
    return y if bias is None else y + bias


def _promoted(
    x: jax.Array, linear: nnx.LinearGeneral
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """x, kernel and bias in the type that Flax's own map computes in."""
    bias = None if linear.bias is None else linear.bias[...]
    return linear.promote_dtype((x, linear.kernel[...], bias), dtype=linear.dtype)
