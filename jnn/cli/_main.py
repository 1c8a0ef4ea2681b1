"""The command line: `jnn run`, `resume`, `predict`, `models`, `info`, `data list` and `data fetch`."""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from jnn.cli import _recipe as recipe
from jnn.cli._recipe import Run

_Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run that was interrupted."""

    folder: _Positional[pathlib.Path]
    """The folder of the run."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Predict rows in a file by the trained members of a run, with their spread."""

    folder: _Positional[pathlib.Path]
    """The folder of the run."""
    rows: _Positional[pathlib.Path]
    """A table (.csv, .tsv), with or without the target, or an array of rows (.npy); for members that read texts also a
    text in each line (.txt); for a forecast the table of the series that it goes on from."""
    out: pathlib.Path = pathlib.Path("predictions.csv")
    """The file to write."""
    members: Literal["best", "all"] = "best"
    """The members of the best setting, or those of all settings."""
    batch: int = 1024
    """Rows at a time."""
    separator: str | None = None
    """Between the columns of a table; by default that of the run, or else of the file's name."""


@dataclasses.dataclass(frozen=True)
class Models:
    """List the families of models for `jnn run --model`."""


@dataclasses.dataclass(frozen=True)
class Info:
    """Show versions, devices and folders."""


@dataclasses.dataclass(frozen=True)
class Data:
    """List the known data sets, or fetch the files of one."""

    action: _Positional[Literal["list", "fetch"]]
    """What to do."""
    name: _Positional[str] = ""
    """The data set to fetch."""


Command = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Resume, tyro.conf.subcommand("resume")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Data, tyro.conf.subcommand("data")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; what is wrong with the input is told in one sentence, with exit code 2."""
    command: Any = tyro.cli(
        Command, prog="jnn", description="Train whole studies in one program.", args=arguments
    )  # type: ignore[arg-type]
    actions = {
        Run: run,
        Resume: resume,
        Predict: predict,
        Models: list_models,
        Info: info,
        Data: manage_data,
    }
    try:
        actions[type(command)](command)
    except (ValueError, OSError) as error:
        if os.environ.get("JNN_TRACEBACK"):
            raise
        print(f"jnn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jnn: interrupted; `jnn resume FOLDER` goes on", file=sys.stderr)
        sys.exit(130)


def run(command: Run) -> None:
    """Trains what the command describes; see `Run`."""
    from rich.console import Console

    begun = time.perf_counter()
    _configure_jax()
    folder = _new_folder(command)
    fields = {
        k: str(v) if isinstance(v, pathlib.Path) else v
        for k, v in dataclasses.asdict(command).items()
    }
    try:
        _train(recipe.prepare(command), folder, Console(), begun, json.dumps(fields, indent=1))
    finally:
        with contextlib.suppress(OSError):  # from a folder that holds anything
            if command.out is None:  # a run that was refused leaves none
                os.removedirs(folder)


def resume(command: Resume) -> None:
    """Goes on with the run in a folder; a finished one is shown again."""
    from rich.console import Console

    begun, made = time.perf_counter(), recipe.command_of(command.folder)
    if (command.folder / "result.json").exists():
        _show_finished(command.folder)
        return
    _configure_jax()
    _train(recipe.prepare(made), command.folder, Console(), begun)


def _show_finished(folder: pathlib.Path) -> None:
    """Prints the result, and does what a kill after it was saved may have left undone."""
    from jnn import plots
    from jnn.population import finish
    from jnn.result import Result

    finish(folder)
    result = Result.load(folder)
    if not (folder / "curves.png").exists():
        plots.write(plots.learning_curves(result), folder / "curves.png")
    print(result.summary())


def predict(command: Predict) -> None:
    """Writes a table of predictions; see `Predict`."""
    from jnn.cli._predict_file import predict_file, usable
    from jnn.result import Result, read_schema, setting_text

    _configure_jax()
    made = recipe.command_of(command.folder)
    _check_out(command, made)
    study = recipe.study_of(made, read_schema(command.folder))
    result = Result.load(command.folder, study)
    setting = result.best().setting if command.members == "best" else {}
    chosen, diverged = usable(result.select(**setting) if setting else result)
    separator = command.separator or made.separator
    count = predict_file(
        chosen, command.rows, command.out, batch=command.batch, separator=separator
    )
    named = setting_text(setting)
    print(
        f"{count} rows by {len(chosen.members)} members{' of ' + named if named else ''}: {command.out}"
    )
    if diverged:
        print(f"{diverged} members whose training diverged are left out")


def info(command: Info) -> None:
    """Prints what a report of a problem should hold."""
    import importlib.metadata
    import platform

    import jax

    from jnn import __version__
    from jnn.data import data_folder

    _configure_jax()
    print(f"jnn {__version__}, Python {platform.python_version()}, {platform.platform()}")
    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    print(f"devices: {', '.join(map(str, jax.devices()))}")
    print(
        f"compiled programs: {_cache_folder()}{'' if _cache_folder().is_dir() else ' (cannot be made)'}"
    )
    print(f"data files: {data_folder()}")


def list_models(command: Models) -> None:
    """Prints a table of the families of models."""
    from jnn.recipes import _families as families

    print(families.describe())


def manage_data(command: Data) -> None:
    """Lists data sets, or fetches one."""
    list_data() if command.action == "list" else fetch_data(command.name)


def fetch_data(name: str) -> None:
    """Downloads what is absent of a data set, with a bar for each file."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from jnn.data import fetch

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns) as bars:
        tasks: dict[pathlib.Path, Any] = {}

        def show(path: pathlib.Path, done: int, total: int | None) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(path.name)
            bars.update(tasks[path], completed=done, total=total)

        folder = fetch(name, progress=show)
    print(
        f"{name} is in {folder}"
        if folder
        else f"{name} comes with a package or is generated: nothing to fetch"
    )


def list_data() -> None:
    """Prints a table of the known data sets."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from jnn.data import describe

    table = Table(
        "name",
        "task",
        "rows",
        "shape",
        "license",
        "here",
        box=box.SIMPLE,
        padding=(0, 0),
        pad_edge=False,
    )
    for d in describe():
        shape = "x".join(map(str, d.shape))
        place = "yes" if d.is_available else "fetch" if d.can_be_fetched else "no"
        table.add_row(d.name, d.task, str(d.rows), shape, d.license, place)
    Console().print(table)


def _check_out(command: Predict, made: Run) -> None:
    """Predictions are written where they take no other file's place but that of older ones."""
    kept = [command.rows, pathlib.Path(made.data), *(command.folder / name for name in _RUN_FILES)]
    if command.out.exists() and any(path.exists() and path.samefile(command.out) for path in kept):
        raise ValueError(
            f"wanted a file of its own for the predictions, but {command.out} is needed; choose another"
        )
    if command.out.is_dir() or not command.out.absolute().parent.is_dir():
        raise ValueError(
            f"wanted a file in a folder that is there, but got {command.out}; choose another, or make it"
        )


_RUN_FILES = (
    "command.json",
    "result.json",
    "run.json",
    "scores.nc",
    "members.safetensors",
    "curves.png",
)


def _train(
    job: recipe.Job, folder: pathlib.Path, console: Any, begun: float, command: str = ""
) -> None:
    """Trains and prints; writes the command into the folder once it is known that it can be carried out."""
    from jnn import plots
    from jnn.cli._progress import show
    from jnn.population import run as train

    study, data, members = job
    console.print(f"{data!r}")
    console.print(
        f"{study.model.name}, {members!r}, {study.epochs} epochs, batches of {study.batch_size}"
    )
    with show(console) as move_bar:

        def watch(status):
            if command and status.stage == "planned":
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "command.json").write_text(command)
            move_bar(status)

        result = train(study, data, members, directory=folder, watch=watch)
    console.print(str(result.summary()), highlight=False, soft_wrap=True)
    choice = result.best()
    if choice.setting:
        console.print(f"best: {choice}", highlight=False, soft_wrap=True)
    plots.write(plots.learning_curves(result), folder / "curves.png")
    seconds = ", ".join(f"{k} {v:.1f} s" for k, v in result.timing.items() if k != "total")
    console.print(f"{seconds}, in all {time.perf_counter() - begun:.1f} s")
    console.print(
        f"result: {folder}{os.sep} (scores.nc, members.safetensors, curves.png)", soft_wrap=True
    )


def _configure_jax() -> None:
    """Every core a device, and compiled programs kept between processes."""
    import jax

    from jnn.population import use_cpu_cores

    use_cpu_cores()
    with contextlib.suppress(OSError):  # a home that cannot be written
        _cache_folder().mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(_cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _cache_folder() -> pathlib.Path:
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    return (
        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        / "jnn"
        / "compiled"
    )


def _new_folder(command: Run) -> pathlib.Path:
    if command.out is not None:
        if (command.out / "result.json").exists() or (command.out / "command.json").exists():
            raise ValueError(
                f"wanted a new folder, but {command.out} holds a run already; choose another, "
                f"or go on with it by `jnn resume {command.out}`"
            )
        return command.out
    stem = f"{pathlib.Path(command.data).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = pathlib.Path("results") / stem
    for number in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)  # at once, so that no other run of this second takes it
            break
        folder = folder.with_name(f"{stem}-{number}")
    return folder
