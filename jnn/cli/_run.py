"""The commands `jnn run` and `jnn resume`."""

import contextlib
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
from jnn.population import Status, finish
from jnn.population import run as run_study
from jnn.result import Result

_CURVES = "curves.png"


def run(command: Run) -> None:
    """Train what the command describes, into a folder of its own."""
    start = time.perf_counter()
    _setup.configure_jax()
    folder = new_folder(command)
    record = json.dumps(command_fields(command), indent=1)
    try:
        _train(make_job(command), folder, start, record)
    finally:
        if command.out is None:  # a run that was refused leaves no folder
            with contextlib.suppress(OSError):  # of a folder that is not empty
                os.removedirs(folder)


def resume(command: Resume) -> None:
    """Continue the run in a folder; show the result again if the run is complete."""
    start = time.perf_counter()
    original = read_command(command.folder)
    if (command.folder / "result.json").exists():
        _show_result(command.folder)
        return
    _setup.configure_jax()
    _train(make_job(original), command.folder, start)


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


def _train(job: Job, folder: pathlib.Path, start: float, record: str = "") -> None:
    """Train the job and print its scores.

    Args:
        job: Study, data and members.
        folder: Folder for the result.
        start: When the command began, on the clock `time.perf_counter`.
        record: Text of command.json. It is written once the run is known to be possible.
    """
    study, data, members = job
    console = Console()
    console.print(f"{data!r}")
    network = f"{study.model.name}, {members!r}"
    console.print(f"{network}, {study.epochs} epochs, batches of {study.batch_size}")
    with show_progress(console) as move_bar:

        def watch(status: Status) -> None:
            if record and status.stage == "planned":
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "command.json").write_text(record)
            if status.stage == "planned":
                threading.Thread(target=_import_early, daemon=True).start()
            move_bar(status)

        result = run_study(study, data, members, directory=folder, watch=watch)
    _print_scores(result, console)
    has_curves = _draw_curves(result, folder)
    seconds = ", ".join(f"{k} {v:.1f} s" for k, v in result.timing.items() if k != "total")
    console.print(f"{seconds}, total {time.perf_counter() - start:.1f} s")
    files = ["scores.nc", "members.safetensors", *([_CURVES] if has_curves else [])]
    console.print(f"result: {folder}{os.sep} ({', '.join(files)})", soft_wrap=True)


def _import_early() -> None:
    """Import what is needed after training, while XLA compiles without holding Python's lock."""
    with contextlib.suppress(ImportError):  # matplotlib is optional
        import xarray  # noqa: F401, I001  (the result needs it first)
        import matplotlib.figure  # noqa: F401


def _print_scores(result: Result, console: Console) -> None:
    console.print(str(result.summary()), highlight=False, soft_wrap=True)
    choice = result.best()
    if choice.setting:
        console.print(f"best: {choice}", highlight=False, soft_wrap=True)


def _show_result(folder: pathlib.Path) -> None:
    """Print a saved result, after the steps that a kill during saving may have left undone."""
    finish(folder)
    result = Result.load(folder)
    if not (folder / _CURVES).exists():
        _draw_curves(result, folder)
    print(result.summary())


def _draw_curves(result: Result, folder: pathlib.Path) -> bool:
    """Draw the learning curves; without matplotlib say so instead, and return False."""
    from jnn import plots

    try:
        figure = plots.learning_curves(result)
    except ImportError as error:
        print(f"no {_CURVES}: {error}")
        return False
    plots.write(figure, folder / _CURVES)
    return True
