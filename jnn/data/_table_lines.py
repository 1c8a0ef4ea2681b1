"""What is checked in the lines of a table's file, because pandas would lose rows without a word."""

import contextlib
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import NoReturn

import numpy as np

from jnn.data._table_form import (
    WHITESPACE,
    TableForm,
    is_numeral,
    open_binary,
    rows_of,
)

_SAMPLE_ROWS = 200


def check_quotes(path: str | PathLike[str], form: TableForm) -> None:
    """Raise if a quote without a partner joins rows of a file.

    A value in quotes may have several lines. Quotes have lost a partner if a value goes on behind
    its closing quote, if the last value is never closed, or if each of the lines that a row takes
    has as many separators as a row of its own.
    """
    if form.quote is not None or form.separator is None:
        return
    with _open_lines(path, form) as lines:
        if not any(line.count('"') % 2 for line in lines):
            return
    separator = " " if form.separator == WHITESPACE else form.separator
    with _open_lines(path, form) as lines, _fields_of_any_length():
        seen = _Recorder(lines)
        reader = csv.reader(seen, delimiter=separator, skipinitialspace=True, strict=True)
        columns = 0
        while True:
            seen.lines.clear()
            first = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error:
                _refuse_quote(path, first)
            if row is None:
                return
            columns = columns or len(row)
            if _are_rows(seen.lines, separator, columns):
                _refuse_quote(path, first)


def check_header(path: str | PathLike[str], form: TableForm) -> None:
    """Raise if the first line of a file looks like a row of numbers or of repeated labels."""
    assert form.separator is not None
    with _open_lines(path, form) as lines:
        sample = [line for line, _ in zip(lines, range(_SAMPLE_ROWS), strict=False)]
    with contextlib.suppress(csv.Error):  # pandas says what is wrong
        rows = list(rows_of(sample, form.separator, form.quote_character))
        names = rows[0] if rows else []
        _check_names(path, names, [row for row in rows[1:] if len(row) == len(names)])


def _check_names(path: str | PathLike[str], names: list[str], rows: list[list[str]]) -> None:
    if not rows or not names:
        return
    names = [name.strip() for name in names]
    columns = [[value.strip() for value in column] for column in zip(*rows, strict=True)]
    numbers = [name for name in names if is_numeral(name)]
    if numbers and not _count_columns(numbers, has_text=len(numbers) < len(names)):
        for name, values in zip(names, columns, strict=True):
            if is_numeral(name) and _is_among(name, values):
                _refuse_header(path, name, "above such numbers")
    if len(names) > 1 and all(name in values for name, values in zip(names, columns, strict=True)):
        _refuse_header(path, names[-1], "which is also a value of its column")


def _count_columns(numbers: Sequence[str], has_text: bool) -> bool:
    """Return whether names count columns, as pandas names them, or years beside a name of text."""
    if not all(name.isdecimal() for name in numbers):
        return False
    counts = [int(name) for name in numbers]
    is_unbroken = counts == list(range(counts[0], counts[0] + len(counts)))
    return is_unbroken and len(counts) > 1 and (counts[0] == 0 or has_text)


def _is_among(name: str, values: Sequence[str]) -> bool:
    """Return whether a number is of the size of those below it."""
    numbers = [float(value.replace(",", ".")) for value in values if is_numeral(value)]
    numbers = [number for number in numbers if np.isfinite(number)]
    if not numbers or len(numbers) < sum(map(bool, values)) / 2:
        return False
    margin = 10 * (max(numbers) - min(numbers))
    return min(numbers) - margin <= float(name.replace(",", ".")) <= max(numbers) + margin


def _are_rows(lines: Sequence[str], separator: str, columns: int) -> bool:
    """Return whether each of the lines of one row would be a row without its quotes.

    A text of two lines may have a comma in each, so that of two columns three lines are needed.
    """
    if len(lines) < (3 if columns == 2 else 2) or columns < 2:
        return False
    return all(line.count(separator) == columns - 1 for line in lines)


def _refuse_header(path: str | PathLike[str], name: str, place: str) -> None:
    raise ValueError(
        f"Line 1 of {path} must name the columns, got {name!r}, {place}. Pass header=False if it "
        "is a row, or header=True if it does name the columns."
    )


def _refuse_quote(path: str | PathLike[str], line: int) -> NoReturn:
    raise ValueError(
        f"Quotes must come in pairs around a value, got one without a partner in line {line} of "
        f"{path}. Remove it, or pass quote='none' if quotes are a part of the values."
    ) from None


class _Recorder:
    """Lines that are handed on and remembered."""

    def __init__(self, source: Iterator[str]):
        self.source = source
        self.lines: list[str] = []

    def __iter__(self) -> "_Recorder":
        return self

    def __next__(self) -> str:
        line = next(self.source)
        self.lines.append(line)
        return line


@contextlib.contextmanager
def _open_lines(path: str | PathLike[str], form: TableForm) -> Iterator[Iterator[str]]:
    with (
        open_binary(path) as file,
        io.TextIOWrapper(file.handle, encoding=form.encoding, newline="") as text,  # type: ignore[type-var]
    ):
        yield iter(text)


@contextlib.contextmanager
def _fields_of_any_length() -> Iterator[None]:
    most = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(most)
