"""What a result remembers of the rows that trained it, and how new rows are made to fit."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jnn.data import Column, Encoding, TextEncoding, Windows
from jnn.engine import Data


def describe(data: Any, arrays: Data) -> dict[str, Any]:
    """What is kept in the attributes of a result's scores: text and numbers."""
    return {
        "data": data.name,
        "task": data.task,
        "classes": data.classes,
        "row": json.dumps({"x": _kind_of(arrays.x), "y": _kind_of(arrays.y)}),
        "vocabulary": vocabulary_of(data),
        "encoding": data.encoding.to_json() if data.encoding else "",
        "feature_names": json.dumps(data.feature_names),
        "target_names": json.dumps(data.target_names),
    }


def checked_rows(x: Any, about: Mapping[str, Any]) -> Any:
    """Rows as the members take them, not yet read where they lie on disk; one `ValueError` where they do not fit.

    Args:
        x: [rows, *features] or `jnn.data.Windows`; or a pandas table, if the members were trained on one; or texts, if
            they were trained on texts.
        about: The attributes of a result's scores.
    """
    if hasattr(x, "columns"):
        x = encoding_of(about, [str(c) for c in x.columns]).encode(x)
    x = x if isinstance(x, Windows) else _as_array(x)
    if x.dtype.kind in "OU" and reads_texts(about):
        x = TextEncoding.from_json(about["encoding"]).encode_texts(map(str, x))
    shape, dtype = row_of(about, "x")
    free = 1 if is_windowed(about) else 0  # windows of a series may be longer or shorter
    if x.ndim != len(shape) + 1 or x.shape[1 + free :] != shape[free:]:
        raise ValueError(
            f"wanted rows of shape {shape}, but got x of shape {x.shape}; give [rows, *features] as in training"
        )
    if len(x) == 0:
        raise ValueError("wanted at least one row to predict, but got none")
    if x.dtype.kind not in ("iu" if np.dtype(dtype).kind in "iu" else "biuf"):
        raise ValueError(
            f"wanted rows of type {dtype}, but got {x.dtype}; cast them, token ids to integers"
        )
    is_cast = x.dtype != dtype
    if about["vocabulary"]:
        x = _Read(x, functools.partial(_checked_ids, count=_known_ids(about)))
    return _Read(x, functools.partial(np.asarray, dtype=dtype)) if is_cast else x


def row_of(about: Mapping[str, Any], name: str) -> tuple[tuple[int, ...], str]:
    """Shape and type of a row of x or y, from a result's attributes."""
    shape, dtype, *window = json.loads(about["row"])[name]
    return (*window[:1], *shape), dtype


def encoding_of(about: Mapping[str, Any], columns: Sequence[str]) -> Encoding | TextEncoding:
    """How a table becomes rows: as in training; without an encoding by the names of the features, or in their order."""
    if about["encoding"]:
        return (TextEncoding if reads_texts(about) else Encoding).from_json(about["encoding"])
    (shape, _), names = row_of(about, "x"), json.loads(about["feature_names"])
    if len(shape) == 1 and names:
        return Encoding(tuple(Column(name, None) for name in names))
    if shape != (len(columns),):
        raise ValueError(
            f"wanted a table whose columns are rows of shape {shape}, but got {len(columns)} columns; "
            "save the rows as an array, in a .npy file"
        )
    return Encoding(tuple(Column(name, None) for name in columns))


def is_windowed(about: Mapping[str, Any]) -> bool:
    """Whether the rows are windows of a series."""
    return len(json.loads(about["row"])["x"]) > 2


def reads_texts(about: Mapping[str, Any]) -> bool:
    """Whether the rows were made from texts by a tokeniser that the result keeps."""
    return bool(about["encoding"]) and isinstance(json.loads(about["encoding"]), dict)


def vocabulary_of(data: Any) -> int:
    """How many token ids there are; 0 where rows hold numbers."""
    if not np.issubdtype(data.x.dtype, np.integer):
        return 0
    if data.tokenizer is not None:
        return data.tokenizer.size
    if data.is_series:
        return data.classes
    return int(np.max(data.x)) + 1


def of_kind(shape: tuple[int, ...], dtype: str, *window: int) -> Any:
    """Two rows, as shapes."""
    if window:
        return Windows(jax.ShapeDtypeStruct((window[-1] + 1, *shape), dtype), *window)
    return jax.ShapeDtypeStruct((2, *shape), dtype)


def _as_array(x: Any) -> np.ndarray:
    """Rows as an array; texts as objects, because an array of characters would make each as long as the longest."""
    is_texts = isinstance(x, list | tuple) and all(isinstance(text, str) for text in x)
    return np.asarray(x, object if is_texts and x else None)


def _known_ids(about: Mapping[str, Any]) -> float:
    """How many token ids there are; arrays of ids only show some of them, so that they set no bound."""
    return about["vocabulary"] if reads_texts(about) or is_windowed(about) else np.inf


def _kind_of(rows: Any) -> list[Any]:
    """What `of_kind` makes rows of this shape and type from."""
    if isinstance(rows, Windows):
        return [rows.values.shape[1:], str(rows.dtype), rows.length, rows.offset, rows.span]
    return [rows.shape[1:], str(rows.dtype)]


def _checked_ids(ids: Any, count: float) -> np.ndarray:
    """The token ids, each below the count: for others an embedding gives NaN, or another word."""
    ids = np.asarray(ids)
    is_other = (ids < 0) | (ids >= count)
    if is_other.any():
        wanted = "from 0 on" if count == np.inf else f"from 0 to {count - 1}"
        raise ValueError(
            f"wanted token ids {wanted}, as in training, but got {ids[is_other][0]}; encode the rows as those that "
            "the members were trained on"
        )
    return ids


@dataclasses.dataclass(frozen=True)
class _Read:
    """Rows that are changed, or checked, as they are read."""

    rows: Any
    change: Callable[[Any], np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.change(self.rows[chosen])
