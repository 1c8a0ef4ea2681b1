"""What a caught error says, to be quoted in another error."""


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's message; its type if it has none.

    >>> reason_of(ValueError("too few rows")), reason_of(EOFError())
    ('too few rows', 'EOFError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0]
