"""A cross-validation in one line."""

from typing import Any

from jnn.data import Dataset
from jnn.population._run import run
from jnn.result import Result
from jnn.study import Members, Study
from jnn.study import folds as make_folds
from jnn.study import seeds as make_seeds


def cross_validate(
    study: Study,
    data: Dataset,
    members: Members | None = None,
    *,
    folds: Any = 5,
    seeds: int = 1,
    **options: Any,
) -> Result:
    """Train a study on all folds of the data but one, for each fold in turn, and score it there.

    This is `jnn.run(study, data, jnn.seeds(seeds) * jnn.folds(folds) * members)`, all in one
    program.

    Args:
        study: The study to train.
        data: The data set; each row is held out once.
        members: The settings to try on each fold, such as `jnn.grid(learning_rate=[1e-3, 1e-2])`.
        folds: Number of folds, which are stratified by class for classification; or anything that
            `jnn.folds` takes or returns.
        seeds: Number of trainings on each fold. With several of them, `summary()` tells the spread
            of seeds from that of folds.
        **options: Options of `jnn.run`.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If `members` has seeds or folds of its own, or if `jnn.run` refuses the study.
    """
    population = make_seeds(seeds) * (folds if isinstance(folds, Members) else make_folds(folds))
    if members is not None:
        population *= members
    return run(study, data, population, **options)
