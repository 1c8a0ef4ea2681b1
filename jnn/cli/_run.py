"""The commands `jnn run` and `jnn resume`."""

import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import pathlib
import threading
import time
import warnings
from typing import Any, TypeVar

from rich.console import Console

from jnn._errors import reason_of
from jnn.cli import _setup
from jnn.cli._command import Resume, Run, Search
from jnn.cli._job import Job, make_job, settled
from jnn.cli._progress import show_progress
from jnn.cli._saved_command import read_command, write_command
from jnn.cli._start import start_of
from jnn.cli._stop import told_how_to_continue
from jnn.cli._table import STANDARD_INPUT
from jnn.cli._terminal import make_console, print_text
from jnn.cli._words import in_words_of_options
from jnn.data import SeriesEncoding
from jnn.population import Status, finish
from jnn.population import run as run_study
from jnn.result import Result
from jnn.storage import as_folder

OneCommand = TypeVar("OneCommand", Run, Search)

_CURVES = "curves.png"
SEARCH_FILES = (
    *("search.json", "found.json", "search.csv", "search.png", "choices.png"),
    "rounds",
)
RUN_FILES = (
    "command.json",
    "result.json",
    "run.json",
    "scores.nc",
    "members.safetensors",
    _CURVES,
)


def run(command: Run) -> None:
    """Train what the command describes, into a folder of its own."""
    start = time.perf_counter()
    folder = new_folder(command)
    try:
        with told_how_to_continue(folder):
            _setup.configure_jax()
            begin = start_of(command)
            job = make_job(command)
            made = settled(command, job.data, job.members)
            _train_and_show(job, folder, start, made, begin=begin)
    finally:
        if command.out is None:  # a run that was refused leaves no folder
            with contextlib.suppress(OSError):  # of a folder that is not empty
                os.removedirs(folder)


def resume(command: Resume) -> None:
    """Continue the run in a folder; show the result again if the run is complete."""
    start = time.perf_counter()
    folder = command.folder
    original = read_command(folder)
    if isinstance(original, Search):
        from jnn.cli._search import resume_search

        resume_search(_with_data(original, command), folder)
        return
    if (folder / "result.json").exists():
        if command.data is not None:
            raise ValueError(f"--data must be left out: the run in {folder} is complete.")
        finish(folder)  # the steps that a kill during saving may have left undone
        show_result(Result.load(folder), folder, make_console())
        return
    original = _with_data(original, command)
    moved = None if command.data is None else original
    with told_how_to_continue(folder):
        _setup.configure_jax()
        begin = start_of(original)
        _train_and_show(make_job(original), folder, start, moved, begin=begin)


def _with_data(original: OneCommand, command: Resume) -> OneCommand:
    """Return the command that is continued, with data that are there."""
    if command.data is not None:
        return dataclasses.replace(original, data=command.data)
    if original.data == STANDARD_INPUT:
        raise ValueError(
            "The data of the run came from standard input, which is gone. Give them as a file: "
            f"jnn resume {command.folder} --data FILE."
        )
    if pathlib.Path(original.data).is_absolute() and not pathlib.Path(original.data).exists():
        raise ValueError(
            f"The data of the run are no longer at {original.data}. Give their new place: "
            f"jnn resume {command.folder} --data FILE."
        )
    return original


def new_folder(command: Run | Search) -> pathlib.Path:
    """Return the folder for the result of a command.

    Raises:
        ValueError: If the folder that the command names holds a run already, or files that a run
            would replace, or is no folder.
    """
    if command.out is None:
        return _create_folder(pathlib.Path(command.data).stem.strip("-") or "stdin")
    folder = as_folder(command.out, "--out")
    if any((folder / name).exists() for name in ("result.json", "command.json")):
        raise ValueError(
            f"--out must be a new folder, but {folder} holds a run already. Choose another, or "
            f"continue that run with `jnn resume {folder}`."
        )
    files = SEARCH_FILES if isinstance(command, Search) else ()
    others = [name for name in (*RUN_FILES, *files) if (folder / name).exists()]
    if others:
        raise ValueError(
            f"--out must be a new folder, but {folder} holds {', '.join(others)}, which the run "
            "would replace. Choose another."
        )
    return folder


def _create_folder(name: str) -> pathlib.Path:
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = pathlib.Path("results") / stem
    for number in itertools.count(2):
        # Created at once, so that no other run of the same second takes it.
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
        folder = folder.with_name(f"{stem}-{number}")
    return folder


def _train_and_show(
    job: Job, folder: pathlib.Path, start: float, command: Run | None, *, begin: dict[str, Any]
) -> None:
    """Train the job and print its scores.

    Args:
        job: Study, data and members.
        folder: Folder for the result.
        start: When the command began, on the clock `time.perf_counter`.
        command: The command to write to the folder; None if it is there already.
        begin: Arguments of `jnn.run` that say what the members begin with.
    """
    console = make_console()
    _show_job(job, console)
    result = _train(job, folder, console, command, begin)
    show_result(result, folder, console)
    seconds = ", ".join(f"{k} {v:.1f} s" for k, v in result.timing.items() if k != "total")
    print_text(console, f"{seconds}, total {time.perf_counter() - start:.1f} s")


def _show_job(job: Job, console: Console) -> None:
    study = job.study
    print_text(console, in_words_of_options(repr(job.data)))
    if isinstance(job.data.encoding, SeriesEncoding):
        print_text(console, job.data.encoding.description)
    print_text(console, f"{study.model.name}, {study.epochs} epochs, batches of {study.batch_size}")
    print_text(console, repr(job.members))


def _train(
    job: Job,
    folder: pathlib.Path,
    console: Console,
    command: Run | None,
    begin: dict[str, Any],
) -> Result:
    """Train the job below a progress bar."""

    @functools.cache  # once, although each group of members is planned by itself
    def tell() -> None:
        if command is not None:  # written only now, because the run is known to be possible
            write_command(command, folder)
        print_text(console, f"folder: {folder}{os.sep}")
        threading.Thread(target=_import_early, daemon=True).start()

    with show_progress(console) as move_bar:

        def report(status: Status) -> None:
            if status.stage == "planned":
                tell()
            move_bar(status)

        return run_study(*job, directory=folder, progress=report, **begin)


def _import_early() -> None:
    """Import what is needed after training, while XLA compiles without holding Python's lock."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its cache of fonts
    with contextlib.suppress(ImportError):  # matplotlib is optional
        import xarray  # noqa: F401, I001  (the result needs it first)
        import matplotlib.figure  # noqa: F401


def show_result(result: Result, folder: pathlib.Path, console: Console) -> None:
    """Print the scores, draw the learning curves, and name the files of a result."""
    show_scores(result, console)
    files = ["scores.nc", "members.safetensors"]
    try:
        _draw_curves(result, folder)
        files.append(_CURVES)
    except Exception as error:  # matplotlib is optional, and a figure is less than a result
        print_text(console, f"no {_CURVES}: {reason_of(error)}")
    print_text(console, f"result: {folder}{os.sep} ({', '.join(files)})")


def show_scores(result: Result, console: Console) -> None:
    """Print the table of settings, and the best of them."""
    is_plain = console.options.ascii_only
    print_text(console, result.summary().text(console.width, is_plain=is_plain))
    choice = result.best()
    if choice.setting:
        print_text(console, f"best: {choice}")


def _draw_curves(result: Result, folder: pathlib.Path) -> None:
    from jnn import plots

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # such as characters that a font lacks
        plots.write(plots.learning_curves(result), folder / _CURVES)
