"""Which member of a result each member of a new population begins with."""

from typing import Any

import numpy as np

from jnn.engine import Data
from jnn.result import Result, digest_of, digest_of_rows
from jnn.study import Members

_MATCHED = ("fold", "seed")


def sources_in(result: Result, members: Members, arrays: Data) -> np.ndarray:
    """Return the number of the member of a result for each member, int [members].

    A result of one member is the start of all. Otherwise each member begins with that of its own
    seed and fold, where both populations have them, and of its own numbers if there are several.

    Args:
        result: The result to start from.
        members: The new members.
        arrays: The rows of the new members.

    Raises:
        ValueError: If there is no such member or more than one, or if members of the result have
            trained on rows that score the new ones.
    """
    has_same_rows = _has_same_rows(result, arrays)
    if has_same_rows:
        _check_folds(result, arrays)
    old, new = result.members.columns(), members.columns()
    if len(result.members) == 1:
        if has_same_rows:
            _check_fold(old, new)
        return np.zeros(len(members), int)
    names = [name for name in _MATCHED if name in old and name in new]
    numbers = [*(result.members.numbers().keys() & members.numbers().keys())]
    return np.asarray([_source(old, new, names, numbers, i) for i in range(len(members))])


def _source(old: Any, new: Any, names: list[str], numbers: list[str], i: int) -> int:
    """Return the number of the one member of a result that has the columns of a new member."""
    fits = np.ones(len(next(iter(old.values()))), bool)
    for name in names:
        fits &= old[name] == new[name][i]
    if fits.sum() > 1:
        for name in numbers:
            fits &= np.all(old[name] == new[name][i], axis=tuple(range(1, old[name].ndim)))
    if fits.sum() == 1:
        return int(np.argmax(fits))
    which = " and ".join(f"{name} {new[name][i]}" for name in names) or "all members"
    raise ValueError(
        f"start_from must have one member for each member, but it has {int(fits.sum())} for "
        f"{which}. Pass result.best_members(), one member by result.member(0), or those of the "
        "same seeds and folds by result.select(...)."
    )


def _has_same_rows(result: Result, arrays: Data) -> bool:
    """Return whether a result was trained on the rows of the new members, which score some."""
    known = result.schema.rows_digest
    return arrays.test is not None and bool(known) and known == digest_of_rows(arrays)


def _check_folds(result: Result, arrays: Data) -> None:
    if result.schema.digest != digest_of(arrays):
        raise ValueError(
            "start_from must have been trained on the same folds, but it was trained on the same "
            f"rows with {result.schema.split or 'no folds'}, and so on rows that score the new "
            "members. Use the same folds for both, or pretrain on other rows."
        )


def _check_fold(old: Any, new: Any) -> None:
    """Raise ValueError for members of other folds than that of the one member of a result."""
    others = new["fold"][new["fold"] != old["fold"][0]] if "fold" in old and "fold" in new else []
    if len(others):
        raise ValueError(
            f"start_from must have a member of each fold, but it has one of fold {old['fold'][0]} "
            f"only, which has trained on the test rows of fold {others[0]}. Pass the members of "
            "all folds, such as result.best_members()."
        )
