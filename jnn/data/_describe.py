"""A data set in one line."""

from typing import TYPE_CHECKING

import numpy as np

from jnn.data._tree import is_tree, shapes_of_rows
from jnn.data._windows import values_of

if TYPE_CHECKING:
    from jnn.data._dataset import Dataset


def describe(data: "Dataset") -> str:
    """Return name, task, rows, targets and notes of a data set."""
    shape = shapes_of_rows(data.x)
    notes = "".join(f"; {note}" for note in data.notes)
    return (
        f"Dataset {data.name!r}: {data.task}, {data.rows} rows of shape {shape}, "
        f"{_targets_of(data)}{notes}"
    )


def _targets_of(data: "Dataset") -> str:
    """Return what the targets are, labels that are ignored, and whether rows have other roles."""
    if data.y is None:
        targets = "no targets"
    elif is_tree(data.y):
        targets = f"targets of shape {shapes_of_rows(data.y)}"
    elif data.task == "classification":
        targets = f"{data.classes} classes{_largest_class(data)}"
    else:
        targets = "1 output" if data.outputs == 1 else f"{data.outputs} outputs"
    if data.ignore_index is not None and not is_tree(data.y):
        labels = np.asarray(values_of(data.y))
        targets += f", {np.sum(labels < 0)} of {labels.size} labels ignored"
    if data.weights is not None:
        targets += ", weighted"
    if data.groups is not None:
        targets += f", {len(np.unique(data.groups))} groups"
    return targets if data.times is None else f"{targets}, in time"


def _largest_class(data: "Dataset") -> str:
    """Return the share of the most frequent class where it is 1.5 times an even one, or more."""
    if not isinstance(data.y, np.ndarray) or data.y.ndim != 1:
        return ""
    counts = np.bincount(data.y[data.y >= 0])
    share = counts.max(initial=0) / max(1, counts.sum())
    if share < 1.5 / data.classes:
        return ""
    return f" ({100 * share:.0f} % of the rows are {data.target_names[counts.argmax()]!r})"
