"""Convolutions: Flax's with jnn's lowering where Flax takes it as an argument, jnn's own where it does not."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype

from jnn.layers import conv_general_dilated, conv_transpose

_LECUN, _ZEROS = nnx.initializers.lecun_normal(), nnx.initializers.zeros_init()

Conv = functools.partial(nnx.Conv, conv_general_dilated=conv_general_dilated)
"""`nnx.Conv` with jnn's lowering, which stays fast inside loops and under vmap; kernel [*window, in/groups, out]."""


class ConvTranspose(nnx.Module):
    """`jnn.layers.conv_transpose` with parameters and numbers of `flax.nnx.ConvTranspose`; kernel [*window, in, out].

    Args:
        in_features: Channels of the input.
        out_features: Channels of the output.
        kernel_size: The window, one number for each axis of space.
        strides: By which the output is larger than the input; None, as in Flax, for 1.
        padding: "SAME" (the output has strides times the input's size), "VALID" or pairs (before, after).
        kernel_dilation: Distance between the window's taps.
        use_bias: Whether a bias is added.
        kernel_init: Draws the kernel.
        bias_init: Draws the bias.
        rngs: Stream `params`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        *,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        kernel_dilation: int | Sequence[int] = 1,
        use_bias: bool = True,
        kernel_init: Callable = _LECUN,
        bias_init: Callable = _ZEROS,
        rngs: nnx.Rngs,
    ):
        window = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.kernel = nnx.Param(
            kernel_init(rngs.params(), (*window, in_features, out_features), jnp.float32)
        )
        self.bias = (
            nnx.Param(bias_init(rngs.params(), (out_features,), jnp.float32)) if use_bias else None
        )
        self.strides = 1 if strides is None else strides
        self.padding, self.kernel_dilation = padding, kernel_dilation

    def __call__(self, x: jax.Array) -> jax.Array:
        """[*batch, *spatial, in] -> [*batch, *out_spatial, out]."""
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = promote_dtype((x, self.kernel[...], bias))
        how = {"strides": self.strides, "padding": self.padding, "dilation": self.kernel_dilation}
        axes = max(x.ndim - kernel.ndim + 1, 0)  # of the batch
        y = conv_transpose(
            x.reshape(math.prod(x.shape[:axes]), *x.shape[axes:]), kernel, bias, **how
        )
        return y.reshape(*x.shape[:axes], *y.shape[1:])
