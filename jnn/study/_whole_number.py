"""Whole numbers among the arguments."""

import numbers
from typing import Any


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int.

    Raises:
        TypeError: If it is not an integer; True and False are refused too.
        ValueError: If it is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}. Use e.g. {name}={least}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}. Use e.g. {name}={least}.")
    return int(value)
