"""What is maximized, and on what: the metric, and the seeds and folds of every setting."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jnn import stats
from jnn.data import Dataset
from jnn.engine import fold_data
from jnn.search._strategy import Score
from jnn.search._trouble import first_bad_epochs, kept, trouble
from jnn.study import Members, Study

if TYPE_CHECKING:
    import xarray


class Goal(NamedTuple):
    """What is maximized.

    Attributes:
        metric: Name of the score.
        sign: 1 if higher values are better, else -1.
        train_rows: Number of training rows of a fold.
        test_rows: Number of test rows of a fold.
        others: Names of the further metrics of a search by several, each with its sign.
    """

    metric: str
    sign: int
    train_rows: int
    test_rows: int
    others: tuple[tuple[str, int], ...] = ()

    def score(self, values: np.ndarray, epoch: int) -> Score:
        """Return the score of a setting from the values of its metric [seeds, folds]."""
        values = self.sign * values
        if not np.isfinite(values).all():
            return Score(np.nan, np.nan, values, epoch)
        error = np.nan
        if values.size > 1:
            error = stats.standard_error(values, self.train_rows, self.test_rows)
        return Score(float(values.mean()), error, values, epoch)


class Replicas(NamedTuple):
    """What every setting is trained on.

    Attributes:
        data: The rows of the search.
        members: Seeds and folds of each setting.
        shape: Number of seeds and of folds.
        goal: What is maximized.
        steps: Number of steps of an epoch of one member, for the studies that were asked for:
            counting the rows of all folds takes time.
    """

    data: Dataset
    members: Members
    shape: tuple[int, int]
    goal: Goal
    steps: dict[Study, int]

    def of_seed(self, number: int) -> "Replicas":
        """Return those of one seed, on the same axes."""
        axes = self.members.axes
        columns = {name: column[number : number + 1] for name, column in axes["seed"].items()}
        members = Members({**axes, "seed": columns}, self.members.split)
        return self._replace(members=members, shape=(1, self.shape[1]))

    def steps_per_epoch(self, study: Study) -> int:
        """Return the number of steps of an epoch of all seeds and folds of a setting."""
        if study not in self.steps:
            self.steps[study] = study.steps_per_epoch or self._batches(study)
        return self.steps[study] * len(self.members)

    def seen(self, scores: "xarray.Dataset", study: Study) -> tuple[np.ndarray, list[str]]:
        """Return what the scores of a population say of each setting.

        Args:
            scores: Of the members, whose last axis is the setting, and of the epochs so far.
            study: What is trained.

        Returns:
            The metric [settings, seeds, folds] at the epoch whose parameters each member has, and
            for each setting which score was first not finite, when, and on how many members; an
            empty text if all members have a finite metric.
        """
        values = self._by_setting(kept(scores, self.goal.metric, study))
        failing = ~np.isfinite(values).reshape(len(values), -1)
        if not failing.any():
            return values, [""] * len(values)
        first = {
            name: self._by_setting(epochs).reshape(failing.shape)
            for name, epochs in first_bad_epochs(scores, study).items()
        }
        return values, [
            trouble({name: epochs[place] for name, epochs in first.items()}, failing[place])
            for place in range(len(values))
        ]

    def _by_setting(self, values: np.ndarray) -> np.ndarray:
        """Return values in the order of their members as [settings, seeds, folds]."""
        shaped = np.asarray(values, np.float64).reshape(*self.shape, -1)
        return np.moveaxis(shaped, -1, 0)

    def _batches(self, study: Study) -> int:
        """Return the number of batches that the training rows of the largest fold make."""
        rows = int(np.max(fold_data(study, self.data, self.members, None).train.count))
        return -(-rows // study.batch_size)
