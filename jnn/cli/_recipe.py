"""From the words of the command line to a study: `jnn run my.csv --target price --model mlp:128,64`."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import optax
import tyro

from jnn import losses, metrics
from jnn.data import Dataset, load
from jnn.preprocess import identity, standardize, standardize_channels
from jnn.recipes import _families as families
from jnn.result import Schema, vocabulary_of
from jnn.study import Members, Study, folds, grid, holdout, seeds

_Positional = tyro.conf.Positional
_LEARNING_RATES = (1e-3, 3e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Run:
    """Train a population on a data set and print its scores with intervals."""

    data: _Positional[str]
    """Name of a data set (see `jnn data list`) or a CSV file."""
    target: str | None = None
    """Column to predict; several, separated by commas, for a regression. Needed for a CSV file."""
    task: Literal["classification", "regression"] | None = None
    """Told from the target by default."""
    text: str | None = None
    """Column of a CSV file that holds sentences; the model then reads their words, and no other column."""
    drop: str | None = None
    """Columns of a CSV file to leave out, separated by commas, such as dates and names, or of channels."""
    separator: str | None = None
    """Between the columns of a CSV file; by default a comma, and a tab in .tsv."""
    horizon: int | None = None
    """Steps to forecast: the rows of a CSV file are then the steps of a series, its numeric columns, or those named by
    --target, the channels."""
    window: int | None = None
    """Steps of a series that a forecast sees; 96 by default."""
    model: str = "mlp:64"
    """A family and its numbers: mlp:128,64 is an MLP with those hidden layers, resnet:18 a residual network for images;
    `jnn models` lists them all."""
    seeds: int = 20
    """Random seeds per setting."""
    folds: int = 5
    """Folds of the cross-validation; 1 holds out a fifth of the rows once."""
    grid: tuple[str, ...] | None = None
    """Settings to cross, such as learning_rate=1e-3,1e-2 weight_decay=0,1e-4 dropout_rate=0,0.2."""
    epochs: int = 20
    """Passes over the training rows."""
    batch_size: int = 32
    """Rows per step."""
    steps_per_epoch: int | None = None
    """So many batches of rows drawn anew make an epoch, instead of all rows once."""
    out: pathlib.Path | None = None
    """Folder of the result; by default a new one under results/."""


class Job(NamedTuple):
    """What `jnn.run` takes."""

    study: Study
    data: Dataset
    members: Members


def command_of(folder: pathlib.Path) -> Run:
    """The command that a run was started by."""
    from jnn.storage import damaged, read_json

    path = folder / "command.json"
    if not path.exists():
        raise ValueError(
            f"wanted the folder of a run, but {folder} has no command.json; see results/"
        )
    fields = read_json(path)
    try:
        return Run(**{**fields, "grid": fields["grid"] and tuple(fields["grid"]), "out": folder})
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error


def prepare(command: Run) -> Job:
    """Makes study, data and members from a command; one clear `ValueError` for whatever does not fit."""
    settings, data = _settings(command), _load(command)
    split = holdout(0.2) if command.folds == 1 else folds(command.folds)
    members = seeds(command.seeds) * split * grid(**settings)
    return Job(make_study(command, about_data(data), data.task), data, members)


def make_study(command: Run, about: families.About, task: str) -> Study:
    """The study of a command, from what is known of its data: so also for a saved result without its data."""
    settings, is_labels = _settings(command), task == "classification"
    dropout = {"dropout_rate": 0.0} if "dropout_rate" in settings else {}
    return Study(
        model=families.make_factory(command.model, about, dropout),
        loss=losses.softmax_cross_entropy if is_labels else losses.squared_error,
        optimizer=_optimizer(settings),
        metrics=_CLASSIFICATION if is_labels else _REGRESSION,
        epochs=command.epochs,
        batch_size=command.batch_size,
        steps_per_epoch=command.steps_per_epoch,
        hyper={"learning_rate": 1e-3},
        inputs=_INPUTS[about.kind],
        targets=identity if is_labels else standardize,
    )


def study_of(command: Run, schema: Schema) -> Study:
    """The study that a saved result was made by, from its command and its schema."""
    is_labels = schema.task == "classification"
    outputs = schema.classes if is_labels else math.prod(schema.target_shape)
    kind = _kind(schema.x.shape, schema.vocabulary > 0, schema.is_windowed)
    about = families.About(
        schema.data, kind, schema.x.shape, schema.target_shape, outputs, schema.vocabulary
    )
    return make_study(command, about, schema.task)


def about_data(data: Dataset) -> families.About:
    """What a model family may know of a data set."""
    shape, target = tuple(data.x.shape[1:]), tuple(data.y.shape[1:])
    vocabulary = vocabulary_of(data)
    kind = _kind(shape, vocabulary > 0, data.is_series)
    return families.About(data.name, kind, shape, target, data.outputs, vocabulary)


def parse_grid(words: Sequence[str]) -> dict[str, list[float]]:
    """("learning_rate=1e-3,1e-2", ...) -> {"learning_rate": [0.001, 0.01], ...}."""
    settings: dict[str, list[float]] = {}
    for word in words:
        name, equals, values = (part.strip() for part in word.partition("="))
        if name in settings:
            raise ValueError(
                f"wanted each name once after --grid, but got {name!r} again; write {name}=first,second"
            )
        try:
            settings[name] = [float(v) for v in values.split(",")]
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ValueError(
                f"wanted name=number,number after --grid, but got {word!r}; e.g. learning_rate=1e-3,1e-2"
            )
    if not settings:
        raise ValueError(
            "wanted settings after --grid, but got none; write e.g. learning_rate=1e-3,1e-2"
        )
    return settings


_CLASSIFICATION = {"accuracy": metrics.accuracy, "log_loss": metrics.log_loss}
_REGRESSION = {"rmse": metrics.rmse, "mae": metrics.mae, "r2": metrics.r2}


def _load(command: Run) -> Dataset:
    path = pathlib.Path(command.data)
    if not _is_table(path):
        _refuse(command, _FOR_TABLES, "a CSV file", repr(command.data))
        return load(command.data)
    if not path.exists():
        raise ValueError(f"wanted a CSV file, but there is none at {path}; give its path")
    if command.horizon is not None:
        return _load_series(command, path, command.horizon)
    _refuse(command, ("window",), "--horizon", "none")
    if command.target is None:
        raise ValueError(
            f"wanted the column to predict from {path}, but got none; add --target COLUMN"
        )
    names = _names(command.target)
    target, drop = names[0] if len(names) == 1 else names, _names(command.drop)
    return Dataset.from_csv(
        path, target, task=command.task, text=command.text, drop=drop, separator=command.separator
    )


def _load_series(command: Run, path: pathlib.Path, horizon: int) -> Dataset:
    _refuse(command, ("task", "text"), "a table without --horizon", "the steps of a series")
    window = 96 if command.window is None else command.window
    channels, drop = _names(command.target), _names(command.drop)
    return Dataset.from_series(
        path, window, horizon, channels=channels, drop=drop, separator=command.separator
    )


def _refuse(command: Run, options: Sequence[str], wanted: str, got: str) -> None:
    """Options that say nothing here are refused, not passed over."""
    if given := [f"--{name}" for name in options if getattr(command, name) is not None]:
        raise ValueError(f"wanted {wanted} with {', '.join(given)}, but got {got}; leave it out")


def _names(text: str | None) -> list[str]:
    """Of columns, with commas between them."""
    return text.split(",") if text else []


_FOR_TABLES = ("target", "task", "text", "drop", "separator", "horizon", "window")


def _is_table(path: pathlib.Path) -> bool:
    """Whether the name is that of a CSV file, not of a data set."""
    return any(ending in (".csv", ".tsv", ".txt") for ending in map(str.lower, path.suffixes[-2:]))


def _optimizer(settings: dict[str, list[float]]) -> Callable[[Any], optax.GradientTransformation]:
    if "weight_decay" in settings:
        return lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay)
    return lambda h: optax.adam(h.learning_rate)


def _settings(command: Run) -> dict[str, list[float]]:
    return (
        {"learning_rate": list(_LEARNING_RATES)}
        if command.grid is None
        else parse_grid(command.grid)
    )


def _kind(shape: tuple[int, ...], is_ids: bool, is_windows: bool) -> str:
    if is_ids:
        return "tokens" if is_windows else "texts"
    return (
        "series"
        if is_windows
        else {1: "vectors", 2: "signals", 3: "images"}.get(len(shape), "arrays")
    )


# A pixel's place in an image says little, its channel much; so does a step's place in a series.
_INPUTS = {
    "vectors": standardize,
    "images": standardize_channels,
    "signals": standardize_channels,
    "series": standardize,  # its rows are the steps of the series
    "arrays": standardize_channels,
    "texts": identity,
    "tokens": identity,
}
