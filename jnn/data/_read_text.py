"""Readers of labeled texts; each returns all rows as token ids, training rows first.

Without a `tokenizer`, one of words is fitted: on the training rows if a split was published, and on
all rows otherwise.
"""

import csv
import io
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnn.data._dataset import Dataset, PublishedSplit
from jnn.data._text import Tokenizer, WordTokenizer

_SENTIMENT = ("negative", "positive")
_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_WORD_OR_MARK = r"\w+|[^\w\s]"


def read_rt_polarity(archive: Path, **options: Any) -> Dataset:
    """Read sentences of film reviews, cleaned as by Kim 2014 (https://arxiv.org/abs/1408.5882).

    No split was published; ten folds are usual.
    """
    rows = []
    with tarfile.open(archive) as tar:
        for ending, label in (("pos", 1), ("neg", 0)):
            file = tar.extractfile(f"rt-polaritydata/rt-polarity.{ending}")
            lines = lines_of(file.read() if file else b"", "cp1252")
            rows += [(clean(line), label) for line in lines]
    return _dataset(rows, _SENTIMENT, (), **options)


def read_sst2(train: Path, dev: Path, test: Path, **options: Any) -> Dataset:
    """Read whole sentences of the Stanford sentiment treebank, without the neutral ones.

    The split is the published one in training, validation, and test.
    """
    parts = [
        [line.split(" ", 1) for line in lines_of(path.read_bytes())] for path in (train, dev, test)
    ]
    rows = [(text, int(label)) for part in parts for label, text in part]
    return _dataset(rows, _SENTIMENT, _consecutive([len(part) for part in parts]), **options)


def read_glue_sst2(archive: Path, **options: Any) -> Dataset:
    """Read GLUE's phrases of the treebank for training, and whole sentences for test.

    The sentences are GLUE's validation part: its own test rows have no labels.
    """
    parts = []
    with zipfile.ZipFile(archive) as file:
        for part in ("train", "dev"):
            lines = lines_of(file.read(f"SST-2/{part}.tsv"))[1:]
            parts.append([line.rstrip().rsplit("\t", 1) for line in lines])
    rows = [(text.strip(), int(label)) for part in parts for text, label in part]
    return _dataset(rows, _SENTIMENT, _consecutive([len(part) for part in parts]), **options)


def read_ag_news(train: Path, test: Path, **options: Any) -> Dataset:
    """Read titles and first sentences of news in lower case.

    Tokens are the 30000 most frequent words and punctuation marks, at most 128 in a row.
    """
    parts = [_read_news(path) for path in (train, test)]
    rows = [row for part in parts for row in part]
    return _ag_news(rows, _consecutive([len(part) for part in parts]), **options)


def read_ag_news_test(test: Path, **options: Any) -> Dataset:
    """Read the test part of the news alone, as rows without a split."""
    return _ag_news(_read_news(test), (), **options)


def clean(text: str) -> str:
    """Clean a text as Kim did.

    Letters become lower case. Only letters, digits, and ( ) , ! ? ' ` stay. Punctuation marks and
    endings such as n't, 's, and 'll become words.

    >>> clean("It's good-ish, isn't it?")
    "it 's good ish , is n't it ?"
    """
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    text = re.sub(r"('s|'ve|n't|'re|'d|'ll)", r" \1", text)
    text = re.sub(r"([,!()?])", r" \1 ", text)
    return " ".join(text.split()).lower()


def lines_of(raw: bytes, encoding: str = "utf-8") -> list[str]:
    """Split into lines at line feeds, with or without a carriage return.

    Other characters that Unicode takes for the end of a line do not count.
    """
    text = raw.decode(encoding).replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n") if raw else []


def _ag_news(
    rows: list[tuple[str, int]],
    splits: tuple[PublishedSplit, ...],
    tokenizer: Tokenizer | None = None,
    length: int | None = 128,
) -> Dataset:
    if tokenizer is None:
        texts = _training_texts(rows, splits)
        tokenizer = WordTokenizer.fit(texts, size=30_000, pattern=_WORD_OR_MARK)
    return _dataset(rows, _NEWS, splits, tokenizer, length)


def _dataset(
    rows: list[tuple[str, int]],
    names: tuple[str, ...],
    splits: tuple[PublishedSplit, ...],
    tokenizer: Tokenizer | None = None,
    length: int | None = None,
) -> Dataset:
    tokenizer = tokenizer or WordTokenizer.fit(_training_texts(rows, splits))
    texts = [text for text, _ in rows]
    labels = np.array([label for _, label in rows])
    return Dataset.from_texts(
        texts, labels, tokenizer=tokenizer, length=length, target_names=names, splits=splits
    )


def _training_texts(rows: list[tuple[str, int]], splits: tuple[PublishedSplit, ...]) -> list[str]:
    """Return the texts of the training rows, or of all rows if no split was published."""
    if not splits:
        return [text for text, _ in rows]
    return [rows[row][0] for row in splits[0][0]]


def _read_news(path: Path) -> list[tuple[str, int]]:
    table = csv.reader(io.StringIO(path.read_bytes().decode("utf-8")))
    return [(" ".join(parts).replace("\\", " ").lower(), int(label) - 1) for label, *parts in table]


def _consecutive(counts: Sequence[int]) -> tuple[PublishedSplit, ...]:
    """Return one split whose parts follow each other."""
    return (tuple(np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])),)
