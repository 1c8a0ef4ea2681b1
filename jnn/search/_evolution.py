"""The pure strategies over options, asked by a search for a batch at a time."""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.search import discrete
from jnn.search._space import Setting, Space, key_of
from jnn.search._strategy import Maker, Score
from jnn.study import Choice


class DiscreteStrategy:
    """A strategy over options, on a space whose choices all have options.

    A choice that does not apply keeps its option, so that a child can inherit it.

    Attributes:
        batch: Number of settings to ask for at once.
    """

    def __init__(self, space: Space, seed: int, make: Callable, batch: int) -> None:
        distributions = {name: space.distribution(name) for name in space.dimensions}
        options = {n: d.options for n, d in distributions.items() if isinstance(d, Choice)}
        ranges = [name for name in distributions if name not in options]
        if ranges:
            raise ValueError(
                f"This strategy chooses among options, but {ranges} are ranges. Write them as "
                "jnn.choice of some values."
            )
        self.batch = batch
        self._space = space
        self._key = jax.random.key(seed)
        self._options = options
        strategy = make([len(each) for each in options.values()])
        self._ask = jax.jit(lambda state, number: strategy.ask(state, self._key_of(number)))
        self._tell = jax.jit(strategy.tell)
        self._state = strategy.init(self._key)
        self._asked = 0
        self._running: list[tuple[Setting, np.ndarray]] = []

    def ask(self, n: int) -> Sequence[Setting]:
        """Return n settings that are made from the scores told so far."""
        drawn = [
            np.asarray(self._ask(self._state, number))
            for number in range(self._asked, self._asked + n)
        ]
        self._asked += n
        asked = [(self._setting(numbers), numbers) for numbers in drawn]
        self._running += asked
        return [setting for setting, _ in asked]

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Learn the scores, one after another, also of settings that it has not asked for."""
        for setting, score in zip(settings, scores, strict=True):
            numbers = self._numbers(setting)
            self._state = self._tell(self._state, numbers, np.float32(score.mean))

    def _numbers(self, setting: Setting) -> np.ndarray:
        """Return the option numbers of a setting; 0 for a choice that does not apply."""
        for place, (asked, numbers) in enumerate(self._running):
            if key_of(asked) == key_of(setting):
                del self._running[place]
                return numbers
        places = [
            options.index(setting[name]) if name in setting else 0
            for name, options in self._options.items()
        ]
        return np.asarray(places, np.int32)

    def _key_of(self, number: jax.Array) -> jax.Array:
        return jax.random.fold_in(self._key, number)

    def _setting(self, numbers: np.ndarray) -> Setting:
        places = dict(zip(self._options, numbers.tolist(), strict=True))
        return self._space.setting(lambda name, _: self._options[name][places[name]])


def evolution(*, population: int = 20, tournament: int = 5, batch: int = 10) -> Maker:
    """Return regularized evolution over choices among options; see `jnn.search.discrete.evolution`.

    Args:
        population: Number of settings that may be parents, the youngest ones.
        tournament: Number of settings of which the best is the parent.
        batch: Number of children that are trained at once.
    """
    make = functools.partial(discrete.evolution, population=population, tournament=tournament)
    return _maker(make, batch)


def reinforce(*, learning_rate: float = 0.01, batch: int = 10) -> Maker:
    """Return REINFORCE over choices among options; see `jnn.search.discrete.reinforce`.

    Args:
        learning_rate: Learning rate of Adam.
        batch: Number of settings that are drawn from the same distribution.
    """
    return _maker(functools.partial(discrete.reinforce, learning_rate=learning_rate), batch)


def _maker(make: Callable, batch: int) -> Maker:
    batch = check_integer("batch", batch, least=1)
    return lambda space, seed: DiscreteStrategy(space, seed, make, batch)
