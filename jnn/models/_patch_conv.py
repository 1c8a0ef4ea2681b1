"""The convolution that cuts an image into patches: its stride is the side of its window."""

from typing import Any

import jax

from jnn.layers import dot_general
from jnn.modules import Conv


def patch_conv(channels: int, features: int, side: int, **options: Any) -> Conv:
    """Return a convolution of windows that do not overlap, computed as one product.

    [batch, height, width, channels] -> [batch, height // side, width // side, features]

    Args:
        channels: Number of channels of the input.
        features: Number of channels of the output.
        side: Side of a patch in pixels; the kernel is [side, side, channels, features].
        **options: Other arguments of `jnn.modules.Conv`, such as `rngs`.
    """
    return Conv(
        channels,
        features,
        (side, side),
        side,
        padding="VALID",
        conv_general_dilated=_product,
        **options,
    )


def _product(x: jax.Array, kernel: jax.Array, *_: Any, **options: Any) -> jax.Array:
    """Return the same as `jax.lax.conv_general_dilated` for such a convolution."""
    side, channels, features = kernel.shape[1:]
    batch, rows, columns = x.shape[0], x.shape[1] // side, x.shape[2] // side
    x = x[:, : rows * side, : columns * side]
    x = x.reshape(batch, rows, side, columns, side, channels).swapaxes(2, 3)
    patches = x.reshape(batch, rows, columns, side * side * channels)
    matrix = kernel.reshape(side * side * channels, features)
    return dot_general(
        patches,
        matrix,
        (((3,), (0,)), ((), ())),
        precision=options.get("precision"),
        preferred_element_type=options.get("preferred_element_type"),
    )
