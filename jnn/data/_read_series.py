"""Readers of series and running text; each returns windows with the usual split in time."""

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
    """Read load and oil temperature of a transformer for forecasts.

    The split is that of Zhou et al. 2021 (https://arxiv.org/abs/2012.07436): 12, 4, and 4 months of
    30 days are for training, validation, and test. Inputs of the later parts reach back into the
    part before.
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
    """Read the characters of a text; the first nine tenths are for training, as in nanoGPT."""
    text = path.read_bytes().decode("utf-8")
    return _text(text, CharTokenizer.fit([text]), int(len(text) * 0.9), length)


def read_names(path: Path, *, length: int = 16) -> Dataset:
    """Read first names in random order; the last 1000 are for test.

    A line feed (id 0) stands before each name and after the last one.
    """
    names = path.read_text(encoding="ascii").split()
    names = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    text = "\n" + "\n".join(names) + "\n"
    test = sum(len(name) + 1 for name in names[-1000:])
    return _text(text, CharTokenizer.fit([text]), len(text) - test, length)


def read_python_library(*, length: int = 64, limit: int = 1_000_000) -> Dataset:
    """Read the first `limit` characters of the Python standard library's source.

    Files are in the order of their names. The characters are the 100 printable ones of ASCII; any
    other is read as "?". Each Python release has another text.
    """
    parts = []
    count = 0
    for path in _library():
        parts.append(path.read_text(encoding="utf-8", errors="replace"))
        count += len(parts[-1])
        if count >= limit:
            break
    text = "".join(parts)[:limit]
    tokenizer = CharTokenizer("".join(sorted(string.printable)), unknown="?")
    return _text(text, tokenizer, int(len(text) * 0.9), length)


def _library() -> Iterator[Path]:
    """Yield the library's files, those of a folder before those of the folders in it.

    Tests and installed packages are left out.
    """
    for folder, inner, files in os.walk(sysconfig.get_path("stdlib")):
        inner[:] = sorted(set(inner) - _NO_LIBRARY)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))


def _text(text: str, tokenizer: CharTokenizer, train: int, length: int) -> Dataset:
    """Return windows of a text whose first `train` characters are for training."""
    return Dataset.from_tokens(
        tokenizer.encode(text),
        length,
        target_names=tuple(tokenizer.characters),
        tokenizer=tokenizer,
        splits=(_before_and_after(train, len(text), length + 1),),
    )


def _before_and_after(border: int, time: int, span: int) -> PublishedSplit:
    """Return the windows that end before the border, and those that begin after it."""
    before = np.arange(max(0, border - span + 1))
    after = np.arange(border, max(border, time - span + 1))
    return before, after


def _in_time(ends: list[int], length: int, horizon: int) -> PublishedSplit:
    """Return the windows whose targets lie in each of consecutive parts.

    The inputs of the first part lie in it too.
    """
    begins = [0, *(end - length for end in ends[:-1])]
    return tuple(np.arange(a, b - length - horizon + 1) for a, b in zip(begins, ends, strict=True))
