"""Splits: rules that say which rows of a data set train and which rows test.

A split is a rule that is not yet applied to data: it can be compared, copied and pickled, and
`split.rows(data)` makes its folds. The folds are made by scikit-learn's splitters, as lists of row
numbers into one array in memory; no data is copied.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.study._counted_folds import CountedFolds, counted_folds
from jnn.study._fold import Fold, checked_fold
from jnn.study._holdout import HoldOut
from jnn.study._kind import Kind, check_kind, kind_for
from jnn.study._listed_folds import FoldRows, ListedFolds, listed_folds
from jnn.study._saved_folds import SavedFolds
from jnn.study._splitter_folds import Splitter, SplitterFolds, check_splitter


@dataclasses.dataclass(frozen=True)
class Split:
    """A rule that makes folds from a data set.

    Two splits are equal if their rules make the same folds from any data.

    Attributes:
        rule: How the folds are made: one of five frozen dataclasses, such as `CountedFolds`.
    """

    rule: "CountedFolds | HoldOut | ListedFolds | SplitterFolds | SavedFolds"

    @property
    def description(self) -> str:
        """The text in tables and records, such as "5 stratified folds (seed 0)"."""
        return self.rule.description

    def describe(self, data: Dataset) -> str:
        """Return the description; it names the kind if times or groups of the data decide it."""
        if isinstance(self.rule, CountedFolds | HoldOut) and self.kind == "auto":
            kind = kind_for("auto", data)
            if kind in ("time", "grouped"):
                return dataclasses.replace(self.rule, kind=kind).description
        return self.description

    @property
    def kind(self) -> Kind:
        """The kind, as in `cross_validation`, which the validation split inside a fold shares."""
        return self.rule.kind

    def __len__(self) -> int:
        return self.rule.count

    def rows(self, data: Dataset) -> list[Fold]:
        """Make the folds of a data set, as int32 row numbers.

        Train and test are never None and no part is empty.

        Raises:
            ValueError: If the data does not allow this rule, or if a fold has an empty part, a row
                in two parts, or a row that the data does not have.
        """
        folds = self.rule.make(data)
        return [checked_fold(number, fold, data.rows) for number, fold in enumerate(folds)]


def cross_validation(
    folds: int | FoldRows | Splitter = 5, *, kind: Kind = "auto", repeats: int = 1, seed: int = 0
) -> Split:
    """Return the split of a cross-validation.

    Args:
        folds: Number of folds; or a list of (train rows, test rows) or of (train rows, validation
            rows, test rows); or any scikit-learn splitter.
        kind: "plain" takes any rows; "stratified" keeps the shares of the classes; "grouped" keeps
            rows of one group, an entry of `Dataset.groups`, together; "time" trains on the past and
            tests on what follows, by `Dataset.times` or, without these, in the order of the rows;
            "auto" is in time for windows of a series and where the data has times, grouped where it
            has groups, stratified for classification, and plain otherwise.
        repeats: Number of cross-validations with newly shuffled rows; must be 1 for "time".
        seed: Seed of the shuffling.

    Raises:
        TypeError: If `folds` is of another type, or if `repeats` or `seed` is not an integer.
        ValueError: If there are no folds, or if they change from call to call.
    """
    if isinstance(folds, int | np.integer) and not isinstance(folds, bool):
        return Split(counted_folds(folds, kind, repeats, seed))
    if not isinstance(folds, Splitter | Iterable):
        raise TypeError(
            "folds must be a number of folds, a list of their rows or a splitter, got "
            f"{folds!r}. Use e.g. folds=5."
        )
    if (kind, repeats, seed) != ("auto", 1, 0):
        raise ValueError(
            f"kind, repeats and seed need a number of folds, got folds={folds!r}. Leave them "
            "out: rows and splitters are used as they are."
        )
    if isinstance(folds, Splitter):
        check_splitter(folds)
        return Split(SplitterFolds(folds))
    return Split(listed_folds(folds))


def hold_out(share: float, *, kind: Kind = "auto", seed: int = 0) -> Split:
    """Return the split into one fold that tests on `share` of the rows, or of the groups.

    The kinds are those of `cross_validation`.
    """
    if not isinstance(share, int | float | np.number) or isinstance(share, bool):
        raise TypeError(f"share must be a number, got {share!r}. Use e.g. share=0.2.")
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}. Use e.g. share=0.2.")
    check_kind(kind)
    return Split(HoldOut(float(share), kind, check_integer("seed", seed, 0)))
