"""The command `jnn search`, and how `jnn resume` continues it."""

import contextlib
import functools
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jnn import search as searches
from jnn.cli import _setup
from jnn.cli._command import Search
from jnn.cli._found import show_found, write_found
from jnn.cli._run import new_folder
from jnn.cli._saved_command import forget_command, write_command
from jnn.cli._search_job import SearchJob, make_search_job
from jnn.cli._stop import told_how_to_continue
from jnn.cli._terminal import make_console, print_text
from jnn.cli._words import in_words_of_options
from jnn.data import SeriesEncoding
from jnn.search import Found, SearchStatus


def search(command: Search) -> None:
    """Search what the command describes, into a folder of its own."""
    start = time.perf_counter()
    folder = new_folder(command)
    try:
        with told_how_to_continue(folder):
            _setup.configure_jax()
            job, command = make_search_job(command)
            write_command(command, folder)
            try:
                _search_and_show(job, command, folder, start)
            except (ValueError, TypeError):
                if not (folder / "search.json").exists():  # refused before a setting was trained
                    forget_command(folder)
                raise
    finally:
        if command.out is None:  # a search that was refused leaves no folder
            with contextlib.suppress(OSError):  # of a folder that is not empty
                os.removedirs(folder)


def resume_search(command: Search, folder: pathlib.Path) -> None:
    """Continue the search in a folder; show what was found again if it is complete."""
    start = time.perf_counter()
    with told_how_to_continue(folder):
        _setup.configure_jax()
        job, command = make_search_job(command)
        _search_and_show(job, command, folder, start)
        write_command(command, folder)  # the data may have been moved


def _search_and_show(job: SearchJob, command: Search, folder: pathlib.Path, start: float) -> None:
    console = make_console()
    _show_job(job, command, console)
    print_text(console, f"folder: {folder}{os.sep}")
    found = _run(job, command, folder, console)
    write_found(found, folder)
    show_found(found, folder, console)
    print_text(console, f"total {time.perf_counter() - start:.1f} s")
    if found.winner is None:
        raise ValueError(
            f"All {len(found.trials)} settings failed, see {folder / 'search.csv'}. Search smaller "
            "learning rates."
        )


def _show_job(job: SearchJob, command: Search, console: Console) -> None:
    print_text(console, in_words_of_options(repr(job.rows)))
    if isinstance(job.rows.encoding, SeriesEncoding):
        print_text(console, job.rows.encoding.description)
    print_text(console, f"set aside for the winner: {job.test.rows} rows")
    print_text(console, repr(job.space))
    seeds = f"{command.seeds} seed{'s' if command.seeds > 1 else ''}"
    model = f"{command.model}, " if command.model else ""
    print_text(
        console,
        f"{model}{command.epochs} epochs, each setting on {seeds} x {command.folds} folds, "
        f"by {command.by}",
    )


def _run(job: SearchJob, command: Search, folder: pathlib.Path, console: Console) -> Found:
    """Search below a progress bar."""
    with _show_progress(command, console) as report:
        return searches.run(
            job.study_of,
            job.rows,
            job.space,
            by=job.by,
            trials=command.trials,
            steps=command.steps,
            seconds=command.seconds,
            folds=job.folds,
            seeds=command.seeds,
            metric=job.metric,
            test=job.test,
            test_seeds=command.test_seeds,
            seed=command.seed,
            directory=folder,
            progress=report,
        )


@contextlib.contextmanager
def _show_progress(command: Search, console: Console) -> Iterator[Callable[[SearchStatus], None]]:
    """Show a bar, and yield the function for `jnn.search.run(..., progress=...)`."""
    text = TextColumn("{task.description}")
    percentage = TextColumn("{task.percentage:>3.0f} %")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(text, BarColumn(), percentage, *times, console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=1.0)
        yield functools.partial(_move, bar, task, command.trials)


def _move(bar: Progress, task: TaskID, trials: int | None, status: SearchStatus) -> None:
    words = f"{status.trials} settings trained" if trials is None else (
        f"{status.trials} of {trials} settings trained"
    )  # fmt: skip
    if status.alive:
        words += f", {status.alive} in training"
    if not math.isnan(status.best):
        words += f", best {status.best:.4g}"
    if status.share >= 1 and not status.alive:
        words = f"{status.trials} settings trained, the winner in training"
    bar.update(task, description=words, completed=status.share)
