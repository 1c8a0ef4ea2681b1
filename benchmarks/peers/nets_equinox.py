"""Equinox: the networks of all suites, and one step of the networks without state."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.work import LEARNING_RATE

ADAM = optax.adam(LEARNING_RATE)


def start_lecun(key, sizes):
    """Return a network of dense layers with LeCun normal kernels, and the moments of Adam."""
    net_key, *keys = jax.random.split(key, len(sizes))
    net = mlp(net_key, sizes=sizes)
    lecun = jax.nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)

    def redraw(layer, key):
        values = (lecun(key, layer.weight.shape), jnp.zeros_like(layer.bias))
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, values)

    layers = tuple(map(redraw, net.layers, keys))
    net = eqx.tree_at(lambda net: net.layers, net, layers)
    return net, ADAM.init(eqx.filter(net, eqx.is_inexact_array))


def update(state, x, y):
    """Return network and moments after one step."""
    net, moments = state
    gradients = eqx.filter_grad(loss)(net, x, y)
    updates, moments = ADAM.update(gradients, moments)
    return eqx.apply_updates(net, updates), moments


def loss(net, x, y):
    """Return the mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(net)(x), y).mean()


def accuracy(net, x, y):
    """Return the share of the rows that are classified correctly."""
    return jnp.mean(jax.vmap(net)(x).argmax(-1) == y)


def mlp(key, *, sizes):
    return eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], len(sizes) - 2, key=key)


class lenet(eqx.Module):
    """Two 3x3 convolutions with 2x2 max-pool, two dense layers; images become channels first."""

    convs: list
    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.convs = [
            eqx.nn.Conv2d(1, 16, 3, padding=1, key=keys[0]),
            eqx.nn.Conv2d(16, 32, 3, padding=1, key=keys[1]),
        ]
        self.hidden = eqx.nn.Linear(1568, 64, key=keys[2])
        self.output = eqx.nn.Linear(64, 10, key=keys[3])

    def __call__(self, x):
        """[28, 28, 1] -> logits."""
        x = x.transpose(2, 0, 1)
        for conv in self.convs:
            x = eqx.nn.MaxPool2d(2, 2)(jax.nn.relu(conv(x)))
        return self.output(jax.nn.relu(self.hidden(x.ravel())))


def resnet(key, *, depth):
    """The CIFAR network of depth 6 n + 2; images become channels first."""
    maps = [16] + [16 << stage for stage in range(3) for _ in range((depth - 2) // 6)]
    stem, output, *keys = jax.random.split(key, len(maps) + 1)
    return eqx.nn.Sequential(
        [
            eqx.nn.Lambda(lambda x: x.transpose(2, 0, 1)),
            *_conv_norm(3, 16, 1, stem),
            eqx.nn.Lambda(jax.nn.relu),
            *(_Block(*sizes, k) for sizes, k in zip(itertools.pairwise(maps), keys, strict=True)),
            eqx.nn.Lambda(lambda x: x.mean((1, 2))),
            eqx.nn.Linear(64, 10, key=output),
        ]
    )


class _Block(eqx.nn.StatefulLayer):
    inner: eqx.nn.Sequential

    def __init__(self, channels, maps, key):
        keys = jax.random.split(key)
        first = _conv_norm(channels, maps, maps // channels, keys[0])
        second = _conv_norm(maps, maps, 1, keys[1])
        self.inner = eqx.nn.Sequential([*first, eqx.nn.Lambda(jax.nn.relu), *second])

    def __call__(self, x, state, *, key=None):
        y, state = self.inner(x, state)
        half = (len(y) - len(x)) // 2
        if half:
            x = jnp.pad(x[:, ::2, ::2], [(half, half), (0, 0), (0, 0)])
        return jax.nn.relu(x + y), state


def _conv_norm(channels, maps, stride, key):
    conv = eqx.nn.Conv2d(channels, maps, 3, stride, padding=1, use_bias=False, key=key)
    return conv, eqx.nn.BatchNorm(maps, "batch", momentum=0.9, mode="batch")


class lstm(eqx.Module):
    """Embedding, one LSTM layer, dense."""

    table: eqx.nn.Embedding
    cell: eqx.nn.LSTMCell
    output: eqx.nn.Linear

    def __init__(self, key, *, vocabulary, width):
        table, cell, output = jax.random.split(key, 3)
        self.table = eqx.nn.Embedding(vocabulary, width, key=table)
        self.cell = eqx.nn.LSTMCell(width, width, key=cell)
        self.output = eqx.nn.Linear(width, vocabulary, key=output)

    def __call__(self, x):
        """[time] -> logits."""

        def step(carry, inputs):
            carry = self.cell(inputs, carry)
            return carry, carry[0]

        zeros = jnp.zeros(self.cell.hidden_size)
        _, hidden = jax.lax.scan(step, (zeros, zeros), jax.vmap(self.table)(x))
        return jax.vmap(self.output)(hidden)


class gpt(eqx.Module):
    """Embedding with learned positions, causal blocks, a last norm, the table as the last layer."""

    table: eqx.nn.Embedding
    positions: jax.Array
    blocks: list
    norm: eqx.nn.LayerNorm

    def __init__(self, key, *, vocabulary, time, width, depth, heads):
        table, positions, *keys = jax.random.split(key, 2 + depth)
        self.table = eqx.nn.Embedding(weight=0.02 * jax.random.normal(table, (vocabulary, width)))
        self.positions = 0.02 * jax.random.normal(positions, (time, width))
        self.blocks = [_TransformerBlock(width, heads, k, causal=True, eps=1e-5) for k in keys]
        self.norm = eqx.nn.LayerNorm(width, 1e-5)

    def __call__(self, x):
        """[time] -> logits."""
        x = jax.vmap(self.table)(x) + self.positions[: len(x)]
        for block in self.blocks:
            x = block(x)
        return jax.vmap(self.norm)(x) @ self.table.weight.T


class vit(eqx.Module):
    """Patches and a class token with learned positions, blocks, dense on the class token."""

    patches: eqx.nn.Linear
    token: jax.Array
    positions: jax.Array
    blocks: list
    norm: eqx.nn.LayerNorm
    output: eqx.nn.Linear
    patch: int = eqx.field(static=True)

    def __init__(self, key, *, patch, width, depth, heads):
        patches, positions, output, *keys = jax.random.split(key, 3 + depth)
        self.patches = eqx.nn.Linear(patch * patch * 3, width, key=patches)
        self.token = jnp.zeros((1, width))
        self.positions = 0.02 * jax.random.normal(positions, ((32 // patch) ** 2 + 1, width))
        self.blocks = [_TransformerBlock(width, heads, k, causal=False, eps=1e-6) for k in keys]
        self.norm = eqx.nn.LayerNorm(width, 1e-6)
        self.output = eqx.nn.Linear(width, 10, key=output)
        self.patch = patch

    def __call__(self, x):
        """[32, 32, 3] -> logits."""
        x = jnp.concatenate([self.token, jax.vmap(self.patches)(self._cut(x))]) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.output(self.norm(x[0]))

    def _cut(self, x):
        side = 32 // self.patch
        x = x.reshape(side, self.patch, side, self.patch, 3)
        return x.swapaxes(1, 2).reshape(side * side, -1)


class _TransformerBlock(eqx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); a causal block takes GELU by tanh."""

    norms: list
    attention: eqx.nn.MultiheadAttention
    widen: eqx.nn.Linear
    narrow: eqx.nn.Linear
    causal: bool = eqx.field(static=True)

    def __init__(self, width, heads, key, *, causal, eps):
        attention, widen, narrow = jax.random.split(key, 3)
        biases = {f"use_{name}_bias": True for name in ("query", "key", "value", "output")}
        self.norms = [eqx.nn.LayerNorm(width, eps), eqx.nn.LayerNorm(width, eps)]
        self.attention = eqx.nn.MultiheadAttention(heads, width, **biases, key=attention)
        self.widen = eqx.nn.Linear(width, 4 * width, key=widen)
        self.narrow = eqx.nn.Linear(4 * width, width, key=narrow)
        self.causal = causal

    def __call__(self, x):
        y = jax.vmap(self.norms[0])(x)
        mask = jnp.tri(len(x), dtype=bool) if self.causal else None
        x = x + self.attention(y, y, y, mask)
        return x + jax.vmap(self._mlp)(x)

    def _mlp(self, x):
        return self.narrow(jax.nn.gelu(self.widen(self.norms[1](x)), approximate=self.causal))
