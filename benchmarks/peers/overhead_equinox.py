"""Equinox: a donating `filter_jit` step over a module."""

import equinox as eqx
import jax
import optax

from benchmarks import jax_steps, step_data


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes):
    net = eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], len(sizes) - 2, key=jax.random.key(0))
    optimizer = optax.sgd(step_data.LEARNING_RATE)

    def loss(net, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(x), y).mean()

    @eqx.filter_jit(donate="all-except-first")
    def update(batch, state):
        net, moments = state
        value, gradients = eqx.filter_value_and_grad(loss)(net, *batch)
        updates, moments = optimizer.update(gradients, moments)
        return (eqx.apply_updates(net, updates), moments), value

    start = net, optimizer.init(eqx.filter(net, eqx.is_inexact_array))
    return lambda state, x, y: update((x, y), state), start
