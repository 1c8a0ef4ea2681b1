"""The workloads' networks in PyTorch, drawn from the distribution that all contenders start from."""

import itertools
import math

import numpy as np
import torch
from torch import nn

from benchmarks.torch_device import DEVICE
from benchmarks.workloads import LEARNING_RATE, Budget, Workload

_TRUNCATION = 0.87962566103423978  # standard deviation of a standard normal cut at +-2


def mlp(sizes: tuple[int, ...]) -> nn.Sequential:
    """Dense layers of the given widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return _lecun(nn.Sequential(*layers[:-1]))


def lenet() -> nn.Sequential:
    """3x3x16 and 3x3x32 convolutions, each with ReLU and 2x2 max-pool, then 64 and 10 dense units."""
    return _lecun(
        nn.Sequential(
            nn.Conv2d(1, 16, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, 10),
        )
    )  # fmt: skip


def tensors(x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as tensors; images [n, h, w, c] become [n, c, h, w] stored channels last."""
    inputs = torch.from_numpy(x).to(DEVICE)
    return inputs.permute(0, 3, 1, 2) if inputs.ndim == 4 else inputs, torch.from_numpy(
        y
    ).long().to(DEVICE)


def train(
    net: nn.Module, work: Workload, budget: Budget, learning_rate: float = LEARNING_RATE
) -> float:
    """Trains one net eagerly and returns its test accuracy: fused Adam, rows shuffled once an epoch, no loader."""
    x, y = tensors(work.train_x, work.train_y)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, fused=True)
    for _ in range(budget.epochs):
        order = torch.randperm(len(x), device=DEVICE)
        for rows in order.split(budget.batch_size):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return accuracy(net, work)


@torch.inference_mode()
def accuracy(net: nn.Module, work: Workload) -> float:
    """Share of the test rows that are classified right."""
    x, y = tensors(work.test_x, work.test_y)
    return (net(x).argmax(-1) == y).float().mean().item()


def _lecun(net: nn.Sequential) -> nn.Sequential:
    for layer in net:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            std = math.sqrt(1 / layer.weight[0].numel()) / _TRUNCATION
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return net
