"""`Dataset`: arrays with their names, task, source and licence, checked once and read-only from then on."""

import dataclasses
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jnn.data._check import (
    check_features,
    check_name,
    check_not_one_hot,
    check_rows,
    check_texts,
    check_varies,
)
from jnn.data._columns import Names, as_names, check_known, columns_by_name
from jnn.data._csv import read_csv, uncompressed
from jnn.data._huggingface import read_columns
from jnn.data._table import Encoding, fit_encoding, read_series, split_columns, target_of
from jnn.data._target import Task, checked_target, infer_task, labels_as_text, number_labels
from jnn.data._text import Tokenizer, WordTokenizer, pad
from jnn.data._text_encoding import TextEncoding
from jnn.data._types import as_array, as_float, as_ids, read_only, single_precision
from jnn.data._windows import Windows, checked_span

if TYPE_CHECKING:
    import pandas as pd

Split = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows to learn from, as read-only arrays on the host.

    Shapes and types: `x` [rows, *features] float32, or int32 where the values are token ids; `y` int32 [rows], or
    [rows, *positions], in 0..classes-1 (classification), float32 [rows] or [rows, *outputs] (regression); `groups`
    [rows], any type, for folds that keep a group together; `splits` the published (training rows, test rows) or
    (training rows, validation rows, test rows). `target_names` holds the class names, or the names of the outputs.
    `encoding` says how the columns of a table, or the `texts`, became `x`; `tokenizer` gave the ids. Of a series, `x`
    and `y` are `Windows`, see `from_series` and `from_tokens`.
    Arrays of the right type are not copied. Raises ValueError, in one sentence, for whatever cannot be trained on.
    """

    x: np.ndarray | Windows
    y: np.ndarray | Windows
    task: Task
    name: str = "arrays"
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    splits: tuple[Split, ...] = ()
    encoding: Encoding | TextEncoding | None = None
    tokenizer: Tokenizer | None = None
    texts: np.ndarray | None = None
    source: str = ""
    licence: str = ""

    def __post_init__(self):
        check_name(self.name)
        x, y = (
            as_array(a.values if isinstance(a, Windows) else a, n)
            for n, a in (("x", self.x), ("y", self.y))
        )
        groups = None if self.groups is None else np.asarray(self.groups)
        texts = None if self.texts is None else np.asarray(self.texts, object)
        x = single_precision(x)
        check_features(x[:, None] if self.is_series and x.ndim == 1 else x, self.feature_names)
        check_rows(x, y=y, groups=groups, texts=texts)
        y, target_names = checked_target(y, self.task, self.target_names)
        arrays: dict[str, Any] = {"x": read_only(x), "y": read_only(y)}
        arrays |= {
            name: None if a is None else read_only(a)
            for name, a in (("groups", groups), ("texts", texts))
        }
        for name, a in (("x", self.x), ("y", self.y)):
            arrays[name] = (
                dataclasses.replace(a, values=arrays[name])
                if isinstance(a, Windows)
                else arrays[name]
            )
        names = {"feature_names": tuple(map(str, self.feature_names)), "target_names": target_names}
        for field, value in {**arrays, **names}.items():
            object.__setattr__(self, field, value)

    @classmethod
    def from_arrays(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        *,
        task: Task | None = None,
        ids: bool = False,
        **fields: Any,
    ) -> "Dataset":
        """A data set from anything that NumPy can read; `fields` are the other fields of `Dataset`.

        Text labels become the numbers of their sorted names. Integer labels count from 0 and stay as they are. `x`
        becomes float32, or int32 if `ids` says that it holds token ids.

        Without `task`, the type of `y` decides as in scikit-learn's `type_of_target`: text, bool and integers are
        labels, floats a regression. Integers of more than 20 distinct values that are seen less than ten times each
        on average are taken as amounts, a regression. Several numbers a row are one too: labels for each position of a
        row, such as tags of words or classes of pixels, want `task="classification"`.

        >>> Dataset.from_arrays([[0.0], [1.0], [2.0]], ["no", "yes", "yes"])
        Dataset 'arrays': classification, 3 rows of shape (1,), 2 classes
        """
        x, y = as_array(x, "x"), as_array(y, "y")
        task = task or infer_task(y)
        target = y
        if task == "classification":
            check_not_one_hot(y)
            target, fields["target_names"] = number_labels(y, fields.get("target_names", ()))
        dataset = cls(as_ids(x) if ids else as_float(x), target, task, **fields)
        check_varies(y, dataset.target_names)
        return dataset

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        target: Names,
        *,
        task: Task | None = None,
        text: str | None = None,
        drop: Names = (),
        separator: str | None = None,
        **fields: Any,
    ) -> "Dataset":
        """As `from_dataframe`, from a CSV file with a header line; .tsv stands for tabs, .csv.gz is unpacked."""
        fields = {"name": uncompressed(path).stem, "source": Path(path).name, **fields}
        frame = read_csv(path, separator, text=() if text is None else (text,))
        return cls.from_dataframe(frame, target, task=task, text=text, drop=drop, **fields)

    @classmethod
    def from_dataframe(
        cls,
        frame: "pd.DataFrame",
        target: Names,
        *,
        task: Task | None = None,
        text: str | int | None = None,
        drop: Names = (),
        **fields: Any,
    ) -> "Dataset":
        """A data set from a pandas table: `target` names its column of targets, or several for a regression.

        Numeric columns are taken as they are; text, category and bool columns become one column `name=value` for each
        of their sorted values; columns named in `drop` are left out. Labels of any type become the numbers of their
        values: sorted, or in a categorical's own order. Missing values, dates and numeric columns that hold text in
        some rows are refused. The task is inferred as in `from_arrays`.

        A column of sentences is named by `text`: rows are then its token ids as in `from_texts`, whose options
        `tokenizer` and `length` apply, and no other column is a feature.
        """
        columns, names, drop = columns_by_name(frame), as_names(target), as_names(drop)
        if text is not None:
            check_known(columns, [str(text), *names])
            drop = [name for name in columns if name not in (str(text), *names)]
        features, targets = split_columns(columns, names, drop)
        y, order = target_of(target, targets)
        task = task or infer_task(y)
        if task == "classification":
            y, names = labels_as_text(y, order)
        if text is not None:
            fields = {"name": "table", "target_names": names, "column": str(text), **fields}
            return cls.from_texts(list(map(str, features[str(text)])), y, task=task, **fields)
        encoding = fit_encoding(features)
        fields = {
            "name": "table",
            "target_names": names,
            "feature_names": encoding.feature_names,
            **fields,
        }
        return cls.from_arrays(encoding.encode(frame), y, task=task, encoding=encoding, **fields)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        labels: ArrayLike,
        *,
        tokenizer: Tokenizer | None = None,
        length: int | None = None,
        column: str = "text",
        **fields: Any,
    ) -> "Dataset":
        """A data set of texts as rows of token ids, filled up with 0 or cut off to `length`, by default the longest.

        Without a `tokenizer`, ids are those of the words between spaces, of all texts. The texts themselves are kept;
        `column` is where a table has them.

        >>> Dataset.from_texts(["good film", "so bad"], [1, 0]).x
        array([[4, 3],
               [5, 2]], dtype=int32)
        """
        texts = check_texts(texts)
        tokenizer = tokenizer or WordTokenizer.fit(texts)
        ids = pad([tokenizer.encode(text) for text in texts], length)
        encoding = TextEncoding(column, tokenizer, ids.shape[1])
        kept = {"tokenizer": tokenizer, "encoding": encoding, "texts": np.array(texts, object)}
        return cls.from_arrays(ids, labels, ids=True, **{"name": "texts", **kept, **fields})

    @classmethod
    def from_huggingface(
        cls, rows: Any, x: str | Sequence[str], y: str, **fields: Any
    ) -> "Dataset":
        """A data set from columns of a Hugging Face data set (one split of it), by their names.

        A column of text becomes token ids as in `from_texts`; images become [rows, height, width, channels] in 0..1;
        several columns of numbers become features. The names of a `ClassLabel` are kept.
        """
        values, targets, names = read_columns(rows, x, y)
        fields = {"name": "huggingface", **names, **fields}
        if isinstance(values, list):
            return cls.from_texts(values, targets, **fields)
        return cls.from_arrays(values, targets, **fields)

    @classmethod
    def from_series(
        cls,
        values: "ArrayLike | pd.DataFrame | PathLike[str]",
        length: int,
        horizon: int,
        *,
        channels: Sequence[str] = (),
        separator: str | None = None,
        drop: Names = (),
        **fields: Any,
    ) -> "Dataset":
        """Forecasts: from `length` steps of a series [time, channels] to its next `horizon` steps, from every step on.

        x is [rows, length, channels], y [rows, horizon, channels], rows = time - length - horizon + 1; the series is
        kept once. It may be a pandas table or the path of a CSV file, a step in each row; then the columns named
        `channels`, or all columns of numbers but those in `drop`, are the channels. Folds are in time, with a gap that
        keeps a training row's target out of the test rows' targets.

        >>> Dataset.from_series(np.arange(20.0).reshape(10, 2), 4, 3)
        Dataset 'series': regression, 4 rows of shape (4, 2), 6 outputs
        """
        if isinstance(values, str | PathLike):
            fields = {"name": uncompressed(values).stem, "source": Path(values).name, **fields}
        if isinstance(values, str | PathLike) or hasattr(values, "columns"):
            values, names = read_series(values, channels, separator, drop)  # type: ignore[arg-type]
            fields = {"feature_names": names, **fields}
        values = as_float(as_array(values, "the series"))
        if values.ndim != 2:
            raise ValueError(
                f"wanted a series [time, channels], got shape {values.shape}: pass values[:, None]"
            )
        span = checked_span(len(values), length, horizon)
        x, y = Windows(values, length, 0, span), Windows(values, horizon, length, span)
        return cls(x, y, "regression", **{"name": "series", **fields})

    @classmethod
    def from_tokens(
        cls, ids: ArrayLike, length: int, *, classes: int | None = None, **fields: Any
    ) -> "Dataset":
        """Language modelling: from `length` token ids of a text [time] to the ids one step later, from every step on.

        x and y are [rows, length], rows = time - length. The classes are the ids 0..classes-1, or those of
        `target_names`.

        >>> Dataset.from_tokens([0, 2, 1, 0, 2], 2).x[np.array([1])]
        array([[2, 1]], dtype=int32)
        """
        ids = single_precision(as_ids(as_array(ids, "the text")))
        if ids.ndim != 1:
            raise ValueError(
                f"wanted the token ids of a text, [time], got shape {ids.shape}: join the texts first"
            )
        span = checked_span(len(ids), length, 1)
        names = tuple(map(str, range(classes or int(ids.max()) + 1)))
        x, y = Windows(ids, length, 0, span), Windows(ids, length, 1, span)
        return cls(x, y, "classification", **{"name": "tokens", "target_names": names, **fields})

    @property
    def is_series(self) -> bool:
        """Whether the rows are windows of a series."""
        return isinstance(self.x, Windows)

    @property
    def gap(self) -> int:
        """Rows between training and test in time whose targets would overlap: 0 unless the rows are windows."""
        return self.y.length - 1 if isinstance(self.y, Windows) else 0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.x)

    @property
    def outputs(self) -> int:
        """How many outputs a model needs: one per class, or one per regression target."""
        if self.task == "classification":
            return self.classes
        return math.prod(self.y.shape[1:])

    @property
    def classes(self) -> int:
        """How many classes there are, also where `take` left none of a class; 0 for a regression."""
        return len(self.target_names) if self.task == "classification" else 0

    def take(self, rows: ArrayLike | slice) -> "Dataset":
        """The chosen rows (indices, a mask or a slice) as a data set of the same classes; published splits are left.

        Of a series only rows that follow each other, as a shorter series; a ValueError for any others.
        """
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(self.x, Windows) and isinstance(self.y, Windows):
            return dataclasses.replace(
                self, x=self.x.stretch(rows), y=self.y.stretch(rows), splits=()
            )
        groups = None if self.groups is None else self.groups[rows]
        texts = None if self.texts is None else self.texts[rows]
        return dataclasses.replace(
            self, x=self.x[rows], y=self.y[rows], groups=groups, texts=texts, splits=()
        )

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        targets = (
            f"{self.classes} classes"
            if self.task == "classification"
            else f"{self.outputs} outputs"
        )
        targets = "1 output" if targets == "1 outputs" else targets
        return f"Dataset {self.name!r}: {self.task}, {self.rows} rows of shape {self.x.shape[1:]}, {targets}"
