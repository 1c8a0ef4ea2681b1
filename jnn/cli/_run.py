"""The commands `jnn run` and `jnn resume`."""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import threading
import time

from rich.console import Console

from jnn.cli import _setup
from jnn.cli._command import Resume, Run
from jnn.cli._job import Job, command_fields, make_job, read_command
from jnn.cli._progress import show_progress
from jnn.data import SeriesEncoding
from jnn.population import Status, finish
from jnn.population import run as run_study
from jnn.result import Result
from jnn.storage import write_text

_CURVES = "curves.png"


def run(command: Run) -> None:
    """Train what the command describes, into a folder of its own."""
    start = time.perf_counter()
    _setup.configure_jax()
    folder = new_folder(command)
    try:
        _train_and_show(make_job(command), folder, start, command)
    finally:
        if command.out is None:  # a run that was refused leaves no folder
            with contextlib.suppress(OSError):  # of a folder that is not empty
                os.removedirs(folder)


def resume(command: Resume) -> None:
    """Continue the run in a folder; show the result again if the run is complete."""
    start = time.perf_counter()
    original = read_command(command.folder)
    if (command.folder / "result.json").exists():
        finish(command.folder)  # the steps that a kill during saving may have left undone
        _show_result(Result.load(command.folder), command.folder, Console())
        return
    _setup.configure_jax()
    _train_and_show(make_job(original), command.folder, start)


def new_folder(command: Run) -> pathlib.Path:
    """Return the folder for the result of a command.

    Raises:
        ValueError: If the folder that the command names holds a run already.
    """
    folder = command.out
    if folder is None:
        return _create_folder(pathlib.Path(command.data).stem)
    if any((folder / name).exists() for name in ("result.json", "command.json")):
        raise ValueError(
            f"--out must be a new folder, but {folder} holds a run already. Choose another, or "
            f"continue that run with `jnn resume {folder}`."
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
    job: Job, folder: pathlib.Path, start: float, command: Run | None = None
) -> None:
    """Train the job and print its scores.

    Args:
        job: Study, data and members.
        folder: Folder for the result.
        start: When the command began, on the clock `time.perf_counter`.
        command: The command to write to the folder; None if it is there already.
    """
    console = Console()
    _show_job(job, console)
    result = _train(job, folder, console, command)
    _show_result(result, folder, console)
    seconds = ", ".join(f"{k} {v:.1f} s" for k, v in result.timing.items() if k != "total")
    _print(console, f"{seconds}, total {time.perf_counter() - start:.1f} s")


def _show_job(job: Job, console: Console) -> None:
    study = job.study
    _print(console, repr(job.data))
    if isinstance(job.data.encoding, SeriesEncoding):
        _print(console, job.data.encoding.description)
    _print(console, f"{study.model.name}, {study.epochs} epochs, batches of {study.batch_size}")
    _print(console, repr(job.members))


def _train(job: Job, folder: pathlib.Path, console: Console, command: Run | None) -> Result:
    """Train the job below a progress bar."""

    @functools.cache  # once, although each group of members is planned by itself
    def begin() -> None:
        if command is not None:  # written only now, because the run is known to be possible
            _write_command(command, folder)
        threading.Thread(target=_import_early, daemon=True).start()

    with show_progress(console) as move_bar:

        def report(status: Status) -> None:
            if status.stage == "planned":
                begin()
            move_bar(status)

        return run_study(*job, directory=folder, progress=report)


def _write_command(command: Run, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "command.json", json.dumps(command_fields(command), indent=1))


def _import_early() -> None:
    """Import what is needed after training, while XLA compiles without holding Python's lock."""
    with contextlib.suppress(ImportError):  # matplotlib is optional
        import xarray  # noqa: F401, I001  (the result needs it first)
        import matplotlib.figure  # noqa: F401


def _show_result(result: Result, folder: pathlib.Path, console: Console) -> None:
    """Print the scores, draw the learning curves, and name the files of a result."""
    _print(console, str(result.summary()))
    choice = result.best()
    if choice.setting:
        _print(console, f"best: {choice}")
    files = ["scores.nc", "members.safetensors"]
    try:
        _draw_curves(result, folder)
        files.append(_CURVES)
    except ImportError as error:  # matplotlib is optional
        _print(console, f"no {_CURVES}: {error}")
    _print(console, f"result: {folder}{os.sep} ({', '.join(files)})")


def _draw_curves(result: Result, folder: pathlib.Path) -> None:
    from jnn import plots

    plots.write(plots.learning_curves(result), folder / _CURVES)


def _print(console: Console, text: str) -> None:
    """Print a text as it is: without wrapping, colors, or styles for what is in brackets."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)
