"""The arrays that all members of a study share, and the rows of each fold."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.data import (
    Dataset,
    Encoding,
    Windows,
    has_labels,
    is_tree,
    map_parts,
    parts_of,
    shapes_of_rows,
)
from jnn.engine._state import Data, Ignoring, Rows, rows_of
from jnn.losses import balanced_class_weights
from jnn.study import Fold, Kind, Members, Study, kind_for, part_off


def fold_data(study: Study, data: Dataset, members: Members, test: Dataset | None = None) -> Data:
    """Return the arrays that all members share, with every fold's rows as index lists.

    Args:
        study: What is trained; its validation share, class weights and shared arrays are used here.
        data: The rows.
        members: The population, whose split makes the folds.
        test: A separate test set, if the members have no folds.

    Raises:
        ValueError: If these do not fit together.
    """
    if test is not None and members.split is not None:
        raise ValueError("The members have folds and a test set is given. Leave one of them out.")
    x, y, weights = data.x, data.y, data.weights
    if test is not None:
        _check_alike(data, test)
        x, y = _joined(data, test)
        weights = _joined_weights(data, test)
        folds = [Fold(np.arange(data.rows), None, data.rows + np.arange(test.rows))]
    elif members.split is not None:
        folds = members.split.rows(data)
    else:
        folds = [Fold(np.arange(data.rows), None, None)]
    if study.validation:
        kind = kind_for(members.split.kind if members.split else "auto", data)
        folds = [_with_inner_split(fold, study.validation, data, kind) for fold in folds]
    train, validation, test_rows = (_rows(parts) for parts in zip(*folds, strict=True))
    assert train is not None
    _check_weights(weights, (train, validation, test_rows))
    ignoring = any(d is not None and d.ignore_index is not None for d in (data, test))
    if ignoring:
        _check_labelled(y, (train, validation, test_rows))
    return Data(
        x,
        y,
        train,
        validation,
        test_rows,
        None if weights is None else (weights / weights.mean()).astype(np.float32),
        study.shared,
        _class_weights(study, data, weights, train),
        ignoring=Ignoring() if ignoring else None,
    )


def _with_inner_split(fold: Fold, share: float, data: Dataset, kind: Kind) -> Fold:
    if fold.validation is not None:
        raise ValueError(
            "The folds name validation rows and Study.validation sets a share aside. Use one of "
            "them."
        )
    train, validation = part_off(fold.train, share, data, kind=kind, seed=0)
    if not len(train):
        raise ValueError(
            f"Study.validation={share:g} leaves no rows to train on: of {len(fold.train)} rows, "
            f"{data.gap} lie between training and validation. Use a smaller share, a shorter "
            "horizon or more rows."
        )
    return Fold(train, validation, fold.test)


def _rows(parts: Sequence[np.ndarray | None]) -> Rows | None:
    """Return the same part of every fold; None if some fold has none."""
    lists = [rows for rows in parts if rows is not None]
    return rows_of(lists) if len(lists) == len(parts) else None


def _check_weights(weights: np.ndarray | None, parts: Sequence[Rows | None]) -> None:
    """Raise ValueError if a fold has rows of weight 0 only to train, choose or score on."""
    if weights is None:
        return
    for name, rows in zip(("training", "validation", "test"), parts, strict=True):
        if rows is not None and (weights[rows.index].sum(axis=1) == 0).any():
            raise ValueError(
                f"The {name} rows of a fold all have weight 0. Use fewer folds, or drop the rows "
                "of weight 0."
            )


def _check_labelled(y: Any, parts: Sequence[Rows | None]) -> None:
    """Raise ValueError if a fold has only ignored labels to train, choose or score on."""
    if isinstance(y, Windows) or is_tree(y):
        return
    labelled = has_labels(y)
    for name, rows in zip(("training", "validation", "test"), parts, strict=True):
        if rows is not None and not labelled[rows.index].any(axis=1).all():
            raise ValueError(
                f"The {name} rows of a fold have only labels that are to be ignored. Use fewer "
                "folds, or drop rows without a label."
            )


def _class_weights(
    study: Study, data: Dataset, weights: np.ndarray | None, train: Rows
) -> np.ndarray | None:
    """Return the weight of each class in each fold, [folds, classes]."""
    if study.class_weights is None:
        return None
    labels = data.y
    if data.task != "classification" or labels is None or labels.ndim != 1:
        raise ValueError(
            f"Study.class_weights needs a classification with one label per row, got a {data.task} "
            f"with rows of targets of shape {shapes_of_rows(labels)}. Leave it out, and weigh the "
            "classes within the loss by jnn.losses.class_weighted."
        )
    if not isinstance(study.class_weights, str):
        class_weights = np.asarray(study.class_weights, np.float32)
        if class_weights.shape != (data.classes,):
            raise ValueError(
                f"Study.class_weights must have one weight for each of the {data.classes} classes "
                f"of {data.name}, got shape {class_weights.shape}."
            )
        return np.tile(class_weights, (len(train.count), 1))
    row_weights = np.ones(data.rows) if weights is None else weights
    folds = [index[:count] for index, count in zip(train.index, train.count, strict=True)]
    return np.stack(
        [np.asarray(_balanced(labels[rows], data.classes, row_weights[rows])) for rows in folds]
    )


def _balanced(labels: np.ndarray, classes: int, weights: np.ndarray) -> jax.Array:
    return balanced_class_weights(jnp.asarray(labels), classes, jnp.asarray(weights))


def _check_alike(data: Dataset, test: Dataset) -> None:
    """Raise ValueError if a test set does not ask for the same as the training set."""
    labels = test.target_names if data.task == "classification" else ()
    if data.task != test.task or data.target_names[: len(labels)] != labels:
        raise ValueError(
            f"The test set must have the targets of the training set, {_targets(data)}, got "
            f"{_targets(test)}. Give Dataset(target_names=...) the same names in both."
        )
    for name in ("feature_names", "tokenizer"):
        ours = getattr(data, name)
        theirs = getattr(test, name)
        if ours and theirs and ours != theirs:
            raise ValueError(
                f"The {name} of the test set differ from those of the training set. Encode both "
                "with the columns or the tokenizer of the training set."
            )


def _targets(data: Dataset) -> str:
    return f"{data.task} of {list(data.target_names[:10]) or data.outputs}"


def _joined(data: Dataset, test: Dataset) -> tuple[Any, Any]:
    """Return x and y of the rows of both."""
    ours = _row_shapes(data)
    theirs = _row_shapes(test)
    if ours != theirs:
        raise ValueError(
            f"The rows of the test set must have the shapes of the training set, {ours}, got "
            f"{theirs}. Prepare both in the same way."
        )
    _check_types(data, test)
    if any(isinstance(values, Windows) for values in (data.x, data.y, test.x, test.y)):
        return _joined_windows(data, test)
    x = map_parts(_concatenated, data.x, test.x if is_tree(test.x) else _aligned_x(test, data))
    if is_tree(data.y):
        return x, map_parts(_concatenated, data.y, test.y)
    y = None if data.y is None else np.concatenate([np.asarray(data.y), _aligned_y(test, data)])
    return x, y


def _joined_windows(data: Dataset, test: Dataset) -> tuple[Any, Any]:
    """Return x and y of windows of both, of which none crosses from one series into the other."""
    ours = 0.0 if data.target_offset is None else data.target_offset
    theirs = 0.0 if test.target_offset is None else test.target_offset
    forms = [
        [isinstance(v, Windows) and (v.length, v.offset, v.steps) for v in (each.x, each.y)]
        for each in (data, test)
    ]
    if forms[0] != forms[1] or not np.array_equal(ours, theirs):
        raise ValueError(
            "The windows of the test set must be cut as those of the training set, and have the "
            "same offset taken out. Take both from one data set, by data.take(rows), or name their "
            "rows by jnn.folds([(train_rows, test_rows)])."
        )
    return _one_after_the_other(data.x, test.x), _one_after_the_other(data.y, test.y)


def _one_after_the_other(ours: Any, theirs: Any) -> Any:
    if ours is None or not isinstance(ours, Windows):
        return None if ours is None else _concatenated(ours, theirs)
    first = np.arange(len(ours)) if ours.starts is None else np.asarray(ours.starts)
    second = np.arange(len(theirs)) if theirs.starts is None else np.asarray(theirs.starts)
    return dataclasses.replace(
        ours,
        values=_concatenated(ours.values, theirs.values),
        starts=np.concatenate([first, second + len(ours.values)]).astype(np.int32),
    )


def _aligned_x(test: Dataset, data: Dataset) -> np.ndarray:
    """Return the features of a test set less the offsets of the training set's, in their type."""
    x = np.asarray(test.x)
    encodings = (test.encoding, data.encoding)
    theirs, ours = (e.offset if isinstance(e, Encoding) else np.zeros(1) for e in encodings)
    if np.array_equal(theirs, ours) or not (theirs.any() or ours.any()):
        return x
    return (x + (theirs - ours)).astype(x.dtype)


def _concatenated(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(ours), np.asarray(theirs)])


def _check_types(data: Dataset, test: Dataset) -> None:
    """Raise ValueError if a part of x has another type in the test set."""
    parts = parts_of(test.x, "x")
    for name, ours in parts_of(data.x, "x").items():
        theirs = parts[name]
        if ours.dtype != theirs.dtype:
            raise ValueError(
                f"The test set must have the type of the training set, {ours.dtype}, got "
                f"{theirs.dtype} in {name}. Prepare both in the same way, token ids with ids=True."
            )


def _aligned_y(test: Dataset, data: Dataset) -> np.ndarray:
    """Return the targets of a test set less the offset of the training set's, in its type."""
    y = np.asarray(test.y)
    ours = 0.0 if data.target_offset is None else data.target_offset
    theirs = 0.0 if test.target_offset is None else test.target_offset
    if np.array_equal(ours, theirs):
        return y
    return (y + (theirs - ours)).astype(y.dtype)


def _row_shapes(data: Dataset) -> str:
    return f"{shapes_of_rows(data.x)} -> {shapes_of_rows(data.y)}"


def _joined_weights(data: Dataset, test: Dataset) -> np.ndarray | None:
    """Return the weights of the rows of both, 1 where a set has none; None if neither has."""
    if data.weights is None and test.weights is None:
        return None
    parts = [np.ones(d.rows) if d.weights is None else d.weights for d in (data, test)]
    return np.concatenate(parts)
