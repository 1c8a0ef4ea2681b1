"""Equinox, all members at once: `filter_vmap` over models inside a donating `filter_jit` step, in a Python loop."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.workloads import LEARNING_RATE, Budget, Workload

_ADAM = optax.adam(LEARNING_RATE)


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    x, y, test_x, test_y = map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y))
    start = eqx.filter_jit(eqx.filter_vmap(lambda key: start_of(key, work.sizes)))

    def job(first_seed):
        keys = jax.vmap(jax.random.key)(jnp.arange(first_seed, first_seed + budget.members))
        state, random = start(keys), np.random.default_rng(first_seed)
        for _ in range(budget.epochs):
            order = random.permuted(
                np.tile(np.arange(len(x), dtype=np.int32), (budget.members, 1)), axis=1
            )
            for rows in np.split(
                order, range(budget.batch_size, len(x), budget.batch_size), axis=1
            ):
                state = _step((x, y, rows), state)
        return np.asarray(_accuracies(state, test_x, test_y)).tolist()

    return job


def start_of(key, sizes):
    net_key, *keys = jax.random.split(key, len(sizes))
    net = eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], len(sizes) - 2, key=net_key)
    lecun = jax.nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
    layers = [
        eqx.tree_at(
            lambda layer: (layer.weight, layer.bias),
            layer,
            (lecun(k, layer.weight.shape), jnp.zeros_like(layer.bias)),
        )
        for k, layer in zip(keys, net.layers, strict=True)
    ]
    net = eqx.tree_at(lambda net: net.layers, net, tuple(layers))
    return net, _ADAM.init(eqx.filter(net, eqx.is_inexact_array))


@eqx.filter_jit(donate="all-except-first")
def _step(batches, state):
    x, y, rows = batches

    @eqx.filter_vmap(in_axes=(eqx.if_array(0), 0))
    def update(member, rows):
        return update_of(member, x[rows], y[rows])

    return update(state, rows)


def update_of(state, x, y):
    net, moments = state
    gradients = eqx.filter_grad(_loss)(net, x, y)
    updates, moments = _ADAM.update(gradients, moments)
    return eqx.apply_updates(net, updates), moments


def _loss(net, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(x), y).mean()


@eqx.filter_jit
def _accuracies(state, x, y):
    return eqx.filter_vmap(accuracy, in_axes=(eqx.if_array(0), None, None))(state[0], x, y)


def accuracy(net, x, y):
    return jnp.mean(jax.vmap(net)(x).argmax(-1) == y)
