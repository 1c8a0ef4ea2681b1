"""Warnings about the user's data, printed to standard error as lines of their own."""

import contextlib
import warnings
from collections.abc import Iterator

from jnn.cli._terminal import make_console, print_text
from jnn.cli._words import in_words_of_options


@contextlib.contextmanager
def notes() -> Iterator[None]:
    """Print each UserWarning that is raised inside as one line that begins with "note:".

    Nothing is printed if the block raises: the error then says what is to be done.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    console = make_console(to_error=True)
    texts = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    for text in dict.fromkeys(texts):
        print_text(console, f"note: {in_words_of_options(text)}")
