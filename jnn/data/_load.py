"""`load` a data set by its name, and list what there is."""

import dataclasses
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from jnn.data._catalog import CATALOG, Entry
from jnn.data._dataset import Dataset

Part = Literal["train", "test", "all"]

# What the readers meet in a file that is cut short or is not the one it should be.
_DAMAGED = (OSError, EOFError, LookupError, ValueError, struct.error, zlib.error, zipfile.BadZipFile, tarfile.TarError)


class Description(NamedTuple):
    """One line of the list of data sets."""

    name: str
    task: str
    rows: int
    shape: tuple[int, ...]
    source: str
    licence: str
    is_available: bool


def load(name: str, *, split: Part | None = None) -> Dataset:
    """The data set of this name, complete and checked.

    Without `split` these are the rows that a study may look at: the training rows where a standard split exists, else
    all. `"train"` and `"test"` ask for one part, `"all"` for both, training rows first; where several splits were
    published they are in `Dataset.splits`, as index arrays, and the rows are always all.

    Files are looked for in the folder `JNN_DATA`, or else in the platform's cache folder (`data_folder()`).
    Raises ValueError for an unknown name or split, FileNotFoundError that says which file to put where.

    >>> load("digits")
    Dataset 'digits': classification, 1797 rows of shape (64,), 10 classes
    """
    if name not in CATALOG:
        raise ValueError(f"wanted one of the data sets {', '.join(CATALOG)}, got {name!r}")
    entry = CATALOG[name]
    dataset = _read(name, entry)
    facts = {"name": name, "source": dataset.source or entry.source, "licence": entry.licence}
    return _part(dataclasses.replace(dataset, **facts), split)


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(CATALOG)


def describe() -> tuple[Description, ...]:
    """Each known data set with its task, size, source, licence and whether it can be loaded here and now."""
    return tuple(
        Description(name, e.task, e.rows, e.shape, e.source, e.licence, bool(e.fallback) or not _absent(e.files))
        for name, e in CATALOG.items()
    )


def data_folder() -> Path:
    """Where data files are looked for: `JNN_DATA` if it is set, else `jnn` in the platform's cache folder."""
    if os.environ.get("JNN_DATA"):
        return Path(os.environ["JNN_DATA"])
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "jnn"
    default = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", default)) / "jnn"


def _read(name: str, entry: Entry) -> Dataset:
    absent = _absent(entry.files)
    if absent and entry.fallback:
        return entry.fallback()
    if absent:
        raise FileNotFoundError(
            f"wanted the files {', '.join(absent)} of {name!r} in {data_folder()}, where they are not: get them from "
            f"{entry.source} and put them there, or set JNN_DATA to the folder that holds {Path(absent[0]).parent}/"
        )
    if not entry.files:
        return entry.read()
    try:
        return entry.read(*(data_folder() / file for file in entry.files))
    except _DAMAGED as error:
        raise ValueError(
            f"wanted the files of {name!r} as published at {entry.source}, got damaged or other ones in "
            f"{data_folder()}: {error}; fetch them again"
        ) from error


def _absent(files: Sequence[str]) -> list[str]:
    return [file for file in files if not (data_folder() / file).is_file()]


def _part(dataset: Dataset, split: Part | None) -> Dataset:
    if split not in (None, "train", "test", "all"):
        raise ValueError(f"wanted the split 'train', 'test' or 'all', got {split!r}")
    if split == "all" or (split is None and len(dataset.splits) != 1):
        return dataset
    if len(dataset.splits) != 1:
        raise ValueError(
            f"wanted a data set of one published split to take its {split!r} part, got {dataset.name!r} with "
            f"{len(dataset.splits)}: load it without split (Dataset.splits holds what was published)"
        )
    train, test = dataset.splits[0]
    return dataset.take(test if split == "test" else train)
