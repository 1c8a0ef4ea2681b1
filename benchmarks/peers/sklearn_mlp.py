"""Scikit-learn's MLPClassifier: no penalty, no early stopping, float32 rows.

It draws its initial values from Glorot's uniform distribution; there is no other choice.
"""

import warnings
from collections.abc import Callable

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.workloads import LEARNING_RATE, Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    def train(seed):
        net = MLPClassifier(
            work.sizes[1:-1], alpha=0.0, batch_size=budget.batch_size, learning_rate_init=LEARNING_RATE,
            max_iter=budget.epochs, tol=0.0, n_iter_no_change=budget.epochs + 1, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # the number of epochs is given, not reached
            net.fit(work.train_x, work.train_y)
        return float(net.score(work.test_x, work.test_y))

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]
