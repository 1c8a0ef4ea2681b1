"""The benchmark of searches: everybody trains as many networks on rows of the same sizes."""

import numpy as np
import pytest

import jnn
from benchmarks import workloads
from benchmarks.contender import environment
from benchmarks.peers import hyperparameters
from benchmarks.process import Process
from benchmarks.suites import search

pytestmark = pytest.mark.benchmarks

(CASE,) = search.CASES


def test_all_search_on_as_many_rows_and_folds():
    work = workloads.settings()
    peers = {(len(fold.train_x), len(fold.test_x)) for fold in hyperparameters._folds(work)}
    data = jnn.Dataset.from_arrays(*workloads.all_rows(workloads.digits()))
    (split,) = jnn.holdout(workloads.SETTINGS_TEST_SHARE).split.rows(data)
    folds = jnn.folds(workloads.SETTINGS_FOLDS).split.rows(data.take(split.train))
    assert len(split.train) == sum(map(len, (work.train_x, work.test_x)))
    ((train, test),) = peers
    for fold in folds:
        assert abs(len(fold.train) - train) <= 1 and abs(len(fold.test) - test) <= 1
        steps = -(-len(fold.train) // CASE.job.batch_size)
        assert steps == work.steps_per_epoch(CASE.job.batch_size)


@pytest.mark.peers
@pytest.mark.parametrize("contender", CASE.contenders, ids=lambda contender: contender.name)
def test_every_library_searches_two_settings_on_five_folds(contender):
    if not contender.is_installed():
        pytest.skip(f"needs {contender.needs}")
    job = {"workload": CASE.job.workload, "epochs": 8, "batch_size": CASE.job.batch_size}
    request = {"key": "", "peer": contender.peer, "members": 10, "job": job}
    request |= {"processes": 1}
    with Process(contender.name, "benchmarks.worker", environment(contender)) as process:
        process.ask({"do": "prepare", **request})
        played = process.ask({"do": "play", "key": "", "calls": 1})
        again = process.ask({"do": "play", "key": "", "calls": 1})
    assert len(played["scores"]) == len(again["scores"]) == 2
    assert played["scores"] != again["scores"]
    assert 0.5 < np.mean(played["scores"] + again["scores"]) <= 1
