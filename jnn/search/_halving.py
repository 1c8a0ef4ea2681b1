"""Strategies that end settings early by their scores after fewer epochs."""

import math
from collections.abc import Sequence

import numpy as np

from jnn._settings import check_integer
from jnn.search._chooser import chooser
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score, Strategy


class Halving:
    """Successive halving of the settings of another strategy.

    Attributes:
        batch: Number of settings that begin together.
    """

    def __init__(self, strategy: Strategy, batch: int, eta: int, rungs: int) -> None:
        self.batch = batch
        self._strategy = strategy
        self._eta = eta
        self._rungs = rungs

    def ask(self, n: int) -> Sequence[Setting]:
        """Return settings of the other strategy."""
        return self._strategy.ask(n)

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the other strategy the scores of the settings that were trained to the end.

        Scores after fewer epochs would mislead it, unless it has a method `ended_early` for them.
        """
        last = max((score.epoch for score in scores), default=0)
        whole = [i for i, score in enumerate(scores) if score.epoch == last]
        short = [i for i, score in enumerate(scores) if score.epoch < last]
        self._strategy.tell([settings[i] for i in whole], [scores[i] for i in whole])
        ended_early = getattr(self._strategy, "ended_early", None)
        if ended_early is not None:
            ended_early([settings[i] for i in short], [scores[i] for i in short])

    def looks(self, epochs: int) -> list[int]:
        """Return the epochs after which settings end: a share 1 / eta^k of all."""
        looks = {round(epochs / self._eta**rung) for rung in range(1, self._rungs + 1)}
        return sorted(look for look in looks if 0 < look < epochs)

    def survivors(self, scores: Sequence[Score]) -> np.ndarray:
        """Return the best share 1 / eta of the settings."""
        return best(scores, math.ceil(len(scores) / self._eta))

    def cost(self, n: int, epochs: int) -> int:
        """Return the number of epochs that n settings of so many epochs take together."""
        total = 0
        former = 0
        for look in [*self.looks(epochs), epochs]:
            total += n * (look - former)
            former = look
            n = math.ceil(n / self._eta)
        return total


def halving(by: Maker | None = None, *, batch: int = 64, eta: int = 3, rungs: int = 3) -> Maker:
    """Return successive halving: at each rung the best 1 / eta of the settings continue.

    The rungs are after 1 / eta^rungs, ..., 1 / eta of the epochs. The settings continue from where
    they are, in the same program.

    Jamieson and Talwalkar, Non-stochastic Best Arm Identification (2016),
    https://arxiv.org/abs/1502.07943

    Args:
        by: The strategy that chooses the settings; `random()` by default.
        batch: Number of settings that begin together.
        eta: One in how many settings continues.
        rungs: Number of looks.
    """
    batch = check_integer("batch", batch, least=1)
    eta = check_integer("eta", eta, least=2)
    rungs = check_integer("rungs", rungs, least=1)

    def make(space: Space, seed: int) -> Halving:
        return Halving(chooser(by, space, seed), batch, eta, rungs)

    return make


class Hyperband:
    """Brackets of successive halving, from many short trainings to few whole ones."""

    def __init__(self, strategy: Strategy, eta: int, brackets: int) -> None:
        self._strategy = strategy
        self._eta = eta
        self._brackets = brackets
        self._bracket = brackets - 1  # the number of rungs of the bracket that comes next
        self._current = self._halving()

    @property
    def batch(self) -> int:
        """The number of settings of the next bracket."""
        return self._halving().batch

    def ask(self, n: int) -> Sequence[Setting]:
        """Return the settings of the next bracket, at most n."""
        if n < 1:
            return []
        self._current = self._halving()
        self._bracket = (self._bracket - 1) % self._brackets
        return self._current.ask(min(n, self._current.batch))

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the strategy that chooses settings the scores of those trained to the end."""
        self._current.tell(settings, scores)

    def looks(self, epochs: int) -> list[int]:
        """Return the epochs of the rungs of the current bracket."""
        return self._current.looks(epochs)

    def survivors(self, scores: Sequence[Score]) -> np.ndarray:
        """Return the best share 1 / eta of the settings."""
        return self._current.survivors(scores)

    def cost(self, n: int, epochs: int) -> int:
        """Return the number of epochs that n settings of the next bracket take together."""
        return self._halving().cost(n, epochs)

    def _halving(self) -> Halving:
        rungs = self._bracket
        batch = math.ceil(self._brackets / (rungs + 1) * self._eta**rungs)
        return Halving(self._strategy, batch, self._eta, rungs)


def hyperband(by: Maker | None = None, *, eta: int = 3, brackets: int = 4) -> Maker:
    """Return Hyperband: brackets of successive halving that hedge between breadth and length.

    The bracket of s rungs begins with ceil(brackets / (s + 1) eta^s) settings, and its first rung
    is after 1 / eta^s of the epochs; s goes from brackets - 1 down to 0, and begins anew.

    Li et al., Hyperband (2018), https://jmlr.org/papers/v18/16-558.html;
    `bohb` is Hyperband with settings from a model.

    Args:
        by: The strategy that chooses the settings; `random()` by default.
        eta: One in how many settings continues at a rung.
        brackets: Number of brackets.
    """
    eta = check_integer("eta", eta, least=2)
    brackets = check_integer("brackets", brackets, least=1)

    def make(space: Space, seed: int) -> Hyperband:
        return Hyperband(chooser(by, space, seed), eta, brackets)

    return make


def best(scores: Sequence[Score], count: int) -> np.ndarray:
    """Return which settings are the `count` best, bool [settings]; of equal ones the first."""
    means = np.array([score.mean for score in scores], np.float64)
    order = np.argsort(-np.where(np.isnan(means), -np.inf, means), kind="stable")
    chosen = np.zeros(len(means), bool)
    chosen[order[:count]] = True
    return chosen
