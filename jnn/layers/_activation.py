"""Activations that `jax.nn` lacks, and a table of all activations by name.

An activation is a pure function of one array, so it can be passed wherever an `activation` is
expected. Those of `jax.nn` are JAX's own. In float16 their powers of x overflow: the gradient of
`gelu` is NaN from |x| = 148 on, and `squareplus` is infinite from 256 on. There compute them in
float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jnn._arrays import as_array
from jnn._settings import check_integer
from jnn.layers._floating import broadcast_parameter, narrow, widen

_NAMES = (
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softmax",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
)

ACTIVATIONS: dict[str, Callable[..., Array]] = {name: getattr(jax.nn, name) for name in _NAMES}
"""Activations that keep the shape, by name, for settings that are read from text."""


def prelu(
    x: Real[Array, "*batch channels"], slope: float | Float[Array, ""] | Float[Array, "#channels"]
) -> Float[Array, "*batch channels"]:
    """Apply a leaky ReLU with a learned slope, one for all channels or one for each channel.

    y = x if x > 0 else slope * x    (He et al. 2015, https://arxiv.org/abs/1502.01852)

    Raises:
        ValueError: If the slope is neither one number nor one number for each channel.

    >>> prelu(jnp.array([-2.0, 3.0]), 0.25)
    Array([-0.5,  3. ], dtype=float32)
    """
    x = as_array(x)
    if np.shape(slope) not in ((), (1,), x.shape[-1:]):
        raise ValueError(
            f"slope must be one number or have the shape {x.shape[-1:]}, one number for each "
            f"channel of x, got the shape {np.shape(slope)}. Reshape it to one axis."
        )
    is_positive = x > 0
    # Without the zeros, the slope's gradient would multiply an infinite positive x by zero: NaN.
    negative = jnp.where(is_positive, 0, x)
    return narrow(jnp.where(is_positive, x, broadcast_parameter(slope, x.shape) * negative), x)


def maxout(x: Float[Array, "*batch channels"], features: int) -> Float[Array, "*batch features"]:
    """Return the largest value of each group of neighboring channels.

    y[j] = max(x[j * p], ..., x[j * p + p - 1])  with p = channels / features
    (Goodfellow et al. 2013, https://arxiv.org/abs/1302.4389)

    Raises:
        ValueError: If the number of channels is not a multiple of `features`.

    >>> maxout(jnp.array([1.0, 5.0, -3.0, 2.0]), 2)
    Array([5., 2.], dtype=float32)
    """
    x = as_array(x)
    channels = x.shape[-1] if x.ndim else 0
    features = check_integer("features", features, least=None)
    if features < 1 or channels % features:
        raise ValueError(
            f"features must be a divisor of the {channels} channels of x, got {features}."
        )
    return x.reshape(*x.shape[:-1], features, channels // features).max(axis=-1)


def sparsemax(x: Real[Array, "*batch classes"]) -> Float[Array, "*batch classes"]:
    """Project onto the probability simplex: a softmax that can return exact zeros.

    y = argmin over p in the simplex of ||p - x||^2 = max(x - t, 0),  with t such that sum(y) = 1
    (Martins and Astudillo 2016, https://arxiv.org/abs/1602.02068, algorithm 1)

    Classes at -inf get the probability 0, so that -inf works as a mask. A row with NaN or +inf, or
    of -inf alone, gives NaN, as in `softmax`. Sums are computed in float32 or wider.

    >>> sparsemax(jnp.array([2.0, 1.5, -1.0]))
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    x = as_array(x)
    z = widen(x)
    largest = jax.lax.stop_gradient(z.max(axis=-1, keepdims=True))
    z = z - largest
    support = _sparsemax_support(jax.lax.stop_gradient(z))
    size = support.sum(axis=-1, keepdims=True)
    threshold = (jnp.where(support, z, 0).sum(axis=-1, keepdims=True) - 1) / size
    y = jnp.where(support, z - threshold, 0)
    return narrow(jnp.where(jnp.isfinite(largest), y, jnp.nan), x)


def _sparsemax_support(z: Float[Array, "*batch classes"]):
    """Mark the classes with a positive probability: those above the threshold."""
    descending = -jnp.sort(-z, axis=-1)
    rank = jnp.arange(1, z.shape[-1] + 1)
    inside = 1 + rank * descending > jnp.cumsum(descending, axis=-1)
    smallest = jnp.where(inside, descending, jnp.inf).min(axis=-1, keepdims=True)
    return z >= smallest
