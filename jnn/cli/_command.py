"""The commands and their options, from which tyro makes the parser and the help texts."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

_Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True)
class Run:
    """Train a population on a data set and print its scores with intervals."""

    data: _Positional[str]
    """Name of a data set (see `jnn data list`), or path of a CSV file."""
    target: str | None = None
    """Column of the CSV file to predict. For a regression, several columns separated by commas."""
    task: Literal["classification", "regression"] | None = None
    """Kind of task. By default it is inferred from the target."""
    text: str | None = None
    """Column of the CSV file that holds sentences. The model then reads their words only."""
    drop: str | None = None
    """Columns of the CSV file to leave out, separated by commas, such as dates and names."""
    separator: str | None = None
    """Separator of the columns of the CSV file. By default a tab in .tsv files, else a comma."""
    horizon: int | None = None
    """Number of steps to forecast. Each row of the CSV file is then a step of a series, and the
    channels are its numeric columns, or those named by --target."""
    window: int | None = None
    """Number of steps that a forecast reads. By default 96."""
    model: str = "mlp:64"
    """Family of networks and its numbers: mlp:128,64 is an MLP with two hidden layers, resnet:18 a
    residual network for images. `jnn models` lists all families."""
    seeds: int = 20
    """Number of random seeds per setting."""
    folds: int = 5
    """Number of folds of the cross-validation. With 1, a fifth of the rows is held out once."""
    grid: tuple[str, ...] | None = None
    """Settings to cross, for instance learning_rate=1e-3,1e-2 weight_decay=0,1e-4
    dropout_rate=0,0.2. By default three learning rates."""
    epochs: int = 20
    """Number of passes over the training rows."""
    batch_size: int = 32
    """Number of rows per step."""
    steps_per_epoch: int | None = None
    """Number of batches, drawn anew, that make one epoch, instead of one pass over all rows."""
    out: pathlib.Path | None = None
    """Folder for the result. By default a new folder in results/."""


@dataclasses.dataclass(frozen=True)
class Resume:
    """Continue an interrupted run."""

    folder: _Positional[pathlib.Path]
    """Folder of the run."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict the rows of a file with the trained members of a run, with their spread."""

    folder: _Positional[pathlib.Path]
    """Folder of the run."""
    rows: _Positional[pathlib.Path]
    """File of rows: a table (.csv, .tsv), with or without the target, or an array (.npy). Text
    models also read a file with one text per line (.txt). Forecasting models continue from the
    last rows of the table."""
    out: pathlib.Path = pathlib.Path("predictions.csv")
    """File to write."""
    members: Literal["best", "all"] = "best"
    """Members to use: those of the best setting, or those of all settings."""
    batch: int = 1024
    """Number of rows that are predicted at a time."""
    separator: str | None = None
    """Separator of the columns of the table. By default that of the run, or the usual one for the
    ending of the file's name."""


@dataclasses.dataclass(frozen=True)
class Models:
    """List the families of networks for `jnn run --model`."""


@dataclasses.dataclass(frozen=True)
class Info:
    """Show versions, devices and folders, for a report of a problem."""


@dataclasses.dataclass(frozen=True)
class Data:
    """List the known data sets, or download one."""

    action: _Positional[Literal["list", "fetch"]]
    """What to do."""
    name: _Positional[str] = ""
    """Name of the data set to download."""


Command = Run | Resume | Predict | Models | Info | Data

_Parsed = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Resume, tyro.conf.subcommand("resume")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Info, tyro.conf.subcommand("info")]
)


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Parse a command; None stands for the arguments of the process."""
    description = (
        "Train a whole study of a neural network - all seeds, folds and settings - "
        "as one compiled program."
    )
    form: Any = _Parsed  # a union of annotated types, which pyright does not take for a type
    return tyro.cli(form, prog="jnn", description=description, args=arguments)
