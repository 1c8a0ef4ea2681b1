"""Pooling: the largest value or the mean under a sliding window, channel by channel."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real, Shaped

from jnn._arrays import as_array
from jnn.layers._floating import is_half, narrow, widen
from jnn.layers._window import Geometry, Padding, Sizes, make_geometry, per_axis, shifts, taps

# Windows with more elements than this use XLA's reduce_window, because one slice for each element
# would make a long program.
MOST_TAPS = 32


def max_pool(
    x: Shaped[Array, "batch *spatial channels"],
    window: Sizes,
    *,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
) -> Shaped[Array, "batch *out_spatial channels"]:
    """Return the largest value under a sliding window, or for booleans whether any is true.

    y[b, p, c] = max over t of x[b, p * strides + t - padding, c]

    The gradient goes to the first of equal largest values, as in XLA and PyTorch.

    Args:
        x: Input with one batch axis, the spatial axes and the channels, in this order.
        window: Size of the window, one number or one for each spatial axis.
        strides: Steps of the window, by default its size, so that windows do not overlap.
        padding: "VALID" (no padding), "SAME" or a pair (before, after) for each spatial axis.
            Padding never is the largest value.

    Raises:
        ValueError: If sizes do not match the rank of `x`, or the window does not fit.

    >>> max_pool(jnp.array([[[1.0], [3.0], [2.0], [0.0]]]), 2).ravel()
    Array([3., 2.], dtype=float32)
    """
    x = as_array(x)
    g = _window("max_pool", x, window, strides, padding)
    if math.prod(g.window) <= MOST_TAPS:
        return _max_of_taps(x, g)
    return _reduce(x, g, _lowest(x), lax.max)


def avg_pool(
    x: Real[Array, "batch *spatial channels"],
    window: Sizes,
    *,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    count_padding: bool = False,
) -> Float[Array, "batch *out_spatial channels"]:
    """Return the mean under a sliding window; the mean of integers is in float32.

    y[b, p, c] = sum over t of x[b, p * strides + t - padding, c] / n

    n is the number of elements of the window inside x, or with `count_padding` the size of the
    window, which is the default of PyTorch and Flax.

    Raises:
        ValueError: If sizes do not match the rank of `x`, or the window does not fit.

    >>> avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2, padding="SAME").ravel()
    Array([2., 2.], dtype=float32)
    """
    x = as_array(x)
    g = _window("avg_pool", x, window, strides, padding)
    wide = widen(x)
    if math.prod(g.window) <= MOST_TAPS:
        total = functools.reduce(jnp.add, (seen for _, seen in shifts(g, wide)))
    else:
        total = _reduce(wide, g, 0.0, lax.add)
    count = math.prod(g.window) if count_padding else _counts(g)
    return narrow(total / count, x)


def global_max_pool(x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch channels"]:
    """Return the largest value over all space; equal largest values share the gradient.

    y[b, c] = max over p of x[b, p, c]

    Raises:
        ValueError: If x has no axis of space.

    >>> global_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]))
    Array([[3.]], dtype=float32)
    """
    x = as_array(x)
    return _largest(x, _space("global_max_pool", x))


def global_avg_pool(x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch channels"]:
    """Return the mean over all space (Lin et al. 2013, https://arxiv.org/abs/1312.4400).

    y[b, c] = mean over p of x[b, p, c]

    Raises:
        ValueError: If x has no axis of space.

    >>> global_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]))
    Array([[2.]], dtype=float32)
    """
    x = as_array(x)
    return x.mean(axis=_space("global_avg_pool", x))


def adaptive_max_pool(
    x: Float[Array, "batch *spatial channels"], size: Sizes
) -> Float[Array, "batch *out_spatial channels"]:
    """Return the largest value in each of `size` nearly equal bins of space.

    Bin j of m over n positions is [floor(j n / m), ceil((j + 1) n / m)), as in PyTorch, so that
    neighboring bins may overlap. Equal largest values share the gradient.

    Raises:
        ValueError: If sizes do not match the rank of `x`.

    >>> adaptive_max_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2).ravel()
    Array([3., 3.], dtype=float32)
    """
    return _adaptive("adaptive_max_pool", as_array(x), size, _largest)


def adaptive_avg_pool(
    x: Float[Array, "batch *spatial channels"], size: Sizes
) -> Float[Array, "batch *out_spatial channels"]:
    """Return the mean in each of `size` nearly equal bins of space.

    The bins are those of `adaptive_max_pool`. The mean of integers is in float32.

    Raises:
        ValueError: If sizes do not match the rank of `x`.

    >>> adaptive_avg_pool(jnp.array([[[1.0], [3.0], [2.0]]]), 2).ravel()
    Array([2. , 2.5], dtype=float32)
    """
    x = as_array(x)
    return narrow(_adaptive("adaptive_avg_pool", widen(x), size, jnp.mean), x)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_taps(x: Array, g: Geometry) -> Array:
    """Compute the maximum of shifted slices.

    XLA fuses them with the computation of x, which reduce_window would repeat.
    """
    return functools.reduce(jnp.maximum, (seen for _, seen in shifts(g, x, _lowest(x))))


@_max_of_taps.defjvp
def _max_of_taps_jvp(
    g: Geometry, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """Differentiate by choices between shifted slices.

    Each slice is compared with the largest of those before it, not with the result: XLA may compute
    x anew for the gradient and round it differently, so that no slice would equal the result.
    XLA's own transpose of reduce_window, select-and-scatter, is slow on a CPU.
    """
    (x,) = primals
    (dx,) = tangents
    y: Any = _lowest(x)
    is_begun, leads = np.zeros((), bool), []
    for (_, seen), inside in zip(shifts(g, x, y), _inside(g), strict=True):
        leads.append((seen > y) | (inside & ~is_begun))
        y, is_begun = jnp.maximum(y, seen), is_begun | inside
    dy, is_beaten = jnp.zeros_like(y), jnp.zeros(y.shape, bool)
    for lead, (_, moved) in reversed(list(zip(leads, shifts(g, dx), strict=True))):
        dy += jnp.where(lead & ~is_beaten, moved, 0)
        is_beaten |= lead
    return y, dy


def _inside(g: Geometry) -> Iterator[np.ndarray]:
    """Yield for each tap where it lies inside x, so that padding does not win against -inf."""
    for tap in taps(g):
        inside = np.ones((), bool)
        for t, d, s, n, (lo, _), places in zip(
            tap, g.dilation, g.strides, g.spatial, g.padding, g.out_spatial, strict=True
        ):
            position = t * d + np.arange(places) * s - lo
            inside = inside[..., None] & (position >= 0) & (position < n)
        yield inside[..., None]


def _largest(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Return the largest value along axes.

    The gradient counts how many values are equal to it, up to 256 exactly in bfloat16. So the type
    that it is computed in is float32 or wider.
    """
    return widen(x).max(axis=axis).astype(x.dtype) if is_half(x) else x.max(axis=axis)


def _lowest(x: Array) -> float | int:
    """Return a value that no value of x is smaller than."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return -jnp.inf
    return False if x.dtype == bool else int(jnp.iinfo(x.dtype).min)


def _reduce(x: Array, g: Geometry, start: float | int, combine: Callable[..., Any]) -> Array:
    """Reduce the values under the window by XLA's reduce_window."""
    pads = [(0, 0), *g.padding, (0, 0)]
    return lax.reduce_window(
        x, np.asarray(start, x.dtype), combine, (1, *g.window, 1), (1, *g.strides, 1), pads
    )


def _counts(g: Geometry) -> np.ndarray:
    """Count the elements of the window inside x, for each of its places: (*out_spatial, 1)."""
    counts = np.ones((), np.float32)
    for n, w, s, (lo, _), places in zip(
        g.spatial, g.window, g.strides, g.padding, g.out_spatial, strict=True
    ):
        first = np.arange(places) * s - lo
        inside = np.minimum(first + w, n) - np.maximum(first, 0)
        counts = counts[..., None] * inside.astype(np.float32)
    return counts[..., None]


def _adaptive(name: str, x: Array, size: Sizes, reduce: Callable[..., Array]) -> Array:
    """Reduce the bins of one axis after the other; the mean of a box is a mean of means."""
    axes = _space(name, x)
    for axis, bins in zip(axes, per_axis("size", size, len(axes)), strict=True):
        n = x.shape[axis]
        edges = [(j * n // bins, -(-(j + 1) * n // bins)) for j in range(bins)]
        parts = [lax.slice_in_dim(x, *edge, axis=axis) for edge in edges]
        x = jnp.stack([reduce(part, axis) for part in parts], axis)
    return x


def _window(
    name: str, x: Array, window: Sizes, strides: Sizes | None, padding: Padding
) -> Geometry:
    """Return the geometry of a pooling window, whose places all contain an element of x."""
    sizes = per_axis("window", window, len(_space(name, x)))
    g = make_geometry(x.shape[1:-1], sizes, sizes if strides is None else strides, padding)
    is_wide = any(max(pair) >= w for pair, w in zip(g.padding, g.window, strict=True))
    if is_wide or min(map(min, g.padding)) < 0:
        raise ValueError(
            f"padding must be 0 or more and smaller than the window {g.window}, got {g.padding}."
        )
    return g


def _space(name: str, x: Array) -> tuple[int, ...]:
    """Return the spatial axes of x."""
    if x.ndim < 3:
        raise ValueError(
            f"x must be (batch, *spatial, channels) of rank 3 or more for {name}, got {x.shape}. "
            "Add the missing axes."
        )
    return tuple(range(1, x.ndim - 1))
