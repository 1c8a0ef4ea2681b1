"""Compare our values with published ones: intervals, verdicts, and the record of a reproduction.

The verdict is that of a t test at 95 %: `inside` if our mean and the published one differ by no
more than chance explains. A figure that a paper gives for one run, without a spread, is taken as
one more run like ours. `inside` does not prove that two procedures are the same; `outside` asks for
a cause.
"""

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
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
    """A published figure and our values for it.

    Attributes:
        name: Name of the figure.
        values: Our values, one for each seed or split.
        paper: Published mean.
        error: Standard error of the published mean; None for a single run.
        rounding: Half a unit of the last digit that the paper prints.
        interval: Interval of our mean, if it does not come from the spread of the values.
        is_judged: Whether there is a verdict; not if the two were trained for other numbers of
            steps.
    """

    name: str
    values: Sequence[float]
    paper: float
    error: float | None = None
    rounding: float = 0.0
    interval: stats.Interval | None = None
    is_judged: bool = True

    @property
    def ours(self) -> stats.Interval:
        """Our mean with its 95 % interval."""
        return stats.t_interval(self.values) if self.interval is None else self.interval

    @property
    def margin(self) -> float:
        """Largest difference of the means that chance explains.

        It is t sqrt(s^2 / n + error^2), or half the width of `interval`, plus the rounding.
        """
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
        """Whether the difference is "inside" or "outside"; "-" for a row that is not judged.

        That is one whose values have no spread, too.
        """
        if not self.is_judged or math.isnan(self.ours.low):
            return "-"
        return "inside" if abs(self.ours.mean - self.paper) <= self.margin else "outside"

    def record(self) -> dict[str, Any]:
        """Return this row for the JSON file."""
        ours = {"ours": self.ours._asdict(), "values": [float(v) for v in self.values]}
        paper = {"paper": self.paper, "paper_error": self.error}
        return {"name": self.name, **ours, **paper, "margin": self.margin, "verdict": self.verdict}


def arguments(
    doc: str, names: Sequence[str] = (), *, keeps: bool = False, **defaults: int
) -> argparse.Namespace:
    """Parse the command line that all reproductions share.

    Args:
        doc: Docstring of the script.
        names: Names that the user may choose from.
        keeps: Whether the script takes a folder in which its runs are kept.
        **defaults: Whole numbers that the user may set, with their defaults.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train on a budget of seconds")
    parser.add_argument(
        "--output", type=Path, help="JSON file for the results; by default results/NAME.json"
    )
    if keeps:
        parser.add_argument(
            "--directory", type=Path, help="folder that keeps the runs, so that they can go on"
        )
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    if not names:
        return parser.parse_args()
    choices = ", ".join(names)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{choices}; all by default")
    options = parser.parse_args()
    options.names = options.names or list(names)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"NAME must be one of {choices}, got {', '.join(unknown)}")
    return options


def show(title: str, rows: Sequence[Row], truth: str = "paper") -> None:
    """Print the table; `truth` says where the figures beside ours come from."""
    table = Table(title=title, title_justify="left")
    for column in ("", "ours, mean ± 95 %", "n", truth, f"ours - {truth}", "verdict"):
        is_text = column in ("", "verdict")
        table.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=120).print(table)


def save(name: str, rows: Sequence[Row], options: argparse.Namespace, **about: Any) -> None:
    """Write the record of a run, unless it is a quick one without an output file.

    Args:
        name: Name of the reproduction.
        rows: Rows of its table.
        options: Options of the command line, see `arguments`.
        **about: Further entries of the record.
    """
    path = record_path(name, options)
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


def record_path(name: str, options: argparse.Namespace) -> Path | None:
    """Return the file of a record, beside the script; None for a quick run without a file."""
    if options.output is not None or options.quick:
        return options.output
    return Path(sys.argv[0]).resolve().parent / "results" / f"{name}.json"


def machine() -> Mapping[str, Any]:
    """Return processor, cores, versions, commit and date."""
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
    published = f"{row.paper:g}" + (f" ± {row.error:.2g} (se)" if row.error else "")
    difference = f"{ours.mean - row.paper:+.{digits}f}" + (
        f" (± {row.margin:.{digits}f})" if half > 0 else ""
    )
    return row.name, mean, str(ours.n), published, difference, row.verdict
