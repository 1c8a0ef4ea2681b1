"""Whole numbers among the arguments."""

import numbers
from typing import Any

_KINDS = {0: "a non-negative integer", 1: "a positive integer"}


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return `value` as an int.

    Raises:
        TypeError: If it is not an integer; True and False are refused too.
        ValueError: If it is less than `least`.
    """
    kind = _KINDS.get(least, f"an integer of at least {least}")
    sentence = f"{name} must be {kind}, got {value!r}. Set it to {least} or more."
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(sentence)
    if value < least:
        raise ValueError(sentence)
    return int(value)
