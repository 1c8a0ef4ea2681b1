"""Flax Linen: a jitted, donating train step over `TrainState` in a Python loop."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from benchmarks import jax_steps, step_data
from benchmarks.peers.linen_loop import MLP, LeNet


class State(TrainState):
    """With the running statistics of batch norm."""

    statistics: Any


def prepare(net, *, data, members=1, **sizes):
    net = net(**sizes)
    first = step_data.batches(**data).x[0]
    variables = jax.jit(net.init)(jax.random.key(0), first)
    optimizer = optax.adam(step_data.LEARNING_RATE)
    statistics = variables.get("batch_stats", {})
    state = State.create(
        apply_fn=net.apply, params=variables["params"], tx=optimizer, statistics=statistics
    )
    return jax_steps.host_loop(jax.jit(_step, donate_argnums=0), state, data)


def _step(state, x, y):
    def loss(params):
        variables = {"params": params, "batch_stats": state.statistics}
        outputs, changed = state.apply_fn(variables, x, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return losses.mean(), changed.get("batch_stats", {})

    (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradients).replace(statistics=statistics), value


def mlp(*, sizes):
    return MLP(tuple(sizes[1:]))


def lenet():
    return LeNet()


class resnet(nn.Module):
    """The CIFAR network of depth 6 n + 2."""

    depth: int

    @nn.compact
    def __call__(self, x):
        """[batch, 32, 32, 3] -> logits."""
        x = nn.relu(_norm(_conv(16, 1)(x)))
        for stage in range(3):
            for i in range((self.depth - 2) // 6):
                x = _Block(16 << stage, 2 if stage and not i else 1)(x)
        return nn.Dense(10)(x.mean((1, 2)))


class _Block(nn.Module):
    maps: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(_norm(_conv(self.maps, self.stride)(x)))
        y = _norm(_conv(self.maps, 1)(y))
        if self.stride > 1:
            more = (self.maps - x.shape[-1]) // 2
            x = jnp.pad(x[:, :: self.stride, :: self.stride], [(0, 0)] * 3 + [(more, more)])
        return nn.relu(x + y)


class lstm(nn.Module):
    """Embedding, one LSTM layer, dense."""

    vocabulary: int
    width: int

    @nn.compact
    def __call__(self, x):
        """[batch, time] -> logits."""
        x = nn.RNN(nn.OptimizedLSTMCell(self.width))(nn.Embed(self.vocabulary, self.width)(x))
        return nn.Dense(self.vocabulary)(x)


class gpt(nn.Module):
    """Embedding with learnt positions, causal blocks, a last norm, and the table again as the last layer."""

    vocabulary: int
    time: int
    width: int
    depth: int
    heads: int

    @nn.compact
    def __call__(self, x):
        """[batch, time] -> logits."""
        table = nn.Embed(self.vocabulary, self.width, embedding_init=nn.initializers.normal(0.02))
        x = table(x) + self.param(
            "positions", nn.initializers.normal(0.02), (self.time, self.width)
        )
        for _ in range(self.depth):
            x = _Attending(self.heads, causal=True)(x)
        return table.attend(nn.LayerNorm()(x))


class vit(nn.Module):
    """Patches and a class token with learnt positions, blocks, dense on the class token."""

    patch: int
    width: int
    depth: int
    heads: int

    @nn.compact
    def __call__(self, x):
        """[batch, 32, 32, 3] -> logits."""
        x = nn.Conv(self.width, (self.patch,) * 2, (self.patch,) * 2)(x).reshape(
            len(x), -1, self.width
        )
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, self.width)), x], 1)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])
        for _ in range(self.depth):
            x = _Attending(self.heads, causal=False)(x)
        return nn.Dense(10)(nn.LayerNorm()(x[:, 0]))


class _Attending(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    heads: int
    causal: bool

    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(x[..., 0]) if self.causal else None
        x = x + nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x), mask=mask)
        hidden = nn.gelu(nn.Dense(4 * x.shape[-1])(nn.LayerNorm()(x)), approximate=self.causal)
        return x + nn.Dense(x.shape[-1])(hidden)


def _conv(maps, stride):
    return nn.Conv(maps, (3, 3), (stride, stride), padding=1, use_bias=False)


def _norm(x):
    return nn.BatchNorm(use_running_average=False, momentum=0.9)(x)
