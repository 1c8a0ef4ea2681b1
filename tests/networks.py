"""The same small networks in all the forms that jnn accepts."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

import jnn


class Linen(nn.Module):
    """Dense, batch norm, dropout, dense."""

    hidden: int = 8
    outputs: int = 3

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Dense(self.hidden, name="first")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        rate = self.variable("hyper", "dropout_rate", lambda: jnp.float32(0.25))
        key = self.make_rng("dropout") if train else None
        x = jnn.layers.dropout(jax.nn.relu(x), rate.value, key=key)
        return nn.Dense(self.outputs, name="second")(x)


class Nnx(nnx.Module):
    """The same with NNX modules."""

    def __init__(self, inputs, hidden=8, outputs=3, *, rngs):
        self.first = nnx.Linear(inputs, hidden, rngs=rngs)
        self.norm = nnx.BatchNorm(hidden, rngs=rngs)
        self.drop = jnn.modules.Dropout(0.25, rngs=rngs)
        self.second = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x):
        return self.second(self.drop(jax.nn.relu(self.norm(self.first(x)))))


def pair_init(key, x, hidden=8, outputs=3):
    """Parameters and running statistics as nested dicts, named as the modules name theirs."""
    first, second = jax.random.split(key)
    draw = nnx.initializers.lecun_normal()
    params = {
        "first": {"kernel": draw(first, (x.shape[-1], hidden)), "bias": jnp.zeros(hidden)},
        "norm": {"scale": jnp.ones(hidden), "bias": jnp.zeros(hidden)},
        "second": {"kernel": draw(second, (hidden, outputs)), "bias": jnp.zeros(outputs)},
    }
    return params, {"norm": {"mean": jnp.zeros(hidden), "var": jnp.ones(hidden)}}


def pair_apply(params, state, x, *, key=None, train=False, hyper=None):
    """The same network as a pure function."""
    x = jnn.layers.dense(x, **params["first"])
    running = state["norm"]
    if train:
        x, (mean, var) = jnn.layers.batch_norm_train(x, **params["norm"])
        mix = lambda old, new: 0.99 * old + 0.01 * new  # noqa: E731
        state = {"norm": {"mean": mix(running["mean"], mean), "var": mix(running["var"], var)}}
    else:
        x = jnn.layers.batch_norm(x, running["mean"], running["var"], **params["norm"])
    rate = (hyper or {}).get("dropout_rate", 0.25)
    x = jnn.layers.dropout(jax.nn.relu(x), rate, key=key if train else None)
    return jnn.layers.dense(x, **params["second"]), state
