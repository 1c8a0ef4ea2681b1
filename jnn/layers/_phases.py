"""The input gradient of a strided convolution as one convolution without strides."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn.layers._image_conv import image_conv
from jnn.layers._window import Geometry, pad_space


def input_grad_phases(g: Geometry, dy: Array, kernel: Array) -> Array:
    """Compute dx by a convolution of dy whose channels are those of `strides` neighboring places.

    The place p = stride * q + phase of an axis sums the taps t of the same remainder:

    dx[p] = sum over t, with stride * j = p + padding - t, of kernel[t] dy[j]

    Shi et al. (2016), https://arxiv.org/abs/1609.05158. The kernel must not be dilated.
    """
    rank, ones = len(g.window), (1,) * len(g.window)
    pads = []
    for axis in range(rank):
        n, w, s, lo = g.spatial[axis], g.window[axis], g.strides[axis], g.padding[axis][0]
        first, last = -((w - 1 - lo) // s), (s - 1 + lo) // s  # the least and the largest j - q
        pads.append((-first, -(-n // s) + last - dy.shape[1 + axis], 0))
        taps = np.arange(s) + lo - s * np.arange(first, last + 1)[:, None]  # [j - q, phase]
        kernel = _take_taps(kernel, taps, 2 * axis)
    phases = [2 * axis + 1 for axis in range(rank)]
    window = [2 * axis for axis in range(rank)]
    turned = kernel.transpose(*window, 2 * rank + 1, *phases, 2 * rank)
    matrix = turned.reshape(*turned.shape[: rank + 1], -1)  # [*window, out, phases in]
    padding = ((0, 0),) * rank
    y = image_conv(g, pad_space(dy, pads), matrix, strides=ones, padding=padding, dilation=ones)
    x = _spread(y, g.strides, kernel.shape[-2])
    return x[:, *(slice(n) for n in g.spatial)]


def _take_taps(kernel: Array, taps: np.ndarray, axis: int) -> Array:
    """Return the kernel with an axis replaced by those of `taps`, and 0 for taps it lacks."""
    size = kernel.shape[axis]
    with_zeros = jnp.pad(kernel, [(0, int(i == axis)) for i in range(kernel.ndim)])
    return with_zeros[*(slice(None),) * axis, np.where((taps < 0) | (taps >= size), size, taps)]


def _spread(y: Array, strides: Sequence[int], channels: int) -> Array:
    """Return [batch, *spatial, phases channels] with the phases spread over space."""
    rank, spatial = len(strides), y.shape[1:-1]
    y = y.reshape(len(y), *spatial, *strides, channels)
    axes = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    y = y.transpose(0, *axes, 1 + 2 * rank)
    return y.reshape(len(y), *(n * s for n, s in zip(spatial, strides, strict=True)), channels)
