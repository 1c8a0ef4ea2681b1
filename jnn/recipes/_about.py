"""What a family of networks may know of its data."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

from jnn.data import Dataset, Encoding, has_parts
from jnn.result import Schema, vocabulary_of

Kind = Literal["vectors", "images", "signals", "arrays", "texts", "tokens", "series"]
Task = Literal["classification", "regression"]

_KIND_BY_RANK: Mapping[int, Kind] = {1: "vectors", 2: "signals", 3: "images"}


@dataclasses.dataclass(frozen=True)
class About:
    """The description of a data set from which a network and a study are made.

    A saved result holds it too, so its network can be rebuilt without the data.

    Attributes:
        name: Name of the data set, for messages.
        kind: "vectors" [features], "images" [height, width, channels], "signals" [time, channels],
            "texts" (token ids [length] with one target), "tokens" (token ids with a target for
            each), "series" (windows of a series, with the steps that follow as the target), or
            "arrays" for any other shape.
        task: "classification" or "regression".
        shape: Shape of one row of x.
        target: Shape of one row of y.
        outputs: Number of classes, or of numbers to predict per row.
        vocabulary: Number of token ids; 0 if the rows hold numbers.
        fills: Whether numbers may be missing, and are filled.
    """

    name: str
    kind: Kind
    task: Task
    shape: tuple[int, ...]
    target: tuple[int, ...]
    outputs: int
    vocabulary: int = 0
    fills: bool = False

    @classmethod
    def from_data(cls, data: Dataset) -> "About":
        """Describe a data set.

        Raises:
            ValueError: If the data set has no targets.
        """
        task = _task_of(data.name, data.task)
        _check_one_input(data.name, data.x)
        shape = tuple(data.x.shape[1:])
        target = () if data.y is None else tuple(data.y.shape[1:])
        vocabulary = vocabulary_of(data)
        kind = _kind_of(shape, vocabulary > 0, data.is_series)
        return cls(
            data.name, kind, task, shape, target, data.outputs, vocabulary, _fills(data.encoding)
        )

    @classmethod
    def from_schema(cls, schema: Schema) -> "About":
        """Describe the data of a result.

        Raises:
            ValueError: If the data had no targets.
        """
        task = _task_of(schema.data, schema.task)
        _check_one_input(schema.data, schema.x)
        shape = schema.x.shape
        target = schema.target_shape
        outputs = schema.classes if task == "classification" else math.prod(target)
        kind = _kind_of(shape, schema.vocabulary > 0, schema.is_windowed)
        fills = _fills(schema.encoding)
        return cls(schema.data, kind, task, shape, target, outputs, schema.vocabulary, fills)


def _fills(encoding: object) -> bool:
    """Return whether missing numbers of a table are to be filled."""
    return isinstance(encoding, Encoding) and encoding.fills


def _check_one_input(name: str, x: object) -> None:
    if has_parts(x):
        raise ValueError(
            f"{name} has several inputs, for which there is no network by name. Use a network of "
            "your own, Study(model=...)."
        )


def _task_of(name: str, task: str) -> Task:
    if task == "classification" or task == "regression":
        return task
    if task == "multitask":
        raise ValueError(
            f"{name} has several targets, for which there is no network by name. Write the "
            "jnn.Study yourself."
        )
    raise ValueError(
        f"{name} must have targets to be learned, but has none. Give y, or write the jnn.Study "
        "yourself."
    )


def _kind_of(shape: tuple[int, ...], has_ids: bool, is_series: bool) -> Kind:
    if has_ids:
        return "tokens" if is_series else "texts"
    if is_series:
        return "series"
    return _KIND_BY_RANK.get(len(shape), "arrays")
