"""Whole evaluations in one line."""

from typing import Any

from jnn.data import Dataset
from jnn.population._run import run
from jnn.result import Result
from jnn.study import Members, Study
from jnn.study import _members as populations


def cross_validate(
    study: Study,
    data: Dataset,
    members: Members | None = None,
    *,
    folds: Any = 5,
    seeds: int = 1,
    **options: Any,
) -> Result:
    """Trains a study on all folds of the data but one, for each in turn, and scores it on that one.

    The same as `jnn.run(study, data, jnn.seeds(seeds) * jnn.folds(folds) * members)`, all as one program.

    Args:
        study: What is trained.
        data: The rows; each is held out once.
        members: What to try on each fold, such as `jnn.grid(learning_rate=[1e-3, 1e-2])`.
        folds: How many, stratified by class for a classification; or what else `jnn.folds` takes or returns.
        seeds: Trainings on each fold; with several, `summary()` tells the spread of seeds from that of folds.
        options: Those of `jnn.run`.

    Raises:
        ValueError: As `jnn.run` does, and if the members have seeds or folds of their own.
    """
    population = populations.seeds(seeds) * (
        folds if isinstance(folds, Members) else populations.folds(folds)
    )
    return run(study, data, population if members is None else population * members, **options)
