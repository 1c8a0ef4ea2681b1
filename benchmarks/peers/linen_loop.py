"""Flax Linen, one net after the other: a jitted, donating train step over `TrainState` in a Python loop."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from benchmarks.workloads import LEARNING_RATE, Budget, Workload


class MLP(nn.Module):
    """Dense layers with ReLU between them."""

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        """[batch, sizes[0]] -> logits."""
        for n in self.sizes[:-1]:
            x = nn.relu(nn.Dense(n)(x))
        return nn.Dense(self.sizes[-1])(x)


class LeNet(nn.Module):
    """Two 3x3 convolutions with 2x2 max-pool, two dense layers."""

    @nn.compact
    def __call__(self, x):
        """[batch, 28, 28, 1] -> logits."""
        for n in (16, 32):
            x = nn.max_pool(nn.relu(nn.Conv(n, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(64)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(MLP(work.sizes[1:]), work, budget)


def lenet(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    return _job(LeNet(), work, budget)


def _job(net, work, budget):
    x, y, test_x, test_y = map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y))
    start = jax.jit(partial(start_of, net, optax.adam(LEARNING_RATE)))

    def train(seed):
        state, random = start(jax.random.key(seed), x[:1]), np.random.default_rng(seed)
        for _ in range(budget.epochs):
            order = random.permutation(len(x)).astype(np.int32)
            for rows in np.split(order, range(budget.batch_size, len(x), budget.batch_size)):
                state = _step(state, x, y, rows)
        return float(accuracy(state, test_x, test_y))

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]


def start_of(net, optimizer, key, x):
    return TrainState.create(apply_fn=net.apply, params=net.init(key, x)["params"], tx=optimizer)


@partial(jax.jit, donate_argnums=0)
def _step(state, x, y, rows):
    def loss(params):
        logits = state.apply_fn({"params": params}, x[rows])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]).mean()

    return state.apply_gradients(grads=jax.grad(loss)(state.params))


@jax.jit
def accuracy(state, x, y):
    return jnp.mean(state.apply_fn({"params": state.params}, x).argmax(-1) == y)
