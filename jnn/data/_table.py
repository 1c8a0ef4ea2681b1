"""From the columns of a pandas table to arrays, and the `Encoding` that turns later rows into the same features."""

import collections
import contextlib
import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from jnn.data._check import repeated
from jnn.data._csv import read_csv

if TYPE_CHECKING:
    import pandas as pd

Names = str | int | Sequence[str | int]  # of columns; numbers where a table has them for names
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")
_DATE = re.compile(r"(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T].*)?")


class Column(NamedTuple):
    """One column of a table: its sorted categories, or None where it holds numbers."""

    name: str
    categories: tuple[str, ...] | None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that the column becomes: itself, or `name=value` for each category."""
        return (self.name,) if self.categories is None else tuple(f"{self.name}={c}" for c in self.categories)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How the columns of a table become features: numbers as they are, categories one-hot.

    Made by `Dataset.from_csv` and `Dataset.from_dataframe` and kept in the data set, for rows that come later.
    """

    columns: tuple[Column, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, in the order of `encode`."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """The table's rows as features, float32 [rows, features]; columns that the encoding does not name are left.

        Raises ValueError for a missing column, a missing value, text among numbers and an unknown category.
        """
        columns = columns_by_name(frame)
        absent = sorted({column.name for column in self.columns} - set(columns))
        if absent:
            raise ValueError(f"wanted all columns that the features were made from, got none named {absent}: add them")
        check_complete({column.name: columns[column.name] for column in self.columns})
        return np.concatenate([_encode_column(column, columns[column.name]) for column in self.columns], axis=1)

    def to_json(self) -> str:
        """The encoding as JSON; `Encoding.from_json` reads it back."""
        return json.dumps([column._asdict() for column in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "Encoding":
        """The encoding that `to_json` wrote."""
        pairs = ((column["name"], column["categories"]) for column in json.loads(text))
        return cls(tuple(Column(name, None if cats is None else tuple(cats)) for name, cats in pairs))


def fit_encoding(features: "dict[str, pd.Series]") -> Encoding:
    """The encoding of columns without missing values."""
    return Encoding(tuple(Column(name, _categories(name, values)) for name, values in features.items()))


def columns_by_name(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """The columns of a table under their names as text, each of which must be there once."""
    if not (hasattr(frame, "columns") and hasattr(frame, "items")):
        raise ValueError(f"wanted a pandas table, got a {type(frame).__name__}: pass pandas.DataFrame(...) of it")
    columns = {str(name): values for name, values in frame.items()}
    if len(columns) < frame.shape[1]:
        twice = repeated([*map(str, frame.columns)])
        raise ValueError(f"wanted columns of different names, got {twice} more than once: rename them")
    return columns


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several as text, as `columns_by_name` has them."""
    return (str(names),) if _is_single(names) else tuple(map(str, names))  # type: ignore[arg-type]


def split_columns(
    columns: "dict[str, pd.Series]", targets: Sequence[str], drop: Sequence[str]
) -> "tuple[dict[str, pd.Series], dict[str, pd.Series]]":
    """The columns of features and those of targets, all of them complete and of at least one row."""
    check_known(columns, [*targets, *drop])
    features = {name: values for name, values in columns.items() if name not in {*targets, *drop}}
    rows = len(next(iter(columns.values()), ()))
    if not (features and targets and rows):
        raise ValueError(
            f"wanted rows, features and a target, got {rows} rows, {len(features)} columns of features and "
            f"{len(targets)} targets: check the table and the columns that are dropped"
        )
    chosen = {name: columns[name] for name in targets}
    check_complete({**features, **chosen})
    return features, chosen


def read_series(
    source: "pd.DataFrame | str | PathLike[str]", channels: Sequence[str] = (), separator: str | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A series [time, channels] with the channels' names, from a table or CSV file whose rows are its steps.

    Args:
        source: A pandas table or the path of a CSV file, which may be compressed.
        channels: The columns to take; by default those of numbers, so that dates are left out.
        separator: Between the columns of a file; by default a tab in .tsv, else a comma.
    """
    if isinstance(source, str | PathLike):
        source = read_csv(source, separator)
    columns = columns_by_name(source)
    check_known(columns, channels)
    names = tuple(channels) or tuple(name for name, values in columns.items() if _is_number(values))
    chosen = {name: columns[name] for name in names}
    if not chosen:
        raise ValueError(f"wanted a column of numbers for the series, got {list(columns)}: add one")
    check_complete(chosen)
    for name, values in chosen.items():
        if not _is_number(values):
            raise ValueError(f"wanted numbers in each channel of the series, got {values.iloc[0]!r} in {name!r}")
    return np.stack([values.to_numpy(np.float64) for values in chosen.values()], axis=1), names


def check_known(columns: "dict[str, pd.Series]", names: Sequence[str]) -> None:
    """Every name is that of a column."""
    unknown = sorted(set(names) - set(columns))
    if unknown:
        raise ValueError(
            f"wanted columns among {list(columns)}, got {unknown}: "
            "check the spelling, and the separator if several names stand in one"
        )


def target_of(target: Names, columns: "dict[str, pd.Series]") -> tuple[np.ndarray, tuple[str, ...]]:
    """The complete columns of a target as an array: of one [rows], of several numbers [rows, outputs], a regression.

    Also the labels of a categorical in its own order, as far as they occur; () where they are to be sorted.
    """
    if not _is_single(target):
        return _target_matrix(columns), ()
    ((name, values),) = columns.items()
    if values.dtype.name != "category":
        return _target_values(name, values), ()
    order = map(str, values.cat.remove_unused_categories().cat.categories)
    return _text(name, values).to_numpy(object), tuple(dict.fromkeys(order))


def check_complete(columns: "dict[str, pd.Series]") -> None:
    """No value is missing."""
    counts = {name: int(values.isna().sum()) for name, values in columns.items()}
    holes = [f"{count} in {name!r}" for name, count in counts.items() if count]
    if holes:
        raise ValueError(
            f"wanted a value in every row, got missing values: {', '.join(holes)}: "
            "fill them, or drop these rows or columns, before"
        )


def _is_single(names: Names) -> bool:
    return isinstance(names, str) or not isinstance(names, Iterable)


def _target_values(name: str, column: "pd.Series") -> np.ndarray:
    """Numbers, bools or text; dates and text among numbers are refused."""
    if _is_number(column):
        return column.to_numpy({"f": np.float64, "i": np.int64, "u": np.uint64}[column.dtype.kind])
    if column.dtype.name in ("bool", "boolean"):
        return column.to_numpy(bool)
    return _text(name, column).to_numpy(object)


def _target_matrix(columns: "dict[str, pd.Series]") -> np.ndarray:
    for name, values in columns.items():
        if not _is_number(values):
            raise ValueError(
                f"wanted numbers in each of the targets {list(columns)}, got {values.iloc[0]!r} in {name!r}: "
                "correct the column, or pass a single target for labels"
            )
    return np.stack([values.to_numpy(np.float64) for values in columns.values()], axis=1)


def _categories(name: str, column: "pd.Series") -> tuple[str, ...] | None:
    """The sorted categories of a column of features, None for numbers."""
    if _is_number(column):
        return None
    categories = tuple(sorted(set(_text(name, column))))
    if len(categories) > max(20, len(column) / 2):
        raise ValueError(
            f"wanted categories that come again, got {len(categories)} different texts in the {len(column)} rows of "
            f"column {name!r}: leave the column out with drop=[{name!r}]"
        )
    return categories


def _encode_column(column: Column, values: "pd.Series") -> np.ndarray:
    import pandas as pd

    if column.categories is None:
        if not _is_number(values):
            _refuse_text(column.name, values.astype(object).map(str))
        with np.errstate(over="ignore"):  # Dataset says it in a sentence
            return values.to_numpy(np.float32)[:, None]
    rows, texts = pd.factorize(values.astype(object).map(str))
    found = _places(texts, column.categories)
    unknown = sorted(text for text, place in zip(texts, found, strict=True) if place is None)
    if unknown:
        raise ValueError(
            f"wanted one of {list(column.categories)} in column {column.name!r}, got {unknown}: "
            "no row that the encoding was made from has such a category"
        )
    return np.eye(len(column.categories), dtype=np.float32)[np.array(found, int)[rows]]


def _places(texts: Iterable[str], categories: Sequence[str]) -> list[int | None]:
    """Where each text stands among the categories, or else the only one that a reader of files may take for the same.

    A file's "01" or "true" is text, a number or a bool by what else stands in its column, so categories are found again
    whatever types the reader of either table saw. None is no category.
    """
    exact = {category: place for place, category in enumerate(categories)}
    read = collections.defaultdict(list)
    for category, place in exact.items():
        read[_as_read(category)].append(place)

    def place_of(text: str) -> int | None:
        alike = read.get(_as_read(text), [])
        return exact.get(text, alike[0] if len(alike) == 1 else None)

    return [place_of(text) for text in texts]


def _as_read(text: str) -> str | float:
    """What pandas may make of a text: "01" becomes the number 1, and "TRUE" a bool, which is "True" as text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text.capitalize() if text.lower() in ("true", "false") else text


def _is_number(column: "pd.Series") -> bool:
    return column.dtype.kind in "iuf"


def _text(name: str, column: "pd.Series") -> "pd.Series":
    """A column of text, categories or bools as text; what is neither is refused."""
    if column.dtype.kind not in "bO":
        _refuse_type(name, f"type {column.dtype}")
    text = column.astype(object).map(str)
    if column.dtype.name != "category":  # whoever says category means it
        _check_text(name, text)
    return text


def _check_text(name: str, text: "pd.Series") -> None:
    """Text is text: not dates, and not numbers with a slip in some row."""
    if text.str.fullmatch(_DATE).mean() > 0.5:
        _refuse_type(name, f"dates such as {text.iloc[0]!r}")
    is_number = _parses(text) | text.str.fullmatch(_DECIMAL_COMMA).to_numpy(bool)
    if is_number.all():
        raise ValueError(
            f"wanted numbers or categories in column {name!r}, got numbers written as text, such as {text.iloc[0]!r}: "
            "write a decimal point, or convert the column, with .astype(float) or .astype('category')"
        )
    if is_number.mean() > 0.5:
        _refuse_text(name, text)


def _refuse_text(name: str, text: "pd.Series") -> NoReturn:
    slips = np.flatnonzero(~_parses(text))
    row = int(slips[0]) if slips.size else 0
    raise ValueError(
        f"wanted a number in every row of column {name!r}, got {text.iloc[row]!r} in row {row + 1} "
        f"(row 1 follows the header; such rows: {slips.size or len(text)}): correct or drop these rows"
    )


def _refuse_type(name: str, what: str) -> NoReturn:
    raise ValueError(
        f"wanted numbers, text, categories or bools in column {name!r}, got {what}: leave it out with "
        f"drop=[{name!r}], or turn it into numbers before, such as the month or the days since the first"
    )


def _parses(text: "pd.Series") -> np.ndarray:
    import pandas as pd

    return pd.Series(pd.to_numeric(text, errors="coerce")).notna().to_numpy()
