"""What each layer of a network gives in a call, collected while somebody asks for it."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

_asked: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("asked", default=None)


@contextlib.contextmanager
def layer_outputs() -> Iterator[list[Any]]:
    """Collect what the layers of networks give that are called meanwhile.

    The list that it yields has an entry for each call of a Linen or NNX network: nested dicts by
    the names of its modules and of their methods, whose leaves are tuples with an output of each
    call.
    """
    found: list[Any] = []
    token = _asked.set(found)
    try:
        yield found
    finally:
        _asked.reset(token)


def asked_outputs() -> list[Any] | None:
    """Return the list to which a network adds what its layers give; None if nobody asks."""
    return _asked.get()
