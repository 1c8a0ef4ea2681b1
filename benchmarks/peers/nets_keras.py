"""Keras 3 on its JAX backend: the networks of the suite `step`."""

import functools

import keras
from keras import layers, ops


def mlp(*, sizes):
    hidden = [layers.Dense(n, "relu") for n in sizes[1:-1]]
    return keras.Sequential([keras.Input((sizes[0],)), *hidden, layers.Dense(sizes[-1])])


def lenet():
    maps = []
    for n in (16, 32):
        maps += [layers.Conv2D(n, 3, padding="same", activation="relu"), layers.MaxPool2D()]
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
    x = ops.relu(_conv_norm(inputs, 16, 1))
    for stage in range(3):
        for _ in range((depth - 2) // 6):
            x = _block(x, 16 << stage)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _block(x, maps):
    half = (maps - x.shape[-1]) // 2
    y = ops.relu(_conv_norm(x, maps, 2 if half else 1))
    if half:
        x = ops.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(half, half)])
    return ops.relu(x + _conv_norm(y, maps, 1))


def _conv_norm(x, maps, stride):
    padding = "same"
    if stride > 1:  # "same" would pad one side only
        x = layers.ZeroPadding2D()(x)
        padding = "valid"
    x = layers.Conv2D(maps, 3, stride, padding, use_bias=False)(x)
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
    """Embedding with learned positions, causal blocks, a last norm, the table as the last layer."""
    inputs = keras.Input((time,), dtype="int32")
    table = layers.ReversibleEmbedding(vocabulary, width, embeddings_initializer=_normal())
    x = _Positions()(table(inputs))
    for _ in range(depth):
        x = _transformer_block(x, heads, causal=True, epsilon=1e-5)
    return keras.Model(inputs, table(layers.LayerNormalization(epsilon=1e-5)(x), reverse=True))


def vit(*, patch, width, depth, heads):
    """Patches and a class token with learned positions, blocks, dense on the class token."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Reshape((-1, width))(layers.Conv2D(width, patch, patch)(inputs))
    x = _Positions()(_Token()(x))
    for _ in range(depth):
        x = _transformer_block(x, heads, causal=False, epsilon=1e-6)
    return keras.Model(inputs, layers.Dense(10)(layers.LayerNormalization(epsilon=1e-6)(x[:, 0])))


def _transformer_block(x, heads, *, causal, epsilon):
    """x + attention(norm(x)), then x + mlp(norm(x)); a causal block takes GELU by tanh."""
    width = x.shape[-1]
    gelu = functools.partial(keras.activations.gelu, approximate=causal)
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
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], 1)


def _normal():
    return keras.initializers.RandomNormal(stddev=0.02)
