"""Training jobs as calls: every call trains new members, in this process or shared by several."""

import importlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.calls import Call
from benchmarks.work import Budget
from benchmarks.workloads import WORKLOADS

Job = Callable[[int], list[float]]  # trains the members from a first seed on; their test scores


def load_peer(peer: str) -> Callable[..., Any]:
    """Return the function of `benchmarks/peers` that `FILE.FUNCTION` names."""
    file, function = peer.split(".")
    return getattr(importlib.import_module(f"benchmarks.peers.{file}"), function)


def make_job_call(
    peer: str, members: int, processes: int, *, workload: str, epochs: int, batch_size: int
) -> Call:
    """Return the job of a contender as a call that never trains a member twice."""
    budget = Budget(-(-members // processes), epochs, batch_size)
    if processes == 1:
        job = make_job(peer, workload, budget)
    else:
        job = _share_job(peer, workload, budget, processes)
    next_seed = 0

    def play(calls: int) -> list[float]:
        nonlocal next_seed
        scores: list[float] = []
        for _ in range(calls):
            scores += job(next_seed)
            next_seed += members
        return scores

    return Call(play)


def make_job(peer: str, workload: str, budget: Budget) -> Job:
    """Return the job of a contender in this process."""
    return load_peer(peer)(WORKLOADS[workload](), budget)


def _share_job(peer: str, workload: str, share: Budget, processes: int) -> Job:
    """Return a job whose members are shared by processes that stay alive between rounds."""
    context = multiprocessing.get_context("spawn")
    arguments = (peer, workload, share)
    pools = [ProcessPoolExecutor(1, context, _prepare, arguments) for _ in range(processes)]
    for started in [pool.submit(_is_ready) for pool in pools]:
        started.result()

    def job(first_seed: int) -> list[float]:
        shares = [
            pool.submit(_train, first_seed + i * share.members) for i, pool in enumerate(pools)
        ]
        return [score for part in shares for score in part.result()]

    return job


_JOB: dict[str, Job] = {}  # the job of this process, where it is one of several


def _prepare(peer: str, workload: str, share: Budget) -> None:
    _JOB["job"] = make_job(peer, workload, share)


def _is_ready() -> bool:
    return "job" in _JOB


def _train(first_seed: int) -> list[float]:
    return _JOB["job"](first_seed)
