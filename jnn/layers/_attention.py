"""Attention and the cache for generation.

The time axis stands before the heads: q is (*batch, time, heads, dim), k and v are (*batch, source,
kv_heads, dim). A mask is True where a query may attend and broadcasts to (*batch, heads, time,
source).
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from jnn._arrays import as_array, as_arrays
from jnn._settings import SHARE, check_number
from jnn.layers._attention_operands import (
    check_mask_and_bias,
    check_qkv,
    check_steps,
)
from jnn.layers._floating import widen
from jnn.layers._regularize import dropout
from jnn.layers._wide_product import wide_product

Scalar = float | int | Float[Array, ""]

# From this number of scores per head on, a program for a CPU attends head by head, so that the
# scores stay in its cache. Measured: 128 x 128 scores take the same time both ways, 512 x 512
# scores take 0.7 of it.
ONE_BY_ONE_FROM = 1 << 15

# Into how many parts such a program cuts the queries of causal attention. Four parts skip 3/8 of
# the scores; 512 x 512 scores then take 0.6 of the time.
CAUSAL_PARTS = 4


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
    """Average the values, weighted by how well their keys match the query.

    y = softmax(scale * q k^T + bias) v    (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)

    Args:
        q: Queries.
        k: Keys. Fewer heads than q has are each shared by a group of neighboring query heads
            (Ainslie et al. 2023, https://arxiv.org/abs/2305.13245).
        v: Values.
        mask: True where a query may attend. A query that may attend nowhere returns 0. What stands
            at a key or value that no query may attend to does not matter, even if it is NaN.
        bias: Numbers added to the scores, which broadcast to (*batch, heads, time, source). A bias
            of -inf works as a mask.
        scale: Factor of the scores, by default 1 / sqrt(dim).
        causal: Whether query i attends to the keys 0 to i only.
        key: Random key of the dropout. Without a key no weight is dropped.
        dropout_rate: Share of the attention weights that are dropped.

    Raises:
        ValueError: If the shapes of q, k and v do not match, the number of query heads is not a
            multiple of the number of key heads, or the mask or bias does not broadcast.
        TypeError: If q, k or v are not floating-point numbers, the mask is not boolean, or the bias
            is boolean.

    The softmax is computed in float32 or wider. With many scores, a program that is compiled for a
    CPU attends head by head and recomputes the scores for the gradient, so the scores of all heads
    are never in memory together, and it skips most causal scores above the diagonal unless weights
    are dropped. Programs for other platforms compute all heads at once, and so does a program with
    few scores.

    >>> q, k = jnp.ones((2, 1, 1)), jnp.zeros((2, 1, 1))
    >>> attention(q, k, jnp.array([1.0, 3.0]).reshape(2, 1, 1), causal=True).ravel()
    Array([1., 2.], dtype=float32)
    """
    q, k, v = as_arrays(q, k, v)
    mask = None if mask is None else as_array(mask)
    bias = None if bias is None else as_array(bias)
    if scale is not None:
        check_number("scale", scale, advice="The default is 1 / sqrt(dim).")
    check_number("dropout_rate", dropout_rate, SHARE, "It is the share of weights to drop.")
    check_qkv(q, k, v)
    kv_heads = k.shape[-2]
    shape = (*q.shape[:-3], q.shape[-2], q.shape[-3], k.shape[-3])  # *batch heads time source
    check_mask_and_bias(mask, bias, shape)
    bias = None if bias is None else widen(bias)  # so that a shared bias sums its gradient so
    if mask is not None:
        k, v = _without_hidden(mask, k, v)
    if causal:
        below = causal_mask(*shape[-2:])
        mask = below if mask is None else mask & below
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    queries = _head_rows(q, kv_heads)
    if jnp.finfo(q.dtype).bits >= 32:
        queries = queries * jnp.asarray(scale, q.dtype)
        scale = None  # not for half precision, whose scores are scaled in float32 without rounding
    rows = (
        queries,
        _head_rows(k, kv_heads)[:, 0],
        _head_rows(v, kv_heads)[:, 0],
        _mask_rows(mask, shape, kv_heads),
        _mask_rows(bias, shape, kv_heads),
        None if key is None else jax.random.split(key, math.prod(shape[:-3]) * kv_heads),
    )
    in_parts = causal and key is None
    y = _attend_rows(rows, scale, dropout_rate, in_parts).reshape(*shape[:-1], v.shape[-1])
    return jnp.moveaxis(y, -3, -2).astype(q.dtype)


def causal_mask(
    length: int, source: int | None = None, *, offset: int | Integer[Array, ""] = 0
) -> Bool[Array, "time source"]:
    """Return the mask by which each query attends to the keys up to its own position.

    mask[i, j] = j <= i + offset

    `offset` is the position of the first query and may be traced.

    >>> causal_mask(2, 3, offset=1).astype(int)
    Array([[1, 1, 0],
           [1, 1, 1]], dtype=int32)
    """
    positions = jnp.arange(length)[:, None] + offset
    return jnp.arange(length if source is None else source) <= positions


class KVCache(NamedTuple):
    """The keys and values of the steps that a generation has processed.

    >>> KVCache(jnp.zeros((5, 1, 4)), jnp.zeros((5, 1, 4)), jnp.array(0)).k.shape
    (5, 1, 4)
    """

    k: Array  # (*batch, capacity, kv_heads, dim)
    v: Array  # (*batch, capacity, kv_heads, dim)
    length: Array  # the number of steps that are filled, one number for all rows


def empty_cache(
    batch: tuple[int, ...],
    capacity: int,
    kv_heads: int,
    dim: int,
    dtype: DTypeLike = jnp.float32,
) -> KVCache:
    """Return an empty cache for the keys and values of up to `capacity` steps.

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
    """Append new steps to the cache, and return it with the mask for the new queries.

    cache, mask = extend_cache(cache, k, v)
    y = attention(q, cache.k, cache.v, mask=mask)

    The result y equals the last rows of causal attention over the whole sequence. The positions for
    `rotary` are `cache.length + arange(time)`, with the cache as it was before the call. Steps past
    the capacity overwrite the last ones, because a compiled program cannot raise an error, so count
    the steps where the loop is written.

    Raises:
        ValueError: If the shapes of k and v differ from the cache's in another axis than the time,
            or k and v hold more steps than the capacity.

    >>> k = v = jnp.ones((2, 1, 1))
    >>> cache, mask = extend_cache(empty_cache((), 3, 1, 1), k, v)
    >>> cache.length, mask.astype(int)
    (Array(2, dtype=int32), Array([[1, 0, 0],
           [1, 1, 0]], dtype=int32))
    """
    k, v = as_arrays(k, v)
    check_steps(cache.k.shape, k=k, v=v)
    time = k.shape[-3]
    capacity = cache.k.shape[-3]
    if time > capacity:
        raise ValueError(
            f"k and v must hold at most {capacity} steps, the capacity of the cache, got {time}. "
            "Make a larger cache."
        )

    def append(room, new):
        new = new.astype(room.dtype)
        return lax.dynamic_update_slice_in_dim(room, new, cache.length, axis=room.ndim - 3)

    mask = causal_mask(time, capacity, offset=cache.length)
    return KVCache(append(cache.k, k), append(cache.v, v), cache.length + time), mask


def _without_hidden(mask: Array, *steps: Array) -> list[Array]:
    """Return keys and values with 0 where the mask hides them from all queries and heads.

    There NaN would reach the result, as 0 * NaN is NaN.
    """
    *_, heads, time, source = (1, 1, 1, *mask.shape)
    batch = mask.shape[:-3]
    seen = mask.reshape(*batch, heads, time, source).any(axis=(-3, -2))
    return [jnp.where(seen[..., None, None], step, 0) for step in steps]


def _head_rows(array, kv_heads: int):
    """Group the heads that share keys: (*batch, time, heads, dim) -> (rows, group, time, dim)."""
    *batch, time, heads, dim = array.shape
    heads_first = jnp.moveaxis(array, -2, -3)
    return heads_first.reshape(math.prod(batch) * kv_heads, heads // kv_heads, time, dim)


def _mask_rows(array, shape: tuple, kv_heads: int):
    """Bring a mask or bias into rows (rows or 1, group or 1, time, source); 1 row serves all."""
    if array is None:
        return None
    tail = (1, 1, *array.shape)[-2:]
    if math.prod(array.shape[:-2]) == 1:
        return array.reshape(1, 1, *tail)
    each_head = jnp.broadcast_to(array, (*shape[:-2], *tail))
    return each_head.reshape(math.prod(shape[:-3]) * kv_heads, shape[-3] // kv_heads, *tail)


def _attend_rows(rows: tuple, scale: Scalar | None, dropout_rate: Scalar, in_parts: bool):
    """Attend in every row, all at once or, if a program for a CPU has many scores, one by one."""
    attend = partial(_attend, dropout_rate, scale)
    if rows[0].shape[-2] * rows[1].shape[-2] < ONE_BY_ONE_FROM:
        return _at_once(attend, rows)
    # JAX chooses when it lowers the program. A gradient that is not compiled together with its
    # forward pass keeps zeros in place of the residuals of the other platforms.
    on_cpu = partial(_attend_in_parts, scale) if in_parts else attend
    return lax.platform_dependent(
        rows, cpu=partial(_one_by_one, on_cpu), default=partial(_at_once, attend)
    )


def _at_once(attend: Callable[..., Array], rows: tuple):
    """Map over the first axis of the arrays; an array of one row serves all rows."""
    operands, own = _without_shared_axes(rows)
    return jax.vmap(attend, in_axes=tuple(0 if mine else None for mine in own))(*operands)


def _one_by_one(attend: Callable[..., Array], rows: tuple):
    """Loop over the first axis of the arrays and recompute each row for the gradient."""
    operands, own = _without_shared_axes(rows)
    looped = tuple(array for array, mine in zip(operands, own, strict=True) if mine)

    @jax.checkpoint
    def on_row(row):
        slices = iter(row)
        pairs = zip(operands, own, strict=True)
        return attend(*(next(slices) if mine else array for array, mine in pairs))

    return lax.map(on_row, looped)


def _without_shared_axes(rows: tuple) -> tuple[list, list[bool]]:
    """Drop the first axis of arrays of one row, and tell which arrays have a row per query row."""
    count = rows[0].shape[0]
    own = [array is not None and array.shape[0] == count for array in rows]
    pairs = zip(rows, own, strict=True)
    return [array if array is None or mine else array[0] for array, mine in pairs], own


def _attend(dropout_rate: Scalar, scale: Scalar | None, q, k, v, mask, bias, key):
    """Attend in one row: q (group, time, dim), k (source, dim), v (source, value_dim)."""
    scores = wide_product("gtd,sd->gts", q, k)
    if scale is not None:
        scores = scores * jnp.asarray(scale, scores.dtype)
    if bias is not None:
        scores = scores + bias
    weights, total = _unnormalized_softmax(scores, mask)
    weights = dropout(weights, dropout_rate, key=key).astype(v.dtype)
    sums = wide_product("gts,sd->gtd", weights, v)
    return sums / total[..., None]  # after the product there are fewer numbers to divide


def _attend_in_parts(scale: Scalar | None, q, k, v, mask, bias, key):
    """Attend causally in one row, each part of the queries to the keys up to its last position."""
    edges = [q.shape[1] * part // CAUSAL_PARTS for part in range(CAUSAL_PARTS + 1)]
    parts = []
    for start, stop in itertools.pairwise(edges):
        part_mask = _window(mask, start, stop)
        part_bias = _window(bias, start, stop)
        queries = q[:, start:stop]
        parts.append(_attend(0.0, scale, queries, k[:stop], v[:stop], part_mask, part_bias, key))
    return jnp.concatenate(parts, axis=1)


def _window(array, start: int, stop: int):
    """Slice queries from start and keys up to stop of (group, time, source), but not axes of 1."""
    if array is None:
        return None
    if array.shape[1] > 1:
        array = array[:, start:stop]
    return array[..., :stop] if array.shape[2] > 1 else array


def _unnormalized_softmax(scores, mask):
    """Return exp(score - highest) and its sum, or the sum 1 where the mask hides every key."""
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    lowest = jnp.finfo(scores.dtype).min  # for rows without any key: -inf - lowest is -inf, not NaN
    highest = lax.stop_gradient(scores.max(axis=-1, keepdims=True, initial=lowest))
    weights = jnp.exp(scores - highest)
    total = weights.sum(axis=-1)
    return weights, jnp.where(total > 0, total, 1)
