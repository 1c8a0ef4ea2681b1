"""What an expert would write without a library, in plain JAX.

`population` is `jit(vmap(scan))` on one device with Adam spelled out; `step` is a jitted step over
parameters, which every library's step is measured against.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import jax_calls
from benchmarks.work import LEARNING_RATE, Budget, Workload


def population(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    rows = tuple(map(jnp.asarray, (work.train_x, work.train_y, work.test_x, work.test_y)))
    train = _make_train(work.sizes, budget, work.steps_per_epoch(budget.batch_size))
    train_all = jax.jit(jax.vmap(train, in_axes=(0, None)))

    def job(first_seed):
        seeds = jnp.arange(first_seed, first_seed + budget.members)
        return np.asarray(train_all(seeds, rows)).tolist()

    return job


def _make_train(sizes, budget, steps):
    filled = steps * budget.batch_size

    def epoch(state, key, x, y):
        order = jnp.resize(jax.random.permutation(key, len(x)), filled).reshape(steps, -1)
        weights = (jnp.arange(filled) < len(x)).astype(x.dtype)  # rows that fill up weigh nothing

        def step(state, batch):
            rows, weights = batch
            return _adam(state, jax.grad(_loss)(state[0], x[rows], y[rows], weights)), None

        return jax.lax.scan(step, state, (order, weights.reshape(steps, -1)))[0]

    def train(seed, rows):
        x, y, test_x, test_y = rows
        params_key, order_key = jax.random.split(jax.random.key(seed))
        params = _start(params_key, sizes)
        zeros = jax.tree.map(jnp.zeros_like, params)
        keys = jax.random.split(order_key, budget.epochs)
        state = (params, zeros, zeros, 0)
        state, _ = jax.lax.scan(lambda s, key: (epoch(s, key, x, y), None), state, keys)
        return jnp.mean(_logits(state[0], test_x).argmax(-1) == test_y)

    return train


def _start(key, sizes):
    lecun = jax.nn.initializers.lecun_normal()
    pairs = list(itertools.pairwise(sizes))
    keys = jax.random.split(key, len(pairs))
    return [(lecun(k, pair), jnp.zeros(pair[1])) for k, pair in zip(keys, pairs, strict=True)]


def _logits(params, x):
    *hidden, (kernel, bias) = params
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return x @ kernel + bias


def _loss(params, x, y, weights):
    scores = jax.nn.log_softmax(_logits(params, x))
    return -jnp.sum(jnp.take_along_axis(scores, y[:, None], 1)[:, 0] * weights) / jnp.sum(weights)


def _adam(state, gradients, b1=0.9, b2=0.999, eps=1e-8):
    params, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, gradients)
    rate = LEARNING_RATE * jnp.sqrt(1 - b2**t) / (1 - b1**t)
    eps = eps * jnp.sqrt(1 - b2**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + eps), params, m, v)
    return params, m, v, t


def step(*, members=1, data, sizes, named=False):
    """A step with SGD. `named` gives it a state like that of a library.

    Such a state has parameters by name, a key for dropout and a count of steps.
    """
    optimizer = optax.sgd(LEARNING_RATE)
    params = _start(jax.random.key(0), sizes)

    def loss(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(_logits(params, x), y).mean()

    def update(state, x, y):
        params, moments = state
        value, gradients = jax.value_and_grad(loss)(params, x, y)
        updates, moments = optimizer.update(gradients, moments)
        return (optax.apply_updates(params, updates), moments), value

    def update_named(state, x, y):
        params, moments, key, count = state
        layers = [(layer["kernel"], layer["bias"]) for layer in params.values()]
        (layers, moments), value = update((layers, moments), x, y)
        layers = [{"kernel": kernel, "bias": bias} for kernel, bias in layers]
        return (dict(zip(params, layers, strict=True)), moments, key, count + 1), value

    if not named:
        state = (params, optimizer.init(params))
        return jax_calls.host_loop(jax.jit(update, donate_argnums=0), state, data)
    layers = {f"layer_{i:03}": {"kernel": w, "bias": b} for i, (w, b) in enumerate(params)}
    state = (layers, optimizer.init(layers), jax.random.PRNGKey(0), jnp.int32(0))
    return jax_calls.host_loop(jax.jit(update_named, donate_argnums=0), state, data)
