"""`run` searches the best setting of a space, and says how good it is."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.population import run as run_study
from jnn.result import Result
from jnn.search._estimate import estimate
from jnn.search._found import Found, Trial
from jnn.search._loop import Search, SearchStatus
from jnn.search._pbt import train_by_schedule
from jnn.search._problem import make_budget, make_problem, make_strategy
from jnn.search._programs import StudyOf
from jnn.search._record import Folder
from jnn.search._space import Space
from jnn.search._strategy import Maker, Strategy
from jnn.storage import as_folder
from jnn.study import Members


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

    A setting fails alone: one whose study cannot be made or compiled, for which memory does not
    suffice, or one of whose members has no finite score. The strategy is told NaN, and
    `found.table` says why. If all settings of the first round fail for one reason, it is raised.

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
        steps: Number of steps that all members may take together in the search; that of the winner
            is not counted. Settings that end early leave theirs to others.
        seconds: Seconds of the search by the clock, with those of compiling. A round that has begun
            is finished, and the winner is trained after that.
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
            where it was, also within a round, and finds the same; with a larger budget it goes on
            searching. It holds the winner's members as `jnn.run` saves them.
        progress: Called with a `SearchStatus` after each round, and within it when a program has
            been trained up to a look.

    Returns:
        What was found.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a name is read by nothing, if the budget is too small for one setting, or if
            study, data and folds do not fit together.
    """
    budget = make_budget(trials, steps, seconds)
    seed = check_integer("seed", seed, least=0)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function of a SearchStatus, got {progress!r}.")
    if directory is not None and not isinstance(directory, str | os.PathLike):
        raise TypeError(f"directory must be a path, got {directory!r}.")
    path = None if directory is None else as_folder(directory)
    problem = make_problem(
        study_of,
        data,
        space,
        folds=folds,
        seeds=seeds,
        metric=metric,
        test=test,
        test_seeds=test_seeds,
        seed=seed,
        confidence=confidence,
    )
    strategy = make_strategy(by, space, seed, 1 + len(problem.replicas.goal.others))
    with contextlib.closing(Folder(path, problem.identity)) as folder:
        search = Search(problem, strategy, budget, folder, progress)
        search.run()
        return _found(search)


def _found(search: Search) -> Found:
    """Train the winner anew, and return what the search has found."""
    problem = search.problem
    goal = problem.replicas.goal
    found = Found(
        goal,
        tuple(search.trials),
        tuple(search.parts),
        None,
        None,
        None,
        problem.confidence,
        problem.test_rows,
    )
    best = _best(search.trials)
    if best is None:
        return found
    winner = _retrained(search, best)
    measured = estimate(
        winner,
        problem.made.program_of(best.setting).study,
        problem.test_rows,
        goal.metric,
        confidence=problem.confidence,
        seed=0,
    )
    return dataclasses.replace(found, best_trial=best, winner=winner, estimate=measured)


def _best(trials: Sequence[Trial]) -> Trial | None:
    """Return the best one of those that were trained the most; None if all of them failed."""
    scored = [trial for trial in trials if not trial.failed]
    most = max((trial.score.trained for trial in scored), default=(0, 0))
    ranked = [trial for trial in scored if trial.score.trained == most]
    return max(ranked, key=lambda trial: trial.score.mean, default=None)


def _retrained(search: Search, best: Trial) -> Result:
    """Train the best setting on all rows of the search, with new seeds."""
    problem = search.problem
    program = problem.made.program_of(best.setting)
    data = problem.replicas.data
    members = problem.test_members
    directory = search.folder.winner(best.setting, len(members))
    if best.schedule is not None:
        result = train_by_schedule(
            program, problem.made, best.schedule, data, problem.test_rows, members
        )
        if directory is not None:
            result.save(directory)
        return result
    columns = problem.made.members(program, [best.setting])
    if columns is not None:
        members = members * columns
    return run_study(program.study, data, members, test=problem.test_rows, directory=directory)
