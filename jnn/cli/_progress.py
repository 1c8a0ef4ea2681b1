"""A progress bar for `jnn.run`, with planning and compiling told apart from training."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jnn.population import Status, cores

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def show(console: "Console") -> Iterator[Callable[[Status], None]]:
    """Gives the function to pass as `run(..., watch=...)`; it prints the plan and moves a bar on `console`."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
    )
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("preparing", total=1.0)

        def watch(status: Status) -> None:
            if status.stage == "planned":
                bar.console.print(f"plan: {status.plan}{_advice(status.plan.devices)}")
            following = {"planned": "compiling", "compiled": "training", "training": "training"}
            bar.update(task, description=following[status.stage], completed=status.done)

        yield watch


def _advice(devices: int) -> str:
    """A hint where cores lie idle that could train members."""
    import jax

    if jax.default_backend() == "cpu" and jax.local_device_count() == 1 < cores() and devices == 1:
        return f" (1 of {cores()} cores: call jnn.use_cpu_cores() before the first use of JAX to train on all)"
    return ""
