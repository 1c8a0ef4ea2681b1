"""Ours beside the paper's: intervals, verdicts, and the record that is kept of a reproduction.

The verdict is that of a t test at 95 %: `inside` where our mean and the paper's differ by no more than chance explains.
A figure that a paper gives for one run, without a spread, is taken as one more run like ours. `inside` is no proof that
two procedures are the same; `outside` asks for a cause.
"""

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from jnn import stats

FOLDER = Path(__file__).parent


class Row(NamedTuple):
    """A figure of the paper and our values for it.

    Attributes:
        name: What is measured.
        values: Ours, one for each seed or split.
        paper: The published mean.
        error: Its standard error; None for a single run.
        rounding: Half a unit of the last digit that the paper prints.
        interval: Of our mean, where it is not made from the spread of the values.
    """

    name: str
    values: Sequence[float]
    paper: float
    error: float | None = None
    rounding: float = 0.0
    interval: stats.Interval | None = None

    @property
    def ours(self) -> stats.Interval:
        """The mean of our values with its 95 % interval, a t interval by default."""
        return stats.t_interval(self.values) if self.interval is None else self.interval

    @property
    def margin(self) -> float:
        """By how much the means may differ by chance: t sqrt(s^2 / n + error^2), or half `interval`; plus rounding."""
        from scipy.stats import t

        if self.interval is not None:
            return (self.interval.high - self.interval.low) / 2 + self.rounding
        n, deviation = len(self.values), np.std(self.values, ddof=1)
        error = deviation if self.error is None else self.error
        return float(
            t.ppf(0.975, n - 1) * math.hypot(deviation / math.sqrt(n), error) + self.rounding
        )

    @property
    def verdict(self) -> str:
        """Inside or outside; `-` where one run of ours shows no spread."""
        if math.isnan(self.ours.low):
            return "-"
        return "inside" if abs(self.ours.mean - self.paper) <= self.margin else "outside"

    def record(self) -> dict[str, Any]:
        """Everything of this row, for the JSON file."""
        ours = {"ours": self.ours._asdict(), "values": [float(v) for v in self.values]}
        paper = {"paper": self.paper, "paper_error": self.error}
        return {"name": self.name, **ours, **paper, "margin": self.margin, "verdict": self.verdict}


def arguments(doc: str, names: Sequence[str] = (), **defaults: int) -> argparse.Namespace:
    """The command line that all reproductions share; `names` may be chosen from, `defaults` are whole numbers."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a budget of seconds, to see that everything runs"
    )
    parser.add_argument(
        "--output", type=Path, help="JSON file of the results; results/NAME.json unless --quick"
    )
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    if names:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all by default"
        )
    options = parser.parse_args()
    if names:
        options.names = options.names or list(names)
        if unknown := sorted(set(options.names) - set(names)):
            parser.error(f"wanted names of {', '.join(names)}, but got {', '.join(unknown)}")
    return options


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints the table."""
    table = Table(title=title, title_justify="left")
    for column in ("", "ours, mean ± 95 %", "n", "paper", "ours - paper", "verdict"):
        table.add_column(
            column, justify="left" if column in ("", "verdict") else "right", no_wrap=True
        )
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=120).print(table)


def save(name: str, rows: Sequence[Row], options: argparse.Namespace, **about: Any) -> None:
    """Writes the record: rows, what the script says `about` the run, machine, versions, commit, date."""
    path = options.output or (None if options.quick else FOLDER / "results" / f"{name}.json")
    if path is None:
        return
    record = {
        "reproduction": name,
        "quick": options.quick,
        **about,
        **machine(),
        "rows": [r.record() for r in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, default=float) + "\n")


def machine() -> Mapping[str, Any]:
    """Processor, cores, versions, commit and date."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    versions = {name: metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return {
        "date": today,
        "commit": git.stdout.strip(),
        "cpu": model,
        "cores": cores,
        "versions": versions,
    }


def _cells(row: Row) -> tuple[str, ...]:
    ours = row.ours
    half = ours.high - ours.mean
    digits = max(0, 1 - math.floor(math.log10(half))) if half > 0 else 3
    mean = f"{ours.mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half > 0 else "")
    published = f"{row.paper:g}" + ("" if row.error is None else f" ± {row.error:.2g} (se)")
    difference = f"{ours.mean - row.paper:+.{digits}f}" + (
        f" (± {row.margin:.{digits}f})" if half > 0 else ""
    )
    return row.name, mean, str(ours.n), published, difference, row.verdict
