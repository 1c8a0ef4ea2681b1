"""What a command means: its study, its data and its members."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jnn.cli._command import DataOptions, Run
from jnn.cli._input import user_input
from jnn.cli._notes import notes
from jnn.cli._table import FORM_OPTIONS, Columns, form_of, is_table, load_table, local_file
from jnn.data import Dataset, ImageEncoding, load, names
from jnn.data._csv import read_csv, uncompressed
from jnn.recipes import (
    BATCH_SIZE,
    EPOCHS,
    About,
    default_batch_size,
    default_epochs,
    default_model,
    make_study,
)
from jnn.study import Members, Study, folds, grid, holdout, seeds

if TYPE_CHECKING:
    import pandas

_FOLDS = 5
_LARGE = 20_000  # rows from which on no fold is small
_LEARNING_RATES = (1e-3, 3e-3, 1e-2)
_WINDOW = 96  # steps, as in most papers on forecasting
_ROW_OPTIONS = ("group", "time", "weights")
_SERIES_OPTIONS = ("series", "gaps")
_TABLE_OPTIONS = (
    *("target", "task", "text", "tokenizer", "drop", "horizon", "window"),
    *FORM_OPTIONS,
    *_ROW_OPTIONS,
    *_SERIES_OPTIONS,
)


class Job(NamedTuple):
    """The arguments of `jnn.run`.

    Attributes:
        study: Study to train.
        data: Data set to train on.
        members: Members of the population.
    """

    study: Study
    data: Dataset
    members: Members


def make_job(command: Run) -> Job:
    """Make study, data and members from a command.

    Raises:
        ValueError: If an option does not fit the data or the others.
    """
    if command.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {command.seeds}. Use e.g. --seeds 20.")
    with user_input(), notes():
        data = load_data(command)
    with user_input():
        members = members_of(command, data)
        command = settled(command, data, members)
        study = study_of(command, About.from_data(data))
    return Job(study, data, members)


def settled(command: Run, data: Dataset, members: Members) -> Run:
    """Return a command with a network, a batch size and epochs that fit the data."""
    rows = training_rows(data, members)
    batch_size = command.batch_size
    if batch_size is None:
        batch_size = default_batch_size(rows)
    epochs = command.epochs
    if epochs is None and batch_size > 0:  # Study refuses others
        epochs = default_epochs(rows, batch_size, command.steps_per_epoch)
    model = command.model or default_model(About.from_data(data))
    return dataclasses.replace(command, model=model, epochs=epochs, batch_size=batch_size)


def training_rows(data: Dataset, members: Members) -> int:
    """Return the number of rows that the smallest fold trains on, if it may be small."""
    if members.split is None or data.rows > _LARGE:
        return data.rows
    return min(len(fold.train) for fold in members.split.rows(data))


def members_of(command: Run, data: Dataset | None = None) -> Members:
    """Make the members of a command, on the published split of its data if that is a folder."""
    is_folder = isinstance(getattr(data, "encoding", None), ImageEncoding)
    if command.folds is None and data is not None and data.splits and is_folder:
        split = folds(data.splits)
    else:
        number = _FOLDS if command.folds is None else command.folds
        split = holdout(0.2) if number == 1 else folds(number)
    return seeds(command.seeds) * split * grid(**_settings_of(command))


def study_of(command: Run, about: About) -> Study:
    """Make the study of a command, given a description of its data."""
    optional = ("weight_decay", "dropout_rate")
    settings = _settings_of(command)
    return make_study(
        about,
        model=command.model,
        hyper={name: 0.0 for name in optional if name in settings},
        metrics=metrics_of(command.metric),
        epochs=EPOCHS if command.epochs is None else command.epochs,
        batch_size=BATCH_SIZE if command.batch_size is None else command.batch_size,
        steps_per_epoch=command.steps_per_epoch,
    )


def metrics_of(words: Sequence[str] | None) -> list[str] | None:
    """Return the names of metrics, between blanks or commas as those of columns are."""
    if words is None:
        return None
    return [name for word in words for name in word.split(",") if name]


def parse_grid(words: Sequence[str]) -> dict[str, list[float]]:
    """Parse the words after --grid.

    >>> parse_grid(["learning_rate=1e-3,1e-2", "weight_decay=0"])
    {'learning_rate': [0.001, 0.01], 'weight_decay': [0.0]}
    """
    if not words:
        raise ValueError("--grid must name settings, got none. Write learning_rate=1e-3,1e-2.")
    settings: dict[str, list[float]] = {}
    for word in words:
        name, values = _parse_setting(word)
        if name in settings:
            raise ValueError(
                f"--grid must name each setting once, got {name!r} again. "
                f"Write {name}=first,second."
            )
        settings[name] = values
    return settings


def _parse_setting(word: str) -> tuple[str, list[float]]:
    name, _, values = (part.strip() for part in word.partition("="))
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not name or not numbers:
        raise ValueError(
            f"--grid must be name=number,number, got {word!r}. Write learning_rate=1e-3,1e-2."
        )
    return name, numbers


def _settings_of(command: Run) -> Mapping[str, list[float]]:
    if command.grid is None:
        return {"learning_rate": list(_LEARNING_RATES)}
    return parse_grid(command.grid)


def load_data(command: DataOptions) -> Dataset:
    path = pathlib.Path(command.data)
    if path.is_dir() and command.data not in names():
        reason = f"{command.data} is a folder of pictures, whose subfolders are the classes"
        _refuse(command, _TABLE_OPTIONS, reason)
        return Dataset.from_images(path, size=_size_of(command.size))
    _refuse(command, ("size",), "only a folder of pictures has a size")
    if not is_table(command.data):
        if command.data not in names() and len(path.parts) > 1:
            raise ValueError(f"DATA {command.data} does not exist. Check the path.")
        reason = f"{command.data} is the name of a data set, and they are for CSV files"
        _refuse(command, _TABLE_OPTIONS, reason)
        return load(command.data)
    if command.horizon is not None:
        return _load_series(command, local_file(command.data), command.horizon)
    _refuse(command, ("window",), "a window needs --horizon")
    _refuse(command, _SERIES_OPTIONS, "series need --horizon")
    if command.text is None:
        _refuse(command, ("tokenizer",), "tokens need --text")
    else:
        _refuse(command, ("drop", "category", "numeric"), "with --text no other column is read")
    if command.time is not None:
        _refuse(command, ("group",), "with --time the folds are in time")
    return load_table(command)


def _load_series(command: DataOptions, path: pathlib.Path, horizon: int) -> Dataset:
    _refuse(
        command,
        ("task", "text", "tokenizer", "group", "weights", "id", "missing", "category", "numeric"),
        "with --horizon the rows are the steps of a series",
    )
    form = form_of(command)
    columns = Columns(path, form)
    series = columns.names(command.series)
    frame = read_csv(path, form)
    ids = [name for name in series if name in frame]
    return Dataset.from_series(
        frame,
        _window_of(frame, ids, horizon) if command.window is None else command.window,
        horizon,
        name=uncompressed(path).stem,
        source=path.name,
        channels=columns.names(command.target),
        time=columns.name(command.time),
        series=series or None,
        gaps=command.gaps or "split",
        drop=columns.names(command.drop),
    )


def _window_of(frame: "pandas.DataFrame", ids: Sequence[str], horizon: int) -> int:
    """Return the default window: 96 steps, or a sixth of a short series but the horizon at least.

    That leaves five folds in time rows to train on.
    """
    steps = len(frame)
    if ids and steps:
        steps = int(frame.groupby(ids).size().to_numpy().max())
    return max(1, min(_WINDOW, max(horizon, steps // 6)))


def _refuse(command: DataOptions, options: Sequence[str], reason: str) -> None:
    """Raise if any of these options is set, because it would have no effect."""
    given = [name for name in options if getattr(command, name) not in (None, False)]
    present = [f"--{name.replace('_', '-')}" for name in given]
    if present:
        raise ValueError(f"{', '.join(present)} must be left out: {reason}.")


def _size_of(text: str | None) -> tuple[int, int] | None:
    """Return height and width from a text such as "32" or "48x64"."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"--size must be pixels, got {text!r}. Write e.g. --size 32 or 48x64.")
    return int(sides[0]), int(sides[-1])
