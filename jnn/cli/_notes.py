"""Warnings about the user's data, printed as lines of their own."""

import contextlib
import warnings
from collections.abc import Iterator

from jnn.cli._terminal import make_console, print_text
from jnn.cli._words import in_words_of_options


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
                print_text(make_console(), f"note: {in_words_of_options(text)}")
