"""The commands and their options, from which tyro makes the parser and the help texts."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from jnn.cli._strategy import strategies
from jnn.storage import expand

_Positional = tyro.conf.Positional


def _hint(metavar: str | None = None, default: str = "") -> Any:
    """Set what the help text shows as the value and as the default of an option."""
    hint = f"(default: {default})" if default else ""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


# Each help text is one line, because a line break in it would also break the help of the terminal.


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What is learned from: options that several commands share."""

    data: Annotated[_Positional[str], _hint("DATA")]
    """Name of a data set (see `jnn data list`), a table, a folder of pictures, or - for stdin."""
    target: Annotated[str | None, _hint("COLUMN")] = None
    """Column to predict, or several separated by commas; with --horizon, the channels."""
    task: Annotated[
        Literal["classification", "regression"] | None,
        _hint("{classification,regression}", "inferred from the target"),
    ] = None
    """Kind of task of a CSV file."""
    text: Annotated[str | None, _hint("COLUMN")] = None
    """Column of a CSV file that holds sentences; the model then reads their words only."""
    tokenizer: Annotated[
        Literal["words", "characters"] | None,
        _hint("{words,characters}", "characters if most texts have no spaces"),
    ] = None
    """With --text, what the model reads."""
    drop: Annotated[str | None, _hint("COLUMNS")] = None
    """Columns of a CSV file to leave out, separated by commas, such as dates and names."""
    id: Annotated[str | None, _hint("COLUMNS")] = None
    """Columns that name the rows; no features, but kept in the predictions of `jnn predict`."""
    missing: Annotated[
        Literal["error", "drop", "fill"] | None, _hint("{error,drop,fill}", "error")
    ] = None
    """What becomes of missing values: drop their rows, or fill by the training rows' median."""
    category: Annotated[str | None, _hint("COLUMNS")] = None
    """Columns of categories, whatever their values look like, such as 01, 3+ and NA."""
    numeric: Annotated[str | None, _hint("COLUMNS")] = None
    """Columns of numbers; any other value in them is missing."""
    separator: Annotated[str | None, _hint("TEXT", "told from the file")] = None
    """Separator of the columns of a CSV file, or \\s+ for any number of blanks."""
    encoding: Annotated[str | None, _hint("NAME", "utf-8, or that of the first bytes")] = None
    """Encoding of a CSV file, such as cp1252."""
    decimal: Annotated[str | None, _hint("TEXT", ".")] = None
    """Decimal point of a CSV file."""
    thousands: Annotated[str | None, _hint("TEXT")] = None
    """Separator between the thousands of a number in a CSV file."""
    quote: Annotated[str | None, _hint("TEXT", 'pairs of ", which are checked')] = None
    """Character around a value of a CSV file, or none."""
    no_header: Annotated[bool, tyro.conf.FlagCreatePairsOff, _hint()] = False
    """The first line of a CSV file is a row; the columns are then 0, 1, 2, ..."""
    header: Annotated[bool, tyro.conf.FlagCreatePairsOff, _hint()] = False
    """The first line of a CSV file names the columns, even if it looks like a row."""
    group: Annotated[str | None, _hint("COLUMN")] = None
    """Column whose values are groups, such as patients; no group is in two parts of a fold."""
    time: Annotated[str | None, _hint("COLUMN")] = None
    """Column of dates or numbers; each fold then trains on the past and tests on what follows."""
    series: Annotated[str | None, _hint("COLUMN")] = None
    """With --horizon, column that tells several series of a CSV file apart, such as id."""
    gaps: Annotated[Literal["split", "ignore"] | None, _hint("{split,ignore}", "split")] = None
    """With --horizon, whether windows stop at steps that are missing, or read over them."""
    weights: Annotated[str | None, _hint("COLUMN")] = None
    """Column with the weight of each row."""
    metric: Annotated[tuple[str, ...] | None, _hint("NAME ...", "those of the task")] = None
    """Metrics, such as roc_auc f1 or mae; the first one chooses the best setting."""
    horizon: Annotated[int | None, _hint("STEPS")] = None
    """Number of steps to forecast; each row of a CSV file is then a step of a series."""
    window: Annotated[int | None, _hint("STEPS", "96, fewer in a short series")] = None
    """Number of steps that a forecast reads."""
    size: Annotated[str | None, _hint("PIXELS", "that of the pictures")] = None
    """Height and width to which the pictures of a folder are resized, such as 32 or 48x64."""
    model: Annotated[str | None, _hint("MODEL", "a small one for the kind of data")] = None
    """Family of networks and its numbers, such as mlp:128,64 or resnet:18; see `jnn models`."""


@dataclasses.dataclass(frozen=True)
class _RunMembers:
    """Which members `jnn run` trains."""

    seeds: int = 20
    """Number of random seeds per setting."""
    folds: Annotated[int | None, _hint("INT", "5, or test/ of a folder")] = None
    """Number of folds of the cross-validation; with 1, a fifth of the rows is held out once."""
    grid: Annotated[tuple[str, ...] | None, _hint("NAME=NUMBERS ...", "3 learning rates")] = None
    """Settings to cross: learning_rate=1e-3,1e-2 weight_decay=0,1e-4 dropout_rate=0,0.2."""
    start_from: Annotated[pathlib.Path | None, _hint("FOLDER")] = None
    """Folder of an earlier run, with whose parameters of the same seed and fold members begin."""
    fresh: Annotated[tuple[str, ...] | None, _hint("PATTERN ...")] = None
    """With --start-from, patterns of parameters that are drawn all the same, such as output/**."""


@dataclasses.dataclass(frozen=True)
class _TrainingOptions:
    """For how long is trained, and where to: options that several commands share."""

    epochs: Annotated[int | None, _hint("INT", "20, or enough for 800 steps")] = None
    """Number of passes over the training rows."""
    batch_size: Annotated[int | None, _hint("INT", "32, or all training rows")] = None
    """Number of rows per step."""
    steps_per_epoch: Annotated[int | None, _hint("INT")] = None
    """Number of batches, drawn anew, that make one epoch, instead of one pass over all rows."""
    out: Annotated[pathlib.Path | None, _hint("FOLDER", "a new folder in results/")] = None
    """Folder for the result."""


# Fields of the last base come first.
@dataclasses.dataclass(frozen=True)
class Run(_TrainingOptions, _RunMembers, DataOptions):
    """Train a population on a data set and print its scores with intervals."""


@dataclasses.dataclass(frozen=True)
class _SearchOptions:
    """What `jnn search` searches, how, and for how long."""

    space: Annotated[
        tuple[str, ...] | None, _hint("NAME=VALUES ...", "rates, weight decay and width")
    ] = None
    """What to search: learning_rate=log:1e-4:1e-1 dropout_rate=0:0.5 width=32,64 depth=1,2."""
    by: Annotated[str, _hint("{" + ",".join(sorted(strategies())) + "}", "random")] = "random"
    """Strategy, also with its numbers, such as tpe:batch=16 or hyperband:eta=4,by=tpe."""
    trials: Annotated[int | None, _hint("INT", "64, without --steps and --seconds")] = None
    """Number of settings to train."""
    steps: Annotated[float | None, _hint("NUMBER")] = None
    """Number of training steps that all networks of the search may take together."""
    seconds: Annotated[float | None, _hint("NUMBER")] = None
    """Seconds of training, after which no further settings begin."""
    folds: int = 5
    """Number of folds on which each setting is scored; with 1, a fifth of the rows is held out."""
    seeds: int = 1
    """Number of trainings of each setting on each fold."""
    test: Annotated[float | None, _hint("SHARE", "0.2, or test/ of a folder")] = None
    """Share of the rows that only the winner is scored on."""
    test_seeds: int = 10
    """Number of trainings of the winner."""
    seed: int = 0
    """Seed of the strategy."""


@dataclasses.dataclass(frozen=True)
class Search(_TrainingOptions, _SearchOptions, DataOptions):
    """Search the best setting of a network, and say how good it is on rows it never saw."""


@dataclasses.dataclass(frozen=True)
class Resume:
    """Continue an interrupted run or search."""

    folder: Annotated[_Positional[pathlib.Path], _hint("FOLDER")]
    """Folder of the run."""
    data: Annotated[str | None, _hint("DATA", "where it was")] = None
    """Path of the data, if the file has been moved."""


@dataclasses.dataclass(frozen=True)
class Show:
    """Show the table, the settings and the files of a run, finished or not."""

    folder: Annotated[_Positional[pathlib.Path], _hint("FOLDER")]
    """Folder of the run."""


@dataclasses.dataclass(frozen=True)
class Export:
    """Write scores, parameters or the trained network of a run to a file for other programs."""

    folder: Annotated[_Positional[pathlib.Path], _hint("FOLDER")]
    """Folder of the run."""
    out: Annotated[pathlib.Path, _hint("FILE")]
    """Scores (.csv, .tsv, .parquet), parameters (.safetensors) or the network (.stablehlo)."""
    members: Annotated[
        Literal["best", "all"] | None, _hint("{best,all}", "all for scores, else best")
    ] = None
    """Members to use: those of the best setting, or those of all settings."""
    member: Annotated[int | None, _hint("INT")] = None
    """Number of one of these members, counted from 0, to use alone."""


@dataclasses.dataclass(frozen=True)
class Version:
    """Print the version: `jnn --version`."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict the rows of a file with the trained members of a run, with their spread.

    Text models read raw sentences. Forecasting models continue from the last rows of a table.
    """

    folder: Annotated[_Positional[pathlib.Path], _hint("FOLDER")]
    """Folder of the run."""
    rows: Annotated[_Positional[pathlib.Path], _hint("ROWS")]
    """File of rows: a table, array (.npy), texts (.txt), picture or folder of them, - (stdin)."""
    more: Annotated[_Positional[tuple[pathlib.Path, ...]], _hint("[PICTURE ...]")] = ()
    """Further pictures."""
    out: Annotated[pathlib.Path, _hint("FILE", "predictions.csv")] = pathlib.Path("predictions.csv")
    """File to write; - for standard output."""
    members: Literal["best", "all"] = "best"
    """Members to use: those of the best setting, or those of all settings."""
    batch: int = 1024
    """Number of rows that are predicted at a time."""
    id: Annotated[str | None, _hint("COLUMNS", "those of the run")] = None
    """Columns that name the rows and are kept in the predictions."""
    separator: Annotated[str | None, _hint("TEXT", "that of the run")] = None
    """Separator of the columns of the table."""
    encoding: Annotated[str | None, _hint("NAME", "that of the run")] = None
    """Encoding of the table."""
    decimal: Annotated[str | None, _hint("TEXT", "that of the run")] = None
    """Decimal point of the table."""
    thousands: Annotated[str | None, _hint("TEXT", "that of the run; none with --decimal")] = None
    """Separator between the thousands of a number in the table."""
    quote: Annotated[str | None, _hint("TEXT", "that of the run")] = None
    """Character around a value of the table, or none."""


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
    name: Annotated[_Positional[str], _hint("[NAME]")] = ""
    """Name of the data set to download."""


Command = Run | Search | Resume | Predict | Show | Export | Version | Models | Info | Data

_Parsed = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Search, tyro.conf.subcommand("search")]
    | Annotated[Resume, tyro.conf.subcommand("resume")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Export, tyro.conf.subcommand("export")]
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
    words = sys.argv[1:] if arguments is None else [*arguments]
    if words[:1] == ["--version"]:
        return Version()
    form: Any = _Parsed  # a union of annotated types, which pyright does not take for a type
    command = tyro.cli(form, prog="jnn", description=description, args=words)
    return _with_whole_paths(command)


def _with_whole_paths(command: Command) -> Command:
    """Return a command in whose paths a leading `~` is the home directory.

    The shell leaves it as it is in `--out=~/runs`.
    """
    paths = {}
    for name, value in vars(command).items():
        if isinstance(value, pathlib.Path):
            paths[name] = expand(value)
        elif name == "data" and isinstance(value, str) and value.startswith("~"):
            paths[name] = str(expand(value))
    return dataclasses.replace(command, **paths)
