"""Equinox in two processes: every process trains half of the members at once."""

from collections.abc import Callable

from benchmarks.peers import equinox_ensemble
from benchmarks.processes import in_processes
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(equinox_ensemble.digits, work, budget, processes=2)
