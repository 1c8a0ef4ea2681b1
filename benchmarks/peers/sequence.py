"""Sequence models on text and on series: jnn and PyTorch, which trains one after the other.

GPT has the configuration that nanoGPT gives for a CPU, at a constant rate; the LSTM has 128 units;
DLinear forecasts 96 hours, and its score is R^2.
"""

from benchmarks.work import Budget, Workload
from benchmarks.workloads import HORIZON, INPUT, TEXT_LENGTH

_GPT_RATE = 1e-3
_DLINEAR_RATE = 5e-3


def jnn(work: Workload, budget: Budget):
    """jnn: a population of the model."""
    if work.network == "dlinear":
        return _jnn_forecast(work, budget)
    return _jnn_text(work, budget)


def _jnn_text(work, budget):
    from functools import partial

    import jax
    import optax

    import jnn
    from benchmarks.peers.population import data_and_fold, make_job, schedule

    optimizer = optax.adam(_GPT_RATE)
    model = partial(jnn.models.LanguageModel, 65, 128)
    if work.network == "gpt":
        sizes = {"layers": 4, "num_heads": 4, "features": 128, "use_bias": False}
        model = partial(jnn.models.GPT, 65, TEXT_LENGTH, **sizes)
        is_matrix = partial(jax.tree.map, lambda p: p.ndim >= 2)
        decayed = optax.adamw(_GPT_RATE, b2=0.99, weight_decay=0.1, mask=is_matrix)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), decayed)
    study = jnn.Study(
        model,
        jnn.losses.softmax_cross_entropy,
        optimizer,
        metrics={"accuracy": jnn.metrics.accuracy},
        **schedule(budget),
    )
    names = [str(i) for i in range(65)]
    options = {"ids": True, "task": "classification", "target_names": names}
    return make_job(study, *data_and_fold(work, **options), budget, "accuracy")


def _jnn_forecast(work, budget):
    from functools import partial

    import optax

    import jnn
    from benchmarks.peers.population import data_and_fold, make_job, schedule

    study = jnn.Study(
        partial(jnn.models.DLinear, INPUT, HORIZON),
        jnn.losses.squared_error,
        optax.adam(_DLINEAR_RATE),
        metrics={"mse": jnn.metrics.mse},
        **schedule(budget),
    )
    job = make_job(study, *data_and_fold(work), budget, "mse")
    return lambda first_seed: [float(1 - mse / work.test_y.var()) for mse in job(first_seed)]


def torch(work: Workload, budget: Budget):
    """PyTorch: one model after the other, eager, with fused optimizers."""
    import torch

    from benchmarks.peers import nets_torch
    from benchmarks.peers.population_loops import train_each

    device = nets_torch.DEVICE
    make_net, make_optimizer, step, score = _torch_parts(work.network)
    x, y = nets_torch.tensors(work.train_x, work.train_y)
    test_x, test_y = nets_torch.tensors(work.test_x, work.test_y)

    def train(seed):
        torch.manual_seed(seed)
        net = make_net().to(device)
        optimizer = make_optimizer(net)
        for _ in range(budget.epochs):
            for rows in torch.randperm(len(x), device=device).split(budget.batch_size):
                optimizer.zero_grad(set_to_none=True)
                step(net, optimizer, x[rows], y[rows])
        with torch.inference_mode():
            return score(net, test_x, test_y)

    return train_each(train, budget)


def _torch_parts(network):
    """Return makers of the network and of its optimizer, a step, and a score."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from benchmarks.peers import nets_torch

    def make_adam(rate):
        return lambda net: torch.optim.Adam(net.parameters(), lr=rate, fused=True)

    def make_adamw(net):
        matrices = [p for p in net.parameters() if p.ndim >= 2]
        others = [p for p in net.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": 0.1},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=_GPT_RATE, betas=(0.9, 0.99), fused=True)

    def classify(net, optimizer, x, y):
        F.cross_entropy(net(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()

    def classify_clipped(net, optimizer, x, y):
        F.cross_entropy(net(x).flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    def forecast(net, optimizer, x, y):
        F.mse_loss(net(x), y).backward()
        optimizer.step()

    def accuracy(net, x, y):
        return (net(x).argmax(-1) == y).float().mean().item()

    def r2(net, x, y):
        return 1 - (F.mse_loss(net(x), y) / y.var(correction=0)).item()

    def make_gpt():
        return nets_torch.GPT(65, TEXT_LENGTH, 128, 4, 4, bias=False)

    def make_lstm():
        return nets_torch.LSTM(65, 128)

    return {
        "gpt": (make_gpt, make_adamw, classify_clipped, accuracy),
        "lstm": (make_lstm, make_adam(_GPT_RATE), classify, accuracy),
        "dlinear": (nets_torch.DLinear, make_adam(_DLINEAR_RATE), forecast, r2),
    }[network]
