"""What a search has found."""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats
from jnn.data import Dataset
from jnn.result import Choice, Result, setting_text
from jnn.search._estimate import Estimate, difference
from jnn.search._goal import Goal
from jnn.search._objectives import PARAMETERS, pareto
from jnn.search._space import Setting, key_of
from jnn.search._strategy import Schedule, Score
from jnn.study import Study

if TYPE_CHECKING:
    import pandas as pd


_LATENCY_ROWS = 256
_COSTS = ("parameters", "milliseconds", "milliseconds_batch", "seconds", "steps")


class Trial(NamedTuple):
    """One setting that was trained.

    Attributes:
        number: Its place in the order of the search.
        setting: The choices that apply.
        score: Its score; higher is better.
        steps: Steps that its members took together.
        seconds: Seconds that it took.
        schedule: How its numbers changed while it trained; None if they did not.
        failed: Why it has no score; empty if it has one.
    """

    number: int
    setting: Setting
    score: Score
    steps: int
    seconds: float
    schedule: Schedule | None = None
    failed: str = ""


class Part(NamedTuple):
    """Members of some settings, as one program has trained them.

    Attributes:
        result: The members, or the folder that holds them.
        study: What was trained.
        settings: The settings.
        parameters: Number of parameters of a member.
    """

    result: Result | pathlib.Path
    study: Study
    settings: tuple[Setting, ...]
    parameters: int

    def load(self) -> Result:
        """Return the members."""
        if isinstance(self.result, pathlib.Path):
            return Result.load(self.result, self.study)
        return self.result


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found:
    """The winner of a search, how good it really is, and all that was tried.

    Attributes:
        goal: What was maximized.
        trials: All settings that were trained, in their order.
        parts: Their members, as they were trained and ended together.
        best_trial: The setting with the best score; None if all failed.
        winner: The members of the best setting, trained on all rows of the search and scored on the
            test rows; None if all failed.
        estimate: The score of the winner on the test rows.
        confidence: Confidence of all intervals.
        rows: The test rows; None if they are not known.
    """

    goal: Goal
    trials: tuple[Trial, ...]
    parts: tuple[Part, ...]
    best_trial: Trial | None
    winner: Result | None
    estimate: Estimate | None
    confidence: float
    rows: Dataset | None = None

    @property
    def best(self) -> Choice:
        """The best setting, with its score on rows and seeds that the search never saw."""
        if self.best_trial is None or self.estimate is None:
            nothing = stats.Interval(math.nan, math.nan, math.nan, 0, "none", self.confidence)
            return Choice({}, nothing, "every setting failed")
        return Choice(
            dict(self.best_trial.setting),
            self.estimate.interval,
            "trained anew, on rows that the search never saw",
        )

    @property
    def search_score(self) -> stats.Interval:
        """The score of the best setting in the search, which flatters it, in its own units."""
        if self.best_trial is None:
            return self.best.interval
        values = self.goal.sign * self.best_trial.score.values
        return stats.seed_fold_interval(
            values, self.goal.train_rows, self.goal.test_rows, self.confidence
        )

    @property
    def optimism(self) -> stats.Interval:
        """How much the search score flatters the winner: search score less new score.

        The sign is that of an improvement, also where lower values are better.
        """
        if self.best_trial is None or self.estimate is None:
            return self.best.interval
        gap = difference(self.search_score, self.estimate.interval)
        if self.goal.sign > 0:
            return gap
        return gap._replace(mean=-gap.mean, low=-gap.high, high=-gap.low)

    @property
    def ties(self) -> int:
        """The number of other settings whose difference to the best one cannot be seen.

        The differences are paired by seed and fold, and tested by Holm's method. The family is that
        of all pairs of settings, because the scores themselves say which setting is the best: of
        equal settings the best and the worst would often seem to differ otherwise.
        """
        best = self.best_trial
        if best is None or best.score.values.size < 2:
            return 0
        rivals = [
            trial
            for trial in self.trials
            if trial is not best
            and trial.score.trained == best.score.trained
            and not math.isnan(trial.score.mean)
        ]
        if not rivals:
            return 0
        p_values = [
            stats.paired_comparison(
                best.score.values,
                rival.score.values,
                train_rows=self.goal.train_rows,
                test_rows=self.goal.test_rows,
            ).p_value
            for rival in rivals
        ]
        pairs = math.comb(len(rivals) + 1, 2)
        # Where nothing is known of the pairs without the best setting, their p-values count as 1.
        adjusted = stats.holm([*p_values, *[1.0] * (pairs - len(rivals))])[: len(rivals)]
        return int((adjusted > 1 - self.confidence).sum())

    @functools.cached_property
    def table(self) -> "pd.DataFrame":
        """All settings, the best first: choices, score, error, epochs, parameters, seconds.

        `failed` says why a setting has no score: an error, or in which epoch which score of how
        many members was not finite. A setting has none as soon as one of its members has none,
        whose number is `diverged`.

        `parameters` are those of the arrays that a member has. In a network whose members mask a
        part of it, such as `jnn.models.SuperMLP`, all settings have those of the whole network.

        `pareto` says that no other setting has both a better score and fewer parameters; in a
        search by several metrics, that no other one is at least as good in all of them, and better
        in one. Settings that ended early are on no front. `front` has other columns.
        """
        import pandas as pd

        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        parameters = {key_of(s): part.parameters for part in self.parts for s in part.settings}
        rows = []
        for trial in self.trials:
            row: dict[str, Any] = {"trial": trial.number}
            row |= {name: trial.setting.get(name) for name in names}
            row |= {
                self.goal.metric: self.goal.sign * trial.score.mean,
                "error": trial.score.error,
                "epochs": trial.score.epoch,
                "diverged": int((~np.isfinite(trial.score.values)).sum()),
                "failed": trial.failed,
                "parameters": parameters.get(key_of(trial.setting), math.nan),
                **self._others(trial),
                "steps": trial.steps,
                "seconds": trial.seconds,
            }
            rows.append(row)
        table = pd.DataFrame(rows)
        order = np.argsort([-_worst_if_nan(t.score.mean) for t in self.trials], kind="stable")
        table["pareto"] = pareto(self._objectives(table["parameters"].to_numpy(np.float64)))
        return table.iloc[order].reset_index(drop=True)

    @property
    def pareto(self) -> "pd.DataFrame":
        """The rows of the table on the Pareto front."""
        table = self.table
        return table.loc[np.flatnonzero(table["pareto"])].reset_index(drop=True)

    @functools.cached_property
    def latency(self) -> "pd.DataFrame":
        """The table with the measured milliseconds of a prediction by one member.

        Columns `milliseconds` of one row and `milliseconds_batch` of up to 256 rows: the median of
        many calls of the compiled network, see `Result.latency`. They are measured when they are
        first asked for, once for each program, because numbers of the members do not change them.
        """
        import jax

        if self.rows is None:
            raise ValueError("Latency needs rows to predict, which this result of a search lacks.")
        rows = self.rows.take(np.arange(min(_LATENCY_ROWS, self.rows.rows))).x
        first = jax.tree.map(lambda array: array[:1], rows)
        measured: dict[Study, tuple[float, float]] = {}
        of_setting: dict[tuple, tuple[float, float]] = {}
        for part in self.parts:
            if part.study not in measured:
                member = part.load().member(0)
                measured[part.study] = member.latency(first), member.latency(rows)
            of_setting |= {key_of(s): measured[part.study] for s in part.settings}
        unknown = math.nan, math.nan
        keys = [key_of(self.trials[number].setting) for number in self.table["trial"]]
        times = np.array([of_setting.get(key, unknown) for key in keys]).reshape(-1, 2)
        return self.table.assign(milliseconds=times[:, 0], milliseconds_batch=times[:, 1])

    def front(self, against: str = "parameters") -> "pd.DataFrame":
        """Return the settings of which no other one has a better score and less of a column.

        Args:
            against: "parameters", "milliseconds" or "milliseconds_batch", which are measured, see
                `latency`; or "seconds" or "steps" of training.

        Raises:
            ValueError: If there is no such column.
        """
        if against not in _COSTS:
            raise ValueError(f"against must be one of {list(_COSTS)}, got {against!r}.")
        table = self.latency if against.startswith("milliseconds") else self.table
        costs = table[against].to_numpy(np.float64)
        scores = self.goal.sign * table[self.goal.metric].to_numpy(np.float64)
        rows = pareto(np.stack([scores, -costs], axis=1))
        return table.loc[np.flatnonzero(rows)].drop(columns="pareto").reset_index(drop=True)

    @functools.cached_property
    def curve(self) -> "pd.DataFrame":
        """The best score so far against the steps of all members.

        Columns: `steps`, `best`, and `random`: the score that the best of as many settings, drawn
        at random from all those of this search, is expected to have.

        Dodge et al., Show Your Work (2019), https://arxiv.org/abs/1909.03004, for `random`.
        """
        import pandas as pd

        means = np.array([_worst_if_nan(trial.score.mean) for trial in self.trials])
        best = np.maximum.accumulate(means)
        return pd.DataFrame(
            {
                "steps": np.cumsum([trial.steps for trial in self.trials]),
                "best": self.goal.sign * np.where(np.isfinite(best), best, np.nan),
                "random": self.goal.sign * _expected_best(means),
            }
        )

    @functools.cached_property
    def importance(self) -> "pd.DataFrame":
        """How much each choice matters: columns `choice`, `importance`, `deviation`.

        A random forest learns the scores from the choices. The importance of a choice is the
        loss of its R2, on settings that it has not learned from, when the choice is permuted.

        Breiman, Random Forests (2001), https://doi.org/10.1023/A:1010933404324
        """
        from jnn.search._importance import importance_of

        finite = [trial for trial in self.trials if not math.isnan(trial.score.mean)]
        shown = finite or self.trials
        return importance_of(
            [trial.setting for trial in shown], [trial.score.mean for trial in shown]
        )

    @functools.cached_property
    def result(self) -> Result:
        """All members of the search as one result.

        Raises:
            ValueError: If no member was trained, because all settings failed before.
        """
        if not self.parts:
            raise ValueError(
                f"A result needs members, but none was trained: {self.trials[0].failed}"
            )
        results = [part.load() for part in self.parts]
        columns = _shapes([part.settings for part in self.parts], results)
        return Result.concat(results, **columns)

    def __repr__(self) -> str:
        failed = [trial.failed for trial in self.trials if trial.failed]
        if self.best_trial is None:
            return f"Found: all {len(self.trials)} settings failed, {_first(failed)}; see .table"
        ties = self.ties
        remarks = ""
        if ties:
            others = f"{ties} other setting{'s' if ties > 1 else ''}"
            remarks += f"\nno difference to be seen to {others}"
        if failed:
            remarks += f"\n{len(failed)} failed, {_first(failed)}; see .table"
        return (
            f"best of {len(self.trials)} settings: {setting_text(self.best.setting)}\n"
            f"{self.goal.metric}: {self.best.interval}, on rows that the search never saw\n"
            f"in the search: {self.search_score}\n"
            f"optimism: {self.optimism}{remarks}"
        )

    def _others(self, trial: Trial) -> dict[str, float]:
        """Return the further metrics of a trial in their own units."""
        pairs = zip(self.goal.others, trial.score.others, strict=True)
        return {name: sign * mean for (name, sign), mean in pairs if name != PARAMETERS}

    def _objectives(self, parameters: np.ndarray) -> np.ndarray:
        """Return what the Pareto front is of, [trials, objectives], higher is better.

        It is NaN for trials that ended early, which compare with the others no more than in the
        choice of the winner.
        """
        most = max((trial.score.trained for trial in self.trials), default=(0, 0))
        means = np.array(
            [trial.score.mean if trial.score.trained == most else np.nan for trial in self.trials]
        )
        if not self.goal.others:
            return np.stack([means, -parameters], axis=1)
        return np.column_stack([means, [trial.score.others for trial in self.trials]])


def _first(failed: Sequence[str]) -> str:
    """Return the first reason, and whether there are others."""
    reason = failed[0].rstrip(".")
    return reason if len(set(failed)) == 1 else f"the first one by: {reason}"


def _worst_if_nan(mean: float) -> float:
    return -math.inf if math.isnan(mean) else mean


def _expected_best(means: np.ndarray) -> np.ndarray:
    """Return the expected maximum of the first k of all values in random order, for each k.

    E max_k = sum_i C(i - 1, k - 1) / C(n, k) x_(i), over the values in rising order.
    """
    ordered = np.sort(means[np.isfinite(means)])
    n = len(ordered)
    if not n:
        return np.full(len(means), np.nan)
    expected = np.empty(n)
    weights = np.full(n, 1 / n)  # of each value to be the best of k
    for k in range(1, n + 1):
        expected[k - 1] = weights @ ordered
        rank = np.arange(n)  # number of lower values
        weights = weights * np.maximum(rank - k + 1, 0) / k * (k + 1) / max(n - k, 1)
    return np.concatenate([expected, np.full(len(means) - n, expected[-1])])


def _shapes(settings: Sequence[Sequence[Setting]], results: Sequence[Result]) -> dict[str, list]:
    """Return the choices that shaped the programs: one value for each result."""
    names = list(dict.fromkeys(name for group in settings for s in group for name in s))
    columns = {}
    for name in names:
        if any(name in result.members.columns() for result in results):
            continue
        values = [group[0].get(name) for group in settings]
        if any(isinstance(value, str) for value in values):
            columns[name] = ["-" if value is None else str(value) for value in values]
        else:
            columns[name] = [math.nan if value is None else float(value) for value in values]
    return columns
