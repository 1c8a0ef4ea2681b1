"""Distributions of settings, for `jnn.sample` and searches."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

Distribution: TypeAlias = Callable[[np.random.Generator, int], ArrayLike]
"""A function `f(generator, count)` that draws `count` values."""


@dataclasses.dataclass(frozen=True)
class Uniform:
    """The uniform distribution over [low, high]."""

    low: float
    high: float

    def __post_init__(self):
        _check_bounds(self.low, self.high)

    def __call__(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Draw `count` values."""
        return generator.uniform(self.low, self.high, count)

    def quantile(self, shares: ArrayLike) -> np.ndarray:
        """Return the values below which these shares of the distribution lie."""
        values = self.low + (self.high - self.low) * np.asarray(shares)
        return np.clip(values, self.low, self.high)  # rounding may leave the bounds


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """The distribution over [low, high] whose logarithm is uniform."""

    low: float
    high: float

    def __post_init__(self):
        _check_bounds(self.low, self.high)
        if self.low <= 0:
            raise ValueError(
                "low and high must be positive bounds of a log-uniform distribution, got "
                f"low={self.low}, high={self.high}. Use jnn.uniform for bounds of 0 or less."
            )

    def __call__(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Draw `count` values."""
        return np.exp(generator.uniform(np.log(self.low), np.log(self.high), count))

    def quantile(self, shares: ArrayLike) -> np.ndarray:
        """Return the values below which these shares of the distribution lie."""
        low = np.log(self.low)
        values = np.exp(low + (np.log(self.high) - low) * np.asarray(shares))
        return np.clip(values, self.low, self.high)  # rounding may leave the bounds


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """The distribution over `options` in which all are equally likely."""

    options: tuple[Any, ...]

    def __call__(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Draw `count` values."""
        return np.asarray(self.options)[generator.integers(len(self.options), size=count)]

    def quantile(self, shares: ArrayLike) -> np.ndarray:
        """Return the values below which these shares of the distribution lie."""
        places = (np.asarray(shares) * len(self.options)).astype(int)
        return np.asarray(self.options)[np.minimum(places, len(self.options) - 1)]


def uniform(low: float, high: float) -> Uniform:
    """Return the uniform distribution over [low, high].

    Raises:
        TypeError: If a bound is no number.
        ValueError: If a bound is not finite, or low is above high.
    """
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> LogUniform:
    """Return the distribution over [low, high] whose logarithm is uniform.

    Raises:
        TypeError: If a bound is no number.
        ValueError: If a bound is not finite and positive, or low is above high.
    """
    return LogUniform(low, high)


def choice(*options: Any) -> Choice:
    """Return the distribution over the options in which all are equally likely.

    Args:
        *options: Numbers, texts, or arrays of one shape, such as masks; or one list or array of
            them. Texts are for searches, where a study is a function of its choices.

    Raises:
        ValueError: If there is no option.

    >>> choice(32, 64).options == choice([32, 64]).options == (32, 64)
    True
    """
    if len(options) == 1 and not isinstance(options[0], str) and np.ndim(options[0]):
        options = tuple(options[0])
    elif len(options) == 1 and isinstance(options[0], list | tuple):  # an empty one
        options = ()
    if not options:
        raise ValueError("options must have at least one entry to choose from, got none.")
    return Choice(options)


def _check_bounds(low: Any, high: Any) -> None:
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, numbers.Real):
            raise TypeError(f"{name} must be a number, got {bound!r}. Use e.g. 0.1.")
        if not math.isfinite(bound):
            raise ValueError(f"{name} must be finite, got {bound}. Use e.g. 1e6.")
    if low > high:
        raise ValueError(f"low must be at most high, got low={low}, high={high}. Swap them.")
