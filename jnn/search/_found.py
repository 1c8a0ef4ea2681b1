"""What a search has found."""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jnn import stats
from jnn.result import Choice, Result, setting_text
from jnn.search._estimate import Estimate, difference
from jnn.search._objectives import PARAMETERS, parameter_count, pareto
from jnn.search._space import Setting, key_of
from jnn.search._strategy import Schedule, Score
from jnn.search._train import Goal
from jnn.study import Study

if TYPE_CHECKING:
    import pandas as pd


class Trial(NamedTuple):
    """One setting that was trained.

    Attributes:
        number: Its place in the order of the search.
        setting: The choices that apply.
        score: Its score; higher is better.
        steps: Steps that its members took together.
        seconds: Seconds that it took.
        schedule: How its numbers changed while it trained; None if they did not.
    """

    number: int
    setting: Setting
    score: Score
    steps: int
    seconds: float
    schedule: Schedule | None = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found:
    """The winner of a search, how good it really is, and all that was tried.

    Attributes:
        goal: What was maximized.
        trials: All settings that were trained, in their order.
        parts: Results of the trials, or the folders that hold them, with study and settings.
        best_trial: The setting with the best score; None if all failed.
        winner: The members of the best setting, trained on all rows of the search and scored on the
            test rows; None if all failed.
        estimate: The score of the winner on the test rows.
        confidence: Confidence of all intervals.
    """

    goal: Goal
    trials: tuple[Trial, ...]
    parts: tuple[tuple[Any, Study, tuple[Setting, ...]], ...]
    best_trial: Trial | None
    winner: Result | None
    estimate: Estimate | None
    confidence: float

    @property
    def best(self) -> Choice:
        """The best setting, with its score on rows and seeds that the search never saw."""
        if self.best_trial is None or self.estimate is None:
            nothing = stats.Interval(math.nan, math.nan, math.nan, 0, "none", self.confidence)
            return Choice({}, nothing, "every setting diverged")
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

        `pareto` says that no other setting has both a better score and fewer parameters; in a
        search by several metrics, that no other one is at least as good in all of them, and better
        in one.
        """
        import pandas as pd

        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        parameters = self._parameters()
        rows = []
        for trial in self.trials:
            row: dict[str, Any] = {"trial": trial.number}
            row |= {name: trial.setting.get(name) for name in names}
            row |= {
                self.goal.metric: self.goal.sign * trial.score.mean,
                "error": trial.score.error,
                "epochs": trial.score.epoch,
                "diverged": int((~np.isfinite(trial.score.values)).sum()),
                "parameters": parameters[key_of(trial.setting)],
                **self._others(trial),
                "steps": trial.steps,
                "seconds": trial.seconds,
            }
            rows.append(row)
        table = pd.DataFrame(rows)
        order = np.argsort([-_worst_if_nan(t.score.mean) for t in self.trials], kind="stable")
        table["pareto"] = pareto(self._objectives(table["parameters"].to_numpy()))
        return table.iloc[order].reset_index(drop=True)

    @property
    def pareto(self) -> "pd.DataFrame":
        """The rows of the table on the Pareto front."""
        table = self.table
        return table[table["pareto"]].reset_index(drop=True)

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
                "best": self.goal.sign * best,
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
        return importance_of(
            [trial.setting for trial in finite], [trial.score.mean for trial in finite]
        )

    @functools.cached_property
    def result(self) -> Result:
        """All members of the search as one result."""
        results = [
            Result.load(result, study) if isinstance(result, pathlib.Path) else result
            for result, study, _ in self.parts
        ]
        columns = _shapes([settings for _, _, settings in self.parts], results)
        return Result.concat(results, **columns)

    def __repr__(self) -> str:
        if self.best_trial is None:
            return f"Found: all {len(self.trials)} settings failed; see .table"
        ties = self.ties
        remark = "" if not ties else (
            f"\nno difference to be seen to {ties} other setting{'s' if ties > 1 else ''}"
        )  # fmt: skip
        return (
            f"best of {len(self.trials)} settings: {setting_text(self.best.setting)}\n"
            f"{self.goal.metric}: {self.best.interval}, on rows that the search never saw\n"
            f"in the search: {self.search_score}\n"
            f"optimism: {self.optimism}{remark}"
        )

    def _parameters(self) -> dict[tuple, int]:
        """Return the number of parameters of each setting."""
        counts = {}
        for result, study, settings in self.parts:
            loaded = Result.load(result, study) if isinstance(result, pathlib.Path) else result
            counts |= {key_of(setting): parameter_count(loaded) for setting in settings}
        return counts

    def _others(self, trial: Trial) -> dict[str, float]:
        """Return the further metrics of a trial in their own units."""
        pairs = zip(self.goal.others, trial.score.others, strict=True)
        return {name: sign * mean for (name, sign), mean in pairs if name != PARAMETERS}

    def _objectives(self, parameters: np.ndarray) -> np.ndarray:
        """Return what the Pareto front is of, [trials, objectives], higher is better."""
        means = np.array([trial.score.mean for trial in self.trials])
        if not self.goal.others:
            return np.stack([means, -parameters], axis=1)
        return np.column_stack([means, [trial.score.others for trial in self.trials]])


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
