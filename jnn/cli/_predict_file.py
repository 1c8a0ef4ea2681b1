"""From rows in a file to predictions in a file, a batch at a time: `jnn predict RESULT new.csv`."""

import itertools
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._errors import reason_of
from jnn.data import TextEncoding, read_series
from jnn.data._csv import as_one_sentence, read_bytes, read_header, read_pieces, uncompressed
from jnn.data._read_text import lines_of
from jnn.result import (
    Prediction,
    Result,
    Schema,
    check_batch,
    encoding_for,
)

if TYPE_CHECKING:
    import pandas

_LARGEST = np.finfo(np.float32).max


def predict_file(
    result: Result,
    path: pathlib.Path,
    out: pathlib.Path,
    *,
    batch: int = 1024,
    separator: str | None = None,
) -> int:
    """Writes what the members say of the rows in a file; returns the number of rows.

    Args:
        result: With its study.
        path: A table (.csv, .tsv, or one of them as .gz), with or without the column of the target, or an array
            [rows, *features] (.npy); for members that read texts a table with their column, or a text in each line
            (.txt); for members that forecast a table whose last rows they go on from.
        out: A CSV file with a line for each row. For a classification: the class of the highest mean probability, and
            mean and standard deviation of each class's probability over the members. For a regression: those of each
            target. For a forecast a line for each step that follows: those of each channel.
        batch: Rows at a time.
        separator: Between the columns of a table; by default a tab in .tsv, else a comma.
    """
    check_batch(batch)
    tables = _tables(result, path, batch, separator)
    first = next(tables)  # whatever is wrong is told before a file is made
    partial = out.with_name(out.name + ".partial")
    try:
        rows = _write(itertools.chain([first], tables), partial)
    except BaseException:  # a fault of a later row, or the user's own stop
        partial.unlink(missing_ok=True)
        raise
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
        raise ValueError(
            "wanted members with finite scores, but all of them diverged; train anew by smaller steps"
        )
    return (
        (result, 0) if finite.all() else (result.take(np.flatnonzero(finite)), int((~finite).sum()))
    )


def _write(tables: "Iterable[pandas.DataFrame]", path: pathlib.Path) -> int:
    """One table after the other under the first one's header; the number of rows."""
    rows = 0
    with path.open("w", newline="") as file:
        for i, table in enumerate(tables):
            table.to_csv(file, index=False, header=not i, lineterminator="\n")
            rows += len(table)
    return rows


def _tables(
    result: Result, path: pathlib.Path, batch: int, separator: str | None
) -> "Iterator[pandas.DataFrame]":
    """What is written, a piece at a time."""
    schema = result.schema
    if schema.task == "regression" and schema.is_windowed and path.suffix.lower() != ".npy":
        yield _forecast(result, path, separator)
        return
    count = 0  # of the rows that were read before
    for rows in _read(path, batch, separator, schema):
        predictions = result.predictions(rows, batch=batch)
        for first, piece in zip(
            _checks(rows, batch, count, path), predictions, strict=False
        ):  # the checks never end
            table = _table(result, piece)
            _check_answer(piece.mean, first, path)
            yield table
        count += len(rows)


def _read(
    path: pathlib.Path, batch: int, separator: str | None, schema: Schema
) -> Iterator[Any]:
    """The rows of a file in pieces, as arrays or texts; those of an array are one piece that stays on disk."""
    if not path.is_file():
        raise ValueError(
            f"wanted a file with rows to predict, but there is none at {path}; check the path"
        )
    suffix = uncompressed(path).suffix.lower()
    if suffix == ".txt" and schema.reads_texts:
        yield _read_lines(path)
    elif path.suffix.lower() == ".npy":
        yield _read_array(path)
    elif suffix in (".csv", ".tsv", ".txt"):
        yield from _read_table(path, batch, separator, schema)
    else:
        raise ValueError(
            f"wanted a table (.csv, .tsv) or an array (.npy), but got {path.name}; save it as one of them"
        )


def _read_array(path: pathlib.Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"wanted an array of numbers, but {path} has none ({reason_of(error)}); use numpy.save"
        ) from error


def _read_lines(path: pathlib.Path) -> list[str]:
    """A text from each line."""
    with as_one_sentence(path, "texts in UTF-8"):
        lines = lines_of(read_bytes(path), "utf-8-sig")
    if not lines:
        raise ValueError(f"wanted a text in each line, but {path} is empty; add at least one")
    return lines


def _read_table(
    path: pathlib.Path, batch: int, separator: str | None, schema: Schema
) -> Iterator[np.ndarray]:
    """The rows of a table as they were made in training; texts and categories are taken as they are written."""
    names = read_header(path, separator)
    encoding = encoding_for(schema, names)
    if isinstance(encoding, TextEncoding):
        text = names
    else:
        text = [column.name for column in encoding.columns if column.categories is not None]
    for frame in read_pieces(path, batch, separator, text=text):
        if not len(frame):
            raise ValueError(
                f"wanted rows to predict, but {path} has a header line only; add at least one row"
            )
        yield encoding.encode(frame)


def _checks(rows: Any, batch: int, before: int, path: pathlib.Path) -> Iterator[int]:
    """The first row of each batch, ahead of it, unless it has numbers that are not finite; texts need no check."""
    has_numbers = isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim > 0
    for start in itertools.count(0, batch):
        if has_numbers:
            _check_finite(rows[start : start + batch], before + start, path)
        yield before + start


def _check_finite(rows: np.ndarray, first: int, path: pathlib.Path) -> None:
    """Rows from this one of the file on are finite, in float32 too."""
    row = _first_wrong(np.abs(rows) <= _LARGEST)  # NaN is not
    if row is not None:
        raise ValueError(
            f"wanted finite numbers, but row {first + row + 1} of {path} has NaN, infinity or one too "
            "large for float32; leave such rows out or fill their values"
        )


def _check_answer(mean: np.ndarray, first: int, path: pathlib.Path) -> None:
    """Predictions from this one on are finite: of others, a class or a spread would be made up."""
    row = _first_wrong(np.isfinite(mean))
    if row is not None:
        raise ValueError(
            f"wanted finite predictions, but number {first + row + 1} of those from {path} has NaN or "
            "infinity; leave out rows that are far from those of training, or members that diverged"
        )


def _first_wrong(is_right: np.ndarray) -> int | None:
    """The first row of which not all is right; None if there is none."""
    is_wrong = ~is_right.all(axis=tuple(range(1, is_right.ndim)))
    return int(is_wrong.argmax()) if is_wrong.any() else None


def _forecast(result: Result, path: pathlib.Path, separator: str | None) -> "pandas.DataFrame":
    """A line for each step that follows the last row of a table."""
    import pandas

    schema = result.schema
    length, channels = schema.x.shape
    values, names = read_series(path, schema.feature_names, separator)
    if len(values) < length or values.shape[1] != channels:
        raise ValueError(
            f"wanted at least {length} steps of {channels} channels to go on from, but {path} has {len(values)} of "
            f"{values.shape[1]}; give the last steps before the forecast"
        )
    _check_finite(values[-length:], len(values) - length, path)
    found = result.predict(values[None, -length:].astype(np.float32))
    _check_answer(found.mean[0], 0, path)
    number = "step"
    while number in names:  # a channel may have this name
        number += "_"
    columns = {number: np.arange(1, found.mean.shape[1] + 1)}
    columns |= {name: found.mean[0, :, i] for i, name in enumerate(names)}
    return pandas.DataFrame(
        columns | {f"std({name})": found.std[0, :, i] for i, name in enumerate(names)}
    )


def _table(result: Result, piece: Prediction) -> "pandas.DataFrame":
    """A line for each row."""
    import pandas

    schema = result.schema
    names = schema.target_names
    if not hasattr(piece.mean, "ndim"):
        raise ValueError(
            f"wanted one array per row, but the model gives a {type(piece.mean).__name__}; use Result.predict"
        )
    mean, std = (a.reshape(len(a), -1) for a in (piece.mean, piece.std))
    if schema.task == "classification":
        if piece.mean.ndim != 2:
            raise ValueError(
                f"wanted one class per row, but the model gives {piece.mean.shape[1:]}; use Result.predict from Python"
            )
        columns = {"prediction": np.asarray(names)[mean.argmax(axis=1)]}
        columns |= {f"p({name})": mean[:, i] for i, name in enumerate(names)}
        return pandas.DataFrame(
            columns | {f"std({name})": std[:, i] for i, name in enumerate(names)}
        )
    if len(names) != mean.shape[1]:
        names = [f"y{i}" for i in range(mean.shape[1])] if mean.shape[1] > 1 else ["y"]
    columns = {name: mean[:, i] for i, name in enumerate(names)}
    return pandas.DataFrame(columns | {f"std({name})": std[:, i] for i, name in enumerate(names)})
