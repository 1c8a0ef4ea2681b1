"""Convolutions in one, two and three dimensions, with a lowering chosen for the platform."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jnn._arrays import as_arrays
from jnn._settings import check_integer
from jnn.layers._conv_primitive import convolve, convolve_transposed
from jnn.layers._floating import broadcast_parameter, sum_type
from jnn.layers._image_conv import canonical
from jnn.layers._lowering import ConvPlan, exchange_channels, plan
from jnn.layers._product import resolve_precision
from jnn.layers._window import (
    Geometry,
    Lowering,
    Padding,
    Sizes,
    make_geometry,
    pad_space,
    per_axis,
    resolve_geometry,
    resolve_padding,
)


def conv(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window group_in out"],
    bias: Float[Array, "out"] | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Float[Array, "batch *out_spatial out"]:
    """Multiply a sliding window of x by the kernel: a cross-correlation, as in every framework.

    y[b, p, o] = bias[o]
        + sum over t, i of x[b, p * strides + t * dilation - padding, i] * kernel[t, i, o]

    The rank of `x` decides between a 1-D, 2-D and 3-D convolution. `groups` splits the channels:
    group n of the output depends on group n of the input only. `groups = in` is a depthwise
    convolution.

    Args:
        x: Input with one batch axis, the spatial axes and the channels, in this order.
        kernel: Kernel with one axis for each spatial axis, then `in / groups`, then `out`.
        bias: Number added to each output channel.
        strides: Steps of the window, one number or one for each spatial axis.
        padding: "SAME" (the output size is ceil(size / strides); of an odd padding the larger half
            comes after), "SAME_LOWER" (the larger half comes before), "VALID" (no padding),
            "CAUSAL" (1-D only: an output depends on no later input), or a pair (before, after) for
            each spatial axis. One number in place of a pair pads both sides equally.
        dilation: Distance between the elements of the window.
        groups: Number of groups, which divides the channels of the input and of the output.
        lowering: "auto" chooses by platform, shape and whether the kernel has a vmapped axis. "lax"
            leaves everything to `jax.lax`. "direct" is what "auto" chooses on a CPU. `conv_plan`
            shows the choice. The numbers are the same.

    Raises:
        ValueError: If ranks, channels, groups, sizes or the bias do not match, or the lowering is
            unknown.

    >>> x, kernel = jnp.array([[[1.0], [2.0], [4.0]]]), jnp.array([[[-1.0]], [[1.0]]])
    >>> conv(x, kernel, padding="VALID").ravel()
    Array([1., 2.], dtype=float32)
    """
    x, kernel = as_arrays(x, kernel)
    _check_operands(x, kernel, bias, groups)
    dtype = sum_type(x, kernel)
    geometry = make_geometry(
        x.shape[1:-1],
        kernel.shape[:-2],
        strides,
        padding,
        dilation,
        groups=groups,
        lowering=lowering,
    )
    y = _output(geometry, jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))
    return y if bias is None else y + broadcast_parameter(bias, y.shape)


def conv_transpose(
    x: Float[Array, "batch *spatial in"],
    kernel: Float[Array, "*window group_in out"],
    bias: Float[Array, "out"] | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Float[Array, "batch *out_spatial out"]:
    """Spread each input over a window of the output.

    y[b, p, o] = bias[o]
        + sum over t, i of dilated_x[b, p + t * dilation - padding, i] * kernel[t, i, o]

    This is the convolution of x with `strides - 1` zeros between its elements. The numbers are
    those of `jax.lax.conv_transpose` and `flax.nnx.ConvTranspose`: the kernel is not flipped, and
    "SAME" gives the size `size * strides`. PyTorch's `ConvTranspose(padding=p, output_padding=q)`
    with the weight `[in, out, *window]` is this function with the axes of the window flipped and
    the padding `(r - p, r - p + q)`, where r = dilation * (window - 1). `groups` splits the
    channels as in `conv`: the kernel has `in / groups` inputs.

    The arguments are those of `conv`. `padding` is "SAME", "VALID" or pairs, and pads the dilated
    input.

    Raises:
        ValueError: If ranks, channels, groups or the bias do not match, or the lowering is unknown.

    >>> x, kernel = jnp.array([[[1.0], [2.0]]]), jnp.array([[[1.0]], [[10.0]]])
    >>> conv_transpose(x, kernel, strides=2).ravel()
    Array([10.,  1., 20.,  2.], dtype=float32)
    """
    x, kernel = as_arrays(x, kernel)
    _check_operands(x, kernel, bias, groups)
    dtype = sum_type(x, kernel)
    rank = x.ndim - 2
    steps = per_axis("strides", strides, rank)
    gaps = per_axis("dilation", dilation, rank)
    pairs = _transposed_padding(padding, kernel.shape[:-2], steps, gaps)
    y = _transposed(
        jnp.asarray(x, dtype), jnp.asarray(kernel, dtype), steps, pairs, gaps, groups, lowering
    )
    return y if bias is None else y + broadcast_parameter(bias, y.shape)


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: lax.ConvGeneralDilatedDimensionNumbers = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: lax.PrecisionLike = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: jax.sharding.NamedSharding | jax.sharding.PartitionSpec | None = None,
    *,
    lowering: Lowering = "auto",
) -> Array:
    """Compute `jax.lax.conv_general_dilated` with the lowering of `conv`.

    The arguments and the numbers are those of `jax.lax`. Pass it to a Flax layer:
    `nnx.Conv(..., conv_general_dilated=jnn.layers.conv_general_dilated)`, or the same argument of
    `flax.linen.Conv`. The lowering applies to channels-last floating-point convolutions without
    input dilation and batch groups. Every other convolution, and one with an empty operand or
    result, is left to `jax.lax`.

    >>> x, kernel = jnp.ones((1, 3, 1)), jnp.ones((2, 1, 1))
    >>> numbers = ("NHC", "HIO", "NHC")
    >>> conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=numbers).ravel()
    Array([2., 2.], dtype=float32)
    """
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    is_plain = (
        numbers == canonical(lhs.ndim - 2)
        and lhs.dtype == rhs.dtype == (preferred_element_type or lhs.dtype)
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and lhs.ndim > 2
        and 0 not in (*lhs.shape[1:], *rhs.shape, feature_group_count)
        and set(lhs_dilation or ()) <= {1}
        and batch_group_count == 1
        and out_sharding is None
        and rhs.shape[-2] * feature_group_count == lhs.shape[-1]
        and rhs.shape[-1] % feature_group_count == 0
    )
    if is_plain and lowering != "lax":
        geometry = resolve_geometry(
            lhs.shape[1:-1],
            rhs.shape[:-2],
            window_strides,
            padding,
            rhs_dilation or 1,
            groups=feature_group_count,
            precision=precision,
            lowering=lowering,
        )
        if 0 not in geometry.out_spatial:
            return _output(geometry, lhs, rhs)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        feature_group_count,
        batch_group_count,
        precision,
        preferred_element_type,
        out_sharding,
    )


def conv_plan(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
    platform: str | None = None,
) -> ConvPlan:
    """Show which algorithms `conv` uses for these shapes, for the output and for both gradients.

    `members` in the result is the algorithm for a kernel with a vmapped axis. `platform` is "cpu",
    "gpu" or "tpu", by default the platform that JAX runs on.

    >>> conv_plan((64, 28, 28, 16), (3, 3, 16, 16), platform="cpu")
    ConvPlan(output='image', input_grad='flip', kernel_grad='exchange', members='loop')
    """
    geometry = make_geometry(
        x_shape[1:-1],
        kernel_shape[:-2],
        strides,
        padding,
        dilation,
        groups=groups,
        lowering=lowering,
    )
    return plan(
        geometry, kernel_shape[-2], kernel_shape[-1] // groups, platform or jax.default_backend()
    )


def _output(g: Geometry, x: Array, kernel: Array) -> Array:
    """Compute y, and crop x where the padding is negative.

    XLA:CPU computes wrong gradients of negative padding (jax 0.10). Integers take the lowering that
    keeps their type.
    """
    crop = [(min(lo, 0), min(hi, 0), 0) for lo, hi in g.padding]
    if any(lo or hi for lo, hi, _ in crop):
        x = pad_space(x, crop)
    geometry = dataclasses.replace(
        g,
        spatial=x.shape[1:-1],
        padding=tuple((max(lo, 0), max(hi, 0)) for lo, hi in g.padding),
        precision=resolve_precision(g.precision),
    )
    return convolve(geometry, x, kernel)


def _transposed(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    dilation: tuple[int, ...],
    groups: int,
    lowering: Lowering,
) -> Array:
    """Compute the input gradient of the convolution from y to x, with zeros outside its windows."""
    window = kernel.shape[:-2]
    reach = [d * (w - 1) for w, d in zip(window, dilation, strict=True)]
    pairs = [(r - lo, r - hi) for r, (lo, hi) in zip(reach, padding, strict=True)]
    forward = tuple((max(lo, 0), max(hi, 0)) for lo, hi in pairs)
    spatial = tuple(
        (n - 1) * s + 1 + r - lo - hi
        for n, s, r, (lo, hi) in zip(x.shape[1:-1], strides, reach, forward, strict=True)
    )
    g = Geometry(
        spatial, window, strides, forward, dilation, groups, resolve_precision(None), lowering
    )
    y = convolve_transposed(g, x, exchange_channels(g, jnp.flip(kernel, range(len(window)))))
    beyond = [(max(-lo, 0), max(-hi, 0), 0) for lo, hi in pairs]
    return pad_space(y, beyond)


def _check_operands(x: Array, kernel: Array, bias: Array | None, groups: int) -> None:
    """Raise an error if x, kernel, bias and groups do not fit a convolution."""
    if x.ndim < 3 or kernel.ndim != x.ndim:
        raise ValueError(
            "x (batch, *spatial, in) and kernel (*window, in, out) must have the same rank, 3 or "
            f"more, got x {x.shape} and kernel {kernel.shape}. Reshape x to one batch axis."
        )
    if check_integer("groups", groups, least=None) < 1:
        raise ValueError(f"groups must be 1 or more, got {groups}.")
    if 0 in kernel.shape:
        raise ValueError(
            f"kernel must have inputs, outputs and a window of 1 or more, got {kernel.shape}. "
            "Leave the layer out, or give it channels."
        )
    if bias is not None and np.shape(bias) != kernel.shape[-1:]:
        raise ValueError(
            f"bias must have the shape {kernel.shape[-1:]}, one number for each output of the "
            f"kernel {kernel.shape}, got {np.shape(bias)}. Reshape it, or add it to the output."
        )
    if kernel.shape[-1] % groups or kernel.shape[-2] * groups != x.shape[-1]:
        raise ValueError(
            f"kernel must be (*window, in / groups, out), with in = {x.shape[-1]}, the channels of "
            f"x {x.shape}, and with outputs that {groups} groups divide, got {kernel.shape}. Swap "
            "its last two axes if it is stored as (*window, out, in)."
        )


def _transposed_padding(
    padding: Padding, window: Sequence[int], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Sequence[tuple[int, int]]:
    """Return the padding of the dilated input, as `jax.lax.conv_transpose` defines it."""
    if not isinstance(padding, str):
        return resolve_padding(padding, window, window, strides, dilation)
    if padding.upper() not in ("SAME", "VALID"):
        raise ValueError(
            f"padding must be 'SAME', 'VALID' or one pair for each spatial axis, got {padding!r}."
        )
    is_valid = padding.upper() == "VALID"
    pairs = []
    for w, s, d in zip(window, strides, dilation, strict=True):
        reach = d * (w - 1)  # of the window beyond its first element
        total = reach + s - 1
        if is_valid:
            total += max(reach + 1 - s, 0)
        before = reach if is_valid or s > reach else -(-total // 2)
        pairs.append((before, total - before))
    return pairs
