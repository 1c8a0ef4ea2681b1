"""Activations: those of `jax.nn` under their own names, and the three that it lacks.

Every one is a pure function of one array, so it can be passed wherever an `activation` is asked for.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import (
    celu,
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    identity,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softmax,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    tanh,
)
from jaxtyping import Array, Float, Real

from jnn.layers._floating import narrow, widen

swish = silu
hard_swish = hard_silu

ACTIVATIONS = {
    "celu": celu,
    "elu": elu,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "hard_swish": hard_swish,
    "hard_tanh": hard_tanh,
    "identity": identity,
    "leaky_relu": leaky_relu,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "mish": mish,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "soft_sign": soft_sign,
    "softmax": softmax,
    "softplus": softplus,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "squareplus": squareplus,
    "swish": swish,
    "tanh": tanh,
}
"""Name -> activation that keeps the shape, for settings that are read from text (`glu` and `maxout` change it)."""


def prelu(
    x: Real[Array, "*batch channels"], slope: float | Float[Array, ""] | Float[Array, "#channels"]
) -> Float[Array, "*batch channels"]:
    """Leak negative values by a learned slope, one for all channels or one for each.

    y = x if x > 0 else slope * x    (He et al. 2015, https://arxiv.org/abs/1502.01852)

    Raises:
        ValueError: If the slope is neither one number nor one for each channel.

    >>> prelu(jnp.array([-2.0, 3.0]), 0.25)
    Array([-0.5,  3. ], dtype=float32)
    """
    x = jnp.asarray(x)
    if np.shape(slope) not in ((), (1,), x.shape[-1:]):
        raise ValueError(
            f"wanted a slope, one or {x.shape[-1:]}, but got {np.shape(slope)}; reshape it to one axis"
        )
    is_positive = x > 0
    leaked = jnp.asarray(slope) * jnp.where(
        is_positive, 0, x
    )  # without an inf that the slope's gradient would meet
    return narrow(jnp.where(is_positive, x, leaked), x)


def maxout(x: Float[Array, "*batch channels"], features: int) -> Float[Array, "*batch features"]:
    """Keep the largest of each group of neighbouring channels.

    y[j] = max(x[j * p], ..., x[j * p + p - 1])  with p = channels / features
    (Goodfellow et al. 2013, https://arxiv.org/abs/1302.4389)

    Raises:
        ValueError: If the channels cannot be shared out evenly.

    >>> maxout(jnp.array([1.0, 5.0, -3.0, 2.0]), 2)
    Array([5., 2.], dtype=float32)
    """
    channels = x.shape[-1]
    if features < 1 or channels % features:
        raise ValueError(
            f"wanted a number of features that divides {channels} channels, but got {features}"
        )
    return x.reshape(*x.shape[:-1], features, channels // features).max(axis=-1)


def sparsemax(x: Real[Array, "*batch classes"]) -> Float[Array, "*batch classes"]:
    """Project onto the probability simplex: a softmax that can give exact zeros.

    y = argmin over p in the simplex of ||p - x||^2 = max(x - t, 0),  with t such that sum(y) = 1
    (Martins and Astudillo 2016, https://arxiv.org/abs/1602.02068, algorithm 1)

    Classes at -inf get 0, as a mask wants it. The sums are made in float32 at least.

    >>> sparsemax(jnp.array([2.0, 1.5, -1.0]))
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    x = jnp.asarray(x)
    z = widen(x)
    z = z - jax.lax.stop_gradient(z.max(axis=-1, keepdims=True))
    support = _sparsemax_support(jax.lax.stop_gradient(z))
    size = support.sum(axis=-1, keepdims=True)
    threshold = (jnp.where(support, z, 0).sum(axis=-1, keepdims=True) - 1) / size
    return narrow(jnp.where(support, z - threshold, 0), x)


def _sparsemax_support(z: Float[Array, "*batch classes"]):
    """Mark the classes that keep a probability above 0: those above the threshold of the sorted prefix sums."""
    descending = -jnp.sort(-z, axis=-1)
    rank = jnp.arange(1, z.shape[-1] + 1)
    inside = 1 + rank * descending > jnp.cumsum(descending, axis=-1)
    smallest = jnp.where(inside, descending, jnp.inf).min(axis=-1, keepdims=True)
    return z >= smallest
