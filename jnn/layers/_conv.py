"""Convolutions in one, two and three dimensions, by the lowering that is fastest where the program runs."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jnn.layers._conv_primitive import convolve, convolve_transposed
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
    """Slide a window over space and take its product with the kernel: a cross-correlation, as in every framework.

    y[b, p, o] = bias[o] + sum over t, i of x[b, p * strides + t * dilation - padding, i] * kernel[t, i, o]

    The rank of `x` says whether this is a 1-D, 2-D or 3-D convolution. `groups` splits the channels: group n of the
    output sees group n of the input; `groups = in` is a depthwise convolution.

    Args:
        x: One batch axis, space, channels last.
        kernel: One axis for each axis of space, then `in / groups`, then `out`.
        bias: Added to each output channel.
        strides: Steps of the window, one number or one for each axis of space.
        padding: "SAME" (output size = ceil(size / strides); an odd padding has one more after), "SAME_LOWER" (one more
            before), "VALID" (none), "CAUSAL" (1-D: the output at a time sees nothing later), or a pair (before, after)
            for each axis of space; one number stands for equal sides.
        dilation: Distance between the window's taps.
        groups: Divides both the input's and the output's channels.
        lowering: "auto" chooses by platform, shape and whether the kernel carries a vmapped axis; "lax" leaves all to
            `jax.lax`; "direct" is what "auto" takes on CPU. `conv_plan` shows the choice. The numbers are the same.

    Raises:
        ValueError: If ranks, channels, groups, sizes or the bias do not match, or there is no such lowering.

    >>> conv(jnp.array([[[1.0], [2.0], [4.0]]]), jnp.array([[[-1.0]], [[1.0]]]), padding="VALID").ravel()
    Array([1., 2.], dtype=float32)
    """
    _check_operands(x, kernel, bias, groups)
    if kernel.shape[-1] % groups or kernel.shape[-2] * groups != x.shape[-1]:
        raise ValueError(
            f"wanted x with {kernel.shape[-2]} * {groups} channels and a kernel with outputs that {groups} groups "
            f"divide, but got x {x.shape} and kernel {kernel.shape}; give the kernel in / groups input channels"
        )
    dtype = jnp.result_type(x, kernel)
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
    return y if bias is None else y + jnp.asarray(bias)


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
    """Spread each input over a window of the output: a convolution of x with `strides - 1` zeros between its elements.

    y[b, p, o] = bias[o] + sum over t, i of dilated_x[b, p + t * dilation - padding, i] * kernel[t, i, o]

    The same numbers as `jax.lax.conv_transpose` and `flax.nnx.ConvTranspose`: the kernel is not flipped, and "SAME"
    gives `size * strides`. PyTorch's `ConvTranspose(padding=p, output_padding=q)` with weight `[in, out, *window]` is
    this one with the window's axes flipped and the pairs `(r - p, r - p + q)`, where r = dilation * (window - 1).
    `groups` splits the channels as in `conv`: the kernel has `in / groups` inputs, group n of the output sees group n.

    Arguments as in `conv`; padding is "SAME", "VALID" or pairs, and is that of the dilated input.

    Raises:
        ValueError: If ranks, channels, groups or the bias do not match, or there is no such lowering.

    >>> conv_transpose(jnp.array([[[1.0], [2.0]]]), jnp.array([[[1.0]], [[10.0]]]), strides=2).ravel()
    Array([10.,  1., 20.,  2.], dtype=float32)
    """
    _check_operands(x, kernel, bias, groups)
    if kernel.shape[-1] % groups or kernel.shape[-2] * groups != x.shape[-1]:
        raise ValueError(
            f"wanted a kernel (*window, in / groups, out) with in = {x.shape[-1]}, the channels of x {x.shape}, and "
            f"outputs that {groups} groups divide, but got {kernel.shape}; swap its last two axes if it is stored the "
            f"other way round"
        )
    dtype = jnp.result_type(x, kernel)
    rank = x.ndim - 2
    steps, gaps = per_axis("strides", strides, rank), per_axis("dilation", dilation, rank)
    pairs = _transposed_padding(padding, kernel.shape[:-2], steps, gaps)
    y = _transposed(
        jnp.asarray(x, dtype), jnp.asarray(kernel, dtype), steps, pairs, gaps, groups, lowering
    )
    return y if bias is None else y + jnp.asarray(bias)


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
    """`jax.lax.conv_general_dilated` with the lowering of `conv`: same arguments, same numbers.

    Made to be given to a Flax layer: `nnx.Conv(..., conv_general_dilated=jnn.layers.conv_general_dilated)`, and the
    same argument of `flax.linen.Conv`. Channels-last floating-point convolutions without input dilation and batch
    groups get the lowering; all others, and those without values or places, go to `jax.lax` as they are.

    >>> x, kernel = jnp.ones((1, 3, 1)), jnp.ones((2, 1, 1))
    >>> conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")).ravel()
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
        moves = window_strides, padding, rhs_dilation or 1
        how = {"groups": feature_group_count, "precision": precision, "lowering": lowering}
        g = resolve_geometry(lhs.shape[1:-1], rhs.shape[:-2], *moves, **how)
        if 0 not in g.out_spatial:
            return _output(g, lhs, rhs)
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
    """Show which algorithms `conv` takes for these shapes, for the output and for both gradients.

    `members` says what becomes of a kernel with a vmapped axis. `platform` is "cpu", "gpu" or "tpu", by default the
    one that JAX runs on.

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
    """Compute y; negative padding becomes a crop, because XLA:CPU computes wrong gradients of it (jax 0.10)."""
    cropped = [(min(lo, 0), min(hi, 0), 0) for lo, hi in g.padding]
    if any(lo or hi for lo, hi, _ in cropped):
        x = pad_space(x, cropped)
    padding = tuple((max(lo, 0), max(hi, 0)) for lo, hi in g.padding)
    chosen = {
        "spatial": x.shape[1:-1],
        "padding": padding,
        "precision": resolve_precision(g.precision),
    }
    return convolve(dataclasses.replace(g, **chosen), x, kernel)


def _transposed(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    dilation: tuple[int, ...],
    groups: int,
    lowering: Lowering,
) -> Array:
    """Compute the input gradient of the convolution that leads from y to x; what lies outside of its window is zero."""
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
    if x.ndim < 3 or kernel.ndim != x.ndim or groups < 1:
        raise ValueError(
            f"wanted x (batch, *spatial, in) and kernel (*window, in, out) of equal rank, 3 or more, and groups >= 1, "
            f"but got x {x.shape}, kernel {kernel.shape}, groups {groups}; reshape x to one batch axis"
        )
    if bias is not None and np.shape(bias) != kernel.shape[-1:]:
        raise ValueError(
            f"wanted a bias {kernel.shape[-1:]}, one number for each output of the kernel {kernel.shape}, "
            f"but got {np.shape(bias)}; reshape it, or add it to the output"
        )


def _transposed_padding(
    padding: Padding, window: Sequence[int], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Sequence[tuple[int, int]]:
    """Return the padding of the dilated input, as `jax.lax.conv_transpose` has it."""
    if not isinstance(padding, str):
        return resolve_padding(padding, window, window, strides, dilation)
    if padding.upper() not in ("SAME", "VALID"):
        raise ValueError(
            f"wanted padding 'SAME', 'VALID' or one pair for each axis of space, but got {padding!r}"
        )
    pairs = []
    for w, s, d in zip(window, strides, dilation, strict=True):
        r = d * (w - 1)  # the reach of the window beyond its first tap
        total = r + s - 1 + (max(r + 1 - s, 0) if padding.upper() == "VALID" else 0)
        before = r if padding.upper() == "VALID" or s > r else -(-total // 2)
        pairs.append((before, total - before))
    return pairs
