"""PyTorch, all members at once: stacked parameters, `torch.func.vmap` of `grad`, one fused Adam."""

from collections.abc import Callable

import torch
from torch import func, nn

from benchmarks import torch_nets
from benchmarks.torch_device import DEVICE
from benchmarks.workloads import LEARNING_RATE, Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(lambda: torch_nets.mlp(work.sizes), work, budget)


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(torch_nets.lenet, work, budget)


def _job(make_net, work, budget):
    x, y = torch_nets.tensors(work.train_x, work.train_y)
    skeleton = make_net().to("meta")
    gradients = func.vmap(func.grad(_make_loss(skeleton)))

    def job(first_seed):
        torch.manual_seed(first_seed)
        nets = [make_net().to(DEVICE) for _ in range(budget.members)]
        params, _ = func.stack_module_state(nets)
        optimizer = torch.optim.Adam(params.values(), lr=LEARNING_RATE, fused=True)
        for _ in range(budget.epochs):
            order = torch.rand(budget.members, len(x), device=DEVICE).argsort(1)
            for rows in order.split(budget.batch_size, dim=1):  # [members, batch]
                _update(params, gradients(_detached(params), x[rows], y[rows]), optimizer)
        return _accuracies(skeleton, params, work)

    return job


def _make_loss(skeleton: nn.Module):
    def loss(params, x, y):
        return nn.functional.cross_entropy(func.functional_call(skeleton, params, (x,)), y)

    return loss


def _detached(params):
    return {name: value.detach() for name, value in params.items()}


def _update(params, gradients, optimizer):
    for name, value in params.items():
        value.grad = gradients[name]
    optimizer.step()


@torch.inference_mode()
def _accuracies(skeleton, params, work):
    x, y = torch_nets.tensors(work.test_x, work.test_y)
    outputs = func.vmap(lambda p: func.functional_call(skeleton, p, (x,)))(_detached(params))
    return (outputs.argmax(-1) == y).float().mean(1).tolist()
