"""DEHB: differential evolution at several numbers of epochs, in the brackets of Hyperband."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jnn._settings import check_integer
from jnn.search._space import Setting, Space, key_of
from jnn.search._strategy import Maker, Score

_DONORS = 3  # vectors that a mutant is made from


class _Asked(NamedTuple):
    """A setting in training: its place in the population that it may enter, and its vector."""

    setting: Setting
    place: int
    vector: np.ndarray


class _Population:
    """The best vectors found at one fidelity.

    Attributes:
        vectors: Points of the unit cube, [members, choices].
        scores: Their scores, [members]; -inf before they are known, and where training failed.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.scores = np.full(len(vectors), -np.inf)
        self._turn = 0  # whose child comes next

    def next_parent(self) -> int:
        """Return the place of the next parent; all have their turn."""
        place = self._turn
        self._turn = (place + 1) % len(self.vectors)
        return place

    def best(self, count: int) -> np.ndarray:
        """Return the best vectors, [count, choices]."""
        return self.vectors[np.argsort(-self.scores, kind="stable")[:count]]

    def select(self, place: int, vector: np.ndarray, score: float) -> None:
        """Let a child take its parent's place if it is at least as good."""
        if score >= self.scores[place]:
            self.vectors[place] = vector
            self.scores[place] = score

    def promotable(self, higher: "_Population") -> list[np.ndarray]:
        """Return the vectors with a score that a higher population lacks, the best first."""
        order = np.argsort(-self.scores, kind="stable")
        known = {vector.tobytes() for vector in higher.vectors}
        scored = [self.vectors[place] for place in order if np.isfinite(self.scores[place])]
        return [vector for vector in scored if vector.tobytes() not in known]


class Dehb:
    """Differential evolution with one population for each number of epochs.

    Each rung of a bracket is a batch, whose settings are trained from their initial parameters for
    the epochs of the rung.
    """

    def __init__(
        self, space: Space, seed: int, eta: int, brackets: int, factor: float, crossover: float
    ) -> None:
        self._space = space
        self._generator = np.random.default_rng(seed)
        self._eta = eta
        self._brackets = brackets
        self._factor = factor
        self._crossover = crossover
        self._populations = [
            _Population(self._generator.random((size, len(space)))) for size in self._sizes()
        ]
        self._bracket = 0
        self._start_rung(0)

    @property
    def batch(self) -> int:
        """The number of settings that the current rung still needs."""
        return self._left

    def ask(self, n: int) -> Sequence[Setting]:
        """Return settings of the current rung, at most n.

        Raises:
            ValueError: If all of the rung are in training; the next rung needs their scores.
        """
        if n > 0 and not self._left:
            raise ValueError(
                f"DEHB must be told the scores of the {len(self._running)} settings in training "
                "before it is asked for those of the next rung."
            )
        count = min(n, self._left)
        self._left -= count
        asked = [self._next() for _ in range(count)]
        self._running += asked
        return [each.setting for each in asked]

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Let each setting take its parent's place if it is at least as good.

        Settings that are not in training are left out: their fidelity is not known.
        """
        population = self._populations[self._fidelity]
        for setting, score in zip(settings, scores, strict=True):
            for place, asked in enumerate(self._running):
                if key_of(asked.setting) == key_of(setting):
                    del self._running[place]
                    value = -np.inf if np.isnan(score.mean) else score.mean
                    population.select(asked.place, asked.vector, value)
                    break
        if not self._left and not self._running:
            self._advance()

    def fidelity(self, epochs: int) -> int:
        """Return for how many of all epochs the settings of the current rung are trained."""
        return max(1, round(epochs / self._eta ** (self._brackets - 1 - self._fidelity)))

    def looks(self, epochs: int) -> list[int]:
        """Return the epoch after which the settings of the current rung end."""
        return [self.fidelity(epochs)] if self.fidelity(epochs) < epochs else []

    def survivors(self, scores: Sequence[Score]) -> np.ndarray:
        """Return that no setting continues."""
        return np.zeros(len(scores), bool)

    @property
    def _fidelity(self) -> int:
        """The number of the current fidelity, 0 for the fewest epochs."""
        return self._bracket % self._brackets + self._rung

    def _rung_sizes(self, bracket: int) -> list[int]:
        """Return the number of settings of each rung of a bracket."""
        rungs = self._brackets - 1 - bracket % self._brackets
        first = self._brackets // (rungs + 1) * self._eta**rungs
        return [max(first // self._eta**rung, 1) for rung in range(rungs + 1)]

    def _sizes(self) -> list[int]:
        """Return the size of each population, that of the largest rung of its fidelity."""
        rungs = [self._rung_sizes(bracket) for bracket in range(self._brackets)]
        return [
            max(rungs[bracket][fidelity - bracket] for bracket in range(fidelity + 1))
            for fidelity in range(self._brackets)
        ]

    def _start_rung(self, rung: int) -> None:
        self._rung = rung
        self._left = self._rung_sizes(self._bracket)[rung]
        self._size = self._left
        self._running: list[_Asked] = []
        self._promoted: list[np.ndarray] = []
        if self._promotes:
            lower = self._populations[self._fidelity - 1]
            higher = self._populations[self._fidelity]
            self._promoted = (lower.promotable(higher) or list(lower.best(1)))[: self._size]

    def _advance(self) -> None:
        if self._rung + 1 < len(self._rung_sizes(self._bracket)):
            self._start_rung(self._rung + 1)
        else:
            self._bracket += 1
            self._start_rung(0)

    @property
    def _promotes(self) -> bool:
        """Whether the settings of this rung are the best of the rung before.

        They are in the first bracket of each length, which fills the populations.
        """
        return self._bracket < self._brackets and self._rung > 0

    def _next(self) -> _Asked:
        """Return the next setting, and the place of the parent that it competes with."""
        population = self._populations[self._fidelity]
        place = population.next_parent()
        if self._bracket == 0 and self._rung == 0:
            vector = population.vectors[place].copy()
        elif self._promoted:
            vector = self._promoted.pop(0)
        else:
            vector = self._child(population.vectors[place])
        return _Asked(self._space.at(vector[None])[0], place, vector)

    def _child(self, parent: np.ndarray) -> np.ndarray:
        """Return a child of a parent and of a mutant of the best at the fidelity below.

        Each choice is the mutant's with the probability `crossover`, at least one is.
        """
        lower = self._fidelity - 1 if self._rung else self._fidelity
        donors = self._populations[lower].best(self._size)
        if len(donors) < _DONORS:
            everyone = np.concatenate([each.vectors for each in self._populations])
            count = _DONORS - len(donors) + 1
            donors = np.stack([*donors, *(self._mutant(everyone, parent) for _ in range(count))])
        mutant = self._mutant(donors, parent)
        crosses = self._generator.random(len(parent)) < self._crossover
        if not crosses.any():
            crosses[self._generator.integers(len(parent))] = True
        child = np.where(crosses, mutant, parent)
        outside = (child < 0) | (child > 1)
        return np.where(outside, self._generator.random(len(child)), child)

    def _mutant(self, vectors: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Return a + factor (b - c) of three random vectors other than the parent."""
        others = vectors[(vectors != parent).any(axis=1)]
        missing = max(0, _DONORS - len(others))
        others = np.concatenate([others, self._generator.random((missing, len(parent)))])
        a, b, c = others[self._generator.choice(len(others), _DONORS, replace=False)]
        return a + self._factor * (b - c)


def dehb(*, eta: int = 3, brackets: int = 4, factor: float = 0.5, crossover: float = 0.5) -> Maker:
    """Return DEHB: differential evolution with a population for each number of epochs.

    The brackets are those of Hyperband. Brackets of the first round promote their best settings
    from rung to rung. Later ones evolve: a child of a setting of the same fidelity and of a mutant
    of the best ones at the fidelity below (rand/1/bin) takes its parent's place if it is at least
    as good. A setting is trained from its initial parameters for the first 1 / eta^k of the epochs;
    promoted ones begin anew, as in the original, and count as another trial.

    Awad, Mallik and Hutter, DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient
    Hyperparameter Optimization (2021), https://arxiv.org/abs/2105.09821

    Args:
        eta: Ratio of the epochs, and of the numbers of settings, of two rungs.
        brackets: Number of brackets, and of fidelities.
        factor: Scale of the difference that a mutant adds, F.
        crossover: Probability that a choice is the mutant's.
    """
    eta = check_integer("eta", eta, least=2)
    brackets = check_integer("brackets", brackets, least=1)
    if not 0 < factor <= 2:
        raise ValueError(f"factor must be above 0 and at most 2, got {factor}. Use e.g. 0.5.")
    if not 0 <= crossover <= 1:
        raise ValueError(f"crossover must be from 0 to 1, got {crossover}. Use e.g. 0.5.")

    def make(space: Space, seed: int) -> Dehb:
        return Dehb(space, seed, eta, brackets, factor, crossover)

    return make
