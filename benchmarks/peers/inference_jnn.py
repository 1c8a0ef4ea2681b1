"""jnn: predictions of one network or an ensemble, and text from a language model, as compiled programs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jnn
from benchmarks import step_data
from benchmarks.jax_loops import staged
from benchmarks.layer_data import INPUTS
from benchmarks.peers import jnn_steps
from benchmarks.peers.jnn_layers import ON_CPU
from benchmarks.server import Prepared


def prepare(function, *, members=1, **arguments):
    return function(members=members, **arguments)


def predict(*, network, data, members, **sizes):
    model = jnn.as_model(getattr(jnn_steps, network)(**sizes))
    xs = list(map(jnp.asarray, step_data.batches(**data).x))
    start = functools.partial(model.init, x=xs[0])

    def apply(params, state, x):
        return model.apply(params, state, x, key=None, train=False, hyper={})[0]

    if members > 1:
        start, apply = jax.vmap(start), jax.vmap(apply, (0, 0, None))
    keys = jax.random.key(0) if members == 1 else jax.random.split(jax.random.key(0), members)
    params = jax.jit(start)(keys)
    compiled, stages = staged(jax.jit(apply), *params, xs[0], compiler=_compiler())

    def play(calls):
        for i in range(calls):
            y = compiled(*params, xs[i % INPUTS])
        return float(np.isfinite(np.asarray(y)).mean())

    return Prepared(play, stages)


def generate(*, batch, time, members, **sizes):
    """The most likely next id, `time` times, from the cache of keys and values; one program."""
    model = jnn.models.GPT(sizes["vocabulary"], time, **_gpt(sizes), rngs=nnx.Rngs(0))

    def text(first):
        def body(carry, _):
            ids, caches = carry
            logits, caches = model.decode(ids, caches)
            ids = logits[:, -1:].argmax(-1).astype(jnp.int32)
            return (ids, caches), ids[:, 0]

        return jax.lax.scan(body, (first, model.start(batch, time)), None, time)[1]

    firsts = [jnp.full((batch, 1), i, jnp.int32) for i in range(INPUTS)]
    compiled, stages = staged(jax.jit(text), firsts[0], compiler=_compiler())

    def play(calls):
        for i in range(calls):
            ids = compiled(firsts[i % INPUTS])
        return float(np.asarray(ids).size)

    return Prepared(play, stages)


def _gpt(sizes):
    return {"layers": sizes["depth"], "num_heads": sizes["heads"], "features": sizes["width"]}


def _compiler():
    return ON_CPU if jax.default_backend() == "cpu" else None
