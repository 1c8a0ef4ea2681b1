"""Warnings about the user's data, printed as lines of their own."""

import contextlib
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def notes() -> Iterator[None]:
    """Print each UserWarning that is raised inside as one line that begins with "note:".

    >>> with notes():
    ...     warnings.warn("The rows are sorted.")
    note: The rows are sorted.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            texts = dict.fromkeys(
                str(w.message) for w in caught if issubclass(w.category, UserWarning)
            )
            for text in texts:
                print(f"note: {text}", file=sys.stdout)
