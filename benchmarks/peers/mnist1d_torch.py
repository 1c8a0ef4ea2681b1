"""PyTorch: the networks of MNIST-1D, one after the other, eager."""

import functools

import torch

from benchmarks.torch_mnist1d import NETWORKS, train


def _job(name, work, budget):
    def one(seed):
        torch.manual_seed(seed)
        return train(NETWORKS[name](), work, budget)

    return lambda first_seed: [one(seed) for seed in range(first_seed, first_seed + budget.members)]


mnist1d_logistic = functools.partial(_job, "logistic")
mnist1d_mlp = functools.partial(_job, "mlp")
mnist1d_cnn = functools.partial(_job, "cnn")
mnist1d_gru = functools.partial(_job, "gru")
