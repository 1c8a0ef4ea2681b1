"""Readers of series and of running text: each gives windows of the whole, with the split in time that is usual."""

import os
import string
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jnn.data._dataset import Dataset, PublishedSplit
from jnn.data._text import CharTokenizer

_NO_LIBRARY = {
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
}


def read_ett(path: Path, *, steps_per_day: int, length: int = 336, horizon: int = 96) -> Dataset:
    """Load and oil temperature of a transformer: 12, 4 and 4 months of 30 days train, choose and test a forecast.

    As of Zhou et al. 2021 (arXiv:2012.07436), inputs of the later parts reach back into the part before.
    """
    import pandas as pd

    table = pd.read_csv(path).drop(columns="date")
    month = 30 * steps_per_day
    ends = [12 * month, 16 * month, 20 * month]
    splits = (_in_time(ends, length, horizon),)
    return Dataset.from_series(
        table.to_numpy(np.float32),
        length,
        horizon,
        feature_names=tuple(table.columns),
        splits=splits,
    )


def read_characters(path: Path, *, length: int = 64) -> Dataset:
    """The characters of a text; the first nine tenths train, the rest tests, as in nanoGPT."""
    text = path.read_bytes().decode("utf-8")
    return _text(text, CharTokenizer.fit([text]), int(len(text) * 0.9), length)


def read_names(path: Path, *, length: int = 16) -> Dataset:
    """First names in random order, a line feed (id 0) before each and after the last; the last 1000 test."""
    names = path.read_text(encoding="ascii").split()
    names = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    text = "\n" + "\n".join(names) + "\n"
    test = sum(len(name) + 1 for name in names[-1000:])
    return _text(text, CharTokenizer.fit([text]), len(text) - test, length)


def read_python_library(*, length: int = 64, limit: int = 1_000_000) -> Dataset:
    """The first `limit` characters of the Python standard library's source, its files in the order of their names.

    The characters are the 100 printable ones of ASCII; any other is read as "?". Each Python release has another text.
    """
    parts, count = [], 0
    for path in _library():
        parts.append(path.read_text(encoding="utf-8", errors="replace"))
        count += len(parts[-1])
        if count >= limit:
            break
    text = "".join(parts)[:limit]
    return _text(
        text,
        CharTokenizer("".join(sorted(string.printable)), unknown="?"),
        int(len(text) * 0.9),
        length,
    )


def _library() -> Iterator[Path]:
    """The library's files, each folder's own before those of the folders in it; tests and what is installed are out."""
    for folder, inner, files in os.walk(sysconfig.get_path("stdlib")):
        inner[:] = sorted(set(inner) - _NO_LIBRARY)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))


def _text(text: str, tokenizer: CharTokenizer, train: int, length: int) -> Dataset:
    """Windows of a text whose first `train` characters train."""
    splits = (_before_and_after(train, len(text), length + 1),)
    kept = {"target_names": tuple(tokenizer.characters), "tokenizer": tokenizer, "splits": splits}
    return Dataset.from_tokens(tokenizer.encode(text), length, **kept)


def _before_and_after(border: int, time: int, span: int) -> PublishedSplit:
    """Windows that end before the border, and those that begin after it; those across it are left out."""
    return np.arange(max(0, border - span + 1)), np.arange(border, max(border, time - span + 1))


def _in_time(ends: list[int], length: int, horizon: int) -> PublishedSplit:
    """The windows whose targets lie in each of consecutive parts; those of the first part also have their inputs."""
    begins = [0, *(end - length for end in ends[:-1])]
    return tuple(np.arange(a, b - length - horizon + 1) for a, b in zip(begins, ends, strict=True))
