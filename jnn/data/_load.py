"""`load` a data set by its name, `fetch` its files, and list what there is."""

import dataclasses
import difflib
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jnn.data._catalog import CATALOG
from jnn.data._dataset import Dataset
from jnn.data._download import DownloadProgress, download, matches
from jnn.data._entry import Entry
from jnn.data._sources import SOURCES

Part = Literal["train", "validation", "test", "all"]

# What the readers meet in a file that is cut short or is not the one it should be.
_DAMAGED = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)


class Description(NamedTuple):
    """One line of the list of data sets.

    Attributes:
        name: Name of the data set.
        task: Task of the data set.
        rows: Number of rows of all parts together.
        shape: Shape of one row.
        source: Where the data set was published.
        license: License under which it was published.
        is_available: Whether it can be loaded without network.
        can_be_fetched: Whether addresses of its files are known.
    """

    name: str
    task: str
    rows: int
    shape: tuple[int, ...]
    source: str
    license: str
    is_available: bool
    can_be_fetched: bool


def load(name: str, *, split: Part | None = None, **options: Any) -> Dataset:
    """Load the data set of this name, complete and checked.

    A published split is studied as a whole by `jnn.folds(data.splits)` on `split="all"`.

    Files are looked for in the folder `JNN_DATA`, or else in the platform's cache folder
    (`data_folder()`), and are fetched to there if they are absent, unless `JNN_OFFLINE=1` is set.
    Files that are there are taken as they are; `fetch` checks them.

    Args:
        name: Name of the data set, one of `names()`.
        split: "train", "validation", or "test" for one part of the published split, or "all" for
            all parts, training rows first. The default is what a study may look at: the training
            rows if one split was published, and otherwise all rows. Where several splits were
            published, they are in `Dataset.splits`.
        **options: `tokenizer` and `length` for texts, `length` and `horizon` for series, and
            `length` for running text.

    Raises:
        ValueError: If the name, the split, or an option is unknown, or the files are damaged.
        FileNotFoundError: If files are absent; the sentence says which file to put where.

    >>> load("digits")
    Dataset 'digits': classification, 1797 rows of shape (64,), 10 classes
    """
    entry = _entry(name)
    unknown = sorted(set(options) - set(entry.options))
    if unknown:
        raise ValueError(
            f"Options of {name!r} must be among {list(entry.options)}, got {unknown}. Leave them "
            "out."
        )
    dataset = _read(name, entry, options)
    source = dataset.source or entry.source
    dataset = dataclasses.replace(dataset, name=name, source=source, license=entry.license)
    return _select_part(dataset, split)


def fetch(name: str, *, progress: DownloadProgress | None = None) -> Path | None:
    """Fetch the files of a data set unless they are there already.

    Every file is checked by its published digest; one that is there with other bytes is fetched
    anew. A file takes its name only when it is complete.

    Args:
        name: Name of the data set, one of `names()`.
        progress: Function `progress(path, bytes so far, bytes in all or None)` that is told what
            has arrived; by default a bar of tqdm, if it is installed.

    Returns:
        The data folder, or None if the data set needs no files.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If no address gives a file, or `JNN_OFFLINE=1` is set.
    """
    entry = _entry(name)
    if not entry.files:
        return None
    if _is_present(entry):
        _renew(entry, progress)
    else:
        _fetch(name, entry, progress)
    return data_folder()


def names() -> tuple[str, ...]:
    """Return the names that `load` knows.

    >>> "digits" in names()
    True
    """
    return tuple(CATALOG)


def describe() -> tuple[Description, ...]:
    """Describe each known data set, with whether it is here and whether it can be fetched."""
    return tuple(
        Description(
            name,
            entry.task,
            entry.rows,
            entry.shape,
            entry.source,
            entry.license,
            _is_present(entry),
            bool(entry.files),
        )
        for name, entry in CATALOG.items()
    )


def data_folder() -> Path:
    """Return the folder of data files: `JNN_DATA` if set, else the platform's cache folder."""
    if os.environ.get("JNN_DATA"):
        return Path(os.environ["JNN_DATA"])
    import pooch

    return pooch.os_cache("jnn")


def _entry(name: str) -> Entry:
    if not isinstance(name, str):
        raise TypeError(
            f"name must be the name of a data set, got a {type(name).__name__}. Pass one of "
            "jnn.data.names()."
        )
    if name not in CATALOG:
        similar = difflib.get_close_matches(name.lower(), CATALOG, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, similar))}? " if similar else ""
        raise ValueError(
            f"name must be the name of a known data set, got {name!r}. {hint}Known are "
            f"{', '.join(CATALOG)}."
        )
    return CATALOG[name]


def _read(name: str, entry: Entry, options: dict[str, Any]) -> Dataset:
    if not entry.files:
        return entry.read(**options)
    if not _is_present(entry):
        _fetch(name, entry, None)
    try:
        return entry.read(*(data_folder() / file for file in entry.files), **options)
    except _DAMAGED as error:
        if options and isinstance(error, TypeError | ValueError):  # the options are at fault
            raise
        raise ValueError(
            f"The files of {name!r} must be as published at {entry.source}, got damaged or other "
            f"ones in {data_folder()}: {error}. Remove them, and fetch them again."
        ) from error


def _fetch(name: str, entry: Entry, progress: DownloadProgress | None) -> None:
    """Download the files that are absent."""
    if _is_offline():
        raise FileNotFoundError(
            f"{_absence(name, entry)} JNN_OFFLINE is set, so nothing is fetched."
        )
    for file in entry.files:
        _download(file, progress)


def _renew(entry: Entry, progress: DownloadProgress | None) -> None:
    """Fetch anew what lies in the data folder with other bytes than were published."""
    for file in entry.files:
        path = data_folder() / file
        digest = SOURCES[file].digest
        if matches(path, digest):
            continue
        if _is_offline():
            raise FileNotFoundError(
                f"The file {path.name} must have the digest {digest}, got another one at {path}. "
                "Put the right one there, or unset JNN_OFFLINE to fetch it."
            )
        _download(file, progress)


def _download(file: str, progress: DownloadProgress | None) -> None:
    folder = data_folder()
    source = SOURCES[file]
    download(source.urls, folder / file, source.digest, folder=folder, progress=progress)


def _is_offline() -> bool:
    return os.environ.get("JNN_OFFLINE", "0") not in ("", "0")


def _absence(name: str, entry: Entry) -> str:
    """Say which files are absent and where they belong."""
    folder = data_folder()
    files = [file for file in entry.files if not (folder / file).is_file()]
    listed = ", ".join(files[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    digest = SOURCES[files[0]].digest
    known_digest = f" (the first of {digest})" if digest else ""
    return (
        f"The files {listed} of {name!r}{known_digest} must be in {folder}, where they are not. "
        f"Get them from {entry.source} and put them there, or set JNN_DATA to the folder that "
        f"holds {Path(files[0]).parent}/."
    )


def _is_present(entry: Entry) -> bool:
    """Return whether all files of a data set are in the data folder."""
    return all((data_folder() / file).is_file() for file in entry.files)


def _select_part(dataset: Dataset, split: Part | None) -> Dataset:
    """Return one part of the published split, or all rows; see `load`."""
    if split not in (None, "train", "validation", "test", "all"):
        raise ValueError(f"split must be 'train', 'validation', 'test' or 'all', got {split!r}.")
    if split == "all" or (split is None and len(dataset.splits) != 1):
        return dataset
    if len(dataset.splits) != 1:
        raise ValueError(
            f"{dataset.name!r} must have one published split to take its {split!r} part, got "
            f"{len(dataset.splits)}. Load it without split; Dataset.splits holds what was "
            "published."
        )
    train, *validation, test = dataset.splits[0]
    parts = {"train": train, "test": test}
    if validation:
        parts["validation"] = validation[0]
    part = split or "train"
    if part not in parts:
        raise ValueError(
            f"split must be a part of {dataset.name!r}, got {split!r} where only {sorted(parts)} "
            "were published."
        )
    return dataset.take(parts[part])
