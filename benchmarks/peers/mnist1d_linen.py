"""Flax Linen: the networks of MNIST-1D, one after the other, a jitted step on slices in a Python loop."""

import functools

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training.train_state import TrainState


class MLP(nn.Module):
    """40-100-100-10, the second hidden layer added to the first."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        hidden = nn.relu(nn.Dense(100)(x))
        return nn.Dense(10)(hidden + nn.relu(nn.Dense(100)(hidden)))


class CNN(nn.Module):
    """Three convolutions of 25 channels with stride 2."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        x = x[..., None]
        for window in (5, 3, 3):
            x = nn.relu(nn.Conv(25, (window,), 2, padding=1)(x))
        return nn.Dense(10)(x.reshape(len(x), -1))


class GRU(nn.Module):
    """6 units in each direction, all their outputs into one layer."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        both = nn.Bidirectional(nn.RNN(nn.GRUCell(6)), nn.RNN(nn.GRUCell(6)))(x[..., None])
        return nn.Dense(10)(both.reshape(len(x), -1))


def _job(net, work, budget):
    x, y, test_x, test_y = map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y))
    start = jax.jit(functools.partial(_start, net))
    parts = len(x) // budget.batch_size
    batches = list(zip(jnp.split(x, parts), jnp.split(y, parts), strict=True))

    def train(seed):
        state = start(jax.random.key(seed), x[:1])
        for rows, labels in budget.epochs * batches:
            state = _step(state, rows, labels)
        return float(_accuracy(state, test_x, test_y))

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]


def _start(net, key, x):
    return TrainState.create(
        apply_fn=net.apply, params=net.init(key, x)["params"], tx=optax.adam(1e-2)
    )


@functools.partial(jax.jit, donate_argnums=0)
def _step(state, x, y):
    def loss(params):
        logits = state.apply_fn({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    return state.apply_gradients(grads=jax.grad(loss)(state.params))


@jax.jit
def _accuracy(state, x, y):
    return jnp.mean(state.apply_fn({"params": state.params}, x).argmax(-1) == y)


mnist1d_logistic = functools.partial(_job, nn.Dense(10))
mnist1d_mlp = functools.partial(_job, MLP())
mnist1d_cnn = functools.partial(_job, CNN())
mnist1d_gru = functools.partial(_job, GRU())
