"""Initial values: `make(...)` gives `init(key, shape, dtype)`, as in `jax.nn.initializers`.

jax's own stand here under their names; below them those that it lacks. Kernels are (*window, in, out), so the fan in of
a grouped convolution's kernel (*window, in / groups, out) is window * in / groups, what one output value sums over.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn.initializers import (
    constant,
    delta_orthogonal,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    variance_scaling,
    zeros,
)
from jaxtyping import Array

Initializer = Callable[..., Array]

xavier_normal = glorot_normal
xavier_uniform = glorot_uniform
kaiming_normal = he_normal
kaiming_uniform = he_uniform

__all__ = [
    "constant",
    "delta_orthogonal",
    "forget_bias",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "per_gate",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def identity(gain: float = 1.0) -> Initializer:
    """Make a layer start by passing its input on.

    kernel[centre of the window, i, j] = gain * (i == j), zero elsewhere

    For a matrix this is `gain` times the unit matrix (Le et al. 2015, https://arxiv.org/abs/1504.00941, for recurrent
    kernels); for a convolution with padding "SAME" and stride 1, the identity map.

    Raises:
        ValueError: If the shape has fewer than two axes.

    >>> identity()(jax.random.key(0), (2, 3))
    Array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    def init(key, shape, dtype=jnp.float32):
        _need_matrix(shape)
        centre = tuple((size - 1) // 2 for size in shape[:-2])
        return jnp.zeros(shape, dtype).at[centre].set(gain * jnp.eye(*shape[-2:], dtype=dtype))

    return init


def sparse(sparsity: float, stddev: float = 0.01) -> Initializer:
    """Draw a normal kernel in which every output unit has the same number of weights at zero.

    kernel[:, j] has ceil(sparsity * in) zeros at random places, the rest ~ N(0, stddev^2)
    (Martens 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf, section 5)

    Raises:
        ValueError: If the sparsity is not a share, or if the shape has fewer than two axes.

    >>> (sparse(0.75)(jax.random.key(0), (8, 3)) == 0).sum(axis=0)
    Array([6, 6, 6], dtype=int32)
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(
            f"wanted a sparsity between 0 and 1 (the share of zeros), but got {sparsity}"
        )

    def init(key, shape, dtype=jnp.float32):
        _need_matrix(shape)
        values_key, places_key = jax.random.split(key)
        values = (stddev * jax.random.normal(values_key, shape, dtype)).astype(
            dtype
        )  # stddev may have a type
        inputs = math.prod(shape[:-1])
        order = jax.random.uniform(places_key, (inputs, shape[-1])).argsort(axis=0).argsort(axis=0)
        return jnp.where(order.reshape(shape) < math.ceil(sparsity * inputs), 0, values)

    return init


def per_gate(init: Initializer, gates: int) -> Initializer:
    """Draw the kernel of each gate on its own and put them side by side.

    kernel = [init(key_1, (in, hidden)), ..., init(key_gates, (in, hidden))]  of shape (in, gates * hidden)

    So the scale of a gate depends on its own fan out, and `per_gate(orthogonal(), 4)` gives an LSTM four orthogonal
    recurrent kernels, which one wide orthogonal matrix does not contain.

    Raises:
        ValueError: If the gates do not divide the last axis.

    >>> per_gate(identity(), 2)(jax.random.key(0), (2, 4))
    Array([[1., 0., 1., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """

    def gated(key, shape, dtype=jnp.float32):
        if gates < 1 or shape[-1] % gates:
            raise ValueError(
                f"wanted a number of gates that divides {shape[-1]} columns, but got {gates}"
            )
        one = (*shape[:-1], shape[-1] // gates)
        return jnp.concatenate(
            [init(gate_key, one, dtype) for gate_key in jax.random.split(key, gates)], axis=-1
        )

    return gated


def forget_bias(value: float = 1.0) -> Initializer:
    """Make an LSTM start by remembering: the bias is `value` at the forget gate and zero at the others.

    bias = [0, value, 0, 0]  for the gates i, f, g, o    (Gers et al. 2000; Jozefowicz et al. 2015,
    https://proceedings.mlr.press/v37/jozefowicz15.html)

    Raises:
        ValueError: If the last axis is not a multiple of 4.

    >>> forget_bias()(jax.random.key(0), (4,))
    Array([0., 1., 0., 0.], dtype=float32)
    """

    def init(key, shape, dtype=jnp.float32):
        if shape[-1] % 4:
            raise ValueError(
                f"wanted 4 gates on the last axis, so a multiple of 4, but got the shape {tuple(shape)}"
            )
        gate = jnp.array([0, value, 0, 0], dtype)
        return jnp.broadcast_to(jnp.repeat(gate, shape[-1] // 4), shape)

    return init


def _need_matrix(shape) -> None:
    """Refuse shapes that have no input and output axis."""
    if len(shape) < 2:
        raise ValueError(f"wanted a kernel shape (*window, in, out), but got {tuple(shape)}")
