"""A small search that a process can be told to leave at any moment, by a kill that nobody hears.

python -m tests.searched STRATEGY FOLDER MOMENT

kills itself with SIGKILL before the MOMENT-th file is renamed to its name, so that a test can see
what a search makes of the folder.
"""

import functools
import os
import pathlib
import signal
import sys

import optax

import jnn
from jnn import search
from jnn.search import _cohort

SPACE = search.space(learning_rate=jnn.log_uniform(1e-3, 1e-1), width=jnn.choice(4, 8))
ONE_WIDTH = search.space(learning_rate=jnn.log_uniform(1e-3, 1e-1))
STRATEGIES = {
    "whole": search.random(batch=3),
    "halving": search.halving(batch=6, eta=2, rungs=2),
    "racing": search.racing(batch=4, error_rate=0.9),
    "population": search.population_based(population=4, looks=2, share=0.5),
}


def study_of(c, *, epochs=4, momentum=0.9):
    return jnn.Study(
        model=functools.partial(jnn.models.MLP, 4, (c.get("width", 4),), 3),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=lambda h: optax.sgd(h.learning_rate, momentum),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=16,
    )


def find(name, folder=None, **options):
    """Search iris by a strategy; every epoch is saved."""
    _cohort._SAVE_EVERY = 0.0
    return search.run(
        functools.partial(study_of, **options),
        jnn.data.load("iris"),
        ONE_WIDTH if name == "population" else SPACE,
        by=STRATEGIES[name],
        trials=6 if name in ("whole", "halving") else 4,
        folds=2,
        seeds=3 if name == "racing" else 1,
        test_seeds=1,
        directory=folder,
    )


def _kill_at(moment):
    """Let the process be killed before one more file than so many has its name."""
    replace = pathlib.Path.replace
    count = 0

    def counted(path, target):
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    pathlib.Path.replace = counted


if __name__ == "__main__":
    strategy, directory, moment = sys.argv[1:]
    _kill_at(int(moment))
    find(strategy, directory)
