"""From the words of the command line to a study: `jnn run my.csv --target price --model mlp:128,64`."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import optax
import tyro

from jnn import losses, metrics, models
from jnn.data import Dataset, load
from jnn.members import Members, folds, grid, holdout, seeds
from jnn.preprocess import identity, standardize
from jnn.study import Study

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
    model: str = "mlp:64"
    """mlp:128,64 is an MLP with those hidden layers, mlp: a linear model, lenet a small network for images."""
    seeds: int = 20
    """Random seeds per setting."""
    folds: int = 5
    """Folds of the cross-validation; 1 holds out a fifth of the rows once."""
    grid: tuple[str, ...] = ()
    """Settings to cross, such as learning_rate=1e-3,1e-2 weight_decay=0,1e-4 dropout_rate=0,0.2."""
    epochs: int = 20
    """Passes over the training rows."""
    batch_size: int = 32
    """Rows per step."""
    out: pathlib.Path | None = None
    """Folder of the result; by default a new one under results/."""


class Job(NamedTuple):
    """What `jnn.run` takes."""

    study: Study
    data: Dataset
    members: Members


def prepare(command: Run) -> Job:
    """Makes study, data and members from a command; one clear `ValueError` for whatever does not fit."""
    settings = parse_grid(command.grid) or {"learning_rate": list(_LEARNING_RATES)}
    data = _load(command)
    members = seeds(command.seeds) * (holdout(0.2) if command.folds == 1 else folds(command.folds)) * grid(**settings)
    is_labels = data.task == "classification"
    study = Study(
        model=_model(command.model, data, "dropout_rate" in settings),
        loss=losses.softmax_cross_entropy if is_labels else losses.squared_error,
        optimizer=_optimizer(settings),
        metrics=_CLASSIFICATION if is_labels else _REGRESSION,
        epochs=command.epochs,
        batch_size=command.batch_size,
        hyper={"learning_rate": 1e-3},
        inputs=standardize if data.x.ndim == 2 else identity,
        targets=identity if is_labels else standardize,
    )
    return Job(study, data, members)


def parse_grid(words: Sequence[str]) -> dict[str, list[float]]:
    """("learning_rate=1e-3,1e-2", ...) -> {"learning_rate": [0.001, 0.01], ...}."""
    settings = {}
    for word in words:
        name, equals, values = word.partition("=")
        try:
            settings[name.strip()] = [float(v) for v in values.split(",")]
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ValueError(f"wanted name=number,number after --grid, but got {word!r}; e.g. learning_rate=1e-3,1e-2")
    return settings


_CLASSIFICATION = {"accuracy": metrics.accuracy, "log_loss": metrics.log_loss}
_REGRESSION = {"rmse": metrics.rmse, "mae": metrics.mae, "r2": metrics.r2}


def _load(command: Run) -> Dataset:
    path = pathlib.Path(command.data)
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return load(command.data)
    if not path.exists():
        raise ValueError(f"wanted a CSV file, but there is none at {path}; give its path")
    if command.target is None:
        raise ValueError(f"wanted the column to predict from {path}, but got none; add --target COLUMN")
    names = command.target.split(",")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return Dataset.from_csv(path, names[0] if len(names) == 1 else names, task=command.task, separator=separator)


def _optimizer(settings: dict[str, list[float]]) -> Callable[[Any], optax.GradientTransformation]:
    if "weight_decay" in settings:
        return lambda h: optax.adamw(h.learning_rate, weight_decay=h.weight_decay)
    return lambda h: optax.adam(h.learning_rate)


def _model(text: str, data: Dataset, with_dropout: bool) -> Callable:
    family, _, sizes = text.partition(":")
    if family not in _FAMILIES:
        raise ValueError(f"wanted one of the models {sorted(_FAMILIES)}, but got {text!r}; e.g. mlp:128,64")
    try:
        numbers = tuple(int(s) for s in sizes.split(",") if s.strip())
    except ValueError:
        raise ValueError(f"wanted whole numbers after the colon, but got {text!r}; e.g. mlp:128,64") from None
    if any(n < 1 for n in numbers):
        raise ValueError(f"wanted sizes of at least 1, but got {text!r}; e.g. mlp:128,64")
    return _FAMILIES[family](numbers, data, {"dropout_rate": 0.0} if with_dropout else {})


def _mlp(sizes: tuple[int, ...], data: Dataset, options: dict) -> Callable:
    return functools.partial(models.MLP, data.x[0].size, sizes, data.outputs, **options)


def _lenet(sizes: tuple[int, ...], data: Dataset, options: dict) -> Callable:
    if data.x.ndim != 4:
        raise ValueError(f"wanted images [rows, height, width, channels] for lenet, but {data!r}; use --model mlp:128")
    options |= {"maps": sizes} if sizes else {}
    return functools.partial(models.LeNet, data.x.shape[1:], data.outputs, **options)


_FAMILIES = {"mlp": _mlp, "lenet": _lenet}
