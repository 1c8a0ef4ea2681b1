"""What a result remembers of its data and its run: one object, written as JSON once."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jnn._errors import reason_of
from jnn.data import (
    Encoding,
    ImageEncoding,
    SeriesEncoding,
    TextEncoding,
    Windows,
    has_parts,
    map_parts,
)
from jnn.result._saved_encoding import encoding_from_json
from jnn.result._shared_rows import shared_from_text
from jnn.storage import FormError, check_form


@dataclasses.dataclass(frozen=True)
class RowSpec:
    """The form of one row of an array.

    Attributes:
        shape: Shape of a row, without the axis of rows; for a window of a series [length,
            *channels].
        dtype: Name of the NumPy type.
        window: For a row that is a window of a series, the pair (offset, span) of
            `jnn.data.Windows`; otherwise None.
    """

    shape: tuple[int, ...]
    dtype: str
    window: tuple[int, int] | None = None

    @classmethod
    def of(cls, rows: Any) -> "RowSpec":
        """Return the form of the rows of an array, or of `jnn.data.Windows`."""
        window = (rows.offset, rows.span) if isinstance(rows, Windows) else None
        return cls(tuple(rows.shape[1:]), str(rows.dtype), window)

    def abstract(self) -> Any:
        """Return two or more such rows as shapes without values."""
        if self.window is None:
            return jax.ShapeDtypeStruct((2, *self.shape), self.dtype)
        length, *channels = self.shape
        offset, span = self.window
        steps = (span or offset + length) + 1
        return Windows(jax.ShapeDtypeStruct((steps, *channels), self.dtype), length, offset, span)


@dataclasses.dataclass(frozen=True)
class Schema:
    """What a result remembers of its data and of the run that made it.

    Attributes:
        data: Name of the data set.
        task: "classification", "regression", or "unsupervised".
        x: Form of a row of x, a `RowSpec`, or a dict or tuple of them for several inputs.
        y: Form of a row of y, likewise; None for data without targets.
        classes: Number of classes; 0 for other tasks.
        vocabulary: Number of token ids; 0 where rows hold numbers.
        encoding: How a table, or texts, became rows; None for arrays.
        feature_names: Names of the features or channels, where they are known.
        target_names: Names of the classes or targets, where they are known.
        model: Name of the model.
        split: Description of the folds; empty without folds.
        train_rows: Number of rows that train, the mean over the folds.
        test_rows: Number of rows that score, the mean over the folds; 0 without held-out rows.
        shared_test_rows: [folds, folds], whether two folds share test rows; empty where no two
            folds do.
        keep: Which epoch's parameters the members have, "last" or "best".
        plan: How the members were laid out over devices.
        higher_is_better: The scores of which a higher value is better.
        digest: Hash of the data and of every fold's test rows, by which results are known to be
            comparable; empty where it is unknown.
        rows_digest: Hash of the data alone, without the folds; empty where it is unknown.
        shared_digest: Hash of the arrays in `Study.shared`; empty without such arrays, or where it
            is unknown, as after joining results of different shared arrays.
        target_offset: What was taken out of the targets, and is added to predictions in float64, in
            nested tuples, see `jnn.Dataset`; None if nothing was.
    """

    data: str
    task: str
    x: Any
    y: Any
    classes: int = 0
    vocabulary: int = 0
    encoding: Encoding | TextEncoding | SeriesEncoding | ImageEncoding | None = None
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    model: str = ""
    split: str = ""
    train_rows: float = 0.0
    test_rows: float = 0.0
    shared_test_rows: tuple[tuple[bool, ...], ...] = ()
    keep: str = "last"
    plan: str = ""
    higher_is_better: tuple[str, ...] = ()
    digest: str = ""
    rows_digest: str = ""
    shared_digest: str = ""
    target_offset: Any = None

    @classmethod
    def of_data(cls, data: Any, arrays: Any, **fields: Any) -> "Schema":
        """Return the schema of a data set.

        Args:
            data: The `jnn.Dataset`.
            arrays: What has the resident rows as `x` and `y`: `jnn.Data`, or the data set itself.
            **fields: Other fields of the schema.
        """
        return cls(
            data=data.name,
            task=data.task,
            x=map_parts(RowSpec.of, arrays.x),
            y=None if arrays.y is None else map_parts(RowSpec.of, arrays.y),
            classes=int(data.classes),
            vocabulary=vocabulary_of(data),
            encoding=data.encoding,
            feature_names=tuple(data.feature_names),
            target_names=tuple(data.target_names),
            target_offset=None if data.target_offset is None else _nested(data.target_offset),
            **fields,
        )

    @property
    def is_windowed(self) -> bool:
        """Whether a row of x is a window of a series."""
        return not has_parts(self.x) and self.x.window is not None

    @property
    def reads_texts(self) -> bool:
        """Whether the rows were made from texts by a tokenizer that the schema keeps."""
        return isinstance(self.encoding, TextEncoding)

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of a row of y; () for data without targets, or with several."""
        return () if self.y is None or has_parts(self.y) else self.y.shape

    @property
    def target_shapes(self) -> Any:
        """Shape of a row of y, or the shapes of its parts; None for data without targets."""
        return None if self.y is None else map_parts(lambda part: part.shape, self.y)

    @property
    def row_counts(self) -> tuple[float, float]:
        """Numbers of rows that train and that score, as corrected intervals need them."""
        return self.train_rows, self.test_rows or 1.0  # without folds the second is not used

    def to_json(self) -> dict[str, Any]:
        """Return the schema as an object that JSON can hold."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        shares = self.shared_test_rows
        return fields | {
            "x": _row_to_json(self.x),
            "y": None if self.y is None else _row_to_json(self.y),
            "encoding": None if self.encoding is None else json.loads(self.encoding.to_json()),
            "shared_test_rows": ["".join("01"[share] for share in row) for row in shares],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Schema":
        """Return the schema that `to_json` wrote.

        Raises:
            jnn.storage.FormError: If a field is missing, unknown or of another type.
        """
        check_form(content, _form_of(cls), "schema")
        try:
            return cls._converted(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FormError(f"schema cannot be read ({reason_of(error)})") from error

    @classmethod
    def _converted(cls, content: Mapping[str, Any]) -> "Schema":
        """Return the schema from an object that has the right fields."""
        content = {**cls._defaults(), **content}
        names = ("feature_names", "target_names", "higher_is_better")
        return cls(
            **{
                **content,
                **{name: tuple(content[name]) for name in names},
                "x": _row_spec(content["x"]),
                "y": None if content["y"] is None else _row_spec(content["y"]),
                "encoding": encoding_from_json(content["encoding"]),
                "shared_test_rows": shared_from_text(content["shared_test_rows"]),
                "target_offset": _nested(content.get("target_offset")),
            }
        )

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the fields that a former version did not write."""
        fields = dataclasses.fields(cls)
        return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def _form_of(schema: type[Schema]) -> Any:
    """Return the form of a schema in JSON, where some fields are written in their own way."""
    hints = typing.get_type_hints(schema)
    own = dict.fromkeys(("x", "y", "encoding"), Any) | {"shared_test_rows": list[str]}
    form = {}
    for field in dataclasses.fields(schema):
        hint = own.get(field.name, hints[field.name])
        is_required = field.default is dataclasses.MISSING
        form[field.name] = hint if is_required else typing.NotRequired[hint]
    return typing.TypedDict("SchemaRecord", form)  # type: ignore[operator]


def vocabulary_of(data: Any) -> int:
    """Return the number of token ids of a data set; 0 where its rows hold numbers."""
    if has_parts(data.x) or not np.issubdtype(data.x.dtype, np.integer):
        return 0
    if data.tokenizer is not None:
        return data.tokenizer.size
    if data.is_series:
        return data.classes
    return int(np.max(data.x)) + 1


def _nested(values: Any) -> Any:
    """Return an array, or lists, of numbers as nested tuples, which can be compared."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return tuple(map(_nested, values)) if isinstance(values, list) else values


def _row_to_json(spec: Any) -> dict[str, Any]:
    if not has_parts(spec):
        return dataclasses.asdict(spec)
    if isinstance(spec, tuple):
        return {"parts": [_row_to_json(part) for part in spec]}
    return {"parts": {name: _row_to_json(part) for name, part in spec.items()}}


def _row_spec(content: Mapping[str, Any]) -> Any:
    parts = content.get("parts")
    if isinstance(parts, list):
        return tuple(map(_row_spec, parts))
    if isinstance(parts, Mapping):
        return {name: _row_spec(part) for name, part in parts.items()}
    window = content["window"]
    return RowSpec(
        tuple(content["shape"]), content["dtype"], None if window is None else tuple(window)
    )


def schema_of_attributes(attributes: Mapping[str, Any]) -> Schema:
    """Return the schema of a result of version 0.1, which kept it in its scores' attributes."""

    def parsed(name: str) -> Any:
        return json.loads(attributes[name]) if attributes[name] else None

    def row_spec(shape: list[int], dtype: str, *window: int) -> RowSpec:
        length, place = window[:1], window[1:]
        return RowSpec((*length, *shape), dtype, tuple(place) or None)  # type: ignore[arg-type]

    rows = parsed("row")
    split = attributes["split"]
    return Schema(
        data=attributes["data"],
        task=attributes["task"],
        x=row_spec(*rows["x"]),
        y=row_spec(*rows["y"]),
        classes=int(attributes["classes"]),
        vocabulary=int(attributes["vocabulary"]),
        encoding=encoding_from_json(parsed("encoding")),
        feature_names=tuple(parsed("feature_names")),
        target_names=tuple(parsed("target_names")),
        model=attributes["model"],
        split="" if split == "none" else split,
        train_rows=float(attributes["train_rows"]),
        test_rows=float(attributes["test_rows"]),
        shared_test_rows=shared_from_text(parsed("shared_test_rows")),
        keep=attributes["keep"],
        plan=attributes["plan"],
        higher_is_better=tuple(parsed("higher_is_better")),
    )
