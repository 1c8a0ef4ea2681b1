"""PyTorch: all fits of the MC-dropout grid at once, batched by hand: a first axis for the fits, `baddbmm`, one Adam.

The fits' rows are stacked; each fit has its own order, masks, rate and penalty; the losses' sum is differentiated.
"""

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import uci_data


def uci_yacht(work, budget):
    grid = uci_data.yacht()

    def job(first):
        torch.manual_seed(first)
        fits = [grid.fit(member) for member in range(first, first + budget.members)]
        parts = zip(*(uci_data.scaled(grid, fold) for fold, _, _ in fits), strict=True)
        x, y, held_x, held_y = (
            torch.from_numpy(np.stack(part)) for part in parts
        )  # [fits, rows, ...]
        rates = torch.tensor([rate for _, rate, _ in fits])[:, None, None]
        factors = torch.tensor(
            [uci_data.penalty_factor(x.shape[1], rate, tau) for _, rate, tau in fits]
        )
        params = _train(x, y, rates, factors, budget)
        with torch.inference_mode():
            predicted = _forward(params, held_x, None).numpy()
        return [uci_data.r2(*pair) for pair in zip(held_y.numpy(), predicted, strict=True)]

    return job


def _train(x, y, rates, factors, budget):
    params = [*_layer(len(x), x.shape[2], uci_data.HIDDEN), *_layer(len(x), uci_data.HIDDEN, 1)]
    optimizer = torch.optim.Adam(params, lr=1e-3, eps=1e-7, fused=True)
    fit = torch.arange(len(x))[:, None]
    for _ in range(budget.epochs):
        order = torch.rand(x.shape[:2]).argsort(1)
        for rows in order.split(budget.batch_size, dim=1):
            optimizer.zero_grad(set_to_none=True)
            errors = (_forward(params, x[fit, rows], rates) - y[fit, rows]).square().mean(1)
            squares = params[0].square().sum((1, 2)) + params[2].square().sum((1, 2))
            (errors + factors * squares).sum().backward()
            optimizer.step()
    return params


def _layer(fits, inputs, outputs):
    """Glorot uniform kernels [fits, in, out] and zero biases [fits, 1, out]."""
    bound = (6 / (inputs + outputs)) ** 0.5
    kernel = torch.empty(fits, inputs, outputs).uniform_(-bound, bound).requires_grad_()
    return kernel, torch.zeros(fits, 1, outputs, requires_grad=True)


def _forward(params, x, rates):
    kernel, bias, last_kernel, last_bias = params
    hidden = F.relu(torch.baddbmm(bias, _dropped(x, rates), kernel))
    return torch.baddbmm(last_bias, _dropped(hidden, rates), last_kernel)[..., 0]


def _dropped(x, rates):
    return x if rates is None else x * ((torch.rand_like(x) >= rates) / (1 - rates))
