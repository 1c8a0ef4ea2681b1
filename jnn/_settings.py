"""Checks of settings: numbers whose value is known before a program is compiled.

A traced setting passes, as its value is not known; its shape is.
"""

import math
import operator
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np


class SettingTypeError(TypeError, ValueError):
    """A setting of a wrong type.

    It is also a `ValueError`, so that one `except ValueError` catches every refused setting, as
    `numpy.exceptions.AxisError` is an `IndexError` as well.
    """


class Range(NamedTuple):
    """Numbers from `low` to `high`, and the words for them."""

    words: str
    low: float
    high: float
    open: bool = False  # without the ends

    def __contains__(self, value: Any) -> bool:
        """Return whether a number lies in the range; NaN lies in none."""
        if self.open:
            return bool(self.low < value < self.high)
        return bool(self.low <= value <= self.high)


Arrays = jax.Array | np.ndarray | np.generic

LARGEST = float(np.finfo(np.float64).max)
SHARE = Range("between 0 and 1", 0, 1)
FROM_0_TO_1 = Range("from 0 to 1", 0, 1)
UNIT = Range("in [0, 1]", 0, 1)
INSIDE_SHARE = Range("between 0 and 1, without the ends", 0, 1, open=True)
POSITIVE = Range("positive and finite", 0, math.inf, open=True)
NOT_NEGATIVE = Range("0 or more and finite", 0, LARGEST)
FINITE = Range("finite", -LARGEST, LARGEST)

_INTEGERS = {None: "an integer", 0: "a non-negative integer", 1: "a positive integer"}


def check_number(name: str, value: Any, allowed: Range = FINITE, advice: str = "") -> None:
    """Raise an error if a setting is not one number in a range.

    Args:
        name: Name of the setting, with which the error begins.
        value: Number, or array of one number, which may be traced.
        allowed: Range of the numbers that make sense.
        advice: Sentence that ends the error.

    Raises:
        SettingTypeError: If the value is not a real number.
        ValueError: If it is several numbers, or one outside of the range.
    """
    needed = "a finite number" if allowed is FINITE else f"a number {allowed.words}"
    _check_real(name, value, needed, advice)
    if np.shape(value) != ():
        raise ValueError(
            _sentence(name, f"one number {allowed.words}", f"shape {np.shape(value)}", advice)
        )
    number = known(value)
    if number is not None and number not in allowed:
        raise ValueError(_sentence(name, allowed.words, value, advice))


def check_numbers(name: str, values: Any, allowed: Range = FINITE, advice: str = "") -> None:
    """Raise an error if one of the numbers of an array lies outside of a range."""
    _check_real(name, values, f"numbers {allowed.words}", advice)
    numbers = known(values)
    wrong = [] if numbers is None else [n for n in np.ravel(numbers) if n not in allowed]
    if wrong:
        raise ValueError(_sentence(name, allowed.words, wrong[0], advice))


def check_integer(
    name: str, value: Any, least: int | None = 1, most: int | None = None, advice: str = ""
) -> int:
    """Return a setting as an integer of Python, or raise an error if it is none or out of range.

    Raises:
        SettingTypeError: If the value is not an integer, or a traced one, as it shapes the program.
        ValueError: If it is less than `least` or more than `most`, where these are given.
    """
    if least is not None and most is None:
        advice = advice or f"Set it to {least} or more."
    words = _INTEGERS.get(least, f"an integer of at least {least}")
    try:
        integer = None if isinstance(value, bool | np.bool) else operator.index(value)
    except TypeError:  # also what a tracer raises
        integer = None
    if integer is None:
        came = "a traced value" if isinstance(value, jax.core.Tracer) else repr(value)
        raise SettingTypeError(_sentence(name, words, came, advice))
    if least is None:
        return integer
    if most is not None and not least <= integer <= most:
        raise ValueError(_sentence(name, f"from {least} to {most}", integer, advice))
    if integer < least:
        raise ValueError(_sentence(name, words, integer, advice))
    return integer


def known(value: Any) -> np.ndarray | None:
    """Return the value of a number or array, or None if it is traced or on other computers."""
    if isinstance(value, jax.core.Tracer):
        return None
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return None
    if any(isinstance(part, jax.core.Tracer) for part in jax.tree.leaves(value)):
        return None
    return np.asarray(value, np.float64)


def _check_real(name: str, value: Any, needed: str, advice: str) -> None:
    """Raise an error if a value is no real number or array of them."""
    leaves = jax.tree.leaves(value)
    is_real = bool(leaves) and all(_is_real(leaf) for leaf in leaves)
    if not is_real:
        raise SettingTypeError(_sentence(name, needed, repr(value), advice))


def _is_real(leaf: Any) -> bool:
    """Return whether a number or array is real: no text, key, boolean or complex number."""
    if isinstance(leaf, bool | np.bool) or not isinstance(leaf, int | float | Arrays):
        return False
    dtype = jax.dtypes.result_type(leaf)
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.integer, jnp.floating))


def _sentence(name: str, needed: str, came: Any, advice: str) -> str:
    """Return the sentence of an error: what was needed, what came, what to do."""
    return f"{name} must be {needed}, got {came}. {advice}".rstrip()
