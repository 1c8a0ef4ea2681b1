"""Hand-written JAX: a jitted step over parameters, what every library's step is measured against."""

import itertools

import jax
import jax.numpy as jnp
import optax

from benchmarks import jax_steps, step_data


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes):
    optimizer = optax.sgd(step_data.LEARNING_RATE)
    pairs = list(itertools.pairwise(sizes))
    draw = jax.nn.initializers.lecun_normal()
    keys = jax.random.split(jax.random.key(0), len(pairs))
    params = [(draw(k, pair), jnp.zeros(pair[1])) for k, pair in zip(keys, pairs, strict=True)]

    def loss(params, x, y):
        *hidden, (kernel, bias) = params
        for w, b in hidden:
            x = jax.nn.relu(x @ w + b)
        return optax.softmax_cross_entropy_with_integer_labels(x @ kernel + bias, y).mean()

    def update(state, x, y):
        params, moments = state
        value, gradients = jax.value_and_grad(loss)(params, x, y)
        updates, moments = optimizer.update(gradients, moments)
        return (optax.apply_updates(params, updates), moments), value

    return jax.jit(update, donate_argnums=0), (params, optimizer.init(params))
