"""The networks of MNIST-1D in PyTorch, from its own initial values, and their training in the order of the rows."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import torch_nets
from benchmarks.workloads import Budget, Workload


class MLP(nn.Module):
    """40-100-100-10, the second hidden layer added to the first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.output = (
            nn.Linear(40, 100),
            nn.Linear(100, 100),
            nn.Linear(100, 10),
        )

    def forward(self, x):
        """[batch, 40] -> [batch, 10]."""
        hidden = F.relu(self.first(x))
        return self.output(hidden + F.relu(self.second(hidden)))


class GRU(nn.Module):
    """6 units in each direction, all their outputs into one layer."""

    def __init__(self):
        super().__init__()
        self.gru, self.output = (
            nn.GRU(1, 6, batch_first=True, bidirectional=True),
            nn.Linear(480, 10),
        )

    def forward(self, x):
        """[batch, 40] -> [batch, 10]."""
        return self.output(self.gru(x[..., None])[0].flatten(1))


def cnn() -> nn.Module:
    """Three convolutions of 25 channels with stride 2."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 40)), nn.Conv1d(1, 25, 5, 2, 1), nn.ReLU(), nn.Conv1d(25, 25, 3, 2, 1), nn.ReLU(),
        nn.Conv1d(25, 25, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(125, 10),
    )  # fmt: skip


NETWORKS = {"logistic": lambda: nn.Linear(40, 10), "mlp": MLP, "cnn": cnn, "gru": GRU}


def train(net: nn.Module, work: Workload, budget: Budget) -> float:
    """Trains one net eagerly with fused Adam and returns its test accuracy; batches are slices, nothing is gathered."""
    x, y = torch_nets.tensors(work.train_x, work.train_y)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2, fused=True)
    batches = list(zip(x.split(budget.batch_size), y.split(budget.batch_size), strict=True))
    for rows, labels in budget.epochs * batches:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(rows), labels).backward()
        optimizer.step()
    return torch_nets.accuracy(net, work)
