"""Folds by a scikit-learn splitter."""

import dataclasses
import hashlib
import pickle
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jnn.data import Dataset, is_tree
from jnn.study._kind import Kind


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


@dataclasses.dataclass(frozen=True)
class SplitterFolds:
    """Folds of a scikit-learn splitter; two splitters are equal if their settings are."""

    splitter: Splitter = dataclasses.field(compare=False)
    digest: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "digest", _digest_of(self.splitter))

    @property
    def description(self) -> str:
        """The splitter's own text."""
        return repr(self.splitter)

    @property
    def kind(self) -> Kind:
        """The kind of the validation split inside each fold: in time if the splitter is."""
        from sklearn.model_selection import TimeSeriesSplit

        return "time" if isinstance(self.splitter, TimeSeriesSplit) else "auto"

    @property
    def count(self) -> int:
        """The number of folds."""
        return self.splitter.get_n_splits()

    def make(self, data: Dataset) -> list[tuple[np.ndarray, ...]]:
        """Return (train rows, test rows) of each fold."""
        return folds_of_splitter(self.splitter, data, groups=data.groups)


def check_splitter(splitter: Splitter) -> None:
    """Raise unless a splitter makes the same folds each time and knows their number."""
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


def folds_of_splitter(
    splitter: Splitter,
    data: Dataset,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> list[tuple[np.ndarray, ...]]:
    """Return (train rows, test rows) of each fold that a splitter makes of a data set.

    Args:
        splitter: A scikit-learn splitter.
        data: The rows.
        labels: The class of each row; by default the targets.
        groups: The group of each row, for a splitter that keeps groups together.
    """
    if labels is None and not data.is_series:
        labels = data.row_labels if is_tree(data.y) else data.y
    return list(splitter.split(np.zeros((data.rows, 1)), labels, groups))


def _digest_of(splitter: Splitter) -> str:
    """Return a digest of the splitter's settings; its text abbreviates arrays."""
    try:
        return hashlib.sha256(pickle.dumps(splitter)).hexdigest()
    except (AttributeError, TypeError, pickle.PicklingError):  # such as a class inside a function
        return str(id(splitter))
