"""The loop of a search: ask, train, tell, until the budget is spent."""

import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jnn.result import Result
from jnn.search._batch import Batch, Outcome
from jnn.search._cohort import Cohort
from jnn.search._found import Part, Trial
from jnn.search._objectives import further_scores, parameter_count
from jnn.search._problem import Budget, Problem
from jnn.search._programs import Program, StudyError
from jnn.search._record import Folder, Round
from jnn.search._space import Setting, key_of
from jnn.search._strategy import Multifidelity, Strategy
from jnn.search._train import common_epochs, train

_BATCH = 64  # settings at once, of a strategy that does not say
_PATIENCE = 20  # rounds without a step of training after which a search ends


class SearchStatus(NamedTuple):
    """How far a search is.

    Attributes:
        trials: Number of settings that were trained.
        steps: Number of steps that their members took.
        seconds: Seconds of asking and training.
        share: Share of the budget that is spent, 0..1.
        best: Best score so far, in the metric's own units; NaN before there is one.
        alive: Number of settings in training; 0 between rounds.
    """

    trials: int
    steps: int
    seconds: float
    share: float
    best: float
    alive: int = 0


class Search:
    """A search under way.

    Attributes:
        problem: What is searched.
        folder: What is kept.
        trials: The settings that were trained so far.
        parts: Their results.
        steps: Number of steps that their members took.
        seconds: Seconds of asking and training.
    """

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        budget: Budget,
        folder: Folder,
        progress: Callable[[SearchStatus], None] | None,
    ) -> None:
        self.problem = problem
        self.folder = folder
        self.trials: list[Trial] = []
        self.parts: list[Part] = []
        self.steps = 0
        self.seconds = 0.0
        self._strategy = strategy
        self._budget = budget
        self._progress = progress

    def run(self) -> None:
        """Ask, train and tell until the budget is spent or the strategy ends."""
        number = 0
        idle = 0
        while idle < _PATIENCE:
            started = time.perf_counter()
            asked = self.folder.asked(number) or self._size()
            settings = self._ask(asked, is_first=number == 0) if asked else []
            if not settings:
                break
            new = self._new(settings)
            if number < len(self.folder.rounds):
                finished = self.folder.rounds[number]
                self._check_replay(number, finished, settings)
                results: Sequence[Any] = [None] * len(finished.places)
            else:
                finished, results = self._round(number, asked, settings, new, started)
            self._note(number, finished, results, new)
            self._strategy.tell(settings, finished.scores)
            idle = 0 if sum(finished.steps) else idle + 1
            number += 1
            self._report()

    def _ask(self, asked: int, *, is_first: bool) -> list[Setting]:
        """Return the settings that the strategy names, checked."""
        named = self._strategy.ask(asked)
        if not isinstance(named, Iterable) or isinstance(named, Mapping | str):
            raise TypeError(f"A strategy must return a list of settings, got {named!r}.")
        settings = [self.problem.space.check(setting) for setting in named]
        if len(settings) > asked:
            raise ValueError(
                f"A strategy must name at most the {asked} settings that it is asked for, got "
                f"{len(settings)}."
            )
        if is_first and not settings:
            raise ValueError(
                f"A strategy must name at least one setting of the {asked} that it is first asked "
                "for, got none."
            )
        return settings

    def _size(self) -> int:
        """Return the number of settings of the next round that the budget allows; 0 for none."""
        if self.seconds >= self._budget.seconds:
            return 0
        batch = getattr(self._strategy, "batch", _BATCH)
        most = int(min(batch, self._budget.trials - len(self.trials)))
        if math.isinf(self._budget.steps):
            return most
        left = self._budget.steps - self.steps
        size = next((n for n in range(most, 0, -1) if self._cost(n) <= left), 0)
        if not size and not self.trials:
            raise ValueError(
                f"steps must allow one setting, which takes {self._cost(1):.0f} steps on all its "
                f"seeds and folds, got {self._budget.steps:g}."
            )
        return size

    def _cost(self, settings: int) -> float:
        """Return the number of steps that a round of settings takes at most."""
        study = self.problem.study
        strategy = self._strategy
        if isinstance(strategy, Multifidelity):
            epochs = settings * strategy.fidelity(study.epochs)
        else:
            cost = getattr(strategy, "cost", operator.mul)
            epochs = cost(settings, study.epochs)
        return self.problem.replicas.steps_per_epoch(study) * epochs

    def _new(self, settings: Sequence[Setting]) -> list[int]:
        """Return the places of the settings that have no score yet, each setting once."""
        known = set(self._known(settings))
        new = []
        for place, setting in enumerate(settings):
            if key_of(setting) not in known:
                known.add(key_of(setting))
                new.append(place)
        return new

    def _known(self, settings: Sequence[Setting]) -> dict[tuple, Trial]:
        """Return the trials, by setting, that make another training needless."""
        epoch = None
        if isinstance(self._strategy, Multifidelity):
            programs, _ = self.problem.made.group(settings)
            epoch = self._strategy.fidelity(common_epochs(programs)) if programs else None
        return {
            key_of(trial.setting): trial
            for trial in self.trials
            if epoch in (None, trial.score.epoch)
        }

    def _round(
        self,
        number: int,
        asked: int,
        settings: Sequence[Setting],
        new: Sequence[int],
        started: float,
    ) -> tuple[Round, Sequence[Result]]:
        """Train the new settings, and return the round with its results."""
        self.folder.begin(asked, settings)
        batch = Batch(
            [settings[place] for place in new],
            self.problem.made,
            self.problem.replicas,
            result_folder=lambda index: self.folder.part(number, index),
            unfinished=self.folder.unfinished(number),
            check=self._check_program,
            looked=lambda: self._report(batch, time.perf_counter() - started),
        )
        self._use_plans(batch.programs)
        train(self._strategy, batch)
        outcome = batch.outcome
        self._raise_if_hopeless(outcome)
        finished = self._finished(asked, settings, new, outcome, time.perf_counter() - started)
        plans = self.problem.made.plans
        self.folder.add(
            finished, {p.key: plans[p.study] for p in batch.programs if p.study in plans}
        )
        return finished, outcome.results

    def _finished(
        self,
        asked: int,
        settings: Sequence[Setting],
        new: Sequence[int],
        outcome: Outcome,
        elapsed: float,
    ) -> Round:
        """Return the record of a round of all settings that were asked for."""
        scores = {key: (t.score, t.failed) for key, t in self._known(settings).items()}
        others = further_scores(self.problem.replicas.goal.others, outcome)
        for index, place in enumerate(new):
            score = outcome.scores[index]._replace(others=others[index])
            scores[key_of(settings[place])] = score, outcome.failed[index]
        known = [scores[key_of(setting)] for setting in settings]
        return Round(
            asked,
            settings,
            [score for score, _ in known],
            _spread(outcome.steps, new, len(settings), 0),
            _spread(outcome.seconds, new, len(settings), 0.0),
            [tuple(new[place] for place in places) for places in outcome.places],
            [parameter_count(result) for result in outcome.results],
            _spread(outcome.schedules, new, len(settings), None),
            [failed for _, failed in known],
            elapsed,
        )

    def _raise_if_hopeless(self, outcome: Outcome) -> None:
        """Raise what ended all settings of the first round, if it is one error."""
        is_all = len(outcome.errors) == len(outcome.scores)
        if not self.trials and is_all and len(set(outcome.failed)) == 1:
            self.folder.withdraw()
            raise next(iter(outcome.errors.values()))

    def _use_plans(self, programs: Sequence[Program]) -> None:
        """Lay programs out as in an earlier round, so that they give the same bits."""
        plans = self.problem.made.plans
        for program in programs:
            plan = self.folder.plan(program.key)
            if plan is not None:
                plans.setdefault(program.study, plan)

    def _check_program(self, program: Program, cohort: Cohort) -> None:
        if not self.folder.is_known(program.key):
            self.folder.compare(program.key, cohort.open().digest)

    def _check_replay(self, number: int, former: Round, settings: Sequence[Setting]) -> None:
        """Raise ValueError if strategy or studies differ from those of a round that is kept."""
        self.folder.check_settings(number, former.settings, settings)
        for places in former.places:
            setting = settings[places[0]]
            try:
                program = self.problem.made.program_of(setting)
            except StudyError as error:
                raise self.folder.other_study(str(dict(setting)), f"fails: {error}") from error
            if self.folder.is_known(program.key):
                continue
            self._use_plans([program])
            batch = Batch([setting], self.problem.made, self.problem.replicas)
            for cohort in batch.cohorts():
                self._check_program(program, cohort)
            for error in batch.outcome.errors.values():
                raise self.folder.other_study(program.key, f"fails: {error}") from error

    def _note(
        self, number: int, finished: Round, results: Sequence[Any], new: Sequence[int]
    ) -> None:
        """Add the results of a round to the parts, and its new settings to the trials."""
        self.seconds += finished.elapsed
        for index, (result, places) in enumerate(zip(results, finished.places, strict=True)):
            chosen = tuple(finished.settings[place] for place in places)
            study = self.problem.made.program_of(chosen[0]).study
            folder = self.folder.part(number, index)
            count = finished.parameters[index]
            self.parts.append(Part(folder or result, study, chosen, count))
        for place in new:
            self.steps += finished.steps[place]
            self.trials.append(
                Trial(
                    len(self.trials),
                    finished.settings[place],
                    finished.scores[place],
                    finished.steps[place],
                    finished.seconds[place],
                    finished.schedules[place],
                    finished.failed[place],
                )
            )

    def _report(self, batch: Batch | None = None, elapsed: float = 0.0) -> None:
        """Tell how far the search is.

        Args:
            batch: The settings of the round under way; None between rounds.
            elapsed: Seconds that the round has taken.
        """
        is_ending = batch is not None and not batch.alive  # the report of the round follows
        if self._progress is None or is_ending:
            return
        scores = [trial.score for trial in self.trials]
        steps = self.steps
        if batch is not None:
            ended = sorted({place for places in batch.outcome.places for place in places})
            scores += [batch.outcome.scores[place] for place in ended]
            steps += sum(batch.outcome.steps)
        best = max((s.mean for s in scores if not math.isnan(s.mean)), default=math.nan)
        spent = Budget(len(scores), steps, self.seconds + elapsed)
        share = max(part / whole for part, whole in zip(spent, self._budget, strict=True))
        self._progress(
            SearchStatus(
                len(scores),
                steps,
                spent.seconds,
                min(1.0, share),
                self.problem.replicas.goal.sign * best,
                0 if batch is None else batch.alive,
            )
        )


def _spread(values: Sequence[Any], places: Sequence[int], count: int, rest: Any) -> list[Any]:
    spread = [rest] * count
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return spread
