"""The final scores of a study, setting by setting, as tables of seeds and folds.

A *setting* is everything that differs between members but the seed and the fold. Seeds and folds of
one setting are its repetitions, and the interval is made from them:

- seeds only: a t interval over the seeds;
- folds only: the t interval of Nadeau & Bengio (2003), whose variance is corrected for training
  parts that overlap;
- both: a crossed random-effects model; the corrected fold part and the seed part of the variance
  are added.
"""

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats
from jnn.result._schema import Schema

if TYPE_CHECKING:
    import xarray

Setting = Mapping[str, float | str]

REPETITIONS = ("seed", "fold")
# Variables beside the scores that hold the epoch whose parameters each member ended with.
EPOCH_NOTES = ("best_epoch", "kept_epoch")
# The end of the name of a coordinate that holds a number which changed during training.
BY_EPOCH = "_by_epoch"
_COUNTERS = ("member", "sample")


class Grid(NamedTuple):
    """The scores of one setting, on the seeds and folds of all settings.

    Attributes:
        scores: Metric -> [seeds, folds]; NaN where there is no such member.
        present: [seeds, folds], whether there is such a member.
    """

    scores: Mapping[str, np.ndarray]
    present: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of seeds and of folds of the setting."""
        return int(self.present.any(axis=1).sum()), int(self.present.any(axis=0).sum())


def by_setting(scores: "xarray.Dataset") -> list[tuple[dict[str, float | str], Grid]]:
    """Return one grid of seeds and folds per setting, in the order in which the settings appear.

    Args:
        scores: Scores of every member, on the members' axes.
    """
    flat = scores.stack(all_members=_axes(scores), create_index=False)
    count = flat.sizes["all_members"]
    columns = {str(k): np.asarray(v) for k, v in flat.coords.items() if v.dims == ("all_members",)}
    places = []
    shape = []
    for name in REPETITIONS:
        labels, place = np.unique(columns.get(name, np.zeros(count)), return_inverse=True)
        places.append(place)
        shape.append(len(labels))
    settings = [_setting(columns, member) for member in range(count)]
    members_of: dict[tuple, list[int]] = {}
    for member, setting in enumerate(settings):
        members_of.setdefault(_key(setting), []).append(member)
    values = {name: np.asarray(flat[name]) for name in _single(scores)}
    groups = []
    for chosen in members_of.values():
        at = tuple(place[chosen] for place in places)
        grids = {k: _filled(tuple(shape), at, v[chosen], np.nan) for k, v in values.items()}
        grid = Grid(grids, _filled(tuple(shape), at, True, False))
        groups.append((settings[chosen[0]], grid))
    return groups


def metric_of(scores: "xarray.Dataset", metric: str | None) -> str:
    """Return `metric` if there is such a score; for None the first that is not a training loss.

    Raises:
        ValueError: If there is no such score.
    """
    names = _single(scores)
    if metric is None:
        return headline(scores)[0]
    if metric not in names:
        raise ValueError(f"metric must be one of the scores {names}, got {metric!r}.")
    return metric


_NO_SCORES = ("loss", "validation_loss", "train_gradient_norm", "train_learning_rate")


def headline(scores: "xarray.Dataset") -> list[str]:
    """Return the names of the scores that a table shows.

    These are the metrics on held-out rows, or else those on inner validation rows, or else all
    scores. The loss is shown only where there is no metric.
    """
    names = _single(scores)
    held_out = [n for n in names if not n.startswith(("train_", "validation_"))]
    shown = held_out or [n for n in names if n.startswith("validation_")] or names
    return [n for n in shown if n not in _NO_SCORES] or shown


def interval_of(
    values: np.ndarray, present: np.ndarray, schema: Schema, confidence: float
) -> tuple[stats.Interval, stats.Parts | None, int]:
    """Return a score's interval, the parts of its variance, and the number of diverged members.

    A seed that is not finite in all folds is left out whole, and the interval's method says so.

    Args:
        values: [seeds, folds].
        present: [seeds, folds], whether there is such a member.
        schema: The schema of the result, for the numbers of rows.
        confidence: Confidence of the interval.
    """
    finite = np.isfinite(values) & present
    taken, left_out = whole_seeds(finite, present)
    diverged = int((present & ~finite).sum())
    whole = values[taken]
    if not whole.size:
        reason = "no seed is finite in all folds" if left_out else "no finite member"
        method = f"none ({reason}){left_out_remark(left_out)}"
        return stats.Interval(np.nan, np.nan, np.nan, 0, method, confidence), None, diverged
    parts = stats.variance_parts(whole) if min(whole.shape) > 1 else None
    interval = stats.seed_fold_interval(whole, *schema.row_counts, confidence)
    method = interval.method + left_out_remark(left_out)
    return interval._replace(method=method), parts, diverged


def whole_seeds(finite: np.ndarray, present: np.ndarray) -> tuple[Any, int]:
    """Return where the seeds are finite in all folds, and the number of other finite scores."""
    folds = present.any(axis=0)
    taken = np.ix_(finite[:, folds].all(axis=1), folds)
    return taken, int(finite.sum() - finite[taken].sum())


def left_out_remark(count: int) -> str:
    """Return the remark on finite scores that were left out; empty where none were."""
    if not count:
        return ""
    return f", {count} finite score{'s' if count > 1 else ''} left out"


def matches(column: Any, value: Any) -> np.ndarray:
    """Return where a column of a setting has this number, or this text.

    Whole numbers are compared exactly, others to the digits of a float32.
    """
    column = np.asarray(column)
    if is_text(column) or isinstance(value, str):
        return column == value
    column = column.astype(np.float64)
    value = float(value)
    is_whole = (column == np.round(column)) & (value == np.round(value))
    return np.where(is_whole, column == value, np.isclose(column, value, rtol=1e-6, atol=0))


def is_text(column: np.ndarray) -> bool:
    """Return whether a column holds text."""
    return column.dtype.kind in "OUST"


def check_value(name: str, value: Any, column: np.ndarray) -> None:
    """Check that a value can be looked for in a column of settings.

    Raises:
        TypeError: If the column holds numbers and the value is none, or it holds text and the value
        is none.
    """
    if is_text(column):
        if not isinstance(value, str):
            raise TypeError(f"{name} holds text, got {value!r}. Pass one of its texts.")
    elif not isinstance(value, Real | np.bool_):
        raise TypeError(f"{name} holds numbers, got {value!r}. Pass one number.")


def check_confidence(confidence: Any) -> None:
    """Check that the confidence of an interval is a number; its range is checked by `jnn.stats`.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(confidence, bool) or not isinstance(confidence, Real):
        raise TypeError(
            f"confidence must be a number between 0 and 1, got {confidence!r}. Set it to 0.95."
        )


def value_text(value: float | str) -> str:
    """Return a value of a setting as text; "-" for NaN, a number that does not apply."""
    if isinstance(value, str):
        return value
    return "-" if np.isnan(value) else f"{value:g}"


def setting_text(setting: Setting) -> str:
    """Return a setting in one line; numbers that do not apply are left out.

    >>> setting_text({"learning_rate": 0.1, "architecture": "mlp", "dropout_rate": float("nan")})
    'learning_rate=0.1, architecture=mlp'
    """
    shown = {name: value_text(value) for name, value in setting.items()}
    return ", ".join(f"{name}={text}" for name, text in shown.items() if text != "-")


def disjoint_folds(scores: "xarray.Dataset", schema: Schema) -> np.ndarray:
    """Return [folds, folds], whether two folds of these scores share no test row."""
    labels = np.unique(scores["fold"]) if "fold" in scores.coords else np.arange(1)
    if not schema.shared_test_rows:
        return ~np.eye(len(labels), dtype=bool)
    shares = np.array(schema.shared_test_rows, bool)
    return ~shares[np.ix_(labels, labels)]


def _axes(scores: "xarray.Dataset") -> list[str]:
    """Return the members' axes, which all scores have; others belong to the value of one score."""
    return [str(d) for d in scores.sizes if all(d in v.dims for v in scores.data_vars.values())]


def _single(scores: "xarray.Dataset") -> list[str]:
    """Return the scores that are one number per member: held-out ones first, losses last."""
    axes = set(_axes(scores))
    names = [str(k) for k, v in scores.data_vars.items() if set(v.dims) == axes]
    names = [name for name in names if name not in EPOCH_NOTES]
    return sorted(names, key=lambda n: (n.startswith(("train_", "validation_")), n == "loss"))


def _setting(columns: Mapping[str, np.ndarray], member: int) -> dict[str, float | str]:
    setting: dict[str, float | str] = {}
    for name, column in columns.items():
        if name in (*REPETITIONS, *_COUNTERS) or name.endswith(BY_EPOCH):
            continue  # what changed during training tells no members apart
        setting[name] = str(column[member]) if is_text(column) else float(column[member])
    return setting


def _key(setting: Setting) -> tuple:
    """Return what equal settings have in common; NaN, which equals nothing, becomes None."""
    return tuple(None if value != value else value for value in setting.values())


def _filled(shape: tuple[int, ...], places: tuple[np.ndarray, ...], values: Any, rest: Any) -> Any:
    array = np.full(shape, rest)
    array[places] = values
    return array
