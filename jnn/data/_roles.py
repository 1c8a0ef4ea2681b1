"""Columns of a table that say what a row is, and are no features: its group and its time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data._columns import as_text, check_known, clean_name, columns_by_name, is_number
from jnn.data._dates import as_times
from jnn.data._missing import Missing

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
    groups, times = (clean_name(role) if _is_name(role) else role for role in (groups, times))
    names = role_names(groups, times)
    if not names:
        return frame, groups, times
    columns = columns_by_name(frame)
    check_known(columns, names)
    if len(set(names)) < len(names):
        raise ValueError(f"groups and times must be different columns, got {names[0]!r} for both.")
    if _is_name(groups):
        groups = _groups_of(groups, columns[groups])
    if _is_name(times):
        times = as_times(times, columns[times])
    return frame.loc[:, [name not in names for name in columns]], groups, times


def with_roles(
    frame: "pd.DataFrame", groups: Any, times: Any, missing: Missing
) -> "tuple[pd.DataFrame, Any, Any, tuple[str, ...]]":
    """Return the table, groups and times without rows that lack a group or a time, and a note.

    Only with "drop" or "fill" are rows left out, as those without a target or a weight.
    """
    columns = columns_by_name(frame) if missing != "error" else {}
    names = role_names(groups, times)
    counts = {name: int(columns[name].isna().sum()) for name in names if name in columns}
    counts = {name: count for name, count in counts.items() if count}
    if not counts:
        return frame, groups, times, ()
    is_used = ~np.logical_or.reduce([columns[name].isna().to_numpy() for name in counts])
    if not is_used.any():
        raise ValueError(
            f"The table must have a row with a value in {list(counts)}, got none in {len(frame)} "
            "rows. Name other columns."
        )
    groups, times = (
        role if role is None or _is_name(role) else np.asarray(role)[is_used]
        for role in (groups, times)
    )
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
    note = f"{(~is_used).sum()} of {len(frame)} rows are left out, missing are {listed}"
    return frame.loc[is_used], groups, times, (note,)


def role_names(groups: Any, times: Any) -> list[str]:
    """Return the names of the columns of groups and times; none for arrays and None."""
    return [clean_name(role) for role in (groups, times) if _is_name(role)]


def check_role_names(groups: Any, times: Any, others: Mapping[str, tuple[str, ...]]) -> None:
    """Raise if the column of groups or of times is also named for another use.

    Args:
        groups: Name of a column, or anything else.
        times: Likewise.
        others: Names of columns by the argument that names them.
    """
    for role, name in (("groups", groups), ("times", times)):
        if not _is_name(name):
            continue
        for argument, names in others.items():
            if clean_name(name) in names:
                raise ValueError(
                    f"{role} must name a column of its own, got {name!r}, which is also that of "
                    f"{argument}. Name it for one of them."
                )


def _is_name(role: Any) -> bool:
    """Return whether a role is the name of a column; names may be numbers."""
    return isinstance(role, str | int)


def _groups_of(name: str, column: "pd.Series") -> np.ndarray:
    """Return the group of each row; a missing value would put strangers into one group."""
    if column.isna().any():
        raise ValueError(
            f"Every row must have a group, got {int(column.isna().sum())} missing values in column "
            f"{name!r}. Fill them in, or pass missing='drop' to leave these rows out."
        )
    return column.to_numpy() if is_number(column) else as_text(column).to_numpy(str)
