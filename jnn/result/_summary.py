"""What the scores of a study say: a table of settings with means and intervals; see `jnn.scores` for the method."""

import dataclasses
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn import stats
from jnn.result._table import REPETITIONS, Grid, by_setting, headline, interval_of, metric_of

if TYPE_CHECKING:
    import pandas
    import xarray
    from rich.table import Table


class Row(NamedTuple):
    """One setting of a summary.

    Attributes:
        setting: Name -> number.
        intervals: Metric -> `jnn.stats.Interval`.
        parts: Metric -> the seed, fold and residual parts of the variance, where there are several of both.
        diverged: Members left out because a score is not finite.
        members: All members of the setting.
    """

    setting: Mapping[str, float]
    intervals: Mapping[str, stats.Interval]
    parts: Mapping[str, stats.Parts | None]
    diverged: int
    members: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """A table of settings with their scores; `print` it, or take `rows` or `to_dataframe()`.

    Attributes:
        rows: One per setting.
        repetitions: For instance "20 seeds x 5 folds".
        scored: On which rows the scores were taken.
        confidence: Of the intervals.
    """

    rows: tuple[Row, ...]
    repetitions: str
    scored: str
    confidence: float

    def table(self) -> "Table":
        """The settings and their scores as a `rich` table, without title and caption."""
        from rich.table import Table

        first = self.rows[0]
        table = Table()
        for name in (*first.setting, *first.intervals):
            table.add_column(name, justify="right", no_wrap=True)
        if any(row.diverged for row in self.rows):
            table.add_column("diverged", justify="right")
        for row in self.rows:
            cells = [f"{v:g}" for v in row.setting.values()] + [
                i.short() for i in row.intervals.values()
            ]
            if any(row.diverged for row in self.rows):
                cells.append(f"{row.diverged} of {row.members}")
            table.add_row(*cells)
        return table

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"mean ± {100 * self.confidence:g} % interval over {self.repetitions}, {self.scored}"

    @property
    def caption(self) -> str:
        """How the intervals were made, and where the variance comes from."""
        methods = sorted({i.method for row in self.rows for i in row.intervals.values()})
        lines = ["interval: " + "; ".join(methods)]
        name, parts = next(iter(self.rows[0].parts.items()))
        if parts is not None:
            deviations = ", ".join(f"{k} {np.sqrt(v):.2g}" for k, v in parts._asdict().items())
            lines.append(f"deviation of {name} in the first row by source: {deviations}")
        return "\n".join(lines)

    def to_dataframe(self) -> "pandas.DataFrame":
        """One line per setting and metric: the setting, metric, mean, low, high, n, method, confidence, diverged.

        A setting that has one of these names, such as `n`, is in a column `setting_n`.
        """
        import pandas

        taken = {"metric", *stats.Interval._fields, "diverged"}
        return pandas.DataFrame(
            {"setting_" * (k in taken) + k: v for k, v in row.setting.items()}
            | {"metric": name, **interval._asdict(), "diverged": row.diverged}
            for row in self.rows
            for name, interval in row.intervals.items()
        )

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120).print(self.table())
        return f"{self.title}\n{text.getvalue()}{self.caption}"


def make_summary(
    scores: "xarray.Dataset", metric: str | None = None, confidence: float = 0.95
) -> Summary:
    """Summarises the final scores of a study.

    Args:
        scores: Of every member, on the members' axes.
        metric: One score; by default every metric on held-out rows.
        confidence: Of the intervals.
    """
    names = [metric_of(scores, metric)] if metric else headline(scores)
    groups = by_setting(scores)
    rows = tuple(_row(setting, grid, names, scores.attrs, confidence) for setting, grid in groups)
    counts = [
        _count(name, {grid.shape[i] for _, grid in groups}) for i, name in enumerate(REPETITIONS)
    ]
    return Summary(rows, " x ".join(counts), _scored(scores.attrs, names[0]), confidence)


def _row(setting: dict, grid: Grid, names: list[str], attrs: Mapping, confidence: float) -> Row:
    made = {name: interval_of(grid.scores[name], grid.present, attrs, confidence) for name in names}
    intervals, parts = {k: v[0] for k, v in made.items()}, {k: v[1] for k, v in made.items()}
    return Row(setting, intervals, parts, max(v[2] for v in made.values()), int(grid.present.sum()))


def _count(name: str, numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low if low == high else f'{low} to {high}'} {name}{'s' * (high > 1)}"


def _scored(attrs: Mapping, name: str) -> str:
    if name.startswith("validation_"):
        return "on inner validation rows" + ", which also chose the epoch" * (
            attrs["keep"] == "best"
        )
    if name.startswith("train_"):
        return "on the TRAINING rows" + " (no folds and no test set were given)" * (
            not attrs["test_rows"]
        )
    return f"on held-out rows of {attrs['data']} ({attrs['split'] if attrs['split'] != 'none' else 'its test set'})"
