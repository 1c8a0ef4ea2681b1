"""PyTorch in two processes of one thread each: every process trains half of the members, one after the other."""

from collections.abc import Callable

from benchmarks.peers import torch_eager
from benchmarks.processes import in_processes
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(torch_eager.digits, work, budget, processes=2)


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(torch_eager.lenet, work, budget, processes=2)
