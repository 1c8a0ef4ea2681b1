"""Regularization: dropout, and penalties on the size of the weights."""

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from jnn._arrays import absolute, as_array
from jnn._settings import SHARE, check_number
from jnn.layers._floating import widen
from jnn.layers._random import random_levels

Rate = float | int | Float[Array, ""]

_LEVELS = 1 << 16


def dropout(
    x: Float[Array, "*shape"],
    rate: Rate,
    *,
    key: PRNGKeyArray | None = None,
    broadcast_axes: tuple[int, ...] = (),
) -> Float[Array, "*shape"]:
    """Set a random share of the values to zero, and scale up the others to keep the mean.

    y = x * mask / (1 - rate),  mask ~ Bernoulli(1 - rate)
    (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html)

    Args:
        x: Values of any shape. Whole numbers become floating-point numbers, which the scaled ones
            are.
        rate: Share of the values that are dropped, from 0 to 1. It may be traced. The mask is drawn
            from 16 random bits for each value, so the rate is rounded to a multiple of 2**-16. The
            scale belongs to the rounded rate, so the mean is exact. A rate of 1 gives zeros. No
            gradient flows into the rate.
        key: Threefry key. Without a key nothing is dropped.
        broadcast_axes: Axes along which the mask is constant, such as the spatial axes to drop
            whole channels.

    Raises:
        ValueError: If the rate is not one number from 0 to 1, x lacks one of the broadcast axes, or
            the key is not a Threefry key.

    >>> dropout(jnp.ones(3), 0.5)
    Array([1., 1., 1.], dtype=float32)
    >>> dropout(jnp.ones(6), 0.5, key=jax.random.key(0))
    Array([2., 0., 2., 2., 2., 0.], dtype=float32)
    """
    check_number("rate", rate, SHARE, "It is the share of values that are dropped.")
    x = as_array(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        x = widen(x)
    rank = jnp.ndim(x)
    if any(not -rank <= axis < rank for axis in broadcast_axes):
        raise ValueError(
            f"broadcast_axes must be among the {rank} axes of x {jnp.shape(x)}, "
            f"got {broadcast_axes}."
        )
    if key is None:
        return x
    axes = {axis % rank for axis in broadcast_axes}
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    keep_rate = 1 - jnp.asarray(lax.stop_gradient(rate), float)
    keep_levels = jnp.round(jnp.clip(keep_rate, 0, 1) * _LEVELS)  # 0 to 2**16
    scale = jnp.where(keep_levels > 0, _LEVELS / jnp.maximum(keep_levels, 1), 0)
    mask = random_levels(key, shape) < keep_levels.astype(jnp.uint32)
    return jnp.where(mask, (x * scale).astype(x.dtype), 0)


def l1(params: PyTree) -> Float[Array, ""]:
    """Sum the absolute values of all floating-point leaves.

    l1 = sum |w|

    This is the penalty of the lasso. Its gradient pulls every weight towards zero at the same
    speed, and is 0 at zero.

    >>> l1({"kernel": jnp.array([[3.0, -4.0]])})
    Array(7., dtype=float32)
    """
    return _sum_over_leaves(absolute, params)


def l2(params: PyTree) -> Float[Array, ""]:
    """Sum the squares of all floating-point leaves.

    l2 = sum w^2

    This is the ridge penalty. Under plain gradient descent, weight decay by c is the penalty
    c / 2 * l2.

    >>> l2({"kernel": jnp.array([[3.0, -4.0]])})
    Array(25., dtype=float32)
    """
    return _sum_over_leaves(jnp.square, params)


def elastic_net(params: PyTree, l1_ratio: Rate = 0.5) -> Float[Array, ""]:
    """Mix the two penalties as scikit-learn's `ElasticNet` does.

    elastic_net = l1_ratio * l1 + (1 - l1_ratio) / 2 * l2
    (Zou and Hastie 2005, https://doi.org/10.1111/j.1467-9868.2005.00503.x)

    >>> elastic_net({"kernel": jnp.array([[3.0, -4.0]])}, 0.5)
    Array(9.75, dtype=float32)
    """
    check_number("l1_ratio", l1_ratio, SHARE, "It is the share of the L1 penalty.")
    return l1_ratio * l1(params) + (1 - l1_ratio) / 2 * l2(params)


def _sum_over_leaves(function: Callable[[Array], Array], params: PyTree) -> Float[Array, ""]:
    """Sum the function of all floating-point values, in float32 or wider."""
    leaves = map(as_array, jax.tree.leaves(params))
    sums = (
        function(widen(leaf)).sum() for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)
    )
    return functools.reduce(operator.add, sums, jnp.zeros(()))
