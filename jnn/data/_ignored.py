"""Labels that are to be ignored, such as those of padding, kept as -1."""

import numbers
from typing import Any

import numpy as np

IGNORED = -1
"""The label that losses and metrics ignore, as they do any negative one."""

_USUAL = (-1, -100)  # of padding, in this library and in PyTorch's


def with_ignored(y: Any, task: str, ignore_index: Any) -> tuple[Any, int | None]:
    """Return targets with -1 in place of every label to ignore, and -1 if some may be ignored.

    Args:
        y: Targets, or None.
        task: Of the data set.
        ignore_index: The label to ignore. If it is None, nothing is ignored in labels for rows; in
            labels for the positions of a row the usual labels of padding, -1 and -100, are.

    Raises:
        TypeError: If `ignore_index` is no integer.
        ValueError: If the targets are no integer labels, or all are ignored.
    """
    if ignore_index is None:
        return _without_padding(y, task)
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, numbers.Integral):
        raise TypeError(
            f"ignore_index must be an integer label, got {ignore_index!r}. Use for example -100."
        )
    if task != "classification" or y is None or y.dtype.kind not in "iu":
        what = "no targets" if y is None else f"a {task} with targets of type {y.dtype}"
        raise ValueError(
            f"ignore_index={ignore_index} needs a classification with integer labels, got {what}. "
            "Leave it out, or number the labels with np.unique(y, return_inverse=True)[1]."
        )
    return _hidden(y, y == int(ignore_index)), IGNORED


def check_ignorable(y: np.ndarray, ignore_index: Any) -> None:
    """Raise ValueError if a label is to be ignored among labels that are no numbers."""
    if ignore_index is not None and y.dtype.kind not in "iuf":
        raise ValueError(
            f"ignore_index={ignore_index} needs integer labels, got type {y.dtype}. Number them "
            "with np.unique(y, return_inverse=True)[1], or drop the rows without a label."
        )


def has_labels(y: np.ndarray) -> np.ndarray:
    """Return whether some label of each row is not ignored, bool [rows]."""
    return np.asarray((y >= 0).reshape(len(y), -1).any(axis=1))


def _without_padding(y: Any, task: str) -> tuple[Any, int | None]:
    if task != "classification" or y is None or y.ndim < 2:
        return y, None
    if y.dtype.kind != "i" or y.size == 0 or y.min() >= 0:
        return y, None
    is_padding = np.isin(y, _USUAL)
    labels = np.unique(y[~is_padding])
    if len(labels) < 2 or labels[0] < 0:
        return y, None  # check_labels refuses it
    return _hidden(y, is_padding), IGNORED


def _hidden(y: np.ndarray, is_ignored: np.ndarray) -> np.ndarray:
    if is_ignored.all():
        raise ValueError(
            f"y must have labels that count, got {y.size} that are all to be ignored. Check "
            "ignore_index."
        )
    if not is_ignored.any():
        return y
    return np.where(is_ignored, IGNORED, y.astype(np.int64))
