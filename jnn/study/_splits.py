"""Splits: rules that say which rows of a data set train and which rows test.

A split is a record of numbers, not yet applied to data: it can be compared, copied and pickled, and
`split.rows(data)` makes its folds. The folds are made by scikit-learn's splitters, as lists of row
numbers into one array in memory; no data is copied.
"""

import dataclasses
import hashlib
import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from jnn.data import Dataset
from jnn.study._holdout import Kind, groups_of, kind_for, part_off
from jnn.study._whole_number import whole_number

_KINDS = get_args(Kind)


@runtime_checkable
class Splitter(Protocol):
    """A splitter in the form of scikit-learn's, such as `sklearn.model_selection.KFold(5)`."""

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training rows and the test rows of each fold."""
        ...

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        ...


FoldRows: TypeAlias = Iterable[Sequence[ArrayLike]]  # (train, test) or (train, validation, test)


class Fold(NamedTuple):
    """Row numbers of one fold.

    Attributes:
        train: Rows that the gradient is taken on.
        validation: Rows that the best epoch is chosen on, or None.
        test: Rows that the final score is computed on, or None.
    """

    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Split:
    """A rule that makes folds from a data set.

    Two splits are equal if their rules make the same folds from any data.

    Attributes:
        rule: The record behind the split; one of the classes of rules in this module.
    """

    rule: "CountedFolds | HoldOut | ListedFolds | SplitterFolds | SavedFolds"

    @property
    def describe(self) -> str:
        """The text in tables and records, such as "5 stratified folds (seed 0)"."""
        return self.rule.describe

    @property
    def kind(self) -> Kind:
        """The kind of split, as in `cross_validation`; an inner split is of the same kind."""
        return self.rule.kind

    def __len__(self) -> int:
        return self.rule.count

    def rows(self, data: Dataset) -> list[Fold]:
        """Make the folds of a data set, as int32 row numbers; no part of a fold is empty.

        Raises:
            ValueError: If this data cannot be split so, or if a fold has no rows in some part, the
                same row in two parts, or a row that the data does not have.
        """
        folds = self.rule.make(data)
        return [_checked_fold(number, fold, data.rows) for number, fold in enumerate(folds)]


@dataclasses.dataclass(frozen=True)
class CountedFolds:
    """A cross-validation of so many folds, repeated with newly shuffled rows."""

    folds: int
    kind: Kind = "auto"
    repeats: int = 1
    seed: int = 0

    @property
    def describe(self) -> str:
        """Such as "5 stratified folds x 2 (seed 0)"."""
        repeats = f" x {self.repeats}" if self.repeats > 1 else ""
        return f"{self.folds} {_prefix(self.kind)}folds{repeats} (seed {self.seed})"

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
                f"repeats must be 1 for folds in time, got {self.repeats}. Rows in time have only "
                "one order."
            )
        seeds = range(self.seed, self.seed + self.repeats)
        splitters = [_splitter(kind, self.folds, seed, data.gap) for seed in seeds]
        return [fold for splitter in splitters for fold in _folds_by(splitter, data)]


@dataclasses.dataclass(frozen=True)
class HoldOut:
    """A single fold whose test part is a share of the rows."""

    share: float
    kind: Kind = "auto"
    seed: int = 0

    @property
    def describe(self) -> str:
        """Such as "plain hold-out of 0.2 (seed 0)"."""
        return f"{_prefix(self.kind)}hold-out of {self.share:g} (seed {self.seed})"

    @property
    def count(self) -> int:
        """The number of folds: one."""
        return 1

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return (train rows, test rows) of the one fold."""
        kind = kind_for(self.kind, data)
        return [part_off(np.arange(data.rows), self.share, data, kind=kind, seed=self.seed)]


@dataclasses.dataclass(frozen=True)
class ListedFolds:
    """Folds whose row numbers are listed; two lists are equal if their rows are."""

    folds: tuple[tuple[np.ndarray, ...], ...] = dataclasses.field(compare=False, repr=False)
    digest: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        rows = [[part.tolist() for part in fold] for fold in self.folds]
        object.__setattr__(self, "digest", hashlib.sha256(repr(rows).encode()).hexdigest())

    @property
    def describe(self) -> str:
        """Such as "3 given splits"."""
        return f"{self.count} given splits"

    @property
    def kind(self) -> Kind:
        """The kind of an inner split."""
        return "auto"

    @property
    def count(self) -> int:
        """The number of folds."""
        return len(self.folds)

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return the folds as listed."""
        return list(self.folds)


@dataclasses.dataclass(frozen=True)
class SplitterFolds:
    """Folds of a scikit-learn splitter; two splitters are equal if their settings are."""

    splitter: Splitter = dataclasses.field(compare=False)
    digest: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "digest", _digest_of(self.splitter))

    @property
    def describe(self) -> str:
        """The splitter's own text."""
        return repr(self.splitter)

    @property
    def kind(self) -> Kind:
        """The kind of an inner split: in time as the splitter is."""
        from sklearn.model_selection import TimeSeriesSplit

        return "time" if isinstance(self.splitter, TimeSeriesSplit) else "auto"

    @property
    def count(self) -> int:
        """The number of folds."""
        return self.splitter.get_n_splits()

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return (train rows, test rows) of each fold."""
        return _folds_by(self.splitter, data)


@dataclasses.dataclass(frozen=True)
class SavedFolds:
    """What a saved result tells of its split: a description, without the rule."""

    describe: str
    count: int

    @property
    def kind(self) -> Kind:
        """The kind of an inner split."""
        return "auto"

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Raise: a file keeps no rule."""
        raise ValueError(
            f"The split {self.describe!r} was read from a file, which does not keep the rule. Make "
            "the members again, e.g. with jnn.folds."
        )


def cross_validation(
    folds: int | FoldRows | Splitter = 5, *, kind: Kind = "auto", repeats: int = 1, seed: int = 0
) -> Split:
    """Return the split of a cross-validation.

    Args:
        folds: Number of folds; or a list of (train rows, test rows) or of (train rows, validation
            rows, test rows); or any scikit-learn splitter.
        kind: "plain" takes any rows; "stratified" keeps the shares of the classes; "grouped" keeps
            rows of one group, an entry of `Dataset.groups`, together; "time" trains on the past and
            tests on what follows; "auto" is stratified for classification, grouped where the data
            has groups, in time for windows of a series, and plain otherwise.
        repeats: Number of cross-validations with newly shuffled rows; must be 1 for "time".
        seed: Seed of the shuffling.

    Raises:
        TypeError: If `folds` is of another type, or if `repeats` or `seed` is no whole number.
        ValueError: If there are no folds, or if they change from call to call.
    """
    if isinstance(folds, int | np.integer):
        return Split(_counted_folds(folds, kind, repeats, seed))
    if (kind, repeats, seed) != ("auto", 1, 0):
        raise ValueError(
            f"kind, repeats and seed need a number of folds, got folds={folds!r}. Rows and "
            "splitters are used as they are."
        )
    if isinstance(folds, Splitter):
        _check_splitter(folds)
        return Split(SplitterFolds(folds))
    if not isinstance(folds, Iterable):
        raise TypeError(
            "folds must be a number of folds, a list of their rows or a splitter, got "
            f"{folds!r}. Use e.g. folds=5."
        )
    return Split(_listed_folds(folds))


def hold_out(share: float, *, kind: Kind = "auto", seed: int = 0) -> Split:
    """Return the split into one fold that tests on `share` of the rows, or of the groups.

    The kinds are those of `cross_validation`.
    """
    if not isinstance(share, int | float | np.number) or isinstance(share, bool):
        raise TypeError(f"share must be a number, got {share!r}. Use e.g. share=0.2.")
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}. Use e.g. share=0.2.")
    _check_kind(kind)
    return Split(HoldOut(float(share), kind, whole_number("seed", seed, least=0)))


def _counted_folds(folds: int, kind: Kind, repeats: int, seed: int) -> CountedFolds:
    if folds < 2:
        raise ValueError(
            f"folds must be at least 2 folds, got {folds}. Use jnn.holdout for a single split."
        )
    _check_kind(kind)
    repeats = whole_number("repeats", repeats, least=1)
    return CountedFolds(int(folds), kind, repeats, whole_number("seed", seed, least=0))


def _listed_folds(folds: FoldRows) -> ListedFolds:
    listed = tuple(tuple(np.asarray(part) for part in fold) for fold in folds)
    if not listed:
        raise ValueError(
            "folds must have at least one pair (train rows, test rows), got an empty list."
        )
    for number, fold in enumerate(listed):
        _check_row_numbers(number, fold)
    return ListedFolds(listed)


def _prefix(kind: Kind) -> str:
    return "" if kind == "auto" else kind + " "


def _digest_of(splitter: Splitter) -> str:
    """Tell splitters apart by content, because their texts abbreviate their arrays."""
    try:
        return hashlib.sha256(pickle.dumps(splitter)).hexdigest()
    except (AttributeError, TypeError, pickle.PicklingError):  # such as a class inside a function
        return str(id(splitter))


def _splitter(kind: Kind, folds: int, seed: int, gap: int) -> Splitter:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    if kind == "time":
        return TimeSeriesSplit(folds, gap=gap)
    shuffled = {"plain": KFold, "stratified": StratifiedKFold, "grouped": GroupKFold}[kind]
    return shuffled(folds, shuffle=True, random_state=seed)


def _folds_by(splitter: Splitter, data: Dataset) -> list[tuple[np.ndarray, ...]]:
    labels = None if data.is_series else data.y
    return list(splitter.split(np.zeros((data.rows, 1)), labels, data.groups))


def _check_splitter(splitter: Splitter) -> None:
    has_seed = isinstance(getattr(splitter, "random_state", 0), int | np.integer)
    if not has_seed and getattr(splitter, "shuffle", True):
        raise ValueError(
            f"folds must be a splitter that splits alike each time, got {splitter!r}. Give it a "
            "whole number as random_state, so that a run can be resumed."
        )
    try:
        splitter.get_n_splits()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"folds must be a splitter that knows its number of folds, but {splitter!r} needs the "
            "data for it. Give the list of rows that its split(...) makes."
        ) from error


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}.")


def _check_row_numbers(number: int, fold: Sequence[np.ndarray]) -> None:
    are_rows = [part.ndim == 1 and (not part.size or part.dtype.kind in "iu") for part in fold]
    if len(fold) not in (2, 3) or not all(are_rows):
        parts = [f"{part.dtype}{list(part.shape)}" for part in fold]
        raise ValueError(
            "folds must list row numbers, (train rows, test rows) or (train rows, validation rows, "
            f"test rows), but fold {number} has the parts {parts}. Turn a mask into row numbers by "
            "np.flatnonzero."
        )


def _checked_fold(number: int, parts: Sequence[ArrayLike], rows: int) -> Fold:
    train, *validation, test = map(np.asarray, parts)
    fold = Fold(train, validation[0] if validation else None, test)
    if (repeated := _row_in_two_parts(fold)) is not None:
        raise ValueError(
            f"Fold {number} has row {repeated} in two of its parts. Remove the row from one part, "
            "so that it either trains or scores."
        )
    for name, part in fold._asdict().items():
        if part is not None:
            _check_part(f"the {name} part of fold {number}", part, rows)
    as_int32 = [None if part is None else part.astype(np.int32) for part in fold]
    return Fold(*as_int32)  # type: ignore[arg-type]  (only `validation` may be None)


def _check_part(name: str, part: np.ndarray, rows: int) -> None:
    if not len(part):
        raise ValueError(f"There are no rows in {name}. Use fewer folds or add data.")
    if part.min() < 0 or part.max() >= rows:
        raise ValueError(
            f"The row numbers in {name} must be in 0..{rows - 1}, got {part.min()}..{part.max()}. "
            "Make the folds from this data."
        )


def _row_in_two_parts(fold: Fold) -> int | None:
    parts = [np.unique(part) for part in fold if part is not None]
    rows, counts = np.unique(np.concatenate(parts), return_counts=True)
    repeated = rows[counts > 1]
    return int(repeated[0]) if len(repeated) else None


def _check_rows(folds: int, data: Dataset, kind: Kind) -> None:
    """Check that there are rows, groups and rows of each class enough for so many folds."""
    if folds > data.rows:
        raise ValueError(
            f"folds must be at most the number of rows, got {folds} folds of {data.rows} rows."
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
                f"folds must be at most the number of groups, got {folds} folds of {count} groups."
            )
    if kind == "stratified":
        rarest = int(np.unique(np.asarray(data.y), return_counts=True)[1].min())
        if rarest < folds:
            raise ValueError(
                f"folds must be at most the number of rows of each class, got {folds} folds, but "
                f"the rarest class has {rarest} rows. Use fewer folds or kind='plain'."
            )
