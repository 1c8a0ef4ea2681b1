"""Members: what differs between the trainings of a study, as a table of numbers with named axes.

    jnn.seeds(10) * jnn.folds(5) * jnn.grid(learning_rate=[1e-3, 1e-2])    # 100 members, three axes

`*` crosses axes, and `+` puts one population after another. A member's random key depends on its
own seed alone, and its rows on its own fold alone, so a member's training is the same in any
population.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jnn._settings import check_integer
from jnn.study._check_study import check_call
from jnn.study._distributions import Distribution
from jnn.study._kind import Kind
from jnn.study._listed_folds import FoldRows
from jnn.study._members_text import axis_text, column_text, is_setting
from jnn.study._splits import Split, cross_validation, hold_out
from jnn.study._splitter_folds import Splitter

_COUNTING = {"seed", "fold", "sample", "member"}
_RESERVED = {"fold", "sample", "member", "epoch", "all_members"}  # axes and columns of a result
_INT32 = np.iinfo(np.int32)


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """A population of members: the product of named axes.

    Attributes:
        axes: The columns of each axis: axis name -> column name -> array [length of the axis, ...].
            A column holds numbers, booleans, or text, such as the name of the study that a member
            of a joined result belongs to.
        split: The rule behind the column `fold`, or None if the members have no folds.
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
        repeated = sorted(self._names() & other._names())
        if repeated:
            raise ValueError(
                f"The axes of the two sides of * must have different names, but {repeated} are on "
                "both. Use + to put one population after another."
            )
        return Members({**self.axes, **other.axes}, self.split or other.split)

    def __add__(self, other: "Members") -> "Members":
        _check_members("+", other)
        first = self._settings()
        second = other._settings()
        if first.keys() != second.keys():
            raise ValueError(
                "The two sides of + must have the same columns, but only the left has "
                f"{sorted(first.keys() - second.keys())} and only the right has "
                f"{sorted(second.keys() - first.keys())}. Add the missing columns."
            )
        if self.split != other.split:
            raise ValueError(
                "The two sides of + must be split in one way, got "
                f"{self._split_text()} and {other._split_text()}. Use the same folds in both."
            )
        columns = {"member": np.arange(len(self) + len(other))}
        for name in first:
            columns |= _numbered(name, _joined(name, first[name], second[name]))
        return Members({"member": columns}, self.split)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "Members":
        """Return the selected members on one axis `member`, which keeps their numbers."""
        numbers = np.atleast_1d(np.arange(len(self))[index])
        columns = {name: column[numbers] for name, column in self._settings().items()}
        return Members({"member": {"member": numbers, **columns}}, self.split)

    def columns(self) -> dict[str, np.ndarray]:
        """Return every column with one entry per member, [members, ...].

        The last axis varies fastest.
        """
        indices = np.unravel_index(np.arange(len(self)), self.shape) if self.axes else ()
        return {
            name: column[index]
            for columns, index in zip(self.axes.values(), indices, strict=True)
            for name, column in columns.items()
        }

    def numbers(self) -> dict[str, np.ndarray]:
        """Return the hyper-parameters of each member, [members, ...].

        These are the columns of numbers and booleans, without the seed, the fold and the columns
        that only count entries.
        """
        return {
            name: column
            for name, column in self.columns().items()
            if name not in _COUNTING and not name.endswith("_index") and _is_numeric(column)
        }

    def _settings(self) -> dict[str, np.ndarray]:
        """Return every column but the one that numbers the members."""
        return {name: column for name, column in self.columns().items() if name != "member"}

    def _names(self) -> set[str]:
        return {*self.axes, *(name for columns in self.axes.values() for name in columns)}

    def _split_text(self) -> str:
        return self.split.description if self.split else "no folds"

    def __repr__(self) -> str:
        axes = [axis_text(name, columns, self.split) for name, columns in self.axes.items()]
        listed = self.axes.get("member", {})
        columns = [
            f"\n  {column_text(name, column, self.split)}"
            for name, column in listed.items()
            if is_setting(name)
        ]
        return f"Members: {len(self)} = {' x '.join(axes)}{''.join(columns)}"


def seeds(count: int, *, first: int = 0) -> Members:
    """Return `count` members that differ in their random key.

    Their keys are `jax.random.key(seed)` for seed = first, first + 1, ..., first + count - 1.

    >>> seeds(3) * grid(learning_rate=[0.001, 0.01])
    Members: 6 = 3 seeds x 2 values of learning_rate (0.001, 0.01)
    """
    count = check_integer("count", count)
    first = check_integer("first", first, int(_INT32.min))
    if first > _INT32.max - count:
        raise ValueError(
            f"Seeds must fit 32 bits, got {count} seeds from first={first} on. Use a smaller first."
        )
    return Members({"seed": {"seed": np.arange(first, first + count)}})


def grid(**settings: ArrayLike) -> Members:
    """Return every combination of the given settings, with one axis per name.

    The values of a setting are numbers or booleans; or arrays of one shape, such as masks, which
    the axis then counts 0, 1, ...

    Raises:
        TypeError: If the values are no numbers.
        ValueError: If there are no values; if a value is not finite, or is negative and its name
            ends in `_rate`; or if a name is reserved: `fold`, `sample`, `member`, `epoch`, a name
            that ends in `_index`, or the name of a mapping's method, such as `items`.
    """
    if not settings:
        raise ValueError(
            "grid needs at least one setting, got none. Use e.g. grid(learning_rate=[1e-3, 1e-2])."
        )
    return Members(
        {name: _numbered(name, _numeric(name, values)) for name, values in settings.items()}
    )


def sample(count: int, *, seed: int = 0, **distributions: Distribution) -> Members:
    """Return `count` random settings on one axis `sample`.

    The draws of a name depend on `seed` and the name alone; a larger `count` keeps the first ones.

    Args:
        count: Number of settings.
        seed: Seed of the draws.
        distributions: The distribution of each setting: `log_uniform`, `uniform`, `choice`, or any
            function `f(generator, count)` that draws `count` values with a NumPy generator.

    Raises:
        TypeError: If a distribution cannot be called, or draws no numbers.
        ValueError: If there is no distribution, if one does not give `count` values, or for names
            and values that `grid` refuses too.
    """
    count = check_integer("count", count)
    if not distributions:
        raise ValueError(
            "sample needs at least one distribution, got none. Use e.g. "
            "sample(20, learning_rate=jnn.log_uniform(1e-4, 1))."
        )
    seed = check_integer("seed", seed, 0)
    columns: dict[str, np.ndarray] = {"sample": np.arange(count)}
    for name, draw in distributions.items():
        if not callable(draw):
            raise TypeError(
                f"The distribution for {name!r} must be a function, got {draw!r}. Use jnn.uniform, "
                "jnn.log_uniform or jnn.choice."
            )
        check_call(f"The distribution for {name!r}", draw, "f(generator, count) -> values", 2)
        values = _numeric(name, draw(np.random.default_rng([seed, *name.encode()]), count))
        if len(values) != count:
            raise ValueError(
                f"The distribution for {name!r} must draw {count} values, but it gave "
                f"{len(values)}. Write it as a function of (generator, count)."
            )
        columns |= _numbered(name, values)
    return Members({"sample": columns})


def folds(
    folds: int | FoldRows | Splitter = 5, *, kind: Kind = "auto", repeats: int = 1, seed: int = 0
) -> Members:
    """Return one member per fold of a cross-validation.

    Args:
        folds: Number of folds; or a list of (train rows, test rows) or of (train rows, validation
            rows, test rows); or any scikit-learn splitter.
        kind: "plain", "stratified", "grouped", "time" or "auto", as in
            `jnn.study.cross_validation`.
        repeats: Number of cross-validations with newly shuffled rows; must be 1 for "time".
        seed: Seed of the shuffling.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If there are no folds, or if they change from call to call.
    """
    split = cross_validation(folds, kind=kind, repeats=repeats, seed=seed)
    return Members({"fold": {"fold": np.arange(len(split))}}, split)


def holdout(share: float = 0.2, *, kind: Kind = "auto", seed: int = 0) -> Members:
    """Return one member, on a fold whose test part is `share` of the rows.

    The test rows are random ones, or the last ones for kind="time"; the kinds are those of `folds`.
    """
    return Members({"fold": {"fold": np.arange(1)}}, hold_out(share, kind=kind, seed=seed))


def narrow(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return columns of numbers in the types of the device: float32, int32 or bool."""
    dtypes = {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.bool_}
    return {name: column.astype(dtypes[column.dtype.kind]) for name, column in columns.items()}


def _length(columns: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(columns.values())))


def _is_numeric(column: np.ndarray) -> bool:
    return column.dtype.kind in "fiub"


def _numbered(name: str, column: np.ndarray) -> dict[str, np.ndarray]:
    """Return the column; if its entries are arrays, with a column that numbers distinct entries."""
    if column.ndim == 1:
        return {name: column}
    numbers: dict[bytes, int] = {}
    indices = [numbers.setdefault(entry.tobytes(), len(numbers)) for entry in column]
    return {name + "_index": np.asarray(indices), name: column}


def _joined(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"The values of {name!r} must have one shape on both sides of +, got "
            f"{first.shape[1:]} and {second.shape[1:]}."
        )
    if _is_numeric(first) != _is_numeric(second):
        raise TypeError(
            f"The values of {name!r} must be numbers on both sides of +, or text on both, got "
            f"{first.dtype} and {second.dtype}."
        )
    return np.concatenate([first, second])


def _check_members(sign: str, other: Any) -> None:
    if not isinstance(other, Members):
        raise TypeError(
            f"Both sides of {sign} must be members, got {other!r}. Use e.g. jnn.grid(rate=[...])."
        )


def _numeric(name: str, values: Any) -> np.ndarray:
    """Return the values of a setting as float64, int64 or bool, after all checks."""
    if name in _RESERVED or name.endswith("_index") or hasattr(Mapping, name):
        raise ValueError(f"{name!r} is a reserved name. Choose another name for the setting.")
    column = np.atleast_1d(values)
    if column.size == 0:
        raise ValueError(f"{name!r} must have at least one value, got an empty list.")
    if not _is_numeric(column):
        raise TypeError(
            f"{name!r} must hold numbers, got {values!r}. Only numbers can vary between members: "
            "define one Study per choice, and join the results with "
            f"jnn.Result.concat([...], {name}=[...])."
        )
    _check_values(name, column)
    return column.astype({"f": np.float64, "b": np.bool_}.get(column.dtype.kind, np.int64))


def _check_values(name: str, column: np.ndarray) -> None:
    if not np.all(np.isfinite(column)):
        raise ValueError(f"{name!r} must hold finite numbers, got {column.tolist()}.")
    is_whole = column.dtype.kind in "iu"
    if is_whole and not (_INT32.min <= column.min() and column.max() <= _INT32.max):
        raise ValueError(
            f"{name!r} must fit 32 bits, got {column.tolist()}. Use floats, such as 1e10."
        )
    is_rate = name == "rate" or (name.endswith("_rate") and not name.startswith("log"))
    if is_rate and np.any(column < 0):
        raise ValueError(f"{name!r} must be at least 0, got {column.min():g}.")
    if name.endswith("dropout_rate") and np.any(column > 1):
        raise ValueError(
            f"{name!r} must be at most 1, got {column.max():g}. It is the share that is dropped."
        )
