"""From the columns of a pandas table to arrays, and the `Encoding` of later rows."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from numbers import Integral, Real
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
    is_categorical,
    is_number,
    is_single,
    refuse_text,
)

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """One column of a table that is a feature.

    Attributes:
        name: Name of the column.
        categories: Its sorted categories, or None if it holds numbers.
    """

    name: str
    categories: tuple[str, ...] | None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of its features: its own for numbers, else `name=value` for each category."""
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)


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

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """Encode the rows of a table as features, float32 [rows, features].

        Columns that the encoding does not name are ignored.

        Raises:
            ValueError: If a column or a value is missing, text stands among numbers, or a category
                is unknown.
        """
        columns = columns_by_name(frame)
        missing = sorted({column.name for column in self.columns} - set(columns))
        if missing:
            raise ValueError(
                "The table must have all columns that the features were made from, got none named "
                f"{missing}. Add them."
            )
        check_complete({column.name: columns[column.name] for column in self.columns})
        features = [_encode_column(column, columns[column.name]) for column in self.columns]
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
            columns.append(
                Column(fields["name"], None if categories is None else tuple(categories))
            )
        return cls(tuple(columns))


class SelectedColumns(NamedTuple):
    """The columns of a table by their roles."""

    features: "dict[str, pd.Series]"
    targets: "dict[str, pd.Series]"
    weights: np.ndarray | None


def select_columns(
    frame: "pd.DataFrame",
    target: Names | None,
    weights: str | int | None,
    text: str | int | None,
    drop: Names,
) -> SelectedColumns:
    """Select the columns of features, targets, and weights, complete and of at least one row.

    With `text`, the column of this name is the only feature; see `Dataset.from_dataframe`.
    """
    columns = columns_by_name(frame)
    targets = () if target is None else as_names(target)
    weight = _weight_names(weights)
    others = {*targets, *weight, *as_names(drop)}
    check_known(columns, [*others, *(() if text is None else (str(text),))])
    if set(weight) & set(targets):
        raise ValueError(f"weights must name a column of its own, got the target {weights!r}.")
    features = {name: values for name, values in columns.items() if name not in others}
    if text is not None:
        features = {name: values for name, values in features.items() if name == str(text)}
    rows = len(next(iter(columns.values()), ()))
    if not (features and rows) or (target is not None and not targets):
        raise ValueError(
            f"The table must have rows, features and a target, got {rows} rows, {len(features)} "
            f"columns of features and {len(targets)} targets. Check the table and the columns that "
            "are dropped."
        )
    selected = {name: columns[name] for name in targets}
    weighted = {name: columns[name] for name in weight}
    check_complete({**features, **selected, **weighted})
    check_named(features)
    return SelectedColumns(features, selected, _weights_of(weighted))


def fit_encoding(features: "dict[str, pd.Series]") -> Encoding:
    """Fit the encoding of columns without missing values."""
    columns = [Column(name, _categories(name, values)) for name, values in features.items()]
    return Encoding(tuple(columns))


def target_of(target: Names, columns: "dict[str, pd.Series]") -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the complete columns of a target as an array, and the order of its labels.

    The array is [rows] for one name, and [rows, outputs] of numbers for several. The order is that
    of a categorical column, as far as its labels occur, and () where labels are to be sorted.
    """
    if not is_single(target):
        return _target_matrix(columns), ()
    ((name, values),) = columns.items()
    if not is_categorical(values):
        return _target_values(name, values), ()
    order = map(str, values.cat.remove_unused_categories().cat.categories)
    return checked_text(name, values).to_numpy(object), tuple(dict.fromkeys(order))


def _weight_names(weights: str | int | None) -> tuple[str, ...]:
    if weights is None:
        return ()
    if not is_single(weights):
        raise TypeError(
            f"weights must be the name of a column, got a {type(weights).__name__}. Add the "
            "weights to the table as a column."
        )
    return (str(weights),)


def _weights_of(columns: "dict[str, pd.Series]") -> np.ndarray | None:
    for name, values in columns.items():
        if not is_number(values):
            refuse_text(name, values)
        return values.to_numpy(np.float64)
    return None


def _target_values(name: str, column: "pd.Series") -> np.ndarray:
    """Return numbers, bools, or text; dates and text among numbers are refused."""
    if is_number(column):
        return column.to_numpy({"f": np.float64, "i": np.int64, "u": np.uint64}[column.dtype.kind])
    if column.dtype.name in ("bool", "boolean"):
        return column.to_numpy(bool)
    return checked_text(name, column).to_numpy(object)


def _target_matrix(columns: "dict[str, pd.Series]") -> np.ndarray:
    for name, values in columns.items():
        if not is_number(values):
            raise ValueError(
                f"Each of the targets {list(columns)} must hold numbers, got {values.iloc[0]!r} in "
                f"{name!r}. Correct the column, or pass a single target for labels."
            )
    return np.stack([values.to_numpy(np.float64) for values in columns.values()], axis=1)


def _categories(name: str, column: "pd.Series") -> tuple[str, ...] | None:
    """Return the sorted categories of a column of features, or None for numbers."""
    if is_number(column):
        return None
    categories = tuple(sorted(set(checked_text(name, column))))
    if len(categories) > max(20, len(column) / 2):
        raise ValueError(
            f"Column {name!r} must hold categories that occur again, got {len(categories)} "
            f"different texts in {len(column)} rows. Leave the column out with drop=[{name!r}]."
        )
    return categories


def _encode_column(column: Column, values: "pd.Series") -> np.ndarray:
    """Encode one column as [rows, 1] numbers or [rows, categories] zeros and ones."""
    import pandas as pd

    if column.categories is None:
        if not is_number(values):
            refuse_text(column.name, values)
        with np.errstate(over="ignore"):  # Dataset says it in a sentence
            return values.to_numpy(np.float32)[:, None]
    rows, distinct = pd.factorize(as_text(values))
    firsts = np.unique(rows, return_index=True)[1]
    places = _places(values.astype(object).iloc[firsts].tolist(), column.categories)
    unknown = sorted(text for text, place in zip(distinct, places, strict=True) if place is None)
    if unknown:
        raise ValueError(
            f"Column {column.name!r} must hold one of {list(column.categories)}, got {unknown}: no "
            "row that the encoding was made from has such a category."
        )
    return np.eye(len(column.categories), dtype=np.float32)[np.array(places, int)[rows]]


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
