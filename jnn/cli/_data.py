"""The commands `jnn data list` and `jnn data fetch`."""

import pathlib

from jnn.data import Description, describe, fetch


def list_data() -> None:
    """Print a table of the known data sets."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = ("name", "task", "rows", "shape", "license", "here")
    table = Table(*columns, box=box.SIMPLE, padding=(0, 0), pad_edge=False)
    for entry in describe():
        shape = "x".join(map(str, entry.shape))
        rows = str(entry.rows)
        table.add_row(entry.name, entry.task, rows, shape, entry.license, _place(entry))
    Console().print(table)


def fetch_data(name: str) -> None:
    """Download the missing files of a data set, with a progress bar for each."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    description = TextColumn("{task.description}")
    tasks: dict[pathlib.Path, TaskID] = {}
    with Progress(description, BarColumn(), DownloadColumn(), TimeRemainingColumn()) as bars:

        def show(path: pathlib.Path, done: int, total: int | None) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(path.name)
            bars.update(tasks[path], completed=done, total=total)

        folder = fetch(name, progress=show)
    if folder is None:
        print(f"{name} comes with a package or is generated: there is nothing to download")
    else:
        print(f"{name} is in {folder}")


def _place(entry: Description) -> str:
    if entry.is_available:
        return "yes"
    return "fetch" if entry.can_be_fetched else "no"
