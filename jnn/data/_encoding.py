"""How the columns of a table become features, for rows that come later too."""

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn.data._columns import (
    as_text,
    checked_text,
    columns_by_name,
    is_number,
    refuse_columns,
    refuse_text,
    unusable_features,
)
from jnn.data._missing import WRITTEN_MISSING, numbers_with_marks, refuse_missing
from jnn.data._offsets import offset_of, without_offset

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """One column of a table that is a feature.

    Attributes:
        name: Name of the column.
        categories: Its sorted categories, or None if it holds numbers.
        offset: What is taken out of its numbers in float64, because float32 cannot hold it beside
            what varies; otherwise 0.
        fills: Whether a value may be missing: a number is then NaN, which
            `jnn.preprocess.fill_median` fills.
        missing: The category of missing values, or None if they have none.
        text_is_missing: Whether text among its numbers counts as a missing value.
        scale: What its numbers are divided by after that, because the features of a published data
            set are in other units than its file.
    """

    name: str
    categories: tuple[str, ...] | None
    offset: float = 0
    fills: bool = False
    missing: str | None = None
    text_is_missing: bool = False
    scale: float = 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of its features: its own for numbers, else `name=value` for each category."""
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)


class Counts(NamedTuple):
    """How often values of later rows had to be replaced, by the names of their columns.

    Attributes:
        missing: Missing values that were filled.
        unknown: Categories that no row of the training data has, so that all features of the column
            are 0.
    """

    missing: Counter[str]
    unknown: Counter[str]

    @classmethod
    def zero(cls) -> "Counts":
        """Return counts to be filled by `Encoding.encode`."""
        return cls(Counter(), Counter())


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How the columns of a table become features: numbers as they are, categories one-hot.

    `Dataset.from_csv` and `Dataset.from_dataframe` make it and keep it in the data set, for rows
    that come later.

    Attributes:
        columns: Columns that the features are made from.
    """

    columns: tuple[Column, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of `encode`."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def offset(self) -> np.ndarray:
        """What was taken out of each feature, in its units, float64 [features]."""
        offsets = [[c.offset / c.scale] * len(c.feature_names) for c in self.columns]
        return np.array([offset for part in offsets for offset in part], np.float64)

    @property
    def fills(self) -> bool:
        """Whether numbers may be missing, and are then NaN among the features."""
        return any(column.fills and column.categories is None for column in self.columns)

    def encode(self, frame: "pd.DataFrame", *, counts: Counts | None = None) -> np.ndarray:
        """Encode the rows of a table as features, float32 [rows, features].

        Columns that the encoding does not name are ignored.

        Args:
            frame: A pandas table.
            counts: Where replaced values are counted. With it a category that is unknown is no
                error: all features of its column are 0.

        Raises:
            ValueError: If a column is missing, a value is missing in a column that is not filled,
                text stands among numbers, or a category is unknown.
        """
        columns = columns_by_name(frame)
        absent = sorted({column.name for column in self.columns} - set(columns))
        if absent:
            raise ValueError(
                "The table must have all columns that the features were made from, got none named "
                f"{absent}. Add them."
            )
        return self.encode_columns(columns, counts)

    def encode_columns(
        self, columns: "Mapping[str, pd.Series]", counts: Counts | None = None
    ) -> np.ndarray:
        """Encode columns by their names; see `encode`."""
        values = {
            column.name: _read_values(column, columns[column.name]) for column in self.columns
        }
        refuse_missing({c.name: values[c.name] for c in self.columns if not c.fills}, later=True)
        features = [_encode_column(c, values[c.name], counts) for c in self.columns]
        return np.concatenate(features, axis=1)

    def to_json(self) -> str:
        """Return the encoding as JSON, for `Encoding.from_json`."""
        return json.dumps([column._asdict() for column in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "Encoding":
        """Return the encoding that `to_json` wrote."""
        columns = []
        for fields in json.loads(text):
            categories = fields["categories"]
            categories = None if categories is None else tuple(categories)
            columns.append(Column(**{**fields, "categories": categories}))
        return cls(tuple(columns))


def fit_encoding(
    features: "Mapping[str, pd.Series]", *, fills: bool = False, numeric: Collection[str] = ()
) -> Encoding:
    """Fit the encoding of columns.

    Args:
        features: Columns; values may be missing with `fills` alone.
        fills: Whether values may be missing, here and in later rows.
        numeric: Names of columns of numbers whose text counts as missing.
    """
    texts = _usable_texts(features)
    columns = []
    for name, values in features.items():
        if name not in texts:
            offset = offset_of(_numbers(values))
            column = Column(name, None, 0 if offset is None else _plain(offset))
        else:
            categories = tuple(sorted(set(texts[name])))
            missing = _free_category(categories) if fills and values.isna().any() else None
            column = Column(name, (*categories, missing) if missing else categories)
            column = column._replace(missing=missing)
        columns.append(column._replace(fills=fills, text_is_missing=name in numeric))
    return Encoding(tuple(columns))


def _usable_texts(features: "Mapping[str, pd.Series]") -> "dict[str, pd.Series]":
    """Return the columns of categories as text; name all columns that cannot be features."""
    unusable = unusable_features(features)
    if unusable:
        refuse_columns(unusable)
    return {
        name: checked_text(name, values.dropna())
        for name, values in features.items()
        if not is_number(values)
    }


def _plain(offset: np.ndarray) -> float | int:
    number = float(offset)
    return int(number) if number.is_integer() else number


def _free_category(categories: Sequence[str]) -> str:
    """Return a name for missing values that no category has."""
    name = "missing"
    while name in categories:
        name += "_"
    return name


def _numbers(values: "pd.Series") -> np.ndarray:
    """Return numbers, with NaN where they are missing; integers as they are."""
    if values.dtype.kind in "iu" and isinstance(values.dtype, np.dtype):
        return values.to_numpy()
    return values.to_numpy(np.float64, na_value=np.nan)


def _read_values(column: Column, values: "pd.Series") -> "pd.Series":
    """Return the values of a column as numbers or text, missing where they are written so."""
    import pandas as pd

    if column.categories is None:
        if is_number(values):
            return values
        present = values.dropna()
        if present.empty:
            return values.astype(np.float64)
        numbers = numbers_with_marks(values)
        if numbers is None and column.text_is_missing:
            numbers = pd.Series(pd.to_numeric(as_text(values), errors="coerce"), values.index)
        if numbers is None:
            refuse_text(column.name, present, later=True)
        return numbers
    is_missing = values.isna()
    others = WRITTEN_MISSING - set(column.categories)
    if values.dtype.kind == "O":
        is_missing |= values.isin(others)
    return values.astype(object).mask(is_missing, np.nan)


def _encode_column(column: Column, values: "pd.Series", counts: Counts | None) -> np.ndarray:
    """Encode one column as [rows, 1] numbers or [rows, categories] zeros and ones."""
    is_missing = values.isna().to_numpy()
    if counts is not None and is_missing.any():
        counts.missing[column.name] += int(is_missing.sum())
    if column.categories is None:
        numbers = without_offset(_numbers(values), column.offset or None)
        if column.scale != 1:
            numbers = numbers / column.scale
        with np.errstate(over="ignore"):  # Dataset says it in a sentence
            return numbers.astype(np.float32)[:, None]
    features = np.zeros((len(values), len(column.categories)), np.float32)
    if column.missing is not None:
        features[is_missing, column.categories.index(column.missing)] = 1
    rows = np.flatnonzero(~is_missing)
    places = _places_of(column, values.loc[~is_missing], counts)
    is_known = places >= 0
    features[rows[is_known], places[is_known]] = 1
    return features


def _places_of(column: Column, values: "pd.Series", counts: Counts | None) -> np.ndarray:
    """Return the place of each value among the categories, or -1 for one that is counted."""
    import pandas as pd

    if not len(values):
        return np.zeros(0, int)
    assert column.categories is not None
    rows, distinct = pd.factorize(as_text(values))
    firsts = np.unique(rows, return_index=True)[1]
    places = _places(values.astype(object).iloc[firsts].tolist(), column.categories)
    unknown = sorted(text for text, place in zip(distinct, places, strict=True) if place is None)
    if unknown and counts is None:
        raise ValueError(
            f"Column {column.name!r} must hold one of {list(column.categories)}, got {unknown}: no "
            "row that the encoding was made from has such a category."
        )
    found = np.array([-1 if place is None else place for place in places], int)[rows]
    if unknown and counts is not None:
        counts.unknown[column.name] += int((found < 0).sum())
    return found


def _places(values: Sequence[object], categories: Sequence[str]) -> list[int | None]:
    """Return the place of each value among the categories, or None where it is none of them.

    A value is the category that it equals as text. Otherwise it is the only category that spells
    the same number or bool, if it may stand for it: pandas reads "01" and "true" as text, a number,
    or a bool, depending on what else stands in their column.
    """
    exact = {category: place for place, category in enumerate(categories)}
    by_meaning: dict[object, list[int]] = {}
    for place, category in enumerate(categories):
        by_meaning.setdefault(_meaning(_parse(category)), []).append(place)

    def place_of(value: object) -> int | None:
        if str(value) in exact:
            return exact[str(value)]
        places = by_meaning.get(_meaning(_parse(str(value))), [])
        if len(places) == 1 and _form_of(value) in _forms_of(categories[places[0]]):
            return places[0]
        return None

    return [place_of(value) for value in values]


def _meaning(value: str | bool | int | float) -> object:
    """Return a key that tells True from 1, which are equal in Python."""
    return (isinstance(value, bool), value)


def _forms_of(category: str) -> set[str]:
    """Return the forms in which a category may stand in other tables.

    The text "10.0" is what the number 10 prints as, and stands for it however it is written. "4E1"
    or "01" is not what its number prints as, and stands only for the number that pandas reads from
    it: "4E1" is read as a float, and "01" as an integer, or as a float among floats.
    """
    value = _parse(category)
    if category == str(value):
        return {"text", "bool"} if isinstance(value, bool) else {"text", "int", "float"}
    return {bool: {"bool"}, int: {"int", "float"}, float: {"float"}}.get(type(value), set())


def _form_of(value: object) -> str:
    """Return the form in which a value stands in its table."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Integral):
        return "int"
    if isinstance(value, Real):
        return "float"
    parsed = _parse(str(value))
    is_print = isinstance(parsed, bool) or str(parsed) == str(value)
    return "text" if is_print else "unusual text"


def _parse(text: str) -> str | bool | int | float:
    """Return the number or bool that pandas reads from a text, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isascii() and "_" not in text:  # Python alone reads 1_0 as a number
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(text)
    return text
