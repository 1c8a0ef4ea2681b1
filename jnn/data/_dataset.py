"""`Dataset`: arrays with their names, task, source, and license, checked once and read-only."""

import dataclasses
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from jnn.data._check import (
    check_features,
    check_groups,
    check_name,
    check_not_one_hot,
    check_rows,
    check_times,
    check_varies,
    check_weights,
)
from jnn.data._columns import Names, as_names
from jnn.data._csv import read_csv, uncompressed
from jnn.data._describe import describe
from jnn.data._encoding import Encoding
from jnn.data._forecasts import read_forecasts
from jnn.data._frame import read_frame
from jnn.data._huggingface import read_columns
from jnn.data._ignored import IGNORED, check_ignorable, with_ignored
from jnn.data._image_encoding import ImageEncoding
from jnn.data._image_folder import read_image_folder
from jnn.data._missing import Missing
from jnn.data._offsets import check_digits, offset_of, without_offset
from jnn.data._pixels import checked_size
from jnn.data._series_encoding import SeriesEncoding
from jnn.data._series_windows import Gaps
from jnn.data._table_form import TableForm
from jnn.data._target import Task, checked_target, infer_task, number_labels
from jnn.data._text import Tokenizer
from jnn.data._text_encoding import TextEncoding
from jnn.data._token_rows import read_texts
from jnn.data._tree import (
    as_tree,
    check_no_ids,
    check_no_names,
    check_parts_task,
    count_rows,
    is_tree,
    map_parts,
    parts_of,
    without_labels,
)
from jnn.data._types import as_array, as_float, as_ids, read_only, single_precision
from jnn.data._windows import Windows, checked_span, values_of, with_values

if TYPE_CHECKING:
    import pandas as pd

PublishedSplit = tuple[np.ndarray, ...]
"""Row numbers for training and test, or for training, validation, and test."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows to learn from, as read-only arrays on the host.

    Arrays of the right type are not copied. A data set without targets has `y=None` and the task
    "unsupervised"; it serves studies that bring their own trainer.

    Attributes:
        x: Inputs [rows, *features], float32, or int32 where the values are token ids. The inputs of
            a series are `Windows`, see `from_series` and `from_tokens`. Several inputs are a dict
            or a tuple of arrays [rows, ...], of float32, int32 and bool.
        y: Targets. For a classification int32 [rows] or [rows, *positions], in 0..classes-1, or -1
            where a label is to be ignored. For a regression float32 [rows] or [rows, *outputs],
            less `target_offset`. Several targets are a dict or a tuple of arrays [rows, ...]. None
            if there are no targets.
        task: "classification", "regression", "multitask" for several targets, or "unsupervised".
        name: Name of the data set.
        feature_names: Name of each entry of the last axis of `x`, or ().
        target_names: Names of the classes, or of the outputs of a regression.
        groups: Group of each row, of any type, for folds that keep a group together.
        times: Time of each row, as numbers or dates, for folds that train on the past. Rows of one
            time are never in both parts of a fold.
        until: Time at which the targets of each row are all known, of the type of `times`; folds
            train on rows for which it is before the first time of the test. None stands for
            `times`.
        splits: Published splits, each (training rows, test rows) or (training rows, validation
            rows, test rows).
        encoding: How the columns of a table, its series, the `texts`, or pictures became `x`.
        tokenizer: Tokenizer that gave the ids.
        texts: Texts that the rows were made from.
        source: Where the data come from.
        license: License of the data.
        weights: Weight of each row, float32 [rows], finite and not negative, or None if all rows
            count the same.
        target_offset: What was taken out of the targets of a regression in float64, because
            float32 cannot hold it beside what varies, as in 1e9 + 0, 1e9 + 1, ...; it has the shape
            of a row of y, or broadcasts to it. Predictions have it again. None if nothing was.
        notes: Sentences that say what was left out or filled while a table was read.
        ignore_index: The label that marks rows, or positions of a row, that have none, such as
            -100. Such labels are kept as -1, and so is this number. They count neither in losses
            and metrics nor as a class. Where a row has several labels, -1 and -100 are ignored by
            default.

    Raises:
        TypeError: If an argument has a type that cannot be trained on.
        ValueError: If a value, or a number of rows, cannot be trained on.
    """

    x: Any
    y: Any
    task: Task
    name: str = "arrays"
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    until: np.ndarray | None = None
    splits: tuple[PublishedSplit, ...] = ()
    encoding: Encoding | TextEncoding | SeriesEncoding | ImageEncoding | None = None
    tokenizer: Tokenizer | None = None
    texts: np.ndarray | None = None
    source: str = ""
    license: str = ""
    weights: np.ndarray | None = None
    target_offset: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    ignore_index: int | None = None

    def __post_init__(self):
        check_name(self.name)
        x = self._inputs()
        y = self._targets()
        groups = None if self.groups is None else np.asarray(self.groups)
        times = None if self.times is None else np.asarray(self.times)
        until = None if self.until is None else np.asarray(self.until)
        texts = None if self.texts is None else np.asarray(self.texts, object)
        weights = None if self.weights is None else as_float(as_array(self.weights, "weights"))
        rows = self.x.shape[0] if isinstance(self.x, Windows) else count_rows(x)
        targets = {} if y is None else parts_of(self.y if isinstance(self.y, Windows) else y, "y")
        roles = {"groups": groups, "times": times, "until": until}
        inputs = parts_of(x, "x") if is_tree(x) else {}
        check_rows(rows, **inputs, **targets, **roles, texts=texts, weights=weights)
        if groups is not None:
            check_groups(groups)
        if times is not None:
            check_times(times)
        if until is not None:
            check_times(until)
        if weights is not None:
            check_weights(weights)
        if is_tree(y):
            check_parts_task(self.task, self.target_names)
            target_names = ()
        else:
            y, ignore_index = with_ignored(y, self.task, self.ignore_index)
            ignored = self.ignore_index if self.ignore_index is not None else ignore_index
            y, target_names = checked_target(y, self.task, self.target_names, ignored=ignored)
            y = None if y is None else with_values(self.y, read_only(y))
            self._set("ignore_index", ignore_index)
        self._set("x", x)
        self._set("y", y)
        self._set("groups", None if groups is None else read_only(groups))
        self._set("times", None if times is None else read_only(times))
        self._set("until", None if until is None else read_only(until))
        self._set("texts", None if texts is None else read_only(texts))
        self._set("weights", None if weights is None else read_only(weights))
        if self.target_offset is not None:
            self._set("target_offset", read_only(np.asarray(self.target_offset, np.float64)))
        self._set("feature_names", tuple(map(str, self.feature_names)))
        self._set("target_names", target_names)

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _inputs(self) -> Any:
        """Return x checked, in the types of the device and read-only."""
        if is_tree(self.x):
            check_no_names(self.feature_names)
            return as_tree(self.x, "x")
        x = as_array(values_of(self.x), "x")
        if x.dtype.kind == "f":
            check_digits(x, "x", self.feature_names)
        x = single_precision(x)
        is_one_channel = isinstance(self.x, Windows) and x.ndim == 1
        fills = isinstance(self.encoding, Encoding) and self.encoding.fills
        check_features(x[:, None] if is_one_channel else x, self.feature_names, fills=fills)
        return with_values(self.x, read_only(x))

    def _targets(self) -> Any:
        """Return y as an array, or as checked parts."""
        if self.y is None:
            return None
        if is_tree(self.y):
            y = without_labels(as_tree(self.y, "y"), self.ignore_index)
            self._set("ignore_index", None if self.ignore_index is None else IGNORED)
            return y
        return as_array(values_of(self.y), "y")

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any = None,
        *,
        task: Task | None = None,
        weights: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
        ids: bool = False,
        ignore_index: int | None = None,
        **fields: Any,
    ) -> "Dataset":
        """Build a data set from anything that NumPy can read.

        Text labels become the numbers of their sorted names. Integer labels count from 0 and stay
        as they are.

        Without `task`, the type of `y` decides, as in scikit-learn's `type_of_target`: text, bool,
        and integers are labels, and floats are a regression. Integers with more than 20 distinct
        values that occur less than ten times each on average are taken as amounts, which is a
        regression. Several numbers per row are a regression too: labels for each position of a row,
        such as tags of words or classes of pixels, need `task="classification"`.

        Several inputs or targets are a dict or a tuple of arrays, which the network, the loss and
        the metrics receive as such. In them floats become float32, integers, such as ids, lengths
        and labels, int32, and bools, such as masks, stay bools.

        Args:
            x: Inputs [rows, *features], or a dict or tuple of arrays [rows, ...].
            y: Targets, a dict or tuple of them, or None for a data set without targets.
            task: "classification" or "regression"; by default inferred from `y`.
            weights: Weight of each row [rows], finite and not negative.
            groups: Group of each row, for folds that keep a group together.
            times: Time of each row, for folds that train on the past.
            ids: Whether `x` holds token ids, which become int32; otherwise `x` becomes float32.
            ignore_index: Label of rows or positions that have none, such as -100 or 255. They count
                neither in losses and metrics nor as a class.
            **fields: Other fields of `Dataset`.

        >>> Dataset.from_arrays([[0.0], [1.0], [2.0]], ["no", "yes", "yes"])
        Dataset 'arrays': classification, 3 rows of shape (1,), 2 classes
        >>> Dataset.from_arrays([[0.0], [1.0], [2.0]])
        Dataset 'arrays': unsupervised, 3 rows of shape (1,), no targets
        >>> Dataset.from_arrays({"ids": [[1, 2], [3, 0]], "length": [2, 1]}, [1, 0])
        Dataset 'arrays': classification, 2 rows of shape {'ids': (2,), 'length': ()}, 2 classes
        """
        if is_tree(x):
            check_no_ids(ids)
        else:
            x = as_array(x, "x")
            if not ids:
                check_digits(x, "x", fields.get("feature_names", ()))
            x = as_ids(x) if ids else as_float(x)
        fields |= {"weights": weights, "groups": groups, "times": times}
        fields["ignore_index"] = ignore_index
        if y is None:
            return cls(x, None, task or "unsupervised", **fields)
        if is_tree(y):
            return cls(x, y, task or "multitask", **fields)
        y = as_array(y, "y")
        if task is None:
            check_not_one_hot(y, "Pass y.argmax(-1), or task='regression'")
            task = infer_task(y) if ignore_index is None else "classification"
        target = y
        if task == "classification":
            check_not_one_hot(y)
            check_ignorable(y, ignore_index)
            target, fields["target_names"] = number_labels(y, fields.get("target_names", ()))
        if task == "regression" and "target_offset" not in fields:
            fields["target_offset"] = offset_of(y)
            target = without_offset(y, fields["target_offset"])
        dataset = cls(x, target, task, **fields)
        counts = slice(None) if dataset.ignore_index is None else np.asarray(dataset.y) >= 0
        check_varies(y[counts], dataset.target_names)
        if task == "regression":  # what varies by the rounding of float64 alone is constant too
            check_varies(np.asarray(dataset.y), dataset.target_names)
        return dataset

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        target: Names | None,
        *,
        separator: str | None = None,
        encoding: str | None = None,
        decimal: str = ".",
        thousands: str | None = None,
        header: bool | None = None,
        quote: str | None = None,
        text: str | None = None,
        category: Names = (),
        **arguments: Any,
    ) -> "Dataset":
        r"""Build a data set from a table in a file; see `from_dataframe`.

        The file is text, which may be compressed, such as .csv.gz, or a table of the type .parquet
        or .xlsx. How the text is written is told from the file, see `jnn.data.TableForm`.

        Args:
            path: The file.
            target: Name of the column of targets, several names, or None.
            separator: Separator of the columns, or `\s+` for any number of blanks; by default
                the one that gives every line as many columns.
            encoding: Encoding of the text, such as "cp1252"; by default UTF-8, or the one that the
                first bytes of the file name.
            decimal: Character of a decimal point.
            thousands: Character between the thousands of a number.
            header: Whether the first line holds the names of the columns; without it they are named
                0, 1, 2, ... By default it does, and is refused if it looks like a row.
            quote: Character around a value that may hold separators, or "none"; by default '"',
                whose pairs are checked.
            text: Name of a column of sentences, which stay as they are written.
            category: Names of columns of categories, which stay as they are written: "01", "3+" and
                "NA" are values of them.
            **arguments: Other arguments of `from_dataframe`.
        """
        arguments = {"name": uncompressed(path).stem, "source": Path(path).name, **arguments}
        form = TableForm(separator, encoding, decimal, thousands, header, quote)
        as_written = {*as_names(category), *(() if text is None else as_names(text))}
        frame = read_csv(path, form, text=as_written)
        return cls.from_dataframe(frame, target, text=text, category=category, **arguments)

    @classmethod
    def from_dataframe(
        cls,
        frame: "pd.DataFrame",
        target: Names | None,
        *,
        task: Task | None = None,
        weights: str | int | None = None,
        groups: Names | ArrayLike | None = None,
        times: Names | ArrayLike | None = None,
        text: str | int | None = None,
        drop: Names = (),
        id: Names | None = None,
        missing: Missing = "error",
        category: Names = (),
        numeric: Names = (),
        **fields: Any,
    ) -> "Dataset":
        """Build a data set from a pandas table.

        Numeric columns are taken as they are. Columns of text, categories, or bools become one
        column `name=value` for each of their sorted values. Labels of any type become the numbers
        of their values, which are sorted, or keep the order of a categorical column. Dates and
        numeric columns that hold text in some rows are refused; marks such as "?" and "-" among
        numbers are missing values. The task is inferred as in `from_arrays`.

        What float32 cannot hold beside an offset, such as 1e9 + 1, 1e9 + 2, ..., is kept: the
        offset is taken out in float64, and is in `encoding` or in `target_offset`.

        Args:
            frame: A pandas table.
            target: Name of the column of targets, several names for a regression with several
                outputs, or None for a data set without targets.
            task: "classification" or "regression"; by default inferred from the target.
            weights: Name of a column of numbers that holds the weight of each row and is no
                feature.
            groups: Name of the column whose values are the groups, such as patients, for folds that
                keep a group together; it is no feature. Or the group of each row, as an array.
            times: Name of the column of dates or numbers that orders the rows, for folds that train
                on the past; it is no feature. Or the time of each row, as an array.
            text: Name of a column of sentences. The rows are then its token ids as in `from_texts`,
                whose options `tokenizer` and `length` apply, and no other column is a feature.
            drop: Names of columns to leave out.
            id: Name of a column that names the rows and is no feature, or several.
            missing: What becomes of missing values. "error" refuses them. "drop" leaves their rows
                out. "fill" leaves out rows without a target or a weight; among the features a
                missing number stays NaN, for `jnn.preprocess.fill_median` to fill from the training
                rows of each fold, and a missing category becomes a category "missing".
            category: Names of columns of categories, whatever their values look like.
            numeric: Names of columns of numbers; any other value in them is missing.
            **fields: Other fields of `Dataset`.
        """
        names = [*as_names(drop), *(() if id is None else as_names(id))]
        roles = {"weights": weights, "groups": groups, "times": times, "text": text}
        values = {"missing": missing, "category": category, "numeric": numeric}
        table = read_frame(frame, target, task, names, **roles, **values, fields=fields)
        if text is None:
            return cls.from_arrays(table.x, table.y, task=table.task, **table.fields)
        return cls.from_texts(table.x, table.y, task=table.task, **table.fields)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        labels: ArrayLike | None = None,
        *,
        tokenizer: Tokenizer | Literal["words", "characters"] | None = None,
        length: int | None = None,
        column: str = "text",
        **fields: Any,
    ) -> "Dataset":
        """Build a data set of texts as rows of token ids.

        Args:
            texts: One text for each row; they are kept in the data set.
            labels: Label of each text, or None for a data set without targets.
            tokenizer: Tokenizer; or "words" for words between spaces, or "characters", fitted on
                all texts. The default is words, or characters if most texts have no spaces, which
                `notes` says.
            length: Number of ids in a row: shorter rows are padded with 0, longer ones are cut. The
                default is the length of the longest row.
            column: Name of the column that holds the texts in a table.
            **fields: Other arguments of `from_arrays`.

        >>> Dataset.from_texts(["good film", "so bad"], [1, 0]).x
        array([[4, 3],
               [5, 2]], dtype=int32)
        """
        read = read_texts(texts, tokenizer, length, column, fields)
        return cls.from_arrays(read.ids, labels, ids=True, **read.fields)

    @classmethod
    def from_images(
        cls,
        folder: str | PathLike[str],
        *,
        size: int | tuple[int, int] | None = None,
        **fields: Any,
    ) -> "Dataset":
        """Build a data set from a folder of pictures with a subfolder for each class.

        The names of the subfolders, sorted, are the classes. Folders train/ and test/, perhaps with
        validation/ or val/, become the published split. Rows are [height, width, channels] in 0..1,
        with one channel if all pictures are gray, else with three. Hidden files and those that are
        no pictures are left out, which `notes` says. Needs the extra `images` (Pillow).

        Args:
            folder: The folder.
            size: Height and width in pixels to which the pictures are resized, or one number for
                both; by default all must have one size.
            **fields: Other fields of `Dataset`.

        Raises:
            ImportError: If Pillow is not installed.
            ValueError: If there are no two classes, a picture is damaged, or sizes differ.
        """
        read = read_image_folder(folder, checked_size(size))
        notes = (*read.fields.pop("notes"), *fields.pop("notes", ()))
        return cls(
            read.x, read.labels, "classification", **{**read.fields, "notes": notes, **fields}
        )

    @classmethod
    def from_huggingface(
        cls,
        rows: Any,
        x: str | Sequence[str],
        y: str | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        **fields: Any,
    ) -> "Dataset":
        """Build a data set from columns of one split of a Hugging Face data set.

        A column of text becomes token ids as in `from_texts`, images become [rows, height, width,
        channels] in 0..1, and several columns of numbers become features. The names of a
        `ClassLabel` are kept.

        Args:
            rows: One split of a Hugging Face data set.
            x: Name of the column of inputs, or several names of columns of numbers.
            y: Name of the column of targets, or None for a data set without targets.
            size: Height and width to which images are resized; by default all must have one size.
            **fields: Other arguments of `from_texts` or `from_arrays`.
        """
        values, targets, names = read_columns(rows, x, y, checked_size(size))
        fields = {"name": "huggingface", **names, **fields}
        if isinstance(values, list):
            return cls.from_texts(values, targets, **fields)
        return cls.from_arrays(values, targets, **fields)

    @classmethod
    def from_series(
        cls,
        values: Any,
        length: int,
        horizon: int,
        *,
        channels: Names = (),
        time: Names | None = None,
        series: Names | None = None,
        gaps: Gaps = "split",
        separator: TableForm | str | None = None,
        drop: Names = (),
        **fields: Any,
    ) -> "Dataset":
        """Build a data set of forecasts from one series or several.

        Inputs are `length` steps and targets the next `horizon` steps: x is [rows, length,
        channels] and y is [rows, horizon, channels], with one row for every starting step, so that
        rows = time - length - horizon + 1. The series is stored once. Folds are in time, with a gap
        that keeps the targets of training rows and test rows apart.

        The rows of a table are sorted by its time axis, which must have one step: a fixed one, one
        of the calendar such as months or business days, or one of numbers. A warning tells of rows
        that were not in order, and of gaps. Several series share the model and the folds: no window
        reaches from one into another, and each test begins after all targets of its training.

        Args:
            values: A series [time, channels], a pandas table, or the path of a CSV file, with one
                row for each step. Several series are a list or dict of such arrays, an array
                [series, time, channels], or a table in the long format with `series`.
            length: Number of steps of an input.
            horizon: Number of steps of a target.
            channels: Names of the columns to take; by default all columns of numbers that are
                neither times nor ids.
            time: Name of the column of times, or several that make a date together; by default what
                reads as dates, and () takes the rows in their order.
            series: Name of the column that tells several series of a table apart, or several names.
            gaps: "split" lets no window reach across steps that are missing; "ignore" takes each
                row as one step, whatever the times say.
            separator: Separator of the columns of a file, or a `jnn.data.TableForm`; by default it
                is told from the file.
            drop: Names of columns to leave out.
            **fields: Other fields of `Dataset`.

        Raises:
            TypeError: If `length` or `horizon` is not an integer.
            ValueError: If the time axis is not of one step, if times repeat, or if no window fits.

        >>> Dataset.from_series(np.arange(20.0).reshape(10, 2), 4, 3)
        Dataset 'series': regression, 4 rows of shape (4, 2), 6 outputs
        """
        options = {"channels": channels, "drop": drop, "time": time, "series": series}
        read = read_forecasts(values, length, horizon, gaps, separator, options, fields)
        return cls(read.x, read.y, "regression", **read.fields)

    @classmethod
    def from_tokens(
        cls, ids: ArrayLike, length: int, *, classes: int | None = None, **fields: Any
    ) -> "Dataset":
        """Build a data set of next tokens: from `length` ids of a text to the ids one step later.

        x and y are [rows, length], with one row for every starting step: rows = time - length.

        Args:
            ids: Token ids of a text [time].
            length: Number of ids in a row.
            classes: Number of classes, which are the ids 0..classes-1; by default the largest id +
                1, or as many as there are `target_names`.
            **fields: Other fields of `Dataset`.

        >>> Dataset.from_tokens([0, 2, 1, 0, 2], 2).x[np.array([1])]
        array([[2, 1]], dtype=int32)
        """
        ids = single_precision(as_ids(as_array(ids, "the text")))
        if ids.ndim != 1:
            raise ValueError(
                f"The token ids of a text must be of shape [time], got {ids.shape}. Join the texts "
                "first."
            )
        span = checked_span(len(ids), length, 1)
        names = tuple(map(str, range(classes or int(ids.max()) + 1)))
        x = Windows(ids, length, 0, span)
        y = Windows(ids, length, 1, span)
        return cls(x, y, "classification", **{"name": "tokens", "target_names": names, **fields})

    @property
    def is_series(self) -> bool:
        """Whether the rows are windows of a series."""
        return isinstance(self.x, Windows)

    @property
    def gap(self) -> int:
        """Number of rows between training and test in time whose targets would overlap.

        It is 0 unless the rows are windows of a series.
        """
        return self.y.length - 1 if isinstance(self.y, Windows) else 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return count_rows(self.x)

    @property
    def outputs(self) -> int:
        """Number of outputs that a model needs: one for each class or regression target, else 0."""
        if self.y is None or is_tree(self.y):
            return 0
        if self.task == "classification":
            return self.classes
        return math.prod(self.y.shape[1:])

    @property
    def classes(self) -> int:
        """Number of classes, also where `take` left none of a class; 0 if the task has none."""
        return len(self.target_names) if self.task == "classification" else 0

    @property
    def row_labels(self) -> np.ndarray | None:
        """The one label of each row [rows], by which folds are stratified; None without one.

        Of several targets it is the only one that has a whole number for each row, unless these are
        amounts.
        """
        if self.task == "classification" and self.y.ndim == 1:
            return np.asarray(self.y)
        if self.task != "multitask":
            return None
        parts = parts_of(self.y, "y").values()
        labels = [part for part in parts if part.ndim == 1 and part.dtype.kind == "i"]
        is_one = len(labels) == 1 and infer_task(labels[0]) == "classification"
        return labels[0] if is_one else None

    def take(self, rows: ArrayLike | slice) -> "Dataset":
        """Return the selected rows as a data set of the same classes, without published splits.

        Args:
            rows: Row numbers, a mask, or a slice. Rows of a series must follow each other; they
                become a shorter series.

        Raises:
            ValueError: If rows of a series do not follow each other.
        """
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        parts: dict[str, Any] = {
            name: None if values is None else values[rows]
            for name, values in (
                ("groups", self.groups), ("times", self.times), ("until", self.until),
                ("texts", self.texts), ("weights", self.weights),
            )
        }  # fmt: skip
        if isinstance(self.x, Windows) and (self.y is None or isinstance(self.y, Windows)):
            parts["x"] = self.x.stretch(rows)
            parts["y"] = None if self.y is None else self.y.stretch(rows)
        else:
            parts["x"] = map_parts(lambda array: array[rows], self.x)
            parts["y"] = None if self.y is None else map_parts(lambda array: array[rows], self.y)
        return dataclasses.replace(self, **parts, splits=())

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return describe(self)
