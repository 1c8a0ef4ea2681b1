"""Flax Linen: a jitted, donating step over `TrainState`."""

import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from benchmarks import jax_steps, step_data
from benchmarks.peers.linen_loop import MLP


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes):
    net = MLP(tuple(sizes[1:]))
    params = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, sizes[0])))["params"]

    def update(state, x, y):
        def loss(params):
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        value, gradients = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=gradients), value

    state = TrainState.create(
        apply_fn=net.apply, params=params, tx=optax.sgd(step_data.LEARNING_RATE)
    )
    return jax.jit(update, donate_argnums=0), state
