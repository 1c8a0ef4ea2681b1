"""The arrays that all members of a study share, and the rows that each fold trains and is scored on."""

from collections.abc import Sequence

import numpy as np

from jnn.data import Dataset, Windows
from jnn.engine._step import Data, Rows
from jnn.study import Fold, Members, Study, kind_for, part_off


def resident(study: Study, data: Dataset, members: Members, test: Dataset | None = None) -> Data:
    """The arrays that all members share, with every fold's rows as index lists."""
    if test is not None and members.split is not None:
        raise ValueError("wanted either folds or a separate test set, but got both; leave one out")
    x, y = data.x, data.y
    if test is not None:
        _check_alike(data, test)
        x, y = _joined(data, test)
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
    return Data(x, y, train, validation, test_rows)


def _with_inner_split(fold: Fold, share: float, data: Dataset, kind: str) -> Fold:
    if fold.validation is not None:
        raise ValueError(
            "wanted one inner split, but the folds give validation rows and the study a share; leave one"
        )
    train, validation = part_off(fold.train, share, data, kind=kind, seed=0)
    if not len(train):
        raise ValueError(
            f"wanted rows to train on before those of validation={share:g}, but got {len(fold.train)} rows in all, "
            f"{data.gap} of them between the two; use a smaller share, a shorter horizon or more rows"
        )
    return Fold(train, validation, fold.test)


def _rows(parts: Sequence[np.ndarray | None]) -> Rows | None:
    """The same part of every fold as equally long lists; None if some fold has none."""
    lists = [rows for rows in parts if rows is not None]
    if len(lists) < len(parts):
        return None
    most = max(map(len, lists))
    index = np.stack([np.pad(rows, (0, most - len(rows)), mode="wrap") for rows in lists])
    return Rows(index.astype(np.int32), np.asarray([len(rows) for rows in lists], np.int32))


def _check_alike(data: Dataset, test: Dataset) -> None:
    """Whether a test set asks for the same as the training set."""
    labels = test.target_names if data.task == "classification" else ()
    if (
        data.task != test.task or data.target_names[: len(labels)] != labels
    ):  # the last classes may be absent
        raise ValueError(
            f"wanted a test set with the targets of the training set, {_targets(data)}, but got {_targets(test)}; "
            "give Dataset(target_names=...) the same names to both"
        )
    for name in ("feature_names", "tokenizer"):
        ours, theirs = getattr(data, name), getattr(test, name)
        if ours and theirs and ours != theirs:
            raise ValueError(
                f"wanted a test set prepared like the training set, but their {name} differ; "
                "encode both by the training set's columns or tokenizer"
            )


def _targets(data: Dataset) -> str:
    return f"{data.task} of {list(data.target_names[:10]) or data.outputs}"


def _joined(data: Dataset, test: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The rows of both, x and y."""
    if (
        isinstance(data.x, Windows)
        or isinstance(data.y, Windows)
        or isinstance(test.x, Windows)
        or isinstance(test.y, Windows)
    ):
        raise ValueError(
            "wanted rows of one series, but got a test set of its own; name its windows by "
            "jnn.folds([(train rows, test rows)]) of one data set"
        )
    if data.x.shape[1:] != test.x.shape[1:] or data.y.shape[1:] != test.y.shape[1:]:
        raise ValueError(
            f"wanted a test set shaped like the training set, {data.x.shape[1:]} -> {data.y.shape[1:]} a row, "
            f"but got {test.x.shape[1:]} -> {test.y.shape[1:]}; prepare both in the same way"
        )
    if data.x.dtype != test.x.dtype:
        raise ValueError(
            f"wanted a test set of the training set's type, {data.x.dtype}, but got {test.x.dtype}; make "
            "both in the same way, token ids with ids=True"
        )
    return np.concatenate([data.x, test.x]), np.concatenate([data.y, test.y])
