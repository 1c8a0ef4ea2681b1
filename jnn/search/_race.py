"""Racing: seed by seed, settings end as soon as the leader is seen to be better."""

from collections.abc import Sequence

import numpy as np

from jnn import stats
from jnn._settings import check_integer
from jnn.search._ahead import compiling
from jnn.search._batch import Batch
from jnn.search._chooser import chooser
from jnn.search._goal import Goal
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score, Strategy


class Racing:
    """Settings of another strategy, trained seed by seed.

    Attributes:
        batch: Number of settings that begin together.
    """

    def __init__(self, strategy: Strategy, batch: int, error_rate: float) -> None:
        self.batch = batch
        self._strategy = strategy
        self._error_rate = error_rate

    def ask(self, n: int) -> Sequence[Setting]:
        """Return settings of the other strategy."""
        return self._strategy.ask(n)

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the other strategy the scores, which have a larger error where a setting ended."""
        self._strategy.tell(settings, scores)

    def train(self, batch: Batch) -> None:
        """Train settings seed by seed, and end those that are settled."""
        seeds, folds = batch.replicas.shape
        goal = batch.replicas.goal
        values = np.full((len(batch.settings), seeds, folds), np.nan)
        alive = np.ones(len(batch.settings), bool)
        for seed in range(seeds):
            cohorts = batch.cohorts(alive, seed=seed)
            with compiling(cohorts):
                for cohort in cohorts:
                    with batch.failing(cohort):
                        cohort.advance(cohort.program.study.epochs)
                        values[list(cohort.places), seed] = cohort.look.values[:, 0]
                        batch.end(cohort)
            running = np.flatnonzero(alive)
            if not running.size:
                return
            so_far = values[running, : seed + 1]
            for place, scores in zip(running, so_far, strict=True):
                epoch = batch.outcome.scores[place].epoch
                batch.outcome.scores[place] = goal.score(scores, epoch)
            if seed + 1 < seeds:
                alive[running] = self.stays(goal.sign * so_far, goal, seeds - 1)

    def stays(self, values: np.ndarray, goal: Goal, looks: int) -> np.ndarray:
        """Return which settings are not yet settled to be worse than the leader.

        A setting ends if the paired difference to the leader, over the same seeds and folds, has a
        p-value below `error_rate` divided by the number of looks and of rivals. By the union bound,
        the chance that the truly best setting ends at any look is at most `error_rate`, as far as
        the test holds.

        Args:
            values: Scores [settings, seeds, folds], higher is better; NaN where one diverged.
            goal: What is maximized.
            looks: Number of looks in all.
        """
        means = np.where(np.isfinite(values).all(axis=(1, 2)), values.mean(axis=(1, 2)), -np.inf)
        leader = int(np.argmax(means))
        stays = np.isfinite(means)
        if not stays.any() or values[0].size < 2:
            return stays
        level = self._error_rate / (looks * max(1, len(values) - 1))
        for place in np.flatnonzero(stays):
            if place == leader:
                continue
            comparison = stats.paired_comparison(
                values[leader],
                values[place],
                train_rows=goal.train_rows,
                test_rows=goal.test_rows,
            )
            stays[place] = not comparison.p_value < level
        return stays


def racing(by: Maker | None = None, *, batch: int = 64, error_rate: float = 0.05) -> Maker:
    """Return racing: all settings train with a first seed, those that remain with a second, ...

    After each seed, a setting ends if its paired difference to the leader is settled, under a bound
    that holds for all looks together; see `Racing.stays`. There are as many seeds as in the search.

    Birattari et al., A Racing Algorithm for Configuring Metaheuristics (2002);
    Maron and Moore, Hoeffding Races (1993).

    Args:
        by: The strategy that chooses the settings; `random()` by default.
        batch: Number of settings that begin together.
        error_rate: Bound on the chance to end the truly best setting.
    """
    batch = check_integer("batch", batch, least=1)
    if not 0 < error_rate < 1:
        raise ValueError(f"error_rate must be between 0 and 1, got {error_rate}. Use e.g. 0.05.")

    def make(space: Space, seed: int) -> Racing:
        return Racing(chooser(by, space, seed), batch, error_rate)

    return make
