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
    """Return what the targets are, how many labels are ignored, and whether rows have weights."""
    if data.y is None:
        targets = "no targets"
    elif is_tree(data.y):
        targets = f"targets of shape {shapes_of_rows(data.y)}"
    elif data.task == "classification":
        targets = f"{data.classes} classes"
    else:
        targets = "1 output" if data.outputs == 1 else f"{data.outputs} outputs"
    if data.ignore_index is not None and not is_tree(data.y):
        labels = np.asarray(values_of(data.y))
        targets += f", {np.sum(labels < 0)} of {labels.size} labels ignored"
    return targets if data.weights is None else f"{targets}, weighted"
