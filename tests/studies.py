"""Studies of a small network that the tests of `jnn.run` share, and so compile once."""

import functools

import jax
import jax.numpy as jnp
import optax

import jnn

IRIS = jnn.data.load("iris")
DIABETES = jnn.data.load("diabetes")
IDENTITY = jnn.preprocess.identity
MLP = functools.partial(jnn.models.MLP, 4, (8,), 3)


def study(**settings):
    defaults = {
        "model": MLP,
        "loss": jnn.losses.softmax_cross_entropy,
        "optimizer": lambda h: optax.adam(h.learning_rate),
        "metrics": {"accuracy": jnn.metrics.accuracy},
        "epochs": 3,
        "batch_size": 16,
        "hyper": {"learning_rate": 0.01},
        "inputs": jnn.preprocess.standardize,
    }
    return jnn.Study(**(defaults | settings))


def linear(outputs, *shape):
    """A linear model whose outputs have the shape [rows, *shape]."""
    return (
        lambda key: {"w": 0.1 * jax.random.normal(key, (4, outputs)), "b": jnp.zeros(outputs)},
        lambda params, x: (x @ params["w"] + params["b"]).reshape(-1, *shape),
    )


def patient(**settings):
    """A study whose members end at different epochs."""
    numbers = {
        "epochs": 12,
        "patience": 2,
        "validation": 0.2,
        "keep": "best",
        "monitor": "accuracy",
    }
    return study(**numbers | {"optimizer": optax.sgd(0.05)} | settings)
