"""The grid of MC dropout on UCI yacht, as in its reproduction: jnn and PyTorch.

The score of a fit is R^2 on the rows that its fold holds out.
"""

import numpy as np

from benchmarks.work import Budget, Workload
from benchmarks.workloads import UCI_HIDDEN, yacht_grid


def jnn(work: Workload, budget: Budget):
    """jnn: all fits as one population of the reproduction's own study."""
    import jnn
    from benchmarks.examples import load_reproduction

    jnn.use_cpu_cores()
    grid = yacht_grid()
    data = jnn.Dataset.from_arrays(grid.x, grid.y, task="regression")
    fits = jnn.folds(grid.folds) * jnn.grid(dropout_rate=grid.rates, tau=grid.taus)
    study = load_reproduction("uci_dropout").make_study(data, len(work.train_x), budget.epochs)

    def job(first_seed):
        seeds = np.arange(first_seed, first_seed + budget.members)
        rows = fits[seeds % len(fits)]
        members = jnn.Members({"member": {**rows.axes["member"], "seed": seeds}}, rows.split)
        result = jnn.run(study, data, members)
        outputs = result.outputs(data.x)[..., 0]  # [members, rows]
        tests = [grid.folds[fold][1] for fold in members.columns()["fold"]]
        return [_r2(grid.y[test], y[test]) for test, y in zip(tests, outputs, strict=True)]

    return job


def torch_loop(work: Workload, budget: Budget):
    """PyTorch: one fit after the other, eager."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from benchmarks.peers.population_loops import train_each

    grid = yacht_grid()

    def make_net(features, rate):
        layers = (nn.Linear(features, UCI_HIDDEN), nn.Linear(UCI_HIDDEN, 1))
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        return nn.Sequential(
            nn.Dropout(rate), layers[0], nn.ReLU(), nn.Dropout(rate), layers[1]
        ), layers

    def fit(member):
        torch.manual_seed(member)
        fold, rate, tau = grid.fit(member)
        x, y, test_x, test_y = map(torch.from_numpy, grid.standardize(fold))
        net, layers = make_net(x.shape[1], rate)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=True)
        factor = _penalty_factor(len(x), rate, tau)
        for _ in range(budget.epochs):
            for rows in torch.randperm(len(x)).split(budget.batch_size):
                optimizer.zero_grad(set_to_none=True)
                penalty = factor * sum(layer.weight.square().sum() for layer in layers)
                (F.mse_loss(net(x[rows])[:, 0], y[rows]) + penalty).backward()
                optimizer.step()
        with torch.inference_mode():
            return _r2(test_y.numpy(), net.eval()(test_x)[:, 0].numpy())

    return train_each(fit, budget)


def torch_batched(work: Workload, budget: Budget):
    """PyTorch: all fits at once, batched by hand.

    The fits' rows are stacked along a first axis, `baddbmm` multiplies them, and one Adam updates
    all. Each fit has its own order, masks, rate and penalty; the sum of the losses is
    differentiated.
    """
    import torch
    from torch.nn import functional as F

    grid = yacht_grid()

    def layer(fits, inputs, outputs):
        """Return Glorot uniform kernels [fits, in, out] and zero biases [fits, 1, out]."""
        bound = (6 / (inputs + outputs)) ** 0.5
        kernel = torch.empty(fits, inputs, outputs).uniform_(-bound, bound).requires_grad_()
        return kernel, torch.zeros(fits, 1, outputs, requires_grad=True)

    def drop(x, rates):
        if rates is None:
            return x
        return x * ((torch.rand_like(x) >= rates) / (1 - rates))

    def forward(params, x, rates):
        kernel, bias, last_kernel, last_bias = params
        hidden = F.relu(torch.baddbmm(bias, drop(x, rates), kernel))
        return torch.baddbmm(last_bias, drop(hidden, rates), last_kernel)[..., 0]

    def train(x, y, rates, factors):
        params = [*layer(len(x), x.shape[2], UCI_HIDDEN), *layer(len(x), UCI_HIDDEN, 1)]
        optimizer = torch.optim.Adam(params, lr=1e-3, eps=1e-7, fused=True)
        fit = torch.arange(len(x))[:, None]
        for _ in range(budget.epochs):
            order = torch.rand(x.shape[:2]).argsort(1)
            for rows in order.split(budget.batch_size, dim=1):
                optimizer.zero_grad(set_to_none=True)
                errors = (forward(params, x[fit, rows], rates) - y[fit, rows]).square().mean(1)
                squares = params[0].square().sum((1, 2)) + params[2].square().sum((1, 2))
                (errors + factors * squares).sum().backward()
                optimizer.step()
        return params

    def job(first_seed):
        torch.manual_seed(first_seed)
        fits = [grid.fit(member) for member in range(first_seed, first_seed + budget.members)]
        parts = zip(*(grid.standardize(fold) for fold, _, _ in fits), strict=True)
        stacked = [torch.from_numpy(np.stack(part)) for part in parts]  # [fits, rows, ...]
        x, y, test_x, test_y = stacked
        rates = torch.tensor([rate for _, rate, _ in fits])[:, None, None]
        factors = [_penalty_factor(x.shape[1], rate, tau) for _, rate, tau in fits]
        params = train(x, y, rates, torch.tensor(factors))
        with torch.inference_mode():
            outputs = forward(params, test_x, None).numpy()
        return [_r2(*pair) for pair in zip(test_y.numpy(), outputs, strict=True)]

    return job


def _penalty_factor(rows: int, rate: float, tau: float) -> float:
    """Return the factor of the squared kernels: 1e-4 (1 - rate) / (2 rows tau)."""
    return 1e-4 * (1 - rate) / (2 * rows * tau)


def _r2(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return 1 - sum of squared errors / sum of squares about the mean."""
    return float(1 - np.sum((y - outputs) ** 2) / np.sum((y - y.mean()) ** 2))
