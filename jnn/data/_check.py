"""What a data set must fulfil before anything is trained on it; each fault is answered in one sentence."""

from collections.abc import Iterable, Sequence

import numpy as np


def check_features(x: np.ndarray, feature_names: Sequence[str]) -> None:
    """Rows first, at least one feature, numbers only, all of them finite."""
    _check_numbers(x, "x")
    if x.ndim < 2:
        raise ValueError(
            f"wanted x of shape [rows, *features], got {x.shape}: for a single feature pass x[:, None]"
        )
    if x.size == 0:
        raise ValueError(
            f"wanted at least one row and one feature, got x of shape {x.shape}: the data are empty"
        )
    if feature_names and len(feature_names) != x.shape[-1]:
        raise ValueError(
            f"wanted a name for each of the {x.shape[-1]} features, got {len(feature_names)}: "
            "pass as many feature_names or none"
        )
    _check_finite(x, "x", feature_names)


def check_name(name: object) -> None:
    """The name of a data set is text."""
    if not isinstance(name, str):
        raise ValueError(f"wanted a name as text, got {name!r}: pass name=str(...) or none")


def repeated(names: Sequence[str]) -> list[str]:
    """The names that come more than once."""
    return sorted({name for name in names if names.count(name) > 1})


def check_rows(x: np.ndarray, **others: np.ndarray | None) -> None:
    """As many targets, groups and texts, where there are any, as rows of x."""
    for name, values in others.items():
        if values is not None and (values.ndim == 0 or len(values) != len(x)):
            raise ValueError(
                f"wanted one row of {name} for each of the {len(x)} rows of x, got {name} of shape {values.shape}: "
                "check that both come from the same table and that rows are the first axis"
            )


def check_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list, each of which is text indeed."""
    texts = list(texts)
    row = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if row is not None:
        raise ValueError(
            f"wanted texts, got {texts[row]!r} ({type(texts[row]).__name__}) at texts[{row}]: drop such rows, or turn "
            "what they hold into text"
        )
    return texts


def check_labels(y: np.ndarray, classes: int) -> None:
    """Labels are integers from 0 to classes - 1: one per row, or one per position of it."""
    if y.ndim == 0 or y.shape[1:] == (1,):
        raise ValueError(
            f"wanted one label per row or position, got y of shape {y.shape}: pass y[:, 0]"
        )
    if y.dtype.kind not in "iu":
        raise ValueError(
            f"wanted integer labels, got y of type {y.dtype}: pass task='regression' or cast them"
        )
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if outside.size:
        first = tuple(int(i) for i in np.unravel_index(outside[0], y.shape))
        raise ValueError(
            f"wanted labels from 0 to {classes - 1}, got {y[first]} at y[{', '.join(map(str, first))}] (such labels: "
            f"{outside.size}): pass one of target_names per class, or number the labels with "
            "np.unique(y, return_inverse=True)[1]"
        )


def check_not_one_hot(y: np.ndarray) -> None:
    """Rows of a single 1 among zeros are one label written out, not a label for each position."""
    if (
        y.ndim > 1
        and y.dtype.kind in "biuf"
        and ((y == 0) | (y == 1)).all()
        and (y.sum(axis=-1) == 1).all()
    ):
        raise ValueError(
            f"wanted one label per row, got one-hot rows of shape {y.shape}: pass y.argmax(-1)"
        )


def check_regression_target(y: np.ndarray, target_names: Sequence[str]) -> None:
    """Finite numbers: one per row, or an array of them; the names are those of the last axis."""
    _check_numbers(y, "y")
    if y.ndim == 0 or y.size == 0:
        raise ValueError(
            f"wanted y of shape [rows, *outputs], got {y.shape}: the data have no targets"
        )
    outputs = 1 if y.ndim == 1 else y.shape[-1]
    if target_names and len(target_names) != outputs:
        raise ValueError(
            f"wanted a name for each of the {outputs} outputs, got {len(target_names)}: "
            "pass as many target_names or none"
        )
    _check_finite(y, "y", target_names)


def check_varies(y: np.ndarray, target_names: Sequence[str]) -> None:
    """No target is the same in all rows: there would be nothing to learn. Positions of a row count together."""
    columns = y if y.ndim == 2 and y.dtype.kind == "f" else y.reshape(-1, 1)
    constant = np.flatnonzero((columns == columns[0]).all(0))
    if constant.size:
        column = int(constant[0])
        name = f" of {target_names[column]!r}" if columns.shape[1] == len(target_names) > 1 else ""
        raise ValueError(
            f"wanted a target that varies, got {columns[0, column]!s}{name} in all {len(y)} rows: "
            "check that the right column is the target and that no filter removed the other rows"
        )


def _check_numbers(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"wanted real numbers in {name}, got type {values.dtype}: "
            "for columns of text or categories use Dataset.from_dataframe or Dataset.from_csv"
        )


def _check_finite(values: np.ndarray, name: str, column_names: Sequence[str]) -> None:
    if np.isfinite(values).all():
        return
    places = np.argwhere(~np.isfinite(values))
    first = tuple(int(i) for i in places[0])
    column = f" ({column_names[first[-1]]!r})" if column_names and len(first) > 1 else ""
    raise ValueError(
        f"wanted finite numbers, got {len(places)} NaN or infinite (or too large for float32) in {name}, the first at "
        f"{name}[{', '.join(map(str, first))}]{column}: drop these rows or fill the values before"
    )
