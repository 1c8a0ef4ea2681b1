"""Initializers: each function returns `init(key, shape, dtype)`, as in `jax.nn.initializers`.

JAX's own initializers have their names here, and the functions below are those that JAX lacks.
Kernels are (*window, in, out). So the fan-in of the kernel of a grouped convolution, (*window, in
/ groups, out), is window * in / groups, the number of terms in the sum of one output value.
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

from jnn._settings import NOT_NEGATIVE, SHARE, check_integer, check_number

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


def __dir__() -> list[str]:
    return __all__


def identity(gain: float = 1.0) -> Initializer:
    """Return an initializer for a layer that returns its input.

    kernel[center of the window, i, j] = gain * (i == j), zero elsewhere

    A matrix is `gain` times the identity matrix (Le et al. 2015,
    https://arxiv.org/abs/1504.00941, for recurrent kernels). A convolution with padding "SAME"
    and stride 1 is `gain` times the identity.

    Raises:
        ValueError: If the shape has fewer than two axes.

    >>> identity()(jax.random.key(0), (2, 3))
    Array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    check_number("gain", gain, advice="1 returns the input as it is.")

    def init(key, shape, dtype=jnp.float32):
        _check_matrix(shape)
        center = tuple((size - 1) // 2 for size in shape[:-2])
        return jnp.zeros(shape, dtype).at[center].set(gain * jnp.eye(*shape[-2:], dtype=dtype))

    return init


def sparse(sparsity: float, stddev: float = 0.01) -> Initializer:
    """Return an initializer of normal kernels with the same number of zeros for every output unit.

    kernel[:, j] has ceil(sparsity * in) zeros at random places, and the rest ~ N(0, stddev^2)
    (Martens 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf, section 5)

    Raises:
        ValueError: If the sparsity is not between 0 and 1, or the shape has fewer than two axes.

    >>> (sparse(0.75)(jax.random.key(0), (8, 3)) == 0).sum(axis=0)
    Array([6, 6, 6], dtype=int32)
    """
    check_number("sparsity", sparsity, SHARE, "It is the share of zeros.")
    check_number("stddev", stddev, NOT_NEGATIVE, "A usual value is 0.01.")

    def init(key, shape, dtype=jnp.float32):
        _check_matrix(shape)
        values_key, places_key = jax.random.split(key)
        values = stddev * jax.random.normal(values_key, shape, dtype)
        values = values.astype(dtype)  # stddev may have another type
        inputs = math.prod(shape[:-1])
        # A product such as 0.07 * 100 is a little above 7, which is no reason for an eighth zero.
        zeros = math.ceil(sparsity * inputs * (1 - 1e-7))
        order = jax.random.uniform(places_key, (inputs, shape[-1])).argsort(axis=0).argsort(axis=0)
        return jnp.where(order.reshape(shape) < zeros, 0, values)

    return init


def per_gate(init: Initializer, gates: int) -> Initializer:
    """Return an initializer that draws the kernel of each gate separately.

    kernel = [init(key_1, (in, hidden)), ..., init(key_gates, (in, hidden))]  of shape (in, gates
    * hidden)

    So the scale of a gate depends on its own fan-out, and `per_gate(orthogonal(), 4)` gives an
    LSTM four orthogonal recurrent kernels, which one wide orthogonal matrix does not contain.

    Raises:
        ValueError: If `gates` does not divide the last axis.

    >>> per_gate(identity(), 2)(jax.random.key(0), (2, 4))
    Array([[1., 0., 1., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """

    def gated(key, shape, dtype=jnp.float32):
        if check_integer("gates", gates, least=None) < 1 or shape[-1] % gates:
            raise ValueError(
                f"gates must be a divisor of the {shape[-1]} columns of the kernel, got {gates}."
            )
        gate_shape = (*shape[:-1], shape[-1] // gates)
        kernels = [init(gate_key, gate_shape, dtype) for gate_key in jax.random.split(key, gates)]
        return jnp.concatenate(kernels, axis=-1)

    return gated


def forget_bias(value: float = 1.0) -> Initializer:
    """Return an initializer of an LSTM's bias: `value` at the forget gate, zero at the others.

    bias = [0, value, 0, 0]  for the gates i, f, g, o    (Gers et al. 2000; Jozefowicz et al. 2015,
    https://proceedings.mlr.press/v37/jozefowicz15.html)

    Raises:
        ValueError: If the last axis is not a multiple of 4.

    >>> forget_bias()(jax.random.key(0), (4,))
    Array([0., 1., 0., 0.], dtype=float32)
    """
    check_number("value", value, advice="A usual value is 1.")

    def init(key, shape, dtype=jnp.float32):
        if not shape or shape[-1] % 4:
            raise ValueError(
                "shape must have a multiple of 4 on its last axis, for the 4 gates of an LSTM, "
                f"got {tuple(shape)}."
            )
        gate = jnp.array([0, value, 0, 0], dtype)
        return jnp.broadcast_to(jnp.repeat(gate, shape[-1] // 4), shape)

    return init


def _check_matrix(shape) -> None:
    """Raise an error if a shape lacks an input or output axis."""
    if len(shape) < 2:
        raise ValueError(f"shape must be (*window, in, out), got {tuple(shape)}.")
