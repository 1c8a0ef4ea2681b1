"""Checks of a data set before anything is trained on it; each error is one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from jnn._settings import check_integer
from jnn.data._windows import Windows


def check_features(x: np.ndarray, feature_names: Sequence[str], *, fills: bool = False) -> None:
    """Raise unless `x` has rows, at least one feature, and only finite numbers.

    Args:
        x: Inputs.
        feature_names: Names of the features, or ().
        fills: Whether NaN stands for a missing value that is filled.
    """
    _check_numbers(x, "x")
    if x.ndim < 2:
        raise ValueError(
            f"x must be of shape [rows, *features], got {x.shape}. Pass x[:, None] for a single "
            "feature."
        )
    if x.size == 0:
        raise ValueError(
            f"x must have at least one row and one feature, got shape {x.shape}: the data are "
            "empty."
        )
    if feature_names and len(feature_names) != x.shape[-1]:
        raise ValueError(
            f"feature_names must have a name for each of the {x.shape[-1]} features, got "
            f"{len(feature_names)}. Pass as many names or none."
        )
    check_finite(np.where(np.isnan(x), 0, x) if fills else x, "x", feature_names)


def check_name(name: object) -> None:
    """Raise unless the name of a data set is text."""
    if not isinstance(name, str):
        raise TypeError(f"name must be text, got {name!r}. Pass name=str(...) or leave it out.")


def repeated(names: Sequence[str]) -> list[str]:
    """Return the sorted names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def check_rows(rows: int, **others: np.ndarray | Windows | None) -> None:
    """Raise unless targets, groups, texts, and weights, where given, have as many rows as x."""
    for name, values in others.items():
        if values is not None and (values.ndim == 0 or len(values) != rows):
            raise ValueError(
                f"{name} must have one row for each of the {rows} rows of x, got shape "
                f"{values.shape}. Check that both come from the same table and that rows are the "
                "first axis."
            )


def check_weights(weights: np.ndarray) -> None:
    """Raise unless weights are one finite number of at least 0 per row and not all 0."""
    if weights.dtype.kind != "f":
        raise TypeError(f"weights must be real numbers, got type {weights.dtype}. Convert them.")
    if weights.ndim != 1:
        raise ValueError(
            f"weights must be of shape [rows], got {weights.shape}. Pass one number for each row."
        )
    faults = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if faults.size:
        raise ValueError(
            f"weights must be finite and at least 0, got {weights[faults[0]]} at "
            f"weights[{faults[0]}] (such weights: {faults.size}). Set the weight of a row that "
            "must not count to 0."
        )
    if not weights.any():
        raise ValueError(
            f"weights must not be 0 in all rows, got {len(weights)} zeros. Leave weights out if "
            "all rows count the same."
        )


def check_groups(groups: np.ndarray) -> None:
    """Raise if the group of a row is missing: such rows would be one group."""
    if groups.dtype.kind == "f":
        is_missing = np.isnan(groups)
    elif groups.dtype.kind == "O":
        is_missing = np.array([_is_missing(group) for group in groups.ravel()], bool)
    else:
        return
    if is_missing.any():
        place = int(is_missing.ravel().argmax())
        raise ValueError(
            f"groups must not be missing, got {groups.ravel()[place]} at groups[{place}] (such "
            f"groups: {int(is_missing.sum())}). Drop these rows or fill them in."
        )


def _is_missing(value: object) -> bool:
    """Return whether an object stands for a missing value in NumPy or pandas."""
    return not isinstance(value, str) and str(value) in ("None", "nan", "NaN", "NaT", "<NA>")


def check_times(times: np.ndarray) -> None:
    """Raise unless times are one number or date per row, and none is missing."""
    if times.dtype.kind not in "iufM":
        raise TypeError(
            f"times must be numbers or dates, got type {times.dtype}. Convert texts with "
            "pandas.to_datetime, and dates with time zones with .tz_convert(None)."
        )
    if times.ndim != 1:
        raise ValueError(
            f"times must be of shape [rows], got {times.shape}. Pass one for each row."
        )
    faults = np.flatnonzero(np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times))
    if faults.size:
        raise ValueError(
            f"times must not be missing, got {times[faults[0]]} at times[{faults[0]}] (such times: "
            f"{faults.size}). Drop these rows or fill them in."
        )


def check_length(length: object) -> None:
    """Raise unless a number of ids in a row is None or a positive integer."""
    if length is not None:
        check_integer("length", length, advice="Leave it out for the longest text.")


def check_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list, or raise if one of them is not text."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        form = "a single text" if isinstance(texts, str) else f"a {type(texts).__name__}"
        raise TypeError(f"texts must be a sequence of texts, got {form}. Pass [text].")
    texts = list(texts)
    row = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if row is not None:
        raise TypeError(
            f"texts must all be text, got {texts[row]!r} ({type(texts[row]).__name__}) at "
            f"texts[{row}]. Drop such rows, or convert their values to text."
        )
    return texts


def check_labels(y: np.ndarray, classes: int, *, ignoring: bool = False) -> None:
    """Raise unless labels are integers in 0..classes-1, one per row or one per position of it.

    If `ignoring`, a label may also be -1.
    """
    if y.ndim == 0 or y.shape[1:] == (1,):
        raise ValueError(
            f"y must have one label per row or position, got shape {y.shape}. Pass y[:, 0]."
        )
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"y must hold integer labels, got type {y.dtype}. Pass task='regression' or cast them."
        )
    outside = np.flatnonzero((y < -int(ignoring)) | (y >= classes))
    if outside.size:
        first = tuple(int(i) for i in np.unravel_index(outside[0], y.shape))
        if y[first] < 0:
            raise ValueError(
                f"y must hold labels of at least 0, got {y[first]} at {_place('y', first)} (labels "
                f"outside: {outside.size}). If it marks labels to ignore, pass "
                f"ignore_index={y[first]}."
            )
        raise ValueError(
            f"y must hold labels from 0 to {classes - 1}, got {y[first]} at {_place('y', first)} "
            f"(such labels: {outside.size}). Pass one of target_names per class, or number the "
            "labels with np.unique(y, return_inverse=True)[1]."
        )


def check_not_one_hot(y: np.ndarray, advice: str = "Pass y.argmax(-1)") -> None:
    """Raise if each row of y is a single 1 among zeros: one label, not one for each position."""
    is_binary = y.ndim > 1 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all()
    if is_binary and (y.sum(axis=-1) == 1).all():
        raise ValueError(
            f"y must have one label per row, got one-hot rows of shape {y.shape}. {advice}."
        )


def check_regression_target(y: np.ndarray, target_names: Sequence[str]) -> None:
    """Raise unless y has finite numbers, named along its last axis if at all."""
    _check_numbers(y, "y")
    if y.ndim == 0 or y.size == 0:
        raise ValueError(
            f"y must be of shape [rows, *outputs], got {y.shape}. Pass y=None if there are no "
            "targets."
        )
    outputs = 1 if y.ndim == 1 else y.shape[-1]
    if target_names and len(target_names) != outputs:
        raise ValueError(
            f"target_names must have a name for each of the {outputs} outputs, got "
            f"{len(target_names)}. Pass as many names or none."
        )
    check_finite(y, "y", target_names)


def check_varies(y: np.ndarray, target_names: Sequence[str]) -> None:
    """Raise if a target is the same in all rows, so that there is nothing to learn.

    The positions of a row count together.
    """
    columns = y if y.ndim == 2 and y.dtype.kind == "f" else y.reshape(-1, 1)
    constant = np.flatnonzero((columns == columns[0]).all(0))
    if constant.size:
        column = int(constant[0])
        name = f" of {target_names[column]!r}" if columns.shape[1] == len(target_names) > 1 else ""
        raise ValueError(
            f"y must vary, got {columns[0, column]!s}{name} in all {len(y)} rows. Check that the "
            "right column is the target and that no filter removed the other rows."
        )


def _check_numbers(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got type {values.dtype}. Use Dataset.from_dataframe "
            "or Dataset.from_csv for columns of text or categories."
        )


def check_finite(values: np.ndarray, name: str, column_names: Sequence[str]) -> None:
    """Raise unless all values are finite."""
    if np.isfinite(values).all():
        return
    places = np.argwhere(~np.isfinite(values))
    first = tuple(int(i) for i in places[0])
    column = f" ({column_names[first[-1]]!r})" if column_names and len(first) > 1 else ""
    raise ValueError(
        f"{name} must hold finite numbers, got {len(places)} NaN or infinite (or too large for "
        f"float32), the first at {_place(name, first)}{column}. Drop these rows or fill the values."
    )


def _place(name: str, index: Sequence[int]) -> str:
    return f"{name}[{', '.join(map(str, index))}]"
