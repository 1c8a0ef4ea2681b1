"""New rows for the members of a result, in the form of those that they were trained on."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jnn.data import (
    Column,
    Encoding,
    ImageEncoding,
    SeriesEncoding,
    TextEncoding,
    Windows,
    count_rows,
    has_parts,
    is_tree,
    map_parts,
    parts_of,
)
from jnn.result._schema import RowSpec, Schema


def prepare_rows(x: Any, schema: Schema) -> Any:
    """Return rows as the members take them; rows on disk are not read yet.

    Args:
        x: [rows, *features] or `jnn.data.Windows`; a dict or tuple of arrays, if the members were
            trained on several inputs; a pandas table, if they were trained on one; texts, if they
            were trained on texts.
        schema: The schema of the result.

    Returns:
        What has a length and gives arrays for slices of rows.

    Raises:
        ValueError: If the rows do not have the form of those in training.
    """
    if has_parts(schema.x):
        return _prepare_parts(x, schema)
    if hasattr(x, "columns"):
        x = encoding_for(schema, [str(c) for c in x.columns]).encode(x)
    x = x if isinstance(x, Windows) else _as_array(x)
    if x.dtype.kind in "OU" and isinstance(schema.encoding, TextEncoding):
        x = schema.encoding.encode_texts(map(str, x))
    _check_form(x, schema)
    is_cast = x.dtype != schema.x.dtype
    if schema.vocabulary:
        x = _LazyRows(x, functools.partial(_checked_ids, count=_known_ids(schema)))
    if is_cast:
        x = _LazyRows(x, functools.partial(np.asarray, dtype=schema.x.dtype))
    return x


def _prepare_parts(x: Any, schema: Schema) -> "_Parts":
    """Return rows of several parts as the members take them."""
    expected = parts_of(schema.x, "x")
    if not is_tree(x) or parts_of(x, "x").keys() != expected.keys():
        got = sorted(parts_of(x, "x")) if is_tree(x) else type(x).__name__
        raise ValueError(f"x must have the parts {sorted(expected)} as in training, got {got}.")
    names = iter(expected)
    arrays = map_parts(lambda spec, part: _checked_part(part, next(names), spec), schema.x, x)
    counts = {name: len(part) for name, part in parts_of(arrays, "x").items()}
    if len(set(counts.values())) != 1 or not all(counts.values()):
        raise ValueError(f"The parts of x must have as many rows, at least one, got {counts}.")
    return _Parts(arrays, schema.x)


def _checked_part(values: Any, name: str, spec: RowSpec) -> np.ndarray:
    """Return a part of new rows, if it has the form of training."""
    part = _as_array(values)
    if part.ndim == 0 or part.shape[1:] != spec.shape:
        raise ValueError(
            f"{name} must hold rows of shape {spec.shape}, got an array of shape {part.shape}. "
            "Pass [rows, ...] as in training."
        )
    kind = np.dtype(spec.dtype).kind
    if part.dtype.kind not in {"b": "b", "i": "iu", "f": "biuf"}[kind]:
        raise ValueError(
            f"{name} must hold rows of type {spec.dtype}, got {part.dtype}. Cast them."
        )
    return part


def encoding_for(
    schema: Schema, columns: Sequence[str]
) -> Encoding | TextEncoding | SeriesEncoding | ImageEncoding:
    """Return how a table becomes rows.

    That is the encoding of the training data. Members that were trained on arrays take the columns
    by the names of their features or, without such names, in the order of the table.

    Args:
        schema: The schema of the result.
        columns: Names of the table's columns.

    Raises:
        ValueError: If the columns are not a row of the training data.
    """
    if schema.encoding:
        return schema.encoding
    shape = schema.x.shape
    if len(shape) == 1 and schema.feature_names:
        columns = schema.feature_names
    elif shape != (len(columns),):
        raise ValueError(
            f"A table must have the columns of a row of shape {shape}, got {len(columns)} columns. "
            "Save the rows as an array, in a .npy file."
        )
    return Encoding(tuple(Column(name, None) for name in columns))


def _check_form(x: Any, schema: Schema) -> None:
    shape = schema.x.shape
    free = int(schema.is_windowed)  # windows of a series may be longer or shorter
    if x.ndim != len(shape) + 1 or x.shape[1 + free :] != shape[free:]:
        raise ValueError(
            f"x must hold rows of shape {shape}, got x of shape {x.shape}. "
            "Pass [rows, *features] as in training."
        )
    if len(x) == 0:
        raise ValueError("x must hold at least one row to predict, got none.")
    expected = np.dtype(schema.x.dtype)
    if x.dtype.kind not in ("iu" if expected.kind in "iu" else "biuf"):
        raise ValueError(
            f"x must hold rows of type {expected}, got {x.dtype}. Cast them; token ids to integers."
        )


def _as_array(x: Any) -> np.ndarray:
    """Return rows as an array; texts as objects, for else each takes the longest one's memory."""
    is_texts = isinstance(x, list | tuple) and all(isinstance(text, str) for text in x)
    return np.asarray(x, object if is_texts and x else None)


def _known_ids(schema: Schema) -> float:
    """Return the number of token ids; arrays of ids show only some of them and so set no bound."""
    return schema.vocabulary if schema.reads_texts or schema.is_windowed else np.inf


def _checked_ids(ids: Any, count: float) -> np.ndarray:
    """Return the token ids; refuse others, for which an embedding gives NaN or another word."""
    ids = np.asarray(ids)
    is_other = (ids < 0) | (ids >= count)
    if is_other.any():
        bounds = "from 0 on" if count == np.inf else f"from 0 to {count - 1}"
        raise ValueError(
            f"x must hold token ids {bounds}, as in training, got {ids[is_other][0]}. "
            "Encode the rows as those that the members were trained on."
        )
    return ids


@dataclasses.dataclass(frozen=True)
class _LazyRows:
    """Rows that are changed, or checked, as they are read."""

    rows: Any
    change: Callable[[Any], np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.change(self.rows[chosen])


@dataclasses.dataclass(frozen=True)
class _Parts:
    """Rows of several parts, which are cast as they are read.

    Attributes:
        arrays: The parts.
        specs: The form of a row of each.
    """

    arrays: Any
    specs: Any

    def __len__(self) -> int:
        return count_rows(self.arrays)

    def __getitem__(self, chosen: Any) -> Any:
        return map_parts(
            lambda spec, array: np.asarray(array[chosen], spec.dtype), self.specs, self.arrays
        )
