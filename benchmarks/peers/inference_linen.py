"""Flax Linen: `jax.jit(net.apply)`."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import step_data
from benchmarks.jax_loops import staged
from benchmarks.layer_data import INPUTS
from benchmarks.peers import linen_steps
from benchmarks.server import Prepared


def prepare(function, *, members=1, **arguments):
    return function(**arguments)


def predict(*, network, data, **sizes):
    net = getattr(linen_steps, network)(**sizes)
    xs = list(map(jnp.asarray, step_data.batches(**data).x))
    variables = jax.jit(net.init)(jax.random.key(0), xs[0])
    compiled, stages = staged(jax.jit(net.apply), variables, xs[0])

    def play(calls):
        for i in range(calls):
            y = compiled(variables, xs[i % INPUTS])
        return float(np.isfinite(np.asarray(y)).mean())

    return Prepared(play, stages)
