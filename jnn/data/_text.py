"""Tokenisers: from text to int32 ids and back. Each is made from given texts only, and kept as JSON."""

import collections
import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike


class Tokenizer(Protocol):
    """What the tokenisers here have in common; ids are 0..size-1."""

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [time]."""
        ...

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids [time]."""
        ...

    def to_json(self) -> str:
        """The tokeniser as JSON; `from_json` of its class reads it back."""
        ...


@dataclasses.dataclass(frozen=True)
class CharTokenizer:
    r"""One id per character: its place in `characters`.

    For rows of different lengths let the first one be a character that ends a text or stands in none, such as "\n":
    `pad` fills with 0.

    Attributes:
        characters: Each once.
        unknown: The one of them that stands for any other character; "" refuses others with a ValueError.

    >>> tokenizer = CharTokenizer.fit(["hello"])
    >>> tokenizer.characters, tokenizer.encode("hole")
    ('ehlo', array([1, 3, 2, 0], dtype=int32))
    """

    characters: str
    unknown: str = ""

    def __post_init__(self):
        if not self.characters:
            raise ValueError(
                "wanted at least one character, but got none; fit on texts that have some"
            )
        if len(set(self.characters)) < len(self.characters) or self.unknown not in (
            "",
            *self.characters,
        ):
            raise ValueError(
                f"wanted different characters and unknown among them, but got {self.characters!r} and {self.unknown!r}"
            )

    @classmethod
    def fit(cls, texts: Iterable[str], unknown: str = "") -> "CharTokenizer":
        """All characters of the texts, and `unknown`, in the order of Unicode."""
        return cls("".join(sorted(set(unknown).union(*texts))), unknown)

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [time]."""
        points = _code_points(text)
        order, known = self._sorted
        place = np.minimum(np.searchsorted(known, points), len(known) - 1)
        is_known = known[place] == points
        if not self.unknown and not is_known.all():
            other = text[int(np.argmin(is_known))]
            raise ValueError(
                f"wanted the characters {self.characters!r}, but got {other!r}; fit on texts that have it"
            )
        return np.where(is_known, order[place], self.characters.find(self.unknown)).astype(np.int32)

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids [time]."""
        return "".join(self.characters[i] for i in np.asarray(ids).tolist())

    def to_json(self) -> str:
        """The tokeniser as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "CharTokenizer":
        """The tokeniser that `to_json` wrote."""
        return cls(**json.loads(text))

    @functools.cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        points = _code_points(self.characters)
        order = np.argsort(points)
        return order, points[order]


@dataclasses.dataclass(frozen=True)
class WordTokenizer:
    r"""One id per word of a vocabulary; 0 fills up a row, 1 is any other word.

    Attributes:
        words: Those of the ids 2, 3, ...
        pattern: A regular expression of a word: what stands between spaces, or r"\w+|[^\w\s]" to part off punctuation.

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
        """The words that come at least `min_count` times, the most frequent first, at most `size - 2` of them."""
        counts = collections.Counter(word for text in texts for word in _words(pattern, text))
        words = sorted(
            (word for word in counts if counts[word] >= min_count),
            key=lambda word: (-counts[word], word),
        )
        return cls(tuple(words[: None if size is None else max(0, size - 2)]), pattern)

    @property
    def size(self) -> int:
        """How many ids there are, with those of padding and of unknown words."""
        return len(self.words) + 2

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [time]."""
        return np.array(
            [self._number.get(word, 1) for word in _words(self.pattern, text)], np.int32
        )

    def decode(self, ids: ArrayLike) -> str:
        """The words of ids [time] with spaces between them; padding is left out, an unknown word is "<unknown>"."""
        names = ("", "<unknown>", *self.words)
        return " ".join(names[i] for i in np.asarray(ids).tolist() if i)

    def to_json(self) -> str:
        """The tokeniser as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "WordTokenizer":
        """The tokeniser that `to_json` wrote."""
        fields = json.loads(text)
        return cls(tuple(fields["words"]), fields["pattern"])

    @functools.cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=2)}


@dataclasses.dataclass(frozen=True)
class BytePairTokenizer:
    """Byte-pair encoding of bytes, as GPT-2's: any text has ids, and `decode(encode(text))` is the text; 0 is padding.

    (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; needs the extra `text`, the package tokenizers.)
    """

    model: str  # in the JSON of the package tokenizers

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> "BytePairTokenizer":
        """Merges the most frequent pairs of the texts until there are `size` ids, at least 257 of them."""
        if size < 257:
            raise ValueError(
                f"wanted an id for padding and each of 256 bytes, but got size {size}; use 257 or more"
            )
        package = _tokenizers()
        trained = package.Tokenizer(package.models.BPE())
        trained.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trained.decoder = package.decoders.ByteLevel()
        alphabet = package.pre_tokenizers.ByteLevel.alphabet()
        settings = {
            "special_tokens": ["<pad>"],
            "initial_alphabet": alphabet,
            "show_progress": False,
        }
        trained.train_from_iterator(texts, package.trainers.BpeTrainer(vocab_size=size, **settings))
        return cls(trained.to_str())

    @property
    def size(self) -> int:
        """How many ids there are, with that of padding."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [time]."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32)

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids [time]; padding is left out."""
        return self._tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=True)

    def to_json(self) -> str:
        """The tokeniser as JSON."""
        return self.model

    @classmethod
    def from_json(cls, text: str) -> "BytePairTokenizer":
        """The tokeniser that `to_json` wrote, or any other of the package tokenizers."""
        return cls(text)

    @functools.cached_property
    def _tokenizer(self) -> Any:
        tokenizer = _tokenizers().Tokenizer.from_str(self.model)
        tokenizer.encode_special_tokens = True  # a text that says "<pad>" is no padding
        return tokenizer


def pad(sequences: Sequence[ArrayLike], length: int | None = None, padding: int = 0) -> np.ndarray:
    """Sequences of ids as int32 rows of one length: filled up with `padding` at their end, or cut off there.

    >>> pad([[5, 6], [7]], 3)
    array([[5, 6, 0],
           [7, 0, 0]], dtype=int32)
    """
    arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
    length = length or max((len(a) for a in arrays), default=0)
    rows = np.full((len(arrays), length), padding, np.int32)
    for row, a in zip(rows, arrays, strict=True):
        row[: len(a)] = a[:length]
    return rows


def _words(pattern: str, text: str) -> Iterator[str]:
    """Whole matches; `re.findall` would give the groups of a pattern that has some."""
    return (match.group() for match in re.finditer(pattern, text))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "byte-pair encoding needs the package tokenizers: pip install 'jnn-jax[text]'"
        ) from error
    return tokenizers
