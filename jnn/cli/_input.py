"""Errors in what the user gave to a command."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def user_input() -> Iterator[None]:
    """Raise a TypeError about the user's input as a ValueError, which `main` prints as a sentence.

    Only the reading of options and files stands in such a block. A TypeError elsewhere is an error
    in the program, and keeps its traceback.

    >>> with user_input():
    ...     raise TypeError("y must hold numbers, got text.")
    Traceback (most recent call last):
    ValueError: y must hold numbers, got text.
    """
    try:
        yield
    except TypeError as error:
        raise ValueError(str(error)) from error
