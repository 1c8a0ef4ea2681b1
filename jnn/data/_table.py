"""From the columns of a pandas table to features, targets and weights by their roles."""

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn.data._columns import (
    Names,
    as_names,
    as_text,
    check_known,
    check_named,
    checked_text,
    columns_by_name,
    counts_rows,
    is_categorical,
    is_number,
    is_single,
    is_unnamed,
    refuse_text,
    unusable_features,
)
from jnn.data._missing import Missing, numbers_with_marks, refuse_missing

if TYPE_CHECKING:
    import pandas as pd


class Reading(NamedTuple):
    """What a user says about the values of a table's columns.

    Attributes:
        missing: What becomes of rows with missing values, "error", "drop" or "fill".
        category: Names of columns that hold categories, whatever their values look like.
        numeric: Names of columns that hold numbers; other values in them are missing.
        has_labels: Whether the target is known to hold labels.
    """

    missing: Missing = "error"
    category: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    has_labels: bool = False


class SelectedColumns(NamedTuple):
    """The columns of a table by their roles.

    Attributes:
        features: Columns that become features.
        targets: Columns of targets, complete.
        weights: Weight of each row, or None.
        rows: Which of the table's rows these are, or None if they are all of them.
        notes: Sentences that say what was left out or is filled.
    """

    features: "dict[str, pd.Series]"
    targets: "dict[str, pd.Series]"
    weights: np.ndarray | None
    rows: np.ndarray | None
    notes: tuple[str, ...]


def select_columns(
    frame: "pd.DataFrame",
    target: Names | None,
    weights: str | int | None,
    text: str | int | None,
    drop: Names,
    reading: Reading,
) -> SelectedColumns:
    """Select the columns of features, targets, and weights, of at least one row.

    With `text`, the column of this name is the only feature; see `Dataset.from_dataframe`.
    """
    columns = columns_by_name(frame)
    targets = () if target is None else as_names(target)
    weight = _weight_names(weights)
    roles = {*targets, *weight, *as_names(drop)}
    text_name = () if text is None else as_names(text)
    check_known(columns, [*roles, *text_name, *reading.category, *reading.numeric])
    _check_roles(targets, weight, reading)
    features = {name: values for name, values in columns.items() if name not in roles}
    if text is not None:
        features = {name: values for name, values in features.items() if name in text_name}
    rows = len(next(iter(columns.values()), ()))
    if not (features and rows) or (target is not None and not targets):
        raise ValueError(
            f"The table must have rows, features and a target, got {rows} rows, {len(features)} "
            f"columns of features and {len(targets)} targets. Check the table and the columns that "
            "are dropped."
        )
    features, notes = _without_empty(features)
    features = {
        name: _read_feature(name, values, reading, is_text=name in text_name)
        for name, values in features.items()
    }
    selected = {name: _read_target(name, columns[name], reading) for name in targets}
    weighted = {name: _read_feature(name, columns[name], reading, False) for name in weight}
    check_named(features)
    others = {**selected, **weighted}
    rows_used, more = _usable_rows(features, others, reading, has_text=text is not None)
    gaps = [name for name, values in selected.items() if values.isna().any()]
    features, selected, weighted = (
        _rows_of(part, rows_used) for part in (features, selected, weighted)
    )
    selected |= {name: _as_integers(selected[name]) for name in gaps}
    notes = (*notes, *more, *_notes_of_counters(features))
    return SelectedColumns(features, selected, _weights_of(weighted), rows_used, notes)


def _check_roles(targets: tuple[str, ...], weight: tuple[str, ...], reading: Reading) -> None:
    """Raise if a column is given two roles that exclude each other."""
    if set(weight) & set(targets):
        raise ValueError(
            f"weights must name a column of its own, got the target {weight[0]!r}. Name another."
        )
    if set(weight) & set(reading.category):
        raise ValueError(
            f"weights must name a column of numbers, got {weight[0]!r}, which is also named as a "
            "category. Leave it out there."
        )
    both = sorted(set(reading.category) & set(reading.numeric))
    if both:
        raise ValueError(
            f"category and numeric must name different columns, got {both} in both. Leave them "
            "out of one."
        )


def _as_integers(values: "pd.Series") -> "pd.Series":
    """Return whole numbers as integers, which pandas reads as floats where one is missing."""
    numbers = values.to_numpy()
    if numbers.dtype.kind != "f" or not (np.abs(numbers) < 2**53).all():
        return values
    return values.astype(np.int64) if (numbers == np.floor(numbers)).all() else values


def _rows_of(columns: "dict[str, pd.Series]", rows: np.ndarray | None) -> "dict[str, Any]":
    """Return some rows of columns; all of them for None."""
    if rows is None:
        return columns
    return {name: values[rows] for name, values in columns.items()}


def _without_empty(
    features: "dict[str, pd.Series]",
) -> "tuple[dict[str, pd.Series], tuple[str, ...]]":
    """Leave out columns without a name and any value, as separators at the ends of lines make."""
    empty = [name for name, values in features.items() if is_unnamed(name) and values.isna().all()]
    if not empty or len(empty) == len(features):
        return features, ()
    rest = {name: values for name, values in features.items() if name not in empty}
    return rest, (f"{len(empty)} columns without a name and a value are left out",)


def _read_feature(name: str, values: "pd.Series", reading: Reading, is_text: bool) -> "pd.Series":
    """Return a column of features as numbers, or as what it is."""
    import pandas as pd

    if is_text:
        return values
    if name in reading.category:
        return values.astype(object).map(str, na_action="ignore").astype("category")
    if name in reading.numeric and not is_number(values):
        numbers = pd.Series(pd.to_numeric(as_text(values), errors="coerce"), values.index)
        return numbers.astype(np.float64)
    if values.dtype.kind == "O" and not is_categorical(values):
        if values.isna().all():
            return values.astype(np.float64)
        numbers = numbers_with_marks(values)
        return values if numbers is None else numbers
    return values


def _read_target(name: str, values: "pd.Series", reading: Reading) -> "pd.Series":
    """Return a column of targets; labels stay text, whatever numbers they spell."""
    is_text = values.dtype.kind == "O" and not is_categorical(values)
    if name not in reading.numeric and is_text and reading.has_labels:
        return values.map(str, na_action="ignore").astype("category")
    return _read_feature(name, values, reading, is_text=False)


def _usable_rows(
    features: "dict[str, pd.Series]",
    others: "dict[str, pd.Series]",
    reading: Reading,
    has_text: bool,
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return which rows are used, None for all, and what is said about them."""
    columns = {**features, **others}
    if reading.missing == "error":
        unusable = dict if has_text else functools.partial(unusable_features, features)
        refuse_missing(columns, is_free=not has_text, unusable=unusable)
        return None, ()
    rows = len(next(iter(columns.values())))
    empty = [name for name, values in columns.items() if values.isna().all()]
    without_target = [name for name in empty if name in others]
    if without_target:
        raise ValueError(
            f"Targets and weights must have values, got none in {rows} rows of {without_target}. "
            "Name other columns."
        )
    if empty:
        raise ValueError(
            f"Every column must have a value, got none in {rows} rows of {empty}. Leave them out "
            f"with drop={empty!r}."
        )
    needed = columns if reading.missing == "drop" or has_text else others
    is_used = np.logical_and.reduce(
        [np.ones(rows, bool), *(values.notna().to_numpy() for values in needed.values())]
    )
    notes = []
    if not is_used.all():
        counts = _count_missing(needed)
        notes.append(f"{rows - is_used.sum()} of {rows} rows are left out, missing are {counts}")
    if not is_used.any():
        raise ValueError(
            f"The table must have a row without missing values, got none in {rows} rows: missing "
            f"are {_count_missing(needed)}. Pass missing='fill', or leave columns out with drop."
        )
    filled = {} if reading.missing == "drop" or has_text else features
    counts = _count_missing(_rows_of(filled, is_used))
    if counts:
        notes.append(
            f"missing values are filled with the median of the training rows, or are a category: "
            f"{counts}"
        )
    return (None if is_used.all() else is_used), tuple(notes)


def _count_missing(columns: "dict[str, pd.Series]") -> str:
    counts = {name: int(values.isna().sum()) for name, values in columns.items()}
    return ", ".join(f"{count} in {name!r}" for name, count in counts.items() if count)


def _notes_of_counters(features: "dict[str, pd.Series]") -> tuple[str, ...]:
    """Say which columns count the rows, because they may tell the target of sorted rows."""
    names = [name for name, values in features.items() if counts_rows(values)]
    if len(names) == len(features):
        return ()
    return tuple(
        f"column {name!r} counts the rows and is a feature; drop=[{name!r}] leaves it out"
        for name in names
    )


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
