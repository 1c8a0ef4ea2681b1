"""Settings in training, side by side: one population for each program."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnn import stats
from jnn.data import Dataset
from jnn.engine import fold_data
from jnn.population import Population, Status, run, start
from jnn.result import Result
from jnn.search._programs import Program, Programs
from jnn.search._space import Setting
from jnn.search._strategy import Schedule, Scheduled, Score
from jnn.study import Members, Study


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


class Outcome(NamedTuple):
    """What came out of a batch of settings.

    Attributes:
        scores: The score of each setting.
        results: The trained members, a result for each program.
        places: Where the settings of each result stand in the batch.
        steps: Number of steps that the members of each setting took together.
        seconds: Seconds that each setting took, its share of those of its program.
        schedules: How the numbers of each setting changed while it trained; None if they did not.
    """

    scores: list[Score]
    results: list[Result]
    places: list[tuple[int, ...]]
    steps: list[int]
    seconds: list[float]
    schedules: list[Schedule | None]


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

    def steps_per_epoch(self, study: Study) -> int:
        """Return the number of steps of an epoch of all seeds and folds of a setting."""
        if study not in self.steps:
            self.steps[study] = study.steps_per_epoch or self._batches(study)
        return self.steps[study] * len(self.members)

    def _batches(self, study: Study) -> int:
        """Return the number of batches that the training rows of the largest fold make."""
        rows = int(np.max(fold_data(study, self.data, self.members, None).train.count))
        return -(-rows // study.batch_size)


FolderOf = Callable[[int], Any]
"""The folder for the n-th result of a round, or None."""


def train_whole(
    programs: Sequence[Program], settings: Sequence[Setting], made: Programs, replicas: Replicas,
    folder_of: FolderOf,
) -> Outcome:  # fmt: skip
    """Train every setting for all epochs, one program after another."""
    outcome = empty_outcome(len(settings))
    for number, program in enumerate(programs):
        result, seconds, values = run_program(program, settings, made, replicas, folder_of(number))
        _note(outcome, program, program.places, values, replicas, program.study.epochs, seconds)
        outcome.results.append(result)
        outcome.places.append(program.places)
    return outcome


def train_scheduled(
    programs: Sequence[Program], settings: Sequence[Setting], made: Programs, replicas: Replicas,
    strategy: Scheduled, folder_of: FolderOf,
) -> Outcome:  # fmt: skip
    """Train settings side by side, and end those early that the strategy lets go."""
    outcome = empty_outcome(len(settings))
    fields = [
        _Field(
            program,
            start(program.study, replicas.data, members_of(made, program, settings, replicas)),
        )
        for program in programs
    ]
    epochs = common_epochs(programs)
    first = max(program.study.evaluate_every for program in programs)
    for look in [*checked_looks(strategy.looks(epochs), first, epochs), epochs]:
        for field in fields:
            field.advance(look)
        alive = [place for field in fields for place in field.places]
        values = {place: v for field in fields for place, v in field.values(replicas).items()}
        scores = [replicas.goal.score(values[place], look) for place in alive]
        if look == epochs:
            stays = np.zeros(len(alive), bool)
        else:
            stays = _checked_survivors(strategy.survivors(scores), len(alive))
        ending = {place for place, stay in zip(alive, stays, strict=True) if not stay}
        for field in fields:
            field.end(ending, values, look, replicas, outcome)
        fields = [field for field in fields if field.places]
        if not fields:
            break
    for number, result in enumerate(outcome.results):
        folder = folder_of(number)
        if folder is not None:
            result.save(folder)
    return outcome


def run_program(
    program: Program,
    settings: Sequence[Setting],
    made: Programs,
    replicas: Replicas,
    folder: Any,
) -> tuple[Result, float, np.ndarray]:
    """Train the settings of a program for all epochs.

    They are trained in the layout of an earlier round, if there is one: it is compiled then.

    Returns:
        The result, the seconds that each setting took, and the values [settings, seeds, folds].
    """

    def remember(status: Status) -> None:
        made.plans.setdefault(program.study, status.plan)

    started = time.perf_counter()
    result = run(
        program.study,
        replicas.data,
        members_of(made, program, settings, replicas),
        plan=made.plans.get(program.study),
        directory=folder,
        progress=remember,
    )
    count = len(program.places)
    values = _values(result.final()[replicas.goal.metric], count, replicas)
    return result, (time.perf_counter() - started) / count, values


class _Field:
    """The settings of one program that are still in training."""

    def __init__(self, program: Program, population: Population) -> None:
        self.program = program
        self.places = program.places
        self.population = population
        self.seconds = 0.0

    def advance(self, epoch: int) -> None:
        started = time.perf_counter()
        self.population.advance(epoch - self.population.epoch)
        self.seconds += (time.perf_counter() - started) / len(self.places)

    def values(self, replicas: Replicas) -> dict[int, np.ndarray]:
        """Return the values [seeds, folds] of each setting, at the last epoch that was scored."""
        values = member_values(self.population, self.program, replicas)
        return dict(zip(self.places, values, strict=True))

    def end(
        self, ending: set[int], values: dict[int, np.ndarray], epoch: int, replicas: Replicas,
        outcome: Outcome,
    ) -> None:  # fmt: skip
        """Take the result of the settings that end, and let the others go on."""
        ends = np.array([place in ending for place in self.places])
        if not ends.any():
            return
        copies = len(replicas.members)
        result = self.population.result().take(np.flatnonzero(np.tile(ends, copies)))
        ended = tuple(np.asarray(self.places)[ends].tolist())
        outcome.results.append(result)
        outcome.places.append(ended)
        _note(outcome, self.program, ended, np.stack([values[place] for place in ended]), replicas,
              epoch, self.seconds)  # fmt: skip
        self.places = tuple(np.asarray(self.places)[~ends].tolist())
        if self.places:
            self.population.keep(np.tile(~ends, copies))


def member_values(population: Population, program: Program, replicas: Replicas) -> np.ndarray:
    """Return the values [settings, seeds, folds] at the last epoch that was scored."""
    epoch = population.epoch
    study = program.study
    if epoch == study.epochs:
        scores = population.result().final()[replicas.goal.metric]
    else:
        epoch -= epoch % study.evaluate_every
        scores = population.scores[replicas.goal.metric].sel(epoch=epoch)
    return _values(scores, len(population) // len(replicas.members), replicas)


def members_of(
    made: Programs, program: Program, settings: Sequence[Setting], replicas: Replicas
) -> Members:
    numbers = made.members(program, settings)
    return replicas.members if numbers is None else replicas.members * numbers


def _values(scores: Any, settings: int, replicas: Replicas) -> np.ndarray:
    """Return scores in the order of their members as [settings, seeds, folds]."""
    flat = np.asarray(scores, np.float64).reshape(*replicas.shape, settings)
    return np.moveaxis(flat, -1, 0)


def empty_outcome(settings: int) -> Outcome:
    """Return the outcome of settings that have not ended yet."""
    nothing: Any = [None] * settings
    return Outcome(list(nothing), [], [], list(nothing), list(nothing), list(nothing))


def _note(
    outcome: Outcome, program: Program, places: Sequence[int], values: np.ndarray,
    replicas: Replicas, epoch: int, seconds: float,
) -> None:  # fmt: skip
    """Note the scores, the steps and the seconds of settings that have ended."""
    steps = replicas.steps_per_epoch(program.study) * epoch
    for place, value in zip(places, values, strict=True):
        outcome.scores[place] = replicas.goal.score(value, epoch)
        outcome.steps[place] = steps
        outcome.seconds[place] = seconds


def common_epochs(programs: Sequence[Program]) -> int:
    """Return the number of epochs of all programs.

    Raises:
        ValueError: If it is not the same.
    """
    epochs = sorted({program.study.epochs for program in programs})
    if len(epochs) > 1:
        raise ValueError(
            "A strategy that ends settings early must compare them after as many epochs, got "
            f"studies of {epochs} epochs. Give all studies the same number of epochs."
        )
    return epochs[0]


def checked_looks(looks: Sequence[int], first: int, epochs: int) -> list[int]:
    looks = [int(look) for look in looks]
    if looks != sorted(set(looks)) or any(not first <= look < epochs for look in looks):
        raise ValueError(
            f"A strategy must look after rising epochs from {first}, the first that is scored, to "
            f"{epochs - 1}, got {looks}. Train for more epochs, or look less often."
        )
    return looks


def _checked_survivors(survivors: Any, count: int) -> np.ndarray:
    survivors = np.asarray(survivors)
    if survivors.shape != (count,) or survivors.dtype != bool:
        raise ValueError(
            f"A strategy must say for each of {count} settings whether it continues, got "
            f"{survivors!r}. Return a bool array [settings]."
        )
    return survivors
