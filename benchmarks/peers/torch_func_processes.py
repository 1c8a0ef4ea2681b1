"""PyTorch in two processes of one thread each: every process trains half of the members at once by `torch.func`."""

from collections.abc import Callable

from benchmarks.peers import torch_func
from benchmarks.processes import in_processes
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return in_processes(torch_func.digits, work, budget, processes=2)
