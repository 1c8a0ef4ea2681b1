"""The network of a cell in PyTorch, and its zero-cost scores: one cell after the other."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from jnn.models import CELL_OPERATIONS


def convolution(before: int, after: int, window: int, stride: int = 1, norm: bool = True):
    """Return ReLU, convolution and batch normalization."""
    conv = nn.Conv2d(before, after, window, stride, window // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(after) if norm else nn.Identity())


class Cell(nn.Module):
    """A cell: each node is the sum of its edges from all earlier nodes."""

    def __init__(self, edges, channels: int, norm: bool):
        super().__init__()
        makers = {
            "none": lambda: None,
            "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: convolution(channels, channels, 1, norm=norm),
            "nor_conv_3x3": lambda: convolution(channels, channels, 3, norm=norm),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        }
        self.edges = nn.ModuleList([makers[CELL_OPERATIONS[edge]]() for edge in edges])

    def forward(self, x):
        nodes, edges = [x], iter(self.edges)
        for target in (1, 2, 3):
            parts = [
                node * 0.0 if edge is None else edge(node)
                for node, edge in zip(nodes, itertools.islice(edges, target), strict=True)
            ]
            nodes.append(sum(parts))
        return nodes[-1]


class Block(nn.Module):
    """A residual block that doubles the maps and halves the sides."""

    def __init__(self, channels: int, norm: bool):
        super().__init__()
        self.convs = nn.Sequential(
            convolution(channels, 2 * channels, 3, 2, norm),
            convolution(2 * channels, 2 * channels, 3, 1, norm),
        )
        shortcut = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), shortcut)

    def forward(self, x):
        return self.convs(x) + self.shortcut(x)


def network(edges, norm: bool = True, channels: int = 16, cells: int = 5) -> nn.Module:
    """Return the network of the cell with these numbers, without batch norm if not `norm`."""
    stem = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
    layers = [stem, nn.BatchNorm2d(channels) if norm else nn.Identity()]
    for stage in range(3):
        width = channels << stage
        if stage > 0:
            layers.append(Block(width // 2, norm))
        layers += [Cell(edges, width, norm) for _ in range(cells)]
    layers += [nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def scores(edges, x: np.ndarray, y: np.ndarray, names) -> dict[str, float]:
    """Return the scores of one cell, with the passes that our program shares shared too."""
    net = network(edges).train()
    x, y = torch.tensor(np.moveaxis(x, -1, 1)), torch.tensor(y, dtype=torch.long)
    results = {}
    if {"grad_norm", "snip", "fisher", "grasp"} & set(names):
        results.update(of_gradient(net, x, y, "grasp" in names))
    if {"jacob_cov", "naswot"} & set(names):
        results.update(of_rows(net, x))
    if "synflow" in names:
        results["synflow"] = synflow(network(edges, norm=False), x)
    return {name: results[name] for name in names}


def weighted(net: nn.Module) -> list[nn.Module]:
    """Return the layers whose weights are scored."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def of_gradient(net: nn.Module, x, y, with_grasp: bool) -> dict[str, float]:
    """Return grad_norm, snip and fisher from one gradient, and grasp from its derivative."""
    layers, outputs = weighted(net), []
    hooks = [m.register_forward_hook(lambda m, i, o: outputs.append((m, o))) for m in layers]
    loss = F.cross_entropy(net(x), y)
    for hook in hooks:
        hook.remove()
    weights = [layer.weight for layer in layers]
    values = [value for _, value in outputs]
    options = {"create_graph": with_grasp, "allow_unused": True, "materialize_grads": True}
    found = torch.autograd.grad(loss, [*weights, *values], **options)
    grads, at_values = found[: len(weights)], found[len(weights) :]
    results = {"fisher": 0.0, "grad_norm": float(sum(g.detach().norm() for g in grads))}
    pairs = list(zip(weights, grads, strict=True))
    results["snip"] = float(sum((w * g).detach().abs().sum() for w, g in pairs))
    for (layer, value), grad in zip(outputs, at_values, strict=True):
        rows = (value * grad).detach().flatten(2).sum(2) if value.ndim > 2 else (value * grad)
        score = 0.5 * (rows.detach() ** 2).mean(0).sum() * layer.weight[0].numel()
        results["fisher"] += float(score)
    if with_grasp:
        product = sum((g.detach() * g).sum() for g in grads)
        changes = torch.autograd.grad(product, weights, allow_unused=True, materialize_grads=True)
        pairs = zip(weights, changes, strict=True)
        results["grasp"] = -float(sum((w * h).detach().sum() for w, h in pairs))
    return results


def of_rows(net: nn.Module, x) -> dict[str, float]:
    """Return jacob_cov and naswot from one pass."""
    kernel = torch.zeros(len(x), len(x), dtype=torch.float64)

    def count(module, inputs, output):
        active = (output > 0).flatten(1).float()
        idle = 1 - active
        kernel.add_(active @ active.T + idle @ idle.T)

    relus = [module for module in net.modules() if isinstance(module, nn.ReLU)]
    hooks = [module.register_forward_hook(count) for module in relus]
    inputs = x.clone().requires_grad_()
    (jacobians,) = torch.autograd.grad(net(inputs).sum(), inputs)
    for hook in hooks:
        hook.remove()
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.corrcoef(jacobians.flatten(1).double().numpy())
        jacob_cov = np.nan
        if np.isfinite(correlation).all():
            values = np.linalg.eigvalsh(correlation) + 1e-5
            jacob_cov = -float(np.sum(np.log(values) + 1 / values))
    return {"jacob_cov": jacob_cov, "naswot": float(torch.linalg.slogdet(kernel)[1])}


def synflow(net: nn.Module, x) -> float:
    """Return synflow of a network without batch normalization."""
    net = net.double()
    for parameter in net.parameters():
        parameter.data.abs_()
    weights = [layer.weight for layer in weighted(net)]
    total = net(torch.ones_like(x[:1], dtype=torch.float64)).sum()
    flow = torch.autograd.grad(total, weights, allow_unused=True, materialize_grads=True)
    return float(sum((w * g).detach().abs().sum() for w, g in zip(weights, flow, strict=True)))
