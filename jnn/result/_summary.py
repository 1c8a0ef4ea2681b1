"""A table of settings with means and intervals; `jnn.result._table` describes the method."""

import dataclasses
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn import stats
from jnn.result._schema import Schema
from jnn.result._table import (
    REPETITIONS,
    Grid,
    Setting,
    by_setting,
    check_confidence,
    headline,
    interval_of,
    metric_of,
    value_text,
)

if TYPE_CHECKING:
    import pandas
    import xarray
    from rich.table import Table


_WIDEST = 10_000  # columns, more than any table that is shown has


class Row(NamedTuple):
    """One setting of a summary.

    Attributes:
        setting: Name -> number or text.
        intervals: Metric -> `jnn.stats.Interval`.
        parts: Metric -> the seed, fold and residual parts of the variance; None where there are not
            several of both.
        diverged: Number of members left out because a score is not finite.
        members: Number of all members of the setting.
    """

    setting: Setting
    intervals: dict[str, stats.Interval]
    parts: dict[str, stats.Parts | None]
    diverged: int
    members: int


@dataclasses.dataclass(frozen=True, repr=False)
class Summary:
    """A table of settings with their scores; print it, or use `rows` or `to_dataframe()`.

    Attributes:
        rows: One row per setting.
        repetitions: Numbers of seeds and folds, for instance "20 seeds x 5 folds".
        scored: Which rows the scores were taken on.
        confidence: Confidence of the intervals.
    """

    rows: tuple[Row, ...]
    repetitions: str
    scored: str
    confidence: float

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the table as text."""
        first = self.rows[0]
        any_diverged = any(row.diverged for row in self.rows)
        header = [*first.setting, *first.intervals]
        if any_diverged:
            header.append("diverged")
        lines = []
        for row in self.rows:
            line = [value_text(value) for value in row.setting.values()]
            line += [interval.short() for interval in row.intervals.values()]
            if any_diverged:
                line.append(f"{row.diverged} of {row.members}")
            lines.append(line)
        return header, lines

    def table(self) -> "Table":
        """Return the settings and their scores as a `rich` table, without title and caption."""
        return _rich_table(*self.cells())

    @property
    def title(self) -> str:
        """What the numbers are."""
        percent = f"{100 * self.confidence:g}"
        return f"mean ± {percent} % interval over {self.repetitions}, {self.scored}"

    @property
    def caption(self) -> str:
        """How the intervals were made, and where the variance comes from."""
        methods = sorted({i.method for row in self.rows for i in row.intervals.values()})
        lines = ["interval: " + "; ".join(methods)]
        name, parts = next(iter(self.rows[0].parts.items()))
        if parts is not None:
            least = 1e-4 * max(parts)  # of the variance; less is rounding
            deviations = ", ".join(
                f"{k} {float(f'{np.sqrt(v):.2g}') if v > least else 0:g}"  # no exponent below 1e6
                for k, v in parts._asdict().items()
            )
            lines.append(f"deviation of {name} in the first row by source: {deviations}")
        return "\n".join(lines)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return one line per setting and metric.

        The columns are those of the setting, then metric, mean, low, high, n, method, confidence
        and diverged. A setting that has one of these names, such as `n`, is in a column
        `setting_n`.
        """
        import pandas

        taken = {"metric", *stats.Interval._fields, "diverged"}
        return pandas.DataFrame(
            {"setting_" * (k in taken) + k: v for k, v in row.setting.items()}
            | {"metric": name, **interval._asdict(), "diverged": row.diverged}
            for row in self.rows
            for name, interval in row.intervals.items()
        )

    def text(self, width: int = 120, *, is_plain: bool = False) -> str:
        """Return title, table and caption as text.

        Args:
            width: Columns of the terminal. A table that is wider becomes a list, with one line for
                each number; no number is cut.
            is_plain: Whether to draw the table with ASCII characters.
        """
        header, lines = self.cells()
        choices = len(self.rows[0].setting)
        table = table_text(header, lines, choices, width, is_plain=is_plain)
        text = f"{self.title}\n{table}{self.caption}"
        return text.replace("±", "+-") if is_plain else text

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table as HTML, as notebooks show it."""
        table = html_table(*self.cells())
        caption = html.escape(self.caption).replace("\n", "<br>")
        return f"<p>{html.escape(self.title)}</p>{table}<p><small>{caption}</small></p>"


def html_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a plain HTML table of escaped text."""
    rows = [_html_row("th", header), *(_html_row("td", line) for line in lines)]
    return f"<table>{''.join(rows)}</table>"


def table_text(
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    choices: int,
    width: int,
    *,
    is_plain: bool = False,
) -> str:
    """Return a table of settings as text, which ends with a line break.

    Args:
        header: Names of the columns: those of the choices first.
        lines: The cells of each row.
        choices: Number of columns that are choices.
        width: Columns of the terminal. A table that is wider becomes a list, with one line for
            each number; no number is cut.
        is_plain: Whether to use ASCII characters only.
    """
    from rich import box
    from rich.console import Console

    plus_minus = "+-" if is_plain else "±"
    table = _rich_table(header, lines, plus_minus)
    if is_plain:
        table.box = box.ASCII
    output = io.StringIO()
    console = Console(file=output, width=_WIDEST, force_jupyter=False, force_terminal=False)
    if console.measure(table).maximum > width:
        output.write(_list_text(header, lines, choices).replace("±", plus_minus))
    else:
        console.print(table)
    return output.getvalue()


def _list_text(header: Sequence[str], lines: Sequence[Sequence[str]], choices: int) -> str:
    """Return the rows one below the other: the choices, then a line for each number."""
    longest = max(map(len, header[choices:]))
    texts = []
    for line in lines:
        pairs = [*zip(header, line, strict=True)]
        texts.append(", ".join(f"{name}={cell}" for name, cell in pairs[:choices]))
        texts += [f"  {name:<{longest}}  {cell}" for name, cell in pairs[choices:]]
    return "".join(f"{text}\n" for text in texts if text)


def _rich_table(
    header: Sequence[str], lines: Sequence[Sequence[str]], plus_minus: str = "±"
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in header:
        column = Text(name.replace("±", plus_minus))
        table.add_column(column, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell.replace("±", plus_minus)) for cell in line))
    return table


def make_summary(
    scores: "xarray.Dataset",
    schema: Schema,
    metric: str | None = None,
    confidence: float = 0.95,
) -> Summary:
    """Summarize the scores of a study.

    Args:
        scores: Scores of every member at one epoch, on the members' axes.
        schema: The schema of the result.
        metric: One score; by default every metric on held-out rows.
        confidence: Confidence of the intervals.
    """
    check_confidence(confidence)
    names = [metric_of(scores, metric)] if metric else headline(scores)
    groups = by_setting(scores)
    rows = tuple(_row(setting, grid, names, schema, confidence) for setting, grid in groups)
    counts = [
        _count(name, {grid.shape[i] for _, grid in groups}) for i, name in enumerate(REPETITIONS)
    ]
    return Summary(rows, " x ".join(counts), _scored(schema, names[0]), confidence)


def _row(
    setting: Setting, grid: Grid, names: Sequence[str], schema: Schema, confidence: float
) -> Row:
    intervals = {}
    parts = {}
    diverged = 0
    for name in names:
        interval = interval_of(grid.scores[name], grid.present, schema, confidence)
        intervals[name], parts[name], missing = interval
        diverged = max(diverged, missing)
    return Row(setting, intervals, parts, diverged, int(grid.present.sum()))


def _count(name: str, numbers: set[int]) -> str:
    """Return e.g. "5 folds", or "2 to 3 seeds" where settings differ."""
    low = min(numbers)
    high = max(numbers)
    number = str(low) if low == high else f"{low} to {high}"
    return f"{number} {name}{'s' if high > 1 else ''}"


def _scored(schema: Schema, name: str) -> str:
    """Return on which rows a score was taken."""
    if name.startswith("validation_"):
        chosen = ", which also chose the epoch" if schema.keep == "best" else ""
        return "on inner validation rows" + chosen
    if name.startswith("train_"):
        reason = "" if schema.test_rows else " (no folds and no test set were given)"
        return "on the TRAINING rows" + reason
    return f"on held-out rows of {schema.data} ({schema.split or 'its test set'})"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"
