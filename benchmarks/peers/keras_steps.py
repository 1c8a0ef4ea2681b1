"""Keras 3 on its JAX backend: `train_on_batch` of a compiled model."""

import functools

import keras
from keras import layers, ops

from benchmarks import step_data
from benchmarks.layer_data import INPUTS
from benchmarks.server import Prepared


def prepare(function, *, data, members=1, **sizes):
    x, y = step_data.batches(**data)
    model = function(**sizes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(step_data.LEARNING_RATE, epsilon=1e-8), loss, jit_compile=True
    )

    def play(calls):
        for i in range(calls):
            model.reset_metrics()
            loss = model.train_on_batch(x[i % INPUTS], y[i % INPUTS])
        return float(loss)

    return Prepared(play, {})


def mlp(*, sizes):
    hidden = [layers.Dense(n, "relu") for n in sizes[1:-1]]
    return keras.Sequential([keras.Input((sizes[0],)), *hidden, layers.Dense(sizes[-1])])


def lenet():
    maps = [
        layer
        for n in (16, 32)
        for layer in (layers.Conv2D(n, 3, padding="same", activation="relu"), layers.MaxPool2D())
    ]
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *maps,
            layers.Flatten(),
            layers.Dense(64, "relu"),
            layers.Dense(10),
        ]
    )


def resnet(*, depth):
    """The CIFAR network of depth 6 n + 2."""
    inputs = keras.Input((32, 32, 3))
    x = ops.relu(_normed(inputs, 16, 1))
    for stage in range(3):
        for _ in range((depth - 2) // 6):
            x = _block(x, 16 << stage)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _block(x, maps):
    more = (maps - x.shape[-1]) // 2
    y = ops.relu(_normed(x, maps, 2 if more else 1))
    if more:
        x = ops.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(more, more)])
    return ops.relu(x + _normed(y, maps, 1))


def _normed(x, maps, stride):
    x = layers.ZeroPadding2D()(x) if stride > 1 else x  # "same" would fill one side only
    x = layers.Conv2D(maps, 3, stride, "valid" if stride > 1 else "same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def lstm(*, vocabulary, width):
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(vocabulary, width),
            layers.LSTM(width, return_sequences=True),
            layers.Dense(vocabulary),
        ]
    )


def gpt(*, vocabulary, time, width, depth, heads):
    """Embedding with learnt positions, causal blocks, a last norm, and the table again as the last layer."""
    inputs = keras.Input((time,), dtype="int32")
    table = layers.ReversibleEmbedding(vocabulary, width, embeddings_initializer=_normal())
    x = _Positions()(table(inputs))
    for _ in range(depth):
        x = _attending(x, heads, causal=True, epsilon=1e-5)
    return keras.Model(inputs, table(layers.LayerNormalization(epsilon=1e-5)(x), reverse=True))


def vit(*, patch, width, depth, heads):
    """Patches and a class token with learnt positions, blocks, dense on the class token."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Reshape((-1, width))(layers.Conv2D(width, patch, patch)(inputs))
    x = _Positions()(_Token()(x))
    for _ in range(depth):
        x = _attending(x, heads, causal=False, epsilon=1e-6)
    return keras.Model(inputs, layers.Dense(10)(layers.LayerNormalization(epsilon=1e-6)(x[:, 0])))


def _attending(x, heads, *, causal, epsilon):
    """x + attention(norm(x)), then x + mlp(norm(x)) with four times the width and GELU, in GPT by tanh."""
    width, gelu = x.shape[-1], functools.partial(keras.activations.gelu, approximate=causal)
    y = layers.LayerNormalization(epsilon=epsilon)(x)
    x = x + layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=causal)
    y = layers.Dense(4 * width, gelu)(layers.LayerNormalization(epsilon=epsilon)(x))
    return x + layers.Dense(width)(y)


class _Positions(layers.Layer):
    def build(self, input_shape):
        self.rows = self.add_weight(shape=input_shape[1:], initializer=_normal())

    def call(self, x):
        return x + self.rows


class _Token(layers.Layer):
    def build(self, input_shape):
        self.token = self.add_weight(shape=(1, 1, input_shape[-1]), initializer="zeros")

    def call(self, x):
        return ops.concatenate(
            [ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1])), x], 1
        )


def _normal():
    return keras.initializers.RandomNormal(stddev=0.02)
