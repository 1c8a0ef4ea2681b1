"""XLA's convolution in the canonical layout, and in forms of it that are fast on a CPU."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jnn.layers._window import Geometry

Sizes = Sequence[int]
Pairs = Sequence[tuple[int, int]]

# XLA:CPU has a fast kernel for convolutions of images, not of series, with more channels than
# this on either side. It is 2 to 9 times faster on one core, although it computes 1.7 to 3.3
# times the products where `several_places` provides the channels.
FEW_CHANNELS = 16
MOST_PLACES = 8


def image_conv(
    g: Geometry, x: Array, kernel: Array, *, strides: Sizes, padding: Pairs, dilation: Sizes
) -> Array:
    """Convolve in the canonical layout, in a form for which XLA:CPU has a fast kernel.

    A series becomes an image of height one, and few channels become those of several places.
    """
    if len(strides) == 1:
        y = image_conv(
            g,
            x[:, None],
            kernel[None],
            strides=(1, *strides),
            padding=((0, 0), *padding),
            dilation=(1, *dilation),
        )
        return y[:, 0]
    fewer, more = sorted(kernel.shape[-2:])
    count = FEW_CHANNELS // kernel.shape[-1] + 1
    has_few_channels = fewer < FEW_CHANNELS and more <= FEW_CHANNELS and count <= MOST_PLACES
    is_image = len(strides) == 2 and g.groups == 1 and dilation[-1] == 1
    if has_few_channels and is_image and x.dtype.itemsize <= 4:
        return several_places(g, x, kernel, strides, padding, dilation, count)
    return plain_conv(
        g, x, kernel, strides=strides, padding=padding, dilation=dilation, groups=g.groups
    )


def several_places(
    g: Geometry,
    x: Array,
    kernel: Array,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    count: int,
) -> Array:
    """Convolve by a wider window that returns `count` neighboring places at once."""
    *other_strides, step = strides
    *other_padding, (lo, hi) = padding
    width = kernel.shape[-3]
    places = (lo + x.shape[-2] + hi - width) // step + 1
    blocks = -(-places // count)
    reach = width + (count - 1) * step
    hi = (blocks - 1) * count * step + reach - x.shape[-2] - lo  # the last block may be surplus
    moved = [pad_window(kernel, i * step, reach - width - i * step) for i in range(count)]
    y = plain_conv(
        g,
        x,
        jnp.concatenate(moved, axis=-1),
        strides=(*other_strides, count * step),
        padding=(*other_padding, (lo, hi)),
        dilation=dilation,
    )
    return y.reshape(*y.shape[:-2], blocks * count, kernel.shape[-1])[..., :places, :]


def pad_window(kernel: Array, before: int, after: int) -> Array:
    """Pad the last axis of a kernel's window with zeros."""
    axes = [(0, 0)] * kernel.ndim
    axes[-3] = (before, after)
    return jnp.pad(kernel, axes)


def plain_conv(
    g: Geometry,
    x: Array,
    kernel: Array,
    *,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    groups: int = 1,
) -> Array:
    """Convolve in the canonical layout."""
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=canonical(len(strides)),
        feature_group_count=groups,
        precision=g.precision,
        preferred_element_type=wide(x),
    )


def canonical(spatial_rank: int) -> lax.ConvDimensionNumbers:
    """Return the dimension numbers of channels-last arrays and `(*window, in, out)` kernels."""
    space = tuple(range(1, spatial_rank + 1))
    image = (0, spatial_rank + 1, *space)
    kernel = (spatial_rank + 1, spatial_rank, *range(spatial_rank))
    return lax.ConvDimensionNumbers(image, kernel, image)


def wide(x: Array) -> jnp.dtype:
    """Return the type for sums: float32 or wider, or that of integers, whose digits it keeps."""
    return (
        x.dtype if jnp.issubdtype(x.dtype, jnp.integer) else jnp.promote_types(x.dtype, jnp.float32)
    )
