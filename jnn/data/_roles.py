"""Columns of a table that say what a row is, and are no features: its group and its time."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data._columns import as_text, check_known, columns_by_name, is_number
from jnn.data._dates import as_times

if TYPE_CHECKING:
    import pandas as pd


def take_roles(
    frame: "pd.DataFrame", groups: Any, times: Any
) -> "tuple[pd.DataFrame, np.ndarray | None, np.ndarray | None]":
    """Return the table without the columns of groups and times, the groups and the times.

    Args:
        frame: A pandas table.
        groups: Name of a column, an array with the group of each row, or None.
        times: Name of a column, an array with the time of each row, or None.

    Raises:
        ValueError: If there is no such column, if a value is missing, or if a time is no date.
    """
    names = [str(role) for role in (groups, times) if _is_name(role)]
    if not names:
        return frame, groups, times
    columns = columns_by_name(frame)
    check_known(columns, names)
    if len(set(names)) < len(names):
        raise ValueError(f"groups and times must be different columns, got {names[0]!r} for both.")
    if _is_name(groups):
        groups = _groups_of(str(groups), columns[str(groups)])
    if _is_name(times):
        times = as_times(str(times), columns[str(times)])
    return frame.loc[:, [name not in names for name in columns]], groups, times


def _is_name(role: Any) -> bool:
    """Return whether a role is the name of a column; names may be numbers."""
    return isinstance(role, str | int)


def _groups_of(name: str, column: "pd.Series") -> np.ndarray:
    """Return the group of each row; a missing value would put strangers into one group."""
    if column.isna().any():
        raise ValueError(
            f"Every row must have a group, got {int(column.isna().sum())} missing values in column "
            f"{name!r}. Fill them in, or drop these rows."
        )
    return column.to_numpy() if is_number(column) else as_text(column).to_numpy(str)
