"""A progress bar for `jnn.run`, which tells planning and compiling from training."""

import contextlib
from collections.abc import Callable, Iterator

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jnn.cli._terminal import print_text
from jnn.population import Status, cores

# The stage that follows the one that a status reports.
_NEXT_STAGE = {"planned": "compiling", "compiled": "training", "training": "training"}


@contextlib.contextmanager
def show_progress(console: Console) -> Iterator[Callable[[Status], None]]:
    """Show a bar on the console, and yield the function for `jnn.run(..., progress=...)`."""
    stage = TextColumn("{task.description}")
    percentage = TextColumn("{task.percentage:>3.0f} %")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (stage, BarColumn(), percentage, *times)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=1.0)

        def report(status: Status) -> None:
            if status.stage == "planned":
                print_text(bar.console, f"plan: {status.plan}{_advice(status.plan.devices)}")
            bar.update(task, description=_NEXT_STAGE[status.stage], completed=status.done)

        yield report


def _advice(devices: int) -> str:
    """Return a hint if idle cores could train members, else an empty text."""
    if jax.default_backend() != "cpu" or devices > 1 or jax.local_device_count() > 1:
        return ""
    if cores() == 1:
        return ""
    return (
        f" (1 of {cores()} cores: call jnn.use_cpu_cores() before the first use of JAX to train "
        "on all)"
    )
