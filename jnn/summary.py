"""What the scores of a study say: means with intervals, the best setting, and paired differences.

A *setting* is everything that differs between members but the seed and the fold. Seeds and folds of one setting are
its repetitions, and the interval is made from them:

- seeds only: a t interval over the seeds;
- folds only: the t interval of Nadeau & Bengio (2003), whose variance is corrected for training parts that overlap;
- both: a crossed random-effects model; the corrected fold part and the seed part of the variance are added.
"""

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn import stats

if TYPE_CHECKING:
    import pandas
    import xarray
    from rich.table import Table

_REPETITIONS = ("seed", "fold")
_COUNTERS = ("member", "sample")


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
            cells = [f"{v:g}" for v in row.setting.values()] + [_cell(i) for i in row.intervals.values()]
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
        """One line per setting and metric: the setting, mean, low, high, n, method, diverged."""
        import pandas

        return pandas.DataFrame(
            {**row.setting, "metric": name, **interval._asdict(), "diverged": row.diverged}
            for row in self.rows
            for name, interval in row.intervals.items()
        )

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120).print(self.table())
        return f"{self.title}\n{text.getvalue()}{self.caption}"


class Choice(NamedTuple):
    """The setting that was chosen, and how good it is on rows that did not choose it.

    Attributes:
        setting: Name -> number.
        interval: Its score; NaN where every row was needed to choose.
        method: How it was chosen and scored.
    """

    setting: Mapping[str, float]
    interval: stats.Interval
    method: str

    def __str__(self) -> str:
        named = ", ".join(f"{k}={v:g}" for k, v in self.setting.items())
        return f"{named or 'no setting'}: {self.interval}; {self.method}"


def make_summary(scores: "xarray.Dataset", metric: str | None = None, confidence: float = 0.95) -> Summary:
    """Summarises the final scores of a study.

    Args:
        scores: Of every member, on the members' axes.
        metric: One score; by default every metric on held-out rows.
        confidence: Of the intervals.
    """
    names = [metric_of(scores, metric)] if metric else _headline(scores)
    groups = by_setting(scores)
    rows = tuple(_row(setting, grid, names, scores.attrs, confidence) for setting, grid in groups)
    grid = groups[0][1]
    counts = [f"{n} {name}{'s' * (n > 1)}" for name, n in zip(_REPETITIONS, grid.shape, strict=True)]
    return Summary(rows, " x ".join(counts), _scored(scores.attrs), confidence)


class Grid(NamedTuple):
    """The scores of one setting: metric -> [seeds, folds]; NaN where there is no such member."""

    scores: Mapping[str, np.ndarray]
    shape: tuple[int, int]


def by_setting(scores: "xarray.Dataset") -> list[tuple[dict[str, float], Grid]]:
    """The members' scores as one grid of seeds and folds per setting, in the order of their appearance."""
    axes = [d for d in scores.sizes if not str(d).count("_axis")]
    flat = scores.stack(all_members=axes, create_index=False)
    count = flat.sizes["all_members"]
    columns = {str(k): np.asarray(v) for k, v in flat.coords.items() if v.dims == ("all_members",)}
    repeated = [columns.get(name, np.zeros(count)) for name in _REPETITIONS]
    settings = {k: v for k, v in columns.items() if k not in (*_REPETITIONS, *_COUNTERS)}
    labels = list(zip(*settings.values(), strict=True)) if settings else [()] * count
    values = {name: np.asarray(flat[name]) for name in _single(scores)}
    groups = []
    for label in dict.fromkeys(labels):
        chosen = np.asarray([i for i, other in enumerate(labels) if other == label])
        groups.append((dict(zip(settings, map(float, label), strict=True)), _grid(chosen, repeated, values)))
    return groups


def metric_of(scores: "xarray.Dataset", metric: str | None) -> str:
    """`metric` if it is there; by default the first that is not a loss of training."""
    names = _single(scores)
    if metric is None:
        return _headline(scores)[0]
    if metric not in names:
        raise ValueError(f"wanted one of the scores {names}, but got {metric!r}; choose one of them")
    return metric


def choose(scores: "xarray.Dataset", metric: str | None = None, confidence: float = 0.95) -> Choice:
    """Chooses the best setting and scores it on rows that had no part in the choice.

    With an inner split the setting is chosen by the validation rows and scored on the test rows. With folds every fold
    is scored with the setting that is best on the other folds. Otherwise there is no honest score, and it is NaN.
    """
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    sign = 1 if metric in json.loads(scores.attrs["higher_is_better"]) else -1
    if len(groups) == 1:
        row = _row(*groups[0], [metric], scores.attrs, confidence)
        return Choice(row.setting, row.intervals[metric], "the only setting")
    inner = "validation_" + metric
    judged = np.stack([grid.scores[inner if inner in grid.scores else metric] for _, grid in groups])
    value = np.where(np.isfinite(judged), sign * judged, -np.inf)  # [settings, seeds, folds]; diverged is worst
    winner = int(value.mean(axis=(1, 2)).argmax())
    if inner in scores:
        row = _row(*groups[winner], [metric], scores.attrs, confidence)
        return Choice(row.setting, row.intervals[metric], "chosen on inner validation rows, scored on test rows")
    folds = value.shape[2]
    if folds == 1:
        nothing = stats.Interval(np.nan, np.nan, np.nan, 0, "none", confidence)
        return Choice(groups[winner][0], nothing, "chosen on all the rows that could score it; add folds or validation")
    others = (value.sum(axis=2, keepdims=True) - value).mean(axis=1)  # [settings, folds]
    per_fold = others.argmax(axis=0)
    crossed = np.stack([judged[s, :, f] for f, s in enumerate(per_fold)], axis=1)
    interval, _, _ = _interval(crossed, scores.attrs, confidence)
    return Choice(groups[winner][0], interval, "each fold scored with the setting that is best on the other folds")


def compare(
    scores: "xarray.Dataset", a: Mapping[str, float], b: Mapping[str, float], metric: str | None = None
) -> stats.Comparison:
    """The paired difference a - b of two settings over the seeds and folds that they share."""
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    left, right = (_find(groups, wanted).scores[metric] for wanted in (a, b))
    both = np.isfinite(left) & np.isfinite(right)
    rows = both.all(axis=1)
    if not rows.any():
        raise ValueError(
            "wanted seeds whose members are finite in both settings, but there are none; look at summary()"
        )
    return stats.paired_comparison(left[rows], right[rows], *_row_counts(scores.attrs))


def _find(groups: list, wanted: Mapping[str, float]) -> Grid:
    for setting, grid in groups:
        if all(np.isclose(setting.get(k, np.nan), v, rtol=1e-6) for k, v in wanted.items()):
            return grid
    raise ValueError(f"wanted a setting with {dict(wanted)}, but the settings are {[s for s, _ in groups]}; name one")


def _single(scores: "xarray.Dataset") -> list[str]:
    axes = {d for d in scores.sizes if not str(d).count("_axis")}
    names = [str(k) for k, v in scores.data_vars.items() if set(v.dims) == axes]
    return sorted(names, key=lambda n: (n.startswith(("train_", "validation_")), n == "loss"))


def _headline(scores: "xarray.Dataset") -> list[str]:
    """The metrics on held-out rows; without any the loss there; without held-out rows what there is."""
    names = _single(scores)
    held_out = [n for n in names if not n.startswith(("train_", "validation_"))]
    return [n for n in held_out if n != "loss"] or held_out or names


def _grid(chosen: np.ndarray, repeated: list[np.ndarray], values: Mapping[str, np.ndarray]) -> Grid:
    (seeds, s), (folds, f) = (np.unique(column[chosen], return_inverse=True) for column in repeated)
    grids = {}
    for name, column in values.items():
        grids[name] = np.full((len(seeds), len(folds)), np.nan)
        grids[name][s, f] = column[chosen]
    return Grid(grids, (len(seeds), len(folds)))


def _row(setting: dict, grid: Grid, names: list[str], attrs: Mapping, confidence: float) -> Row:
    made = {name: _interval(grid.scores[name], attrs, confidence) for name in names}
    intervals, parts = {k: v[0] for k, v in made.items()}, {k: v[1] for k, v in made.items()}
    return Row(setting, intervals, parts, max(v[2] for v in made.values()), grid.shape[0] * grid.shape[1])


def _interval(grid: np.ndarray, attrs: Mapping, confidence: float) -> tuple[stats.Interval, stats.Parts | None, int]:
    """Interval, variance parts, number of members that are not finite; seeds with such a member are left out."""
    finite = np.isfinite(grid)
    whole = grid[finite.all(axis=1)]
    bad = int((~finite).sum())
    if not len(whole):
        return stats.Interval(np.nan, np.nan, np.nan, 0, "none (no finite member)", confidence), None, bad
    parts = stats.variance_parts(whole) if min(whole.shape) > 1 else None
    return stats.seed_fold_interval(whole, *_row_counts(attrs), confidence), parts, bad


def _row_counts(attrs: Mapping) -> tuple[float, float]:
    return float(attrs["train_rows"]), float(attrs["test_rows"]) or 1.0  # 1.0: no folds, so it is not looked at


def _scored(attrs: Mapping) -> str:
    if not attrs["test_rows"]:
        return "on the TRAINING rows (no folds and no test set were given)"
    return f"on held-out rows of {attrs['data']} ({attrs['split'] if attrs['split'] != 'none' else 'its test set'})"


def _cell(interval: stats.Interval) -> str:
    if not np.isfinite(interval.low):
        return f"{interval.mean:.4g}"
    half = (interval.high - interval.low) / 2
    digits = int(np.clip(1 - np.floor(np.log10(half)), 0, 8)) if half > 0 else 4
    return f"{interval.mean:.{digits}f} ± {half:.{digits}f}"
