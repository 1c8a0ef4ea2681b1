"""Attention, the positions it knows and the cache it generates from.

Time stands before heads: q is (*batch, time, heads, dim), k and v are (*batch, source, kv_heads, dim). A mask is True
where a query may look and broadcasts to (*batch, heads, time, source).
"""

import itertools
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray, Shaped

from jnn.layers._attention_operands import (
    check_mask_and_bias,
    check_positions,
    check_qkv,
    check_steps,
)
from jnn.layers._floating import narrow, widen
from jnn.layers._regularize import dropout

Scalar = float | int | Float[Array, ""]

ONE_BY_ONE_FROM = (
    1 << 15
)  # scores of one head; measured: 128 x 128 costs the same in both ways, 512 x 512 0.7 of it
CAUSAL_PARTS = 4  # leaves out 3/8 of the scores; 512 x 512 then take 0.6 of the time


def attention(
    q: Float[Array, "*batch time heads dim"],
    k: Float[Array, "*batch source kv_heads dim"],
    v: Float[Array, "*batch source kv_heads value_dim"],
    *,
    mask: Bool[Array, "..."] | None = None,
    bias: Float[Array, "..."] | None = None,
    scale: Scalar | None = None,
    causal: bool = False,
    key: PRNGKeyArray | None = None,
    dropout_rate: Scalar = 0.0,
) -> Float[Array, "*batch time heads value_dim"]:
    """Average the values, weighted by how well each key answers the query.

    y = softmax(scale * q k^T + bias) v    (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)

    Args:
        q: Queries.
        k: Keys; fewer heads than q's are shared by groups of neighbouring query heads (Ainslie et al. 2023,
            https://arxiv.org/abs/2305.13245).
        v: Values.
        mask: True where a query may look; a query that may look nowhere gets 0.
        bias: Added to the scores, broadcasts to (*batch, heads, time, source); -inf masks.
        scale: 1 / sqrt(dim) if not given.
        causal: Query i looks at the keys 0 to i only.
        key: Random key of the dropout; without one no weight is dropped.
        dropout_rate: The share of the weights dropped.

    Raises:
        ValueError: If the shapes of q, k and v do not fit each other, the query heads are no multiple of the key heads,
            a mask is not boolean, or a mask or bias does not broadcast.

    The softmax is made in float32 at least. On a CPU long rows go one by one, head after head, and are made again for
    the gradient: the scores of one head stay in the cache and those of all heads are never held together. Of causal
    scores those beyond the diagonal are mostly left out, unless weights are dropped.

    >>> q, k = jnp.ones((2, 1, 1)), jnp.zeros((2, 1, 1))
    >>> attention(q, k, jnp.array([1.0, 3.0]).reshape(2, 1, 1), causal=True).ravel()
    Array([1., 2.], dtype=float32)
    """
    q, k, v = (jnp.asarray(array) for array in (q, k, v))
    mask, bias = (None if array is None else jnp.asarray(array) for array in (mask, bias))
    check_qkv(q, k, v)
    heads, kv_heads = q.shape[-2], k.shape[-2]
    shape = (*q.shape[:-3], heads, q.shape[-3], k.shape[-3])
    check_mask_and_bias(mask, bias, shape)
    if causal:
        below = causal_mask(*shape[-2:])
        mask = below if mask is None else mask & below
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    is_half = (
        jnp.finfo(q.dtype).bits < 32
    )  # whose products would be rounded: its scores are scaled, which are float32
    rows = (
        _head_rows(q, kv_heads)
        if is_half
        else _head_rows(q, kv_heads) * jnp.asarray(scale, q.dtype),
        *(_head_rows(array, kv_heads)[:, 0] for array in (k, v)),
        *(_mask_rows(array, shape, kv_heads) for array in (mask, bias)),
        None if key is None else jax.random.split(key, math.prod(shape[:-3]) * kv_heads),
    )
    scale = scale if is_half else None
    together = partial(_for_each_row, partial(_attend, dropout_rate, scale), one_by_one=False)
    if shape[-2] * shape[-1] < ONE_BY_ONE_FROM:
        y = together(rows)
    else:
        in_parts = causal and key is None
        attend = _attend_in_parts if in_parts else partial(_attend, dropout_rate)
        one_by_one = partial(_for_each_row, partial(attend, scale), one_by_one=True)
        y = lax.platform_dependent(rows, cpu=one_by_one, default=together)
    y = y.reshape(*shape[:-1], v.shape[-1])  # *batch heads time value_dim
    return jnp.moveaxis(y, -3, -2).astype(q.dtype)


def causal_mask(
    length: int, source: int | None = None, *, offset: int | Integer[Array, ""] = 0
) -> Bool[Array, "time source"]:
    """Let each query look at the keys up to its own position.

    mask[i, j] = j <= i + offset,  offset = the position of the first query; it may be traced

    >>> causal_mask(2, 3, offset=1).astype(int)
    Array([[1, 1, 0],
           [1, 1, 1]], dtype=int32)
    """
    positions = jnp.arange(length)[:, None] + offset
    return jnp.arange(length if source is None else source) <= positions


def rotary(
    x: Float[Array, "*batch time heads dim"],
    positions: Shaped[Array, "*#batch time"],
    *,
    base: Scalar = 10000.0,
) -> Float[Array, "*batch time heads dim"]:
    """Turn pairs of channels by an angle that grows with the position, so that q k^T depends on distances.

    y[i] = x[i] cos(a) - x[i + dim/2] sin(a),  y[i + dim/2] = x[i + dim/2] cos(a) + x[i] sin(a)
    with a = position * base^(-2i / dim)    (Su et al. 2021, https://arxiv.org/abs/2104.09864)

    The halves are the pairs, as in GPT-NeoX, Llama and Hugging Face; the paper pairs neighbours, which is a permutation
    of the channels.

    Raises:
        ValueError: If dim is odd, x has fewer than three axes, or the positions do not broadcast to (*batch, time).

    >>> rotary(jnp.array([[[2.0, 0.0]]]), jnp.array([jnp.pi / 2])).ravel().astype(int)
    Array([0, 2], dtype=int32)
    """
    x, positions = jnp.asarray(x), jnp.asarray(positions)
    check_positions(x, positions)
    angles = positions[..., None] * _frequencies(x.shape[-1], base)  # *batch time dim/2
    sin, cos = jnp.sin(angles)[..., None, :], jnp.cos(angles)[..., None, :]
    first, second = jnp.split(widen(x), 2, axis=-1)
    return narrow(
        jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1), x
    )


def sinusoidal_positions(
    length: int, dim: int, *, base: Scalar = 10000.0
) -> Float[Array, "length dim"]:
    """Write each position as sines and cosines of slower and slower waves.

    p[t, 2i] = sin(t * base^(-2i / dim)),  p[t, 2i + 1] = cos(t * base^(-2i / dim))
    (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5)

    Raises:
        ValueError: If dim is odd or a size is below 0.

    >>> sinusoidal_positions(1, 4)
    Array([[0., 1., 0., 1.]], dtype=float32)
    """
    if length < 0 or dim < 0:
        raise ValueError(f"wanted a length and a dim of 0 or more, but got {length} and {dim}")
    angles = jnp.arange(length)[:, None] * _frequencies(dim, base)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(length, dim)


class KVCache(NamedTuple):
    """The keys and values that a generation has seen so far.

    >>> KVCache(jnp.zeros((5, 1, 4)), jnp.zeros((5, 1, 4)), jnp.array(0)).k.shape
    (5, 1, 4)
    """

    k: Array  # (*batch, capacity, kv_heads, dim)
    v: Array  # (*batch, capacity, kv_heads, dim)
    length: Array  # how many of the capacity are filled, one number for all rows


def empty_cache(
    batch: tuple[int, ...], capacity: int, kv_heads: int, dim: int, dtype=jnp.float32
) -> KVCache:
    """Make room for the keys and values of `capacity` steps.

    >>> empty_cache((2,), 5, 1, 4).k.shape
    (2, 5, 1, 4)
    """
    room = jnp.zeros((*batch, capacity, kv_heads, dim), dtype)
    return KVCache(room, room, jnp.zeros((), jnp.int32))


def extend_cache(
    cache: KVCache,
    k: Float[Array, "*batch time kv_heads dim"],
    v: Float[Array, "*batch time kv_heads dim"],
) -> tuple[KVCache, Bool[Array, "time capacity"]]:
    """Write the new steps behind the old ones, and return the mask that the new queries look through.

    cache, mask = extend_cache(cache, k, v)
    y = attention(q, cache.k, cache.v, mask=mask)      equals the last rows of causal attention over the whole sequence

    Positions for `rotary` are `cache.length + arange(time)`, with the cache as it was before. Steps beyond the capacity
    overwrite the last ones, because a compiled program cannot raise; count the steps where the loop is written.

    Raises:
        ValueError: If k and v are not of the cache's shape but for the steps, or more come at once than it holds.

    >>> cache, mask = extend_cache(empty_cache((), 3, 1, 1), jnp.ones((2, 1, 1)), jnp.ones((2, 1, 1)))
    >>> cache.length, mask.astype(int)
    (Array(2, dtype=int32), Array([[1, 0, 0],
           [1, 1, 0]], dtype=int32))
    """
    check_steps(cache.k.shape, k=k, v=v)
    time, capacity = k.shape[-3], cache.k.shape[-3]
    if time > capacity:
        raise ValueError(
            f"wanted at most {capacity} steps, the capacity of the cache, but got {time}"
        )
    all_k, all_v = (
        lax.dynamic_update_slice_in_dim(
            room, new.astype(room.dtype), cache.length, axis=room.ndim - 3
        )
        for room, new in ((cache.k, k), (cache.v, v))
    )
    return KVCache(all_k, all_v, cache.length + time), causal_mask(
        time, capacity, offset=cache.length
    )


def _frequencies(dim: int, base: Scalar):
    """Return base^(-2i / dim) for i below dim / 2."""
    if dim % 2:
        raise ValueError(f"wanted an even number of channels, which turn in pairs, but got {dim}")
    return base ** (-jnp.arange(0, dim, 2) / dim)


def _head_rows(array, kv_heads: int):
    """Put the heads that share keys into one row: (*batch, time, heads, dim) -> (rows, group, time, dim)."""
    *batch, time, heads, dim = array.shape
    return jnp.moveaxis(array, -2, -3).reshape(
        math.prod(batch) * kv_heads, heads // kv_heads, time, dim
    )


def _mask_rows(array, shape: tuple, kv_heads: int):
    """Bring a mask or bias into rows, or into a single row that serves all: (rows or 1, group or 1, time, source)."""
    if array is None:
        return None
    tail = (1, 1, *array.shape)[-2:]
    if math.prod(array.shape[:-2]) == 1:
        return array.reshape(1, 1, *tail)
    each_head = jnp.broadcast_to(array, (*shape[:-2], *tail))
    return each_head.reshape(math.prod(shape[:-3]) * kv_heads, shape[-3] // kv_heads, *tail)


def _for_each_row(function, arrays: tuple, *, one_by_one: bool):
    """Apply the function to each row of the arrays; an array of a single row serves all."""
    count = arrays[0].shape[0]
    own = [array is not None and array.shape[0] == count for array in arrays]
    shared = [
        array if array is None or mine else array[0]
        for array, mine in zip(arrays, own, strict=True)
    ]
    if not one_by_one:
        return jax.vmap(function, in_axes=tuple(0 if mine else None for mine in own))(*shared)

    def on_row(slices):
        filled = iter(slices)
        return function(
            *(next(filled) if mine else array for array, mine in zip(shared, own, strict=True))
        )

    return lax.map(
        jax.checkpoint(on_row),
        tuple(array for array, mine in zip(shared, own, strict=True) if mine),
    )


def _attend(dropout_rate: Scalar, scale: Scalar | None, q, k, v, mask, bias, key):
    """Attend in one row: q (group, time, dim) to k (source, dim) and v (source, value_dim); None scales by nothing."""
    high = jnp.promote_types(q.dtype, jnp.float32)
    scores = jnp.einsum("gtd,sd->gts", q, k, preferred_element_type=high)
    scores = scores if scale is None else scores * jnp.asarray(scale, high)
    weights, total = _unnormalised_softmax(scores if bias is None else scores + bias, mask)
    weights = dropout(weights, dropout_rate, key=key).astype(v.dtype)
    sums = jnp.einsum("gts,sd->gtd", weights, v, preferred_element_type=high)
    return sums / total[..., None]  # normalised after the product, where the numbers are fewer


def _attend_in_parts(scale: Scalar | None, q, k, v, mask, bias, key):
    """Attend causally in one row: each part of the queries meets the keys up to its own last position."""
    edges = [q.shape[1] * part // CAUSAL_PARTS for part in range(CAUSAL_PARTS + 1)]
    parts = []
    for start, stop in itertools.pairwise(edges):
        own_mask, own_bias = (_window(array, start, stop) for array in (mask, bias))
        parts.append(
            _attend(0.0, scale, q[:, start:stop], k[:stop], v[:stop], own_mask, own_bias, key)
        )
    return jnp.concatenate(parts, axis=1)


def _window(array, start: int, stop: int):
    """Take the queries from start and the keys up to stop of (group, time, source); an axis of one serves all."""
    if array is None:
        return None
    queries = array[:, start:stop] if array.shape[1] > 1 else array
    return queries[..., :stop] if array.shape[2] > 1 else queries


def _unnormalised_softmax(scores, mask):
    """Return exp(score - highest) and its sum, which is 1 where nothing may be seen, so that 0 / 1 comes out."""
    scores = scores if mask is None else jnp.where(mask, scores, -jnp.inf)
    lowest = jnp.finfo(scores.dtype).min  # for rows without any key: -inf - lowest is -inf, not NaN
    highest = lax.stop_gradient(scores.max(axis=-1, keepdims=True, initial=lowest))
    weights = jnp.exp(scores - highest)
    total = weights.sum(axis=-1)
    return weights, jnp.where(total > 0, total, 1)
