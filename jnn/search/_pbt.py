"""Population-based training: settings that do badly continue from better ones, a little changed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.population import start
from jnn.result import Result
from jnn.search._batch import Batch
from jnn.search._chooser import chooser
from jnn.search._cohort import Cohort
from jnn.search._programs import Program, Programs
from jnn.search._space import Setting, Space, plain
from jnn.search._strategy import Maker, Schedule, Score, Strategy
from jnn.search._train import checked_looks
from jnn.study import Choice, Members

_FACTORS = (0.8, 1.25)  # of a number that is changed


class PopulationBased:
    """A population of settings whose numbers change while they train.

    Attributes:
        batch: Number of settings of the population.
    """

    def __init__(
        self, space: Space, strategy: Strategy, seed: int, batch: int, looks: int, share: float
    ) -> None:
        self.batch = batch
        self._space = space
        self._strategy = strategy
        self._generator = np.random.default_rng(seed)
        self._looks = looks
        self._share = share

    def ask(self, n: int) -> Sequence[Setting]:
        """Return the settings that the population begins with."""
        return self._strategy.ask(n)

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Do nothing: what was learned is in the population."""

    def train(self, batch: Batch) -> None:
        """Train settings as one population whose members copy each other."""
        if len(batch.programs) > 1:
            names = sorted({program.name for program in batch.programs})
            raise ValueError(
                "Population-based training needs one program for all settings, got "
                f"{names}. Search choices that shape the network by another strategy."
            )
        for cohort in batch.cohorts():
            with batch.failing(cohort):
                self._train(batch, cohort)

    def _train(self, batch: Batch, cohort: Cohort) -> None:
        study = cohort.program.study
        current = [batch.settings[place] for place in cohort.places]
        schedules: list[list] = [[(0, setting)] for setting in current]
        for look in checked_looks(self.looks(study.epochs), study.evaluate_every, study.epochs):
            cohort.advance(look)
            sources, current = self.exploit(current, cohort.scores)
            cohort.gather(sources, batch.made.columns(cohort.program, current))
            schedules = [
                [*schedules[source], (look, setting)]
                for source, setting in zip(sources, current, strict=True)
            ]
        cohort.advance(study.epochs)
        for place, schedule in zip(cohort.places, schedules, strict=True):
            batch.outcome.schedules[place] = tuple(schedule)
        batch.end(cohort)

    def looks(self, epochs: int) -> list[int]:
        """Return the epochs after which members are copied and changed, evenly spaced."""
        return sorted({epochs * k // (self._looks + 1) for k in range(1, self._looks + 1)} - {0})

    def exploit(
        self, settings: Sequence[Setting], scores: Sequence[Score]
    ) -> tuple[np.ndarray, list[Setting]]:
        """Return from which setting each one continues, and with which numbers.

        The worst share of the settings copies random ones of the best share, and changes every
        number: a range by a factor of .8 or 1.25, within its bounds, and a choice by one of its
        options.
        """
        count = len(settings)
        moving = max(1, int(count * self._share))
        means = np.array([score.mean for score in scores])
        order = np.argsort(np.where(np.isnan(means), -np.inf, means), kind="stable")
        sources = np.arange(count)
        after = [dict(setting) for setting in settings]
        if count < 2:
            return sources, list(after)
        best = order[-moving:]
        for place in order[: min(moving, count - moving)]:
            source = int(self._generator.choice(best))
            sources[place] = source
            after[place] = self._changed(settings[source])
        return sources, list(after)

    def _changed(self, setting: Setting) -> dict[str, Any]:
        changed = {}
        for name, value in setting.items():
            distribution = self._space.distribution(name)
            if isinstance(distribution, Choice):
                options = distribution.options
                changed[name] = options[self._generator.integers(len(options))]
            else:
                moved = value * self._generator.choice(_FACTORS)
                changed[name] = plain(np.clip(moved, distribution.low, distribution.high))
        return changed


def population_based(
    by: Maker | None = None, *, population: int = 20, looks: int = 4, share: float = 0.25
) -> Maker:
    """Return population-based training: one population whose numbers are learned as a schedule.

    At each look the worst settings continue from the parameters of the best ones, with numbers that
    are changed a little. The choices must be numbers of the members, because all settings are one
    program. The winner is trained anew by the schedule of its numbers.

    Jaderberg et al., Population Based Training of Neural Networks (2017),
    https://arxiv.org/abs/1711.09846

    Args:
        by: The strategy that chooses the first settings; `random()` by default.
        population: Number of settings.
        looks: Number of looks, evenly spaced over the epochs.
        share: Share of the settings that is replaced at a look.
    """
    population = check_integer("population", population, least=2)
    looks = check_integer("looks", looks, least=1)
    if not 0 < share <= 0.5:
        raise ValueError(f"share must be above 0 and at most a half, got {share}. Use e.g. 0.25.")

    def make(space: Space, seed: int) -> PopulationBased:
        strategy = chooser(by, space, seed)
        return PopulationBased(space, strategy, seed, population, looks, share)

    return make


def train_by_schedule(
    program: Program, made: Programs, schedule: Schedule, data: Dataset, test: Dataset,
    members: Members,
) -> Result:  # fmt: skip
    """Train members anew with numbers that change after given epochs."""
    (_, first), *later = schedule
    numbers = made.members(program, [first])
    everyone = members if numbers is None else members * numbers
    population = start(program.study, data, everyone, test=test)
    for epoch, setting in later:
        population.advance(epoch - population.epoch)
        values = made.columns(program, [setting])
        population.gather(
            np.arange(len(everyone)),
            hyper={name: np.repeat(value, len(everyone)) for name, value in values.items()},
        )
    return population.advance(program.study.epochs - population.epoch).result()
