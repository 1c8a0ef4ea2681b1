"""Folds by their number: scikit-learn's splitter for each kind, with shuffled rows."""

import dataclasses

import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.study._kind import (
    Kind,
    before,
    check_kind,
    groups_of,
    in_time,
    kind_for,
    kind_prefix,
    label_name,
    strata_of,
)
from jnn.study._splitter_folds import Splitter, folds_of_splitter


@dataclasses.dataclass(frozen=True)
class CountedFolds:
    """A cross-validation of a given number of folds, repeated with newly shuffled rows."""

    folds: int
    kind: Kind = "auto"
    repeats: int = 1
    seed: int = 0

    @property
    def description(self) -> str:
        """The number, the kind and the seed, such as "5 stratified folds x 2 (seed 0)"."""
        if self.kind == "time":  # has no seed, as nothing is shuffled
            return f"{self.folds} folds in time"
        repeats = f" x {self.repeats}" if self.repeats > 1 else ""
        return f"{self.folds} {kind_prefix(self.kind)}folds{repeats} (seed {self.seed})"

    @property
    def count(self) -> int:
        """The number of folds of all repeats."""
        return self.folds * self.repeats

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return (train rows, test rows) of each fold."""
        kind = kind_for(self.kind, data)
        _check_rows(self.folds, data, kind)
        if kind == "time" and self.repeats > 1:
            raise ValueError(
                f"repeats must be 1 for folds in time, got {self.repeats}. Use repeats=1: rows in "
                "time have only one order."
            )
        if kind == "time":
            return _folds_in_time(self.folds, data)
        seeds = range(self.seed, self.seed + self.repeats)
        splitters = [_splitter(kind, self.folds, seed) for seed in seeds]
        labels = strata_of(data, self.folds) if kind == "stratified" else None
        groups = data.groups if kind == "grouped" else None
        return [
            fold
            for splitter in splitters
            for fold in folds_of_splitter(splitter, data, labels, groups)
        ]


def counted_folds(folds: int, kind: Kind, repeats: int, seed: int) -> CountedFolds:
    """Return the rule, after a check of its numbers."""
    if folds < 2:
        raise ValueError(
            f"folds must be at least 2, got {folds}. Use jnn.holdout for a single split."
        )
    check_kind(kind)
    repeats = check_integer("repeats", repeats)
    return CountedFolds(int(folds), kind, repeats, check_integer("seed", seed, 0))


def _folds_in_time(folds: int, data: Dataset) -> list[tuple[np.ndarray, ...]]:
    """Return folds that train on the past and test on what follows."""
    from sklearn.model_selection import TimeSeriesSplit

    ordered = in_time(np.arange(data.rows), data)
    parts = []
    for train, test in TimeSeriesSplit(folds, gap=data.gap).split(ordered):
        past = before(ordered[train], ordered[test], data)
        if not len(past):
            raise ValueError(
                f"{folds} folds in time leave fold {len(parts)} no rows to train on, because the "
                "first rows are all of one time. Use fewer folds, or times that tell them apart."
            )
        parts.append((past, ordered[test]))
    return parts


def _splitter(kind: Kind, folds: int, seed: int) -> Splitter:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    shuffled = {"plain": KFold, "stratified": StratifiedKFold, "grouped": GroupKFold}[kind]
    return shuffled(folds, shuffle=True, random_state=seed)


def _check_rows(folds: int, data: Dataset, kind: Kind) -> None:
    """Raise if the data has fewer rows, groups or rows of a class than folds."""
    if folds > data.rows:
        raise ValueError(
            f"folds must be at most the number of rows, got {folds} folds of {data.rows} rows. "
            "Use fewer folds or add data."
        )
    if kind == "time" and folds + 1 > data.rows:
        raise ValueError(
            f"folds in time must be fewer than the rows, got {folds} folds of {data.rows} rows. "
            "Use fewer folds, a shorter window and horizon, or more rows."
        )
    if kind == "time" and data.rows - data.gap <= folds * (data.rows // (folds + 1)):
        raise ValueError(
            f"{folds} folds in time leave the first fold no rows to train on: the data has "
            f"{data.rows} rows, {data.gap} of them between training and test. Use fewer folds, a "
            "shorter horizon or more rows."
        )
    if kind == "grouped":
        count = len(np.unique(groups_of(data)))
        if count < folds:
            raise ValueError(
                f"folds must be at most the number of groups, got {folds} folds of {count} groups. "
                "Use fewer folds or kind='plain'."
            )
    if kind == "stratified":
        classes, counts = np.unique(strata_of(data, folds), return_counts=True)
        rarest = int(counts.min())
        if rarest < folds:
            name = label_name(data, classes[counts.argmin()])
            fewer = "Use fewer folds" if rarest > 1 else "Leave it out or add rows"
            raise ValueError(
                f"folds must be at most the number of rows of each class, got {folds} folds, but "
                f"the rarest class has {rarest} rows, {name!r}. {fewer}, or use kind='plain'."
            )
