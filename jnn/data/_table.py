"""From the columns of a pandas table to arrays, and the `Encoding` that turns later rows into the same features."""

import collections
import contextlib
import dataclasses
import json
from collections.abc import Iterable, Sequence
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn.data._columns import (
    Names,
    as_names,
    as_text,
    check_complete,
    check_known,
    check_named,
    checked_text,
    columns_by_name,
    is_number,
    is_single,
    numbers_among,
    refuse_text,
)
from jnn.data._csv import read_csv

if TYPE_CHECKING:
    import pandas as pd

_BOOLS = ("true", "false")


class Column(NamedTuple):
    """One column of a table: its sorted categories, or None where it holds numbers."""

    name: str
    categories: tuple[str, ...] | None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that the column becomes: itself, or `name=value` for each category."""
        return (
            (self.name,)
            if self.categories is None
            else tuple(f"{self.name}={c}" for c in self.categories)
        )


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
            raise ValueError(
                f"wanted all columns that the features were made from, got none named {absent}: add them"
            )
        check_complete({column.name: columns[column.name] for column in self.columns})
        return np.concatenate(
            [_encode_column(column, columns[column.name]) for column in self.columns], axis=1
        )

    def to_json(self) -> str:
        """The encoding as JSON; `Encoding.from_json` reads it back."""
        return json.dumps([column._asdict() for column in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "Encoding":
        """The encoding that `to_json` wrote."""
        pairs = ((column["name"], column["categories"]) for column in json.loads(text))
        return cls(
            tuple(Column(name, None if cats is None else tuple(cats)) for name, cats in pairs)
        )


def fit_encoding(features: "dict[str, pd.Series]") -> Encoding:
    """The encoding of columns without missing values."""
    return Encoding(
        tuple(Column(name, _categories(name, values)) for name, values in features.items())
    )


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
    check_named(features)
    return features, chosen


def read_series(
    source: "pd.DataFrame | str | PathLike[str]",
    channels: Sequence[str] = (),
    separator: str | None = None,
    drop: Names = (),
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A series [time, channels] with the channels' names, from a table or CSV file whose rows are its steps.

    Args:
        source: A pandas table or the path of a CSV file, which may be compressed.
        channels: The columns to take; by default those of numbers, so that dates are left out.
        separator: Between the columns of a file; by default a tab in .tsv, else a comma.
        drop: Columns to leave out.
    """
    if isinstance(source, str | PathLike):
        source = read_csv(source, separator)
    columns, dropped = columns_by_name(source), as_names(drop)
    check_known(columns, dropped)
    columns = {name: values for name, values in columns.items() if name not in dropped}
    check_known(columns, channels)
    chosen = {name: columns[name] for name in channels} or numbers_among(columns)
    if not chosen:
        raise ValueError(f"wanted a column of numbers for the series, got {list(columns)}: add one")
    check_complete(chosen)
    for name, values in chosen.items():
        if not is_number(values):
            refuse_text(name, values)
    if not channels and len(source):
        check_named(chosen)
    return np.stack([values.to_numpy(np.float64) for values in chosen.values()], axis=1), tuple(
        chosen
    )


def target_of(target: Names, columns: "dict[str, pd.Series]") -> tuple[np.ndarray, tuple[str, ...]]:
    """The complete columns of a target as an array: of one [rows], of several numbers [rows, outputs], a regression.

    Also the labels of a categorical in its own order, as far as they occur; () where they are to be sorted.
    """
    if not is_single(target):
        return _target_matrix(columns), ()
    ((name, values),) = columns.items()
    if values.dtype.name != "category":
        return _target_values(name, values), ()
    order = map(str, values.cat.remove_unused_categories().cat.categories)
    return checked_text(name, values).to_numpy(object), tuple(dict.fromkeys(order))


def _target_values(name: str, column: "pd.Series") -> np.ndarray:
    """Numbers, bools or text; dates and text among numbers are refused."""
    if is_number(column):
        return column.to_numpy({"f": np.float64, "i": np.int64, "u": np.uint64}[column.dtype.kind])
    if column.dtype.name in ("bool", "boolean"):
        return column.to_numpy(bool)
    return checked_text(name, column).to_numpy(object)


def _target_matrix(columns: "dict[str, pd.Series]") -> np.ndarray:
    for name, values in columns.items():
        if not is_number(values):
            raise ValueError(
                f"wanted numbers in each of the targets {list(columns)}, got {values.iloc[0]!r} in {name!r}: "
                "correct the column, or pass a single target for labels"
            )
    return np.stack([values.to_numpy(np.float64) for values in columns.values()], axis=1)


def _categories(name: str, column: "pd.Series") -> tuple[str, ...] | None:
    """The sorted categories of a column of features, None for numbers."""
    if is_number(column):
        return None
    categories = tuple(sorted(set(checked_text(name, column))))
    if len(categories) > max(20, len(column) / 2):
        raise ValueError(
            f"wanted categories that come again, got {len(categories)} different texts in the {len(column)} rows of "
            f"column {name!r}: leave the column out with drop=[{name!r}]"
        )
    return categories


def _encode_column(column: Column, values: "pd.Series") -> np.ndarray:
    import pandas as pd

    if column.categories is None:
        if not is_number(values):
            refuse_text(column.name, values)
        with np.errstate(over="ignore"):  # Dataset says it in a sentence
            return values.to_numpy(np.float32)[:, None]
    rows, texts = pd.factorize(as_text(values))
    firsts = np.unique(rows, return_index=True)[1]
    found = _places(values.astype(object).to_numpy()[firsts], column.categories)
    unknown = sorted(text for text, place in zip(texts, found, strict=True) if place is None)
    if unknown:
        raise ValueError(
            f"wanted one of {list(column.categories)} in column {column.name!r}, got {unknown}: "
            "no row that the encoding was made from has such a category"
        )
    return np.eye(len(column.categories), dtype=np.float32)[np.array(found, int)[rows]]


def _places(values: Iterable[object], categories: Sequence[str]) -> list[int | None]:
    """Where each value stands among the categories, or else the only one that a reader of files may take for the same.

    A file's "01" or "true" is text, a number or a bool by what else stands in its column, so categories are found again
    whatever types the reader of either table saw. None is no category.
    """
    exact = {category: place for place, category in enumerate(categories)}
    read = collections.defaultdict(list)
    for category in categories:
        read[_as_read(category)].append(category)

    def place_of(value: object) -> int | None:
        if str(value) in exact:
            return exact[str(value)]
        alike = read.get(_as_read(str(value)), [])
        return exact[alike[0]] if len(alike) == 1 and _may_be(value, alike[0]) else None

    return [place_of(value) for value in values]


def _may_be(value: object, category: str) -> bool:
    """Whether a value that reads as a category does may be it: a number or bool that was read from it, or its print.

    "1.10" and "1.1" are two texts, as are "001" and "1"; "10" and "10.0" are what one number is as text.
    """
    is_print = category == str(_as_read(category))
    if isinstance(value, str):
        return is_print and (value.lower() in _BOOLS or value == str(_as_read(value)))
    is_whole_alone = isinstance(value, Integral) and isinstance(_as_read(category), float)
    return is_print or not is_whole_alone  # where pandas reads 4E1 it reads floats


def _as_read(text: str) -> str | float:
    """What pandas may make of a text: "01" becomes the number 1, and "TRUE" a bool, which is "True" as text."""
    if "_" not in text:  # Python alone reads 1_0 as a number
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(text)
    return text.capitalize() if text.lower() in _BOOLS else text
