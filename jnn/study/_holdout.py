"""A single split: the kind of split that a data set needs, and rows set aside by it."""

from typing import Literal

import numpy as np

from jnn.data import Dataset

Kind = Literal["auto", "plain", "stratified", "grouped", "time"]


def kind_for(kind: Kind, data: Dataset) -> Kind:
    """Return the kind of split that `kind` means for this data.

    "auto" becomes "time" for windows of a series, "grouped" where the data has groups, "stratified"
    for one label per row, and "plain" otherwise. Any other kind is returned as it is.

    Raises:
        ValueError: If the data does not allow this kind.
    """
    if data.is_series and kind not in ("auto", "time"):
        raise ValueError(
            f"kind must be 'time' for windows of a series, got {kind!r}. Overlapping windows would "
            "be in both parts: use kind='time', or give the rows of each part."
        )
    if kind == "stratified" and not _has_labels(data):
        shape = None if data.y is None else data.y.shape
        raise ValueError(
            f"kind='stratified' needs one label per row, got a {data.task} data set with y of "
            f"shape {shape}. Use kind='plain'."
        )
    if data.is_series:
        return "time"
    if kind != "auto":
        return kind
    if data.groups is not None:
        return "grouped"
    return "stratified" if _has_labels(data) else "plain"


def part_off(
    rows: np.ndarray, share: float, data: Dataset, *, kind: Kind, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers in two, and return the rows that stay and those that are set aside.

    Args:
        rows: Row numbers of `data`.
        share: Share of the rows, or of the groups for kind="grouped", that is set aside.
        data: The data set that the rows belong to.
        kind: A kind other than "auto", see `kind_for`. "time" sets the last rows aside and leaves
            out the rows whose window reaches into them.
        seed: Seed of the shuffling; without effect for "time".

    Raises:
        ValueError: If there are too few rows, groups or rows of a class.
    """
    if len(rows) < 2:
        raise ValueError(f"At least 2 rows are needed for a split, got {len(rows)}. Add data.")
    if kind == "time":
        return _last_part(rows, share, data.gap)
    if kind == "grouped":
        return _part_of_groups(rows, share, groups_of(data)[rows], seed)
    labels = np.asarray(data.y)[rows] if kind == "stratified" else None
    return _random_part(rows, share, labels, seed)


def groups_of(data: Dataset) -> np.ndarray:
    """Return the group of each row.

    Raises:
        ValueError: If the data has no groups.
    """
    if data.groups is None:
        raise ValueError(
            "kind='grouped' needs the group of each row, but the data has none. Set "
            "Dataset(groups=...)."
        )
    return data.groups


def _has_labels(data: Dataset) -> bool:
    """Return whether each row has one label."""
    return data.task == "classification" and data.y is not None and data.y.ndim == 1


def _last_part(rows: np.ndarray, share: float, gap: int) -> tuple[np.ndarray, np.ndarray]:
    ordered = np.sort(rows)
    size = max(1, round(share * len(rows)))
    return ordered[: max(0, len(rows) - size - gap)], ordered[-size:]


def _part_of_groups(
    rows: np.ndarray, share: float, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupShuffleSplit

    if len(np.unique(groups)) < 2:
        raise ValueError(
            "kind='grouped' needs at least 2 groups to set one aside, but the rows are of one "
            "group. Use kind='plain'."
        )
    splitter = GroupShuffleSplit(1, test_size=share, random_state=seed)
    train, test = next(splitter.split(rows, groups=groups))
    return rows[train], rows[test]


def _random_part(
    rows: np.ndarray, share: float, labels: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        raise ValueError(
            f"A share of {share:g} of {len(rows)} rows cannot be set aside with every class in "
            f"both parts: {error} Use kind='plain' or add data."
        ) from None
    return np.asarray(train), np.asarray(test)
