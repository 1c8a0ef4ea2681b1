"""What a strategy is: it asks for settings, is told their scores, and may end some early."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np

from jnn.search._space import Setting, Space

if TYPE_CHECKING:
    from jnn.search._batch import Batch

Schedule: TypeAlias = Sequence[tuple[int, Setting]]
"""The epoch from which each setting holds, beginning with 0."""


class Score(NamedTuple):
    """How good a setting is, over its seeds and folds; higher is better.

    Scores of which lower values are better are negated.

    Attributes:
        mean: Mean over seeds and folds; NaN if no member was finite.
        error: Standard error of the mean, corrected for folds that share training rows; NaN if
            there is one member only.
        values: The scores [seeds, folds]; NaN where a member has diverged.
        epoch: Number of epochs that the setting was trained for.
        others: Means of the further metrics of a search by several; higher is better.
    """

    mean: float
    error: float
    values: np.ndarray
    epoch: int
    others: tuple[float, ...] = ()

    @property
    def trained(self) -> tuple[int, int]:
        """How much it was trained: the number of epochs, and of members."""
        return self.epoch, self.values.size


@runtime_checkable
class Strategy(Protocol):
    """How settings are chosen.

    Anything with these two methods serves. It may have an attribute `batch`, the number of settings
    to ask for at once. In a search by several metrics, an attribute `objectives` is set to their
    number before the first settings are asked for; a strategy without it learns from the first one.
    With a method `ended_early(settings, scores)` it is told by `halving` and `hyperband` of the
    settings that were not trained to the end, which `tell` does not include.
    """

    def ask(self, n: int) -> Sequence[Setting]:
        """Return up to n settings to train next; none if the strategy has ended."""
        ...

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Learn the scores of settings."""
        ...


@runtime_checkable
class Scheduled(Strategy, Protocol):
    """A strategy that looks at its settings while they train.

    It may have a method `cost(n, epochs)`, the number of epochs that n settings of so many epochs
    take together at most, so that a budget of steps is used up. A strategy that does more than to
    end settings has a method `train(batch)` instead, see `Driver`.
    """

    def looks(self, epochs: int) -> Sequence[int]:
        """Return the epochs, below the last, after which `survivors` is called."""
        ...

    def survivors(self, scores: Sequence[Score]) -> np.ndarray:
        """Return which of the settings still in training continue, bool [settings]."""
        ...


@runtime_checkable
class Driver(Strategy, Protocol):
    """A strategy that trains its settings in a way of its own."""

    def train(self, batch: "Batch") -> None:
        """Train the settings of a batch, and note in it what comes out.

            for cohort in batch.cohorts():
                with batch.failing(cohort):
                    cohort.advance(cohort.program.study.epochs)
                    batch.end(cohort)

        is whole training. Between `advance` and `end`, members may `gather`.
        """
        ...


@runtime_checkable
class Multifidelity(Scheduled, Protocol):
    """A strategy that trains a setting for a share of the epochs, and perhaps again for more.

    Its `looks` and `survivors` end the settings at the fidelity. A setting counts as known only if
    it was trained for as many epochs.
    """

    def fidelity(self, epochs: int) -> int:
        """Return for how many of all epochs the settings of this round are trained."""
        ...


Maker: TypeAlias = Callable[[Space, int], Strategy]
"""A function of the space and a seed that makes a strategy."""
