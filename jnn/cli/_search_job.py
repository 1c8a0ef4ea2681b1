"""What `jnn search` means: its rows, its space, its strategy, and the study of each setting."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jnn import search
from jnn.cli._command import Search
from jnn.cli._input import user_input
from jnn.cli._job import load_data, metrics_of, training_rows
from jnn.cli._notes import notes
from jnn.cli._search_space import PARAMETERS, default_space, make_space, studies_of
from jnn.cli._space import parse_space
from jnn.cli._strategy import parse_strategy
from jnn.data import Dataset, ImageEncoding
from jnn.recipes import About, default_batch_size, default_epochs, default_model
from jnn.study import Members, Study, folds, holdout

TRIALS = 64
_TEST = 0.2


class SearchJob(NamedTuple):
    """The arguments of `jnn.search.run`.

    Attributes:
        study_of: Makes the study of a setting.
        rows: Rows of the search.
        test: Rows for the winner.
        space: What is searched.
        by: The strategy.
        folds: Folds of the rows of the search.
        metric: Metrics that are searched by; None for the first one of the study.
    """

    study_of: Callable[[search.Choices], Study]
    rows: Dataset
    test: Dataset
    space: search.Space
    by: search.Maker
    folds: Members
    metric: tuple[str, ...] | None


def make_search_job(command: Search) -> tuple[SearchJob, Search]:
    """Return what a command means, and the command with all that it leaves open.

    Raises:
        ValueError: If an option does not fit the data or the others.
    """
    by = parse_strategy(command.by)
    if command.space is not None:
        parse_space(command.space)  # before a large table is read
    _check_numbers(command)
    with user_input(), notes():
        data = load_data(command)
    with user_input():
        rows, test = _split(command, data)
        members = holdout(0.2) if command.folds == 1 else folds(command.folds)
        about = About.from_data(data)
        command = _settled(command, about, rows, members)
        space = make_space(command, about)
        study_of = studies_of(command, about)
        middle = space.at(np.full((1, len(space)), 0.5))[0]
        study_of(search.Choices(middle))  # says what is wrong with a metric or a network
    metric = _goals(command)
    return SearchJob(study_of, rows, test, space, by, members, metric), command


def _split(command: Search, data: Dataset) -> tuple[Dataset, Dataset]:
    """Return the rows of the search and those of the winner; published ones of a folder."""
    if command.test is None and isinstance(data.encoding, ImageEncoding) and data.splits:
        rules = folds(data.splits)
    else:
        share = _TEST if command.test is None else command.test
        if not 0 < share < 1:
            raise ValueError(
                f"--test must be a share of the rows between 0 and 1, got {share:g}. Use e.g. 0.2."
            )
        rules = holdout(share)
    assert rules.split is not None
    fold = rules.split.rows(data)[0]
    assert fold.test is not None
    rows = [fold.train] if fold.validation is None else [fold.train, fold.validation]
    return data.take(np.concatenate(rows)), data.take(fold.test)


def _goals(command: Search) -> tuple[str, ...] | None:
    """Return the metrics that are searched by, if they are several.

    Metrics after the first one are printed only, unless the strategy is for several, or one of them
    is the number of parameters.
    """
    names = tuple(metrics_of(command.metric) or ())
    is_several = command.by.startswith("nsga2") or PARAMETERS in names
    return names if names and is_several else None


def _settled(command: Search, about: About, rows: Dataset, members: Members) -> Search:
    """Return a command with a network, a space, a batch size, epochs and a number of trials."""
    model = command.model
    words = command.space
    if words is None or "model" not in parse_space(words):
        model = model or default_model(about)
    if words is None:
        words = default_space(str(model), about, command.by.partition(":")[0])
    count = training_rows(rows, members)
    batch_size = command.batch_size
    if batch_size is None and "batch_size" not in parse_space(words):
        batch_size = default_batch_size(count)
    epochs = command.epochs
    if epochs is None:
        smallest = batch_size or default_batch_size(count)
        epochs = default_epochs(count, max(1, smallest), command.steps_per_epoch)
    trials = command.trials
    if (trials, command.steps, command.seconds) == (None, None, None):
        trials = TRIALS
    return dataclasses.replace(
        command, model=model, space=words, batch_size=batch_size, epochs=epochs, trials=trials
    )


def _check_numbers(command: Search) -> None:
    """Check numbers that are used only when all is read."""
    for name in ("trials", "folds", "seeds", "test_seeds", "epochs"):
        value = getattr(command, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}.")
    for name in ("steps", "seconds"):
        value = getattr(command, name)
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"--{name} must be a finite number above 0, got {value:g}.")
    if command.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {command.seed}.")
