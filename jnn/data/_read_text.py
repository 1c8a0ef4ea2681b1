"""Readers of labelled texts: each gives all rows as token ids, training rows first, with the published splits.

Without a `tokenizer` one of words is fitted: on the training rows where a split was published, else on all rows.
"""

import csv
import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset, PublishedSplit
from jnn.data._text import Tokenizer, WordTokenizer

_SENTIMENT = ("negative", "positive")
_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_WORD_OR_MARK = r"\w+|[^\w\s]"


def read_rt_polarity(positive: Path, negative: Path, **options) -> Dataset:
    """Sentences of film reviews, cleaned as by Kim 2014 (arXiv:1408.5882); no split, ten folds are usual."""
    return _rt_polarity(positive.read_bytes(), negative.read_bytes(), **options)


def read_rt_polarity_archive(archive: Path, **options) -> Dataset:
    """The same from the archive that is published."""
    with tarfile.open(archive) as tar:
        parts = [tar.extractfile(f"rt-polaritydata/rt-polarity.{end}") for end in ("pos", "neg")]
        positive, negative = (part.read() for part in parts if part is not None)
    return _rt_polarity(positive, negative, **options)


def read_sst2(train: Path, dev: Path, test: Path, **options) -> Dataset:
    """Whole sentences of the Stanford sentiment treebank without the neutral ones: training, validation, test."""
    parts = [
        [line.split(" ", 1) for line in lines_of(path.read_bytes())] for path in (train, dev, test)
    ]
    rows = [(text, int(label)) for part in parts for label, text in part]
    return _dataset(rows, _SENTIMENT, _consecutive([len(part) for part in parts]), **options)


def read_glue_sst2(train: Path, dev: Path, **options) -> Dataset:
    """Phrases of the treebank for training and whole sentences for test: GLUE's, whose own test rows have no labels."""
    return _glue_sst2(*(gzip.decompress(path.read_bytes()) for path in (train, dev)), **options)


def read_glue_sst2_archive(archive: Path, **options) -> Dataset:
    """The same from the archive that is published."""
    with zipfile.ZipFile(archive) as file:
        return _glue_sst2(*(file.read(f"SST-2/{part}.tsv") for part in ("train", "dev")), **options)


def read_ag_news(train: Path, test: Path, **options) -> Dataset:
    """Titles and first sentences of news, in lower case: words and marks, 128 at most, the 30000 most frequent."""
    parts = [_news(path) for path in (train, test)]
    return _ag_news(
        [row for part in parts for row in part],
        _consecutive([len(part) for part in parts]),
        **options,
    )


def read_ag_news_test(test: Path, **options) -> Dataset:
    """The test part alone, as rows without a split."""
    return _ag_news(_news(test), (), **options)


def clean(text: str) -> str:
    """Kim's cleaning: lower case; letters, digits, ( ) , ! ? ' ` stay; marks and n't, 's, 'll, ... become words.

    >>> clean("It's good-ish, isn't it?")
    "it 's good ish , is n't it ?"
    """
    text = re.sub(r"[^A-Za-z0-9(),!?'`]", " ", text)
    text = re.sub(r"('s|'ve|n't|'re|'d|'ll)", r" \1", text)
    text = re.sub(r"([,!()?])", r" \1 ", text)
    return " ".join(text.split()).lower()


def lines_of(raw: bytes, encoding: str = "utf-8") -> list[str]:
    """Lines that end with a line feed, or a return and one, and with nothing else that Unicode may take for an end."""
    text = raw.decode(encoding).replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n") if raw else []


def _rt_polarity(positive: bytes, negative: bytes, **options) -> Dataset:
    parts = [
        (clean(line), label)
        for raw, label in ((positive, 1), (negative, 0))
        for line in lines_of(raw, "cp1252")
    ]
    return _dataset(parts, _SENTIMENT, (), **options)


def _glue_sst2(train: bytes, dev: bytes, **options) -> Dataset:
    parts = [[line.rstrip().rsplit("\t", 1) for line in lines_of(raw)[1:]] for raw in (train, dev)]
    rows = [(text.strip(), int(label)) for part in parts for text, label in part]
    return _dataset(rows, _SENTIMENT, _consecutive([len(part) for part in parts]), **options)


def _ag_news(
    rows: list[tuple[str, int]],
    splits: tuple[PublishedSplit, ...],
    tokenizer: Tokenizer | None = None,
    length: int | None = 128,
) -> Dataset:
    if tokenizer is None:
        seen = [rows[i][0] for i in splits[0][0]] if splits else [text for text, _ in rows]
        tokenizer = WordTokenizer.fit(seen, size=30_000, pattern=_WORD_OR_MARK)
    return _dataset(rows, _NEWS, splits, tokenizer, length)


def _dataset(
    rows: list[tuple[str, int]],
    names: tuple[str, ...],
    splits: tuple[PublishedSplit, ...],
    tokenizer: Tokenizer | None = None,
    length: int | None = None,
) -> Dataset:
    texts = [text for text, _ in rows]
    if tokenizer is None:
        tokenizer = WordTokenizer.fit([texts[i] for i in splits[0][0]] if splits else texts)
    labels = np.array([label for _, label in rows])
    return Dataset.from_texts(
        texts, labels, tokenizer=tokenizer, length=length, target_names=names, splits=splits
    )


def _news(path: Path) -> list[tuple[str, int]]:
    raw = path.read_bytes()
    table = csv.reader(
        io.StringIO((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8"))
    )
    return [(" ".join(parts).replace("\\", " ").lower(), int(label) - 1) for label, *parts in table]


def _consecutive(counts: Sequence[int]) -> tuple[PublishedSplit, ...]:
    """One split whose parts follow each other."""
    return (tuple(np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])),)
