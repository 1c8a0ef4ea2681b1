"""Errors about how a network is written, in a sentence that is complete as it is."""


class NetworkError(ValueError):
    """A network that cannot be trained as it is written; the message says what to change."""


class DrawsWithoutKey(NetworkError):
    """A network that asks for random numbers where it was given no key."""
