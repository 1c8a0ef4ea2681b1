"""The kinds of splits, and the kind that a data set needs."""

from typing import Literal, get_args

import numpy as np

from jnn.data import Dataset, Windows, shapes_of_rows

Kind = Literal["auto", "plain", "stratified", "grouped", "time"]


def check_kind(kind: str) -> None:
    """Raise unless `kind` is the name of a kind of split."""
    kinds = get_args(Kind)
    if kind not in kinds:
        raise ValueError(f"kind must be one of {kinds}, got {kind!r}. Use e.g. kind='auto'.")


def kind_prefix(kind: Kind) -> str:
    """Return the kind as the first word of a description, such as "grouped "; "" for "auto"."""
    return "" if kind == "auto" else kind + " "


def kind_for(kind: Kind, data: Dataset) -> Kind:
    """Return the kind of split that `kind` means for this data.

    "auto" becomes "time" for windows of a series and where the data has times, "grouped" where it
    has groups, "stratified" for one label per row, and "plain" otherwise. Any other kind is
    returned as it is.

    Raises:
        ValueError: If the data does not allow this kind.
    """
    if kind == "grouped" and data.groups is not None and _are_apart(data):
        return kind
    if data.is_series and kind not in ("auto", "time"):
        raise ValueError(
            f"kind must be 'time' for windows of a series, got {kind!r}. Overlapping windows would "
            "be in both parts: use kind='time', or give the rows of each part."
        )
    if kind == "stratified" and data.row_labels is None:
        raise ValueError(
            f"kind='stratified' needs one label per row, got a {data.task} data set with rows of "
            f"y of shape {shapes_of_rows(data.y)}. Use kind='plain'."
        )
    if data.is_series:
        return "time"
    if kind != "auto":
        return kind
    if data.times is not None:
        return "time"
    if data.groups is not None:
        return "grouped"
    return "plain" if data.row_labels is None else "stratified"


def _are_apart(data: Dataset) -> bool:
    """Return whether no step of a series is in windows of two groups."""
    if not isinstance(data.y, Windows) or data.y.starts is None or data.groups is None:
        return False
    order = np.argsort(data.y.starts)
    begins, groups = data.y.starts[order], data.groups[order]
    return bool((np.diff(begins) >= data.y.steps)[groups[1:] != groups[:-1]].all())


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


def in_time(rows: np.ndarray, data: Dataset) -> np.ndarray:
    """Return row numbers in the order of time: by `Dataset.times`, else by their numbers.

    Rows of the same time keep the order of their numbers.
    """
    ordered = np.sort(rows)
    if data.times is None:
        return ordered
    return ordered[np.argsort(data.times[ordered], kind="stable")]


def before(train: np.ndarray, test: np.ndarray, data: Dataset) -> np.ndarray:
    """Return the training rows whose targets are known before the time of every test row.

    Rows of one time are never in both parts: what is known of the one tells of the other.
    """
    if data.times is None:
        return train
    known = data.times if data.until is None else data.until
    return train[known[train] < data.times[test].min()]


def label_name(data: Dataset, label: int) -> str:
    """Return the name of a class, or its number if it has none."""
    names = data.target_names
    return names[label] if 0 <= label < len(names) else str(label)


def strata_of(data: Dataset, least: int, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Return the class of each row, of which every part of a stratified split has its share.

    Rows whose label is to be ignored are a class of their own; if they are fewer than `least`, they
    go with the largest class.
    """
    assert data.row_labels is not None  # as kind_for has found
    labels = data.row_labels[rows]
    is_ignored = labels < 0
    if 0 < is_ignored.sum() < least:
        return np.where(is_ignored, np.bincount(labels[~is_ignored]).argmax(), labels)
    return labels
