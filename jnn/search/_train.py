"""How a batch of settings is trained: to the end, or with looks after which some end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jnn.search._ahead import compiling
from jnn.search._batch import Batch
from jnn.search._programs import Program
from jnn.search._strategy import Driver, Scheduled, Strategy


def train(strategy: Strategy, batch: Batch) -> None:
    """Train a batch of settings in the way of a strategy; whole if it says nothing of it."""
    if not batch.programs:
        return
    if isinstance(strategy, Driver):
        strategy.train(batch)
    elif isinstance(strategy, Scheduled):
        train_scheduled(strategy, batch)
    else:
        train_whole(batch)


def train_whole(batch: Batch) -> None:
    """Train every setting for all epochs, one program after another."""
    cohorts = batch.cohorts()
    with compiling(cohorts):
        for cohort in cohorts:
            with batch.failing(cohort):
                cohort.advance(cohort.program.study.epochs)
                batch.end(cohort)


def train_scheduled(strategy: Scheduled, batch: Batch) -> None:
    """Train settings side by side, and end those early that the strategy lets go."""
    cohorts = batch.cohorts()
    if not cohorts:
        return
    epochs = common_epochs([cohort.program for cohort in cohorts])
    first = max(cohort.program.study.evaluate_every for cohort in cohorts)
    for look in [*checked_looks(strategy.looks(epochs), first, epochs), epochs]:
        with compiling(cohorts):
            for cohort in cohorts:
                with batch.failing(cohort):
                    cohort.advance(look)
        cohorts = [cohort for cohort in cohorts if cohort.places]
        stays = np.zeros(sum(len(cohort.places) for cohort in cohorts), bool)
        if look < epochs and len(stays):
            scores = [score for cohort in cohorts for score in cohort.scores]
            stays = _checked_survivors(strategy.survivors(scores), len(scores))
        parts = np.split(stays, np.cumsum([len(cohort.places) for cohort in cohorts]))
        for cohort, part in zip(cohorts, parts, strict=False):
            with batch.failing(cohort):
                batch.end(cohort, ~part)
        cohorts = [cohort for cohort in cohorts if cohort.places]


def checked_looks(looks: Sequence[int], first: int, epochs: int) -> list[int]:
    """Return the epochs of looks; raise unless they rise, from the first one that is scored."""
    looks = [int(look) for look in looks]
    if looks != sorted(set(looks)) or any(not first <= look < epochs for look in looks):
        raise ValueError(
            f"A strategy must look after rising epochs from {first}, the first that is scored, to "
            f"{epochs - 1}, got {looks}. Train for more epochs, or look less often."
        )
    return looks


def common_epochs(programs: Sequence[Program]) -> int:
    """Return the number of epochs of all programs; raise ValueError if it is not the same."""
    epochs = sorted({program.study.epochs for program in programs})
    if len(epochs) > 1:
        raise ValueError(
            "A strategy that ends settings early must compare them after as many epochs, got "
            f"studies of {epochs} epochs. Give all studies the same number of epochs."
        )
    return epochs[0]


def _checked_survivors(survivors: Any, count: int) -> np.ndarray:
    survivors = np.asarray(survivors)
    if survivors.shape != (count,) or survivors.dtype != bool:
        raise ValueError(
            f"A strategy must say for each of {count} settings whether it continues, got "
            f"{survivors!r}. Return a bool array [settings]."
        )
    return survivors
