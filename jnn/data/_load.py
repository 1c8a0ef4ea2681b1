"""`load` a data set by its name, `fetch` its files, and list what there is."""

import dataclasses
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jnn.data._catalog import CATALOG
from jnn.data._dataset import Dataset
from jnn.data._download import Progress, download, fits
from jnn.data._entry import Entry, Form
from jnn.data._sources import SOURCES

Part = Literal["train", "validation", "test", "all"]

# What the readers meet in a file that is cut short or is not the one it should be.
_DAMAGED = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)


class Description(NamedTuple):
    """One line of the list of data sets."""

    name: str
    task: str
    rows: int
    shape: tuple[int, ...]
    source: str
    license: str
    is_available: bool
    can_be_fetched: bool


def load(name: str, *, split: Part | None = None, **options: Any) -> Dataset:
    """The data set of this name, complete and checked.

    Without `split` these are the rows that a study may look at: the training rows where a standard split exists, else
    all. `"train"`, `"validation"` and `"test"` ask for one part, `"all"` for all of them, training rows first; where
    several splits were published they are in `Dataset.splits`, as index arrays, and the rows are always all. A
    published split is studied as a whole by `jnn.folds(data.splits)` on `split="all"`.

    Texts take the options `tokenizer` and `length`, series `length` and `horizon`, running text `length`.

    Files are looked for in the folder `JNN_DATA`, or else in the platform's cache folder (`data_folder()`), and are
    fetched to there if they are absent, unless `JNN_OFFLINE=1` is set. Files that are there are taken as they are;
    `fetch` checks them. Raises ValueError for an unknown name, split or option, FileNotFoundError that says which file
    to put where.

    >>> load("digits")
    Dataset 'digits': classification, 1797 rows of shape (64,), 10 classes
    """
    entry = _entry(name)
    unknown = sorted(set(options) - set(entry.options))
    if unknown:
        raise ValueError(
            f"wanted the options {list(entry.options) or 'none'} for {name!r}, got {unknown}: leave them"
        )
    dataset = _read(name, entry, options)
    facts = {"name": name, "source": dataset.source or entry.source, "license": entry.license}
    return _part(dataclasses.replace(dataset, **facts), split)


def fetch(name: str, *, progress: Progress | None = None) -> Path | None:
    """Fetches the files of a data set unless they are there already; the data folder, or None if it needs no files.

    Every file is checked by its published digest; one that is there already and is another is fetched anew. A file
    takes its name only when it is complete; a download that was cut off goes on where it ended. Raises
    ValueError for an unknown name, FileNotFoundError, in one sentence, where no public address is known, none answers,
    or `JNN_OFFLINE=1` is set.
    """
    entry = _entry(name)
    form = _present(entry)
    if form is None:
        form = _fetch(name, entry, progress)
    else:
        _renew(form, progress)
    return data_folder() if form.files else None


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(CATALOG)


def describe() -> tuple[Description, ...]:
    """Each known data set with its task, size, source, license, whether it is here and whether it can be fetched."""

    def line(name: str, e: Entry) -> Description:
        is_available = bool(e.fallback) or _present(e) is not None
        can_be_fetched = any(form.files and _has_addresses(form) for form in e.forms)
        return Description(
            name, e.task, e.rows, e.shape, e.source, e.license, is_available, can_be_fetched
        )

    return tuple(line(name, entry) for name, entry in CATALOG.items())


def data_folder() -> Path:
    """Where data files are looked for: `JNN_DATA` if it is set, else `jnn` in the platform's cache folder."""
    if os.environ.get("JNN_DATA"):
        return Path(os.environ["JNN_DATA"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "jnn"
    default = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / default) / "jnn"


def _entry(name: str) -> Entry:
    if name not in CATALOG:
        raise ValueError(f"wanted one of the data sets {', '.join(CATALOG)}, got {name!r}")
    return CATALOG[name]


def _read(name: str, entry: Entry, options: dict[str, Any]) -> Dataset:
    form = _present(entry)
    if form is None and entry.fallback:
        return entry.fallback()
    form = form or _fetch(name, entry, None)
    paths = [data_folder() / file for file in form.files]
    if not paths:
        return form.read(**options)
    try:
        return form.read(*paths, **options)
    except _DAMAGED as error:
        if options and isinstance(error, ValueError):  # the options are at fault
            raise
        raise ValueError(
            f"wanted the files of {name!r} as published at {entry.source}, got damaged or other ones in "
            f"{data_folder()}: {error}; remove them, and fetch them again"
        ) from error


def _fetch(name: str, entry: Entry, progress: Progress | None) -> Form:
    """Downloads the first form that has addresses."""
    if _is_offline():
        raise FileNotFoundError(f"{_absence(name, entry)} (JNN_OFFLINE is set: nothing is fetched)")
    form = next((form for form in entry.forms if _has_addresses(form)), None)
    if form is None:
        raise FileNotFoundError(f"{_absence(name, entry)} (no address is known to fetch them from)")
    for file in form.files:
        _download(file, progress)
    return form


def _renew(form: Form, progress: Progress | None) -> None:
    """Fetches anew what lies there with other bytes than were published."""
    for file in form.files:
        path, digest = data_folder() / file, SOURCES[file].digest if file in SOURCES else ""
        if fits(path, digest):
            continue
        if _is_offline():
            raise FileNotFoundError(
                f"wanted the file {path.name} ({digest}), got another one at {path}: put the right one there, or unset "
                "JNN_OFFLINE to fetch it"
            )
        _download(file, progress)


def _download(file: str, progress: Progress | None) -> None:
    source = SOURCES[file]
    download(
        source.urls, data_folder() / file, source.digest, folder=data_folder(), progress=progress
    )


def _is_offline() -> bool:
    return os.environ.get("JNN_OFFLINE", "0") not in ("", "0")


def _absence(name: str, entry: Entry) -> str:
    files = [file for file in entry.forms[-1].files if not (data_folder() / file).is_file()]
    listed = ", ".join(files[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    digests = [
        SOURCES[file].digest for file in files[:1] if file in SOURCES and SOURCES[file].digest
    ]
    known = f" (the first of {digests[0]})" if digests else ""
    return (
        f"wanted the files {listed} of {name!r}{known} in {data_folder()}, where they are not: get them from "
        f"{entry.source} and put them there, or set JNN_DATA to the folder that holds {Path(files[0]).parent}/"
    )


def _present(entry: Entry) -> Form | None:
    """The first form of which all files are in the data folder."""
    return next(
        (
            form
            for form in entry.forms
            if all((data_folder() / file).is_file() for file in form.files)
        ),
        None,
    )


def _has_addresses(form: Form) -> bool:
    return all(file in SOURCES and SOURCES[file].urls for file in form.files)


def _part(dataset: Dataset, split: Part | None) -> Dataset:
    if split not in (None, "train", "validation", "test", "all"):
        raise ValueError(f"wanted the split 'train', 'validation', 'test' or 'all', got {split!r}")
    if split == "all" or (split is None and len(dataset.splits) != 1):
        return dataset
    if len(dataset.splits) != 1:
        raise ValueError(
            f"wanted a data set of one published split to take its {split!r} part, got {dataset.name!r} with "
            f"{len(dataset.splits)}: load it without split (Dataset.splits holds what was published)"
        )
    train, *validation, test = dataset.splits[0]
    parts = {"train": train, "test": test, **({"validation": validation[0]} if validation else {})}
    if (split or "train") not in parts:
        raise ValueError(
            f"wanted the {split!r} part of {dataset.name!r}, got a split of {sorted(parts)} only"
        )
    rows = parts[split or "train"]
    return dataset.take(rows)
