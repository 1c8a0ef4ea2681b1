"""From a pandas table to arrays, and the `Encoding` that turns later rows into the same features."""

import dataclasses
import json
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

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
        missing = sorted({column.name for column in self.columns} - set(frame.columns))
        if missing:
            raise ValueError(f"wanted the columns the data set was made from, got none named {missing}: add them")
        check_complete(frame[[column.name for column in self.columns]])
        return np.concatenate([_encode_column(column, frame[column.name]) for column in self.columns], axis=1)

    def to_json(self) -> str:
        """The encoding as JSON; `Encoding.from_json` reads it back."""
        return json.dumps([column._asdict() for column in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "Encoding":
        """The encoding that `to_json` wrote."""
        names = ((column["name"], column["categories"]) for column in json.loads(text))
        return cls(tuple(Column(name, None if cats is None else tuple(cats)) for name, cats in names))


def read_csv(path: str | PathLike[str], separator: str) -> tuple["pd.DataFrame", str]:
    """The table in a CSV file and the file's name without its ending; one sentence where it cannot be read."""
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"wanted a CSV file, got {str(path)!r}, which is no file: check the path")
    try:
        return pd.read_csv(path, sep=separator, low_memory=False), path.stem
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"wanted a CSV table in UTF-8 with a header line, got {str(path)!r}: {error}") from error


def fit_encoding(features: "pd.DataFrame") -> Encoding:
    """The encoding of a table without missing values."""
    return Encoding(tuple(_fit_column(str(name), features[name]) for name in features.columns))


def select(frame: "pd.DataFrame", targets: Sequence[str], drop: Sequence[str]) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The columns of features and those of targets, all complete; every name must be there, once."""
    repeated = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise ValueError(f"wanted columns of different names, got {repeated} more than once: rename them")
    unknown = sorted({*targets, *drop} - set(frame.columns))
    if unknown:
        raise ValueError(
            f"wanted columns among {[str(name) for name in frame.columns]}, got {unknown}: "
            "check the spelling, and the separator if several names stand in one"
        )
    features = frame.drop(columns=[*targets, *drop])
    if not len(frame) or not len(features.columns):
        raise ValueError(
            f"wanted at least one row and one column of features, got {len(frame)} rows and {len(features.columns)} "
            "columns beside the target: check the file and the columns that are dropped"
        )
    check_complete(frame[[*features.columns, *targets]])
    return features, frame[list(targets)]


def target_values(column: "pd.Series") -> np.ndarray:
    """A complete target column as numbers, bools or text; dates and text among numbers are refused."""
    if _fit_column(str(column.name), column, as_target=True).categories is None:
        return column.to_numpy(np.float64 if column.dtype.kind == "f" else np.int64)
    return column.to_numpy(bool) if column.dtype.name in ("bool", "boolean") else _as_text(column).to_numpy(object)


def check_complete(frame: "pd.DataFrame") -> None:
    """No value is missing."""
    counts = frame.isna().sum()
    holes = [f"{count} in {str(name)!r}" for name, count in counts.items() if count]
    if holes:
        raise ValueError(
            f"wanted a value in every row, got missing values: {', '.join(holes)} (of {len(frame)} rows): "
            "fill them, or drop these rows or columns, before"
        )


def _fit_column(name: str, column: "pd.Series", as_target: bool = False) -> Column:
    from pandas.api import types

    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column) and not types.is_complex_dtype(column):
        return Column(name, None)
    if not (
        types.is_bool_dtype(column) or types.is_string_dtype(column) or column.dtype.name in ("category", "object")
    ):
        raise ValueError(_not_a_feature(name, f"type {column.dtype}"))
    text = _as_text(column)
    if column.dtype.name != "category":  # whoever says category means it
        _check_text(name, text)
    categories = tuple(sorted(text.unique()))
    if not as_target and len(categories) > max(20, len(text) / 2):
        raise ValueError(
            f"wanted categories that come again, got {len(categories)} different texts in the {len(text)} rows of "
            f"column {name!r}: leave the column out with drop=[{name!r}]"
        )
    return Column(name, categories)


def _check_text(name: str, text: "pd.Series") -> None:
    """Text is text: not dates, and not numbers with a slip in some row."""
    import pandas as pd

    if text.str.fullmatch(_DATE).mean() > 0.5:
        raise ValueError(_not_a_feature(name, f"dates such as {text.iloc[0]!r}"))
    is_number = pd.to_numeric(text, errors="coerce").notna().to_numpy()
    if is_number.all():
        raise ValueError(
            f"wanted numbers or categories in column {name!r}, got numbers written as text: "
            f"convert the column, with .astype(float) or .astype('category')"
        )
    if is_number.mean() > 0.5:
        row = int(np.argmin(is_number))
        raise ValueError(
            f"wanted a number in every row of column {name!r}, got {text.iloc[row]!r} in row {row + 1} "
            f"({(~is_number).sum()} such rows, the first row after the header is row 1): correct or drop these rows"
        )


def _encode_column(column: Column, values: "pd.Series") -> np.ndarray:
    if column.categories is None:
        if _fit_column(column.name, values, as_target=True).categories is not None:
            raise ValueError(f"wanted numbers in column {column.name!r}, got {values.iloc[0]!r}: correct these rows")
        with np.errstate(over="ignore"):  # Dataset says it in a sentence
            return values.to_numpy(np.float32)[:, None]
    text = _as_text(values).to_numpy(object)
    unknown = sorted(set(text) - set(column.categories))
    if unknown:
        raise ValueError(
            f"wanted one of {list(column.categories)} in column {column.name!r}, got {unknown}: "
            "the data set that was trained on has no such category"
        )
    return (text[:, None] == np.array(column.categories, object)).astype(np.float32)


def _as_text(column: "pd.Series") -> "pd.Series":
    return column.astype(object).map(str)


def _not_a_feature(name: str, what: str) -> str:
    return (
        f"wanted numbers, text, categories or bools in column {name!r}, got {what}: leave it out with "
        f"drop=[{name!r}] or turn it into numbers before, such as the month or the days since the first"
    )
