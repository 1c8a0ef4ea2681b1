"""jnn: the step that a study trains with, in a compiled loop; of one network, or of a population by vmap."""

import functools

import jax
import jax.numpy as jnp
import optax

import jnn
from benchmarks import jax_steps, step_data
from benchmarks.peers.jnn_layers import ON_CPU


def prepare(function, *, data, members=1, donate=True, **sizes):
    step, start = make(function, data=data, members=members, **sizes)
    compiler = ON_CPU if jax.default_backend() == "cpu" else None
    return jax_steps.compiled_loop(step, jax.jit(start)(), data, compiler, donate=donate)


def make(function, *, data, members=1, precision="float32", **sizes):
    """`step(state, x, y) -> (state, loss)` and `start() -> state`; with a member axis if there are many."""
    model = jnn.as_model(function(**sizes))
    optimizer = optax.adam(step_data.LEARNING_RATE)
    inner = jnn.make_step(model, jnn.losses.softmax_cross_entropy, optimizer, precision=precision)

    def step(state, x, y):
        return inner(state, jnn.Batch(x, y))

    def start_one(key):
        params, model_state = model.init(key, jnp.asarray(step_data.batches(**data).x[0]))
        return jnn.State(params, model_state, optimizer.init(params), (), {}, key, jnp.int32(0))

    key = jax.random.key(0)
    if members == 1:
        return step, lambda: start_one(key)
    return jax.vmap(step, (0, None, None)), lambda: jax.vmap(start_one)(
        jax.random.split(key, members)
    )


def mlp(*, sizes):
    return functools.partial(jnn.models.MLP, sizes[0], tuple(sizes[1:-1]), sizes[-1])


def lenet():
    return functools.partial(jnn.models.LeNet, (28, 28, 1), 10)


def resnet(*, depth):
    return functools.partial(jnn.models.ResNet, 3, 10, depth)


def resnet18():
    return functools.partial(jnn.models.ResNet, 3, 10, 18, stem="small")


def lstm(*, vocabulary, width):
    return functools.partial(jnn.models.LanguageModel, vocabulary, width)


def gpt(*, vocabulary, time, width, depth, heads):
    sizes = {"layers": depth, "num_heads": heads, "features": width}
    return functools.partial(jnn.models.GPT, vocabulary, time, **sizes)


def vit(*, patch, width, depth, heads):
    sizes = {"patch": patch, "layers": depth, "num_heads": heads, "features": width}
    return functools.partial(jnn.models.ViT, (32, 32, 3), 10, **sizes)
