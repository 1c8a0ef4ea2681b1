"""The benchmark of heads: everybody learns from as many labels of the same rows."""

import numpy as np
import pytest

from benchmarks import workloads
from benchmarks.contender import environment
from benchmarks.peers import transfer
from benchmarks.process import Process
from benchmarks.suites.transfer import CASES
from benchmarks.work import Budget

pytestmark = pytest.mark.benchmarks


def test_every_member_has_its_number_of_labels_and_no_test_row_among_them():
    work = workloads.heads()
    _, y = workloads.all_rows(work)
    splits = list(transfer._splits(y, Budget(8, 1, 16), 0))
    assert [len(train) for train, _ in splits] == 2 * list(workloads.HEADS_LABELS)
    for train, test in splits:
        assert not np.intersect1d(train, test).size
        assert len(test) == round(workloads.HEADS_TEST_SHARE * len(y))


@pytest.mark.peers
@pytest.mark.parametrize(
    "contender",
    {one.name: one for case in CASES for one in case.contenders}.values(),
    ids=lambda contender: contender.name,
)
def test_every_library_learns_heads_of_one_split(contender):
    if not contender.is_installed():
        pytest.skip(f"needs {contender.needs}")
    job = {"workload": "heads", "epochs": 2, "batch_size": 32}
    request = {"key": "", "peer": contender.peer, "members": 4, "job": job, "processes": 1}
    with Process(contender.name, "benchmarks.worker", environment(contender)) as process:
        process.ask({"do": "prepare", **request})
        played = process.ask({"do": "play", "key": "", "calls": 1})
    assert len(played["scores"]) == 4
    assert played["scores"][0] < played["scores"][3]
    assert played["scores"][3] > 0.8
