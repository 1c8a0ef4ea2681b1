"""Predictions for the rows of a file, written to a file, a batch at a time."""

import itertools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from jnn._errors import reason_of
from jnn.cli._column_names import free_name, mean_and_std
from jnn.cli._forecast import forecast
from jnn.cli._input import user_input
from jnn.cli._predict_images import predict_pictures, reads_pictures
from jnn.cli._table import TABLE_ENDINGS
from jnn.cli._terminal import open_output
from jnn.data import Counts, Encoding, TableForm, TextEncoding
from jnn.data._columns import clean_name
from jnn.data._csv import as_one_sentence, read_bytes, read_header, read_pieces, uncompressed
from jnn.data._read_text import lines_of
from jnn.result import Prediction, Result, Schema, check_batch, encoding_for

if TYPE_CHECKING:
    import pandas

_LARGEST = np.finfo(np.float32).max


def predict_file(
    result: Result,
    path: pathlib.Path,
    out: pathlib.Path,
    *,
    batch: int = 1024,
    form: TableForm | None = None,
    id: Sequence[str] = (),
    counts: Counts | None = None,
    more: Sequence[pathlib.Path] = (),
) -> int:
    """Write the members' predictions for the rows of a file, and return the number of rows.

    The output has one line per row. For a classification it holds the class of the highest mean
    probability, then mean and standard deviation over the members of each class's probability.
    For a regression it holds mean and standard deviation of each target. For a forecast it has
    one line per series and future step, with mean and standard deviation of each channel.

    Args:
        result: Result with its study.
        path: File of rows: a table (.csv, .tsv, also compressed as .gz, .parquet, .xlsx), with or
            without the column of the target, or an array [rows, *features] (.npy). Members that
            read texts take a table with the column of texts, or a file with one text per line
            (.txt). Members that forecast continue each series of a table from its last steps.
        out: CSV file to write. It appears only when it is complete. `-` is standard output, and
            what is no regular file, such as a pipe, is written as the rows come.
        batch: Number of rows that are predicted at a time.
        form: How the table is written, as far as it is not told from the file.
        id: Names of columns of the table that are kept before the predictions.
        counts: Where missing values that are filled, and unknown categories, are counted; without
            it unknown categories are refused.
        more: Further picture files.

    Raises:
        ValueError: If the file does not hold rows like those of training, or if rows or
            predictions are not finite.
    """
    check_batch(batch)
    tables = _make_tables(result, path, batch, _Reading(form, tuple(id), counts, tuple(more)))
    first = next(tables)  # errors in the first rows are raised before a file is created
    with open_output(out) as file:
        return _write(itertools.chain([first], tables), file)


def notes_of(counts: Counts) -> list[str]:
    """Return sentences that say what was replaced in the rows."""

    def listed(counter: Mapping[str, int]) -> str:
        return ", ".join(f"{count} in {name!r}" for name, count in counter.items())

    notes = []
    if counts.missing:
        notes.append(f"missing values are filled as in training: {listed(counts.missing)}")
    if counts.unknown:
        notes.append(
            "categories that no training row has are read as none of those known: "
            f"{listed(counts.unknown)}"
        )
    return notes


def usable(result: Result) -> tuple[Result, int]:
    """Leave out the members that diverged, and return how many those are.

    A member has diverged if one of its final scores is not finite.

    Raises:
        ValueError: If all members have diverged.
    """
    axes = result.members.axes
    final = result.final()
    columns = [
        np.asarray(final[name].transpose(*axes)).ravel()
        for name in final.data_vars
        if set(final[name].dims) == set(axes)
    ]
    is_finite = np.isfinite(columns).all(axis=0)
    diverged = int((~is_finite).sum())
    if diverged == 0:
        return result, 0
    if not is_finite.any():
        raise ValueError(
            "result must have members with finite scores, but all of them diverged. Train again "
            "with smaller learning rates."
        )
    return result.take(np.flatnonzero(is_finite)), diverged


def _write(tables: "Iterable[pandas.DataFrame]", file: TextIO) -> int:
    """Write the tables below one header, and return the number of their rows."""
    count = 0
    for table in tables:
        table.to_csv(file, index=False, header=count == 0, lineterminator="\n")
        count += len(table)
    return count


class _Reading(NamedTuple):
    """How the rows of a file are read; see `predict_file`."""

    form: TableForm | None
    id: tuple[str, ...]
    counts: Counts | None
    more: tuple[pathlib.Path, ...] = ()


class _Piece(NamedTuple):
    """Rows of a file, and the columns that name them, or None."""

    rows: Any
    ids: "pandas.DataFrame | None" = None


def _make_tables(
    result: Result, path: pathlib.Path, batch: int, reading: _Reading
) -> "Iterator[pandas.DataFrame]":
    """Yield the predictions, a batch at a time."""
    schema = result.schema
    _check_id(result, path, reading)
    if reads_pictures(result, path):
        yield from predict_pictures(result, (path, *reading.more), batch, _make_table)
        return
    if reading.more:
        raise ValueError(
            f"rows must be one file, got also {', '.join(map(str, reading.more))}. Only members "
            "that were trained on pictures read several."
        )
    if schema.task == "regression" and schema.is_windowed and path.suffix.lower() != ".npy":
        yield _checked_forecast(result, path, reading.form)
        return
    fills = isinstance(schema.encoding, Encoding) and schema.encoding.fills
    start = 0  # number of rows in the pieces before
    for rows, ids in _read(path, batch, reading, schema):
        checks = _checked_starts(rows, batch, start, path, fills=fills)
        predictions = result.predictions(rows, batch=batch)
        for first, prediction in zip(checks, predictions, strict=False):  # the checks never end
            place = first - start
            table = _make_table(result, prediction, None if ids is None else ids.iloc[place:])
            _check_predictions(prediction.mean, first, path)
            yield table
        start += len(rows)


def _check_id(result: Result, path: pathlib.Path, reading: _Reading) -> None:
    """Raise if columns that name the rows are asked for where rows have no columns."""
    if not reading.id:
        return
    suffix = uncompressed(path).suffix.lower()
    reason = ""
    if reads_pictures(result, path):
        reason = "pictures are named by their files"
    elif suffix == ".npy":
        reason = f"{path} is an array, without columns of names"
    elif suffix == ".txt" and result.schema.reads_texts:
        reason = f"{path} has one text per line, without columns of names"
    elif result.schema.is_windowed:
        reason = "forecasts are named by their series and times"
    if reason:
        raise ValueError(f"--id must be left out: {reason}.")


def _read(path: pathlib.Path, batch: int, reading: _Reading, schema: Schema) -> Iterator[_Piece]:
    """Yield the rows of a file in pieces, as arrays or texts.

    An array file is one piece, whose rows stay on disk until they are used.
    """
    if not path.is_file():
        raise ValueError(f"file of rows {path} does not exist. Check the path.")
    suffix = uncompressed(path).suffix.lower()
    if suffix == ".txt" and schema.reads_texts:
        yield _Piece(_read_lines(path))
    elif path.suffix.lower() == ".npy":
        yield _Piece(_read_array(path))
    elif suffix in TABLE_ENDINGS:
        yield from _read_table(path, batch, reading, schema)
    else:
        raise ValueError(
            f"file of rows must be a table (.csv, .tsv) or an array (.npy), got {path.name}. "
            "Save it as one of them."
        )


def _read_array(path: pathlib.Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} must hold an array of numbers, but cannot be read ({reason_of(error)}). "
            "Write it with numpy.save."
        ) from error


def _read_lines(path: pathlib.Path) -> list[str]:
    """Read one text from each line."""
    with as_one_sentence(path, "texts in UTF-8"):
        lines = lines_of(read_bytes(path), "utf-8-sig")
    if not lines:
        raise ValueError(f"{path} must have a text in each line, but is empty. Add one or more.")
    return lines


def _read_table(
    path: pathlib.Path, batch: int, reading: _Reading, schema: Schema
) -> Iterator[_Piece]:
    """Yield the rows of a table, encoded as in training; texts and categories stay as written."""
    names = read_header(path, reading.form)
    ids = [clean_name(name) for name in reading.id]
    if absent := sorted(set(ids) - set(names)):
        raise ValueError(
            f"{path} must have the columns that name the rows, got none named {absent}. Add them, "
            "or name others by --id, or none by --id ''."
        )
    encoding: Any = encoding_for(schema, names)
    text = names if isinstance(encoding, TextEncoding) else []
    if isinstance(encoding, Encoding):
        text = [column.name for column in encoding.columns if column.categories is not None]
    for frame in read_pieces(path, batch, reading.form, text=[*text, *ids]):
        if len(frame) == 0:
            raise ValueError(f"{path} must have rows, but has only a header. Add at least one row.")
        with user_input():
            if isinstance(encoding, Encoding):
                rows = encoding.encode(frame, counts=reading.counts)
            else:
                rows = encoding.encode(frame)
        yield _Piece(rows, frame.loc[:, ids] if ids else None)


def _checked_starts(
    rows: Any, batch: int, before: int, path: pathlib.Path, *, fills: bool
) -> Iterator[int]:
    """Yield the number of the first row of each batch, after a check of the batch.

    Texts and token ids need no check.
    """
    has_numbers = isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and rows.ndim > 0
    for start in itertools.count(0, batch):
        if has_numbers:
            _check_finite(rows[start : start + batch], before + start, path, fills=fills)
        yield before + start


def _check_finite(rows: np.ndarray, first: int, path: pathlib.Path, *, fills: bool) -> None:
    """Raise unless the rows, the first of which has this number, are finite in float32.

    NaN is a missing value, and is right, if the members fill it.
    """
    is_right = np.abs(rows) <= _LARGEST  # false for NaN
    row = _first_false(is_right | np.isnan(rows) if fills else is_right)
    if row is not None:
        raise ValueError(
            f"rows must be finite, but row {first + row + 1} of {path} has NaN, infinity or a "
            "number too large for float32. Leave such rows out, or fill in their values."
        )


def _check_predictions(mean: np.ndarray, first: int, path: pathlib.Path) -> None:
    """Raise unless the predictions are finite: no class or spread could be given for others."""
    row = _first_false(np.isfinite(mean))
    if row is not None:
        raise ValueError(
            f"predictions must be finite, but number {first + row + 1} of those for {path} has NaN "
            "or infinity. Leave out rows that are far from those of training, or members that "
            "diverged."
        )


def _first_false(is_right: np.ndarray) -> int | None:
    """Return the first row that is not true everywhere; None if there is none."""
    is_wrong = ~is_right.all(axis=tuple(range(1, is_right.ndim)))
    return int(is_wrong.argmax()) if is_wrong.any() else None


def _checked_forecast(
    result: Result, path: pathlib.Path, form: TableForm | None
) -> "pandas.DataFrame":
    """Return the table of a forecast, whose numbers are finite."""
    table = forecast(result, path, form)
    numbers = table.select_dtypes("number").to_numpy(np.float64)
    _check_predictions(numbers, 0, path)
    return table


def _make_table(
    result: Result, prediction: Prediction, ids: "pandas.DataFrame | None" = None
) -> "pandas.DataFrame":
    """Make a table with one line for each row, after the columns that name the rows."""
    import pandas

    schema = result.schema
    names = schema.target_names
    if not hasattr(prediction.mean, "ndim"):
        raise ValueError(
            "model must give one array per row to be written to a table, got "
            f"{type(prediction.mean).__name__}. Use Result.predict from Python."
        )
    mean = prediction.mean.reshape(len(prediction.mean), -1)
    std = prediction.std.reshape(len(prediction.std), -1)
    columns: dict[str, Any] = {}
    if ids is not None:
        columns = {str(name): values.to_numpy()[: len(mean)] for name, values in ids.items()}
    if schema.task == "classification":
        if prediction.mean.ndim != 2:
            raise ValueError(
                "model must give one class per row to be written to a table, got an array of "
                f"shape {prediction.mean.shape[1:]} per row. Use Result.predict from Python."
            )
        if mean.shape[1] != len(names):
            raise ValueError(
                f"model must give one output for each of the {len(names)} classes to be written to "
                f"a table, got {mean.shape[1]} per row. Use Result.predict from Python."
            )
        columns[free_name("prediction", columns)] = np.asarray(names)[mean.argmax(axis=1)]
        columns |= mean_and_std(names, mean, std, mean_name="p({})", taken=columns)
        return pandas.DataFrame(columns)
    if len(names) != mean.shape[1]:
        names = [f"y{i}" for i in range(mean.shape[1])] if mean.shape[1] > 1 else ["y"]
    return pandas.DataFrame(columns | mean_and_std(names, mean, std, taken=columns))
