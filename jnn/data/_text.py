"""Tokenizers: from text to int32 ids and back, fitted on given texts and saved as JSON."""

import collections
import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from jnn.data._check import check_length


class Tokenizer(Protocol):
    """What all tokenizers have in common; ids are 0..size-1."""

    @property
    def size(self) -> int:
        """Number of ids."""
        ...

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 [time]."""
        ...

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of ids [time]."""
        ...

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for `from_json` of its class."""
        ...


@dataclasses.dataclass(frozen=True)
class CharTokenizer:
    r"""One id per character: its place in `characters`.

    For rows of different lengths, the first character should be one that ends a text or occurs in
    none, such as "\n": `pad` fills with 0.

    Attributes:
        characters: Characters with an id, each once.
        unknown: The one of them that replaces any other character, or "" to raise a ValueError for
            it.

    >>> tokenizer = CharTokenizer.fit(["hello"])
    >>> tokenizer.characters, tokenizer.encode("hole")
    ('ehlo', array([1, 3, 2, 0], dtype=int32))
    """

    characters: str
    unknown: str = ""

    def __post_init__(self):
        if not self.characters:
            raise ValueError(
                "characters must have at least one character, got none. Fit on texts that have "
                "some."
            )
        is_repeated = len(set(self.characters)) < len(self.characters)
        if is_repeated or self.unknown not in ("", *self.characters):
            raise ValueError(
                "characters must be different and unknown one of them, got "
                f"{self.characters!r} and {self.unknown!r}."
            )

    @classmethod
    def fit(cls, texts: Iterable[str], unknown: str = "") -> "CharTokenizer":
        """Fit a tokenizer of all characters of the texts and `unknown`, in Unicode order."""
        return cls("".join(sorted(set(unknown).union(*texts))), unknown)

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 [time]."""
        points = _code_points(text)
        order, sorted_points = self._sorted
        place = np.minimum(np.searchsorted(sorted_points, points), len(sorted_points) - 1)
        is_known = sorted_points[place] == points
        if not self.unknown and not is_known.all():
            other = text[int(np.argmin(is_known))]
            raise ValueError(
                f"Characters must be among {self.characters!r}, got {other!r}. Fit on texts that "
                "have it."
            )
        return np.where(is_known, order[place], self.characters.find(self.unknown)).astype(np.int32)

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of ids [time]."""
        return "".join(self.characters[i] for i in np.asarray(ids).tolist())

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "CharTokenizer":
        """Return the tokenizer that `to_json` wrote."""
        return cls(**json.loads(text))

    @functools.cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        points = _code_points(self.characters)
        order = np.argsort(points)
        return order, points[order]


@dataclasses.dataclass(frozen=True)
class WordTokenizer:
    r"""One id per word of a vocabulary; 0 is padding, and 1 is any other word.

    Attributes:
        words: Words of the ids 2, 3, ...
        pattern: Regular expression of a word. The default takes what stands between spaces;
            r"\w+|[^\w\s]" separates punctuation.

    >>> tokenizer = WordTokenizer.fit(["to be or not to be"])
    >>> tokenizer.encode("not to do")
    array([4, 3, 1], dtype=int32)
    """

    words: tuple[str, ...]
    pattern: str = r"\S+"

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        size: int | None = None,
        min_count: int = 1,
        pattern: str = r"\S+",
    ) -> "WordTokenizer":
        """Fit a tokenizer of the words of the texts, the most frequent first.

        Args:
            texts: Texts to count words in.
            size: Number of ids, including those of padding and of unknown words; by default as many
                as the words need.
            min_count: How often a word must occur.
            pattern: Regular expression of a word.
        """
        counts = collections.Counter(word for text in texts for word in _words(pattern, text))
        words = sorted(
            (word for word in counts if counts[word] >= min_count),
            key=lambda word: (-counts[word], word),
        )
        return cls(tuple(words[: None if size is None else max(0, size - 2)]), pattern)

    @property
    def size(self) -> int:
        """Number of ids, including those of padding and of unknown words."""
        return len(self.words) + 2

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 [time]."""
        return np.array(
            [self._number.get(word, 1) for word in _words(self.pattern, text)], np.int32
        )

    def decode(self, ids: ArrayLike) -> str:
        """Return the words of ids [time] with spaces between them.

        Padding is left out, and an unknown word is "<unknown>".
        """
        names = ("", "<unknown>", *self.words)
        return " ".join(names[i] for i in np.asarray(ids).tolist() if i)

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "WordTokenizer":
        """Return the tokenizer that `to_json` wrote."""
        fields = json.loads(text)
        return cls(tuple(fields["words"]), fields["pattern"])

    @functools.cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=2)}


@dataclasses.dataclass(frozen=True)
class BytePairTokenizer:
    """Byte-pair encoding of bytes, as in GPT-2.

    Any text has ids, and `decode(encode(text))` is the text; 0 is padding. Needs the extra `text`
    (the package tokenizers). The method is that of Sennrich et al. 2016
    (https://arxiv.org/abs/1508.07909).

    Attributes:
        model: The tokenizer in the JSON of the package tokenizers.
    """

    model: str

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> "BytePairTokenizer":
        """Merge the most frequent pairs of the texts until there are `size` ids, at least 257."""
        if size < 257:
            raise ValueError(
                f"size must be at least 257, for padding and each of 256 bytes, got {size}. Use "
                "257 or more."
            )
        package = _tokenizers()
        trained = package.Tokenizer(package.models.BPE())
        trained.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trained.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=["<pad>"],
            initial_alphabet=package.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        trained.train_from_iterator(texts, trainer)
        return cls(trained.to_str())

    @property
    def size(self) -> int:
        """Number of ids, including that of padding."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of a text, int32 [time]."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32)

    def decode(self, ids: ArrayLike) -> str:
        """Return the text of ids [time] without padding."""
        return self._tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=True)

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for `from_json`."""
        return self.model

    @classmethod
    def from_json(cls, text: str) -> "BytePairTokenizer":
        """Return the tokenizer that `to_json` wrote, or any other of the package tokenizers."""
        return cls(text)

    @functools.cached_property
    def _tokenizer(self) -> Any:
        tokenizer = _tokenizers().Tokenizer.from_str(self.model)
        tokenizer.encode_special_tokens = True  # the text "<pad>" is no padding
        return tokenizer


def pad(sequences: Sequence[ArrayLike], length: int | None = None, padding: int = 0) -> np.ndarray:
    """Turn sequences of ids into int32 rows of one length.

    Shorter sequences are filled with `padding` at their end, and longer ones are cut off there.

    Args:
        sequences: Sequences of ids.
        length: Number of ids in a row; by default that of the longest sequence.
        padding: Id that fills a row.

    >>> pad([[5, 6], [7]], 3)
    array([[5, 6, 0],
           [7, 0, 0]], dtype=int32)
    """
    arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
    check_length(length)
    if length is None:
        length = max((len(a) for a in arrays), default=0)
    rows = np.full((len(arrays), length), padding, np.int32)
    for row, a in zip(rows, arrays, strict=True):
        row[: len(a)] = a[:length]
    return rows


def _words(pattern: str, text: str) -> Iterator[str]:
    """Yield whole matches; `re.findall` would return the groups of a pattern that has some."""
    return (match.group() for match in re.finditer(pattern, text))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "Byte-pair encoding needs the package tokenizers. Run pip install 'jnn-jax[text]'."
        ) from error
    return tokenizers
