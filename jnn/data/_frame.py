"""From a pandas table to the arguments of a data set."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn.data._columns import Names, as_names, columns_by_name, is_categorical
from jnn.data._encoding import fit_encoding
from jnn.data._missing import Missing, check_missing
from jnn.data._roles import check_role_names, role_names, take_roles, with_roles
from jnn.data._spelling import warn_of_spellings
from jnn.data._table import Reading, SelectedColumns, select_columns, target_of
from jnn.data._target import Task, infer_task, labels_as_text

if TYPE_CHECKING:
    import pandas as pd


class ReadFrame(NamedTuple):
    """What a table becomes.

    Attributes:
        x: Features [rows, features], or a list of texts.
        y: Targets, or None.
        task: Kind of task, or None for data without targets.
        fields: Other arguments of `Dataset.from_arrays`, or of `Dataset.from_texts`.
    """

    x: Any
    y: np.ndarray | None
    task: Task | None
    fields: dict[str, Any]


def read_frame(
    frame: "pd.DataFrame",
    target: Names | None,
    task: Task | None,
    drop: Names,
    *,
    weights: str | int | None,
    groups: Any,
    times: Any,
    text: str | int | None,
    missing: Missing,
    category: Names,
    numeric: Names,
    fields: Mapping[str, Any],
) -> ReadFrame:
    """Read the features, targets and weights of a table; see `Dataset.from_dataframe`."""
    check_missing(missing)
    categories = as_names(category)
    targets = () if target is None else as_names(target)
    if len(targets) == 1 and targets[0] in categories:
        task = task or "classification"
    reading = Reading(missing, categories, as_names(numeric), task == "classification")
    others = {"target": targets, "weights": weights, "text": text, "category": categories}
    others = {k: () if v is None else as_names(v) for k, v in others.items()}
    check_role_names(groups, times, {**others, "numeric": reading.numeric})
    frame, groups, times, notes = with_roles(frame, groups, times, missing)
    drop = [name for name in as_names(drop) if name not in role_names(groups, times)]
    frame, groups, times = take_roles(frame, groups, times)
    table = select_columns(frame, target, weights, text, drop, reading)
    if table.rows is not None:
        groups, times = (_taken(array, table.rows) for array in (groups, times))
    y, task, names = _targets_of(target, table, task)
    fields = {"name": "table", **names, **fields, "groups": groups, "times": times}
    fields["notes"] = (*fields.get("notes", ()), *notes, *table.notes)
    if table.weights is not None:
        fields["weights"] = table.weights
    _check_splits(fields, has_all_rows=table.rows is None and not notes)
    meant = {*categories, *(k for k, v in columns_by_name(frame).items() if is_categorical(v))}
    if text is not None:
        warn_of_spellings(table.targets, meant)
        (name,) = as_names(text)
        texts = [str(value) for value in table.features[name]]
        return ReadFrame(texts, y, task, {"column": name, **fields})
    encoding = fit_encoding(table.features, fills=missing == "fill", numeric=reading.numeric)
    warn_of_spellings({**table.features, **table.targets}, meant)
    fields = {"feature_names": encoding.feature_names, "encoding": encoding, **fields}
    return ReadFrame(encoding.encode_columns(table.features), y, task, fields)


def _targets_of(
    target: Names | None, table: SelectedColumns, task: Task | None
) -> tuple[np.ndarray | None, Task | None, dict[str, Any]]:
    """Return the targets, their task, and their names as a field."""
    if target is None:
        return None, task, {}
    y, order = target_of(target, table.targets)
    task = task or infer_task(y)
    names = tuple(table.targets)
    if task == "regression" and y.dtype == object:
        raise ValueError(
            f"Column {names[0]!r} must hold numbers for a regression, got {y[0]!r} in row 1. Leave "
            "out task='regression', or choose another target."
        )
    if task == "classification":
        y, names = labels_as_text(y, order)
    return y, task, {"target_names": names}


def _taken(array: Any, rows: np.ndarray) -> np.ndarray | None:
    return None if array is None else np.asarray(array)[rows]


def _check_splits(fields: Mapping[str, Any], *, has_all_rows: bool) -> None:
    """Raise if rows are left out of which splits are published."""
    if not has_all_rows and fields.get("splits"):
        raise ValueError(
            "splits must name rows of the data set, but rows with missing values are left out. "
            "Drop these rows before you number the splits."
        )
