"""From rows in a file to predictions in a file, a batch at a time: `jnn predict RESULT new.csv`."""

import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data import read_series
from jnn.predict import Prediction, check_batch
from jnn.result import Result
from jnn.rows import is_windowed, reads_texts, row_of

if TYPE_CHECKING:
    import pandas

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": ","}


def predict_file(result: Result, path: pathlib.Path, out: pathlib.Path, *, batch: int = 1024) -> int:
    """Writes what the members say of the rows in a file; returns the number of rows.

    Args:
        result: With its study.
        path: A table (.csv, .tsv), with or without the column of the target, or an array [rows, *features] (.npy); for
            members that read texts a table with their column, or a text in each line (.txt); for members that forecast
            a table whose last rows they go on from.
        out: A CSV file with a line for each row. For a classification: the class of the highest mean probability, and
            mean and standard deviation of each class's probability over the members. For a regression: those of each
            target. For a forecast a line for each step that follows: those of each channel.
        batch: Rows at a time.
    """
    check_batch(batch)
    tables = _tables(result, path, batch)
    first = next(tables)  # whatever is wrong is told before a file is made
    partial, rows = out.with_name(out.name + ".partial"), 0
    with partial.open("w", newline="") as file:
        for i, table in enumerate(itertools.chain([first], tables)):
            table.to_csv(file, index=False, header=not i, lineterminator="\n")
            rows += len(table)
    partial.replace(out)
    return rows


def usable(result: Result) -> tuple[Result, int]:
    """The result without members whose final scores are not finite, and how many those were."""
    final = result.final()
    columns = [
        np.asarray(final[name].transpose(*result.members.axes)).ravel()
        for name in final.data_vars
        if set(final[name].dims) == set(result.members.axes)
    ]
    finite = np.isfinite(columns).all(axis=0)
    if not finite.any():
        raise ValueError("wanted members with finite scores, but all of them diverged; train anew by smaller steps")
    return (result, 0) if finite.all() else (result.take(np.flatnonzero(finite)), int((~finite).sum()))


def _tables(result: Result, path: pathlib.Path, batch: int) -> "Iterator[pandas.DataFrame]":
    """What is written, a piece at a time."""
    about = result.scores.attrs
    if about["task"] == "regression" and is_windowed(about) and path.suffix.lower() != ".npy":
        yield _forecast(result, path)
        return
    for rows in _read(path, batch, texts=reads_texts(about)):
        for piece in result.predictions(rows, batch=batch):
            yield _table(result, piece)


def _read(path: pathlib.Path, batch: int, *, texts: bool) -> Iterator[Any]:
    """The rows of a file in pieces; those of an array are one piece that stays on disk."""
    if not path.is_file():
        raise ValueError(f"wanted a file with rows to predict, but there is none at {path}; check the path")
    suffix = path.suffix.lower()
    if texts and suffix == ".txt":
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines:
            raise ValueError(f"wanted a text in each line, but {path} is empty; add at least one")
        yield lines
    elif suffix == ".npy":
        yield np.load(path, mmap_mode="r", allow_pickle=False)
    elif suffix in _SEPARATORS:
        yield from _read_table(path, _SEPARATORS[suffix], batch)
    else:
        raise ValueError(f"wanted a table (.csv, .tsv) or an array (.npy), but got {path.name}; save it as one of them")


def _read_table(path: pathlib.Path, separator: str, batch: int) -> "Iterator[pandas.DataFrame]":
    import pandas

    try:
        with pandas.read_csv(path, sep=separator, chunksize=batch) as reader:
            for frame in reader:
                if not len(frame):
                    raise ValueError(f"wanted rows to predict, but {path} has a header line only; add at least one row")
                yield frame
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = str(error).strip()
        raise ValueError(f"wanted a table in UTF-8 with a header line, but {path} is none: {reason}") from error


def _forecast(result: Result, path: pathlib.Path) -> "pandas.DataFrame":
    """A line for each step that follows the last row of a table."""
    import pandas

    about = result.scores.attrs
    (length, channels), _ = row_of(about, "x")
    values, names = read_series(path, json.loads(about["feature_names"]))
    if len(values) < length or values.shape[1] != channels:
        raise ValueError(
            f"wanted at least {length} steps of {channels} channels to go on from, but {path} has {len(values)} of "
            f"{values.shape[1]}; give the last steps before the forecast"
        )
    found = result.predict(values[None, -length:].astype(np.float32))
    columns = {"step": np.arange(1, found.mean.shape[1] + 1)}
    columns |= {name: found.mean[0, :, i] for i, name in enumerate(names)}
    return pandas.DataFrame(columns | {f"std({name})": found.std[0, :, i] for i, name in enumerate(names)})


def _table(result: Result, piece: Prediction) -> "pandas.DataFrame":
    """A line for each row."""
    import pandas

    about = result.scores.attrs
    names = json.loads(about["target_names"])
    mean, std = (a.reshape(len(a), -1) for a in (piece.mean, piece.std))
    if about["task"] == "classification":
        if piece.mean.ndim != 2:
            raise ValueError(
                f"wanted one class per row, but the model gives {piece.mean.shape[1:]}; use Result.predict from Python"
            )
        columns = {"prediction": np.asarray(names)[mean.argmax(axis=1)]}
        columns |= {f"p({name})": mean[:, i] for i, name in enumerate(names)}
        return pandas.DataFrame(columns | {f"std({name})": std[:, i] for i, name in enumerate(names)})
    if len(names) != mean.shape[1]:
        names = [f"y{i}" for i in range(mean.shape[1])] if mean.shape[1] > 1 else ["y"]
    columns = {name: mean[:, i] for i, name in enumerate(names)}
    return pandas.DataFrame(columns | {f"std({name})": std[:, i] for i, name in enumerate(names)})
