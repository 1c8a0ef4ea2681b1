"""A single split: a share of the rows set aside, at random or at the end."""

import dataclasses

import numpy as np

from jnn.data import Dataset
from jnn.study._kind import (
    Kind,
    before,
    groups_of,
    in_time,
    kind_for,
    kind_prefix,
    label_name,
    strata_of,
)


@dataclasses.dataclass(frozen=True)
class HoldOut:
    """A single fold whose test part is a share of the rows."""

    share: float
    kind: Kind = "auto"
    seed: int = 0

    @property
    def description(self) -> str:
        """The share, the kind and the seed, such as "plain hold-out of 0.2 (seed 0)"."""
        if self.kind == "time":  # has no seed, as nothing is shuffled
            return f"hold-out of the last {self.share:g}"
        return f"{kind_prefix(self.kind)}hold-out of {self.share:g} (seed {self.seed})"

    @property
    def count(self) -> int:
        """The number of folds: one."""
        return 1

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return (train rows, test rows) of the one fold."""
        kind = kind_for(self.kind, data)
        return [part_off(np.arange(data.rows), self.share, data, kind=kind, seed=self.seed)]


def part_off(
    rows: np.ndarray, share: float, data: Dataset, *, kind: Kind, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers in two, and return the rows that stay and those that are set aside.

    Args:
        rows: Row numbers of `data`.
        share: Share of the rows, or of the groups for kind="grouped", that is set aside.
        data: The data set that the rows belong to.
        kind: A kind other than "auto", see `kind_for`. "time" sets the last rows aside and leaves
            out the rows whose window reaches into them, and those of the same time.
        seed: Seed of the shuffling; without effect for "time".

    Raises:
        ValueError: If there are too few rows, groups or rows of a class.
    """
    if len(rows) < 2:
        raise ValueError(f"At least 2 rows are needed for a split, got {len(rows)}. Add data.")
    if kind == "time":
        return _last_part(rows, share, data)
    if kind == "grouped":
        return _part_of_groups(rows, share, groups_of(data)[rows], seed)
    labels = strata_of(data, 2, rows) if kind == "stratified" else None
    if labels is not None:
        _check_classes(labels, share, data)
    return _random_part(rows, share, labels, seed)


def _check_classes(labels: np.ndarray, share: float, data: Dataset) -> None:
    """Raise if a class has a single row, which cannot be in both parts."""
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = label_name(data, classes[counts.argmin()])
        raise ValueError(
            f"A share of {share:g} of {len(labels)} rows cannot be set aside with every class in "
            f"both parts: class {name!r} has 1 row. Leave it out or add rows, or use "
            "kind='plain'."
        )


def _last_part(rows: np.ndarray, share: float, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    ordered = in_time(rows, data)
    size = max(1, round(share * len(rows)))
    last = ordered[-size:]
    return before(ordered[: max(0, len(rows) - size - data.gap)], last, data), last


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
