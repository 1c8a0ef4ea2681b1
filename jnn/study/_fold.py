"""A fold as row numbers, and the checks that every fold passes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Fold(NamedTuple):
    """Row numbers of one fold.

    Attributes:
        train: Rows that the gradient is taken on.
        validation: Rows that the best epoch is chosen on, or None where no rows are set aside.
        test: Rows that the final score is computed on, or None in a run without folds.
    """

    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray | None


def checked_fold(number: int, parts: Sequence[ArrayLike], rows: int) -> Fold:
    """Return the parts of a fold as int32 row numbers of a data set of `rows` rows.

    Args:
        number: Number of the fold, which the errors name.
        parts: (train rows, test rows) or (train rows, validation rows, test rows).
        rows: Number of rows of the data set.

    Raises:
        ValueError: If a part is empty, if two parts share a row, or if the data has no such row.
    """
    train, *validation, test = map(np.asarray, parts)
    fold = Fold(train, validation[0] if validation else None, test)
    repeated = _row_in_two_parts(fold)
    if repeated is not None:
        raise ValueError(
            f"Fold {number} has row {repeated} in two of its parts. Remove the row from one part, "
            "so that it either trains or scores."
        )
    for name, part in fold._asdict().items():
        if part is not None:
            _check_part(f"the {name} part of fold {number}", part, rows)
    as_int32 = [None if part is None else part.astype(np.int32) for part in fold]
    return Fold(*as_int32)  # type: ignore[arg-type]  (only `validation` may be None here)


def _check_part(name: str, part: np.ndarray, rows: int) -> None:
    if not len(part):
        raise ValueError(f"There are no rows in {name}. Use fewer folds or add data.")
    if part.min() < 0 or part.max() >= rows:
        raise ValueError(
            f"The row numbers in {name} must be in 0..{rows - 1}, got {part.min()}..{part.max()}. "
            "Make the folds from this data."
        )


def _row_in_two_parts(fold: Fold) -> int | None:
    """Return the first row that two parts share, or None if they share none."""
    parts = [np.unique(part) for part in fold if part is not None]
    rows, counts = np.unique(np.concatenate(parts), return_counts=True)
    repeated = rows[counts > 1]
    return int(repeated[0]) if len(repeated) else None
