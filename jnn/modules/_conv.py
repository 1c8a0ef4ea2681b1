"""Convolutions: Flax's module with the lowering of `jnn.layers`, and a transposed convolution."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype

from jnn._signature import with_signature
from jnn.layers import conv_general_dilated, conv_transpose
from jnn.modules._promotion import narrow_output, promote_with_wide_bias

_LECUN = nnx.initializers.lecun_normal()
_ZEROS = nnx.initializers.zeros_init()


@with_signature
class Conv(nnx.Conv):
    """A convolution over the spatial axes of x.

    It is `flax.nnx.Conv` with the lowering of `jnn.layers`, which stays fast inside loops and under
    `vmap`. It maps [*batch, *spatial, in] to [*batch, *out_spatial, out]; with padding "SAME" and
    strides 1 the spatial axes keep their sizes. Its parameters are `kernel`
    [*window, in / groups, out] and `bias` [out].

    >>> Conv(3, 16, (5, 5), rngs=nnx.Rngs(0))(jnp.ones((8, 32, 32, 3))).shape
    (8, 32, 32, 16)

    Args:
        in_features: Number of channels of the input.
        out_features: Number of channels of the output.
        kernel_size: Size of the window along each spatial axis.
        strides: Distance between the windows along each spatial axis.
        padding: "SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL" (for one spatial axis), or a pair
            (before, after) for each spatial axis.
        kernel_dilation: Distance between the taps of a window.
        feature_group_count: Number of groups of channels; an output channel reads only the input
            channels of its own group.
        use_bias: Whether to add a learned bias.
        kernel_init: Initializer of the kernel.
        bias_init: Initializer of the bias.
        conv_general_dilated: The convolution, called like `jax.lax.conv_general_dilated`.
        rngs: Keys of the stream `params`.
        **options: Other arguments of `flax.nnx.Conv`, such as `dtype`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        *,
        padding: str | int | Sequence[int | tuple[int, int]] = "SAME",
        kernel_dilation: int | Sequence[int] | None = 1,
        feature_group_count: int = 1,
        use_bias: bool = True,
        kernel_init: nnx.Initializer = _LECUN,
        bias_init: nnx.Initializer = _ZEROS,
        conv_general_dilated: Callable[..., jax.Array] = conv_general_dilated,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        super().__init__(
            in_features,
            out_features,
            kernel_size,
            strides,
            padding=padding,
            kernel_dilation=kernel_dilation,
            feature_group_count=feature_group_count,
            use_bias=use_bias,
            kernel_init=kernel_init,
            bias_init=bias_init,
            conv_general_dilated=conv_general_dilated,
            rngs=rngs,
            **{"promote_dtype": promote_with_wide_bias, **options},
        )

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Convolve: [*batch, *spatial, in] -> [*batch, *out_spatial, out]."""
        return narrow_output(self, super().__call__(inputs, out_sharding), inputs)


@with_signature
class ConvTranspose(nnx.Module):
    """A transposed convolution, `jnn.layers.conv_transpose`.

    Parameters and numbers are those of `flax.nnx.ConvTranspose`: `kernel` [*window, in, out] and
    `bias` [out].

    Args:
        in_features: Number of channels of the input.
        out_features: Number of channels of the output.
        kernel_size: Size of the window along each spatial axis.
        strides: Factor by which the output is larger than the input; None, as in Flax, for 1.
        padding: "SAME" (the output has strides times the input's size), "VALID" or a pair (before,
            after) for each spatial axis.
        kernel_dilation: Distance between the taps of a window.
        use_bias: Whether to add a learned bias.
        kernel_init: Initializer of the kernel.
        bias_init: Initializer of the bias.
        rngs: Keys of the stream `params`.
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
        kernel_init: nnx.Initializer = _LECUN,
        bias_init: nnx.Initializer = _ZEROS,
        rngs: nnx.Rngs,
    ):
        window = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        shape = (*window, in_features, out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        if use_bias:
            self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), jnp.float32))
        else:
            self.bias = None
        self.strides = 1 if strides is None else strides
        self.padding = padding
        self.kernel_dilation = kernel_dilation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve: [*batch, *spatial, in] -> [*batch, *out_spatial, out]."""
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = promote_dtype((x, self.kernel[...], bias))
        batch_axes = max(x.ndim - kernel.ndim + 1, 0)
        batch = x.shape[:batch_axes]
        y = conv_transpose(
            x.reshape(math.prod(batch), *x.shape[batch_axes:]),
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.kernel_dilation,
        )
        return y.reshape(*batch, *y.shape[1:])
