"""jnn: `jax.jit(jnn.make_step(...))`, called by the host."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

import jnn
from benchmarks import jax_steps, step_data


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes):
    model = jnn.as_model(partial(jnn.models.MLP, sizes[0], tuple(sizes[1:-1]), sizes[-1]))
    optimizer = optax.sgd(step_data.LEARNING_RATE)
    update = jax.jit(
        jnn.make_step(model, jnn.losses.softmax_cross_entropy, optimizer), donate_argnums=0
    )
    params, model_state = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, sizes[0])))
    state = jnn.State(
        params, model_state, optimizer.init(params), (), {}, jax.random.PRNGKey(0), jnp.int32(0)
    )
    return lambda state, x, y: update(state, jnn.Batch(x, y)), state
