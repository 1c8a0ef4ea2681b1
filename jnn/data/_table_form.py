"""How a file of a table is written: what the user says, and what the file tells."""

import codecs
import csv
import dataclasses
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

WHITESPACE = r"\s+"
"""Separator of columns with any number of blanks between them."""

_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 200
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_KINDS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PAR1", b"\x28\xb5\x2f\xfd")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")  # what pandas reads by the end of a name
_SEPARATORS = (",", ";", "\t", "|", WHITESPACE)


@dataclasses.dataclass(frozen=True)
class TableForm:
    r"""How a file of a table is written.

    Attributes:
        separator: Separator of the columns: one character, or `\s+` for any number of blanks; by
            default the one that gives every row of the file as many columns.
        encoding: Encoding of the text, as Python names it; by default UTF-8, or the one that the
            first bytes of the file name.
        decimal: Character of a decimal point.
        thousands: Character between the thousands of a number, or None.
        header: Whether the first line holds the names of the columns. Without it they are named 0,
            1, 2, ... By default it does, and is refused if it looks like a row.
        quote: Character around a value that may hold separators, or "none"; by default '"', whose
            pairs are checked.
    """

    separator: str | None = None
    encoding: str | None = None
    decimal: str = "."
    thousands: str | None = None
    header: bool | None = None
    quote: str | None = None

    def __post_init__(self):
        if self.separator == r"\t":  # as a shell may write a tab
            object.__setattr__(self, "separator", "\t")
        if self.separator == "":
            object.__setattr__(self, "separator", None)
        for name in ("separator", "decimal", "thousands", "quote"):
            _check_character(name, getattr(self, name))
        if self.encoding is not None:
            _check_encoding(self.encoding)
        if self.decimal == self.thousands:
            raise ValueError(
                f"decimal and thousands must be different characters, got {self.decimal!r} for "
                "both. Change one."
            )

    @property
    def quote_character(self) -> str | None:
        """The character around a value; None if there is none."""
        if self.quote is None:
            return '"'
        return None if self.quote == "none" else self.quote


def uncompressed(path: str | PathLike[str]) -> Path:
    """Return the path without the suffix of a compression: table.csv.gz -> table.csv."""
    if not isinstance(path, str | PathLike):
        raise TypeError(
            f"path must be that of a file, got a {type(path).__name__}. Pass a table of pandas to "
            "Dataset.from_dataframe."
        )
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path


def open_binary(path: str | PathLike[str]):
    """Open a file for its bytes, decompressed as pandas does it by the end of the name."""
    from pandas.io.common import get_handle

    return get_handle(path, "rb", compression="infer", is_text=False)


def told_by_file(path: str | PathLike[str], form: TableForm) -> TableForm:
    """Return the form with the encoding and the separator that the file has."""
    with open_binary(path) as file:
        first = file.handle.read(_SAMPLE_BYTES)  # type: ignore[call-overload]
    if first.startswith(_OTHER_KINDS):
        raise ValueError(
            f"The table must be text, got {str(path)!r}, which is compressed or a table of another "
            "kind. Rename it by what it is, such as .csv.gz or .xlsx."
        )
    encoding = form.encoding
    if encoding is None:
        encoding = next((name for mark, name in _MARKS if first.startswith(mark)), "utf-8")
    if b"\0" in first and not encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf16")):
        raise ValueError(
            f"The table must be text, .parquet or .xlsx, got {str(path)!r}, which has bytes that "
            f"are no text. Save it as a CSV file, or pass its encoding, such as "
            f"encoding={_wide_encoding(first)!r}."
        )
    form = dataclasses.replace(form, encoding=encoding)
    if form.separator is not None:
        return form
    lines = _whole_lines(first, encoding)
    default = "\t" if uncompressed(path).suffix.lower() == ".tsv" else ","
    return dataclasses.replace(form, separator=_separator_of(lines, default, form))


def _wide_encoding(first: bytes) -> str:
    """Return the encoding of two bytes a character that the zeros among bytes tell of."""
    is_little = first[1::2].count(0) >= first[::2].count(0)
    return "utf-16-le" if is_little else "utf-16-be"


def rows_of(lines: Sequence[str], separator: str, quote: str | None) -> Iterator[list[str]]:
    """Yield the fields of each line that is not empty."""
    if separator == WHITESPACE:
        lines = [line.strip().replace("\t", " ") for line in lines]
        separator = " "
    quoting = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL
    reader = csv.reader(
        lines, delimiter=separator, quotechar=quote, quoting=quoting, skipinitialspace=True
    )
    return (row for row in reader if row)


def is_numeral(text: str) -> bool:
    """Return whether a text spells a number, with a point or a comma."""
    text = text.strip()
    try:
        float(text.replace(",", ".", 1) if not text.endswith(",") else text)
    except ValueError:
        return False
    return True


def _whole_lines(first: bytes, encoding: str) -> list[str]:
    """Return the first lines of a file, without one that the sample cuts."""
    text = first.decode(encoding, errors="replace")
    lines = text.splitlines(keepends=True)
    if len(first) == _SAMPLE_BYTES:
        lines = lines[:-1]
    return lines[:_SAMPLE_ROWS]


def _separator_of(lines: Sequence[str], default: str, form: TableForm) -> str:
    """Return the separator that gives all lines as many columns, and most of them numbers."""
    candidates = [default, *(mark for mark in _SEPARATORS if mark != default)]
    scores = {mark: _score(lines, mark, form.quote_character) for mark in candidates}
    best = max(scores, key=lambda mark: scores[mark], default=default)
    return best if scores.get(best, -1.0) >= 0 else default


def _score(lines: Sequence[str], separator: str, quote: str | None) -> float:
    """Return the share of numbers among the fields, or -1 where lines differ in their number."""
    try:
        rows = list(rows_of(lines, separator, quote))
    except csv.Error:
        return -1.0
    counts = {len(row) for row in rows}
    if len(rows) < 2 or len(counts) > 1 or counts == {1}:
        return -1.0
    fields = [field for row in rows[1:] for field in row]
    share = sum(map(is_numeral, fields)) / len(fields)
    columns = zip(*rows[1:], strict=True)
    if separator == WHITESPACE and not any(all(map(is_numeral, column)) for column in columns):
        return -1.0  # words of a sentence are no columns
    return share


def _check_character(name: str, value: str | None) -> None:
    others = {"separator": (WHITESPACE,), "quote": ("none",)}.get(name, ())
    if value is None or value in others:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one character, got {value!r}.")
    if len(value) != 1 or value in "\r\n":
        example = {"separator": "Use ';', for example.", "quote": "Use 'none' for no quotes."}
        raise ValueError(
            f"{name} must be one character, got {value!r}. {example.get(name, 'Use one.')}"
        )


def _check_encoding(encoding: str) -> None:
    try:
        is_text = codecs.lookup(encoding)._is_text_encoding
    except (LookupError, TypeError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError(
            f"encoding must be one that Python knows, got {encoding!r}. Use 'utf-8', 'cp1252' "
            "(Windows, Western Europe), 'utf-16' or 'gb18030', for example."
        )
