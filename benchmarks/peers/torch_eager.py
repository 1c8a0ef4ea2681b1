"""PyTorch, one net after the other, eager."""

from collections.abc import Callable

import torch

from benchmarks import torch_nets
from benchmarks.torch_device import DEVICE
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(lambda: torch_nets.mlp(work.sizes), work, budget)


small = flat = digits


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(lambda: torch_nets.lenet().to(memory_format=torch.channels_last), work, budget)


def _job(make_net, work, budget):
    def train(seed):
        torch.manual_seed(seed)
        return torch_nets.train(make_net().to(DEVICE), work, budget)

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]
