"""The columns of a pandas table: their names, and whether a model can take what they hold."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jnn.data._check import repeated

if TYPE_CHECKING:
    import pandas as pd

Names = str | int | Sequence[str | int]
"""One name of a column or several; a name is a number where the table has numbers for names."""

_COMMAS = re.compile(  # a decimal comma, as in 1.234,5, or commas between thousands
    r"[+-]?(\d+(\.\d{3})*,\d+|\d{1,3}(,\d{3})+(\.\d+)?"
    r"|\d{1,3}([ '\u00a0\u202f]\d{3})+([.,]\d+)?)"  # or blanks or apostrophes between them
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[.]?"
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?"  # 2022-06-27, 2022-06
    r"|\d{1,2}[-/.] ?\d{1,2}[-/.] ?\d{2,4}"  # 27.06.2022, 6/27/22
    rf"|\d{{1,2}}[-/. ]{{1,2}}{_MONTH}[-/, ]{{0,2}}\d{{2,4}}"  # 27 Jun 2022
    rf"|{_MONTH} \d{{1,2}},? \d{{4}})"  # June 27, 2022
    "([ T,].*)?",  # and a time of day
    re.IGNORECASE,
)
_UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)*)?")  # what pandas calls a column without a name
_AMOUNT = re.compile(  # a number with a sign of money or a percentage, as in $5 or 5 %
    r"[+-]?[$€£¥₹]?\s?[+-]?\d+([.,']\d{3})*([.,]\d+)?\s?[%‰$€£¥₹]?"
)


def columns_by_name(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """Return the columns of a table under their names as text, each of which must occur once."""
    if not (hasattr(frame, "columns") and hasattr(frame, "items")):
        raise TypeError(
            f"The table must be a pandas.DataFrame, got a {type(frame).__name__}. Pass "
            "pandas.DataFrame(...) of it."
        )
    index = frame.index
    if getattr(index, "step", 0) != 1:  # rows are numbered as they stand
        frame = frame.reset_index(drop=True)
    columns = {clean_name(name): values for name, values in frame.items()}
    if len(columns) < frame.shape[1]:
        names = repeated([*map(clean_name, frame.columns)])
        raise ValueError(
            f"Columns must have different names, got {names} more than once. Rename them."
        )
    return columns


def clean_name(name: object) -> str:
    """Return the name of a column as text, in one form of Unicode and without blanks around it."""
    return unicodedata.normalize("NFC", str(name)).strip()


def as_names(names: Names) -> tuple[str, ...]:
    """Return one name or several as text, as in `columns_by_name`."""
    if is_single(names):
        return (clean_name(names),)
    return tuple(map(clean_name, names))  # type: ignore[arg-type]


def is_single(names: Names) -> bool:
    """Return whether this is one name, not several."""
    return isinstance(names, str) or not isinstance(names, Iterable)


def check_known(columns: "dict[str, pd.Series]", names: Sequence[str]) -> None:
    """Raise unless every name is that of a column."""
    unknown = sorted(set(names) - set(columns))
    if unknown:
        raise ValueError(
            f"Names must be among the columns {list(columns)}, got {unknown}. Check the spelling, "
            "and the separator if one of the columns looks like several."
        )


def check_complete(columns: "dict[str, pd.Series]") -> None:
    """Raise if a value is missing."""
    counts = {name: int(values.isna().sum()) for name, values in columns.items()}
    gaps = [f"{count} in {name!r}" for name, count in counts.items() if count]
    if gaps:
        raise ValueError(
            f"Every row must have a value, got missing values: {', '.join(gaps)}. Fill them, or "
            "drop these rows or columns."
        )


def check_named(columns: "dict[str, pd.Series]") -> None:
    """Raise if a column is a table's index: it has no name and another integer in each row."""
    for name, values in columns.items():
        if is_unnamed(name) and _numbers_rows(values):
            raise ValueError(
                f"Every column must have a name, got none for {name!r}, which counts or numbers "
                f"the rows. Leave it out with drop=[{name!r}], or name it."
            )


def is_unnamed(name: str) -> bool:
    """Return whether a column has no name, but at most the one that pandas gave it."""
    return _UNNAMED.fullmatch(name) is not None


def is_number(column: "pd.Series") -> bool:
    """Return whether a column holds numbers."""
    return column.dtype.kind in "iuf"


def is_categorical(column: "pd.Series") -> bool:
    """Return whether a column has the pandas type for categories."""
    return column.dtype.name == "category"


def as_text(column: "pd.Series") -> "pd.Series":
    """Convert whatever a column holds to text."""
    return column.astype(object).map(str)


def checked_text(name: str, column: "pd.Series") -> "pd.Series":
    """Return a column of text, categories, or bools as text.

    Raises:
        ValueError: If the column holds another type, or text that spells dates or numbers.
    """
    content = unusable_content(column)
    if content:
        refuse_columns({name: content})
    text = as_text(column)
    if not is_categorical(column):  # the type says that categories are meant
        _refuse_numbers_as_text(name, text)
    return text


def unusable_content(column: "pd.Series") -> str:
    """Return what a column holds that is neither number nor category; empty if it is one."""
    if column.dtype.kind not in "biufO":
        return f"type {column.dtype}"
    if column.dtype.kind == "O" and not is_categorical(column):
        text = as_text(column)
        is_date = _matches(text, _DATE)
        if is_date.any() and is_date.mean() > 0.5:
            return f"dates such as {text.iloc[int(is_date.argmax())]!r}"
    return ""


def unusable_features(features: "Mapping[str, pd.Series]") -> dict[str, str]:
    """Return what columns hold that cannot be features, such as dates, by their names."""
    contents = {}
    for name, values in features.items():
        present = values.dropna()
        content = unusable_content(present)
        if not content and not is_number(values) and not is_categorical(values):
            text = as_text(present)
            count = text.nunique()
            if count > max(20, len(text) / 2) and _share_of_numbers(text) <= 0.5:
                content = f"{count} different texts in {len(text)} rows"
        if content:
            contents[name] = content
    return contents


def refuse_columns(contents: Mapping[str, str]) -> NoReturn:
    """Raise an error that names all columns that cannot be features, and what the first holds."""
    name, content = next(iter(contents.items()))
    others = len(contents) - 1
    more = f", and {others} more such column{'s' * (others > 1)}" if others else ""
    dates = [key for key, held in contents.items() if held.startswith(("dates", "type datetime"))]
    hint = " To score only rows later than those trained on, pass times="
    hint = f"{hint}{dates[0]!r}." if dates else ""
    raise ValueError(
        f"Column {name!r} must hold numbers, text, categories or bools, got {content}{more}. Leave "
        f"{'them' if others else 'it'} out with drop={list(contents)!r}, or turn "
        f"{'them' if others else 'it'} into numbers or a few categories, such as the month of a "
        f"date.{hint}"
    )


def numeric_columns(columns: "dict[str, pd.Series]") -> "dict[str, pd.Series]":
    """Return the columns of numbers; refuse one that has text in some rows only."""
    for name, values in columns.items():
        if len(values) and values.dtype.kind == "O" and not is_categorical(values):
            _refuse_numbers_as_text(name, as_text(values), is_series=True)
    return {name: values for name, values in columns.items() if is_number(values)}


def refuse_text(
    name: str, column: "pd.Series", *, later: bool = False, is_series: bool = False
) -> NoReturn:
    """Raise an error that names the first row where a column of numbers holds text.

    Args:
        name: Name of the column.
        column: Its values.
        later: Whether these are rows for trained members.
        is_series: Whether these are the steps of a series.
    """
    text = as_text(column)
    if text.empty:
        raise ValueError(f"Column {name!r} must hold numbers, got no rows. Add some.")
    faults = np.flatnonzero(~_parses(text))
    place = int(faults[0]) if faults.size else 0
    count = faults.size or len(text)
    other_ways = (
        f"; or pass category=[{name!r}] if these are categories, or numeric=[{name!r}] to count "
        "them as missing values"
    )
    if later:
        other_ways = ", as the members were trained on numbers"
        marks = _marks_of(text.iloc[faults])
        other_ways += f"; or read the file with {marks}" if marks else ""
    elif is_series:
        other_ways = f"; or leave the column out with drop=[{name!r}]"
    raise ValueError(
        f"Every row of column {name!r} must hold a number, got {text.iloc[place]!r} in row "
        f"{_row(text, place) + 1} (row 1 is the first one after the header). Correct or drop the "
        f"rows without a number, {count} in all{other_ways}."
    )


def _refuse_numbers_as_text(name: str, text: "pd.Series", *, is_series: bool = False) -> None:
    """Raise if text spells numbers in all rows or in most of them."""
    share = _share_of_numbers(text)
    if share == 1:
        parses, has_commas = _parses(text), _matches(text, _COMMAS)
        example = text.iloc[int((has_commas if has_commas.any() else ~parses).argmax())]
        raise ValueError(
            f"Column {name!r} must hold numbers or categories, got numbers written as text, such "
            f"as {example!r}. {_how_to_read(name, text, parses, is_series)}"
        )
    if share > 0.5:
        refuse_text(name, text, is_series=is_series)


def _share_of_numbers(text: "pd.Series") -> float:
    """Return the share of texts that spell a number in some way."""
    spell_one = _parses(text) | _matches(text, _COMMAS) | _matches(text, _AMOUNT)
    return float(spell_one.mean()) if len(text) else 0.0


def _how_to_read(name: str, text: "pd.Series", parses: np.ndarray, is_series: bool) -> str:
    """Return what to do with a column whose numbers are written as text."""
    category = f"category=[{name!r}] if they are categories."
    if is_series:
        category = f"drop=[{name!r}] to leave the column out."
    if parses.all() and not is_series:
        return f"Pass numeric=[{name!r}] to take them as numbers, or {category}"
    marks = _marks_of(text)
    if marks:
        return (
            f"Read the file with {marks}, or remove thousands separators and write a point for a "
            f"decimal comma; pass {category}"
        )
    return f"Write them in one way, without signs and units, or pass {category}"


def _marks_of(text: "pd.Series") -> str:
    """Return the arguments with which numbers that are written with commas can be read, or ""."""
    if not len(text) or not (_matches(text, _COMMAS) | _parses(text)).all():
        return ""
    commas = [value for value in text.unique() if _COMMAS.fullmatch(value)]
    blanks = [mark for mark in " '\u00a0\u202f" if any(mark in value for value in commas)]
    may_be_decimal = all(_DECIMAL_COMMA.fullmatch(value) for value in commas)
    may_be_thousands = all(_COMMA_THOUSANDS.fullmatch(value) for value in commas)
    if blanks:
        has_comma = any("," in value for value in commas)
        return f"thousands={blanks[0]!r}" + (" and decimal=','" if has_comma else "")
    if not commas:
        return ""
    if may_be_thousands and may_be_decimal:
        return "thousands=',' or decimal=','"
    if may_be_thousands:
        return "thousands=','"
    points = [value for value in text.unique() if "." in value]
    if not all(map(_DECIMAL_COMMA.fullmatch, points)):
        return ""  # no marks read 1.234,5 and 12.34 both
    has_points = bool(points)
    return "decimal=','" + (" and thousands='.'" if has_points else "")


def spells_numbers(values: "pd.Series") -> bool:
    """Return whether all texts of a column spell numbers, with a point or a comma."""
    text = as_text(values)
    return bool((_parses(text) | _matches(text, _COMMAS)).all())


def counts_rows(values: "pd.Series") -> bool:
    """Return whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if values.dtype.kind not in "iu" or len(values) < 2:
        return False
    numbers = values.to_numpy()
    return numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())


def _numbers_rows(values: "pd.Series") -> bool:
    """Return whether a column has another integer in each row."""
    if not is_number(values) or values.isna().any():
        return False
    numbers = values.to_numpy()
    return bool((numbers == np.floor(numbers)).all()) and len(np.unique(numbers)) == len(numbers)


def _row(column: "pd.Series", place: int) -> int:
    """Return the number of a row; pandas continues the count across chunks of a file."""
    return int(column.index[place]) if column.index.dtype.kind in "iu" else place


def _matches(text: "pd.Series", pattern: re.Pattern[str]) -> np.ndarray:
    """Return which texts are matched as a whole; each distinct text is looked at once."""
    import pandas as pd

    rows, distinct = pd.factorize(text)
    return np.array([pattern.fullmatch(value) is not None for value in distinct], bool)[rows]


def _parses(text: "pd.Series") -> np.ndarray:
    import pandas as pd

    rows, distinct = pd.factorize(text)
    numbers = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce")
    return pd.Series(numbers).notna().to_numpy()[rows]
