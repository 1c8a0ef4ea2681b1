"""Flax Linen, all members at once by the obvious `jax.vmap` of the train step, jitted, in a Python loop."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.linen_loop import MLP, LeNet, accuracy, start_of
from benchmarks.workloads import LEARNING_RATE, Budget, Workload


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(MLP(work.sizes[1:]), work, budget)


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(LeNet(), work, budget)


def _job(net, work, budget):
    x, y, test_x, test_y = map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y))
    start = jax.jit(jax.vmap(partial(start_of, net, optax.adam(LEARNING_RATE)), (0, None)))
    accuracies = jax.jit(jax.vmap(accuracy, (0, None, None)))

    def job(first_seed):
        keys = jax.vmap(jax.random.key)(jnp.arange(first_seed, first_seed + budget.members))
        state, random = start(keys, x[:1]), np.random.default_rng(first_seed)
        for _ in range(budget.epochs):
            order = random.permuted(
                np.tile(np.arange(len(x), dtype=np.int32), (budget.members, 1)), axis=1
            )
            for rows in np.split(
                order, range(budget.batch_size, len(x), budget.batch_size), axis=1
            ):
                state = _step(state, x, y, rows)
        return np.asarray(accuracies(state, test_x, test_y)).tolist()

    return job


@partial(jax.jit, donate_argnums=0)
@partial(jax.vmap, in_axes=(0, None, None, 0))
def _step(state, x, y, rows):
    def loss(params):
        logits = state.apply_fn({"params": params}, x[rows])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]).mean()

    return state.apply_gradients(grads=jax.grad(loss)(state.params))
