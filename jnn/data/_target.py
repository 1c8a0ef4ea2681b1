"""From targets as people have them - names, flags, amounts - to the int32 labels or float32 values of a `Dataset`."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from jnn.data._check import check_labels, check_regression_target

Task = Literal["classification", "regression"]


def infer_task(y: np.ndarray) -> Task:
    """The task that a target's type and distinct values speak for; see `Dataset.from_arrays`."""
    if y.ndim > 1 or np.issubdtype(y.dtype, np.floating):
        return "regression"
    distinct = len(np.unique(y)) if y.dtype.kind in "iu" else 0
    return "regression" if distinct > 20 and y.size < 10 * distinct else "classification"


def number_labels(y: np.ndarray, target_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Text and bool labels as the numbers of their names (sorted, unless given); numeric labels as integers."""
    if y.dtype == bool:
        return y.astype(np.int32), tuple(target_names) or ("False", "True")
    if y.dtype.kind in "OUST":
        return _number_text(y, target_names)
    return _whole(y), tuple(target_names)


def labels_as_text(
    y: np.ndarray, order: tuple[str, ...] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Text, bools or whole numbers as text, and their names in the order of the values (2 before 10), or in `order`."""
    if order:
        return y, order
    y = _whole(y)
    if np.issubdtype(y.dtype, np.floating):
        raise ValueError(
            f"wanted labels, got fractions such as {y[y != np.floor(y)][0]}: pass task='regression'"
        )
    values, numbers = np.unique(y, return_inverse=True)
    names = np.array([str(value) for value in values], object)
    return names[numbers], tuple(names)


def checked_target(
    y: np.ndarray, task: Task, target_names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The target in its final type, and its names: "0", "1", ... for classes without names."""
    target_names = tuple(map(str, target_names))
    if task == "classification":
        names = target_names or _numbers_as_names(y)
        check_labels(y, len(names))
        return y.astype(np.int32), names
    if task == "regression":
        with np.errstate(over="ignore"):  # the check that follows says it in a sentence
            y = y.astype(np.float32) if y.dtype.kind in "biuf" else y
        check_regression_target(y, target_names)
        return y, target_names
    raise ValueError(f"wanted the task 'classification' or 'regression', got {task!r}")


def _whole(y: np.ndarray) -> np.ndarray:
    """Floats without a fraction as integers; anything else as it is."""
    is_whole = (
        np.issubdtype(y.dtype, np.floating) and ((y == np.floor(y)) & (np.abs(y) < 2**31)).all()
    )
    return y.astype(np.int64) if is_whole else y


def _number_text(y: np.ndarray, target_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    others = [label for label in y.ravel() if not isinstance(label, str)]
    if others:
        raise ValueError(
            f"wanted labels that are all text or all integers, got {others[0]!r} ({type(others[0]).__name__}) among "
            "them: turn all labels into text and drop the rows without one"
        )
    if y.ndim != 1:
        raise ValueError(
            f"wanted one label per row, got y of shape {y.shape}: choose one column of it"
        )
    names = tuple(map(str, target_names)) or tuple(sorted({str(label) for label in y}))
    unknown = sorted({str(label) for label in y} - set(names))
    if unknown:
        raise ValueError(
            f"wanted labels among target_names {names}, got also {unknown}: add or rename them"
        )
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[label] for label in y], np.int32), names


def _numbers_as_names(y: np.ndarray) -> tuple[str, ...]:
    """Names for labels that count from 0; one that is missing in between is a sign of labels that do not."""
    if y.dtype.kind not in "iu" or y.size == 0 or y.min() < 0:
        return ("0", "1")  # check_labels says what is wrong
    absent = np.setdiff1d(np.arange(min(int(y.max()), y.size) + 1), y)
    if absent.size:
        raise ValueError(
            f"wanted integer labels that count 0, 1, 2, ..., got none that is {absent[0]} but some up to {y.max()}: "
            "number them with np.unique(y, return_inverse=True)[1], or pass target_names if the class is just absent"
        )
    return tuple(str(label) for label in range(int(y.max()) + 1))
