"""The initial parameters that Torch and PyTorch draw by default, from which the papers started."""

import functools
import math

import jax


def draw(key, *shape, fan_in=None):
    """Draw kernel [*window, in, out] and bias [out], both uniform within 1 / sqrt(fan in)."""
    bound = (fan_in or math.prod(shape[:-1])) ** -0.5
    kernel, bias = jax.random.split(key)
    uniform = functools.partial(jax.random.uniform, minval=-bound, maxval=bound)
    return {"kernel": uniform(kernel, shape), "bias": uniform(bias, shape[-1:])}
