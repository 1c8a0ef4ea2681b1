"""Strategies that choose settings without regard to scores: random, Sobol, grid."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from jnn._settings import check_integer
from jnn.search._space import Setting, Space, plain
from jnn.search._strategy import Maker, Score
from jnn.study import Choice

_BATCH = 64  # settings that train together unless a strategy is told otherwise


class Listed:
    """A strategy whose settings are known beforehand.

    Attributes:
        batch: Number of settings to train at once.
    """

    def __init__(self, settings: Iterator[Setting], batch: int) -> None:
        self.batch = batch
        self._settings = settings

    def ask(self, n: int) -> Sequence[Setting]:
        """Return the next n settings, fewer at the end."""
        return list(itertools.islice(self._settings, n))

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Do nothing, because no score changes what comes next."""


def random(*, batch: int = _BATCH) -> Maker:
    """Return the strategy that draws every choice from its distribution.

    Bergstra and Bengio, Random Search for Hyper-Parameter Optimization (2012),
    https://jmlr.org/papers/v13/bergstra12a.html

    Args:
        batch: Number of settings to train at once.
    """
    batch = check_integer("batch", batch, least=1)

    def make(space: Space, seed: int) -> Listed:
        generator = np.random.default_rng(seed)

        def settings() -> Iterator[Setting]:
            while True:
                yield from space.at(generator.random((1, len(space))))

        return Listed(settings(), batch)

    return make


def sobol(*, batch: int = _BATCH) -> Maker:
    """Return the strategy that takes the points of a scrambled Sobol sequence.

    They cover the space more evenly than random ones. A power of two of trials is best.

    Sobol, On the Distribution of Points in a Cube (1967), as in `scipy.stats.qmc.Sobol`.

    Args:
        batch: Number of settings to train at once.
    """
    batch = check_integer("batch", batch, least=1)

    def make(space: Space, seed: int) -> Listed:
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(space), rng=seed)

        def settings() -> Iterator[Setting]:
            for _ in range(1 << 16):  # the sequence has 2^30 points of 30 bits
                yield from space.at(sequence.random(1 << 8))

        return Listed(settings(), batch)

    return make


def grid(*, points: int = 5, batch: int = _BATCH) -> Maker:
    """Return the strategy that takes every combination; it ends after the last one.

    Args:
        points: Number of values of each range, evenly spaced in its distribution from its lowest to
            its highest value. A choice has its options.
        batch: Number of settings to train at once.
    """
    points = check_integer("points", points, least=1)
    batch = check_integer("batch", batch, least=1)

    def make(space: Space, seed: int) -> Listed:
        del seed
        return Listed(_combinations(space, points), batch)

    return make


def listed(settings: Sequence[Setting], *, batch: int = _BATCH) -> Maker:
    """Return the strategy that names given settings, in their order; it ends after the last one.

    It trains what is known already: settings of a paper, of an earlier search, or architectures
    that `jnn.search.strongest` reads off.

    Args:
        settings: A value for each choice that applies, for each setting.
        batch: Number of settings to train at once.
    """
    batch = check_integer("batch", batch, least=1)
    settings = list(settings)
    if not settings:
        raise ValueError("listed must be given at least one setting, got none.")

    def make(space: Space, seed: int) -> Listed:
        del seed
        return Listed(iter([space.check(setting) for setting in settings]), batch)

    return make


def _combinations(space: Space, points: int) -> Iterator[Setting]:
    """Yield each combination once, also where some choices do not apply."""
    values = {name: _values(space, name, points) for name in space.dimensions}
    seen = set()
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        setting = space.setting(lambda name, _, chosen=chosen: chosen[name])
        key = tuple(setting.items())
        if key not in seen:
            seen.add(key)
            yield setting


def _values(space: Space, name: str, points: int) -> list:
    distribution = space.distribution(name)
    if isinstance(distribution, Choice):
        return list(distribution.options)
    shares = np.linspace(0, 1, points) if points > 1 else np.array([0.5])
    return [plain(value) for value in distribution.quantile(shares)]
