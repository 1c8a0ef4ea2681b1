"""From targets - names, flags, amounts - to the int32 labels or float32 values of a `Dataset`."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from jnn.data._check import check_labels, check_regression_target
from jnn.data._offsets import check_digits

Task = Literal["classification", "regression", "multitask", "unsupervised"]


def infer_task(y: np.ndarray) -> Task:
    """Infer the task from the type and the number of distinct values; see `Dataset.from_arrays`."""
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f":
        y = y[:, 0]  # a column of labels, which has a sentence of its own, or of amounts
    if y.ndim > 1 or np.issubdtype(y.dtype, np.floating):
        return "regression"
    distinct = len(np.unique(y)) if y.dtype.kind in "iu" else 0
    if distinct > 20 and y.size < 10 * distinct:
        return "regression"
    return "classification"


def number_labels(y: np.ndarray, target_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as integers, and the names of the classes.

    Text and bool labels become the numbers of their names, which are sorted unless given; numeric
    labels stay as they are.
    """
    if y.dtype == bool:
        return y.astype(np.int32), tuple(target_names) or ("False", "True")
    if y.dtype.kind in "OUST":
        return _number_text(y, target_names)
    return _as_whole(y), tuple(target_names)


def labels_as_text(
    y: np.ndarray, order: tuple[str, ...] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return text, bool, or whole-number labels as text, and their names.

    The names are in the order of the values (2 before 10), or in `order` if it is given.
    """
    if order:
        return y, order
    y = _as_whole(y)
    if np.issubdtype(y.dtype, np.floating):
        raise ValueError(
            f"The target must hold labels, got fractions such as {y[y != np.floor(y)][0]}. Pass "
            "task='regression'."
        )
    values, numbers = np.unique(y, return_inverse=True)
    names = np.array([str(value) for value in values], object)
    return names[numbers], tuple(names)


def checked_target(
    y: np.ndarray | None, task: Task, target_names: Sequence[str], *, ignored: int | None = None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the target in its final type, and its names, by default "0", "1", ... of classes.

    Args:
        y: Targets, or None.
        task: Of the data set.
        target_names: Names of the classes or outputs, or none.
        ignored: The label that was to be ignored; then -1 may stand in its place. None if all
            labels count.
    """
    target_names = tuple(map(str, target_names))
    if task not in get_args(Task):
        raise ValueError(
            f"task must be 'classification', 'regression' or 'unsupervised', got {task!r}."
        )
    if task == "multitask":
        raise ValueError(
            "task must not be 'multitask' for one array of targets. Leave it out, or pass a dict "
            "or tuple of arrays."
        )
    if (y is None) != (task == "unsupervised"):
        targets = "None" if y is None else f"targets of shape {y.shape}"
        raise ValueError(
            f"y must be None for task 'unsupervised' and hold targets for any other, got {targets} "
            f"for task {task!r}. Leave task out to infer it."
        )
    if y is None:
        return None, target_names
    if task == "classification":
        ignoring = ignored is not None
        names = target_names or _numbers_as_names(y[y >= 0] if ignoring else y, ignored)
        check_labels(y, len(names), ignoring=ignoring)
        return y.astype(np.int32), names
    check_digits(y, "y", target_names)
    with np.errstate(over="ignore"):  # the check that follows says it in a sentence
        y = y.astype(np.float32) if y.dtype.kind in "biuf" else y
    check_regression_target(y, target_names)
    return y, target_names


def _as_whole(y: np.ndarray) -> np.ndarray:
    """Return floats without a fraction as integers, and anything else as it is."""
    if not np.issubdtype(y.dtype, np.floating):
        return y
    is_whole = (y == np.floor(y)) & (np.abs(y) < 2**31)
    return y.astype(np.int64) if is_whole.all() else y


def _number_text(y: np.ndarray, target_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    others = [label for label in y.ravel() if not isinstance(label, str)]
    if others:
        raise TypeError(
            f"Labels must be all text or all integers, got {others[0]!r} "
            f"({type(others[0]).__name__}) among text. Convert all labels to text and drop the "
            "rows without one."
        )
    if y.ndim != 1:
        raise ValueError(
            f"y must have one label per row, got shape {y.shape}. Choose one column of it."
        )
    names = tuple(map(str, target_names)) or tuple(sorted({str(label) for label in y}))
    unknown = sorted({str(label) for label in y} - set(names))
    if unknown:
        raise ValueError(
            f"Labels must be among target_names {names}, got also {unknown}. Add or rename them."
        )
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[label] for label in y], np.int32), names


def _numbers_as_names(y: np.ndarray, ignored: int | None) -> tuple[str, ...]:
    """Return names for labels that count from 0; a missing number means that they do not.

    The number of a label that was to be ignored may be missing.
    """
    if y.dtype.kind not in "iu" or y.size == 0 or y.min() < 0:
        return ("0", "1")  # check_labels says what is wrong
    absent = np.setdiff1d(np.arange(min(int(y.max()), y.size) + 1), y)
    absent = absent[absent != ignored]
    if absent.size:
        raise ValueError(
            f"Integer labels must count 0, 1, 2, ..., got none that is {absent[0]} but some up to "
            f"{y.max()}. Number them with np.unique(y, return_inverse=True)[1], or pass "
            "target_names if the class is just absent."
        )
    return tuple(str(label) for label in range(int(y.max()) + 1))
