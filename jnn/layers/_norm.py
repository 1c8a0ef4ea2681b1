"""Normalisation: over the batch, over the channels of one row, over groups of channels.

All have one form: `norm(x, ..., scale=None, bias=None, *, eps)`, channels last. Means and variances are made in float32
at least and in two passes, since `mean(x^2) - mean(x)^2` loses every digit when the mean is large. The result has x's
dtype; whole numbers give float32.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Real, Shaped

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
    """Normalise by given statistics, as at inference.

    y = (x - mean) / sqrt(var + eps) * scale + bias    (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167)

    Raises:
        ValueError: If mean, var, scale or bias is not one number for each channel.

    >>> batch_norm(jnp.array([[3.0]]), jnp.array([1.0]), jnp.array([4.0]), eps=0.0)
    Array([[1.]], dtype=float32)
    """
    mean, var, scale, bias = _checked(x, 1, mean=mean, var=var, scale=scale, bias=bias)
    centred = widen(x) - mean
    return narrow(_affine(centred * jax.lax.rsqrt(widen(var) + eps), scale, bias), x)


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
    """Normalise by the batch's own statistics and return them, for the caller to average.

    mean = sum(w x) / sum(w),  var = sum(w (x - mean)^2) / sum(w),  over every axis but the last
    y = (x - mean) / sqrt(var + eps) * scale + bias    (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167)

    Args:
        x: At least a batch and a channel axis.
        scale: Factor of each channel.
        bias: Offset of each channel.
        eps: Added to the variance.
        weights: One for each row, or for each position of it: a leading part of x's shape. What is padding weighs 0
            and leaves the statistics alone. All 0 gives mean 0, variance 0.

    Returns:
        y and (mean, var) in float32 at least. `var` is the biased one, divided by n, as in Flax; PyTorch averages
        the unbiased one, var * n / (n - 1), into its running variance.

    Raises:
        ValueError: If the weights do not have leading axes of x, or scale or bias is not one number for each channel.

    >>> y, (mean, var) = batch_norm_train(jnp.array([[1.0], [3.0], [9.0]]), weights=jnp.array([1.0, 1.0, 0.0]))
    >>> mean, var
    (Array([2.], dtype=float32), Array([1.], dtype=float32))
    """
    scale, bias = _checked(x, 2, scale=scale, bias=bias)
    high = widen(x)
    shares = _shares(high, weights)
    high = high if shares is None else _without_hidden_infinities(high, shares)
    y, mean, var = _normalize(high, scale, bias, eps, shares, tuple(range(x.ndim - 1)))
    return narrow(y, x), (mean.reshape(-1), var.reshape(-1))


def layer_norm(
    x: Real[Array, "*batch channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "*batch channels"]:
    """Normalise the channels of each row by their mean and variance.

    y = (x - mean(x)) / sqrt(var(x) + eps) * scale + bias    (Ba et al. 2016, https://arxiv.org/abs/1607.06450)

    Raises:
        ValueError: If scale or bias is not one number for each channel.

    >>> layer_norm(jnp.array([1.0, 3.0]), eps=0.0)
    Array([-1.,  1.], dtype=float32)
    """
    scale, bias = _checked(x, 1, scale=scale, bias=bias)
    return narrow(_normalize(widen(x), scale, bias, eps, None, (-1,))[0], x)


def rms_norm(
    x: Real[Array, "*batch channels"],
    scale: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "*batch channels"]:
    """Divide the channels of each row by their root mean square.

    y = x / sqrt(mean(x^2) + eps) * scale    (Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467)

    Raises:
        ValueError: If scale is not one number for each channel.

    >>> rms_norm(jnp.array([1.0, 7.0]), eps=0.0)
    Array([0.2, 1.4], dtype=float32)
    """
    (scale,) = _checked(x, 1, scale=scale)
    high = widen(x)
    mean_square = jnp.square(high).mean(axis=-1, keepdims=True)
    return narrow(_affine(high * jax.lax.rsqrt(mean_square + eps), scale, None), x)


def group_norm(
    x: Real[Array, "batch *spatial channels"],
    groups: int,
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "batch *spatial channels"]:
    """Normalise each row over its positions and over groups of neighbouring channels.

    y = (x - mean) / sqrt(var + eps) * scale + bias,  moments over the spatial axes and channels / groups channels
    (Wu and He 2018, https://arxiv.org/abs/1803.08494)

    Raises:
        ValueError: If the groups do not divide the channels, or scale or bias is not one number for each channel.

    >>> group_norm(jnp.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    scale, bias = _checked(x, 2, scale=scale, bias=bias)
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise ValueError(
            f"wanted a number of groups that divides {channels} channels, but got {groups}"
        )
    high = widen(x).reshape(x.shape[0], math.prod(x.shape[1:-1]), channels)
    centred = high - _group_average(high, groups)
    y = centred * jax.lax.rsqrt(_group_average(jnp.square(centred), groups) + eps)
    return narrow(_affine(y.reshape(x.shape), scale, bias), x)


def instance_norm(
    x: Real[Array, "batch *spatial channels"],
    scale: Float[Array, "channels"] | None = None,
    bias: Float[Array, "channels"] | None = None,
    *,
    eps: Scalar = 1e-6,
) -> Float[Array, "batch *spatial channels"]:
    """Normalise each channel of each row over its positions.

    y = (x - mean) / sqrt(var + eps) * scale + bias,  moments over the spatial axes: `group_norm` of single channels
    (Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022)

    Raises:
        ValueError: If scale or bias is not one number for each channel.

    >>> instance_norm(jnp.array([[[1.0, 10.0], [3.0, 30.0]]]), eps=0.0)
    Array([[[-1., -1.],
            [ 1.,  1.]]], dtype=float32)
    """
    return group_norm(x, x.shape[-1], scale, bias, eps=eps)


def _checked(x, least: int, **parameters) -> tuple:
    """Return the parameters as arrays; refuse x of too few axes, and what is not one number for each channel."""
    if x.ndim < least:
        raise ValueError(
            f"wanted x of rank {least} or more, channels last, but got {x.shape}; add the axes in front"
        )
    given = {name: np.shape(values) for name, values in parameters.items() if values is not None}
    wrong = {name: shape for name, shape in given.items() if shape != x.shape[-1:]}
    if wrong:
        raise ValueError(
            f"wanted {x.shape[-1]} numbers, one for each channel of x {x.shape}, "
            f"but got {', '.join(f'{name} {shape}' for name, shape in wrong.items())}; reshape to one axis"
        )
    return tuple(None if values is None else jnp.asarray(values) for values in parameters.values())


def _group_average(x, groups: int):
    """Average (batch, positions, channels) over positions and groups of channels; each channel gets its group's.

    Positions go first, as long rows of channels: three times as fast on a CPU as one sum over two axes apart.
    """
    batch, _, channels = x.shape
    averages = x.mean(axis=1).reshape(batch, groups, channels // groups).mean(axis=-1)
    return jnp.repeat(averages, channels // groups, axis=-1)[:, None]


def _affine(y, scale, bias):
    """Scale and shift each channel where asked to."""
    y = y if scale is None else y * scale
    return y if bias is None else y + bias


def _shares(x, weights):
    """Return each position's part of the average over all axes but the last, or None if all count alike."""
    if weights is None:
        return None
    weights = jnp.asarray(weights)
    rank = weights.ndim
    if rank == x.ndim or weights.shape != x.shape[:rank]:
        raise ValueError(
            f"wanted weights of leading axes of x {x.shape}, but got {weights.shape}; give one each row"
        )
    high = weights.astype(jnp.promote_types(weights.dtype, x.dtype))
    total = high.sum() * math.prod(x.shape[rank:-1])
    return (high / jnp.where(total > 0, total, 1)).reshape(*high.shape, *[1] * (x.ndim - rank))


def _without_hidden_infinities(x, shares):
    """Put 0 where x weighs nothing and its square is no finite number: 0 * inf is NaN, also in a gradient."""
    largest = float(jnp.finfo(x.dtype).max) ** 0.5 / 2
    return jnp.where((shares == 0) & ~(jnp.abs(x) < largest), 0, x)


def _average(values, shares, axes: tuple):
    if shares is None:
        return values.mean(axis=axes, keepdims=True)
    return (shares * values).sum(axis=axes, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(5,))
def _normalize(x, scale, bias, eps, shares, axes: tuple):
    """Return (x - mean) / sqrt(var + eps) * scale + bias, mean and var, the moments over `axes`."""
    mean = _average(x, shares, axes)
    var = _average(jnp.square(x - mean), shares, axes)
    return _affine((x - mean) * jax.lax.rsqrt(var + eps), scale, bias), mean, var


@functools.partial(_normalize.defjvp, symbolic_zeros=True)
def _normalize_jvp(axes: tuple, primals, tangents):
    """Differentiate in closed form.

    dy = s r dx - s r dmean - n s r^2 / 2 (dvar + deps) + n ds + db,  n = (x - mean) r,  r = 1 / sqrt(var + eps)

    Factors of the moments' size are multiplied first: transposed, sums over the batch come before these factors, and
    batch norm's backward pass needs the two sums of the gradients of scale and bias and no other.
    """
    x, scale, bias, eps, shares = primals
    dx, dscale, dbias, deps, dshares = (
        0 if t is None or isinstance(t, SymbolicZero) else t for t in tangents
    )
    y, mean, var = _normalize(x, scale, bias, eps, shares, axes)
    centred, root = x - mean, jax.lax.rsqrt(var + eps)
    dmean = dvar = jnp.zeros_like(mean)
    if not isinstance(dx, int):
        dmean, dvar = _average(dx, shares, axes), 2 * _average(centred * dx, shares, axes)
    if not isinstance(dshares, int):
        dmean, dvar = (
            dmean + _average(x, dshares, axes),
            dvar + _average(jnp.square(centred), dshares, axes),
        )
    factor = 1 if scale is None else scale
    slope = dscale - factor * (jnp.square(root) / 2 * (dvar + deps))
    dy = (factor * root) * dx - factor * (root * dmean) + centred * root * slope + dbias
    return (y, mean, var), (dy.astype(y.dtype), dmean, dvar)
