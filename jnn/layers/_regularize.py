"""Regularisers: dropout, and penalties on the size of the weights."""

import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer, PRNGKeyArray, PyTree

from jnn.layers._floating import widen

Rate = float | int | Float[Array, ""]

_LEVELS = 1 << 16


def dropout(
    x: Float[Array, "*shape"],
    rate: Rate,
    *,
    key: PRNGKeyArray | None = None,
    broadcast_axes: tuple[int, ...] = (),
) -> Float[Array, "*shape"]:
    """Set a random share of the values to zero and scale up the rest, so that the mean stays.

    y = x * mask / (1 - rate),  mask ~ Bernoulli(1 - rate)
    (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html)

    Args:
        x: Any shape.
        rate: The share dropped, 0 to 1; it may be a traced number. The mask is drawn from 16 random bits a value, so
            the rate is rounded to a multiple of 2**-16 - and the scale belongs to the rounded rate, so the mean is
            exact. Rate 1 gives zeros. No gradient flows into the rate.
        key: A threefry key; without one nothing is dropped.
        broadcast_axes: Axes along which the mask is one and the same, e.g. the spatial axes to drop whole channels.

    Raises:
        ValueError: If the rate is a number outside 0 to 1, an axis is none of x, or the key is not a threefry key.

    >>> dropout(jnp.ones(3), 0.5)
    Array([1., 1., 1.], dtype=float32)
    >>> dropout(jnp.ones(6), 0.5, key=jax.random.key(0))
    Array([2., 0., 2., 2., 2., 0.], dtype=float32)
    """
    if isinstance(rate, int | float | np.number) and not 0 <= rate <= 1:
        raise ValueError(
            f"wanted a dropout rate between 0 and 1 (the share dropped), but got {rate}"
        )
    rank = jnp.ndim(x)
    if any(not -rank <= axis < rank for axis in broadcast_axes):
        raise ValueError(
            f"wanted broadcast_axes among the {rank} axes of x {jnp.shape(x)}, but got {broadcast_axes}"
        )
    if key is None:
        return x
    x = jnp.asarray(x)
    axes = {axis % rank for axis in broadcast_axes}
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    share_kept = 1 - jnp.asarray(lax.stop_gradient(rate), float)
    kept = jnp.round(jnp.clip(share_kept, 0, 1) * _LEVELS)  # of the 2**16 levels
    scale = jnp.where(kept > 0, _LEVELS / jnp.maximum(kept, 1), 0)
    mask = _random_levels(key, shape) < kept.astype(jnp.uint32)
    return jnp.where(mask, (x * scale).astype(x.dtype), 0)


def l1(params: PyTree) -> Float[Array, ""]:
    """Sum the absolute values of all floating-point leaves.

    l1 = sum |w|    (the lasso's penalty: its gradient pulls every weight to zero at the same speed)

    >>> l1({"kernel": jnp.array([[3.0, -4.0]])})
    Array(7., dtype=float32)
    """
    return _sum_over_leaves(jnp.abs, params)


def l2(params: PyTree) -> Float[Array, ""]:
    """Sum the squares of all floating-point leaves.

    l2 = sum w^2    (the ridge penalty; weight decay c is the penalty c / 2 * l2 under plain gradient descent)

    >>> l2({"kernel": jnp.array([[3.0, -4.0]])})
    Array(25., dtype=float32)
    """
    return _sum_over_leaves(jnp.square, params)


def elastic_net(params: PyTree, l1_ratio: Rate = 0.5) -> Float[Array, ""]:
    """Mix the two penalties, as scikit-learn's `ElasticNet` does.

    elastic_net = l1_ratio * l1 + (1 - l1_ratio) / 2 * l2
    (Zou and Hastie 2005, https://doi.org/10.1111/j.1467-9868.2005.00503.x)

    >>> elastic_net({"kernel": jnp.array([[3.0, -4.0]])}, 0.5)
    Array(9.75, dtype=float32)
    """
    return l1_ratio * l1(params) + (1 - l1_ratio) / 2 * l2(params)


def _random_levels(key: PRNGKeyArray, shape: tuple) -> Integer[Array, "..."]:
    """Draw one of 2**16 levels for each value.

    One threefry block gives two words and so four values: a quarter of the cost of a float for each value, and
    random numbers are what dropout costs on a CPU.
    """
    words = _threefry_words(key, count=(math.prod(shape) + 1) // 2)
    levels = lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)
    return levels[: math.prod(shape)].reshape(shape).astype(jnp.uint32)


def _threefry_words(key: PRNGKeyArray, count: int) -> Integer[Array, "count"]:
    """Draw 32-bit words, using both words of each threefry block."""
    key_data = jax.random.key_data(key)
    if key_data.shape != (2,):
        raise ValueError(
            f"wanted a threefry key of 2 words, but got one of shape {key_data.shape}; "
            'make it with jax.random.key(seed, impl="threefry2x32")'
        )
    return jnp.concatenate(_threefry(key_data, blocks=(count + 1) // 2))[:count]


def _threefry(
    key: Integer[Array, "2"], blocks: int
) -> tuple[Integer[Array, "blocks"], Integer[Array, "blocks"]]:
    """Encrypt the numbers 0 to 2 blocks - 1 in twenty rounds, the very bits of JAX's own.

    (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405.)

    On a CPU JAX loops over the rounds, to compile sooner; without the loop they are one pass over the blocks, and
    dropout costs a third to a half.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    count = lax.iota(jnp.uint32, blocks)
    first, second = count + keys[0], count + jnp.uint32(blocks) + keys[1]
    for group in range(5):
        for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            first = first + second
            second = (second << bits | second >> (32 - bits)) ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return first, second


def _sum_over_leaves(function, params: PyTree) -> Float[Array, ""]:
    """Apply the function to each value and add up, in float32 at least; leaves of whole numbers do not count."""
    leaves = map(jnp.asarray, jax.tree.leaves(params))
    sums = (
        function(widen(leaf)).sum() for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)
    )
    return functools.reduce(operator.add, sums, jnp.zeros(()))
