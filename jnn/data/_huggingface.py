"""Columns of a Hugging Face data set as arrays; nothing of the package `datasets` is imported."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def read_columns(
    rows: Any, x: str | Sequence[str], y: str
) -> tuple[np.ndarray | list[str], np.ndarray, dict[str, tuple[str, ...]]]:
    """The values of `x` (texts as a list, all else as an array), those of `y`, and the names that are known.

    `rows` is anything with `column_names` and `rows[name]`; `features[y].names` gives the classes, where it exists.
    """
    features = (x,) if isinstance(x, str) else tuple(x)
    known = getattr(rows, "column_names", None)
    if not isinstance(known, list):
        raise ValueError(
            f"wanted one split of a Hugging Face data set, but got {type(rows).__name__}; choose a split"
        )
    absent = sorted({*features, y} - set(known))
    if absent:
        raise ValueError(
            f"wanted columns among {sorted(known)}, but got {absent}; check the spelling"
        )
    labels = getattr((getattr(rows, "features", None) or {}).get(y), "names", None)
    names = {"target_names": tuple(labels)} if labels else {}
    values = list(rows[features[0]])
    first = next((value for value in values if value is not None), None)
    if isinstance(x, str) and isinstance(first, str):
        return values, np.asarray(list(rows[y])), names
    if isinstance(x, str):
        return _numbers(values), np.asarray(list(rows[y])), names
    columns = np.stack([np.asarray(list(rows[name])) for name in features], axis=1)
    return columns, np.asarray(list(rows[y])), {"feature_names": features, **names}


def _numbers(values: list[Any]) -> np.ndarray:
    """Bytes, as images have, scaled to 0..1 and with an axis of channels; other numbers as they are."""
    array = np.stack([np.asarray(value) for value in values])
    if array.dtype != np.uint8:
        return array if array.ndim > 1 else array[:, None]
    scaled = array.astype(np.float32) / 255
    return scaled if scaled.ndim != 3 else scaled[..., None]
