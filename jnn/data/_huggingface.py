"""Columns of a Hugging Face data set as arrays; nothing of the package `datasets` is imported."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jnn.data._pixels import is_picture, scaled, stack_pictures


def read_columns(
    rows: Any, x: str | Sequence[str], y: str | None, size: tuple[int, int] | None = None
) -> tuple[np.ndarray | list[str], np.ndarray | None, dict[str, tuple[str, ...]]]:
    """Read the values of `x` and `y`, and the names that are known.

    Args:
        rows: Anything with `column_names` and `rows[name]`; `features[y].names` gives the names of
            the classes, where it exists.
        x: Name of the column of inputs, or several names of columns of numbers.
        y: Name of the column of targets, or None.
        size: Height and width to which pictures are resized.

    Returns:
        The inputs (texts as a list, all else as an array), the targets or None, and `feature_names`
        and `target_names` where they are known.
    """
    inputs = (x,) if isinstance(x, str) else tuple(x)
    targets = () if y is None else (y,)
    columns = getattr(rows, "column_names", None)
    if not isinstance(columns, list):
        raise TypeError(
            f"rows must be one split of a Hugging Face data set, got {type(rows).__name__}. Choose "
            "a split."
        )
    missing = sorted({*inputs, *targets} - set(columns))
    if missing:
        raise ValueError(
            f"Names must be among the columns {sorted(columns)}, got {missing}. Check the spelling."
        )
    labels = None if y is None else np.asarray(list(rows[y]))
    classes = getattr((getattr(rows, "features", None) or {}).get(y), "names", None)
    names = {"target_names": tuple(classes)} if classes else {}
    if not isinstance(x, str):
        features = np.stack([np.asarray(list(rows[name])) for name in inputs], axis=1)
        return features, labels, {"feature_names": inputs, **names}
    values = list(rows[x])
    first = next((value for value in values if value is not None), None)
    return values if isinstance(first, str) else _as_numbers(values, size), labels, names


def _as_numbers(values: list[Any], size: tuple[int, int] | None) -> np.ndarray:
    """Stack rows; scale pictures to 0..1, and add an axis of channels to gray ones."""
    if any(map(is_picture, values)) or size is not None:
        return stack_pictures(values, [f"row {i}" for i in range(len(values))], size)
    arrays = [np.asarray(value) for value in values]
    other = next((i for i, array in enumerate(arrays) if array.shape != arrays[0].shape), None)
    if other is not None:
        raise ValueError(
            f"All rows of x must have one shape, got {arrays[0].shape} in row 0 but "
            f"{arrays[other].shape} in row {other}. Pad or resize them, or drop this row."
        )
    array = np.stack(arrays)
    is_gray = array.ndim == 3 and array.dtype in (np.uint8, np.uint16)
    array = scaled(array) if array.ndim > 2 or array.dtype == np.uint8 else array
    if is_gray:
        return array[..., None]
    return array if array.ndim > 1 else array[:, None]
