"""Normalization over the batch, over the channels of each row, or over groups of channels.

All functions have the form `norm(x, ..., scale=None, bias=None, *, eps)`, channels last. Means and
variances are computed in float32 or wider and in two passes, because `mean(x^2) - mean(x)^2` loses
every digit when the mean is large. Before that, one of the values is subtracted from all, which
changes no result and takes out exactly a large mean, which float32 could not hold. The result has
the type of x, or float32 if x holds integers. Squares of deviations must fit float32: values that
differ by more than 1e19 give zeros, as in PyTorch.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Real, Shaped

from jnn._arrays import as_array
from jnn._settings import NOT_NEGATIVE, check_integer, check_number
from jnn.layers._floating import narrow, widen

Scalar = float | Float[Array, ""]


def batch_norm(
    x: Real[Array, "*batch channels"],
    mean: Float[Array, "channels"],
    var: Float[Array, "channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-5,
) -> Float[Array, "*batch channels"]:
    """Normalize by given statistics, as at inference.

    y = (x - mean) / sqrt(var + eps) * scale + bias    (Ioffe and Szegedy 2015,
    https://arxiv.org/abs/1502.03167)

    Raises:
        ValueError: If mean, var, scale or bias does not hold one number for each channel.

    >>> batch_norm(jnp.array([[3.0]]), jnp.array([1.0]), jnp.array([4.0]), eps=0.0)
    Array([[1.]], dtype=float32)
    """
    x, mean, var, scale, bias = _checked(x, 1, eps, mean=mean, var=var, scale=scale, bias=bias)
    centered = widen(x) - mean
    return narrow(_affine(centered * jax.lax.rsqrt(widen(var) + eps), scale, bias), x)


def batch_norm_train(
    x: Real[Array, "batch *spatial channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-5,
    weights: Shaped[Array, "batch *positions"] | None = None,
) -> tuple[
    Float[Array, "batch *spatial channels"],
    tuple[Float[Array, "channels"], Float[Array, "channels"]],
]:
    """Normalize by the statistics of the batch, and return them for running averages.

    mean = sum(w x) / sum(w),  var = sum(w (x - mean)^2) / sum(w),  over every axis but the last y
    = (x - mean) / sqrt(var + eps) * scale + bias    (Ioffe and Szegedy 2015,
    https://arxiv.org/abs/1502.03167)

    Args:
        x: Input with at least a batch axis and a channel axis.
        scale: Factor of each channel.
        bias: Offset of each channel.
        eps: Number added to the variance.
        weights: Weight of each row or of each position, with the leading axes of x as its shape.
            Padding of weight 0 does not change the statistics. If all weights are 0, mean and
            variance are 0.

    Returns:
        y, and (mean, var) in float32 or wider. `var` is the biased variance, divided by n, as in
        Flax. PyTorch averages the unbiased variance, var * n / (n - 1), for its running variance.

    Raises:
        ValueError: If the shape of the weights is not a leading part of x's shape, or scale or bias
            does not hold one number for each channel.

    >>> x, weights = jnp.array([[1.0], [3.0], [9.0]]), jnp.array([1.0, 1.0, 0.0])
    >>> y, (mean, var) = batch_norm_train(x, weights=weights)
    >>> mean, var
    (Array([2.], dtype=float32), Array([1.], dtype=float32))
    """
    x, scale, bias = _checked(x, 2, eps, scale=scale, bias=bias)
    wide = widen(x)
    shares = _shares(wide, weights)
    if shares is not None:
        wide = _replace_weightless_infinities(wide, shares)
    axes = tuple(range(x.ndim - 1))
    pivot = first_along(wide, axes) if shares is None else _heaviest(wide, shares)
    y, mean, var = _normalize(wide - pivot, scale, bias, eps, shares, axes)
    return narrow(y, x), ((mean + pivot).reshape(-1), var.reshape(-1))


def layer_norm(
    x: Real[Array, "*batch channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "*batch channels"]:
    """Normalize the channels of each row by their mean and variance.

    y = (x - mean(x)) / sqrt(var(x) + eps) * scale + bias    (Ba et al. 2016,
    https://arxiv.org/abs/1607.06450)

    Raises:
        ValueError: If scale or bias does not hold one number for each channel.

    >>> layer_norm(jnp.array([1.0, 3.0]), eps=0.0)
    Array([-1.,  1.], dtype=float32)
    """
    x, scale, bias = _checked(x, 1, eps, scale=scale, bias=bias)
    wide = widen(x)
    wide = wide - first_along(wide, (-1,))
    return narrow(_normalize(wide, scale, bias, eps, None, (-1,))[0], x)


def rms_norm(
    x: Real[Array, "*batch channels"],
    scale: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "*batch channels"]:
    """Divide the channels of each row by their root mean square.

    y = x / sqrt(mean(x^2) + eps) * scale    (Zhang and Sennrich 2019,
    https://arxiv.org/abs/1910.07467)

    Raises:
        ValueError: If scale does not hold one number for each channel.

    >>> rms_norm(jnp.array([1.0, 7.0]), eps=0.0)
    Array([0.2, 1.4], dtype=float32)
    """
    x, scale = _checked(x, 1, eps, scale=scale)
    wide = widen(x)
    mean_square = jnp.square(wide).mean(axis=-1, keepdims=True)
    return narrow(_affine(wide * jax.lax.rsqrt(mean_square + eps), scale, None), x)


def group_norm(
    x: Real[Array, "batch *spatial channels"],
    groups: int,
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "batch *spatial channels"]:
    """Normalize each row over its positions and over groups of neighboring channels.

    y = (x - mean) / sqrt(var + eps) * scale + bias    (Wu and He 2018,
    https://arxiv.org/abs/1803.08494)

    mean and var are taken over the spatial axes and over `channels / groups` channels.

    Raises:
        ValueError: If `groups` does not divide the number of channels, or scale or bias does not
            hold one number for each channel.

    >>> group_norm(jnp.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    x, scale, bias = _checked(x, 2, eps, scale=scale, bias=bias)
    channels = x.shape[-1]
    if check_integer("groups", groups, least=None) < 1 or channels % groups:
        raise ValueError(f"groups must be a divisor of the {channels} channels of x, got {groups}.")
    wide = widen(x).reshape(x.shape[0], math.prod(x.shape[1:-1]), channels)
    wide = minus_first_of_groups(wide, groups)
    centered = wide - _group_average(wide, groups)
    y = centered * jax.lax.rsqrt(_group_average(jnp.square(centered), groups) + eps)
    return narrow(_affine(y.reshape(x.shape), scale, bias), x)


def instance_norm(
    x: Real[Array, "batch *spatial channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "batch *spatial channels"]:
    """Normalize each channel of each row over its positions.

    y = (x - mean) / sqrt(var + eps) * scale + bias    (Ulyanov et al. 2016,
    https://arxiv.org/abs/1607.08022)

    mean and var are taken over the spatial axes: a `group_norm` with one channel in each group.

    Raises:
        ValueError: If scale or bias does not hold one number for each channel.

    >>> instance_norm(jnp.array([[[1.0, 10.0], [3.0, 30.0]]]), eps=0.0)
    Array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """
    x = as_array(x)
    return group_norm(x, x.shape[-1] if x.ndim else 1, scale, bias, eps=eps)


def first_along(x, axes: tuple):
    """Return the first value along the axes, which keep the size 1; it counts as a constant.

    It lies within sqrt(n) deviations of the mean of n values, so that subtracting it loses no
    digits of what is left.
    """
    if x.size == 0:
        return jnp.zeros((), x.dtype)
    for axis in axes:
        x = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
    return jax.lax.stop_gradient(x)


def minus_first_of_groups(x, groups: int):
    """Subtract the first value of each group of channels of each row from the group."""
    if x.size == 0:
        return x
    first = first_along(x, tuple(range(1, x.ndim - 1)))  # of each channel
    size = x.shape[-1] // groups
    return x - jnp.repeat(first[..., ::size], size, axis=-1)


def _heaviest(x, shares):
    """Return the values, one for each channel, of the first position of the largest share."""
    rows = x.reshape(shares.size, -1, x.shape[-1])
    values = rows[jnp.argmax(shares), :1].reshape(*[1] * (x.ndim - 1), x.shape[-1])
    return jax.lax.stop_gradient(jnp.where(shares.max() > 0, values, 0))


def _checked(x, min_rank: int, eps: Scalar, **parameters) -> tuple:
    """Return x and the parameters as arrays, and raise an error if a shape does not match x."""
    x = as_array(x)
    check_number("eps", eps, NOT_NEGATIVE, "It is added to the variance; a usual value is 1e-6.")
    if x.ndim < min_rank:
        raise ValueError(
            f"x must have rank {min_rank} or more, channels last, got {x.shape}. Add the missing "
            "axes in front."
        )
    shapes = {name: np.shape(values) for name, values in parameters.items() if values is not None}
    wrong = {name: shape for name, shape in shapes.items() if shape != x.shape[-1:]}
    if wrong:
        got = ", ".join(f"{name} {shape}" for name, shape in wrong.items())
        raise ValueError(
            f"{' and '.join(wrong)} must have the shape {x.shape[-1:]}, one number for each "
            f"channel of x {x.shape}, got {got}. Reshape to one axis."
        )
    arrays = (None if values is None else as_array(values) for values in parameters.values())
    return x, *arrays


def _group_average(x, groups: int):
    """Average (batch, positions, channels) over positions and groups, repeated for each channel.

    The positions are averaged first, as long rows of channels. On a CPU this is three times as
    fast as one sum over two separate axes.
    """
    batch, _, channels = x.shape
    averages = x.mean(axis=1).reshape(batch, groups, channels // groups).mean(axis=-1)
    return jnp.repeat(averages, channels // groups, axis=-1)[:, None]


def _affine(y, scale, bias):
    """Multiply by scale and add bias where they are not None."""
    if scale is not None:
        y = y * scale
    return y if bias is None else y + bias


def _shares(x, weights):
    """Return the share of each position in averages over all axes but the last, or None."""
    if weights is None:
        return None
    weights = as_array(weights)
    rank = weights.ndim
    if rank == x.ndim or weights.shape != x.shape[:rank]:
        raise ValueError(
            f"weights must have leading axes of x {x.shape} as its shape, got {weights.shape}. "
            "Pass one weight for each row."
        )
    wide = weights.astype(jnp.promote_types(weights.dtype, x.dtype))
    wide = wide * jnp.where(wide.max(initial=0) > 1e19, 2.0**-64, 1.0)  # their sum may overflow
    total = wide.sum() * math.prod(x.shape[rank:-1])
    return (wide / jnp.where(total > 0, total, 1)).reshape(*wide.shape, *[1] * (x.ndim - rank))


def _replace_weightless_infinities(x, shares):
    """Replace values of share 0 whose square is not finite by 0, because 0 * inf is NaN."""
    largest = float(jnp.finfo(x.dtype).max) ** 0.5 / 2
    return jnp.where((shares == 0) & ~(jnp.abs(x) < largest), 0, x)


def _average(values, shares, axes: tuple):
    """Average over the axes, weighted by the shares if there are any."""
    if shares is None:
        return values.mean(axis=axes, keepdims=True)
    return (shares * values).sum(axis=axes, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(5,))
def _normalize(x, scale, bias, eps, shares, axes: tuple):
    """Return (x - mean) / sqrt(var + eps) * scale + bias, mean and var over the axes."""
    mean = _average(x, shares, axes)
    var = _average(jnp.square(x - mean), shares, axes)
    return _affine((x - mean) * jax.lax.rsqrt(var + eps), scale, bias), mean, var


@functools.partial(_normalize.defjvp, symbolic_zeros=True)
def _normalize_jvp(axes: tuple, primals, tangents):
    """Differentiate in closed form.

    dy = s r dx - s r dmean - n s r^2 / 2 (dvar + deps) + n ds + db
    with n = (x - mean) r,  r = 1 / sqrt(var + eps)

    Factors of the size of the moments are multiplied first. In the transposed program, sums over
    the batch then precede these factors, and the backward pass of batch norm needs no sums but
    the two of the gradients of scale and bias.
    """
    x, scale, bias, eps, shares = primals
    dx, dscale, dbias, deps, dshares = (
        0 if t is None or isinstance(t, SymbolicZero) else t for t in tangents
    )
    y, mean, var = _normalize(x, scale, bias, eps, shares, axes)
    centered = x - mean
    root = jax.lax.rsqrt(var + eps)
    dmean = jnp.zeros_like(mean)
    dvar = jnp.zeros_like(mean)
    if not isinstance(dx, int):
        dmean = _average(dx, shares, axes)
        dvar = 2 * _average(centered * dx, shares, axes)
    if not isinstance(dshares, int):
        dmean = dmean + _average(x, dshares, axes)
        dvar = dvar + _average(jnp.square(centered), dshares, axes)
    factor = 1 if scale is None else scale
    slope = dscale - factor * (jnp.square(root) / 2 * (dvar + deps))
    dy = (factor * root) * dx - factor * (root * dmean) + centered * root * slope + dbias
    return (y, mean, var), (dy.astype(y.dtype), dmean, dvar)
