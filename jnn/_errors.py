"""What a caught error says, in a sentence of one's own."""


def reason_of(error: BaseException) -> str:
    """The first line of an error's message; its type where it has none.

    >>> reason_of(ValueError("too few\\nrows")), reason_of(EOFError())
    ('too few', 'EOFError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0]
