"""One-shot search: architectures are scored with the weights of one supernet, not trained alone."""

import hashlib
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from jnn._settings import check_integer
from jnn.engine import Trained
from jnn.population import run
from jnn.search._batch import Batch
from jnn.search._chooser import chooser
from jnn.search._goal import Replicas
from jnn.search._inherit import (
    Options,
    inherited_result,
    inheriting_members,
    inheriting_study,
    supernet_study,
)
from jnn.search._programs import Program
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score, Strategy
from jnn.study import Choice, Study


class Supernet(NamedTuple):
    """A trained supernet for each seed and fold.

    Attributes:
        study: A study that scores architectures with their weights.
        trained: What they have learned, [seeds * folds, ...].
        steps: Number of steps that they took together.
        seconds: Seconds that they took.
    """

    study: Study
    trained: Trained
    steps: int
    seconds: float


class OneShot:
    """Architectures of another strategy, scored with the weights of supernets.

    Attributes:
        batch: Number of architectures to score at once.
    """

    def __init__(
        self, space: Space, strategy: Strategy, batch: int, epochs: int | None, calibration: int
    ) -> None:
        self.batch = batch
        self._space = space
        self._strategy = strategy
        self._epochs = epochs
        self._calibration = calibration
        self._supernets: dict[Study, Supernet] = {}
        self._told: list[Setting] = []

    def ask(self, n: int) -> Sequence[Setting]:
        """Return architectures of the other strategy."""
        return self._strategy.ask(n)

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the other strategy the scores."""
        self._told.extend(settings)
        self._strategy.tell(settings, scores)

    def train(self, batch: Batch) -> None:
        """Score architectures, after a supernet has been trained for each program.

        The steps and seconds of a supernet are those of the architectures that are scored first.
        """
        told, _ = batch.made.group(self._told)
        trained_before = {program.study for program in told}
        for program in batch.programs:
            with batch.failing(program):
                is_new = program.study not in trained_before
                self._score(batch, program, pays=is_new)

    def _score(self, batch: Batch, program: Program, *, pays: bool) -> None:
        replicas = batch.replicas
        if program.study not in self._supernets:
            folder = _folder(program, batch.common_folder)
            self._supernets[program.study] = self._supernet(program, replicas, folder)
        supernet = self._supernets[program.study]
        started = time.perf_counter()
        numbers = batch.made.members(program, batch.settings)
        assert numbers is not None  # a supernet has options
        members = inheriting_members(replicas.members) * numbers
        scored = run(supernet.study, replicas.data, members)
        seconds = time.perf_counter() - started
        steps = 0
        if pays:
            seconds += supernet.seconds
            steps = supernet.steps
        count = len(program.places)
        values, troubles = replicas.seen(scored.scores, supernet.study)
        epochs = self._epochs or program.study.epochs
        outcome = batch.outcome
        for number, place in enumerate(program.places):
            outcome.scores[place] = replicas.goal.score(values[number], epochs)
            outcome.failed[place] = troubles[number]
            outcome.steps[place] = steps // count + (number < steps % count)
            outcome.seconds[place] = seconds / count
        plain = replicas.members * numbers
        batch.add(inherited_result(scored, program.study, supernet.trained, plain), program.places)

    def _supernet(self, program: Program, replicas: Replicas, folder: Any) -> Supernet:
        """Train the supernet of a program, or read it from its folder."""
        study = supernet_study(program.study, self._options(program), self._epochs)
        started = time.perf_counter()
        result = run(study, replicas.data, replicas.members, directory=folder)
        scoring = inheriting_study(
            program.study, result.trained, replicas.shape[1], self._calibration
        )
        steps = replicas.steps_per_epoch(program.study) * study.epochs
        return Supernet(scoring, result.trained, steps, time.perf_counter() - started)

    def _options(self, program: Program) -> Options:
        """Return the options of the choices that a supernet draws."""
        distributions = {name: self._space.distribution(name) for name in program.numbers}
        options = {name: d.options for name, d in distributions.items() if isinstance(d, Choice)}
        ranges = [name for name in distributions if name not in options]
        if ranges:
            raise ValueError(
                f"one_shot searches among architectures, but {ranges} are ranges, of which one "
                "supernet has one value. Set them by Study(hyper=...)."
            )
        if not options:
            raise ValueError(
                "one_shot searches among architectures that are numbers of a network, but study_of "
                "reads every choice. Use a network such as jnn.models.SuperMLP."
            )
        return options


def one_shot(
    by: Maker | None = None, *, epochs: int | None = None, batch: int = 256, calibration: int = 0
) -> Maker:
    """Return one-shot search: one supernet is trained, and lends its weights to all architectures.

    Each step of the supernet trains an architecture that is drawn for the step, so that training
    costs as much as that of one setting. Architectures are then scored on the held-out rows with
    the weights of the supernet, which takes no training; the winner is trained anew, as in every
    search. The choices are numbers that the network reads, such as those of `jnn.models.SuperMLP`.

    The scores in the search are those of inherited weights. They serve to rank architectures, and
    are mostly worse than those of architectures that are trained by themselves.

    Bender et al., Understanding and Simplifying One-Shot Architecture Search (2018),
    https://proceedings.mlr.press/v80/bender18a.html; Guo et al., Single Path One-Shot (2020),
    https://arxiv.org/abs/1904.00420

    Args:
        by: The strategy that chooses architectures; `random()` by default.
        epochs: Number of epochs of the supernet; those of the study by default. It takes more of
            them than one architecture does.
        batch: Number of architectures to score at once.
        calibration: Number of batches of training rows that pass through the network before an
            architecture is scored, so that the statistics of batch normalization become its own.
    """
    if epochs is not None:
        epochs = check_integer("epochs", epochs, least=1)
    batch = check_integer("batch", batch, least=1)
    calibration = check_integer("calibration", calibration, least=0)

    def make(space: Space, seed: int) -> OneShot:
        return OneShot(space, chooser(by, space, seed), batch, epochs, calibration)

    return make


def _folder(program: Program, common: pathlib.Path | None) -> pathlib.Path | None:
    """Return the folder of a program's supernet, which all rounds share."""
    if common is None:
        return None
    digest = hashlib.sha256(program.name.encode()).hexdigest()[:12]
    return common / f"supernet-{digest}"
