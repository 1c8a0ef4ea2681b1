"""What a library adds to a step, to an import and to the first training of a process.

The networks are dense layers with SGD, called by the host; `handwritten.step` is what they are
measured against.
"""

import itertools
import subprocess
import sys

from benchmarks.calls import Call
from benchmarks.work import LEARNING_RATE

_FIRST_JOB = """
from benchmarks.peers import {file}
from benchmarks.work import Budget
from benchmarks.workloads import digits
{file}.{function}(digits(), Budget(1, 1, 32))(0)
"""


def jnn_step(*, members=1, data, sizes):
    """jnn: `jax.jit(jnn.make_step(...))`."""
    from functools import partial

    import jax
    import jax.numpy as jnp
    import optax

    import jnn
    from benchmarks import jax_calls

    model = jnn.as_model(partial(jnn.models.MLP, sizes[0], tuple(sizes[1:-1]), sizes[-1]))
    optimizer = optax.sgd(LEARNING_RATE)
    step = jnn.make_step(model, jnn.losses.softmax_cross_entropy, optimizer)
    update = jax.jit(step, donate_argnums=0)
    params, model_state = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, sizes[0])))
    moments = optimizer.init(params)
    key = jax.random.PRNGKey(0)
    state = jnn.State(params, model_state, moments, (), {}, key, jnp.int32(0))
    return jax_calls.host_loop(lambda state, x, y: update(state, jnn.Batch(x, y)), state, data)


def linen_step(*, members=1, data, sizes):
    """Flax Linen: a jitted step over `TrainState`, which it donates."""
    import jax
    import jax.numpy as jnp
    import optax

    from benchmarks import jax_calls
    from benchmarks.peers import nets_linen

    net = nets_linen.mlp(sizes=sizes)
    inputs = jnp.zeros((1, sizes[0]))
    start = jax.jit(lambda key: nets_linen.start(net, optax.sgd(LEARNING_RATE), key, inputs))
    update = jax.jit(nets_linen.update, donate_argnums=0)
    return jax_calls.host_loop(update, start(jax.random.key(0)), data)


def equinox_step(*, members=1, data, sizes):
    """Equinox: a `filter_jit` step over a module, which it donates."""
    import equinox as eqx
    import jax
    import optax

    from benchmarks import jax_calls
    from benchmarks.peers import nets_equinox

    net = nets_equinox.mlp(jax.random.key(0), sizes=sizes)
    optimizer = optax.sgd(LEARNING_RATE)

    @eqx.filter_jit(donate="all-except-first")
    def update(batch, state):
        net, moments = state
        value, gradients = eqx.filter_value_and_grad(nets_equinox.loss)(net, *batch)
        updates, moments = optimizer.update(gradients, moments)
        return (eqx.apply_updates(net, updates), moments), value

    state = (net, optimizer.init(eqx.filter(net, eqx.is_inexact_array)))
    return jax_calls.host_loop(lambda state, x, y: update((x, y), state), state, data)


def nnx_step(*, members=1, data, sizes):
    """Flax NNX: `nnx.jit` over a module and an `nnx.Optimizer`, as its guide has it."""
    import jax
    import optax
    from flax import nnx

    from benchmarks import jax_calls

    class MLP(nnx.Module):
        """Dense layers with ReLU between them."""

        def __init__(self, *, rngs):
            layers = [nnx.Linear(*pair, rngs=rngs) for pair in itertools.pairwise(sizes)]
            self.layers = nnx.List(layers)

        def __call__(self, x):
            """[batch, sizes[0]] -> logits."""
            for layer in self.layers[:-1]:
                x = jax.nn.relu(layer(x))
            return self.layers[-1](x)

    net = MLP(rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.sgd(LEARNING_RATE), wrt=nnx.Param)

    @nnx.jit
    def update(net, optimizer, x, y):
        def loss(net):
            return optax.softmax_cross_entropy_with_integer_labels(net(x), y).mean()

        value, gradients = nnx.value_and_grad(loss)(net)
        optimizer.update(net, gradients)
        return value

    def step(state, x, y):
        return state, update(*state, x, y)

    return jax_calls.host_loop(step, (net, optimizer), data)


def imports(*, members=1, modules):
    """A fresh process that imports modules."""
    return _python(f"import {modules}")


def first_job(*, members=1, peer):
    """A fresh process that trains one member for one epoch."""
    file, function = peer.split(".")
    return _python(_FIRST_JOB.format(file=file, function=function))


def _python(code):
    def play(count):
        for _ in range(count):
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return [0.0]

    return Call(play)
