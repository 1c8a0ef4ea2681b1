"""PyTorch: sequence models, one after the other, eager, with fused optimizers."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import torch_models
from benchmarks.sequence_data import HORIZON, INPUT, LENGTH
from benchmarks.torch_device import DEVICE


def gpt(work, budget):
    """The configuration that nanoGPT gives for a CPU, at a constant rate; flattened logits, a clipped norm."""

    def step(net, optimizer, x, y):
        _classify(net, x, y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    def make_optimizer(net):
        matrices = [p for p in net.parameters() if p.ndim >= 2]
        others = [p for p in net.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": 0.1},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)

    return _job(
        lambda: torch_models.GPT(65, LENGTH, 128, 4, 4, bias=False),
        make_optimizer,
        step,
        _accuracy,
        work,
        budget,
    )


def lstm(work, budget):
    def step(net, optimizer, x, y):
        _classify(net, x, y).backward()
        optimizer.step()

    return _job(lambda: torch_models.LSTM(65, 128), _adam(1e-3), step, _accuracy, work, budget)


def dlinear(work, budget):
    def step(net, optimizer, x, y):
        F.mse_loss(net(x), y).backward()
        optimizer.step()

    return _job(DLinear, _adam(5e-3), step, _r2, work, budget)


class DLinear(nn.Module):
    """A linear map over time of the moving average of 25 hours, and one of the rest; shared by the channels."""

    def __init__(self):
        super().__init__()
        self.trend, self.rest = nn.Linear(INPUT, HORIZON), nn.Linear(INPUT, HORIZON)
        for layer in (self.trend, self.rest):
            nn.init.constant_(layer.weight, 1 / INPUT)

    def forward(self, x):
        """[batch, time, channels] -> [batch, horizon, channels]."""
        x = x.transpose(1, 2)
        trend = F.avg_pool1d(F.pad(x, (12, 12), mode="replicate"), 25, 1)
        return (self.trend(trend) + self.rest(x - trend)).transpose(1, 2)


def _adam(rate):
    return lambda net: torch.optim.Adam(net.parameters(), lr=rate, fused=True)


def _classify(net, x, y):
    return F.cross_entropy(net(x).flatten(0, 1), y.flatten())


def _accuracy(net, x, y):
    return (net(x).argmax(-1) == y).float().mean().item()


def _r2(net, x, y):
    return 1 - (F.mse_loss(net(x), y) / y.var(correction=0)).item()


def _job(make_net, make_optimizer, step, score, work, budget):
    x, y, test_x, test_y = (
        torch.from_numpy(a).to(DEVICE)
        for a in (work.train_x, work.train_y, work.test_x, work.test_y)
    )
    if not y.is_floating_point():
        y, test_y = y.long(), test_y.long()

    def train(seed):
        torch.manual_seed(seed)
        net = make_net().to(DEVICE)
        optimizer = make_optimizer(net)
        for _ in range(budget.epochs):
            for rows in torch.randperm(len(x), device=DEVICE).split(budget.batch_size):
                optimizer.zero_grad(set_to_none=True)
                step(net, optimizer, x[rows], y[rows])
        with torch.inference_mode():
            return score(net, test_x, test_y)

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]
