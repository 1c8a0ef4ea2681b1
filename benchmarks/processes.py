"""A job spread over processes that stay alive between rounds."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmarks.workloads import Budget, Workload

Job = Callable[[int], list[float]]


def in_processes(
    make_job: Callable[[Workload, Budget], Job], work: Workload, budget: Budget, processes: int
) -> Job:
    """A job that gives each process its share of the members; each process makes its own job once."""
    share = replace(budget, members=-(-budget.members // processes))
    pools = [
        ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _prepare, (make_job, work, share)
        )
        for _ in range(processes)
    ]
    for started in [pool.submit(_ready) for pool in pools]:
        started.result()

    def job(first_seed):
        shares = [
            pool.submit(_train, first_seed + i * share.members) for i, pool in enumerate(pools)
        ]
        return [score for part in shares for score in part.result()]

    return job


_JOB: dict[str, Job] = {}  # this process's own job


def _prepare(make_job, work, share):
    _JOB["job"] = make_job(work, share)


def _ready() -> bool:
    return "job" in _JOB


def _train(first_seed: int) -> list[float]:
    return _JOB["job"](first_seed)
