"""PyTorch: the fits of the MC-dropout grid, one after the other, eager."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import uci_data


def uci_yacht(work, budget):
    grid = uci_data.yacht()
    return lambda first: [
        _fit(grid, member, budget) for member in range(first, first + budget.members)
    ]


def _fit(grid, member, budget):
    torch.manual_seed(member)
    fold, rate, tau = grid.fit(member)
    x, y, held_x, held_y = map(torch.from_numpy, uci_data.scaled(grid, fold))
    layers = nn.Linear(x.shape[1], uci_data.HIDDEN), nn.Linear(uci_data.HIDDEN, 1)
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    net = nn.Sequential(nn.Dropout(rate), layers[0], nn.ReLU(), nn.Dropout(rate), layers[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=True)
    factor = uci_data.penalty_factor(len(x), rate, tau)
    for _ in range(budget.epochs):
        for rows in torch.randperm(len(x)).split(budget.batch_size):
            optimizer.zero_grad(set_to_none=True)
            penalty = factor * sum(layer.weight.square().sum() for layer in layers)
            (F.mse_loss(net(x[rows])[:, 0], y[rows]) + penalty).backward()
            optimizer.step()
    with torch.inference_mode():
        return uci_data.r2(held_y.numpy(), net.eval()(held_x)[:, 0].numpy())
