"""Keras 3 on its JAX backend: `train_on_batch` of a compiled model."""

import keras
from keras import layers

from benchmarks import step_data
from benchmarks.layer_data import INPUTS
from benchmarks.server import Prepared


def prepare(function, *, data, members=1, **sizes):
    x, y = step_data.batches(**data)
    model = function(**sizes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(step_data.LEARNING_RATE, epsilon=1e-8), loss, jit_compile=True)

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
        [keras.Input((28, 28, 1)), *maps, layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)]
    )


def lstm(*, vocabulary, width):
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(vocabulary, width),
            layers.LSTM(width, return_sequences=True),
            layers.Dense(vocabulary),
        ]
    )
