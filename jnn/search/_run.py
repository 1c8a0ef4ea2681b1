"""The loop of a search: ask, train, tell; then train the winner anew."""

import dataclasses
import hashlib
import math
import numbers
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset, Windows
from jnn.population import run as run_study
from jnn.result import Result
from jnn.search._estimate import FIRST_SEED, estimate
from jnn.search._found import Found, Trial
from jnn.search._objectives import further_scores, metric_names, sign_of
from jnn.search._pbt import PopulationBased, train_by_schedule, train_population_based
from jnn.search._programs import Program, Programs, StudyOf, check_study_of
from jnn.search._race import Racing, train_raced
from jnn.search._record import Folder, Round
from jnn.search._samplers import random
from jnn.search._space import Setting, Space, key_of
from jnn.search._strategy import Maker, Multifidelity, Scheduled, Score, Strategy
from jnn.search._train import (
    Goal,
    Outcome,
    Replicas,
    common_epochs,
    empty_outcome,
    train_scheduled,
    train_whole,
)
from jnn.storage import as_folder
from jnn.study import Members, Study, holdout
from jnn.study import folds as make_folds
from jnn.study import seeds as make_seeds

_BATCH = 64  # settings at once, of a strategy that does not say
_PATIENCE = 20  # rounds without a new setting after which a small space counts as searched


class Budget(NamedTuple):
    """When a search ends: after so many settings, steps of all members, or seconds."""

    trials: float
    steps: float
    seconds: float


class SearchStatus(NamedTuple):
    """How far a search is.

    Attributes:
        trials: Number of settings that were trained.
        steps: Number of steps that their members took.
        seconds: Seconds of training.
        share: Share of the budget that is spent, 0..1.
        best: Best score so far, in the metric's own units; NaN before there is one.
    """

    trials: int
    steps: int
    seconds: float
    share: float
    best: float


def run(
    study_of: StudyOf,
    data: Dataset,
    space: Space,
    *,
    by: Strategy | Maker | None = None,
    trials: int | None = None,
    steps: float | None = None,
    seconds: float | None = None,
    folds: int | Members = 5,
    seeds: int = 1,
    metric: str | Sequence[str] | None = None,
    test: float | Dataset = 0.2,
    test_seeds: int = 10,
    seed: int = 0,
    confidence: float = 0.95,
    directory: str | pathlib.Path | None = None,
    progress: Callable[[SearchStatus], None] | None = None,
) -> Found:
    """Search the best setting of a space, and say how good it is on rows that the search never saw.

    Each round, the strategy names a batch of settings. Settings that differ in numbers only are
    members of one population; those that need another program are a population of their own. Every
    setting is trained on all folds and seeds of the rows of the search, and scored on the held-out
    rows of each fold. The best one is then trained anew on all rows of the search, with new seeds,
    and scored on the test rows.

    Args:
        study_of: Function of the choices that returns a study. A choice that it reads, such as
            `c.width`, shapes the program. All others are numbers of the members, which the
            optimizer or the network reads, such as `h.learning_rate`.
        data: The rows. Some are set aside as test rows before the search begins.
        space: The choices, see `space`.
        by: The strategy; `random()` by default. Anything with `ask(n)` and `tell(settings, scores)`
            serves.
        trials: Number of settings to train. One of `trials`, `steps` and `seconds` must be given;
            the search ends with the first that is spent.
        steps: Number of steps that all members may take together.
        seconds: Seconds of training. A round that has begun is finished.
        folds: Number of folds of the rows of the search, or what `jnn.folds` or `jnn.holdout`
            return.
        seeds: Number of trainings of each setting on each fold.
        metric: Name of the metric to search by; the first one of the study by default. Or a tuple
            of names: the first one ranks the settings, and the strategy is told all of them, which
            `nsga2` looks for a Pareto front of. After the first one, `"parameters"` is the number
            of parameters.
        test: Share of the rows, or of the groups, that is set aside for the winner; the last rows
            of a series. Or a data set of such rows.
        test_seeds: Number of trainings of the winner.
        seed: Seed of the strategy.
        confidence: Confidence of all intervals.
        directory: Folder for what is found. The same call, after the process was killed, goes on
            and finds the same. It holds the winner's members as `jnn.run` saves them.
        progress: Called with a `SearchStatus` after each round.

    Returns:
        What was found.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a name is read by nothing, if the budget is too small for one setting, or if
            study, data and folds do not fit together.
    """
    check_study_of(study_of)
    if not isinstance(space, Space):
        raise TypeError(f"space must be made by jnn.search.space, got {space!r}.")
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a data set, got {type(data).__name__}.")
    budget = _budget(trials, steps, seconds)
    rows, test_rows = _split(data, test)
    members = make_seeds(check_integer("seeds", seeds, least=1)) * _folds(folds)
    made = Programs(study_of, space)
    probe = made.group(space.at(np.full((1, len(space)), 0.5)))[0].study
    goal = _goal(probe, metric, rows, members)
    replicas = Replicas(rows, members, _shape(members), goal, {})
    folder = None if directory is None else as_folder(directory)
    strategy = _strategy(by, space, seed)
    if hasattr(strategy, "objectives"):
        strategy.objectives = 1 + len(goal.others)  # type: ignore[attr-defined]
    search = _Search(
        made=made,
        space=space,
        strategy=strategy,
        replicas=replicas,
        budget=budget,
        folder=Folder(folder, _identity(space, rows, test_rows, members, goal, seed)),
        progress=progress,
    )
    search.run()
    return _found(search, test_rows, check_integer("test_seeds", test_seeds, least=1), confidence)


@dataclasses.dataclass
class _Search:
    """A search under way."""

    made: Programs
    space: Space
    strategy: Strategy
    replicas: Replicas
    budget: Budget
    folder: Folder
    progress: Callable[[SearchStatus], None] | None
    trials: list[Trial] = dataclasses.field(default_factory=list)
    parts: list[tuple[Any, Study, tuple[Setting, ...]]] = dataclasses.field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def run(self) -> None:
        """Ask, train and tell until the budget is spent or the strategy ends."""
        number = 0
        idle = 0
        while idle < _PATIENCE:
            replay = self.folder.rounds[number] if number < len(self.folder.rounds) else None
            asked = replay.asked if replay else self._size()
            if asked < 1:
                break
            settings = [self.space.check(setting) for setting in self.strategy.ask(asked)]
            if not settings:
                break
            self._check_count(settings, asked)
            new = self._new(settings)
            if replay is None:
                finished, results = self._round(number, asked, settings, new)
            else:
                finished, results = self._replayed(number, settings, replay)
            self._note(finished, results, new)
            self.strategy.tell(settings, finished.scores)
            idle = 0 if new else idle + 1
            number += 1
            self._report()

    def _size(self) -> int:
        """Return the number of settings of the next round that the budget allows; 0 for none."""
        if self.seconds >= self.budget.seconds:
            return 0
        left = min(getattr(self.strategy, "batch", _BATCH), self.budget.trials - len(self.trials))
        if math.isinf(self.budget.steps):
            return int(left)
        study = self.made.group(self.space.at(np.full((1, len(self.space)), 0.5)))[0].study
        epochs = study.epochs
        if isinstance(self.strategy, Multifidelity):
            epochs = self.strategy.fidelity(epochs)
        cost = self.replicas.steps_per_epoch(study) * epochs
        affordable = int((self.budget.steps - self.steps) // cost)
        if affordable < 1 and not self.trials:
            raise ValueError(
                f"steps must allow one setting, which takes {cost} steps on all its seeds and "
                f"folds, got {self.budget.steps:g}."
            )
        return int(min(left, affordable))

    def _new(self, settings: Sequence[Setting]) -> list[int]:
        """Return the places of the settings that have no score yet, each setting once."""
        known = set(self._known(settings))
        new = []
        for place, setting in enumerate(settings):
            if key_of(setting) not in known:
                known.add(key_of(setting))
                new.append(place)
        return new

    def _known(self, settings: Sequence[Setting]) -> dict[tuple, Score]:
        """Return the scores, by setting, that make another training needless."""
        epoch = None
        if isinstance(self.strategy, Multifidelity):
            epoch = self.strategy.fidelity(common_epochs(self.made.group(settings)))
        return {
            key_of(trial.setting): trial.score
            for trial in self.trials
            if epoch is None or trial.score.epoch == epoch
        }

    def _round(
        self, number: int, asked: int, settings: Sequence[Setting], new: Sequence[int]
    ) -> tuple[Round, Sequence[Any]]:
        """Train the new settings, and return the round with its results."""
        fresh = [settings[place] for place in new]
        outcome = self._train(number, fresh)
        scores = self._known(settings)
        others = further_scores(self.replicas.goal.others, outcome)
        for setting, score, means in zip(fresh, outcome.scores, others, strict=True):
            scores[key_of(setting)] = score._replace(others=means)
        finished = Round(
            asked,
            settings,
            [scores[key_of(setting)] for setting in settings],
            _spread(outcome.steps, new, len(settings), 0),
            _spread(outcome.seconds, new, len(settings), 0.0),
            [tuple(new[place] for place in places) for places in outcome.places],
            _spread(outcome.schedules, new, len(settings), None),
        )
        self.folder.add(finished)
        return finished, outcome.results

    def _replayed(
        self, number: int, settings: Sequence[Setting], replay: Round
    ) -> tuple[Round, Sequence[Any]]:
        """Return a round that the folder holds, with the folders of its results."""
        if [dict(s) for s in replay.settings] != [dict(s) for s in settings]:
            raise ValueError(
                f"The strategy must ask for the settings that {self.folder.directory} holds, "
                f"but in round {number} it asks for others. Give it the same seed and options."
            )
        return replay, [self.folder.part(number, index) for index in range(len(replay.places))]

    def _train(self, number: int, settings: Sequence[Setting]) -> Outcome:
        if not settings:
            return empty_outcome(0)
        programs = self.made.group(settings)

        def folder_of(index: int) -> pathlib.Path | None:
            return self.folder.part(number, index)

        strategy = self.strategy
        common = programs, settings, self.made, self.replicas
        if isinstance(strategy, Racing):
            return train_raced(*common, strategy, folder_of)
        if isinstance(strategy, PopulationBased):
            return train_population_based(*common, strategy, folder_of)
        if isinstance(strategy, Scheduled):
            return train_scheduled(*common, strategy, folder_of)
        return train_whole(*common, folder_of)

    def _note(self, finished: Round, results: Sequence[Any], new: Sequence[int]) -> None:
        """Add the results of a round to the parts, and its new settings to the trials."""
        for result, places in zip(results, finished.places, strict=True):
            chosen = tuple(finished.settings[place] for place in places)
            self.parts.append((result, self.made.group(chosen)[0].study, chosen))
        for place in new:
            self.steps += finished.steps[place]
            self.seconds += finished.seconds[place]
            self.trials.append(
                Trial(
                    len(self.trials),
                    finished.settings[place],
                    finished.scores[place],
                    finished.steps[place],
                    finished.seconds[place],
                    finished.schedules[place],
                )
            )

    def _check_count(self, settings: Sequence[Setting], asked: int) -> None:
        if len(settings) > asked:
            raise ValueError(
                f"A strategy must name at most the {asked} settings that it is asked for, got "
                f"{len(settings)}."
            )

    def _report(self) -> None:
        if self.progress is None:
            return
        means = [trial.score.mean for trial in self.trials]
        best = max((mean for mean in means if not math.isnan(mean)), default=math.nan)
        spent = Budget(len(self.trials), self.steps, self.seconds)
        share = max(part / whole for part, whole in zip(spent, self.budget, strict=True))
        goal = self.replicas.goal
        self.progress(
            SearchStatus(
                len(self.trials), self.steps, self.seconds, min(1.0, share), goal.sign * best
            )
        )


def _found(search: _Search, test_rows: Dataset, test_seeds: int, confidence: float) -> Found:
    """Train the winner anew, and return what the search has found."""
    most = max((trial.score.trained for trial in search.trials), default=(0, 0))
    ranked = [
        trial
        for trial in search.trials
        if trial.score.trained == most and not math.isnan(trial.score.mean)
    ]
    goal = search.replicas.goal
    found = Found(goal, tuple(search.trials), tuple(search.parts), None, None, None, confidence)
    if not ranked:
        return found
    best = max(ranked, key=lambda trial: trial.score.mean)
    (program,) = search.made.group([best.setting])
    winner = _retrained(search, program, best, test_rows, test_seeds)
    measured = estimate(
        winner, program.study, test_rows, goal.metric, confidence=confidence, seed=0
    )
    return dataclasses.replace(found, best_trial=best, winner=winner, estimate=measured)


def _retrained(
    search: _Search, program: Program, best: Trial, test_rows: Dataset, test_seeds: int
) -> Result:
    """Train the best setting on all rows of the search, with new seeds."""
    members = make_seeds(test_seeds, first=FIRST_SEED)
    directory = search.folder.directory
    if best.schedule is not None:
        result = train_by_schedule(
            program, search.made, best.schedule, search.replicas.data, test_rows, members
        )
        if directory is not None:
            result.save(directory)
        return result
    columns = search.made.members(program, [best.setting])
    if columns is not None:
        members = members * columns
    return run_study(
        program.study, search.replicas.data, members, test=test_rows, directory=directory
    )


def _budget(trials: Any, steps: Any, seconds: Any) -> Budget:
    if trials is None and steps is None and seconds is None:
        raise ValueError(
            "A search needs a budget: trials, steps or seconds. Use e.g. trials=64 settings."
        )
    if trials is not None:
        trials = check_integer("trials", trials, least=1)
    for name, value in (("steps", steps), ("seconds", seconds)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be a number, got {value!r}.")
        if not float(value) > 0:
            raise ValueError(f"{name} must be above 0, got {value}.")
    return Budget(*(math.inf if value is None else value for value in (trials, steps, seconds)))


def _split(data: Dataset, test: Any) -> tuple[Dataset, Dataset]:
    """Return the rows of the search and the test rows."""
    if isinstance(test, Dataset):
        return data, test
    split = holdout(test).split
    assert split is not None
    (fold,) = split.rows(data)
    assert fold.test is not None
    return data.take(fold.train), data.take(fold.test)


def _folds(folds: Any) -> Members:
    if not isinstance(folds, Members):
        return make_folds(folds)
    if set(folds.axes) != {"fold"}:
        raise ValueError(
            f"folds must be those of jnn.folds or jnn.holdout, got members with the axes "
            f"{list(folds.axes)}."
        )
    return folds


def _shape(members: Members) -> tuple[int, int]:
    seeds, folds = members.shape
    return seeds, folds


def _goal(study: Study, metric: Any, rows: Dataset, members: Members) -> Goal:
    name, *others = metric_names(study, metric)
    folds = members.split.rows(rows)  # type: ignore[union-attr]  # the members have folds
    train = round(np.mean([len(fold.train) for fold in folds]))
    test = round(np.mean([len(fold.test) for fold in folds]))  # type: ignore[arg-type]
    signs = tuple((other, sign_of(study, other)) for other in others)
    return Goal(name, sign_of(study, name), train, test, signs)


def _strategy(by: Any, space: Space, seed: int) -> Strategy:
    seed = check_integer("seed", seed, least=0)
    if by is None:
        by = random()
    if not isinstance(by, Strategy) and callable(by):
        by = by(space, seed)
    if not isinstance(by, Strategy):
        raise TypeError(
            f"by must be a strategy, such as jnn.search.tpe(), or have the methods ask(n) and "
            f"tell(settings, scores), got {by!r}."
        )
    return by


def _identity(
    space: Space, rows: Dataset, test: Dataset, members: Members, goal: Goal, seed: int
) -> dict[str, Any]:
    """Return what two calls of one search share, as JSON can hold it."""
    return {
        "space": repr(space),
        "members": repr(members),
        "metric": [goal.metric, *(name for name, _ in goal.others)] if goal.others else goal.metric,
        "seed": seed,
        "rows": _digest(rows),
        "test": _digest(test),
    }


def _digest(rows: Dataset) -> str:
    values = hashlib.sha256()
    for array in jax.tree.leaves((rows.x, rows.y), is_leaf=lambda part: isinstance(part, Windows)):
        plain = array.values if isinstance(array, Windows) else array
        values.update(np.ascontiguousarray(plain).tobytes())
    return values.hexdigest()


def _spread(values: Sequence[Any], places: Sequence[int], count: int, rest: Any) -> list[Any]:
    spread = [rest] * count
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return spread
