"""Whether the metrics of a study have a value on the test rows of each fold."""

from collections.abc import Iterator

import numpy as np

from jnn.data import Dataset
from jnn.engine import Data, Rows
from jnn.study import Study

_RANKINGS = ("roc_auc", "average_precision")
_LEAST_ROWS = {"r2": 2}  # number of rows that a metric needs


def check_scored_rows(study: Study, data: Dataset, arrays: Data) -> None:
    """Raise ValueError if a metric has no value on the test rows of a fold, whatever is learned.

    A ranking needs rows of two classes, and the average precision of two classes a row of the
    second one; R2 needs two rows. The score would be NaN, as if the members had diverged.
    """
    names = {metric.name: name for name, metric in study.metrics.items()}
    rankings = [names[kind] for kind in _RANKINGS if kind in names]
    for fold, rows in _rows_of_folds(arrays.test):
        for kind, least in _LEAST_ROWS.items():
            if kind in names and len(rows) < least:
                raise ValueError(
                    f"metrics[{names[kind]!r}] needs {least} test rows or more in every fold, but "
                    f"fold {fold} has {len(rows)}. Use fewer folds, or choose another metric."
                )
        if rankings and data.row_labels is not None:
            _check_classes(study, data, arrays, rankings[0], fold, rows)


def _check_classes(
    study: Study, data: Dataset, arrays: Data, name: str, fold: int, rows: np.ndarray
) -> None:
    """Raise if a ranking has no value on these rows."""
    labels = np.asarray(arrays.y)[rows]
    counts = labels >= 0
    if arrays.weights is not None:
        counts &= np.asarray(arrays.weights)[rows] > 0
    classes = np.unique(labels[counts])
    needs_two = study.metrics[name].name == "roc_auc"
    if len(classes) == 1 and (needs_two or (data.classes == 2 and classes[0] == 0)):
        raise ValueError(
            f"metrics[{name!r}] needs test rows of more than one class in every fold, but all "
            f"those of fold {fold} are {data.target_names[classes[0]]!r}. Use fewer or other "
            "folds, or choose another metric."
        )


def _rows_of_folds(rows: Rows | None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each fold, and its rows."""
    if rows is None:
        return
    counts = np.asarray(rows.count)
    for fold, index in enumerate(np.asarray(rows.index)):
        yield fold, index[: counts[fold]]
