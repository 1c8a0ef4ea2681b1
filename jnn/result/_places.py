"""The places of members in a population that an index, a list, a mask or settings name."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from jnn.result._table import check_value, matches
from jnn.study import Members


def check_place(name: str, index: Any, count: int) -> None:
    """Check the index of one member, which may count from the end as -1, -2, ..."""
    sentence = (
        f"{name} must be the index of one of {count} members, which count from 0, got {index!r}. "
        f"Pass an integer from 0 to {count - 1}."
    )
    if isinstance(index, bool) or not isinstance(index, Integral):
        raise TypeError(sentence)
    if not -count <= int(index) < count:
        raise ValueError(sentence)


def places_of(indices: Any, count: int) -> np.ndarray:
    """Return the places of members that a list of integers, a mask or a slice names."""
    if isinstance(indices, slice):
        return np.arange(count)[indices]
    places = np.asarray(indices)
    if places.size == 0 and places.ndim == 1:
        return np.arange(0)
    if places.ndim != 1 or places.dtype.kind not in "iub":
        raise TypeError(
            "indices must be a list of places of members, or a mask of all of them, got "
            f"{indices!r}. Pass for example [0, 2]."
        )
    try:
        return np.arange(count)[places]
    except IndexError as error:
        raise ValueError(
            f"indices must be places of {count} members, which count from 0, or a mask of "
            f"{count}, got {indices!r}. Look at result.members."
        ) from error


def places_with(members: Members, values: Mapping[str, float | str]) -> np.ndarray:
    """Return the places of the members that have these settings, or this `seed` and `fold`.

    Raises:
        TypeError: If a value is not of the kind of its setting.
        ValueError: If there is no such setting, or no such member.
    """
    columns = members.columns()
    if unknown := sorted(values.keys() - columns.keys()):
        raise ValueError(f"Members are selected by {sorted(columns)}, got {unknown}.")
    chosen = np.ones(len(members), bool)
    for name, value in values.items():
        column = columns[name]
        if column.ndim > 1:
            raise TypeError(
                f"{name} holds arrays. Select one by its number, e.g. {name}_index=0, "
                "and any members by result.take(indices)."
            )
        check_value(name, value, column)
        chosen &= np.isnan(column) if value != value else matches(column, value)
    if not chosen.any():
        raise ValueError(f"No member has {values}. Look at result.members.columns().")
    return np.flatnonzero(chosen)
