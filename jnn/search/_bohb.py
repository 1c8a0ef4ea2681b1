"""BOHB: the brackets of Hyperband, whose settings a model of good and bad ones proposes."""

from collections.abc import Sequence

import numpy as np

from jnn.search._halving import hyperband
from jnn.search._optuna import tpe
from jnn.search._samplers import random
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score


class PartlyRandom:
    """A strategy that leaves a share of the settings to chance, and learns from those too.

    Attributes:
        batch: Number of settings to ask for at once.
    """

    def __init__(self, space: Space, seed: int, by: Maker, share: float) -> None:
        self._strategy = by(space, seed)
        self._random = random()(space, seed)
        self._generator = np.random.default_rng(seed + 1)
        self._share = share
        self.batch = getattr(self._strategy, "batch", 1)

    def ask(self, n: int) -> Sequence[Setting]:
        """Return n settings, each of them random with the probability of the share."""
        is_random = self._generator.random(n) < self._share
        proposed = iter(self._strategy.ask(int((~is_random).sum())))
        drawn = iter(self._random.ask(int(is_random.sum())))
        return [next(drawn if chance else proposed) for chance in is_random]

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the strategy all scores."""
        self._strategy.tell(settings, scores)

    def ended_early(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the strategy the scores of settings whose training was ended."""
        self._strategy.ended_early(settings, scores)  # type: ignore[attr-defined]


def bohb(*, eta: int = 3, brackets: int = 4, random_share: float = 1 / 3) -> Maker:
    """Return Hyperband whose settings a model of good and bad ones proposes, and chance a third.

    The model is Optuna's tree-structured Parzen estimator. It ranks settings that were trained for
    longer before those that ended early, and these by their scores at the end of their training, so
    that the best ones of the most epochs count as good as soon as there are enough of them. The
    original has a kernel density of its own for each number of epochs, and uses that of the most
    epochs with enough settings; `jnn.search.discrete.bohb` is such a model over options.

    Falkner, Klein and Hutter, BOHB: Robust and Efficient Hyperparameter Optimization at Scale
    (2018), https://arxiv.org/abs/1807.01774

    Args:
        eta: One in how many settings continues at a rung.
        brackets: Number of brackets.
        random_share: Share of the settings that are drawn from the space.
    """
    if not 0 <= random_share <= 1:
        raise ValueError(f"random_share must be from 0 to 1, got {random_share}. Use e.g. 0.33.")

    def model(space: Space, seed: int) -> PartlyRandom:
        return PartlyRandom(space, seed, tpe(), random_share)

    return hyperband(model, eta=eta, brackets=brackets)
