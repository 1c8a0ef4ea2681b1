"""What a search is to do: its arguments, checked before anything is compiled."""

import hashlib
import math
import numbers
from typing import Any, NamedTuple

import jax
import numpy as np

from jnn._settings import check_integer
from jnn.data import Dataset, Windows
from jnn.population import start
from jnn.search._chooser import as_strategy
from jnn.search._estimate import FIRST_SEED
from jnn.search._goal import Goal, Replicas
from jnn.search._objectives import metric_names, sign_of
from jnn.search._programs import Programs, StudyError, StudyOf, check_study_of
from jnn.search._space import Setting, Space
from jnn.search._strategy import Strategy
from jnn.study import Members, Study, holdout
from jnn.study import folds as make_folds
from jnn.study import seeds as make_seeds

_PROBES = 32  # settings of which one must have a study


class Budget(NamedTuple):
    """When a search ends: after so many settings, steps of all members, or seconds."""

    trials: float
    steps: float
    seconds: float


class Problem(NamedTuple):
    """What is searched.

    Attributes:
        space: The choices.
        made: Makes studies of settings.
        replicas: What every setting is trained on.
        study: The study of a setting in the middle of the space.
        test_rows: The rows that score the winner.
        test_members: The seeds of the winner.
        confidence: Confidence of all intervals.
        identity: What two calls of one search share, as JSON can hold it.
    """

    space: Space
    made: Programs
    replicas: Replicas
    study: Study
    test_rows: Dataset
    test_members: Members
    confidence: float
    identity: dict[str, Any]


def make_problem(
    study_of: StudyOf, data: Dataset, space: Space, *, folds: Any, seeds: Any, metric: Any,
    test: Any, test_seeds: Any, seed: int, confidence: Any,
) -> Problem:  # fmt: skip
    """Check the arguments of a search, and return what it is to do."""
    check_study_of(study_of)
    if not isinstance(space, Space):
        raise TypeError(f"space must be made by jnn.search.space, got {space!r}.")
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a data set, got {type(data).__name__}.")
    _check_confidence(confidence)
    rows, test_rows = _split(data, test)
    members = make_seeds(check_integer("seeds", seeds, least=1)) * _folds(folds)
    test_members = make_seeds(check_integer("test_seeds", test_seeds, least=1), first=FIRST_SEED)
    made = Programs(study_of, space)
    setting, study = _probe(made, space)
    goal = _goal(study, metric, rows, members)
    _check_test_rows(made, setting, rows, test_rows, test_members)
    replicas = Replicas(rows, members, _shape(members), goal, {})
    identity = _identity(space, rows, test_rows, members, goal, seed)
    return Problem(space, made, replicas, study, test_rows, test_members, confidence, identity)


def make_budget(trials: Any, steps: Any, seconds: Any) -> Budget:
    """Return when a search ends, if that makes sense."""
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
        if not 0 < float(value) < math.inf:
            raise ValueError(f"{name} must be above 0 and finite, got {value}.")
    return Budget(*(math.inf if value is None else value for value in (trials, steps, seconds)))


def _split(data: Dataset, test: Any) -> tuple[Dataset, Dataset]:
    """Return the rows of the search and the test rows."""
    if isinstance(test, Dataset):
        return data, test
    if isinstance(test, bool) or not isinstance(test, numbers.Real):
        raise TypeError(
            f"test must be a share of the rows, such as 0.2, or a data set, got {test!r}."
        )
    if not 0 < float(test) < 1:
        raise ValueError(f"test must be a share between 0 and 1, got {test}. Use e.g. 0.2.")
    split = holdout(float(test)).split
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


def make_strategy(by: Any, space: Space, seed: int, objectives: int) -> Strategy:
    """Return the strategy, told the number of metrics if it takes them."""
    seed = check_integer("seed", seed, least=0)
    by = as_strategy(by, space, seed)
    if hasattr(by, "objectives"):
        by.objectives = objectives  # type: ignore[attr-defined]
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


def _probe(made: Programs, space: Space) -> tuple[Setting, Study]:
    """Return a setting with its study: the middle of the space, or a random one if that fails."""
    shares = np.random.default_rng(0).random((_PROBES, len(space)))
    shares[0] = 0.5
    first: StudyError | None = None
    for setting in space.at(shares):
        try:
            return setting, made.program_of(setting).study
        except StudyError as error:
            first = first or error
    assert first is not None
    raise first


def _check_test_rows(
    made: Programs, setting: Setting, rows: Dataset, test_rows: Dataset, members: Members
) -> None:
    """Raise what is wrong with the test rows now, and not after the search.

    What is wrong with the setting itself is left to its training.
    """
    program = made.program_of(setting)
    try:
        numbers = made.members(program, [setting])
        everyone = members if numbers is None else members * numbers
        start(program.study, rows, everyone)
    except Exception:
        return
    start(program.study, rows, everyone, test=test_rows)


def _check_confidence(confidence: Any) -> None:
    if isinstance(confidence, bool) or not isinstance(confidence, numbers.Real):
        raise TypeError(f"confidence must be a number, got {confidence!r}.")
    if not 0 < float(confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}. Use e.g. 0.95.")
