"""Equinox: a donating `filter_jit` step in a Python loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks import jax_steps, step_data

_ADAM = optax.adam(step_data.LEARNING_RATE)


def prepare(function, *, data, members=1, **sizes):
    net = function(jax.random.key(0), **sizes)
    state = net, _ADAM.init(eqx.filter(net, eqx.is_inexact_array))
    return jax_steps.host_loop(lambda state, x, y: _step((x, y), state), state, data)


@eqx.filter_jit(donate="all-except-first")
def _step(batch, state):
    (x, y), (net, moments) = batch, state
    value, gradients = eqx.filter_value_and_grad(_loss)(net, x, y)
    updates, moments = _ADAM.update(gradients, moments)
    return (eqx.apply_updates(net, updates), moments), value


def _loss(net, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(x), y).mean()


def mlp(key, *, sizes):
    return eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], len(sizes) - 2, key=key)


class lenet(eqx.Module):
    """Two 3x3 convolutions with 2x2 max-pool, two dense layers; images become channels first."""

    convs: list
    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        sizes = ((1, 16), (16, 32))
        self.convs = [eqx.nn.Conv2d(*s, 3, padding=1, key=k) for s, k in zip(sizes, keys[:2], strict=True)]
        self.hidden, self.output = eqx.nn.Linear(1568, 64, key=keys[2]), eqx.nn.Linear(64, 10, key=keys[3])

    def __call__(self, x):
        """[28, 28, 1] -> logits."""
        x = x.transpose(2, 0, 1)
        for conv in self.convs:
            x = eqx.nn.MaxPool2d(2, 2)(jax.nn.relu(conv(x)))
        return self.output(jax.nn.relu(self.hidden(x.ravel())))


class lstm(eqx.Module):
    """Embedding, one LSTM layer, dense."""

    table: eqx.nn.Embedding
    cell: eqx.nn.LSTMCell
    output: eqx.nn.Linear

    def __init__(self, key, *, vocabulary, width):
        table, cell, output = jax.random.split(key, 3)
        self.table = eqx.nn.Embedding(vocabulary, width, key=table)
        self.cell = eqx.nn.LSTMCell(width, width, key=cell)
        self.output = eqx.nn.Linear(width, vocabulary, key=output)

    def __call__(self, x):
        """[time] -> logits."""

        def step(carry, inputs):
            carry = self.cell(inputs, carry)
            return carry, carry[0]

        zeros = jnp.zeros(self.cell.hidden_size)
        _, hidden = jax.lax.scan(step, (zeros, zeros), jax.vmap(self.table)(x))
        return jax.vmap(self.output)(hidden)
