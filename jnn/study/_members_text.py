"""The text of a population: one line for its axes, and a line for each column of listed members."""

from collections.abc import Mapping, Sequence

import numpy as np

from jnn.study._splits import Split

_MOST = 6  # values that are written out before they are abbreviated
_COUNTED = ("seed", "fold", "sample")  # axes whose entries are counted by their own name


def axis_text(name: str, columns: Mapping[str, np.ndarray], split: Split | None) -> str:
    """Describe an axis by its length and its values, such as "2 values of a (0.1, 0.2)"."""
    length = len(next(iter(columns.values())))
    if name == "fold" and split is not None and length == len(split):
        return split.description
    text = _axis_length(name, length)
    if name == "member" or (name == "seed" and columns["seed"][0] == 0):
        return text
    if name in columns and name != "sample":
        return f"{text} ({_values_text(columns[name])})"
    settings = {key: column for key, column in columns.items() if is_setting(key)}
    values = [f"{key} {_range_text(column)}" for key, column in settings.items()]
    return f"{text} ({'; '.join(values)})"


def is_setting(name: str) -> bool:
    """Return whether a column is a setting, and does not only count entries."""
    return name not in ("sample", "member") and not name.endswith("_index")


def column_text(name: str, column: np.ndarray, split: Split | None) -> str:
    """Describe a column of listed members by its distinct values, such as "seed: 0, 1, 7"."""
    text = f"{name}: {_values_text(column)}"
    if name == "fold" and split is not None:
        return f"{text} of {split.description}"
    return text


def _axis_length(name: str, length: int) -> str:
    """Return such as "3 seeds" for an axis that only counts, "2 values of a" for a setting."""
    if name == "member":
        return f"{length} listed"
    plural = "" if length == 1 else "s"
    if name in _COUNTED:
        return f"{length} {name}{plural}"
    return f"{length} value{plural} of {name}"


def _values_text(column: np.ndarray) -> str:
    """List the distinct values in the order in which they appear first."""
    if column.ndim > 1:
        return f"arrays of shape {column.shape[1:]}"
    _, first = np.unique(column, return_index=True)
    values = [_value_text(value) for value in column[np.sort(first)]]
    return _abbreviated(values)


def _range_text(column: np.ndarray) -> str:
    """List few distinct values, or give the bounds of many numbers."""
    if column.ndim > 1 or column.dtype.kind not in "fiu":
        return _values_text(column)
    values = np.unique(column)
    if len(values) > _MOST:
        return f"{_value_text(values[0])} to {_value_text(values[-1])}"
    return _abbreviated([_value_text(value) for value in values])


def _abbreviated(values: Sequence[str]) -> str:
    if len(values) > _MOST:
        values = [*values[:3], "...", values[-1]]
    return ", ".join(values)


def _value_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
