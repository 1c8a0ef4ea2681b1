"""Hand-written JAX: a jitted step over parameters, what every library's step is measured against.

`named` gives it a state like that of a library: parameters by name, a key for dropout and a count of steps.
"""

import itertools

import jax
import jax.numpy as jnp
import optax

from benchmarks import jax_steps, step_data


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes, named=False):
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

    if not named:
        return jax.jit(update, donate_argnums=0), (params, optimizer.init(params))

    def update_named(state, x, y):
        params, moments, key, count = state
        (layers, moments), value = update(
            ([(p["kernel"], p["bias"]) for p in params.values()], moments), x, y
        )
        params = {
            name: {"kernel": w, "bias": b} for name, (w, b) in zip(params, layers, strict=True)
        }
        return (params, moments, key, count + 1), value

    by_name = {f"layer_{i:03}": {"kernel": w, "bias": b} for i, (w, b) in enumerate(params)}
    state = (by_name, optimizer.init(by_name), jax.random.PRNGKey(0), jnp.int32(0))
    return jax.jit(update_named, donate_argnums=0), state
