"""The final scores of a study, setting by setting, as tables of seeds and folds.

A *setting* is everything that differs between members but the seed and the fold. Seeds and folds of one setting are
its repetitions, and the interval is made from them:

- seeds only: a t interval over the seeds;
- folds only: the t interval of Nadeau & Bengio (2003), whose variance is corrected for training parts that overlap;
- both: a crossed random-effects model; the corrected fold part and the seed part of the variance are added.
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np

from jnn import stats
from jnn.engine import Rows
from jnn.storage import damaged

if TYPE_CHECKING:
    import xarray

REPETITIONS = ("seed", "fold")
_COUNTERS = ("member", "sample")


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
    repeated = [
        np.unique(columns.get(name, np.zeros(count)), return_inverse=True) for name in REPETITIONS
    ]
    shape, places = tuple(len(labels) for labels, _ in repeated), [place for _, place in repeated]
    settings = {k: v for k, v in columns.items() if k not in (*REPETITIONS, *_COUNTERS)}
    labels = list(zip(*settings.values(), strict=True)) if settings else [()] * count
    values = {name: np.asarray(flat[name]) for name in _single(scores)}
    members_of: dict[tuple, list[int]] = {}
    for i, label in enumerate(labels):
        members_of.setdefault(label, []).append(i)
    groups = []
    for label, chosen in members_of.items():
        at = tuple(place[chosen] for place in places)
        grids = {k: _filled(shape, at, v[chosen], np.nan) for k, v in values.items()}
        grid = Grid(grids, _filled(shape, at, True, False))
        groups.append((dict(zip(settings, map(float, label), strict=True)), grid))
    return groups


def metric_of(scores: "xarray.Dataset", metric: str | None) -> str:
    """`metric` if it is there; by default the first that is not a loss of training."""
    names = _single(scores)
    if metric is None:
        return headline(scores)[0]
    if metric not in names:
        raise ValueError(
            f"wanted one of the scores {names}, but got {metric!r}; choose one of them"
        )
    return metric


def _axes(scores: "xarray.Dataset") -> list[str]:
    """The members' axes: what all scores have; those of one score alone belong to its value."""
    return [str(d) for d in scores.sizes if all(d in v.dims for v in scores.data_vars.values())]


def _single(scores: "xarray.Dataset") -> list[str]:
    axes = set(_axes(scores))
    names = [str(k) for k, v in scores.data_vars.items() if set(v.dims) == axes]
    return sorted(names, key=lambda n: (n.startswith(("train_", "validation_")), n == "loss"))


def headline(scores: "xarray.Dataset") -> list[str]:
    """The metrics on held-out rows, or else on inner ones (the loss, if none); without such rows all there is."""
    names = _single(scores)
    held_out = [n for n in names if not n.startswith(("train_", "validation_"))]
    there = held_out or [n for n in names if n.startswith("validation_")] or names
    return [n for n in there if n not in ("loss", "validation_loss")] or there


def interval_of(
    values: np.ndarray, present: np.ndarray, attrs: Mapping, confidence: float
) -> tuple[stats.Interval, stats.Parts | None, int]:
    """Interval, variance parts, number of diverged members; seeds with one of them, or without a fold, are left out."""
    finite = np.isfinite(values) & present
    taken, left = whole_seeds(finite, present)
    bad, whole = int((present & ~finite).sum()), values[taken]
    if not whole.size:
        method = f"none ({'no seed is finite in all folds' if left else 'no finite member'}){without(left)}"
        return stats.Interval(np.nan, np.nan, np.nan, 0, method, confidence), None, bad
    parts = stats.variance_parts(whole) if min(whole.shape) > 1 else None
    interval = stats.seed_fold_interval(whole, *row_counts(attrs), confidence)
    return interval._replace(method=interval.method + without(left)), parts, bad


def whole_seeds(finite: np.ndarray, present: np.ndarray) -> tuple[Any, int]:
    """Where the seeds are that are finite in all folds that any has, and how many finite scores other seeds have."""
    folds = present.any(axis=0)
    taken = np.ix_(finite[:, folds].all(axis=1), folds)
    return taken, int(finite.sum() - finite[taken].sum())


def without(left: int) -> str:
    """A remark on finite scores that were left out."""
    return f", {left} finite score{'s' * (left > 1)} left out" if left else ""


def is_number(found: Any, wanted: Any) -> np.ndarray:
    """Where this number is found: whole numbers exactly, others to the digits of a float32."""
    found, wanted = np.asarray(found, np.float64), float(wanted)
    is_whole = (found == np.round(found)) & (wanted == np.round(wanted))
    return np.where(is_whole, found == wanted, np.isclose(found, wanted, rtol=1e-6, atol=0))


def shared_test_rows(rows: Rows | None) -> str:
    """The folds that share test rows with each fold as JSON, one text of 0 and 1 a fold; empty where none do."""
    from scipy.sparse import csr_array

    if rows is None or len(rows.count) == 1:
        return "[]"
    folds, most = rows.index.shape
    tests = csr_array(
        (np.ones(folds * most), (np.repeat(np.arange(folds), most), rows.index.ravel()))
    )
    shares = (tests @ tests.T).toarray() > 0
    return json.dumps(
        ["".join(map(str, row.astype(int))) for row in shares] if shares.sum() > folds else []
    )


def apart(scores: "xarray.Dataset") -> np.ndarray:
    """[folds, folds], whether two folds of these scores share no test row."""
    labels = np.unique(scores["fold"]) if "fold" in scores.coords else np.arange(1)
    kept = json.loads(scores.attrs["shared_test_rows"])
    if not kept:
        return ~np.eye(len(labels), dtype=bool)
    shares = np.array([list(row) for row in kept]) == "1"
    return ~shares[np.ix_(labels, labels)]


def row_counts(attrs: Mapping) -> tuple[float, float]:
    """Rows that train and rows that score, means over the folds."""
    return float(attrs["train_rows"]), float(
        attrs["test_rows"]
    ) or 1.0  # 1.0: no folds, so it is not looked at


def write_scores(scores: "xarray.Dataset", path: Any) -> None:
    """Writes the scores of a result as netCDF 3, which knows Latin-1 only: names are percent-encoded in it."""
    _renamed(scores, quote).to_netcdf(path, engine="scipy")


def read_scores(directory: Any) -> "xarray.Dataset":
    """The scores of a saved result alone, without the members' parameters."""
    import xarray

    folder = pathlib.Path(directory)
    if not (folder / "result.json").exists():
        raise ValueError(
            f"wanted a folder with a result, but {folder} has no result.json; give the folder of a run"
        )
    try:
        with xarray.open_dataset(folder / "scores.nc", engine="scipy") as opened:
            return _renamed(opened.load(), unquote)
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise damaged(folder / "scores.nc", error) from error


def _renamed(scores: "xarray.Dataset", change: Callable[[str], str]) -> "xarray.Dataset":
    names = {str(name): change(str(name)) for name in (*scores.variables, *scores.sizes)}
    return scores.rename({old: new for old, new in names.items() if old != new})


def _filled(
    shape: tuple[int, ...], places: tuple[np.ndarray, ...], values: Any, rest: Any
) -> np.ndarray:
    array = np.full(shape, rest)
    array[places] = values
    return array
