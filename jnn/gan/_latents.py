"""What generators draw: random numbers for each example."""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jnn._settings import POSITIVE, SettingTypeError, check_integer, check_number
from jnn.study import check_call

Latents = Callable[[jax.Array, int], Any]
"""A function `draw(key, rows)` that returns an array, or a tree of them, [rows, ...]."""


def normal(shape: int | Sequence[int], *, std: float = 1.0) -> Latents:
    """Return the sampler of normal numbers of mean 0.

    Args:
        shape: Number of numbers, or shape of an array of them, that an example is made from.
        std: Their standard deviation.

    >>> normal(3)(jax.random.key(0), 2).shape
    (2, 3)
    """
    check_number("std", std, POSITIVE)
    return functools.partial(_normal, _shape_of(shape), std)


def uniform(shape: int | Sequence[int], *, low: float = -1.0, high: float = 1.0) -> Latents:
    """Return the sampler of numbers drawn uniformly from an interval.

    Args:
        shape: Number of numbers, or shape of an array of them, that an example is made from.
        low: Lower end.
        high: Upper end.

    >>> uniform((2, 2))(jax.random.key(0), 5).shape
    (5, 2, 2)
    """
    check_number("low", low)
    check_number("high", high)
    if low >= high:
        raise ValueError(f"low must be below high, got {low} and {high}.")
    return functools.partial(_uniform, _shape_of(shape), low, high)


def as_latents(latent: int | Sequence[int] | Latents) -> Latents:
    """Return a sampler: `normal` of a number or a shape, or the function itself."""
    if callable(latent):
        check_call("latent", latent, "draw(key, rows)", 2)
        return latent
    return normal(latent)


def _shape_of(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, numbers.Integral) and not isinstance(shape, bool):
        return (check_integer("latent", shape),)
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise SettingTypeError(
            f"latent must be a number of random numbers, a shape, or a function draw(key, rows), "
            f"got {shape!r}. Use for example latent=64."
        )
    return tuple(check_integer("latent", size) for size in shape)


def _normal(shape: tuple[int, ...], std: float, key: jax.Array, rows: int) -> jax.Array:
    return std * jax.random.normal(key, (rows, *shape), jnp.float32)


def _uniform(
    shape: tuple[int, ...], low: float, high: float, key: jax.Array, rows: int
) -> jax.Array:
    return jax.random.uniform(key, (rows, *shape), jnp.float32, low, high)
