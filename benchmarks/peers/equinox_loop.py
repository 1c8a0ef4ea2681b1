"""Equinox, one net after the other: a donating `filter_jit` step in a Python loop."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.equinox_ensemble import accuracy, start_of, update_of
from benchmarks.workloads import Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    x, y, test_x, test_y = map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y))
    start = eqx.filter_jit(lambda key: start_of(key, work.sizes))

    def train(seed):
        state, random = start(jax.random.key(seed)), np.random.default_rng(seed)
        for _ in range(budget.epochs):
            order = random.permutation(len(x)).astype(np.int32)
            for rows in np.split(order, range(budget.batch_size, len(x), budget.batch_size)):
                state = _step((x, y, rows), state)
        return float(_accuracy(state[0], test_x, test_y))

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]


@eqx.filter_jit(donate="all-except-first")
def _step(batch, state):
    x, y, rows = batch
    return update_of(state, x[rows], y[rows])


_accuracy = eqx.filter_jit(accuracy)
