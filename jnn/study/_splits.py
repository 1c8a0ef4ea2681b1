"""Folds: which rows train and which rows test, by scikit-learn's splitters, as lists of row numbers.

A split is a rule, not yet applied to data: `rows(data)` applies it. All folds index one resident array; no data is
copied.
"""

import dataclasses
import hashlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

_KINDS = ("auto", "plain", "stratified", "grouped", "time")


class Fold(NamedTuple):
    """Row numbers of one fold.

    Attributes:
        train: Rows whose gradient is taken.
        validation: Rows that choose the best epoch, or None.
        test: Rows that give the score, or None.
    """

    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Split:
    """A rule that makes folds from data.

    Attributes:
        describe: What stands in tables and records, e.g. "5 stratified folds".
        count: Number of folds.
        make: `make(data) -> [(train rows, test rows) or (train rows, validation rows, test rows), ...]`.
        rows_id: Tells lists of rows, or splitters, of the same description apart; empty for a rule.
        kind: As in `cross_validation`; an inner split is of the same kind.
    """

    describe: str
    count: int
    make: Callable[[Any], Sequence[tuple]] = dataclasses.field(compare=False, repr=False)
    rows_id: str = dataclasses.field(default="", repr=False)
    kind: str = dataclasses.field(default="auto", repr=False)

    def __len__(self) -> int:
        return self.count

    def rows(self, data: Any) -> list[Fold]:
        """The folds of a `Dataset` as int32 row numbers, no part of them empty."""
        return [_checked(i, fold, data.rows) for i, fold in enumerate(self.make(data))]


def cross_validation(
    folds: Any = 5, *, kind: str = "auto", repeats: int = 1, seed: int = 0
) -> Split:
    """Folds of a cross-validation.

    Args:
        folds: Number of folds; or a list of (train rows, test rows) or (train rows, validation rows, test rows); or
            any scikit-learn splitter.
        kind: "plain"; "stratified" keeps the shares of the classes; "grouped" keeps rows of one `Dataset.groups`
            entry together; "time" trains on the past and tests on what follows; "auto" is stratified for
            classification, grouped where the data has groups, in time for windows of a series, else plain.
        repeats: Whole cross-validations with newly shuffled rows (not for "time").
        seed: Of the shuffling.
    """
    if isinstance(folds, int | np.integer):
        return _counted(int(folds), kind, repeats, seed)
    if (kind, repeats, seed) != ("auto", 1, 0):
        raise ValueError(
            f"wanted a number of folds with kind, repeats and seed, but got {folds!r}; these split as they are"
        )
    if hasattr(folds, "split") and hasattr(folds, "get_n_splits"):
        return _by_splitter(folds)
    if not isinstance(folds, Iterable):
        raise ValueError(
            f"wanted a number of folds, their rows or a splitter, but got {folds!r}; use e.g. 5"
        )
    given = [tuple(np.asarray(part) for part in fold) for fold in folds]
    if not given:
        raise ValueError(
            "wanted a list of (train rows, test rows), but got an empty one; give at least one pair"
        )
    for number, fold in enumerate(given):
        _check_given(number, fold)
    digest = hashlib.sha256(
        repr([[part.tolist() for part in fold] for fold in given]).encode()
    ).hexdigest()
    return Split(f"{len(given)} given splits", len(given), lambda data: given, digest)


def hold_out(share: float, *, kind: str = "auto", seed: int = 0) -> Split:
    """A single split with `share` of the rows, or of the groups, as test part; kinds as in `cross_validation`."""
    if not 0 < share < 1:
        raise ValueError(
            f"wanted the held-out share between 0 and 1, but got {share}; use e.g. 0.2"
        )
    _check_options(kind, seed)

    def make(data: Any) -> list[tuple]:
        return [part_off(np.arange(data.rows), share, data, kind=kind_for(kind, data), seed=seed)]

    return Split(f"{_word(kind)}hold-out of {share:g} (seed {seed})", 1, make, kind=kind)


def part_off(
    rows: np.ndarray, share: float, data: Any, *, kind: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits `rows` in two by `share`; the second part is the smaller one that is set aside."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    if len(rows) < 2:
        raise ValueError(f"wanted at least 2 rows to split, but got {len(rows)}; give more data")
    if kind == "time":
        size, rows = max(1, round(share * len(rows))), np.sort(rows)
        return rows[: max(0, len(rows) - size - data.gap)], rows[-size:]
    if kind == "grouped":
        _check_groups(data)
        if len(np.unique(data.groups[rows])) < 2:
            raise ValueError(
                "wanted at least 2 groups, to set one aside, but the rows to split have one; use kind='plain'"
            )
        splitter = GroupShuffleSplit(1, test_size=share, random_state=seed)
        train, test = next(splitter.split(rows, groups=data.groups[rows]))
        return rows[train], rows[test]
    labels = data.y[rows] if kind == "stratified" else None
    try:
        train, test = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        raise ValueError(
            f"wanted to set aside {share:g} of {len(rows)} rows with every class in both parts, but {error} "
            "Use kind='plain' or more data."
        ) from None
    return np.asarray(train), np.asarray(test)


def kind_for(kind: str, data: Any) -> str:
    """The kind of split that "auto" means for this data; another one as it is, if the data allow it."""
    if data.is_series and kind not in ("auto", "time"):
        raise ValueError(
            f"wanted folds in time for windows of a series, but got kind={kind!r}; windows that overlap would stand on "
            "both sides, use kind='time' or give the rows"
        )
    if data.is_series:
        return "time"
    if kind == "stratified" and (data.y.ndim != 1 or data.task != "classification"):
        raise ValueError(
            f"wanted one label per row to keep the classes' shares, but got a {data.task} with y of {data.y.shape}; "
            "use kind='plain'"
        )
    if kind != "auto":
        return kind
    if data.groups is not None:
        return "grouped"
    return "stratified" if data.task == "classification" and data.y.ndim == 1 else "plain"


def _counted(folds: int, kind: str, repeats: int, seed: int) -> Split:
    """So many folds of a kind, `repeats` times over."""
    if folds < 2:
        raise ValueError(
            f"wanted at least 2 folds, but got {folds}; use jnn.holdout for a single split"
        )
    _check_options(kind, seed)
    _check_whole("repeats", repeats, 1)
    repeats, seed = int(repeats), int(seed)

    def make(data: Any) -> list[tuple]:
        chosen = kind_for(kind, data)
        _check_rows(folds, data, chosen)
        if chosen == "time" and repeats > 1:
            raise ValueError(
                "wanted repeats=1 for folds in time, but got more; time can be split in one order only"
            )
        splitters = [_splitter(chosen, folds, seed + r, data.gap) for r in range(repeats)]
        return [fold for s in splitters for fold in _apply(s, data)]

    label = f"{folds} {_word(kind)}folds" + (f" x {repeats}" if repeats > 1 else "")
    return Split(f"{label} (seed {seed})", folds * repeats, make, kind=kind)


def _word(kind: str) -> str:
    return "" if kind == "auto" else kind + " "


def _by_splitter(splitter: Any) -> Split:
    """The folds of a splitter of scikit-learn's."""
    from sklearn.model_selection import TimeSeriesSplit

    count, kind = _count_of(splitter), "time" if isinstance(splitter, TimeSeriesSplit) else "auto"
    return Split(
        repr(splitter), count, lambda data: _apply(splitter, data), _content_of(splitter), kind
    )


def _content_of(splitter: Any) -> str:
    """Tells splitters apart, whose texts abbreviate their arrays."""
    try:
        return hashlib.sha256(pickle.dumps(splitter)).hexdigest()
    except (
        AttributeError,
        TypeError,
        pickle.PicklingError,
    ):  # of a class that was made in a function, say
        return str(id(splitter))


def _splitter(kind: str, folds: int, seed: int, gap: int) -> Any:
    from sklearn import model_selection as sk

    if kind == "time":
        return sk.TimeSeriesSplit(folds, gap=gap)
    made = {"plain": sk.KFold, "stratified": sk.StratifiedKFold, "grouped": sk.GroupKFold}[kind]
    return made(folds, shuffle=True, random_state=seed)


def _apply(splitter: Any, data: Any) -> list[tuple]:
    labels = None if data.is_series else data.y
    return list(splitter.split(np.zeros((data.rows, 1)), labels, data.groups))


def _count_of(splitter: Any) -> int:
    is_stable = isinstance(getattr(splitter, "random_state", 0), int | np.integer)
    if not is_stable and getattr(splitter, "shuffle", True):
        raise ValueError(
            f"wanted a splitter that splits alike each time, so that a run can be resumed, but got {splitter!r}; "
            "give it a whole number as random_state"
        )
    try:
        return splitter.get_n_splits()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"wanted a splitter that knows its number of folds, but {splitter!r} needs the rows for it; "
            "give the list that its split(...) makes"
        ) from error


def _check_options(kind: str, seed: int) -> None:
    if kind not in _KINDS:
        raise ValueError(f"wanted kind to be one of {_KINDS}, but got {kind!r}; choose one")
    _check_whole("seed", seed, 0)


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(
            f"wanted {name} as a whole number of at least {least}, but got {value!r}; use e.g. {name}={least}"
        )


def _check_given(number: int, fold: Sequence[np.ndarray]) -> None:
    if len(fold) not in (2, 3) or any(
        part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in fold
    ):
        raise ValueError(
            "wanted (train rows, test rows) or (train rows, validation rows, test rows) as row numbers, but split "
            f"{number} has parts of {[f'{part.dtype}{list(part.shape)}' for part in fold]}; a mask becomes numbers by "
            "np.flatnonzero"
        )


def _check_groups(data: Any) -> None:
    if data.groups is None:
        raise ValueError(
            "wanted groups to keep together, but the data has none; give Dataset(groups=...)"
        )


def _checked(number: int, fold: Sequence[Any], rows: int) -> Fold:
    train, *validation, test = map(np.asarray, fold)
    made = Fold(train, validation[0] if validation else None, test)
    if (twice := _shared(made)) is not None:
        raise ValueError(
            f"wanted rows that either train or score, but in fold {number} row {twice} does both; "
            "take it out of one part"
        )
    for name, part in made._asdict().items():
        if part is None:
            continue
        if not len(part):
            raise ValueError(
                f"wanted rows in every fold, but fold {number} has none to {name} on; use fewer folds"
            )
        if part.min() < 0 or part.max() >= rows:
            raise ValueError(
                f"wanted row numbers in 0..{rows - 1}, but fold {number} has {part.min()}..{part.max()}; "
                "make the splits from this data"
            )
    validation_rows = None if made.validation is None else made.validation.astype(np.int32)
    return Fold(train.astype(np.int32), validation_rows, test.astype(np.int32))


def _shared(fold: Fold) -> int | None:
    """A row that stands in two parts of a fold."""
    parts = [np.unique(part) for part in fold if part is not None]
    rows, counts = np.unique(np.concatenate(parts), return_counts=True)
    return int(rows[counts > 1][0]) if (counts > 1).any() else None


def _check_rows(folds: int, data: Any, kind: str) -> None:
    if folds > data.rows:
        raise ValueError(
            f"wanted at most as many folds as rows, but got {folds} folds of {data.rows} rows; use fewer"
        )
    if kind == "time" and data.rows - data.gap <= folds * (data.rows // (folds + 1)):
        raise ValueError(
            f"wanted rows to train on before those of {folds} folds in time, but got {data.rows} rows, {data.gap} of "
            "them between training and test; use fewer folds, a shorter horizon or more rows"
        )
    if kind == "grouped":
        _check_groups(data)
        if (found := len(np.unique(data.groups))) < folds:
            raise ValueError(
                f"wanted at most as many folds as groups, but got {folds} folds of {found}; use fewer"
            )
    if kind == "stratified":
        fewest = int(np.bincount(data.y)[np.unique(data.y)].min())
        if fewest < folds:
            raise ValueError(
                f"wanted at least {folds} rows of every class for {folds} folds, but the rarest has {fewest}; "
                "use fewer folds or kind='plain'"
            )
