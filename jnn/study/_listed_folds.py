"""Folds as lists of row numbers."""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from jnn.data import Dataset
from jnn.study._kind import Kind

FoldRows: TypeAlias = Iterable[Sequence[ArrayLike]]  # (train, test) or (train, validation, test)


@dataclasses.dataclass(frozen=True)
class ListedFolds:
    """Folds whose row numbers are listed; two lists are equal if their rows are."""

    folds: tuple[tuple[np.ndarray, ...], ...] = dataclasses.field(compare=False, repr=False)
    digest: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        rows = [[part.tolist() for part in fold] for fold in self.folds]
        object.__setattr__(self, "digest", hashlib.sha256(repr(rows).encode()).hexdigest())

    @property
    def description(self) -> str:
        """The number of folds, such as "3 given folds"."""
        return f"{self.count} given folds"

    @property
    def kind(self) -> Kind:
        """The kind of the validation split inside each fold."""
        return "auto"

    @property
    def count(self) -> int:
        """The number of folds."""
        return len(self.folds)

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return the folds as listed."""
        return list(self.folds)


def listed_folds(folds: FoldRows) -> ListedFolds:
    """Return the rule, after a check that every part holds row numbers."""
    folds = list(folds)
    others = [fold for fold in folds if not hasattr(fold, "__len__") or isinstance(fold, str)]
    if others:
        raise TypeError(
            "folds must be a list of (train rows, test rows) or of (train rows, validation rows, "
            f"test rows), got {others[0]!r} in it. Use e.g. folds=5."
        )
    listed = tuple(tuple(np.asarray(part) for part in fold) for fold in folds)
    if not listed:
        raise ValueError(
            "folds must have at least one pair (train rows, test rows), got an empty list. "
            "Use e.g. folds=5."
        )
    for number, fold in enumerate(listed):
        _check_row_numbers(number, fold)
    return ListedFolds(listed)


def _check_row_numbers(number: int, fold: Sequence[np.ndarray]) -> None:
    are_rows = [part.ndim == 1 and (not part.size or part.dtype.kind in "iu") for part in fold]
    if len(fold) not in (2, 3) or not all(are_rows):
        parts = [f"{part.dtype}{list(part.shape)}" for part in fold]
        raise ValueError(
            "folds must list row numbers, (train rows, test rows) or (train rows, validation rows, "
            f"test rows), but fold {number} has the parts {parts}. Turn a mask into row numbers by "
            "np.flatnonzero."
        )
