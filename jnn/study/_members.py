"""Members: what differs between the trainings of a study, as a table of numbers with named axes.

    jnn.seeds(10) * jnn.folds(5) * jnn.grid(learning_rate=[1e-3, 1e-2])     # 100 members on three axes

`*` crosses axes, `+` puts two populations one after the other. A member's key depends on its own seed alone, and its
rows on its own fold alone, so a member is the same training in whatever company it runs.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jnn.study._splits import Split, cross_validation, hold_out

_COUNTING = {"seed", "fold", "sample", "member"}
_TAKEN = {
    "fold",
    "sample",
    "member",
    "epoch",
    "all_members",
}  # names of axes and columns that are not settings
_INT32 = np.iinfo(np.int32)


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """A population: the product of named axes.

    Attributes:
        axes: Axis name -> its columns (column name -> array [length of the axis, ...]).
        split: What the column `fold` counts, or None.
    """

    axes: Mapping[str, Mapping[str, np.ndarray]]
    split: Split | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(_length(columns) for columns in self.axes.values())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __mul__(self, other: "Members") -> "Members":
        _check_members("*", other)
        mine, theirs = self._names(), other._names()
        if both := sorted(mine & theirs):
            raise ValueError(
                f"wanted axes with different names, but {both} stand on both sides of *; "
                "use + to put populations one after the other"
            )
        return Members({**self.axes, **other.axes}, self.split or other.split)

    def __add__(self, other: "Members") -> "Members":
        _check_members("+", other)
        mine, theirs = (
            {k: v for k, v in side.columns().items() if k != "member"} for side in (self, other)
        )
        if mine.keys() != theirs.keys():
            raise ValueError(
                "wanted two populations with the same columns, but only the left has "
                f"{sorted(mine.keys() - theirs.keys())} and only the right has {sorted(theirs.keys() - mine.keys())}; "
                "give both every column"
            )
        if self.split != other.split:
            raise ValueError(
                f"wanted one way of splitting, but got {self.split} and {other.split}; use the same folds"
            )
        columns = {k: _joined(k, mine[k], theirs[k]) for k in mine}
        columns = {
            k: v for name, column in columns.items() for k, v in _numbered(name, column).items()
        }
        return Members(
            {"member": {"member": np.arange(len(self) + len(other)), **columns}}, self.split
        )

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "Members":
        """The chosen members, on one axis `member` that counts them as they were numbered here."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        columns = {k: v[chosen] for k, v in self.columns().items() if k != "member"}
        return Members({"member": {"member": chosen, **columns}}, self.split)

    def columns(self) -> dict[str, np.ndarray]:
        """Every column with one entry per member [members, ...], the last axis running fastest."""
        places = np.unravel_index(np.arange(len(self)), self.shape) if self.axes else ()
        return {
            name: column[place]
            for columns, place in zip(self.axes.values(), places, strict=True)
            for name, column in columns.items()
        }

    def numbers(self) -> dict[str, np.ndarray]:
        """The hyper-parameters: every column but the seed, the fold and those that only count."""
        return {
            k: v
            for k, v in self.columns().items()
            if k not in _COUNTING and not k.endswith("_index")
        }

    def _names(self) -> set[str]:
        return {*self.axes, *(name for columns in self.axes.values() for name in columns)}

    def __repr__(self) -> str:
        parts = " x ".join(f"{name} {_length(columns)}" for name, columns in self.axes.items())
        return f"Members({len(self)} = {parts})"


def seeds(count: int, *, first: int = 0) -> Members:
    """`count` members that differ in their key `jax.random.key(seed)`, for seed = first, first + 1, ..."""
    _check_count("seeds", count)
    if not isinstance(first, int | np.integer):
        raise ValueError(
            f"wanted a whole number for the first seed, but got {first!r}; use e.g. first=0"
        )
    count, first = int(count), int(first)
    if not _INT32.min <= first <= _INT32.max - count:
        raise ValueError(
            f"wanted seeds that fit 32 bits, but got {count} from {first} on; start lower"
        )
    return Members({"seed": {"seed": np.arange(first, first + count)}})


def grid(**settings: Sequence[float]) -> Members:
    """Every combination of the given settings; one axis for each name.

    Values may be arrays of one shape, such as masks; the axis then counts them 0, 1, ...

    Raises:
        ValueError: For what is no finite number; a negative value of a name that ends in `_rate`; a name that has a
            meaning of its own: `fold`, `sample`, `member`, `epoch`, one that ends in `_index`, a mapping's method.
    """
    if not settings:
        raise ValueError(
            "wanted at least one setting, but got an empty grid; use grid(learning_rate=[1e-3, 1e-2])"
        )
    axes = {}
    for name, values in settings.items():
        axes[name] = _numbered(name, _numeric(name, values))
    return Members(axes)


def sample(
    count: int, *, seed: int = 0, **distributions: Callable[[np.random.Generator, int], Any]
) -> Members:
    """`count` random settings on one axis `sample`: `log_uniform`, `uniform`, `choice` or `f(numpy Generator, count)`.

    A name's draws depend on `seed` and the name alone; asking for more members keeps the first ones.
    """
    _check_count("sample", count)
    if not distributions:
        raise ValueError(
            "wanted at least one distribution, but got none; use sample(20, learning_rate=log_uniform(1e-4, 1))"
        )
    columns: dict[str, np.ndarray] = {"sample": np.arange(count)}
    for name, draw in distributions.items():
        if not callable(draw):
            raise ValueError(
                f"wanted a distribution for {name!r}, but got {draw!r}; use jnn.uniform, log_uniform or choice"
            )
        drawn = _numeric(name, draw(np.random.default_rng([seed, *name.encode()]), count))
        if len(drawn) != count:
            raise ValueError(
                f"wanted {count} draws of {name!r}, but its distribution gave {len(drawn)}; "
                "let it be called as distribution(random, count)"
            )
        columns |= _numbered(name, drawn)
    return Members({"sample": columns})


def log_uniform(low: float, high: float) -> Callable:
    """Numbers in [low, high] whose logarithm is uniform."""
    if not 0 < low <= high:
        raise ValueError(
            f"wanted 0 < low <= high, but got low={low}, high={high}; a logarithm needs positive bounds"
        )
    return lambda random, count: np.exp(random.uniform(np.log(low), np.log(high), count))


def uniform(low: float, high: float) -> Callable:
    """Numbers uniform in [low, high]."""
    if not low <= high:
        raise ValueError(f"wanted low <= high, but got low={low}, high={high}; swap them")
    return lambda random, count: random.uniform(low, high, count)


def choice(options: Sequence[float]) -> Callable:
    """One of `options`, each equally likely."""
    if not len(options):
        raise ValueError(
            "wanted at least one option, but got none; name the numbers to choose from"
        )
    return lambda random, count: np.asarray(options)[random.integers(len(options), size=count)]


def folds(folds: Any = 5, *, kind: str = "auto", repeats: int = 1, seed: int = 0) -> Members:
    """One member per fold of a cross-validation.

    Args:
        folds: Number of folds; or a list of (train rows, test rows) or (train rows, validation rows, test rows); or
            any scikit-learn splitter.
        kind: "plain", "stratified", "grouped", "time" or "auto", as in `jnn.study.cross_validation`.
        repeats: Whole cross-validations with newly shuffled rows (not for "time").
        seed: Of the shuffling.

    Raises:
        ValueError: If the folds are none, or overlap, or cannot be made.
    """
    split = cross_validation(folds, kind=kind, repeats=repeats, seed=seed)
    return Members({"fold": {"fold": np.arange(len(split))}}, split)


def holdout(share: float = 0.2, *, kind: str = "auto", seed: int = 0) -> Members:
    """One fold whose test part is `share` of the rows (the last ones for kind="time")."""
    return Members({"fold": {"fold": np.arange(1)}}, hold_out(share, kind=kind, seed=seed))


def narrow(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns as a device takes them: float32, int32 or bool."""
    kinds = {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.bool_}
    return {k: v.astype(kinds[v.dtype.kind]) for k, v in columns.items()}


def _length(columns: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(columns.values())))


def _numbered(name: str, column: np.ndarray) -> dict[str, np.ndarray]:
    """The column; if its entries are arrays, numbered as they first appear, equal ones alike."""
    if column.ndim == 1:
        return {name: column}
    seen: dict[bytes, int] = {}
    numbers = [seen.setdefault(entry.tobytes(), len(seen)) for entry in column]
    return {name + "_index": np.asarray(numbers), name: column}


def _joined(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"wanted {name!r} of one shape, but got {first.shape[1:]} and {second.shape[1:]}; use equal shapes"
        )
    return np.concatenate([first, second])


def _check_members(sign: str, other: Any) -> None:
    if not isinstance(other, Members):
        raise ValueError(
            f"wanted members on both sides of {sign}, but got {other!r}; write e.g. jnn.grid(rate=[...])"
        )


def _check_count(name: str, count: int) -> None:
    if not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(
            f"wanted {name}(n) with n of at least 1, but got {count!r}; ask for one or more members"
        )


def _numeric(name: str, values: Any) -> np.ndarray:
    if name in _TAKEN or name.endswith("_index") or hasattr(Mapping, name):
        raise ValueError(
            f"wanted a name for a setting, but {name!r} has a meaning of its own; choose another"
        )
    column = np.atleast_1d(values)
    if column.size == 0:
        raise ValueError(
            f"wanted at least one value for {name!r}, but got an empty list; name the values to try"
        )
    if column.dtype.kind not in "fiub":
        raise ValueError(
            f"wanted numbers for {name!r}, but got {values!r}; what is no number belongs to the Study"
        )
    if not np.all(np.isfinite(column)):
        raise ValueError(
            f"wanted finite numbers for {name!r}, but got {column.tolist()}; remove NaN and infinity"
        )
    if column.dtype.kind in "iu" and not (
        _INT32.min <= column.min() and column.max() <= _INT32.max
    ):
        raise ValueError(
            f"wanted {name!r} to fit 32 bits, but got {column.tolist()}; write floats, such as 1e10"
        )
    is_rate = name == "rate" or (name.endswith("_rate") and not name.startswith("log"))
    if is_rate and np.any(column < 0):
        raise ValueError(
            f"wanted {name!r} of at least 0, but got {column.min():g}; a rate is never negative"
        )
    if name == "dropout_rate" and np.any(column > 1):
        raise ValueError(
            f"wanted {name!r} of at most 1, but got {column.max():g}; it is the share that is dropped"
        )
    return column.astype({"f": np.float64, "b": np.bool_}.get(column.dtype.kind, np.int64))
