"""PyTorch: a random search in a loop, eager, on scikit-learn's folds."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from benchmarks import torch_nets
from benchmarks.workloads import SEARCH_FOLDS, SEARCH_RATES, all_rows


def search(work, budget):
    x, y = all_rows(work)
    folds = [
        replace(work, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])
        for train, test in StratifiedKFold(SEARCH_FOLDS).split(x, y)
    ]

    def job(first_seed):
        torch.manual_seed(first_seed)
        low, high = np.log(SEARCH_RATES)
        rates = np.exp(
            np.random.default_rng(first_seed).uniform(low, high, budget.members // SEARCH_FOLDS)
        )
        nets = ((torch_nets.mlp(work.sizes), rate, fold) for rate in rates for fold in folds)
        return [
            torch_nets.train(net, fold, budget, learning_rate=float(rate))
            for net, rate, fold in nets
        ]

    return job
