"""One-shot search: architectures are scored with the weights of one supernet, not trained alone."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jnn._settings import check_integer
from jnn.engine import Trained
from jnn.population import run
from jnn.search._inherit import Options, inheriting_members, inheriting_study, supernet_study
from jnn.search._programs import Program, Programs
from jnn.search._samplers import random
from jnn.search._space import Setting, Space
from jnn.search._strategy import Maker, Score, Strategy
from jnn.search._train import FolderOf, Outcome, Replicas, empty_outcome, member_scores
from jnn.study import Choice, Study


class Supernet(NamedTuple):
    """A trained supernet of each seed and fold.

    Attributes:
        study: A study that scores architectures with its weights.
        steps: Number of steps that its members took together.
        seconds: Seconds that it took.
    """

    study: Study
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

    def ask(self, n: int) -> Sequence[Setting]:
        """Return architectures of the other strategy."""
        return self._strategy.ask(n)

    def tell(self, settings: Sequence[Setting], scores: Sequence[Score]) -> None:
        """Tell the other strategy the scores."""
        self._strategy.tell(settings, scores)

    def train(
        self,
        programs: Sequence[Program],
        settings: Sequence[Setting],
        made: Programs,
        replicas: Replicas,
        folder_of: FolderOf,
    ) -> Outcome:
        """Score architectures, after a supernet has been trained for each program.

        The steps and seconds of a supernet are shared by the architectures that are scored first.
        """
        outcome = empty_outcome(len(settings))
        for number, program in enumerate(programs):
            is_new = program.study not in self._supernets
            if is_new:
                supernet = self._supernet(program, replicas, folder_of(number))
                self._supernets[program.study] = supernet
            supernet = self._supernets[program.study]
            started = time.perf_counter()
            members = inheriting_members(replicas.members)
            columns = made.members(program, settings)
            result = run(supernet.study, replicas.data, members * columns)
            seconds = time.perf_counter() - started + (supernet.seconds if is_new else 0.0)
            ...
        return outcome
