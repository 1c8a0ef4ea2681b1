"""Pooling: the largest or the mean value that a window sees, channel by channel."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real, Shaped

from jnn.layers._floating import narrow, widen
from jnn.layers._window import Geometry, Padding, Sizes, make_geometry, per_axis, shifts

# Windows with more taps than this are left to XLA's reduce_window: one slice for each tap would be a long program.
MOST_TAPS = 32


def max_pool(
    x: Shaped[Array, "batch *spatial channels"],
    window: Sizes,
    *,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
) -> Shaped[Array, "batch *out_spatial channels"]:
    """Take the largest value in each place of a sliding window; of truth values, whether any is true.

    y[b, p, c] = max over t of x[b, p * strides + t - padding, c]

    The gradient goes to one winner, the first of equal ones, as in XLA and PyTorch.

    Args:
        x: One batch axis, space, channels last.
        window: Size of the window, one number or one for each axis of space.
        strides: Steps of the window; by default its size, so that windows do not overlap.
        padding: "VALID" (none), "SAME" or a pair (before, after) for each axis of space; padding never wins.

    Raises:
        ValueError: If sizes do not match the rank of `x`, or the window does not fit.

    >>> max_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2).ravel()
    Array([3., 2.], dtype=float32)
    """
    g = _window("max_pool", x, window, strides, padding)
    return (
        _max_of_taps(x, g)
        if math.prod(g.window) <= MOST_TAPS
        else _reduce(x, g, _lowest(x), lax.max)
    )


def avg_pool(
    x: Real[Array, "batch *spatial channels"],
    window: Sizes,
    *,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    count_padding: bool = False,
) -> Float[Array, "batch *out_spatial channels"]:
    """Take the mean value in each place of a sliding window; of whole numbers in float32.

    y[b, p, c] = sum over t of x[b, p * strides + t - padding, c] / n

    n counts the taps that fall inside of x, or all of them if `count_padding` (the default of PyTorch and Flax).

    Raises:
        ValueError: If sizes do not match the rank of `x`, or the window does not fit.

    >>> avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2, padding="SAME").ravel()
    Array([2., 2.], dtype=float32)
    """
    g = _window("avg_pool", x, window, strides, padding)
    wide = widen(x)
    if math.prod(g.window) <= MOST_TAPS:
        total = functools.reduce(jnp.add, (seen for _, seen in shifts(g, wide)))
    else:
        total = _reduce(wide, g, 0.0, lax.add)
    count = math.prod(g.window) if count_padding else _counts(g)
    return narrow(total / count, x)


def global_max_pool(x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch channels"]:
    """Take the largest value over all space; equal largest values share the gradient.

    y[b, c] = max over p of x[b, p, c]

    Raises:
        ValueError: If x has no axis of space.

    >>> global_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]))
    Array([[3.]], dtype=float32)
    """
    return x.max(axis=_space("global_max_pool", x))


def global_avg_pool(x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch channels"]:
    """Take the mean over all space (Lin et al. 2013, https://arxiv.org/abs/1312.4400).

    y[b, c] = mean over p of x[b, p, c]

    Raises:
        ValueError: If x has no axis of space.

    >>> global_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]))
    Array([[2.]], dtype=float32)
    """
    return x.mean(axis=_space("global_avg_pool", x))


def adaptive_max_pool(
    x: Float[Array, "batch *spatial channels"], size: Sizes
) -> Float[Array, "batch *out_spatial channels"]:
    """Take the largest value in each of `size` near-equal bins of space; equal largest values share the gradient.

    Bin j of m over n positions is [floor(j n / m), ceil((j + 1) n / m)), as in PyTorch: neighbours may overlap.

    Raises:
        ValueError: If sizes do not match the rank of `x`.

    >>> adaptive_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2).ravel()
    Array([3., 3.], dtype=float32)
    """
    return _adaptive("adaptive_max_pool", x, size, jnp.max)


def adaptive_avg_pool(
    x: Float[Array, "batch *spatial channels"], size: Sizes
) -> Float[Array, "batch *out_spatial channels"]:
    """Take the mean in each of `size` near-equal bins of space; of whole numbers in float32.

    The bins are those of `adaptive_max_pool`.

    Raises:
        ValueError: If sizes do not match the rank of `x`.

    >>> adaptive_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2).ravel()
    Array([2. , 2.5], dtype=float32)
    """
    return narrow(_adaptive("adaptive_avg_pool", widen(x), size, jnp.mean), jnp.asarray(x))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_taps(x: Array, g: Geometry) -> Array:
    """Take the maximum of shifted slices, which XLA fuses with what made x; reduce_window would make x again."""
    return functools.reduce(jnp.maximum, (seen for _, seen in shifts(g, x, _lowest(x))))


@_max_of_taps.defjvp
def _max_of_taps_jvp(
    g: Geometry, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """Differentiate by masks of shifted slices: XLA's own transpose (select-and-scatter) is slow on CPU."""
    (x,), (dx,) = primals, tangents
    y = _max_of_taps(x, g)
    dy, is_free = jnp.zeros_like(y), jnp.ones(y.shape, bool)
    for (_, seen), (_, moved) in zip(shifts(g, x, _lowest(x)), shifts(g, dx), strict=True):
        wins = (seen == y) & is_free
        is_free &= ~wins
        dy += jnp.where(wins, moved, 0)
    return y, dy


def _lowest(x: Array) -> float | int:
    """Return the value that never wins."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return -jnp.inf
    return False if x.dtype == bool else int(jnp.iinfo(x.dtype).min)


def _reduce(x: Array, g: Geometry, start: float | int, combine: Callable[..., Any]) -> Array:
    """Reduce each place of the window by XLA's reduce_window."""
    pads = [(0, 0), *g.padding, (0, 0)]
    return lax.reduce_window(
        x, np.asarray(start, x.dtype), combine, (1, *g.window, 1), (1, *g.strides, 1), pads
    )


def _counts(g: Geometry) -> np.ndarray:
    """Count the taps inside of x for each place of the window: `[*out_spatial, 1]`."""
    counts = np.ones((), np.float32)
    for n, w, s, (lo, _), places in zip(
        g.spatial, g.window, g.strides, g.padding, g.out_spatial, strict=True
    ):
        first = np.arange(places) * s - lo
        counts = counts[..., None] * (np.minimum(first + w, n) - np.maximum(first, 0)).astype(
            np.float32
        )
    return counts[..., None]


def _adaptive(name: str, x: Array, size: Sizes, reduce: Callable[..., Array]) -> Array:
    """Reduce bins of one axis after the other: a bin is a box, so its mean is the mean of means."""
    axes = _space(name, x)
    for axis, bins in zip(axes, per_axis("size", size, len(axes)), strict=True):
        n = x.shape[axis]
        edges = [(j * n // bins, -(-(j + 1) * n // bins)) for j in range(bins)]
        x = jnp.stack(
            [reduce(lax.slice_in_dim(x, *edge, axis=axis), axis=axis) for edge in edges], axis
        )
    return x


def _window(
    name: str, x: Array, window: Sizes, strides: Sizes | None, padding: Padding
) -> Geometry:
    sizes = per_axis("window", window, len(_space(name, x)))
    g = make_geometry(x.shape[1:-1], sizes, sizes if strides is None else strides, padding)
    if (
        any(max(pair) >= w for pair, w in zip(g.padding, g.window, strict=True))
        or min(map(min, g.padding)) < 0
    ):
        raise ValueError(
            f"wanted padding of 0 or more, and less than the window {g.window}, but got {g.padding}"
        )
    return g


def _space(name: str, x: Array) -> tuple[int, ...]:
    """Return the axes of space."""
    if x.ndim < 3:
        raise ValueError(
            f"wanted x (batch, *spatial, channels) of rank 3 or more for {name}, but got {x.shape}"
        )
    return tuple(range(1, x.ndim - 1))
