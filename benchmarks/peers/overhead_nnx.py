"""Flax NNX: `nnx.jit` over a module and an `nnx.Optimizer`, as its guide has it."""

import itertools

import jax
import optax
from flax import nnx

from benchmarks import jax_steps, step_data


class MLP(nnx.Module):
    """Dense layers with ReLU between them."""

    def __init__(self, sizes, *, rngs):
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in itertools.pairwise(sizes)])

    def __call__(self, x):
        """[batch, sizes[0]] -> logits."""
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


def prepare(function, *, data, members=1, **sizes):
    return jax_steps.host_loop(*function(**sizes), data)


def step(*, sizes):
    net = MLP(sizes, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.sgd(step_data.LEARNING_RATE), wrt=nnx.Param)

    @nnx.jit
    def update(net, optimizer, x, y):
        def loss(net):
            return optax.softmax_cross_entropy_with_integer_labels(net(x), y).mean()

        value, gradients = nnx.value_and_grad(loss)(net)
        optimizer.update(net, gradients)
        return value

    return lambda state, x, y: (state, update(*state, x, y)), (net, optimizer)
