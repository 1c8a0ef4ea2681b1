"""The tokenizer of texts: one that is passed, one by its name, or one that fits the texts."""

from collections.abc import Sequence

from jnn.data._text import CharTokenizer, Tokenizer, WordTokenizer

_PADDING = "\0"
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_LEAST_TEXTS = 10
_LEAST_LENGTH = 5  # characters of a text without spaces, on average, that may hold several words
_MOST_WORDS = 1.5  # words of a text, on average, below which spaces do not part words


def choose_tokenizer(
    tokenizer: Tokenizer | str | None, texts: Sequence[str]
) -> tuple[Tokenizer, str]:
    """Return the tokenizer of texts, and a note if it was not the usual one that was chosen.

    Args:
        tokenizer: A tokenizer, "words", "characters", or None to choose.
        texts: Texts that it is fitted on.

    Raises:
        TypeError: If it is no tokenizer.
        ValueError: If the name is another.
    """
    if tokenizer is None:
        return _fitting(texts)
    if isinstance(tokenizer, str):
        if tokenizer not in ("words", "characters"):
            raise ValueError(
                f"tokenizer must be 'words', 'characters' or a tokenizer, got {tokenizer!r}. "
                "Leave it out to take what fits."
            )
        return (WordTokenizer.fit(texts) if tokenizer == "words" else fit_characters(texts)), ""
    if not hasattr(tokenizer, "encode"):
        raise TypeError(
            f"tokenizer must have a method encode, got a {type(tokenizer).__name__}. Pass e.g. "
            "jnn.data.WordTokenizer.fit(texts)."
        )
    return tokenizer, ""


def fit_characters(texts: Sequence[str]) -> CharTokenizer:
    """Return a tokenizer of the characters of texts, with ids for padding and for any other."""
    return CharTokenizer.fit([_PADDING, *texts], unknown=_UNKNOWN)


def _fitting(texts: Sequence[str]) -> tuple[Tokenizer, str]:
    """Return a tokenizer of words, or of characters if most texts have no spaces."""
    if len(texts) < _LEAST_TEXTS or not _lack_spaces(texts):
        return WordTokenizer.fit(texts), ""
    note = "most texts have no spaces, so the tokens are characters; tokenizer='words' takes words"
    return fit_characters(texts), note


def _lack_spaces(texts: Sequence[str]) -> bool:
    """Return whether most texts are different, long, and one word each."""
    words = sum(len(text.split()) for text in texts)
    length = sum(map(len, texts))
    is_single = words <= _MOST_WORDS * len(texts) and length >= _LEAST_LENGTH * len(texts)
    return is_single and len(set(texts)) > len(texts) / 2
