"""Flax Linen: the networks of all suites, their initial state and the accuracy of one."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState


def start(net, optimizer, key, x):
    """Return the initial train state of a network for inputs like x."""
    return TrainState.create(apply_fn=net.apply, params=net.init(key, x)["params"], tx=optimizer)


def update(state, x, y):
    """Return the train state after one step, and the loss before it."""

    def loss(params):
        logits = state.apply_fn({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    value, gradients = jax.value_and_grad(loss)(state.params)
    return state.apply_gradients(grads=gradients), value


def accuracy(state, x, y):
    """Return the share of the rows that are classified correctly."""
    return jnp.mean(state.apply_fn({"params": state.params}, x).argmax(-1) == y)


class MLP(nn.Module):
    """Dense layers with ReLU between them."""

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        """[batch, inputs] -> logits."""
        for n in self.sizes[:-1]:
            x = nn.relu(nn.Dense(n)(x))
        return nn.Dense(self.sizes[-1])(x)


def mlp(*, sizes):
    return MLP(tuple(sizes[1:]))


class lenet(nn.Module):
    """Two 3x3 convolutions with 2x2 max-pool, two dense layers."""

    @nn.compact
    def __call__(self, x):
        """[batch, 28, 28, 1] -> logits."""
        for n in (16, 32):
            x = nn.max_pool(nn.relu(nn.Conv(n, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(64)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


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
            half = (self.maps - x.shape[-1]) // 2
            x = jnp.pad(x[:, :: self.stride, :: self.stride], [(0, 0)] * 3 + [(half, half)])
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
    """Embedding with learned positions, causal blocks, a last norm, the table as the last layer."""

    vocabulary: int
    time: int
    width: int
    depth: int
    heads: int

    @nn.compact
    def __call__(self, x):
        """[batch, time] -> logits."""
        normal = nn.initializers.normal(0.02)
        table = nn.Embed(self.vocabulary, self.width, embedding_init=normal)
        x = table(x) + self.param("positions", normal, (self.time, self.width))
        for _ in range(self.depth):
            x = _TransformerBlock(self.heads, causal=True)(x)
        return table.attend(nn.LayerNorm()(x))


class vit(nn.Module):
    """Patches and a class token with learned positions, blocks, dense on the class token."""

    patch: int
    width: int
    depth: int
    heads: int

    @nn.compact
    def __call__(self, x):
        """[batch, 32, 32, 3] -> logits."""
        x = nn.Conv(self.width, (self.patch,) * 2, (self.patch,) * 2)(x)
        x = x.reshape(len(x), -1, self.width)
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, self.width)), x], 1)
        x = x + self.param("positions", nn.initializers.normal(0.02), x.shape[1:])
        for _ in range(self.depth):
            x = _TransformerBlock(self.heads, causal=False)(x)
        return nn.Dense(10)(nn.LayerNorm()(x[:, 0]))


class _TransformerBlock(nn.Module):
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


class StateWithStatistics(TrainState):
    """A train state with the running statistics of batch norm."""

    statistics: Any


class ResidualMLP(nn.Module):
    """The network 40-100-100-10 of MNIST-1D, the second hidden layer added to the first."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        hidden = nn.relu(nn.Dense(100)(x))
        return nn.Dense(10)(hidden + nn.relu(nn.Dense(100)(hidden)))


class SeriesCNN(nn.Module):
    """Three convolutions of 25 channels with stride 2."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        x = x[..., None]
        for window in (5, 3, 3):
            x = nn.relu(nn.Conv(25, (window,), 2, padding=1)(x))
        return nn.Dense(10)(x.reshape(len(x), -1))


class SeriesGRU(nn.Module):
    """6 units in each direction, all their outputs into one layer."""

    @nn.compact
    def __call__(self, x):
        """[batch, 40] -> [batch, 10]."""
        both = nn.Bidirectional(nn.RNN(nn.GRUCell(6)), nn.RNN(nn.GRUCell(6)))(x[..., None])
        return nn.Dense(10)(both.reshape(len(x), -1))


MNIST1D = {
    "logistic": lambda: nn.Dense(10),
    "mlp": ResidualMLP,
    "cnn": SeriesCNN,
    "gru": SeriesGRU,
}
