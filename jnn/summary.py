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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats

if TYPE_CHECKING:
    import pandas
    import xarray
    from rich.table import Table

_REPETITIONS = ("seed", "fold")
_COUNTERS = ("member", "sample")
_INNER = "each fold scored with the setting that is best on its own inner validation rows"
_OTHERS = "each fold scored with the setting that is best on the other folds"
_UNSCORED = "chosen on all the rows that could score it; add folds or validation"


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
            cells = [f"{v:g}" for v in row.setting.values()] + [i.short() for i in row.intervals.values()]
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
    counts = [_count(name, {grid.shape[i] for _, grid in groups}) for i, name in enumerate(_REPETITIONS)]
    return Summary(rows, " x ".join(counts), _scored(scores.attrs), confidence)


class Grid(NamedTuple):
    """The scores of one setting, on the seeds and folds of all settings.

    Attributes:
        scores: Metric -> [seeds, folds]; NaN where there is no such member.
        present: [seeds, folds], whether there is.
    """

    scores: Mapping[str, np.ndarray]
    present: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """How many seeds and folds the setting has."""
        return int(self.present.any(axis=1).sum()), int(self.present.any(axis=0).sum())


def by_setting(scores: "xarray.Dataset") -> list[tuple[dict[str, float], Grid]]:
    """The members' scores as one grid of seeds and folds per setting, in the order of their appearance."""
    flat = scores.stack(all_members=_axes(scores), create_index=False)
    count = flat.sizes["all_members"]
    columns = {str(k): np.asarray(v) for k, v in flat.coords.items() if v.dims == ("all_members",)}
    repeated = [np.unique(columns.get(name, np.zeros(count)), return_inverse=True) for name in _REPETITIONS]
    shape, places = tuple(len(labels) for labels, _ in repeated), [place for _, place in repeated]
    settings = {k: v for k, v in columns.items() if k not in (*_REPETITIONS, *_COUNTERS)}
    labels = list(zip(*settings.values(), strict=True)) if settings else [()] * count
    values = {name: np.asarray(flat[name]) for name in _single(scores)}
    groups = []
    for label in dict.fromkeys(labels):
        chosen = np.asarray([i for i, other in enumerate(labels) if other == label])
        at = tuple(place[chosen] for place in places)
        grid = Grid(
            {k: _filled(shape, at, v[chosen], np.nan) for k, v in values.items()}, _filled(shape, at, True, False)
        )
        groups.append((dict(zip(settings, map(float, label), strict=True)), grid))
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

    Every fold is scored with the setting that is best on the fold's own validation rows or, without an inner split, on
    the other folds: another fold's validation rows may be this one's test rows. With neither there is no honest score,
    and it is NaN. The setting that is named is the best one on all rows that choose.
    """
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    sign = 1 if metric in json.loads(scores.attrs["higher_is_better"]) else -1
    if len(groups) == 1:
        row = _row(*groups[0], [metric], scores.attrs, confidence)
        return Choice(row.setting, row.intervals[metric], "the only setting" + _but(row.diverged))
    inner = "validation_" + metric
    present = np.stack([grid.present for _, grid in groups])
    judges = sign * np.stack([grid.scores[inner if inner in grid.scores else metric] for _, grid in groups])
    winner, folds = int(_levels(judges, present, axis=(1, 2)).argmax()), judges.shape[2]
    if inner in scores:
        method, per_fold = _INNER, _levels(judges, present, axis=1).argmax(axis=0)
        method = method if folds > 1 else "chosen on inner validation rows, scored on test rows"
    elif folds == 1:
        nothing = stats.Interval(np.nan, np.nan, np.nan, 0, "none", confidence)
        return Choice(groups[winner][0], nothing, _UNSCORED)
    else:
        rest = [[np.delete(a, f, axis=2) for a in (judges, present)] for f in range(folds)]
        method, per_fold = _OTHERS, np.stack([_levels(*pair, axis=(1, 2)) for pair in rest]).argmax(axis=1)
    crossed = np.stack([groups[s][1].scores[metric][:, f] for f, s in enumerate(per_fold)], axis=1)
    there = np.stack([groups[s][1].present[:, f] for f, s in enumerate(per_fold)], axis=1)
    interval, _, diverged = _interval(crossed, there, scores.attrs, confidence)
    return Choice(groups[winner][0], interval, method + _but(diverged))


def compare(
    scores: "xarray.Dataset", a: Mapping[str, float], b: Mapping[str, float], metric: str | None = None
) -> stats.Comparison:
    """The paired difference a - b of two settings over the seeds and folds that they share."""
    metric = metric_of(scores, metric)
    groups = by_setting(scores)
    left, right = (_find(groups, wanted) for wanted in (a, b))
    folds = (left.present & right.present).any(axis=0)
    values = [grid.scores[metric][:, folds] for grid in (left, right)]
    seeds = np.isfinite(values).all(axis=(0, 2))
    if not folds.any() or not seeds.any():
        raise ValueError(
            "wanted seeds whose members are finite in both settings, but there are none; look at summary()"
        )
    return stats.paired_comparison(*(v[seeds] for v in values), *_row_counts(scores.attrs))


def _find(groups: list, wanted: Mapping[str, float]) -> Grid:
    for setting, grid in groups:
        if all(np.isclose(setting.get(k, np.nan), v, rtol=1e-6) for k, v in wanted.items()):
            return grid
    raise ValueError(f"wanted a setting with {dict(wanted)}, but the settings are {[s for s, _ in groups]}; name one")


def _axes(scores: "xarray.Dataset") -> list[str]:
    """The members' axes: what all scores have; those of one score alone belong to its value."""
    return [str(d) for d in scores.sizes if all(d in v.dims for v in scores.data_vars.values())]


def _single(scores: "xarray.Dataset") -> list[str]:
    axes = set(_axes(scores))
    names = [str(k) for k, v in scores.data_vars.items() if set(v.dims) == axes]
    return sorted(names, key=lambda n: (n.startswith(("train_", "validation_")), n == "loss"))


def _headline(scores: "xarray.Dataset") -> list[str]:
    """The metrics on held-out rows; without any the loss there; without held-out rows what there is."""
    names = _single(scores)
    held_out = [n for n in names if not n.startswith(("train_", "validation_"))]
    return [n for n in held_out if n != "loss"] or held_out or names


def _filled(shape: tuple[int, ...], places: tuple[np.ndarray, ...], values: Any, rest: Any) -> np.ndarray:
    array = np.full(shape, rest)
    array[places] = values
    return array


def _levels(values: np.ndarray, present: np.ndarray, axis: Any) -> np.ndarray:
    """Means of those that are there; minus infinity if one of them has diverged, or there are none."""
    worst = np.where(np.isfinite(values), values, -np.inf)
    count = present.sum(axis=axis)
    return np.where(count > 0, np.where(present, worst, 0).sum(axis=axis) / np.maximum(count, 1), -np.inf)


def _row(setting: dict, grid: Grid, names: list[str], attrs: Mapping, confidence: float) -> Row:
    made = {name: _interval(grid.scores[name], grid.present, attrs, confidence) for name in names}
    intervals, parts = {k: v[0] for k, v in made.items()}, {k: v[1] for k, v in made.items()}
    return Row(setting, intervals, parts, max(v[2] for v in made.values()), int(grid.present.sum()))


def _interval(
    values: np.ndarray, present: np.ndarray, attrs: Mapping, confidence: float
) -> tuple[stats.Interval, stats.Parts | None, int]:
    """Interval, variance parts, number of diverged members; seeds with one of them, or without a fold, are left out."""
    finite = np.isfinite(values) & present
    bad = int((present & ~finite).sum())
    folds = present.any(axis=0)
    whole = values[finite[:, folds].all(axis=1)][:, folds]
    if not whole.size:
        return stats.Interval(np.nan, np.nan, np.nan, 0, "none (no finite member)", confidence), None, bad
    parts = stats.variance_parts(whole) if min(whole.shape) > 1 else None
    return stats.seed_fold_interval(whole, *_row_counts(attrs), confidence), parts, bad


def _count(name: str, numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low if low == high else f'{low} to {high}'} {name}{'s' * (high > 1)}"


def _but(diverged: int) -> str:
    return f" ({diverged} diverged, their seeds left out)" if diverged else ""


def _row_counts(attrs: Mapping) -> tuple[float, float]:
    return float(attrs["train_rows"]), float(attrs["test_rows"]) or 1.0  # 1.0: no folds, so it is not looked at


def _scored(attrs: Mapping) -> str:
    if not attrs["test_rows"]:
        return "on the TRAINING rows (no folds and no test set were given)"
    return f"on held-out rows of {attrs['data']} ({attrs['split'] if attrs['split'] != 'none' else 'its test set'})"
