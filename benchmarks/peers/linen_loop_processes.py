"""Flax Linen in two processes: every process trains half of the members, one after the other."""

from collections.abc import Callable

from benchmarks.peers import linen_loop
from benchmarks.processes import in_processes
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(linen_loop.digits, work, budget, processes=2)


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(linen_loop.lenet, work, budget, processes=2)
